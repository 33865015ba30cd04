"""Does a score of 0.8 mean right four times in five? Reliability of span scores, and what a threshold costs.

A predicted span is right when it is strictly right. Figures are over predicted spans with a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from conflict_ner.documents import Span
from conflict_ner.scoring import Counts

BINS = 10
THRESHOLDS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def scored_spans(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of all predicted spans that have one, and whether each is strictly right: two arrays, shape (spans,)."""
    pairs = [(p.score, p in set(g)) for g, found in zip(gold, predicted, strict=True) for p in found if p.score is not None]
    return np.array([score for score, _ in pairs], dtype=np.float64), np.array([right for _, right in pairs], dtype=bool)


def calibration(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]) -> dict[str, Any] | None:
    """Return reliability `bins`, `ece`, `brier` and `thresholds`; None when no predicted span has a score.

    ece: expected calibration error over 10 bins of equal width, the mean distance between score and precision weighted by spans
    (Naeini et al. 2015; Guo et al. 2017). brier: mean squared distance between score and right or wrong (Brier 1950).
    """
    scores, right = scored_spans(gold, predicted)
    if not len(scores):
        return None
    bins = reliability_bins(scores, right)
    return {
        "spans": len(scores),
        "mean_score": float(scores.mean()),
        "precision": float(right.mean()),
        "ece": sum(row["spans"] * abs(row["score"] - row["precision"]) for row in bins) / len(scores),
        "brier": float(np.mean((scores - right) ** 2)),
        "bins": bins,
        "thresholds": [_at_threshold(level, scores, right, sum(map(len, gold))) for level in THRESHOLDS],
    }


def reliability_bins(scores: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Return the occupied bins: `low`, `high`, number of `spans`, mean `score` and `precision`."""
    number = np.minimum((scores * BINS).astype(int), BINS - 1)
    return [
        {
            "low": k / BINS,
            "high": (k + 1) / BINS,
            "spans": int(inside.sum()),
            "score": float(scores[inside].mean()),
            "precision": float(right[inside].mean()),
        }
        for k in range(BINS)
        if (inside := number == k).any()
    ]


def _at_threshold(level: float, scores: np.ndarray, right: np.ndarray, gold: int) -> dict[str, Any]:
    """Score what is left at a threshold; no precision when nothing is."""
    kept = scores >= level
    tp = float((kept & right).sum())
    counts = Counts(tp, float(kept.sum()) - tp, gold - tp)
    precision = counts.precision if kept.any() else None
    return {"min_score": level, "spans": int(kept.sum()), "precision": precision, "recall": counts.recall, "f1": counts.f1}
