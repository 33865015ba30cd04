"""What a command line of `tag.py` asks for, checked before a model is loaded; and the form of a tagged row."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conflict_ner.documents import Span
from conflict_ner.errors import InputError
from conflict_ner.inputs import STANDARD_INPUT, Reading, expand, one_sentence
from conflict_ner.journal import companions, is_made, own_files
from conflict_ner.outputs import TaggedRow, chosen_format, spans_of_row
from conflict_ner.tables import BadRow, Columns, Row

ANOTHER = "name another --output"


@dataclass(frozen=True, slots=True)
class Job:
    """What is tagged by which model, and how it is written.

    `model` is what the user named, `revision` a Hub commit or the start of the weights' checksum; every row carries both. `output`
    None is standard output; with the engine `ray`, it is a folder of part files. `backend` None leaves the choice to the tagger.
    """

    files: Sequence[str]
    reading: Reading
    output: Path | None
    format: str
    model: str
    revision: str | None = None
    backend: str | None = None
    min_score: float = 0.0
    keep_text: bool = True
    resume: bool = False
    engine: str = "local"

    def check(self) -> None:
        """Raise InputError for what is bound to fail, before a model is loaded and hours are spent."""
        if not 0 <= self.min_score <= 1:
            raise InputError(f"--min_score {self.min_score:g}: a score lies between 0 and 1; name one in that range")
        if self.output is None:
            if self.resume:
                raise InputError("--resume: standard output cannot be gone on with; name the file to go on with by --output")
            return
        with one_sentence(str(self.output), ANOTHER):
            self._check_output(self.output)

    def _check_output(self, output: Path) -> None:
        folder = self.engine == "ray" or self.format == "brat"
        taken = any(output.iterdir()) or not folder if output.is_dir() else folder and output.exists()
        if not output.name or (taken and not (self.resume and is_made(output))):
            wanted = "an empty or new folder" if folder else "a file"
            raise InputError(f"--output {output}: has a use of its own; name {wanted}")
        files = companions(output)
        for path in filter(Path.exists, (output, *files)):
            if any(path.samefile(name) for name in self.files if name != STANDARD_INPUT):
                raise InputError(f"{path}: is an input, and would be written; name another --output, or move it away")
        if files.journal.exists() and not self.resume:
            raise InputError(f"{output}: an interrupted run is not complete; add --resume, or delete {files.journal} to start anew")

    def options(self) -> dict[str, Any]:
        """Return what changes the rows that are written, by the name of its option: a resumed run must agree in all of it."""
        reading = self.reading
        return {
            "--model": self.model,
            "--revision": self.revision,
            "--backend": self.backend,
            "--format": self.format,
            "--min_score": self.min_score,
            "--no_text": not self.keep_text,
            "--input_format": reading.format,
            "--lines": reading.by_line,
            "--text_column": reading.columns.text,
            "--id_column": reading.columns.id,
        }

    def row(self, row: Row, spans: Sequence[Span]) -> TaggedRow:
        """Return a tagged row, as `outputs` describes it: plain values, spans below `min_score` left out."""
        text = {"text": row.text} if self.keep_text else {}
        return {
            "id": row.id,
            **text,
            "spans": spans_of_row(row.text, spans, self.min_score),
            "model": self.model,
            "revision": self.revision,
        }

    def rows(self, batch: Sequence[Row | BadRow], spans: Sequence[Sequence[Span]]) -> list[TaggedRow]:
        """Return the tagged rows of a batch; `spans` are those of its good rows, in order."""
        good = [row for row in batch if isinstance(row, Row)]
        return [self.row(row, found) for row, found in zip(good, spans, strict=True)]


def planned(arguments: Namespace) -> Job:
    """Return the job the arguments ask for, checked; say what was left out of folders."""
    output = None if arguments.output is None else _output_path(arguments.output)
    notes: list[str] = []
    job = Job(
        files=expand(arguments.files, own_files(output, arguments.resume), notes.append),
        reading=Reading(arguments.input_format, arguments.lines, Columns(arguments.text_column, arguments.id_column)),
        output=output,
        format=chosen_format(arguments.format, output and Path(arguments.output), not arguments.no_text),
        keep_text=not arguments.no_text,
        **{name: getattr(arguments, name) for name in ("model", "revision", "backend", "min_score", "resume", "engine")},
    )
    job.check()
    sys.stderr.writelines(notes)
    return job


def _output_path(name: str) -> Path:
    """Return where an output of that name goes, links followed; raises InputError for what can be neither file nor folder."""
    path = Path(name)
    with one_sentence(name, ANOTHER):
        if name == "-" or (path.exists() and not path.is_file() and not path.is_dir()):
            raise InputError(f"--output {name}: is no file; name one, or leave --output away to write to standard output")
        return Path(os.path.realpath(path)) if path.is_symlink() else path
