"""What a user names to be tagged -> rows: files, folders, patterns, standard input; texts, lines and tables.

The suffix says how a file is read: `.jsonl` (or `.ndjson`), `.csv`, `.tsv`, `.parquet` row by row, anything else as one text (or, with
`by_line`, as one text a line), unless it is known to hold no prose; `.gz` behind it is unpacked. What cannot be read is a `BadRow`,
and reading goes on with the next row or file. Nothing holds more than one file of text, or a few hundred rows, at a time. Texts
keep their line ends: offsets count them.
"""

from __future__ import annotations

import glob
import gzip
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from conflict_ner.errors import InputError, decode_utf8
from conflict_ner.tables import READ_FAULTS, BadRow, Columns, Row, one_line, parquet_columns, read_csv, read_jsonl, read_parquet

STANDARD_INPUT = "-"
SUFFIXES = {".txt": "txt", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
# Files that would be tagged, mark-up and all, as if they were prose; any other unknown suffix may well be that of a text.
NOT_PROSE = {".json", ".html", ".htm", ".xml", ".rtf", ".pdf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".epub", ".zip"}
LONGEST_PATH = 200  # that is shown whole


@dataclass(frozen=True, slots=True)
class Reading:
    """How inputs are read; `format` None goes by the suffix, `by_line` concerns plain text alone."""

    format: str | None = None
    by_line: bool = False
    columns: Columns = Columns()  # noqa: RUF009 - frozen


def expand(names: Sequence[str], leave_out: Collection[Path] = (), say: Callable[[str], object] = lambda line: None) -> list[str]:
    """Return the files that `names` stand for, folders and patterns in name order; raises InputError for a name without a file.

    A folder stands for every file in it, however deep, that has a known suffix; hidden ones are left out. Neither a folder nor a
    pattern stands for the files and folders of `leave_out`, for what lies in them, or for an earlier output of tag.py. `say` takes a
    line about what was left out. A file that is named twice, in whatever way, counts once.
    """
    files: dict[str, str] = {}
    others = {path.resolve() for path in leave_out}
    for name in names or [STANDARD_INPUT]:
        with one_sentence(name, "name a file that can be read; a text itself goes in through standard input"):
            found = [name] if name == STANDARD_INPUT else _files_of(name, others, say)
            for file in found:
                files.setdefault(file if file == STANDARD_INPUT else str(Path(file).resolve()), file)
    return list(files.values())


@contextmanager
def one_sentence(name: str, mend: str) -> Iterator[None]:
    """Make one sentence of what the system says of the path `name`, which may be a whole text that was taken for one."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{_brief(name)}: cannot be read ({error.strerror}); {mend}") from None


def _brief(name: str) -> str:
    line = " ".join(name.splitlines())
    return line if len(line) <= LONGEST_PATH else f"{line[:60]}..."


def _files_of(name: str, others: Collection[Path], say: Callable[[str], object]) -> list[str]:
    """Return the files that one name stands for."""
    path = Path(name)
    if path.is_dir():
        found, left_out = _files_in(path, others)
        nothing = f"no file in this folder ends in {', '.join(SUFFIXES)} (or .gz); name the files themselves"
    elif path.exists():
        return [name]
    else:
        matched = sorted(file for file in glob.glob(name, recursive=True) if Path(file).is_file())  # noqa: PTH207 - any path
        found, left_out = [file for file in matched if not _lies_in(Path(file), others)], Counter()
        nothing = "there is no such file; check the path"
    if not found:
        raise InputError(f"{_brief(name)}: {nothing}")
    kept = [file for file in found if not _is_output(file)]
    if not kept:
        raise InputError(f"{name}: there is nothing but earlier outputs of tag.py; one that is to be read all the same is named itself")
    if len(kept) < len(found):
        left_out["earlier output"] = len(found) - len(kept)
    if left_out:
        ranked = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
        counts = ", ".join(f"{count} {what}{'s' * (count > 1 and what[0] != '.')}" for what, count in ranked)
        say(f"{name}: left out {counts}\n")
    return kept


def _files_in(folder: Path, others: Collection[Path]) -> tuple[list[str], Counter[str]]:
    """Return the files of a folder that are read, and how many others there are by suffix; raises OSError when it cannot be read."""
    found: list[Path] = []
    left_out: Counter[str] = Counter()
    next(folder.iterdir(), None)  # `walk` keeps quiet
    for place, folders, names in os.walk(folder, onerror=lambda error: left_out.update(["unreadable folder"])):
        folders[:] = [name for name in folders if not name.startswith(".")]
        left_out.update("linked folder" for name in folders if Path(place, name).is_symlink())  # `walk` passes them over
        for file in (Path(place, name) for name in names if not name.startswith(".")):
            if _lies_in(file, others):
                continue
            if not file.is_file():
                left_out["broken link" if file.is_symlink() else "special file"] += 1
            elif _format_of(file.name):
                found.append(file)
            else:
                left_out[file.suffix.lower() or "unsuffixed file"] += 1
    return [str(file) for file in sorted(found)], left_out


def _is_output(file: str) -> bool:
    """Return whether a table begins like an output of tag.py, or like what tag.py says of bad rows."""
    form = _format_of(file)
    try:
        if form == "parquet":
            keys = set(parquet_columns(file))
        elif form == "jsonl":
            with _opened(file) as (stream, _):
                keys = set(json.loads(next(stream, b"[]")))
        else:
            return False
    except (*READ_FAULTS, ValueError, TypeError, RecursionError):  # whoever reads it will say so
        return False
    return keys >= {"spans", "model", "revision"} or keys - {"row"} == {"id", "error"}


def _format_of(name: str) -> str | None:
    """Return the format that the suffix names; None for any other suffix. Parquet is never packed again."""
    packed = name.lower()
    form = SUFFIXES.get(Path(packed.removesuffix(".gz")).suffix)
    return None if form == "parquet" and packed.endswith(".gz") else form


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
            yield BadRow(_shown_name(file), str(error), before + read, of_file=True)
        except READ_FAULTS as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            fault = f"{file}: cannot be read to its end ({reason}); check or restore the file"
            yield BadRow(_shown_name(file), fault, before + read, of_file=True)
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
        elif form in ("csv", "tsv"):
            yield from read_csv(name, stream, reading.columns, tell, "\t" if form == "tsv" else ",")
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
