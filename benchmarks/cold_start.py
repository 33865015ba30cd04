"""How long a command takes from its start to the first entity on the screen: interpreter, imports, weights, one article."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from conflict_ner.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
ARTICLE = ROOT / "tests/data/article.txt"
STOCK = """\
import sys; from transformers import pipeline
tag = pipeline("token-classification", model=sys.argv[1], aggregation_strategy="simple")
print(tag(open(sys.argv[2], encoding="utf-8").read())[0])
"""


def commands(model: Path) -> dict[str, list[str]]:
    """Return what is started, by name."""
    ours = [sys.executable, "tag.py", "--model", str(model)]
    return {
        "stock": [sys.executable, "-c", STOCK, str(model), str(ARTICLE)],
        "torch": [*ours, "--backend", "torch", str(ARTICLE)],
        "onnx-int8": [*ours, "--backend", "onnx", str(ARTICLE)],
    }


def cold_starts(model: Path, rounds: int) -> dict[str, Any]:
    """Return the seconds of every command in every round, and why one could not be run; a round before the first warms the disk cache."""
    seconds: dict[str, list[float]] = {}
    skipped: dict[str, str] = {}
    for number in range(rounds + 1):
        for name, command in commands(model).items():
            try:
                taken = seconds_to_first_entity(command)
            except InputError as error:
                skipped[name] = str(error)
                continue
            if number:
                seconds.setdefault(name, []).append(round(taken, 3))
    return {"seconds": seconds, "skipped": skipped}


def seconds_to_first_entity(command: list[str]) -> float:
    """Run a command until it prints an entity; raises InputError with its last words when it prints none."""
    # As on a screen, a line is out when it is printed, not when a buffer is full.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        line = process.stdout.readline() if process.stdout else ""
        taken = time.perf_counter() - begun
        _, errors = process.communicate()
    if process.returncode or not any(key in line for key in ('"label"', "entity_group")):
        raise InputError((errors.strip().splitlines() or [f"found no entity in {ARTICLE.relative_to(ROOT)}"])[-1])
    return taken
