"""JSON Lines: `{"id", "text", "spans": [{"start", "end", "label"}], "meta"}`, one document a line, offsets in code points."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from conflict_ner.documents import Document, Span, checked_spans
from conflict_ner.errors import InputError, read_text


def read(path: Path, labels: Collection[str] | None = None) -> Iterator[tuple[Document, int]]:
    """Yield each document with its line; raises InputError with file and line."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError.at(path, number, f"not one complete JSON object ({error.msg}); restore the line, it may be cut off") from None
        try:
            yield document_from_row(row, labels), number
        except InputError as error:
            raise InputError.at(path, number, str(error)) from None


def document_from_row(row: Any, labels: Collection[str] | None = None) -> Document:  # noqa: ANN401 - whatever JSON held
    """Build a Document from a parsed row; raises InputError (without a file name) when a field is missing or of a wrong type."""
    if not isinstance(row, dict):
        raise InputError(f'expected an object {{"id", "text", "spans"}}, found {type(row).__name__}')
    for key in ("id", "text"):
        if not isinstance(row.get(key), str):
            raise InputError(f"field {key!r} is missing or not a string; every row needs it")
    if not row["id"]:
        raise InputError("the id is empty; give every document its own")
    meta = row.get("meta") or {}
    if not isinstance(meta, dict):
        raise InputError("field 'meta' is not an object of strings")
    # Values that are no strings keep their JSON spelling: meta is for slicing and reading, not for computing.
    strings = {key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for key, value in meta.items()}
    return Document(row["id"], row["text"], checked_spans(row["text"], spans_from_rows(row.get("spans")), labels), strings)


def spans_from_rows(rows: Any) -> list[Span]:  # noqa: ANN401 - whatever JSON held
    """Build spans from `[{"start", "end", "label"}]` (None: no spans), each with a `score` if it has one; raises InputError."""
    rows = [] if rows is None else rows
    if not isinstance(rows, list):
        raise InputError('field \'spans\' is not a list of {"start", "end", "label"}')
    spans = []
    for row in rows:
        values: list[Any] = [row.get(key) for key in ("start", "end", "label")] if isinstance(row, dict) else []
        if [type(value) for value in values] != [int, int, str]:
            raise InputError(f'span {json.dumps(row, ensure_ascii=False)} is not {{"start": int, "end": int, "label": string}}')
        score = row.get("score")
        if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1):
            raise InputError(f"score {json.dumps(score)} is no number in [0, 1]; leave scores away or scale them")
        spans.append(Span(values[0], values[1], values[2], None if score is None else float(score)))
    return spans


def row_from_document(document: Document) -> dict[str, Any]:
    """Return the JSON row of a document; predicted spans carry their score."""
    return {"id": document.id, "text": document.text, "spans": rows_from_spans(document.spans), "meta": dict(document.meta)}


def rows_from_spans(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Return spans as plain dicts; `score` only where there is one."""
    rows: list[dict[str, Any]] = []
    for span in spans:
        rows.append({"start": span.start, "end": span.end, "label": span.label})
        if span.score is not None:
            rows[-1]["score"] = round(span.score, 4)
    return rows


def dump(documents: Sequence[Document]) -> str:
    """Return JSON Lines; reading them back gives the same documents."""
    return "".join(json.dumps(row_from_document(document), ensure_ascii=False) + "\n" for document in documents)
