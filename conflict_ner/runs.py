"""A run folder `models/<run>/` on disk: prepared before anything is computed, recorded in `run.json`, cleaned when finished.

`run.json` says how the weights beside it came to be (settings, data checksums, code commit, versions, seconds), so that a run can be
repeated and a resumed run can be refused when it would not be the same run.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conflict_ner.errors import InputError, read_text

RUN_RECORD = "run.json"
METRICS = "metrics.json"
EVIDENCE = "evidence.json"  # what was measured of a run elsewhere than by evaluate.py
CARD = "README.md"
PREDICTIONS = "predictions.jsonl"
REPORT = "report.html"
PLOTS = "plots"
LEARNING_CURVE = "learning_curve.json"
WEIGHTS = "model.safetensors"
PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "accelerate", "seqeval", "numpy", "scipy")


def prepare_output(folder: Path, bytes_needed: int = 0) -> None:
    """Create `folder` and prove that it can be written and has room; raises InputError otherwise, before any work is lost."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"writable")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); name another folder") from None
    free = shutil.disk_usage(folder).free
    if free < bytes_needed:
        raise InputError(
            f"{folder}: {free / 1e9:.1f} GB are free, about {bytes_needed / 1e9:.1f} GB are needed; free some or name another folder"
        )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that a reader never sees half of it: to a neighbour first, then renamed."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="replace")
    os.replace(part, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises InputError when it is missing, cut off or something else."""
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError.at(path, error.lineno, f"not valid JSON ({error.msg}); make it anew, it may be cut off") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected one JSON object")
    return content


def read_json_if_any(path: Path) -> dict[str, Any] | None:
    """Read a JSON object, None when there is no such file; raises InputError when it is cut off or something else."""
    return read_json(path) if path.exists() else None


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that can change a number."""
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def git_commit() -> str | None:
    """Return the commit, marked `-dirty` when tracked code or data differ from it (results do not count); None outside a git checkout."""
    try:
        git = ["git", "-C", str(Path(__file__).parent)]
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(
            [*git, "status", "--porcelain", "-uno", ":/", ":(exclude,top)models", ":(exclude,top)benchmarks/*.json"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("-dirty" if status.strip() else "")


def changed_parts(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Return what differs between the run recorded in `folder` and `record`: settings by name, `data`, `labels`."""
    begun = read_json(folder / RUN_RECORD)
    old, new = begun.get("settings", {}), record["settings"]
    changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return changed + [key for key in ("data", "labels") if begun.get(key) != record[key]]


def check_same_run(folder: Path, record: Mapping[str, Any]) -> None:
    """Raise InputError when the run begun in `folder` had other settings, data or label set than `record`."""
    if changed := changed_parts(folder, record):
        raise InputError(f"{folder}: the run begun there has other {', '.join(changed)}; use the same, or another --output_dir")


def is_finished(folder: Path, record: Mapping[str, Any]) -> bool:
    """Tell whether `folder` holds the weights of this very run, trained to the end."""
    if not (folder / WEIGHTS).exists() or not (folder / RUN_RECORD).exists():
        return False
    return read_json(folder / RUN_RECORD).get("status") == "finished" and not changed_parts(folder, record)


def refuse_unfinished(folder: Path) -> None:
    """Raise InputError when a checkpoint of an unfinished run would be mixed up with a new run."""
    if checkpoints := sorted(folder.glob("checkpoint-*")):
        raise InputError(
            f"{folder}: holds {checkpoints[-1].name} of an unfinished run; continue it with --resume_from_checkpoint true, "
            "or remove the folder"
        )


def remove_checkpoints(folder: Path) -> None:
    """Delete the checkpoints of a finished run: optimizer states are three times the size of the weights."""
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
