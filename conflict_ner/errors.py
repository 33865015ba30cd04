"""What a user did that we cannot work with, told in one sentence.

Anything a user can mend (a file, a config, an environment) raises `InputError`; the entry scripts print its message and exit with
code 2. Every other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import codecs
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec


class InputError(ValueError):
    """Bad input: the message names the file and line where known, what is wrong, and how to mend it."""

    @classmethod
    def at(cls, path: Path | str, line: int | None, what: str) -> InputError:
        """Return the error for `what` found in `path`, at `line` (counted from 1) where a line is known."""
        return cls(f"{path}:{line}: {what}" if line else f"{path}: {what}")


class MissingTextError(InputError):
    """The text that a stand-off annotation points to is not on this machine."""


P = ParamSpec("P")


def exit_2_on_bad_input(main: Callable[P, int]) -> Callable[P, int]:
    """Wrap an entry script's `main(argv)`: an `InputError` becomes one line on stderr and exit code 2."""

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except InputError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    return wrapped


def read_text(path: Path) -> str:
    r"""Return the UTF-8 text of `path` with its line ends untouched (`\r\n` stays); raise InputError when it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    return decode_utf8(content, path)


def decode_utf8(content: bytes, name: Path | str, first_line: int = 1) -> str:
    """Return UTF-8 bytes as text, a byte-order mark left out; raises InputError naming the line of the first other byte."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + content[: error.start].count(b"\n")
        raise InputError.at(name, line, f"byte {content[error.start]:#04x} is not UTF-8; save the file as UTF-8") from None
