"""Where a model is good and where it is not: strict scores over parts of a corpus.

A part is a set of documents (a genre, a conflict, a hard case, a length) or of spans (mentions of so many words, surface forms that
training never showed). For parts made of spans, a predicted span belongs where its own words put it, so precision is defined too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from conflict_ner.documents import Document, Span
from conflict_ner.scoring import Counts, interval, resampled_f1

FEWEST_MENTIONS = 30  # parts with fewer gold mentions are stored, but no reader is shown their figures
DOCUMENT_KEYS = ("genre", "conflict", "noise", "source")
Prediction = Sequence[Span]


def surface_form(document: Document, span: Span) -> tuple[str, str]:
    """Return what makes two mentions the same form: label and words, case and white space ignored."""
    return span.label, " ".join(document.mention(span).lower().split())


def surface_forms(documents: Sequence[Document]) -> set[tuple[str, str]]:
    """Return all annotated forms."""
    return {surface_form(document, span) for document in documents for span in document.spans}


def slice_scores(
    documents: Sequence[Document], predicted: Sequence[Prediction], seen: Collection[tuple[str, str]] | None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return `{dimension: {part: {"documents", "precision", "recall", "f1", "support", "ci95"}}}`, strict micro over labels.

    `seen` are the surface forms of the training data; None (training data not at hand) leaves that dimension out.
    """
    dimensions: dict[str, Callable[[Document, Span], list[str]]] = {
        key: _by_meta(key) for key in DOCUMENT_KEYS if any(key in document.meta for document in documents)
    }
    if any("cases" in document.meta for document in documents):
        dimensions["hard case"] = lambda document, _: [case for case in document.meta.get("cases", "").split(",") if case]
    dimensions["document length"] = lambda document, _: [_length(len(document.text.split()))]
    dimensions["mention length"] = lambda document, span: [_words(len(document.mention(span).split()))]
    if seen is not None:
        dimensions["surface form"] = lambda document, span: ["seen" if surface_form(document, span) in seen else "unseen"]
    return {name: scores for name, parts_of in dimensions.items() if (scores := _scores(documents, predicted, parts_of))}


def _by_meta(key: str) -> Callable[[Document, Span], list[str]]:
    return lambda document, _: [document.meta[key]] if key in document.meta else []


def _length(words: int) -> str:
    return next((f"{low}-{high} words" for low, high in ((0, 49), (50, 149), (150, 399)) if words <= high), "400+ words")


def _words(words: int) -> str:
    return "1 word" if words == 1 else f"{words} words" if words < 4 else "4+ words"


def _scores(
    documents: Sequence[Document], predicted: Sequence[Prediction], parts_of: Callable[[Document, Span], list[str]]
) -> dict[str, dict[str, Any]]:
    counts: dict[str, np.ndarray] = {}
    for row, (document, found) in enumerate(zip(documents, predicted, strict=True)):
        gold, guessed = set(document.spans), set(found)
        for column, spans in enumerate((gold & guessed, guessed - gold, gold - guessed)):
            for span in spans:
                for part in parts_of(document, span):
                    counts.setdefault(part, np.zeros((len(documents), 3)))[row, column] += 1
    if not counts:
        return {}
    parts = sorted(counts, key=_in_order)
    resampled = resampled_f1(np.stack([counts[part] for part in parts], axis=1))  # (samples, parts)
    return {
        part: {
            "documents": int(counts[part].any(axis=1).sum()),
            **Counts(*map(float, counts[part].sum(axis=0))).as_dict(),
            "ci95": interval(resampled[:, k]),
        }
        for k, part in enumerate(parts)
    }


def _in_order(part: str) -> tuple[int, str]:
    """Sort lengths by number, names by letter."""
    number = re.match(r"\d+", part)
    return (int(number[0]) if number else 0, part)
