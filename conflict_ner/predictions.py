"""Predicted spans on disk, from this project's models or any other system: one `{"id", "spans": [{"start", "end", "label"}]}` a line.

Optional: `score` in [0, 1] per span, and per line the `text_sha256` of what was tagged, which proves that offsets speak of the same text.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from conflict_ner.corpus.jsonl import rows_from_spans, spans_from_rows
from conflict_ner.documents import Document, Span, span_fault, text_sha256
from conflict_ner.errors import InputError, read_text


def write_predictions(path: Path, documents: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> None:
    """Write the predicted spans of `documents`, without their texts."""
    rows = [
        {"id": document.id, "text_sha256": text_sha256(document.text), "spans": rows_from_spans(spans)}
        for document, spans in zip(documents, predicted, strict=True)
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_predictions(path: Path, documents: Sequence[Document], labels: Collection[str]) -> list[tuple[Span, ...]]:
    """Read predicted spans for exactly `documents`, in their order; spans may overlap one another.

    Raises InputError naming file and line: malformed lines, ids that the documents do not have or that come twice, spans outside the
    text, labels outside `labels`, another text under the same id; and documents the file says nothing about.
    """
    by_id = {document.id: document for document in documents}
    found: dict[str, tuple[Span, ...]] = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        row = _row(path, number, line)
        document = by_id.get(row["id"])
        if document is None:
            raise InputError.at(
                path, number, f"document id {row['id']!r} is not in the data; score these predictions on the data they were made for"
            )
        if document.id in found:
            raise InputError.at(path, number, f"document id {document.id!r} comes twice; keep one line per document")
        if row.get("text_sha256", text_sha256(document.text)) != text_sha256(document.text):
            raise InputError.at(path, number, f"document {document.id!r} was another text when it was tagged; tag the present one again")
        try:
            found[document.id] = _checked(document, row.get("spans"), labels)
        except InputError as error:
            raise InputError.at(path, number, f"document {document.id!r}: {error}") from None
    if missing := [document.id for document in documents if document.id not in found]:
        raise InputError(
            f"{path}: says nothing about {len(missing)} of {len(documents)} documents, the first is {missing[0]!r}; "
            'give every document a line, with "spans": [] where nothing was found'
        )
    return [found[document.id] for document in documents]


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError.at(path, number, f"not valid JSON ({error.msg}); write one object a line") from None
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or "spans" not in row:
        raise InputError.at(path, number, 'expected {"id": ..., "spans": [...]}; add what is missing')
    return row


def _checked(document: Document, rows: Any, labels: Collection[str]) -> tuple[Span, ...]:  # noqa: ANN401 - whatever JSON held
    spans = spans_from_rows(rows)
    for span in spans:
        if fault := span_fault(document.text, span, labels):
            raise InputError(fault)
    return tuple(sorted(set(spans)))
