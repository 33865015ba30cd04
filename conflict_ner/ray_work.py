"""What Ray's workers do with rows: read them, tag them, write them. Which worker does what when is Ray Data's affair.

Rows travel pickled, and tagged ones as lines of JSON: Ray's columns of text could hold neither a bad row nor a lone surrogate.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import pyarrow as pa
from ray.data import Datasink

from conflict_ner.errors import InputError
from conflict_ner.inputs import Reading, read_rows
from conflict_ner.job import Job
from conflict_ner.outputs import jsonl_line, write_file
from conflict_ner.tables import BadRow, Row
from conflict_ner.tagger import Tagger
from conflict_ner.tagging import cut_batches

if TYPE_CHECKING:
    from ray.data._internal.execution.interfaces import TaskContext
    from ray.data.datasource.datasink import WriteResult

PART_BYTES = 2**25  # at least, but for the last ones


def read_files(here: Path, reading: Reading, files: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows of files, pickled."""
    go_to(here)
    names = [os.fsdecode(file) for file in files["file"].to_pylist()]
    for batch in cut_batches(read_rows(names, reading), Event()):
        yield pa.table({"row": [pickle.dumps(row) for row in batch]})


def go_to(folder: Path) -> None:
    """Let relative paths mean the same on a worker as here, where the folder is shared."""
    if folder.is_dir():
        os.chdir(folder)


class TagBatch:
    """A worker: one Tagger for all batches that come its way."""

    def __init__(self, here: Path, job: Job, cores: int, device: str | None) -> None:
        """Take what the job asks for; `here` is what relative paths go by."""
        self.here, self.job, self.cores, self.device = here, job, cores, device

    @cached_property
    def tagger(self) -> Tagger:
        """The Tagger, made at the first batch: of an error in a constructor, Ray would print pages."""
        go_to(self.here)
        os.environ["RAYON_NUM_THREADS"] = str(self.cores)  # the tokenizer's threads
        return Tagger.from_pretrained(self.job.model, self.job.backend or "auto", self.device, self.job.revision, self.cores)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return each row as a line of JSON, `good` when it was tagged; `lost` says what is wrong with a file."""
        rows: list[Row | BadRow] = [pickle.loads(row) for row in batch["row"].to_pylist()]
        spans = self.tagger.tag([row.text for row in rows if isinstance(row, Row)])
        tagged = replace(self.job, revision=self.tagger.model.revision).rows(rows, spans)
        bad = [row for row in rows if isinstance(row, BadRow)]
        faults = [{"id": row.id, "error": row.error} for row in bad]
        lost = [row.error if row.of_file else "" for row in bad]
        return pa.table(
            {
                "line": list(map(jsonl_line, [*tagged, *faults])),
                "good": [True] * len(tagged) + [False] * len(bad),
                "lost": pa.array([""] * len(tagged) + lost, pa.string()),
            }
        )


class Written(NamedTuple):
    """What a task wrote: its number, how many rows could and could not be tagged, and what is wrong with files."""

    task: int
    good: int
    bad: int
    lost: tuple[str, ...] = ()

    @property
    def errors(self) -> str:
        """The name of the file with the rows that could not be tagged."""
        return f"errors-{self.task:06d}.jsonl"


class Parts(Datasink[Written]):
    """Part files in `folder`, which every node must see; after the run, `written` says what is in them."""

    def __init__(self, folder: Path, job: Job) -> None:
        """Name the folder and how the job wants its rows."""
        self.folder, self.form, self.keep_text = folder, job.format, job.keep_text
        self.written: list[Written] = []

    @property
    def min_bytes_per_write(self) -> int:
        """Blocks are gathered until they are worth a file."""
        return PART_BYTES

    def write(self, blocks: Iterable[pa.Table], ctx: TaskContext) -> Written:
        """Write one part, and one with the rows that could not be tagged; on a worker."""
        lines: dict[bool, list[str]] = {True: [], False: []}
        lost: list[str] = []
        for block in filter(len, blocks):  # Ray's empty blocks have no columns
            for line, good in zip(block["line"].to_pylist(), block["good"].to_pylist(), strict=True):
                lines[good].append(line)
            lost += filter(None, block["lost"].to_pylist())
        written = Written(ctx.task_idx, len(lines[True]), len(lines[False]), tuple(lost))
        self._write(f"part-{ctx.task_idx:06d}.{self.form}", lines[True], self.form)
        self._write(written.errors, lines[False], "jsonl")
        return written

    def _write(self, name: str, lines: list[str], form: str) -> None:
        """Write a file that is there whole or not at all, unless there is nothing to write."""
        if not lines:
            return
        unfinished = self.folder / f".{uuid4().hex}"  # nobody else's: a worker thought dead may still be writing
        try:
            write_file(map(json.loads, lines), form, unfinished, (), self.keep_text)
            os.replace(unfinished, self.folder / name)
        except OSError as error:
            raise InputError(
                f"{self.folder / name}: cannot be written on {socket.gethostname()} ({error.strerror}); "
                "make room, or let --output lie where all nodes can write"
            ) from None

    def on_write_complete(self, write_result: WriteResult[Written]) -> None:
        """Keep what the tasks returned; on the machine that began the run."""
        self.written = write_result.write_returns
