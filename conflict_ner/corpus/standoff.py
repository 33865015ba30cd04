"""Stand-off spans: annotation for a text that is not ours to ship.

One JSON file annotates one text file, which is either one document,

    {"id": "trt-2015-11-17", "text_file": "001_58670d8e7eebdeb8.txt", "sha256": "...", "spans": [{"start", "end", "label"}], "meta": {}}

or CoNLL columns with many, named by the ids that the CoNLL reader gives them (the columns' own tags are not used):

    {"text_file": "train.txt", "sha256": "...", "source": "address, licence", "documents": [{"id", "spans": [...]}], "meta": {}}

The text is looked up in folders the user names and must have the checksum of the text that was annotated (over the file's bytes); a
text that changed by one character would silently shift every span.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from conflict_ner.corpus import conll
from conflict_ner.corpus.jsonl import spans_from_rows
from conflict_ner.documents import Document, checked_spans
from conflict_ner.errors import InputError, MissingTextError, read_text


def read(path: Path, labels: Collection[str] | None = None, text_folders: Sequence[Path] = ()) -> Iterator[tuple[Document, int]]:
    """Yield the documents of a stand-off file.

    The text is looked up in `text_folders`, then beside `path`. Raises MissingTextError when it is absent and InputError when it
    differs from the annotated text or the file is malformed.
    """
    try:
        record = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError.at(path, error.lineno, f"not valid JSON ({error.msg}); restore the file, it may be cut off") from None
    if (
        not isinstance(record, dict)
        or any(key not in record for key in ("text_file", "sha256"))
        or not ({"spans", "documents"} & set(record))
    ):
        raise InputError(f"{path}: expected one object with text_file, sha256 and either id and spans, or documents")
    text_path = _find_text(path, record, text_folders)
    meta = {str(key): str(value) for key, value in record.get("meta", {}).items()}
    rows = record.get("documents", [record])
    texts = {d.id: d.text for d, _ in conll.read(text_path)} if "documents" in record else {record.get("id"): read_text(text_path)}
    for row in rows:
        document_id = row.get("id")
        try:
            if document_id not in texts:
                raise InputError(f"{text_path} has no document {document_id!r}; correct the id")
            text = texts[document_id]
            yield Document(document_id, text, checked_spans(text, spans_from_rows(row.get("spans")), labels), meta), 1
        except InputError as error:
            raise InputError.at(path, None, str(error)) from None


def _find_text(path: Path, record: dict[str, Any], text_folders: Sequence[Path]) -> Path:
    """Return where the annotated text lies; its bytes have the recorded sha256."""
    candidates: list[Path] = [folder / record["text_file"] for folder in (*text_folders, path.parent)]
    found = [candidate for candidate in candidates if candidate.is_file()]
    if not found:
        source = f" ({record['source']})" if "source" in record else ""
        places = ", ".join(str(candidate) for candidate in candidates)
        raise MissingTextError(f"{path}: its text is at none of {places}; get it{source} and name its folder with --articles")
    for candidate in found:
        if hashlib.sha256(candidate.read_bytes()).hexdigest() == record["sha256"]:
            return candidate
    raise InputError(f"{found[0]}: is not the text that {path} annotates (sha256 differs); get the original file")
