"""Two systems on the same documents, or one system over several runs: is the difference more than luck?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from conflict_ner.documents import Document, Span
from conflict_ner.scoring import FEWEST_DOCUMENTS, Counts, count_strict, interval, resampled_f1


def compare(
    documents: Sequence[Document], first: Sequence[Sequence[Span]], second: Sequence[Sequence[Span]], labels: Sequence[str]
) -> dict[str, Any]:
    """Compare strict F1 of `first` with `second` by paired bootstrap over documents, micro and per label.

    Each entry: F1 of both, `difference` (first minus second) with `ci95`, and a two-sided `p`: how often documents drawn at random
    move the difference, centred on zero, as far as was observed (Berg-Kirkpatrick et al. 2012). Below FEWEST_DOCUMENTS both are None:
    a few documents, drawn again and again, look surer than they are. `won` and `lost` list the documents where the first system makes
    fewer, or more, mistakes.
    """
    gold = [document.spans for document in documents]
    counts = [np.stack([count_strict(g, p, labels) for g, p in zip(gold, side, strict=True)]) for side in (first, second)]
    micro = [side.sum(axis=1, keepdims=True) for side in counts]  # (documents, 1, 3)
    both = [np.concatenate(pair, axis=1) for pair in zip(micro, counts, strict=True)]  # (documents, 1 + labels, 3)
    observed = [[Counts(*map(float, row)).f1 for row in side.sum(axis=0)] for side in both]
    drawn = _difference(resampled_f1(both[0]), resampled_f1(both[1]))  # the same draws on both sides: paired
    rows = {}
    for k, name in enumerate(("micro", *labels)):
        difference = observed[0][k] - observed[1][k]
        known = drawn[~np.isnan(drawn[:, k]), k]
        as_far = int((np.abs(known - difference) >= abs(difference)).sum()) if difference else len(known)
        rows[name] = {
            "first_f1": observed[0][k],
            "second_f1": observed[1][k],
            "difference": difference,
            "ci95": interval(drawn[:, k]) if len(documents) >= FEWEST_DOCUMENTS else None,
            "p": (as_far + 1) / (len(known) + 1) if len(documents) >= FEWEST_DOCUMENTS else None,
        }
    return {"documents": len(documents), "scores": rows, **_won_and_lost(documents, micro[0][:, 0], micro[1][:, 0])}


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Subtract resampled F1; where only one side has something to count in a draw, the other scores 0, where neither has, NaN."""
    neither = np.isnan(first) & np.isnan(second)
    return np.where(neither, np.nan, np.nan_to_num(first) - np.nan_to_num(second))


def _won_and_lost(documents: Sequence[Document], first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """List document ids by who made fewer mistakes (wrong plus missed), the clearest first."""
    margin = second[:, 1:].sum(axis=1) - first[:, 1:].sum(axis=1)
    order = np.argsort(-np.abs(margin), kind="stable")
    return {
        "won": [documents[k].id for k in order if margin[k] > 0],
        "lost": [documents[k].id for k in order if margin[k] < 0],
        "tied": int((margin == 0).sum()),
    }


def over_runs(figures: Sequence[float]) -> dict[str, Any]:
    """Return mean, standard deviation and the 95 % interval of the mean over independent runs (Student's t); no spread for one run."""
    mean = statistics.mean(figures)
    if len(figures) < 2:
        return {"runs": len(figures), "mean": mean, "stdev": None, "ci95": None}
    stdev = statistics.stdev(figures)
    reach = float(student.ppf(0.975, len(figures) - 1)) * stdev / len(figures) ** 0.5
    return {"runs": len(figures), "mean": mean, "stdev": stdev, "ci95": [mean - reach, mean + reach]}
