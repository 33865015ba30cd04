"""metrics.json + run.json (+ evidence.json) -> the model card (`README.md` of a run folder): a pure function and a template.

No number is typed here: each is read from one of the records, so a card cannot disagree with what was measured. What no record tells is
left out, heading and all. `evidence.py` gathers the third record and renders a folder's card, figures and all, by one command.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, UndefinedError

from conflict_ner import card_benchmarks, card_tables, plots
from conflict_ner.card_metadata import bibtex, corpora_of, emissions_of, hub_metadata, is_local, learnt_ours, split_of
from conflict_ner.errors import InputError
from conflict_ner.runs import CARD, EVIDENCE, METRICS, RUN_RECORD, read_json, read_json_if_any
from conflict_ner.scoring import enough, shown_interval
from conflict_ner.snippets import with_outputs
from conflict_ner.terminal import bounds

ROLES = {
    "train": "that the model **was trained on**: no measure of anything else",
    "dev": "that **choices were made on** (settings, a checkpoint, the temperature of scores): read it as a development figure",
    "test": "that were used for no choice",
}
USES = {"train": "**used for training**", "dev": "**used for choices**", "test": ""}
MEND = f"evaluate or train again, then python -m conflict_ner.evidence MODEL for {EVIDENCE}"
TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
MODEL = "OWNER/NAME"  # stands for the model where the outputs of snippets are kept: they do not depend on where it lies
# Our own sentences, for the page's widget and snippets: parties and places, weapons and their like.
EXAMPLES = (
    "Russian warships fired cruise missiles at a depot near Raqqa.",
    "Ankara told Moscow that Turkish soldiers would stay in Idlib; in Ankara, the Pentagon was not believed.",
    "Two T-72B3 tanks and a Su-34 were lost when the 25th Airborne Brigade retook Lyman.",
    "Al-Shabaab fighters fired 120mm mortars at the airport of Mogadishu; Kenyan doctors treated the wounded.",
    "A leopard cub and a tank of water were flown to the zoo of Addis Ababa, and no one fired a shot.",
)
ANY_SENTENCE = "A sentence of the kind of text that you have."


def write_card(folder: Path) -> Path:
    """Render the card of a run folder from its records, with its figures, and return its path.

    Raises InputError when a record is missing or lacks a field.
    """
    metrics, card = read_json(folder / METRICS), folder / CARD
    text = render_card(metrics, read_json(folder / RUN_RECORD), read_json_if_any(folder / EVIDENCE))
    plots.write_figures(folder, metrics)
    card.write_text(text, encoding="utf-8")
    return card


def render_card(
    metrics: Mapping[str, Any],
    run: Mapping[str, Any],
    evidence: Mapping[str, Any] | None = None,
    repo_id: str | None = None,
    dataset: str | None = None,
) -> str:
    """Return the card as Markdown with Hub metadata; raises InputError when a record lacks what the card shows.

    `repo_id` names the model, and `dataset` the corpus, where they are published; otherwise the model is named by its folder.
    """
    try:
        return _render(metrics, run, fitting(evidence or {}, metrics), repo_id, dataset)
    except KeyError as error:
        raise InputError(f"{METRICS}, {RUN_RECORD} or {EVIDENCE} lacks the field {error}; {MEND}") from None
    except InputError:
        raise
    except (TypeError, ValueError, AttributeError, UndefinedError) as error:
        raise InputError(f"{METRICS}, {RUN_RECORD} or {EVIDENCE} lacks a number that the card shows ({error}); {MEND}") from None


def fitting(evidence: Mapping[str, Any], metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what of `evidence` speaks of the measured weights: nothing of other or unknown weights, no comparison on other data."""
    if metrics.get("weights_sha256") is None or evidence.get("weights_sha256") != metrics["weights_sha256"]:
        return {}
    if evidence.get("data_sha256") != metrics["data"]["sha256"]:
        return {key: value for key, value in evidence.items() if key not in ("seeds", "peers", "never_trained")}
    return evidence


def _render(
    metrics: Mapping[str, Any], run: Mapping[str, Any], evidence: Mapping[str, Any], repo_id: str | None, dataset: str | None
) -> str:
    name = repo_id.rpartition("/")[2] if repo_id else Path(metrics["model"]).resolve().name
    model = repo_id or metrics["model"]
    examples, on_conflict = evidence.get("examples", []), learnt_ours(run)
    split = split_of(metrics["data"]["path"], metrics, run)
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.globals.update(
        enough=enough, shown_interval=shown_interval, shown_bounds=bounds, listed=listed, median=median, bibtex=bibtex
    )
    environment.filters.update(
        figure=card_tables.figure,
        rounded=card_benchmarks.rounded,
        count=lambda number: f"{number:,}",
        literal=lambda text: json.dumps(text, ensure_ascii=False),
    )
    body = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        name=name,
        model=model,
        dataset=dataset,
        m=metrics,
        run=run,
        evidence=evidence,
        tables=card_tables,
        benchmarks=card_benchmarks,
        examples=examples,
        sentence=examples[0]["text"] if examples else EXAMPLES[0] if on_conflict else ANY_SENTENCE,
        labels=listed([f"`{label}`" for label in run["labels"]]),
        guides=evidence.get("labels", {}),
        strict=metrics["strict"],
        fitted=run.get("calibration") or {},
        interval=shown_interval(dict(metrics["strict"])),
        split=split,
        role=ROLES[split] + _partly_learnt(metrics),
        corpora=corpora_of(metrics),
        uses={path: _use(path, scores, run) for path, scores in corpora_of(metrics).items()},
        seen=card_tables.parts_of(metrics, "surface form"),
        figures=plots.descriptions(metrics),
        on_conflict=on_conflict,
        local_encoder=is_local(run),
        train_data=[f"`{path}`" for path in run["settings"]["train_data"]],
        minutes=("at least " if run["resumed"] else "") + f"{run['seconds'] / 60:.1f}",
        emissions=emissions_of(run),
    )
    outputs = {code.replace(MODEL, model): printed for code, printed in evidence.get("outputs", {}).items()}
    header = hub_metadata(name, metrics, run, examples, dataset)
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=140)}---\n\n{with_outputs(body, outputs)}"


def listed(words: list[str]) -> str:
    """Return words as a sentence names them: a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _use(path: str, scores: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    learnt = scores.get("documents_learnt") or 0
    if 0 < learnt < scores["strict"]["documents"]:
        return f"**{learnt} documents used for training**"
    return USES[split_of(path, scores, run)]


def _partly_learnt(metrics: Mapping[str, Any]) -> str:
    learnt = metrics.get("documents_learnt") or 0
    return f", **{learnt} of these documents were also trained on**" if 0 < learnt < metrics["strict"]["documents"] else ""
