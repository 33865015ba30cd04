"""Rows to tag out of JSON Lines, CSV (with commas or tabs) and Parquet, one at a time however large the file.

A row that cannot be used is a `BadRow` with one sentence, and reading goes on behind it; `InputError` says that the file as a whole
cannot be used.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from conflict_ner.errors import InputError, decode_utf8

NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what `surrogateescape` makes of a byte that is no UTF-8
NO_UTF8 = "is no UTF-8 text; save the file as UTF-8"
LONGEST_FIELD = 2**31 - 1  # of a CSV file; Python's own limit is shorter than many an article
FIRST_RECORDS = 100  # of a JSONL file: a column that none of them has is a wrong name, not a bad row
READ_FAULTS = (OSError, EOFError, zlib.error)  # of a file that is damaged or cut off
# How a header of one name shows that its fields are separated otherwise, and what to do then.
SEPARATORS = {";": "save it with commas", "\t": "name it .tsv, or add --input_format tsv", ",": "name it .csv, or add --input_format csv"}


@dataclass(frozen=True, slots=True)
class Row:
    """A text to tag; `read` counts the bytes of input up to it (about: files are read in blocks)."""

    id: str
    text: str
    read: int = 0


@dataclass(frozen=True, slots=True)
class BadRow:
    """What stands where a text should be; `error` is one sentence that names the file and line.

    `of_file`: it stands for a file, or for all that could not be read of one.
    """

    id: str
    error: str
    read: int = 0
    of_file: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold text and id; `id` None: the column `id` if there is one. Rows without an id are named `file:number`."""

    text: str = "text"
    id: str | None = None

    @property
    def wanted(self) -> tuple[str, str]:
        """The columns that are read."""
        return self.text, self.id or "id"

    def check(self, file: str, names: Iterable[str]) -> None:
        """Raise InputError, listing the columns there are, unless `names` has those that were asked for."""
        there = list(dict.fromkeys(names))
        for option, name in (("--text_column", self.text), ("--id_column", self.id)):
            if name is not None and name not in there:
                listed = ", ".join(repr(column) for column in there) or "none"
                raise InputError(f"{file}: has no column {name!r}; name one of its columns with {option}; there are: {listed}")

    def check_header(self, file: str, names: Sequence[str]) -> None:
        """Raise InputError unless the columns of a table have those that were asked for, and each of them once."""
        self.check(file, names)
        for name in self.wanted:
            if names.count(name) > 1:
                raise InputError(f"{file}: has {names.count(name)} columns {name!r}; give each a name of its own")

    def row(self, file: str, number: int, record: Mapping[str, Any] | str, read: int, counted: str = "") -> Row | BadRow:
        """Return the row of a record; a string in place of a record says what is wrong with it.

        `counted` says what `number` counts, where that is not lines.
        """
        row_id = f"{file}:{number}"
        place = f"{file}: {counted} {number}" if counted else row_id
        if isinstance(record, str):
            return BadRow(row_id, f"{place}: {record}", read)
        text, found = (record.get(name) for name in self.wanted)
        row_id = row_id if found is None or found == "" else str(found)
        if isinstance(text, str):
            return Row(row_id, text, read)
        fault = "is empty (null)" if text is None else f"holds {type(text).__name__}, not text"
        return BadRow(row_id, f"{place}: column {self.text!r} {fault}; give the row a text", read)


Records = Iterator[tuple[int, Mapping[str, Any] | str]]


def read_jsonl(file: str, stream: BinaryIO, columns: Columns, tell: Callable[[], int]) -> Iterator[Row | BadRow]:
    """Yield a row per object of a JSON Lines `stream`; raises InputError when none of the first objects has the columns."""
    records = _json_records(file, stream)
    first: list[tuple[int, Mapping[str, Any] | str]] = []
    fault: Exception | None = None
    try:
        for numbered in islice(records, FIRST_RECORDS):
            first.append(numbered)
    except READ_FAULTS as error:  # what was read before it counts
        fault = error
    objects = [record for _, record in first if not isinstance(record, str)]
    if objects:
        columns.check(file, (name for record in objects for name in record))
    for number, record in chain(first, records):
        yield columns.row(file, number, record, tell())
    if fault:
        raise fault


def _json_records(file: str, stream: BinaryIO) -> Records:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(decode_utf8(line, file, number))
        except InputError as error:
            yield number, str(error).removeprefix(f"{file}:{number}: ")
        except (ValueError, RecursionError) as error:
            yield number, f"not one complete JSON object ({getattr(error, 'msg', error)}); mend or remove the line"
        else:
            yield number, record if isinstance(record, dict) else "not a JSON object; write one object a line"


def read_csv(file: str, stream: BinaryIO, columns: Columns, tell: Callable[[], int], separator: str = ",") -> Iterator[Row | BadRow]:
    """Yield a row per record of a CSV `stream` with a header, rows counted from 1 behind it; raises InputError for wrong columns."""
    csv.field_size_limit(LONGEST_FIELD)
    first = next(stream, b"").removeprefix(codecs.BOM_UTF8)
    if b"\0" in first:  # UTF-16, whose line ends would confuse the reader
        raise InputError.at(file, 1, NO_UTF8)
    lines = (line.decode("utf-8", errors="surrogateescape") for line in chain([first], stream))
    records = csv.reader(lines, strict=True, delimiter=separator)  # strict: a stray quote is said, not guessed around
    try:
        header = next(records, [])
    except csv.Error as error:
        fault = _bare_return(error) or f"its header is no CSV ({error}); quote names with commas or quotation marks"
        raise InputError.at(file, 1, fault) from None
    if any(NOT_UTF8.search(name) or "\0" in name for name in header):
        raise InputError.at(file, 1, NO_UTF8)
    other = next((sign for sign in SEPARATORS if sign != separator and sign in header[0]), None) if len(header) == 1 else None
    if other and columns.text not in header:
        raise InputError.at(file, 1, f"its fields are separated by {other!r}; {SEPARATORS[other]}")
    columns.check_header(file, header)
    for number, record in enumerate(_csv_records(records, header, columns.wanted), 1):
        yield columns.row(file, number, record, tell(), "record")


class _CsvReader(Protocol):
    """What the library's reader is."""

    @property
    def line_num(self) -> int:
        """Lines read so far."""

    def __next__(self) -> list[str]:
        """Return the fields of the next record."""


def _csv_records(records: _CsvReader, header: list[str], wanted: tuple[str, str]) -> Iterator[Mapping[str, str] | str]:
    while True:
        first = records.line_num + 1
        try:
            fields = next(records, None)
        except csv.Error as error:
            yield _csv_fault(error, first, records.line_num)
            continue
        if fields is None:
            return
        record = {name: field for name, field in zip(header, fields, strict=False) if name in wanted}
        if fields and len(fields) != len(header):
            yield f"has {len(fields)} fields, the header {len(header)}; quote fields that hold a separator or a line break"
        elif bad := next(filter(None, map(NOT_UTF8.search, record.values())), None):
            yield f"byte {ord(bad[0]) - 0xDC00:#04x} is not UTF-8; save the file as UTF-8"
        elif fields:
            yield record


def _csv_fault(error: csv.Error, first: int, last: int) -> str:
    """Return what is wrong with a record, and how much was lost with it: an open quotation mark takes the lines behind it along."""
    if str(error) == "unexpected end of data":
        return f"a quotation mark is never closed, so everything from line {first} to the end is left out; close or double it"
    if fault := _bare_return(error):
        return fault
    lost = f"line {first}" if first == last else f"lines {first} to {last}, all left out"
    return f"not a CSV record ({error}; {lost}); close quotation marks, and double those inside a quoted field"


def _bare_return(error: csv.Error) -> str | None:
    """Return our sentence for what the library says of a carriage return alone, else None."""
    if not str(error).startswith("new-line character"):
        return None
    return "a line ends in a carriage return alone; save the file with line feeds, or quote fields that hold a line break"


def read_parquet(file: str, columns: Columns) -> Iterator[Row | BadRow]:
    """Yield a row per row of a Parquet file, rows counted from 1; raises InputError for wrong columns or a damaged file."""
    import pyarrow as pa
    from pyarrow import parquet

    size = Path(file).stat().st_size
    try:
        with parquet.ParquetFile(file) as table:
            names = table.schema_arrow.names
            columns.check_header(file, names)
            number = 0
            for batch in table.iter_batches(batch_size=256, columns=[name for name in columns.wanted if name in names]):
                for position in range(batch.num_rows):
                    number += 1
                    record: Mapping[str, Any] | str
                    try:
                        record = {name: batch.column(name)[position].as_py() for name in batch.schema.names}
                    except UnicodeDecodeError:
                        record = "holds bytes that are not UTF-8; mend or remove the row"
                    except (ValueError, OverflowError, LookupError) as error:  # times behind the year 9999, unknown time zones
                        record = f"holds a value that cannot be written out ({one_line(error)}); mend it or name another column"
                    yield columns.row(file, number, record, size * number // table.metadata.num_rows, "record")
    except pa.ArrowException as error:
        raise InputError(f"{file}: is not a whole Parquet file ({one_line(error)}); restore it") from None


def parquet_columns(file: str) -> list[str]:
    """Return the names of a Parquet file's columns."""
    from pyarrow import parquet

    return list(parquet.read_schema(file).names)


def one_line(error: Exception) -> str:
    """Return what an error says as one line."""
    return " ".join(str(error).split())
