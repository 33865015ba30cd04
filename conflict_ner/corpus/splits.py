"""What must hold between splits, and what they contain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from conflict_ner.documents import Document, text_sha256
from conflict_ner.errors import InputError


def shared_texts(splits: Mapping[str, Sequence[Document]]) -> list[tuple[str, str]]:
    """Return pairs like `("train/a-01", "test/b-07")` of documents in different splits that have the same text, white space aside."""
    seen: dict[str, tuple[str, str]] = {}
    pairs = []
    for split, documents in splits.items():
        for document in documents:
            key = text_sha256(" ".join(document.text.split()))
            first_split, first_id = seen.setdefault(key, (split, document.id))
            if first_split != split:
                pairs.append((f"{first_split}/{first_id}", f"{split}/{document.id}"))
    return pairs


def check_splits(splits: Mapping[str, Sequence[Document]]) -> None:
    """Raise InputError when an id or a text stands in two splits: what was trained on cannot measure anything."""
    split_of: dict[str, str] = {}
    for split, documents in splits.items():
        for document in documents:
            if split_of.setdefault(document.id, split) != split:
                raise InputError(f"document id {document.id!r} stands in {split_of[document.id]} and in {split}; rename or remove one")
    if pairs := shared_texts(splits):
        more = f" (and {len(pairs) - 1} more)" if len(pairs) > 1 else ""
        raise InputError(f"{pairs[0][0]} and {pairs[0][1]} have the same text{more}; remove one, or set allow_shared_texts to accept it")


def count_table(documents: Sequence[Document]) -> dict[str, int]:
    """Return documents, words (split at white space), spans and, per label, spans and distinct surface forms."""
    spans = Counter(span.label for document in documents for span in document.spans)
    forms = {(span.label, document.mention(span)) for document in documents for span in document.spans}
    counts = {
        "documents": len(documents),
        "words": sum(len(document.text.split()) for document in documents),
        "spans": sum(spans.values()),
    }
    for label in sorted(spans):
        counts[label] = spans[label]
        counts[f"{label} forms"] = sum(1 for form_label, _ in forms if form_label == label)
    return counts
