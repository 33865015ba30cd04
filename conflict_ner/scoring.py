"""Scores over character spans: what was found, what was missed, and how sure the figure is.

A predicted span is right (*strict*) when a gold span of the same document has the same start, end and label. Everything is computed
from per-document counts, so the bootstrap re-weights counts and never scores a document twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conflict_ner.documents import Span

BOOTSTRAP_SAMPLES = 1000
FEWEST_DOCUMENTS = 10  # with fewer to draw from, a bootstrap interval is narrow by accident; it is stored but not shown


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, false positives (spurious) and false negatives (missed); precision, recall and F1 are fractions in [0, 1].

    A ratio with denominator 0 is 0, as in scikit-learn's `zero_division=0` and seqeval.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0

    @property
    def precision(self) -> float:
        """Share of the predicted spans that are right."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold spans that were found."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn)."""
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp + self.fp + self.fn else 0.0

    def as_dict(self) -> dict[str, float | int]:
        """Return precision, recall, F1 and support (number of gold spans)."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1, "support": self.tp + self.fn}


def count_strict(gold: Sequence[Span], predicted: Sequence[Span], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return counts of one document, shape (labels, 3): tp, fp, fn per label by exact match of start, end and label."""
    gold_set, predicted_set = set(gold), set(predicted)
    counts = np.zeros((len(labels), 3), dtype=np.int64)
    row = {label: number for number, label in enumerate(labels)}
    for column, spans in enumerate((gold_set & predicted_set, predicted_set - gold_set, gold_set - predicted_set)):
        for span in spans:
            counts[row[span.label], column] += 1
    return counts


def strict_scores(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], labels: Sequence[str]) -> dict[str, Any]:
    """Score documents: `{"documents", "micro": {..., "ci95"}, "macro": {...}, "per_label": {label: {...}}}`.

    Micro pools the counts of all labels; macro is the plain mean over the labels that occur in gold or predictions. `ci95` is the
    95 % percentile interval of micro F1 over documents drawn with replacement (Efron & Tibshirani 1993, ch. 13).
    Raises ValueError when a span has a label outside `labels` or the two sides differ in length.
    """
    if unknown := {span.label for spans in (*gold, *predicted) for span in spans} - set(labels):
        raise ValueError(f"spans with labels outside the set: {sorted(unknown)}")
    per_document = np.stack([count_strict(g, p, labels) for g, p in zip(gold, predicted, strict=True)])  # (documents, labels, 3)
    totals = per_document.sum(axis=0)  # (labels, 3)
    by_label = {label: Counts(*map(int, row)) for label, row in zip(labels, totals, strict=True)}
    seen = [counts for counts in by_label.values() if counts != Counts()] or [Counts()]
    micro = Counts(*map(int, totals.sum(axis=0)))
    macro = {name: sum(getattr(counts, name) for counts in seen) / len(seen) for name in ("precision", "recall", "f1")}
    return {
        "documents": len(per_document),
        "micro": {**micro.as_dict(), "ci95": bootstrap_f1_interval(per_document.sum(axis=1))},
        "macro": macro,
        "per_label": {label: counts.as_dict() for label, counts in by_label.items()},
    }


def shown_interval(scores: dict[str, Any]) -> str:
    """Return the interval of a data set's micro F1 as people read it, or why there is none."""
    if scores["documents"] < FEWEST_DOCUMENTS:
        return f"{scores['documents']} documents: no interval"
    low, high = scores["micro"]["ci95"]
    return f"{low:.3f}–{high:.3f}"


def wilson_interval(passed: int, total: int) -> list[float]:
    """Return the 95 % interval [low, high] of a share (Wilson 1927): holds for small groups and for shares near 0 and 1."""
    z, share = 1.959964, passed / total
    middle = share + z * z / (2 * total)
    spread = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    return [(middle - spread) / (1 + z * z / total), (middle + spread) / (1 + z * z / total)]


def bootstrap_f1_interval(per_document: NDArray[np.int64], samples: int = BOOTSTRAP_SAMPLES) -> list[float]:
    """Return the 95 % interval [low, high] of F1 over resampled documents; `per_document` has shape (documents, 3): tp, fp, fn."""
    generator = np.random.default_rng(0)  # the same counts give the same interval
    documents = len(per_document)
    # How often each document is drawn is multinomial: one matrix product replaces `samples` re-scorings.
    draws = generator.multinomial(documents, np.full(documents, 1 / documents), size=samples)  # (samples, documents)
    tp, fp, fn = (draws @ per_document).T  # each (samples,)
    f1 = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    low, high = np.quantile(f1, [0.025, 0.975])
    return [float(low), float(high)]
