"""What the demo and the Spaces show: sample articles, tagged rows, what a model is and how good it was found to be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conflict_ner.card_metadata import learnt_ours
from conflict_ner.corpus import read_documents
from conflict_ner.documents import Document, Span
from conflict_ner.errors import InputError
from conflict_ner.model_folder import ModelFolder
from conflict_ner.outputs import spans_of_row
from conflict_ner.runs import METRICS, RUN_RECORD, read_json
from conflict_ner.scoring import shown_interval

SAMPLES = Path(__file__).with_name("samples.md")  # our own texts, never trained on: the test split's and the test suite's
NOT_FOR = (
    "Not verified intelligence: a mark says what words refer to, not that the report is true. Not for targeting, and not for identifying "
    "persons. It makes mistakes; the score of a mark is the estimated probability that it is right."
)


@dataclass(frozen=True, slots=True)
class Words:
    """How a page calls what a model does: its heading, a sentence, the name of a Space, and 60 characters at most for the Hub's lists."""

    title: str
    what: str
    space: str
    brief: str


OURS = Words(
    "Actors, weapons and locations in reports on armed conflict",
    "A small language model marks who fights, with what, and where, in English news and open-source reporting.",
    "Conflict NER",
    "Who fights, with what, and where",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a page says of a model; `headline` and `license` None where they are not known, `definitions` empty where none are."""

    name: str
    revision: str
    headline: str | None
    definitions: dict[str, str]
    words: Words
    license: str | None


def facts_of(model: ModelFolder) -> Facts:
    """Return what the model's own records say of it: a record that is missing, of another kind, or of other weights, says nothing."""
    name = model.name if model.hub_revision else model.path.resolve().name
    run, metrics = _recorded(model.path / RUN_RECORD), _recorded(model.path / METRICS)
    known = run["labels"] if isinstance(run.get("labels"), dict) else {}
    headline = _headline(metrics) if metrics.get("weights_sha256") == model.weights_sha256 else None
    definitions = {label: known.get(label) or "" for label in model.labels.names}
    return Facts(name, model.revision, headline, definitions, _words(run, name, model.labels.names), run.get("license"))


def _words(run: dict[str, Any], name: str, labels: Sequence[str]) -> Words:
    """Return ours for a model that learnt our corpus, as its card does; for any other what its labels say."""
    with suppress(KeyError, TypeError):  # a record of another kind
        if learnt_ours(run):
            return OURS
    named = ", ".join(labels)
    return Words(
        f"{named} in text", f"A small language model marks mentions of {named} in text.", name, "Mentions in text, marked and scored"
    )


def _recorded(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except InputError:
        return {}


def _headline(metrics: dict[str, Any]) -> str | None:
    try:
        f1, documents = metrics["strict"]["micro"]["f1"], metrics["strict"]["documents"]
        learnt = f", {metrics['documents_learnt']} of which it was trained on" if metrics["documents_learnt"] else ""
        interval = shown_interval(metrics["strict"])
        return f"F1 {f1:.3f} ({interval}) on {documents} documents of {metrics['data']['path']}{learnt}"
    except (KeyError, TypeError, ValueError):
        return None


def sample_articles() -> list[Document]:
    """Return the sample articles; `meta` has a short `title` and a `genre`."""
    return read_documents(SAMPLES)


def tagged_row(name: str, text: str, spans: Sequence[Span], facts: Facts) -> dict[str, Any]:
    """Return a tagged row as `outputs` describes it."""
    return {"id": name, "text": text, "spans": spans_of_row(text, spans), "model": facts.name, "revision": facts.revision}


def at_least(row: dict[str, Any], min_score: float) -> dict[str, Any]:
    """Return the row without the spans below `min_score`."""
    return {**row, "spans": [span for span in row["spans"] if span["score"] is None or span["score"] >= min_score]}
