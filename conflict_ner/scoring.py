"""Scores over character spans: what was found, what was missed, and how sure the figure is.

Four schemes, all over one-to-one pairs of gold and predicted spans of the same document (see `matching`):

| scheme | a pair counts | after |
|---|---|---|
| strict | same start, end and label | seqeval's strict mode; SemEval-2013 task 9 "strict" |
| exact | same start and end, whatever the label | SemEval-2013 task 9 "exact" |
| partial | same label: 1 for the same boundaries, 1/2 for any overlap | MUC-5's half credit (Chinchor & Sundheim 1993), per label |
| overlap | same label and any overlap | SemEval-2013 task 9 "type" |

Everything is computed from per-document counts, so the bootstrap re-weights counts and never scores a document twice.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conflict_ner.documents import Span
from conflict_ner.matching import pair_up, same_boundaries, same_label, strict

BOOTSTRAP_SAMPLES = 1000
FEWEST_DOCUMENTS = 10  # with fewer to draw from, a bootstrap interval is narrow by accident; it is stored but not shown
BY_LABEL = ("strict", "partial", "overlap")  # `exact` ignores labels and has no figure per label


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, false positives (spurious) and false negatives (missed); precision, recall and F1 are fractions in [0, 1].

    Half credits make the counts fractions. A ratio with denominator 0 is 0, as in scikit-learn's `zero_division=0` and seqeval.
    """

    tp: float = 0
    fp: float = 0
    fn: float = 0

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

    def as_dict(self) -> dict[str, Any]:
        """Return precision, recall, F1 and support (number of gold spans)."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1, "support": round(self.tp + self.fn)}


def count_strict(gold: Sequence[Span], predicted: Sequence[Span], labels: Sequence[str]) -> NDArray[np.float64]:
    """Return counts of one document, shape (labels, 3): tp, fp, fn per label by exact match of start, end and label.

    A span given twice counts once. Raises ValueError for a label outside `labels`.
    """
    return _count(set(gold), set(predicted), [(span, 1.0) for span in set(gold) & set(predicted)], labels)


def count_schemes(gold: Sequence[Span], predicted: Sequence[Span], labels: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return the counts of one document by scheme: shape (labels, 3), for `exact` (1, 3); as `count_strict` otherwise."""
    counts = {"strict": count_strict(gold, predicted, labels)}
    gold, predicted = sorted(set(gold)), sorted(set(predicted))
    boundaries = len(pair_up(gold, predicted, same_boundaries))
    counts["exact"] = np.array([[boundaries, len(predicted) - boundaries, len(gold) - boundaries]], dtype=np.float64)
    pairs = pair_up(gold, predicted, strict, same_label)
    counts["partial"] = _count(gold, predicted, [(g, 1.0 if same_boundaries(g, p) else 0.5) for g, p in pairs], labels)
    counts["overlap"] = _count(gold, predicted, [(g, 1.0) for g, _ in pairs], labels)
    return counts


def _count(
    gold: Collection[Span], predicted: Collection[Span], credits: Sequence[tuple[Span, float]], labels: Sequence[str]
) -> NDArray[np.float64]:
    """Return tp, fp, fn per label, given the credit of each gold span that was found."""
    row = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(labels), 3))
    try:
        for span in predicted:
            counts[row[span.label], 1] += 1
        for span in gold:
            counts[row[span.label], 2] += 1
    except KeyError as error:
        raise ValueError(f"a span has the label {error}, which is outside the set {', '.join(labels)}") from None
    for span, credit in credits:
        counts[row[span.label]] += (credit, -credit, -credit)
    return counts


def scheme_scores(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], labels: Sequence[str]) -> dict[str, Any]:
    """Score documents by every scheme: `{"strict": {...}, "exact": {...}, "partial": {...}, "overlap": {...}}`, each as `score_counts`.

    Raises ValueError when a span has a label outside `labels` or the two sides differ in length.
    """
    per_document = [count_schemes(g, p, labels) for g, p in zip(gold, predicted, strict=True)]
    return {
        scheme: score_counts(np.stack([counts[scheme] for counts in per_document]), labels if scheme in BY_LABEL else ())
        for scheme in ("strict", "exact", "partial", "overlap")
    }


def strict_scores(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], labels: Sequence[str]) -> dict[str, Any]:
    """Score documents by the strict scheme alone; see `score_counts`."""
    return score_counts(np.stack([count_strict(g, p, labels) for g, p in zip(gold, predicted, strict=True)]), labels)


def score_counts(per_document: NDArray[np.float64], labels: Sequence[str]) -> dict[str, Any]:
    """Turn counts, shape (documents, labels, 3), into `{"documents", "micro", "macro", "per_label": {label: ...}}`.

    Micro pools the counts of all labels; macro is the plain mean over the labels that occur in gold or predictions. Every F1 has its
    `ci95`. Without `labels` there is micro only.
    """
    totals = per_document.sum(axis=0)  # (labels, 3)
    every = [Counts(*map(float, row)) for row in totals]
    micro = per_document.sum(axis=1)  # (documents, 3)
    scores: dict[str, Any] = {
        "documents": len(per_document),
        "micro": {**Counts(*map(float, micro.sum(axis=0))).as_dict(), "ci95": bootstrap_f1_interval(micro)},
    }
    if not labels:
        return scores
    resampled = resampled_f1(per_document)  # (samples, labels)
    occur = [number for number, counts in enumerate(every) if counts != Counts()] or [0]
    macro = {name: sum(getattr(every[k], name) for k in occur) / len(occur) for name in ("precision", "recall", "f1")}
    scores["macro"] = {**macro, "ci95": interval(_mean_of_known(resampled[:, occur]))}
    scores["per_label"] = {label: {**every[k].as_dict(), "ci95": interval(resampled[:, k])} for k, label in enumerate(labels)}
    return scores


def enough(scores: dict[str, Any]) -> bool:
    """Tell whether a figure rests on enough documents for its interval to be shown."""
    return bool(scores["documents"] >= FEWEST_DOCUMENTS)


def shown_interval(scores: dict[str, Any]) -> str:
    """Return the interval of a data set's micro F1 as people read it, or why there is none."""
    if not enough(scores):
        return f"{scores['documents']} documents: no interval"
    low, high = scores["micro"]["ci95"]
    return f"{low:.3f}–{high:.3f}"


def wilson_interval(passed: int, total: int) -> list[float]:
    """Return the 95 % interval [low, high] of a share (Wilson 1927): holds for small groups and for shares near 0 and 1."""
    z, share = 1.959964, passed / total
    middle = share + z * z / (2 * total)
    spread = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    return [(middle - spread) / (1 + z * z / total), (middle + spread) / (1 + z * z / total)]


def resampled_f1(per_document: NDArray[np.float64], samples: int = BOOTSTRAP_SAMPLES) -> NDArray[np.float64]:
    """Return F1 over documents drawn with replacement (Efron & Tibshirani 1993, ch. 13): (documents, ..., 3) -> (samples, ...).

    NaN where a draw holds nothing to count: it says nothing about the figure. Two systems on the same documents get the same draws,
    which is what pairs them. One matrix product replaces `samples` re-scorings.
    """
    documents = len(per_document)
    drawn = (_draws(documents, samples) @ per_document.reshape(documents, -1)).reshape(samples, *per_document.shape[1:])
    tp, fp, fn = np.moveaxis(drawn, -1, 0)
    occurred = 2 * tp + fp + fn
    f1: NDArray[np.float64] = np.divide(2 * tp, occurred, out=np.full_like(tp, np.nan), where=occurred > 0)
    return f1


@functools.lru_cache(maxsize=2)  # all figures of a data set share their draws: 8 MB for a thousand documents
def _draws(documents: int, samples: int) -> NDArray[np.float64]:
    """Return how often each document is drawn, shape (samples, documents): multinomial, and the same every time."""
    generator = np.random.default_rng(0)
    return generator.multinomial(documents, np.full(documents, 1 / documents), size=samples).astype(np.float64)


def _mean_of_known(resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each row without its NaN; NaN for a row of nothing else."""
    known = ~np.isnan(resampled)
    number = known.sum(axis=1)
    sums = np.where(known, resampled, 0.0).sum(axis=1)
    means: NDArray[np.float64] = np.divide(sums, number, out=np.full_like(sums, np.nan), where=number > 0)
    return means


def interval(resampled: NDArray[np.float64]) -> list[float]:
    """Return the 95 % percentile interval [low, high] of resampled figures, NaN left out; [0, 0] when nothing is left."""
    known = resampled[~np.isnan(resampled)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (0.0, 0.0)
    return [float(low), float(high)]


def bootstrap_f1_interval(per_document: NDArray[np.float64], samples: int = BOOTSTRAP_SAMPLES) -> list[float]:
    """Return the 95 % interval of F1; `per_document` has shape (documents, 3): tp, fp, fn."""
    return interval(resampled_f1(per_document, samples))
