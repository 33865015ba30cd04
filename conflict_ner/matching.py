"""Gold and predicted spans of one document -> who answers whom.

Everything that scores or explains asks here, so that a report can never count a pair one way and show it another. Pairs are one to
one. Rules are applied in order, and what an earlier rule has paired a later one cannot take: no overlap steals an exact match.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from conflict_ner.documents import Span

Pair = tuple[Span, Span]  # gold, predicted
Rule = Callable[[Span, Span], bool]


def strict(gold: Span, predicted: Span) -> bool:
    """Same start, end and label."""
    return gold == predicted


def same_boundaries(gold: Span, predicted: Span) -> bool:
    """Same start and end, whatever the label."""
    return gold.start == predicted.start and gold.end == predicted.end


def same_label(gold: Span, predicted: Span) -> bool:
    """Overlapping (which is asked of every pair) and with the same label."""
    return gold.label == predicted.label


def any_overlap(gold: Span, predicted: Span) -> bool:
    """Overlapping, whatever the boundaries and labels."""
    return True


def pair_up(gold: Sequence[Span], predicted: Sequence[Span], *rules: Rule) -> list[Pair]:
    """Return one-to-one pairs of overlapping spans, by gold position.

    For each rule in turn: as many pairs as possible among the spans still free, and among those choices the largest overlap
    (a linear assignment, Kuhn 1955). Either side may hold spans that overlap one another.
    """
    edges = overlaps(gold, predicted)
    pairs: list[tuple[int, int]] = []
    for rule in rules:
        chosen = _assign([(g, p) for g, p in edges if rule(gold[g], predicted[p])], gold, predicted)
        pairs += chosen
        taken_gold, taken_predicted = {g for g, _ in chosen}, {p for _, p in chosen}
        edges = [(g, p) for g, p in edges if g not in taken_gold and p not in taken_predicted]
    return [(gold[g], predicted[p]) for g, p in sorted(pairs)]


def overlaps(gold: Sequence[Span], predicted: Sequence[Span]) -> list[tuple[int, int]]:
    """Return (gold index, predicted index) of all spans that share a character."""
    order = sorted(range(len(predicted)), key=lambda p: predicted[p].start)
    starts = [predicted[p].start for p in order]
    longest = max((span.end - span.start for span in predicted), default=0)
    found = []
    for g, span in enumerate(gold):
        near = order[bisect_left(starts, span.start - longest) : bisect_left(starts, span.end)]
        found += [(g, p) for p in near if predicted[p].end > span.start]
    return found


def _assign(edges: list[tuple[int, int]], gold: Sequence[Span], predicted: Sequence[Span]) -> list[tuple[int, int]]:
    """Choose a largest set of edges that share no end; most edges have no rival and need no assignment."""
    gold_degree, predicted_degree = Counter(g for g, _ in edges), Counter(p for _, p in edges)
    free = [(g, p) for g, p in edges if gold_degree[g] == 1 and predicted_degree[p] == 1]
    rivals = [(g, p) for g, p in edges if gold_degree[g] > 1 or predicted_degree[p] > 1]
    if not rivals:
        return free
    rows, columns = sorted({g for g, _ in rivals}), sorted({p for _, p in rivals})
    row, column = {g: k for k, g in enumerate(rows)}, {p: k for k, p in enumerate(columns)}
    worth = np.zeros((len(rows), len(columns)))
    one_more_pair = sum(gold[g].end - gold[g].start for g in rows) + 1  # outweighs every overlap together
    for g, p in rivals:
        shared = min(gold[g].end, predicted[p].end) - max(gold[g].start, predicted[p].start)
        worth[row[g], column[p]] = one_more_pair + shared
    return free + [(rows[r], columns[c]) for r, c in zip(*linear_sum_assignment(worth, maximize=True), strict=True) if worth[r, c]]


def clusters(gold: Sequence[Span], predicted: Sequence[Span]) -> list[tuple[list[Span], list[Span]]]:
    """Return the groups of spans connected by overlap, (gold, predicted) each, in text order; a lone span is a group of its own."""
    ordered = sorted([(span, 0) for span in gold] + [(span, 1) for span in predicted], key=lambda item: (item[0].start, item[0].end))
    groups: list[tuple[list[Span], list[Span]]] = []
    reach = -1
    for span, side in ordered:
        if span.start >= reach:
            groups.append(([], []))
        groups[-1][side].append(span)
        reach = max(reach, span.end)
    return groups
