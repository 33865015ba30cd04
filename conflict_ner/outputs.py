"""Tagged rows -> JSON Lines, CSV, Markdown, a web page, a terminal view, Parquet, brat; a row at a time, however many there are.

A tagged row is `{"id", "text", "spans": [{"start", "end", "label", "text", "score"}], "model", "revision"}`, without the row's own
`text` when the user wants none; offsets are code points. JSON Lines and Markdown keep lone surrogates (halves of characters), for
which UTF-8 has no bytes; the other formats put U+FFFD in their place, and every offset stays.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from conflict_ner import brat
from conflict_ner.colours import highlighted
from conflict_ner.corpus import markdown
from conflict_ner.corpus.jsonl import spans_from_rows
from conflict_ner.documents import Document, Span
from conflict_ner.errors import InputError
from conflict_ner.webpage import page

TaggedRow = Mapping[str, Any]
PRINTED = ("jsonl", "csv", "markdown", "html", "text")  # formats for a pipe; the others need files
FORMATS = (*PRINTED, "parquet", "brat")
SUFFIXES = {".jsonl": "jsonl", ".csv": "csv", ".md": "markdown", ".html": "html", ".txt": "text", ".parquet": "parquet"}
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
CSV_HEADER = ("id", "start", "end", "label", "mention", "score", "model", "revision")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")  # what a terminal may take for a command to itself
ROWS_PER_GROUP = 1000  # of a Parquet file


def chosen_format(asked: str | None, output: Path | None, keep_text: bool) -> str:
    """Return the format asked for, else the one of the output's suffix, else JSON Lines; raises InputError for choices that do not fit."""
    suffix = output.suffix.lower() if output else ""
    if suffix in PACKED:
        raise InputError(f"{output}: no output is compressed; name it without {suffix}, and pack it afterwards")
    if asked is None and suffix and suffix not in SUFFIXES:
        raise InputError(f"{output}: the suffix {suffix} names no format; choose one with --format: {', '.join(FORMATS)}")
    form = asked or SUFFIXES.get(suffix, "jsonl")
    if form not in FORMATS:
        raise InputError(f"--format {form}: there is no such format; choose one of {', '.join(FORMATS)}")
    if output is None and form not in PRINTED:
        raise InputError(f"--format {form} cannot be printed; say with --output where it goes")
    if not keep_text and form not in ("jsonl", "csv", "parquet"):
        raise InputError(f"--no_text: {form} is made of the text; use jsonl, csv or parquet, or leave --no_text away")
    return form


def spans_of_row(text: str, spans: Iterable[Span], min_score: float = 0.0) -> list[dict[str, Any]]:
    """Return what a tagged row holds of its spans, those below `min_score` left out; plain values."""
    return [
        {
            "start": span.start,
            "end": span.end,
            "label": span.label,
            "text": text[span.start : span.end],
            "score": None if span.score is None else round(float(span.score), 4),
        }
        for span in spans
        if span.score is None or span.score >= min_score
    ]


def write_file(rows: Iterable[TaggedRow], form: str, target: Path, labels: Sequence[str], keep_text: bool = True) -> None:
    """Write rows to the file (brat: the folder) `target`, replacing what is there."""
    if form == "parquet":
        _write_parquet(rows, target, keep_text)
    elif form == "brat":
        brat.write_folder(map(whole, rows), target, labels)
    else:
        with target.open("w", encoding="utf-8", newline="") as stream:
            stream.writelines(pieces(rows, form, labels))


def print_rows(rows: Iterable[TaggedRow], form: str, stream: TextIO, labels: Sequence[str]) -> None:
    """Write rows to standard output, always in UTF-8 and with line ends untouched; the terminal view in colour where there is any."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", newline="")
    stream.writelines(pieces(rows, form, labels, Console(highlight=False, soft_wrap=True)))


def pieces(rows: Iterable[TaggedRow], form: str, labels: Sequence[str], console: Console | None = None) -> Iterator[str]:
    """Return the text of a PRINTED format, piece by piece; `console` says what the terminal view may use (None: no colours)."""
    if form == "jsonl":
        return map(jsonl_line, rows)
    if form == "markdown":
        return _markdown(rows)
    if form == "csv":
        return map(whole, _csv(rows))
    if form == "html":
        return map(whole, page(rows, labels))
    return map(whole, _terminal_view(rows, labels, console or Console(highlight=False, soft_wrap=True, force_terminal=False)))


def jsonl_line(row: TaggedRow) -> str:
    """Return the row as one line of JSON; characters as they are, but for lone surrogates, which only an escape can write."""
    line = json.dumps(row, ensure_ascii=False)
    return (json.dumps(row) if LONE_SURROGATE.search(line) else line) + "\n"


def _markdown(rows: Iterable[TaggedRow]) -> Iterator[str]:
    """Yield documents as our corpus has them: corrected by hand they are training data. There no two ids may be alike."""
    given: dict[str, int] = {}
    for number, row in enumerate(rows):
        origin = {key: row[key] for key in ("model", "revision") if row[key]}
        document = Document(_unlike(row["id"], given), row["text"], tuple(spans_from_rows(row["spans"])), origin)
        yield ("\n" if number else "") + markdown.dump([document])


def _unlike(row_id: str, given: dict[str, int]) -> str:
    """Return an id that was not `given` yet, `a#2` for a second `a`, and enter it."""
    name, times = row_id, given.get(row_id, 0) + 1
    while name in given:
        name, times = f"{row_id}#{times}", times + 1
    given[row_id] = max(times - 1, 1)
    given.setdefault(name, 1)
    return name


def _csv(rows: Iterable[TaggedRow]) -> Iterator[str]:
    """Yield one record per entity; a row without entities has none."""
    yield _csv_record(CSV_HEADER)
    for row in rows:
        for span in row["spans"]:
            found = [span[key] for key in ("start", "end", "label", "text", "score")]
            yield _csv_record((row["id"], *found, row["model"], row["revision"]))


def _csv_record(fields: Sequence[object]) -> str:
    written = io.StringIO(newline="")
    csv.writer(written).writerow(fields)  # quotes what holds a sign of its line end, so `\r\n` it must be
    return written.getvalue().removesuffix("\r\n") + "\n"


def _terminal_view(rows: Iterable[TaggedRow], labels: Sequence[str], console: Console) -> Iterator[str]:
    """Yield each text, below its id when there are several; no text steers the terminal."""
    remaining = iter(rows)
    first = list(islice(remaining, 2))
    for number, row in enumerate(chain(first, remaining)):
        with console.capture() as capture:
            if len(first) > 1:
                heading = " ".join(CONTROL.sub("\ufffd", row["id"]).split())
                console.print(Text(("\n" if number else "") + heading, style="dim"))
            console.print(highlighted(CONTROL.sub("\ufffd", row["text"]), spans_from_rows(row["spans"]), labels))
        yield capture.get()


def whole(value: Any) -> Any:  # noqa: ANN401 - whatever a row holds
    """Return a string, a row or a part of one with U+FFFD for lone surrogates."""
    if isinstance(value, str):
        return LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    return {key: whole(item) for key, item in value.items()} if isinstance(value, dict) else value


def _write_parquet(rows: Iterable[TaggedRow], target: Path, keep_text: bool) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    string, offset = pa.string(), pa.int64()
    span = pa.struct({"start": offset, "end": offset, "label": string, "text": string, "score": pa.float64()})
    columns = {"id": string, "text": string, "spans": pa.list_(span), "model": string, "revision": string}
    schema = pa.schema({name: kind for name, kind in columns.items() if keep_text or name != "text"})
    remaining = map(whole, rows)
    with parquet.ParquetWriter(target, schema) as writer:
        while group := list(islice(remaining, ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))
