"""What every peer shares: its command line, documents in, spans out, words with offsets. Standard library only."""

from __future__ import annotations

import argparse
import json
import re
from itertools import pairwise
from pathlib import Path

WORD = re.compile(r"\w+|[^\w\s]")


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser()
    for name in ("train", "dev", "test", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--epochs", type=float, help="peers that can: instead of their published setting")
    parser.add_argument("--learning_rate", type=float, help="peers that can: instead of their published setting")
    return parser.parse_args()


def read(path: Path) -> list[dict]:
    """Return the documents of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def write(path: Path, documents: list[dict], spans: list[list[tuple[int, int, str]]]) -> None:
    """Write predicted spans, one document a line."""
    rows = [
        {"id": document["id"], "spans": [{"start": s, "end": e, "label": label} for s, e, label in found]}
        for document, found in zip(documents, spans, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def paragraphs(document: dict) -> list[tuple[int, str]]:
    """Return (offset, text) of the lines of a document that hold anything: what column files keep between blank lines."""
    return [(m.start(), m[0]) for m in re.finditer(r"[^\n]+", document["text"]) if m[0].strip()]


def words(document: dict) -> list[list[tuple[int, int, str]]]:
    """Return the (start, end, IOB2 tag) of every word, a list per paragraph; words are cut where spans begin and end."""
    edges = {edge for span in document.get("spans", ()) for edge in (span["start"], span["end"])}
    rows = []
    for offset, text in paragraphs(document):
        row = []
        for match in WORD.finditer(text):
            start, end = offset + match.start(), offset + match.end()
            cuts = [start, *sorted(edge for edge in edges if start < edge < end), end]
            for left, right in pairwise(cuts):
                span = next((s for s in document.get("spans", ()) if s["start"] <= left < s["end"]), None)
                begins = span is not None and (left == span["start"] or not row or row[-1][2][2:] != span["label"])
                row.append((left, right, "O" if span is None else f"{'B' if begins else 'I'}-{span['label']}"))
        rows.append(row)
    return rows


def spans_of(row: list[tuple[int, int]], tags: list[str]) -> list[tuple[int, int, str]]:
    """Return the spans of tagged words as seqeval's lenient mode reads them: an `I-X` after anything else begins one."""
    spans: list[tuple[int, int, str]] = []
    before = "O"
    for (start, end), tag in zip(row, tags, strict=True):
        if tag != "O":
            goes_on = tag[0] == "I" and before[2:] == tag[2:]
            spans.append((spans.pop()[0], end, tag[2:]) if goes_on else (start, end, tag[2:]))
        before = tag
    return spans
