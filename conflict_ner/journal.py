"""What of a tagging run is safe on disk, so that a killed run goes on without a lost or a doubled row.

Beside the output `OUT` lie, until the run is complete, `OUT.part` (tagged rows as JSON Lines, whatever the output's format) and
`OUT.journal` (JSON: rows consumed, their checksum, the sizes of `OUT.part` and of the error file, the run's options). A batch
counts once the journal that covers it has replaced the one before; what a kill left behind that point is cut off again.
`OUT.errors.jsonl` keeps the rows that could not be tagged. While a run writes, `OUT.part` is locked: a second run is refused. Input
may come from anywhere, a pipe too: the rows themselves are checked, not their files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, Self

from conflict_ner import brat
from conflict_ner.errors import InputError
from conflict_ner.outputs import TaggedRow, jsonl_line, write_file
from conflict_ner.tables import BadRow, Row


@dataclass(slots=True)
class Progress:
    """How far a run is: `rows` were read, `bad` of them could not be tagged, `files` of these stand for files; sizes in bytes."""

    rows: int = 0
    bad: int = 0
    rows_sha256: str = hashlib.sha256().hexdigest()
    part_bytes: int = 0
    error_bytes: int = 0
    files: int = 0


class Journal:
    """The files of one run beside its `output`; every OSError of theirs becomes an InputError that says how to go on."""

    def __init__(self, output: Path, options: Mapping[str, Any]) -> None:
        """Name the files; `options` are whatever changes the rows that are written."""
        self.output, self.options = output, dict(options)
        self.part, self.path, self.errors, self.unfinished = companions(output)
        self.done = Progress()
        self._digest = hashlib.sha256()
        self._streams: list[FileIO] = []
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Open the files at the point that the journal knows; raises InputError when another run has them open."""
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            self._streams = [path.open("ab", buffering=0) for path in (self.part, self.errors)]
            self._lock = self._locked(self._streams[0])
            for stream, size in zip(self._streams, (self.done.part_bytes, self.done.error_bytes), strict=True):
                if os.fstat(stream.fileno()).st_size < size:
                    raise InputError(f"{stream.name}: is shorter than {self.path} says; delete {self.path} to start anew")
                stream.truncate(size)
            self._record()
        except (OSError, InputError) as error:
            self.__exit__()
            raise (self._fault(error) if isinstance(error, OSError) else error) from None
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the files and let other runs have them; nothing is buffered, so nothing can fail here."""
        self._close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _close(self) -> None:
        """Close the files, but keep the lock: Windows, which has no lock here, moves no open file."""
        for stream in self._streams:
            stream.close()

    def _locked(self, part: FileIO) -> int | None:
        """Return a descriptor that holds the lock of `part` until it is closed; None where there are no locks."""
        if importlib.util.find_spec("fcntl") is None:
            return None
        import fcntl

        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = self.part.exists() and os.path.samestat(os.fstat(part.fileno()), self.part.stat())
        except BlockingIOError:
            is_ours = False
        except OSError:  # a file system without locks
            return None
        if not is_ours:  # locked, or made the output of the other run just now
            raise InputError(f"{self.output}: another run is writing it; wait for its end, or name another --output")
        return os.dup(part.fileno())

    def is_complete(self) -> bool:
        """Return whether the output is there and nothing more to be done for it (a kill may have left the journal behind)."""
        if is_made(self.output) and not self.part.exists():
            self.path.unlink(missing_ok=True)
            return True
        return False

    def load(self) -> None:
        """Take up the journal of an interrupted run, if there is one; raises InputError when its options were others."""
        if not self.path.exists():
            return
        try:
            record = json.loads(self.path.read_text("utf-8"))
            options, self.done = record["options"], Progress(**record["done"])
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{self.path}: cannot be read as a journal; delete it to start anew") from None
        for name in sorted(options.keys() | self.options.keys()):
            before, now = options.get(name), self.options.get(name)
            if before != now:
                raise InputError(f"{self.output}: {_difference(name, before, now)}, or delete {self.path} to start anew")

    def skip(self, rows: Iterator[Row | BadRow]) -> None:
        """Consume the rows that are done; raises InputError when they are not the rows that were tagged."""
        for _ in range(self.done.rows):
            row = next(rows, None)
            if row is None:
                break
            self._digest.update(_identity(row))
        if self._digest.hexdigest() != self.done.rows_sha256:
            raise InputError(
                f"{self.output}: the first {self.done.rows} rows of the input are not those of the interrupted run; "
                f"name the same input to resume it, or delete {self.path} to start anew"
            )

    def add(self, batch: Sequence[Row | BadRow], tagged: Sequence[TaggedRow]) -> None:
        """Put a batch on disk for good."""
        part = "".join(map(jsonl_line, tagged)).encode()
        bad = [(number, row) for number, row in enumerate(batch, self.done.rows + 1) if isinstance(row, BadRow)]
        errors = "".join(jsonl_line({"row": number, "id": row.id, "error": row.error}) for number, row in bad).encode()
        try:
            for stream, content in zip(self._streams, (part, errors), strict=True):
                _write_all(stream.fileno(), content)
            for row in batch:
                self._digest.update(_identity(row))
            sizes = self.done.part_bytes + len(part), self.done.error_bytes + len(errors)
            files = self.done.files + sum(row.of_file for _, row in bad)
            self.done = Progress(self.done.rows + len(batch), self.done.bad + len(bad), self._digest.hexdigest(), *sizes, files)
            self._record()
        except OSError as error:
            raise self._fault(error) from None

    def _record(self) -> None:
        fresh = _fresh(self.path)
        with fresh.open("wb", buffering=0) as stream:
            _write_all(stream.fileno(), json.dumps({"done": asdict(self.done), "options": self.options}, indent=1).encode())
        os.replace(fresh, self.path)

    def finish(self, form: str, labels: Sequence[str], keep_text: bool) -> None:
        """Turn the rows into the output, which replaces an earlier one only when it is whole, and leave no working file."""
        self._close()
        try:
            if form == "jsonl":
                os.replace(self.part, self.output)
            else:
                write_file(self._tagged(), form, self.unfinished, labels, keep_text)
                if self.output.is_dir():
                    self.output.rmdir()  # only when empty: what lies in it is not ours
                os.replace(self.unfinished, self.output)
            self.discard()
        except OSError as error:
            raise self._fault(error) from None

    def discard(self) -> None:
        """Remove the working files; the error file stays when there is something in it."""
        self._close()
        self.part.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        if not self.done.bad:
            self.errors.unlink(missing_ok=True)

    def first_error(self) -> str:
        """Return the sentence about the first row that could not be tagged."""
        with self.errors.open(encoding="utf-8", newline="\n") as lines:
            return str(json.loads(lines.readline())["error"])

    def _tagged(self) -> Iterator[TaggedRow]:
        with self.part.open(encoding="utf-8", newline="\n") as lines:
            yield from map(json.loads, lines)

    def _fault(self, error: OSError) -> InputError:
        where = error.filename or self.part
        return InputError(f"{where}: cannot be written ({error.strerror}); make room or mend the path, then go on with --resume")


class Companions(NamedTuple):
    """The files beside an output; `unfinished` is the output in the making where `part` is not that itself."""

    part: Path
    journal: Path
    errors: Path
    unfinished: Path


def companions(output: Path) -> Companions:
    """Return the files beside `output`."""
    return Companions(*(output.with_name(output.name + suffix) for suffix in (".part", ".journal", ".errors.jsonl", ".unfinished")))


def own_files(output: Path | None, resume: bool) -> list[Path]:
    """Return what a run writes and therefore never finds among its inputs by itself.

    The output is one of them only when it is gone on with: otherwise a file of that name may well be somebody's input.
    """
    if output is None or not output.name:
        return []
    files = companions(output)
    return [*files, _fresh(files.journal), *([output] if resume else [])]


def is_made(output: Path) -> bool:
    """Return whether `output` is a finished one: a file, or a brat folder that is not empty or another's."""
    return output.is_file() or (output / brat.INDEX).is_file()


def _fresh(journal: Path) -> Path:
    """Return where a journal is written before it replaces the one before."""
    return journal.with_name(journal.name + ".new")


def _difference(option: str, before: object, now: object) -> str:
    """Return what to do about an option that differs from the interrupted run's; backend and revision may differ without being typed."""
    if option == "--backend":
        choice = str(before).removesuffix("-int8")  # the name of its backend among those that can be chosen
        return f"was tagged by {before}, now {now} would be used; name --backend {choice} to resume it"
    if option == "--revision":
        return f"the model's weights have changed ({before}, now {now}); bring those back (by --revision, if they are on the Hub)"
    return f"the interrupted run had {option} {before!r}, this one has {now!r}; repeat its options to resume it"


def _identity(row: Row | BadRow) -> bytes:
    content = row.text if isinstance(row, Row) else row.error
    return f"{row.id}\0{len(content)}\0{content}\0".encode("utf-8", "surrogatepass")


def _write_all(descriptor: int, content: bytes) -> None:
    """Write and wait until the disk has it: a full disk is noticed here, not when a buffer is emptied one day."""
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]
    os.fsync(descriptor)
