"""What of a run folder or a corpus goes to the Hub, and what forbids it.

A file leaves this machine because it is named here, never because it lies in the folder; every check is made on the very copies that
are uploaded, before the first byte is sent.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import shutil
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml
from datasets import disable_progress_bars

from conflict_ner.config import parse_arguments
from conflict_ner.corpus import corpus_files, read_documents
from conflict_ner.corpus.__main__ import read_splits
from conflict_ner.corpus.export import export as export_corpus
from conflict_ner.errors import InputError, read_text
from conflict_ner.experiment import settings
from conflict_ner.export import TOLERANCE
from conflict_ner.model_card import fitting, render_card
from conflict_ner.model_folder import ONNX_FP32, ONNX_INT8, ONNX_RECORD, WEIGHTS, open_model
from conflict_ner.plots import CARD_FIGURES, write_figures
from conflict_ner.runs import CARD, EVIDENCE, METRICS, PLOTS, REPORT, RUN_RECORD, read_json, read_json_if_any, write_json
from conflict_ner.sources import TEXT_FOLDERS

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
ONNX = (str(ONNX_FP32), str(ONNX_INT8), str(ONNX_RECORD))
MODEL_FILES = ("config.json", WEIGHTS, "model.safetensors.index.json", *TOKENIZER, *ONNX, METRICS, EVIDENCE, REPORT)
# What an earlier publication may have left in the repository: where this one has no such file, it would contradict the new ones. No
# pattern crosses a folder. The config's file may have had any name, and every file that is named like weights is read as weights.
OWNED = {
    "model": (*MODEL_FILES, *(f"{PLOTS}/{figure}" for figure in CARD_FIGURES), "*.yaml"),
    "dataset": ("train.parquet", "validation.parquet", "test.parquet"),
    "space": (REPORT,),
}

# Stands on the published card of the corpus before data/README.md speaks of all its folders.
IN_REPOSITORY = """
## In this repository

`train.parquet`, `validation.parquet` and `test.parquet` hold `conflict/{train,dev,test}`; `labels.json` and `GUIDELINES.md` say what
is marked. The other folders and the commands named below are those of the project conflict-ner and are not here.

```python
from datasets import load_dataset

corpus = load_dataset("OWNER/DATA")
```

- `id`, `text`: a document's name and its text
- `spans`: `start` and `end` (characters of `text`, `end` exclusive) and `label` of each mention
- `tokens`, `ner_tags`: its words and signs, and the IOB2 tag of each as a class number
- `genre`, `conflict`, `event`, `date`, `noise`, `cases`: what kind of text it is, see `GUIDELINES.md`; empty where nothing applies

## The folders
"""

# Training text by the name of its folder, where the licence of some part forbids commercial use (see data/README.md). Stand-off files
# name the licences of their texts themselves, under `source`.
NON_COMMERCIAL = {"re3d": "its BBC part is CC BY-NC 3.0"}

LARGEST_BYTES = {".safetensors": 5_000_000_000, ".onnx": 2_000_000_000, ".parquet": 500_000_000}
LARGEST_OTHER_BYTES = 50_000_000
SECRETS = {
    "a Hugging Face token": rb"hf_(?:[A-Za-z0-9]{30,}|oauth_[A-Za-z0-9_.-]{30,})",
    "a GitHub token": rb"(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{30,}",
    "an AWS key": rb"AKIA[0-9A-Z]{16}",
    "a Google key": rb"AIza[0-9A-Za-z_-]{35}",
    "a Slack token": rb"xox[abprs]-[0-9A-Za-z-]{20,}",
    "an API key": rb"(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{32,}",  # of its own: no "task-", no name with hyphens
    "a private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----",
}
ON_THE_COMMAND_LINE = {"seed"}  # a config is run with several
SAMPLE = 20  # documents of the test data on which the downloaded model is compared with the folder


def stage_model(folder: Path, repo_id: str, staged: Path, license_id: str | None = None, dataset: str | None = None) -> str | None:
    """Copy what is published of a run folder into `staged`, with its card; raises InputError for whatever forbids publishing it.

    `license_id` is declared instead of the run's own. The card and its snippets name the model by `repo_id`, and `dataset` as what it was
    trained on where that is so. Returns what was left out and why, None where nothing was.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name one that train.py finished")
    open_model(folder)
    run, metrics = read_json(folder / RUN_RECORD), read_json(folder / METRICS)
    if run.get("status") != "finished":
        raise InputError(f"{folder}: its training did not finish; continue it with --resume_from_checkpoint true")
    run["license"] = license_id or run.get("license")
    _copy(folder, MODEL_FILES, staged)
    evidence = fitting(read_json_if_any(folder / EVIDENCE) or {}, metrics)
    if not evidence:  # of other weights, if any
        (staged / EVIDENCE).unlink(missing_ok=True)
    card = render_card(metrics, run, evidence, repo_id, dataset)
    (staged / CARD).write_text(card, encoding="utf-8")
    write_figures(staged, metrics)  # anew: they are a function of the metrics, as the card is
    write_json(staged / RUN_RECORD, run)
    left_out = _other_config(run) if run["config"] else None
    if run["config"] and not left_out:
        _copy(Path(run["config"]).parent, [Path(run["config"]).name], staged)
    if not _may_be_shown(Path(metrics["data"]["path"])):
        (staged / REPORT).unlink(missing_ok=True)  # the page shows whole texts
    _check_measured(staged, metrics, folder)
    _check_onnx(staged, folder)
    _check_licence(run, folder)
    _check_card(card, f"{folder / CARD}")
    _check_files(staged)
    return left_out


def stage_dataset(corpus: Path, repo_id: str, staged: Path) -> None:
    """Write a corpus folder as Parquet into `staged`, with labels, guidelines and the card that lies above it; raises InputError.

    The card says first what of the folders it speaks of is in the repository.
    """
    if not _may_be_shown(corpus):
        raise InputError(f"{corpus}: holds spans for texts that are not ours to ship; name a corpus of our own articles")
    splits, labels = read_splits(corpus)
    disable_progress_bars()
    export_corpus(splits, labels, staged)
    _copy(corpus, ["labels.json"], staged)
    _copy(corpus.parent, ["GUIDELINES.md"], staged)
    head, title, rest = read_text(corpus.parent / CARD).partition("\n# Data\n")
    card = head + title + IN_REPOSITORY.replace("OWNER/DATA", repo_id) + rest
    (staged / CARD).write_text(card, encoding="utf-8")
    _check_card(card, f"{corpus.parent / CARD}")
    _check_files(staged)


def staged_files(staged: Path) -> dict[str, int]:
    """Return every file below `staged`, by its path there, with its size in bytes."""
    return {str(file.relative_to(staged)): file.stat().st_size for file in sorted(staged.rglob("*")) if file.is_file()}


def sample_texts(staged: Path) -> list[str]:
    """Return texts from all over the test data that the staged metrics speak of; raises InputError when those are not here."""
    metrics, run = read_json(staged / METRICS), read_json(staged / RUN_RECORD)
    folders = [*run["settings"].get("text_folders", []), *TEXT_FOLDERS]
    documents = read_documents(metrics["data"]["path"], text_folders=folders)
    return [document.text for document in documents[:: -(-len(documents) // SAMPLE)]]


def _copy(folder: Path, patterns: Sequence[str], target: Path) -> None:
    try:
        for file in [file for pattern in patterns for file in folder.glob(pattern)]:
            copy = target / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); free some space or set TMPDIR to another folder") from None


def _other_config(run: Mapping[str, Any]) -> str | None:
    """Return in what the config file of a run is not what the run was trained with; None where it is."""
    file = Path(run["config"])
    try:
        now, named = settings(parse_arguments(["--config", str(file)])[0]), yaml.safe_load(read_text(file))
    except InputError as error:
        return f"{file} ({error})"
    different = [key for key in named if key not in ON_THE_COMMAND_LINE and now.get(key) != run["settings"].get(key)]
    return f"{file} (the run had another {', '.join(different)})" if different else None


def _may_be_shown(corpus: Path) -> bool:
    """Tell whether texts of a corpus may be shown: not those of stand-off files, nor of a folder in NON_COMMERCIAL."""
    return not _by_name(corpus) and not (corpus.exists() and any(file.suffix == ".json" for file in corpus_files(corpus)))


def _by_name(path: Path) -> str | None:
    return next((f"{name}: {why}" for name, why in NON_COMMERCIAL.items() if name in path.parts), None)


def _non_commercial(path: Path) -> str | None:
    """Return why text at `path` forbids commercial use, None where nothing says so."""
    for file in corpus_files(path) if path.exists() else ():
        source = str(read_json(file).get("source", "")) if file.suffix == ".json" else ""
        if re.search(r"\bNC\b|non-?commercial", source):
            return f"{file}: {source}"
    return _by_name(path)


def _check_licence(run: Mapping[str, Any], folder: Path) -> None:
    declared = str(run["license"])
    for path in run["settings"]["train_data"]:
        why = _non_commercial(Path(path))
        if why and "nc" not in re.split(r"[^a-z]+", declared.lower()):
            raise InputError(
                f"{folder}: was trained on {path}, which forbids commercial use ({why}), and declares {declared}; "
                "declare it with --license cc-by-nc-3.0, or train without that text"
            )


def _check_measured(staged: Path, metrics: Mapping[str, Any], folder: Path) -> None:
    if metrics.get("weights_sha256") != open_model(staged).weights_sha256:
        raise InputError(f"{folder / METRICS}: was not measured on these weights; run python evaluate.py --model {folder} --data ... again")


def _check_onnx(staged: Path, folder: Path) -> None:
    """Raise InputError unless both ONNX files are the ones that were exported from these weights and found to agree with torch."""
    remedy = f"run python -m conflict_ner.export {folder}"
    if not all((staged / file).is_file() for file in ONNX):
        raise InputError(f"{folder}: holds no complete ONNX export; {remedy}")
    record = read_json(staged / ONNX_RECORD)
    if record.get("weights_sha256") != open_model(staged).weights_sha256:
        raise InputError(f"{folder / ONNX_RECORD}: was exported from other weights; {remedy} again")
    for file in (ONNX_FP32, ONNX_INT8):
        expected = record.get("files", {}).get(file.name, {}).get("sha256")
        if hashlib.sha256((staged / file).read_bytes()).hexdigest() != expected:
            raise InputError(f"{folder / file}: is not the file that was exported; {remedy} again")
    parity = record.get("parity") or {}
    difference = parity.get("fp32_max_difference")
    if not isinstance(difference, float) or not difference <= TOLERANCE or not parity.get("fp32_same_entities"):
        raise InputError(f"{folder / ONNX_RECORD}: does not say that the ONNX export agrees with torch; {remedy} again")


def _check_card(card: str, name: str) -> None:
    """Raise InputError for a section without words or a figure that is none."""
    body = re.sub(r"^```.*?^```", "code", card, flags=re.MULTILINE | re.DOTALL)
    headings = list(re.finditer(r"^(#+) +(.*)$", body.removeprefix("---").partition("\n---\n")[2] or body, re.MULTILINE))
    for heading, after in zip_longest(headings, headings[1:]):
        words = heading.string[heading.end() : after.start() if after else None].strip()
        if not words and not (after and len(after[1]) > len(heading[1])):
            raise InputError(f"{name}: its section {heading[2]!r} is empty; evaluate again, or mend the template")
    # Words may begin a sentence with None; a figure never stands there.
    if missing := re.search(r"^.*(?:\bnan\b|(?<!^)(?<![.!?-] )\bNone\b).*$", body, re.MULTILINE):
        raise InputError(f"{name}: a figure is missing in {missing[0].strip()!r}; evaluate or train again")


def _check_files(staged: Path) -> None:
    """Raise InputError for a file of no sensible size, or one in which something looks like a secret (which is not repeated)."""
    for name, size in staged_files(staged).items():
        file = staged / name
        limit = LARGEST_BYTES.get(file.suffix, LARGEST_OTHER_BYTES)
        if not 0 < size <= limit:
            raise InputError(f"{name}: has {size:,} bytes, between 1 and {limit:,} make sense; make it anew")
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for what, pattern in SECRETS.items():
                if found := re.search(pattern, content):
                    raise InputError(
                        f"{name}: what begins at byte {found.start():,} looks like {what}; remove it, and revoke it if it is one"
                    )
