"""What kind of mistake: every span that is not strictly right falls into exactly one kind, and into one cell of the confusion table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conflict_ner.documents import Document, Span
from conflict_ner.matching import any_overlap, clusters, pair_up, same_boundaries, same_label, strict

# In the order a reader meets them; `mistakes_of` decides.
KINDS = {
    "missed": "gold, and nothing predicted there",
    "spurious": "predicted, and no gold span there that was not found",
    "label": "right boundaries, wrong label",
    "boundary": "right label, wrong boundaries",
    "label and boundary": "both wrong, yet overlapping",
    "split": "one gold span predicted as several",
    "merged": "several gold spans predicted as one",
}
NONE = "none"
MOST_FREQUENT = 20
EXAMPLES = 3  # documents named per frequent confusion
WORDS = 7  # of a mention, at most: a record may be published where the text may not


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: the spans that overlap one another, on either side."""

    kind: str
    gold: tuple[Span, ...]
    predicted: tuple[Span, ...]


def mistakes_of(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[Mistake]:
    """Yield the mistakes of one document, in text order."""
    right = set(gold) & set(predicted)
    for gold_spans, found in clusters([g for g in gold if g not in right], [p for p in predicted if p not in right]):
        yield Mistake(_kind(gold_spans, found), tuple(gold_spans), tuple(found))


def _kind(gold: Sequence[Span], predicted: Sequence[Span]) -> str:
    if not predicted:
        return "missed"
    if not gold:
        return "spurious"
    if len(gold) != len(predicted):
        return "split" if len(predicted) > len(gold) else "merged"
    pairs = list(zip(gold, predicted, strict=True))
    right_boundaries, right_label = (all(rule(g, p) for g, p in pairs) for rule in (same_boundaries, same_label))
    return "label" if right_boundaries else "boundary" if right_label else "label and boundary"


def kind_counts(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]) -> dict[str, int]:
    """Return how many mistakes there are of each kind."""
    found = Counter(mistake.kind for g, p in zip(gold, predicted, strict=True) for mistake in mistakes_of(g, p))
    return {kind: found[kind] for kind in KINDS}


def confusion_pairs(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[tuple[Span | None, Span | None]]:
    """Yield each gold span with the predicted one that answers it; None where there is none on the other side."""
    pairs = pair_up(gold, predicted, strict, same_boundaries, same_label, any_overlap)
    yield from pairs
    answered, used = {g for g, _ in pairs}, {p for _, p in pairs}
    yield from ((g, None) for g in gold if g not in answered)
    yield from ((None, p) for p in predicted if p not in used)


def confusion_table(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], labels: Sequence[str]) -> dict[str, Any]:
    """Return `{"labels": [..., "none"], "counts": [[...]]}`: rows are gold, columns predicted, whatever the boundaries."""
    names = [*labels, NONE]
    counts = [[0] * len(names) for _ in names]
    for g, p in zip(gold, predicted, strict=True):
        for left, right in confusion_pairs(g, p):
            counts[names.index(left.label if left else NONE)][names.index(right.label if right else NONE)] += 1
    return {"labels": names, "counts": counts}


def frequent_confusions(documents: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> list[dict[str, Any]]:
    """Return the commonest wrong pairs by words: `{"gold", "gold_words", "predicted", "predicted_words", "count", "documents"}`."""
    where: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for document, found in zip(documents, predicted, strict=True):
        for pair in confusion_pairs(document.spans, found):
            if pair[0] != pair[1]:
                sides = [(s.label, " ".join(document.mention(s).lower().split()[:WORDS])) if s else (NONE, "") for s in pair]
                where[*sides[0], *sides[1]].append(document.id)
    ranked = sorted(where.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_FREQUENT]
    names = ("gold", "gold_words", "predicted", "predicted_words")
    return [
        {**dict(zip(names, key, strict=True)), "count": len(ids), "documents": list(dict.fromkeys(ids))[:EXAMPLES]} for key, ids in ranked
    ]
