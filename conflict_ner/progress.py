"""How far a tagging run is, on a terminal's standard error: a bar over the bytes of input, documents, documents/s, remaining time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from conflict_ner.tables import BadRow, Row

Result = TypeVar("Result")


def shown(
    results: Iterable[tuple[Sequence[Row | BadRow], Result]], total: int | None, printed: bool
) -> Iterator[tuple[Sequence[Row | BadRow], Result]]:
    """Yield `results` while a bar shows how much of `total` bytes of input they make up; None: unknown, and so is the remaining time.

    No bar is drawn where nobody sees it, nor on a terminal that the rows themselves are `printed` to.
    """
    console = Console(stderr=True)
    hidden = not console.is_terminal or (printed and sys.stdout.isatty())
    columns = TextColumn("{task.fields[documents]} documents, {task.fields[speed]:.1f}/s"), TimeRemainingColumn()
    with Progress(
        "tagging", BarColumn(), TaskProgressColumn(), *columns, console=console, disable=hidden, redirect_stdout=False
    ) as progress:
        task = progress.add_task("", total=total, documents=0, speed=0.0)
        began, documents = time.monotonic(), 0
        for batch, result in results:
            yield batch, result
            documents += len(batch)
            speed = documents / max(time.monotonic() - began, 1e-9)
            progress.update(task, completed=batch[-1].read, documents=documents, speed=speed)
