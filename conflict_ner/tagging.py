"""One tagging run from inputs to an output: `tag.py`'s work. It knows no model: an engine turns batches of rows into spans.

    rows -> batches -> engine -> tagged rows -> standard output, or journal -> output file

An engine takes an iterator of batches and yields each again with the spans of its texts, in order; `tag_batches` is the local one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from conflict_ner.documents import Span
from conflict_ner.errors import InputError
from conflict_ner.inputs import read_rows, total_bytes
from conflict_ner.job import Job
from conflict_ner.journal import Journal
from conflict_ner.outputs import TaggedRow, print_rows
from conflict_ner.progress import shown
from conflict_ner.tables import BadRow, Row

ROWS_PER_BATCH = 256
# About. A batch is what counts as done; an interrupt waits for, and a kill loses, whatever is on its way through the tagger's one
# stream over all batches: up to two of its portions, 1,024 texts each.
CHARACTERS_PER_BATCH = 500_000
INTERRUPTED = 130  # exit code, as shells have it

Batch = Sequence[Row | BadRow]
Engine = Callable[[Iterable[Batch]], Iterable[tuple[Batch, Sequence[Sequence[Span]]]]]


def tag_batches(
    stream: Callable[[Iterable[str]], Iterable[list[Span]]], batches: Iterable[Batch]
) -> Iterator[tuple[Batch, list[list[Span]]]]:
    """Tag in this process: the local engine, given `Tagger.stream`."""
    begun: deque[Batch] = deque()

    def texts() -> Iterator[str]:
        for batch in batches:
            begun.append(batch)
            yield from (row.text for row in batch if isinstance(row, Row))

    found: list[list[Span]] = []
    for spans in stream(texts()):  # one stream over all batches, so that no core waits at the end of each
        found.append(spans)
        while begun and len(found) >= (good := _good(begun[0])):
            yield begun.popleft(), found[:good]
            found = found[good:]
    yield from ((batch, []) for batch in begun)


def _good(batch: Batch) -> int:
    return sum(isinstance(row, Row) for row in batch)


def cut_batches(rows: Iterable[Row | BadRow], stop: Event) -> Iterator[Batch]:
    """Group rows, always at the same places; once `stop` is set, no further batch is begun."""
    batch: list[Row | BadRow] = []
    characters = 0
    for row in rows:
        if stop.is_set() and not batch:
            return
        batch.append(row)
        characters += len(row.text) if isinstance(row, Row) else 0
        if len(batch) == ROWS_PER_BATCH or characters >= CHARACTERS_PER_BATCH:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def run(job: Job, engine: Engine, labels: Sequence[str], stop: Event) -> int:
    """Tag everything; returns the exit code: 0, or 130 when `stop` was set. Raises InputError when no row could be tagged."""
    rows = read_rows(job.files, job.reading)
    if job.output is None:
        return _print(job, rows, engine, labels, stop)
    journal = Journal(job.output, job.options())
    if job.resume and journal.is_complete():
        _say(f"{job.output}: was finished by an earlier run, nothing was read now; for new input or other options name another --output")
        return 0
    return _write(job, journal, rows, engine, labels, stop)


def _print(job: Job, rows: Iterator[Row | BadRow], engine: Engine, labels: Sequence[str], stop: Event) -> int:
    tally = Tally()

    def tagged() -> Iterator[TaggedRow]:
        for batch, spans in shown(engine(cut_batches(rows, stop)), total_bytes(job.files), printed=True):
            tally.count(batch, printed=True)
            yield from job.rows(batch, spans)

    try:
        print_rows(tagged(), job.format, sys.stdout, labels)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered would fail once more at exit
        raise InputError(f"standard output: cannot be written ({error.strerror}); make room or name another --output") from None
    if tally.bad and not tally.good:
        raise InputError(tally.first or f"nothing could be tagged, {tally.left_out()}; mend what is named above")
    if tally.bad:
        _say(f"{counted(tally.good, 'row')}; {tally.left_out()}")
    if stop.is_set():
        _say(f"interrupted: {counted(tally.good, 'row')} tagged; --output and --resume can go on where a run stopped")
        return INTERRUPTED
    return 0


@dataclass(slots=True)
class Tally:
    """What became of the rows so far; of the `bad` ones, `files` stand for files.

    What is wrong with the first row waits in `first`: when it is the only row, it is the fault of the run.
    """

    good: int = 0
    bad: int = 0
    files: int = 0
    first: str | None = None

    def count(self, batch: Batch, printed: bool) -> None:
        """Count a batch and say what is wrong with its files, and with its bad rows where they are `printed` and not kept in a file."""
        bad = [row for row in batch if isinstance(row, BadRow)]
        said = [row.error for row in bad if printed or row.of_file]
        self.good, self.bad = self.good + len(batch) - len(bad), self.bad + len(bad)
        self.files += sum(row.of_file for row in bad)
        if self.bad == 1 and not self.good and said:
            (self.first,) = said
            return
        for error in filter(None, (self.first, *said)):
            _say(f"left out: {error}")
        self.first = None

    def left_out(self) -> str:
        """Return in words how much was left out."""
        rows = self.bad - self.files
        files = f"{counted(self.files, 'file')} {_was(self.files)} left out or cut short" if self.files else ""
        return ", ".join(filter(None, (files, f"{counted(rows, 'row')} {_was(rows)} left out" if rows else "")))


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number} {what}" + "s" * (number != 1)


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _write(job: Job, journal: Journal, rows: Iterator[Row | BadRow], engine: Engine, labels: Sequence[str], stop: Event) -> int:
    journal.load()
    tally = Tally(journal.done.rows - journal.done.bad, journal.done.bad, journal.done.files)
    with journal:
        journal.skip(rows)
        for batch, spans in shown(engine(cut_batches(rows, stop)), total_bytes(job.files), printed=False):
            journal.add(batch, job.rows(batch, spans))
            tally.count(batch, printed=False)
        if stop.is_set():
            _say(
                f"interrupted: {journal.part} keeps {counted(journal.done.rows, 'row')}; the same command with --resume goes on from there"
            )
            return INTERRUPTED
        if tally.bad and not tally.good:
            first = journal.first_error()
            journal.discard()
            raise InputError(first if tally.bad == 1 else f"nothing could be tagged, see {journal.errors}; the first: {first}")
        journal.finish(job.format, labels, job.keep_text)
        left_out = f"; {tally.left_out()}, {journal.errors} says why" if tally.bad else ""
        _say(f"{journal.output}: {counted(tally.good, 'row')}{left_out}")
    return 0


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")


@contextmanager
def stop_on_interrupt() -> Iterator[Event]:
    """Give an event that the first SIGINT (Ctrl-C) sets; a second one raises KeyboardInterrupt and loses the texts under way."""
    stop = Event()

    def interrupt(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        said = b"\ninterrupted: finishing the texts under way, up to about 2,000; once more to stop at once\n"
        os.write(2, said)  # sys.stderr may be busy below us

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
