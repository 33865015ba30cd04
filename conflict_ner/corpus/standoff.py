"""Stand-off spans: annotation for a text that is not ours to ship.

    {"id": "trt-2015-11-17", "text_file": "001_58670d8e7eebdeb8.txt", "sha256": "...", "spans": [{"start", "end", "label"}], "meta": {...}}

The text is looked up in a folder the user names and must have the checksum of the text that was annotated (over the file's bytes);
a text that changed by one character would silently shift every span.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path

from conflict_ner.corpus.jsonl import spans_from_rows
from conflict_ner.documents import Document, checked_spans
from conflict_ner.errors import InputError, MissingTextError, read_text


def read(path: Path, labels: Collection[str] | None = None, text_folder: Path | None = None) -> Iterator[tuple[Document, int]]:
    """Yield the one document of a stand-off file.

    The text is looked up in `text_folder`, else beside `path`. Raises MissingTextError when it is absent and InputError when it
    differs from the annotated text or the file is malformed.
    """
    try:
        record = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError.at(path, error.lineno, f"not valid JSON ({error.msg}); restore the file, it may be cut off") from None
    keys = ("id", "text_file", "sha256", "spans")
    if not isinstance(record, dict) or any(key not in record for key in keys):
        raise InputError(f"{path}: expected one object with {', '.join(keys)}")
    text_path = (text_folder or path.parent) / record["text_file"]
    if not text_path.exists():
        raise MissingTextError(f"{path}: its text {text_path} is not there; name the folder that holds it with --articles")
    if hashlib.sha256(text_path.read_bytes()).hexdigest() != record["sha256"]:
        raise InputError(f"{text_path}: is not the text that {path} annotates (sha256 differs); get the original file")
    text = read_text(text_path)
    try:
        yield Document(record["id"], text, checked_spans(text, spans_from_rows(record["spans"]), labels), record.get("meta", {})), 1
    except InputError as error:
        raise InputError.at(path, None, str(error)) from None
