"""The code of a Markdown page and what it prints: how a page's examples are made, and how a test finds out whether they still hold.

A block of code stands between fences; a `text` block right behind it is what the page says that the code prints.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conflict_ner.errors import InputError

FENCED = re.compile(r"^```(python|bash)\n(.*?)^```\n(?:\n*^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
# What the other process does: each piece of code in the same names as the one before, what it prints kept apart.
SESSION = """\
import contextlib, io, json, sys
names, printed = {"__name__": "__main__"}, []
for code in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "snippet", "exec"), names)
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


@dataclass(frozen=True, slots=True)
class Block:
    """Code of a page in `language` (python, bash), and the output `shown` behind it, None where none is."""

    language: str
    code: str
    shown: str | None


def blocks_of(markdown: str) -> list[Block]:
    """Return the blocks of Python and shell code, in order."""
    return [Block(*found.groups()) for found in FENCED.finditer(markdown)]


def with_outputs(markdown: str, outputs: Mapping[str, str]) -> str:
    """Return the page with what each block prints behind it, for the blocks whose code is in `outputs`."""

    def behind(found: re.Match[str]) -> str:
        printed = outputs.get(found[2])
        return found[0] if printed is None else f"```{found[1]}\n{found[2]}```\n\n```text\n{printed}```\n"

    return FENCED.sub(behind, markdown)


def run_session(codes: Sequence[str], folder: Path | None = None) -> list[str]:
    """Run pieces of Python one after another as one reader would, in a fresh process in `folder`; return what each prints.

    Raises InputError with the last words of the first that fails.
    """
    return list(json.loads(_run([sys.executable, "-c", SESSION], folder, json.dumps(list(codes)))))


def run_commands(code: str, folder: Path | None = None) -> str:
    """Run the lines of a shell block that begin with `python `, each as one command without a shell; return what they print."""
    lines = code.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("python ")]
    return "".join(_run([sys.executable, *command[1:]], folder) for command in commands)


def run_block(block: Block, folder: Path | None = None) -> str:
    """Run one block by itself and return what it prints; raises InputError when it fails."""
    return run_commands(block.code, folder) if block.language == "bash" else run_session([block.code], folder)[0]


def _run(command: Sequence[str], folder: Path | None, sent: str = "") -> str:
    done = subprocess.run(command, input=sent, capture_output=True, text=True, encoding="utf-8", cwd=folder, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise InputError(f"a snippet does not run ({last}); mend it, or what it needs")
    return done.stdout
