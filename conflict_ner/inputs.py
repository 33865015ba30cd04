"""What a user names to be tagged -> rows: files, folders, patterns, standard input; texts, lines and tables.

The suffix says how a file is read: `.jsonl` (or `.ndjson`), `.csv`, `.parquet` row by row, anything else as one text (or, with
`by_line`, as one text a line), unless it is known to hold no prose; `.gz` behind it is unpacked. What cannot be read is a `BadRow`,
and reading goes on with the next row or file. Nothing holds more than one file of text, or a few hundred rows, at a time. Texts
keep their line ends: offsets count them.
"""

from __future__ import annotations

import glob
import gzip
import sys
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from conflict_ner.errors import InputError, decode_utf8
from conflict_ner.tables import BadRow, Columns, Row, read_csv, read_jsonl, read_parquet

STANDARD_INPUT = "-"
SUFFIXES = {".txt": "txt", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
# Files that would be tagged, mark-up and all, as if they were prose; any other unknown suffix may well be that of a text.
NOT_PROSE = {".json", ".tsv", ".html", ".htm", ".xml", ".rtf", ".pdf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".epub", ".zip"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How inputs are read; `format` None goes by the suffix, `by_line` concerns plain text alone."""

    format: str | None = None
    by_line: bool = False
    columns: Columns = Columns()  # noqa: RUF009 - frozen


def expand(names: Sequence[str], leave_out: Collection[Path] = ()) -> list[str]:
    """Return the files that `names` stand for, folders and patterns in name order; raises InputError for a name without a file.

    A folder stands for every file in it, however deep, that has a known suffix; hidden ones are left out. Neither a folder nor a
    pattern stands for the files and folders of `leave_out`, nor for what lies in them.
    """
    files: list[str] = []
    others = {path.resolve() for path in leave_out}
    for name in names or [STANDARD_INPUT]:
        path = Path(name)
        if name == STANDARD_INPUT:
            files.append(name)
        elif path.is_dir():
            known = (file for file in path.rglob("*") if _format_of(file.name) and _is_shown(file, path) and file.is_file())
            found = sorted(file for file in known if not _lies_in(file, others))
            if not found:
                raise InputError(f"{name}: no file in this folder ends in {', '.join(SUFFIXES)} (or .gz); name the files themselves")
            files += map(str, found)
        elif path.exists():
            files.append(name)
        else:
            matched = sorted(file for file in glob.glob(name, recursive=True) if Path(file).is_file())  # noqa: PTH207 - any path
            matches = [file for file in matched if not _lies_in(Path(file), others)]
            if not matches:
                raise InputError(f"{name}: there is no such file; check the path")
            files += matches
    return files


def _format_of(name: str) -> str | None:
    """Return the format that the suffix names; None for any other suffix. Parquet is never packed again."""
    packed = name.lower()
    form = SUFFIXES.get(Path(packed.removesuffix(".gz")).suffix)
    return None if form == "parquet" and packed.endswith(".gz") else form


def _is_shown(file: Path, folder: Path) -> bool:
    return not any(part.startswith(".") for part in file.relative_to(folder).parts)


def _lies_in(file: Path, others: Collection[Path]) -> bool:
    """Return whether `file` is one of `others`, which are resolved, or lies in one of them."""
    if not others:
        return False
    place = file.resolve()
    return any(path in others for path in (place, *place.parents))


def total_bytes(files: Sequence[str]) -> int | None:
    """Return the size of all `files`, or None when it cannot be known (standard input, other pipes)."""
    paths = [Path(file) for file in files]
    if not all(path.is_file() for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)


def read_rows(files: Sequence[str], reading: Reading) -> Iterator[Row | BadRow]:
    """Yield every row of `files`; a file that cannot be used, or not to its end, leaves one `BadRow`."""
    before = 0
    for file in files:
        read = 0
        try:
            for row in _rows_of(file, reading):
                read = max(read, row.read)
                yield replace(row, read=before + read)
        except InputError as error:
            yield BadRow(_shown_name(file), str(error), before + read)
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or error
            yield BadRow(_shown_name(file), f"{file}: cannot be read to its end ({reason}); check or restore the file", before + read)
        before += max(read, total_bytes([file]) or 0)


def _shown_name(file: str) -> str:
    return "stdin" if file == STANDARD_INPUT else file


def _rows_of(file: str, reading: Reading) -> Iterator[Row | BadRow]:
    name, form = _shown_name(file), reading.format or _format_of(file) or "txt"
    if reading.format is None and Path(file.lower().removesuffix(".gz")).suffix in NOT_PROSE:
        raise InputError(f"{file}: is not plain text by its suffix; say with --input_format how it is to be read, or convert it")
    if form == "parquet":
        if file == STANDARD_INPUT:
            raise InputError("stdin: Parquet cannot be read from a pipe; save it in a file")
        yield from read_parquet(file, reading.columns)
        return
    with _opened(file) as (stream, tell):
        if form == "jsonl":
            yield from read_jsonl(name, stream, reading.columns, tell)
        elif form == "csv":
            yield from read_csv(name, stream, reading.columns, tell)
        elif reading.by_line:
            for number, line in enumerate(stream, 1):
                yield _line(name, number, line, tell())
        else:
            yield Row(name, _plain_text(stream.read(), name), tell())


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, Callable[[], int]]]:
    """Open a file or standard input, unpacked; also return what tells how many bytes of it were read."""
    if file == STANDARD_INPUT:
        yield sys.stdin.buffer, lambda: 0
        return
    with Path(file).open("rb") as raw:
        tell = raw.tell if raw.seekable() else lambda: 0
        if file.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield cast(BinaryIO, unpacked), tell
        else:
            yield raw, tell


def _line(name: str, number: int, line: bytes, read: int) -> Row | BadRow:
    place = f"{name}:{number}"
    try:
        return Row(place, _plain_text(line, name, number).rstrip("\r\n"), read)
    except InputError as error:
        return BadRow(place, str(error), read)


def _plain_text(content: bytes, name: str, first_line: int = 1) -> str:
    """Return UTF-8 bytes as text; raises InputError for other bytes and for NUL, which no text holds but most other files do."""
    text = decode_utf8(content, name, first_line)
    if "\0" in text:
        line = first_line + text[: text.index("\0")].count("\n")
        raise InputError.at(name, line, "holds a NUL byte, so it is no text; name plain-text files")
    return text
