"""Annotated corpora on disk <-> `Document`s.

The file suffix names the format, one module each:

| suffix | format | keeps |
|---|---|---|
| `.md` | our articles: Markdown with inline spans `[Rafale](WEAPON)` | everything |
| `.jsonl` | one `{"id", "text", "spans", "meta"}` a line | everything |
| `.json` | stand-off spans for a text that is not ours to ship | everything, given the text |
| `.conll .iob .iob2 .bio .tsv .txt` | columns, word first and tag last | words, tags and ids; not white space or meta |

A folder is read recursively in name order (`README.md`, `GUIDELINES.md`, `labels.json` and `.txt` files in it are not corpora).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from conflict_ner.corpus import conll, jsonl, markdown, standoff
from conflict_ner.corpus.splits import check_splits, count_table
from conflict_ner.documents import Document, checked_spans
from conflict_ner.errors import InputError

__all__ = ["check_splits", "count_table", "read_documents", "write_documents"]

COLUMN_SUFFIXES = (".conll", ".iob", ".iob2", ".bio", ".tsv", ".txt")
NOT_CORPORA = {"README.md", "GUIDELINES.md", "labels.json"}


def read_documents(path: Path | str, labels: Collection[str] | None = None, text_folders: Sequence[Path | str] = ()) -> list[Document]:
    """Read a corpus file or folder.

    `labels` is the allowed label set (None: any); `text_folders` are where stand-off files find their texts (then: beside them).
    Raises InputError naming file and line for anything malformed, for two documents with one id, and for an empty corpus;
    MissingTextError when a stand-off text is not there.
    """
    path = Path(path)
    documents: list[Document] = []
    first_seen: dict[str, str] = {}
    for file in corpus_files(path):
        for document, line in _read_file(file, labels, [Path(folder) for folder in text_folders]):
            if document.id in first_seen:
                raise InputError.at(file, line, f"document id {document.id!r} is also at {first_seen[document.id]}; rename one")
            first_seen[document.id] = f"{file}:{line}"
            documents.append(document)
    if not documents:
        raise InputError(f"{path}: no documents in it; name a corpus file or a folder of them")
    return documents


def corpus_files(path: Path) -> list[Path]:
    """Return the corpus files that `path` stands for; raises InputError when it does not exist or has an unknown suffix."""
    known = {".md", ".jsonl", ".json", *COLUMN_SUFFIXES}
    if path.is_dir():
        in_folders = known - {".txt"}
        return sorted(f for f in path.rglob("*") if f.is_file() and f.suffix in in_folders and f.name not in NOT_CORPORA)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder; check the path")
    if path.suffix not in known:
        raise InputError(f"{path}: unknown corpus format {path.suffix!r}; known are {', '.join(sorted(known))}")
    return [path]


def _read_file(file: Path, labels: Collection[str] | None, text_folders: Sequence[Path]) -> Iterable[tuple[Document, int]]:
    if file.suffix == ".md":
        return markdown.read(file, labels)
    if file.suffix == ".jsonl":
        return jsonl.read(file, labels)
    if file.suffix == ".json":
        return standoff.read(file, labels, text_folders)
    return conll.read(file, labels)


def write_documents(documents: Sequence[Document], path: Path | str) -> None:
    """Write `documents` to `path` in the format its suffix names (stand-off is written by hand: it belongs to one text).

    Raises InputError for faulty spans or an unknown suffix, before anything is written.
    """
    path = Path(path)
    for document in documents:
        try:
            checked_spans(document.text, document.spans)
        except InputError as error:
            raise InputError(f"document {document.id!r} is not written to {path}: {error}") from None
    if path.suffix == ".md":
        text = markdown.dump(documents)
    elif path.suffix == ".jsonl":
        text = jsonl.dump(documents)
    elif path.suffix in COLUMN_SUFFIXES:
        text = conll.dump(documents)
    else:
        raise InputError(f"{path}: cannot write {path.suffix!r}; use .md, .jsonl or .conll")
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: is not written, a text holds half a character ({error.object[error.start]!r}); mend it") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
