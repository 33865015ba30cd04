"""Tagged rows -> a folder for the annotation tool brat (https://brat.nlplab.org/standoff.html).

Every row becomes a `.txt` and an `.ann`, named by its number and what a file name can keep of its id. brat has no place for the rest:
`index.jsonl` holds each whole id with model and revision, scores stand in notes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

INDEX = "index.jsonl"
LINE_OR_FIELD_END = re.compile("[\t\n\x0b\f\r\x1c-\x1e\x85\u2028\u2029]+")  # for brat, or for what reads its files


def write_folder(rows: Iterable[Mapping[str, Any]], folder: Path, labels: Sequence[str]) -> None:
    """Write the rows (whole Unicode characters only), replacing what is in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _write(folder / "annotation.conf", "\n".join(["[entities]", *labels, "[relations]", "[events]", "[attributes]", ""]))
    with (folder / INDEX).open("w", encoding="utf-8", newline="") as index:
        for number, row in enumerate(rows, 1):
            name = file_name(number, row["id"])
            _write(folder / f"{name}.txt", row["text"])
            _write(folder / f"{name}.ann", annotation(row))
            entry = {"file": name, "id": row["id"], "model": row["model"], "revision": row["revision"]}
            index.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())  # as bytes: line ends stay, offsets count them


def file_name(number: int, row_id: str) -> str:
    """Return a name that no other row has and every file system takes: at most 68 characters, 248 bytes."""
    plain = re.sub(r"[^\w.-]+", "_", row_id.removesuffix(".txt"))
    return f"{number:07d}-{plain[-60:]}"


def annotation(row: Mapping[str, Any]) -> str:
    """Return a row's spans as brat writes them; one over several lines in fragments, since no fragment may hold a line end."""
    lines = []
    for number, span in enumerate(row["spans"], 1):
        edges = [span["start"]]
        for gap in LINE_OR_FIELD_END.finditer(span["text"]):
            edges += [span["start"] + gap.start(), span["start"] + gap.end()]
        edges.append(span["end"])
        fragments = ";".join(f"{start} {end}" for start, end in zip(edges[::2], edges[1::2], strict=True))
        lines.append(f"T{number}\t{span['label']} {fragments}\t{LINE_OR_FIELD_END.sub(' ', span['text'])}\n")
        if span["score"] is not None:
            lines.append(f"#{number}\tAnnotatorNotes T{number}\tscore {span['score']}\n")
    return "".join(lines)
