"""Documents and spans: the truth that everything else is a view of.

The one convention that matters: a span is `(start, end, label)` with half-open **Unicode code-point** offsets into the raw text, so
`document.text[span.start:span.end]` is the mention, whatever the tokenizer, encoding or line ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from conflict_ner.errors import InputError


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A mention: half-open code-point offsets and a label; `score` in [0, 1] only on predicted spans and never compared."""

    start: int
    end: int
    label: str
    score: float | None = field(default=None, compare=False)


class SpanError(InputError):
    """A faulty span; `span` lets a reader name the line it stands on."""

    def __init__(self, message: str, span: Span) -> None:
        """Keep the message for the user and the span for the reader."""
        super().__init__(message)
        self.span = span


@dataclass(frozen=True, slots=True)
class Document:
    """One text with its spans (sorted, disjoint) and free metadata (`genre`, `conflict`, `date`, ...)."""

    id: str
    text: str
    spans: tuple[Span, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)

    def mention(self, span: Span) -> str:
        """Return the characters that `span` covers."""
        return self.text[span.start : span.end]


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Shrink `[start, end)` until neither edge is white space; `(start, start)` when nothing else is left."""
    while start < end and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return start, end


def span_fault(text: str, span: Span, labels: Collection[str] | None = None) -> str | None:
    """Return what is wrong with `span` over `text` and how to mend it, or None; `labels` is the allowed set, None for any."""
    where = f"span [{span.start}, {span.end}) {span.label}"
    if not 0 <= span.start <= span.end <= len(text):
        return f"{where} lies outside the text of {len(text)} characters; offsets count Unicode code points, end exclusive"
    if span.start == span.end:
        return f"{where} is empty; remove it or widen it"
    mention = text[span.start : span.end]
    if trim(text, span.start, span.end) != (span.start, span.end):
        return f"{where} {mention!r} starts or ends with white space; move its edges to the words"
    if not span.label:
        return f"{where} {mention!r} has no label; name one"
    if labels is not None and span.label not in labels:
        return f"{where} {mention!r} has a label that is not in the set {', '.join(labels)}; correct it or extend the set"
    return None


def checked_spans(text: str, spans: Iterable[Span], labels: Collection[str] | None = None) -> tuple[Span, ...]:
    """Return `spans` sorted; raises SpanError (without a file name: the reader adds it) for a faulty or overlapping span."""
    ordered = tuple(sorted(spans))
    for span in ordered:
        if fault := span_fault(text, span, labels):
            raise SpanError(fault, span)
    for left, right in pairwise(ordered):
        if right.start < left.end:
            first, second = (f"{text[span.start : span.end]!r} [{span.start}, {span.end})" for span in (left, right))
            raise SpanError(f"spans {first} and {second} overlap; keep one of them", right)
    return ordered


def text_sha256(text: str) -> str:
    """Return the hexadecimal SHA-256 of the text in UTF-8, the identity of a text in stand-off files and run records."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def corpus_sha256(documents: Iterable[Document]) -> str:
    """Return one checksum over ids, texts and spans, in order: two corpora with the same checksum score alike."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(f"{document.id}\0{text_sha256(document.text)}\0".encode("utf-8", "surrogatepass"))
        digest.update("".join(f"{span.start},{span.end},{span.label};" for span in document.spans).encode())
    return digest.hexdigest()
