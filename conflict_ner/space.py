"""A model -> the folder of a Hugging Face Space that shows it.

Examples:
    python -m conflict_ner.space static models/conflict-minilm build/space
    python -m conflict_ner.space gradio your-name/conflict-minilm build/space

`static` is one page of tagged sample articles with the error report beside it: no server, no script of others. `gradio` is the demo: its
own copy of this package, so that nothing but published packages is installed, and of a model folder where the model is not on the Hub.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from conflict_ner.colours import COLOURS
from conflict_ner.errors import InputError, exit_2_on_bad_input
from conflict_ner.model_folder import ONNX_FP32, ONNX_INT8, ModelFolder, open_model
from conflict_ner.runs import METRICS
from conflict_ner.showcase import NOT_FOR, facts_of, sample_articles, tagged_row
from conflict_ner.tagger import Tagger
from conflict_ner.webpage import marked

log = logging.getLogger(__name__)

KINDS = ("static", "gradio")
TEMPLATE = Path(__file__).with_name("space.html.jinja")
REPORT = "report.html"
HUB = "https://huggingface.co"
SERVING = ("gradio", "huggingface-hub", "numpy", "rich", "scipy", "tokenizers")  # what conflict_ner.demo imports
APP = '''"""The demo of conflict-ner as a Space: `python app.py` runs it anywhere."""

from conflict_ner.demo import main

raise SystemExit(main({arguments!r}))
'''


def build_space(
    kind: str, model: str | Path, folder: Path, report: Path | None = None, revision: str | None = None, repo_id: str | None = None
) -> Path:
    """Write the files of a Space to a new or empty `folder` and return it; raises InputError for what cannot be used.

    `report` is the page evaluate.py wrote, by default the one in the model folder; a static Space without one links to none. `repo_id` is
    where a model folder is published: the Space names it and links to it, as it does a model of the Hub.
    """
    if kind not in KINDS:
        raise InputError(f"a Space of kind {kind!r} is unknown; use one of {', '.join(KINDS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is not empty; name a new folder")
    if report and not report.is_file():
        raise InputError(f"{report}: there is no such file; evaluate.py writes it")
    if kind == "static":
        _write_static(Tagger.from_pretrained(model, revision=revision), folder, report, repo_id)
    else:
        _write_gradio(open_model(model, revision), folder, repo_id)
    return folder


def _write_static(tagger: Tagger, folder: Path, report: Path | None, repo_id: str | None) -> None:
    published = repo_id or _on_the_hub(tagger.model)
    report = report or tagger.model.path / REPORT
    page = render_page(tagger, report.is_file(), published)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(page, encoding="utf-8")
    if report.is_file():
        shutil.copyfile(report, folder / REPORT)
    else:
        log.warning("%s: there is no error report; evaluate.py writes one, name it with --report", report)
    _write_readme(folder, tagger.model, {"sdk": "static", "app_file": "index.html"}, published)


def _on_the_hub(model: ModelFolder) -> str | None:
    return model.name if model.hub_revision else None


def render_page(tagger: Tagger, has_report: bool, repo_id: str | None = None) -> str:
    """Return the page of sample articles that `tagger` marked; it needs no network, and no script to be read.

    With a `repo_id` it links to the model's page on the Hub.
    """
    facts, samples = facts_of(tagger.model), sample_articles()
    rows = [
        tagged_row(sample.id, sample.text, spans, facts)
        for sample, spans in zip(samples, tagger.tag([sample.text for sample in samples]), strict=True)
    ]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        hub=HUB,
        title=facts.words.title,
        what=facts.words.what,
        not_for=NOT_FOR,
        facts=facts,
        colours={label: COLOURS[number % len(COLOURS)] for number, label in enumerate(tagger.labels.names)},
        articles=[(sample.meta, row, Markup(marked(row))) for sample, row in zip(samples, rows, strict=True)],  # it escapes
        report=REPORT if has_report else None,
        repo_id=repo_id,
    )


def _write_gradio(model: ModelFolder, folder: Path, repo_id: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(Path(__file__).parent, folder / "conflict_ner", ignore=shutil.ignore_patterns("__pycache__"))
    if model.hub_revision:
        arguments = [model.name, "--revision", model.hub_revision]
    else:
        arguments = [f"models/{model.path.resolve().name}"]
        unused = shutil.ignore_patterns(ONNX_FP32.name, f"{ONNX_FP32.name}.data", "checkpoint*", "*.html", "*.jsonl", "*.bin", "*.pt")
        shutil.copytree(model.path, folder / arguments[0], ignore=unused)
    (folder / "app.py").write_text(APP.format(arguments=arguments), encoding="utf-8")
    engine = ("onnxruntime",) if (model.path / ONNX_INT8).exists() else ("torch", "transformers")
    pins = [f"{package}=={importlib.metadata.version(package)}" for package in sorted((*SERVING, *engine))]
    (folder / "requirements.txt").write_text("\n".join(pins) + "\n", encoding="utf-8")
    sdk = {"sdk": "gradio", "sdk_version": importlib.metadata.version("gradio"), "app_file": "app.py"}
    _write_readme(
        folder, model, {**sdk, "python_version": f"{sys.version_info.major}.{sys.version_info.minor}"}, repo_id or _on_the_hub(model)
    )


def _write_readme(folder: Path, model: ModelFolder, sdk: dict[str, Any], repo_id: str | None) -> None:
    """Write the Space's card; its header is what the Hub reads, and links Space and model to one another."""
    facts = facts_of(model)
    words, known = facts.words, {"models": [repo_id] if repo_id else None, "license": facts.license}
    about = {key: value for key, value in known.items() if value}
    header = {"title": words.space, **sdk, **about, "short_description": words.brief, "pinned": False}
    headline = f" Strict {facts.headline} ({METRICS})." if facts.headline else ""
    named = f"[{repo_id}]({HUB}/{repo_id})" if repo_id else facts.name
    body = f"# {words.title}\n\n{words.what}\n\n{NOT_FOR}\n\nModel {named}, revision {facts.revision[:12]}.{headline}\n"
    licence = f" Model: {facts.license}." if facts.license else ""
    body += f"\nCode: Apache-2.0.{licence} The sample articles were written for this project: CC BY 4.0.\n"
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n\n{body}", encoding="utf-8")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("model", help="model folder or Hub id")
    parser.add_argument("folder", type=Path, metavar="OUT", help="a new folder")
    parser.add_argument("--report", type=Path, help="report.html of evaluate.py; default: the one in the model folder")
    parser.add_argument("--revision", help="commit, branch or tag of a Hub id")
    return parser.parse_args(argv)


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Build a Space's folder; exit code 2 for what cannot be used."""
    arguments = parse(argv)
    build_space(arguments.kind, arguments.model, arguments.folder, arguments.report, arguments.revision)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
