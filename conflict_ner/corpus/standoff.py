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
from conflict_ner.corpus.jsonl import document_from_row
from conflict_ner.documents import Document
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
    if not isinstance(record, dict) or not ({"spans", "documents"} & set(record)):
        raise InputError(f"{path}: expected one object with text_file, sha256 and either id and spans, or documents")
    if not all(isinstance(record.get(key), str) for key in ("text_file", "sha256")):
        raise InputError(f"{path}: text_file and sha256 must be strings")
    text_path = _find_text(path, record, text_folders)
    rows = record.get("documents", [record])
    texts = {d.id: d.text for d, _ in conll.read(text_path)} if "documents" in record else None
    for row in rows if isinstance(rows, list) else [rows]:
        try:
            if not isinstance(row, dict) or not isinstance(row.get("id"), str):
                raise InputError("a document without an id; name it")
            if texts is not None and row["id"] not in texts:
                raise InputError(f"{text_path} has no document {row['id']!r}; correct the id")
            text = read_text(text_path) if texts is None else texts[row["id"]]
            yield document_from_row({**row, "text": text, "meta": record.get("meta")}, labels), 1
        except InputError as error:
            raise InputError.at(path, None, str(error)) from None


def _find_text(path: Path, record: dict[str, Any], text_folders: Sequence[Path]) -> Path:
    """Return where the annotated text lies; its bytes have the recorded sha256."""
    candidates: list[Path] = [folder / record["text_file"] for folder in (*text_folders, path.parent)]
    found = [candidate for candidate in candidates if candidate.is_file()]
    if not found:
        source = f" ({record['source']})" if "source" in record else ""
        places = ", ".join(str(candidate) for candidate in candidates)
        raise MissingTextError(f"{path}: its text is at none of {places}; get it{source} and name its folder with --text_folders")
    for candidate in found:
        if hashlib.sha256(candidate.read_bytes()).hexdigest() == record["sha256"]:
            return candidate
    raise InputError(f"{found[0]}: is not the text that {path} annotates (sha256 differs); get the original file")
