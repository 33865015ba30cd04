"""A tagger on a corpus -> `metrics.json`: the one file from which every published number is rendered.

`metrics.schema.json` beside this file describes every field; its version is METRICS_VERSION.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from conflict_ner.calibration import calibration
from conflict_ner.corpus import count_table
from conflict_ner.corpus.conll import tagged_words
from conflict_ner.documents import Document, Span, corpus_sha256
from conflict_ner.errors import InputError
from conflict_ner.mistakes import confusion_table, frequent_confusions, kind_counts
from conflict_ner.runs import git_commit, versions
from conflict_ner.scoring import scheme_scores, wilson_interval
from conflict_ner.slices import FEWEST_MENTIONS, slice_scores

METRICS_VERSION = 2


def evaluate_documents(
    documents: Sequence[Document],
    predicted: Sequence[Sequence[Span]],
    labels: Sequence[str],
    seen: Collection[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """Score predicted spans against the documents' own by every scheme, slice by slice, mistake by mistake.

    `seen` are the surface forms of the training data, if known. `groups` is there when documents name a challenge `group` in their
    metadata: how many of its documents have exactly the right spans. `calibration` is None when predictions have no scores.
    """
    gold = [document.spans for document in documents]
    flat = all(left.end <= right.start for spans in predicted for left, right in pairwise(spans))
    scores = {
        "data": {"sha256": corpus_sha256(documents), "counts": count_table(documents)},
        **scheme_scores(gold, predicted, labels),
        # seqeval knows no spans that overlap one another, as other systems may predict.
        "seqeval": {"strict_iob2_micro_f1": _seqeval_f1(documents, predicted) if flat else None},
        "slices": {"fewest_mentions": FEWEST_MENTIONS, "dimensions": slice_scores(documents, predicted, seen)},
        "mistakes": {
            "kinds": kind_counts(gold, predicted),
            "confusion": confusion_table(gold, predicted, labels),
            "frequent": frequent_confusions(documents, predicted),
        },
        "calibration": calibration(gold, predicted),
    }
    grouped = [(d.meta["group"], set(d.spans) == set(p)) for d, p in zip(documents, predicted, strict=True) if "group" in d.meta]
    if grouped:
        names = ["all", *sorted({group for group, _ in grouped})]
        scores["groups"] = {name: _pass_rate([right for group, right in grouped if name in ("all", group)]) for name in names}
    return scores


def _pass_rate(right: Sequence[bool]) -> dict[str, Any]:
    return {"documents": len(right), "rate": sum(right) / len(right), "ci95": wilson_interval(sum(right), len(right))}


def _seqeval_f1(documents: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> float:
    """Return seqeval's strict IOB2 micro F1 over words cut at all gold and predicted edges, so that no span changes on the way."""
    rows = []
    for document, spans in zip(documents, predicted, strict=True):
        edges = {edge for span in (*document.spans, *spans) for edge in (span.start, span.end)}
        rows.append([[tag for _, _, tag in tagged_words(document.text, side, edges)] for side in (document.spans, spans)])
    gold, found = zip(*rows, strict=True)
    return float(f1_score(gold, found, mode="strict", scheme=IOB2, zero_division=0))


def check_scorable(documents: Sequence[Document], labels: Sequence[str] | None, path: str) -> None:
    """Raise InputError when nothing is annotated, or when the data have labels the model cannot predict (recall 0 by construction)."""
    found = {span.label for document in documents for span in document.spans}
    if not found:
        raise InputError(f"{path}: no span is annotated in its {len(documents)} documents, so there is nothing to score; annotate some")
    if labels is not None and (unknown := found - set(labels)):
        raise InputError(
            f"{path}: annotated with {', '.join(sorted(unknown))}, but the model knows only {', '.join(labels)}; "
            "evaluate a model trained on these labels, or map the data to the model's"
        )


def metrics_record(model: str, data: str, scores: Mapping[str, dict[str, Any]], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Assemble `metrics.json` from the scores by corpus path: those of `data` at the top level, the rest under `others`.

    `extra` are facts of the run as a whole: `backend`, `stock_pipeline`, `documents_learnt`, `comparison`, `learning_curve`.
    """
    top = scores[data]
    return {
        "version": METRICS_VERSION,
        "model": model,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {"path": data, **top["data"]},
        **{key: value for key, value in top.items() if key != "data"},
        **extra,
        "others": {path: score for path, score in scores.items() if path != data},
        "git_commit": git_commit(),
        "versions": versions(),
    }
