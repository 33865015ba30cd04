"""What a stranger gets: a published model, loaded by its id in another process with an empty cache, must find what its folder finds.

echo '["Rockets hit Port Azur."]' | python -m conflict_ner.readback OWNER/NAME REVISION
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import get_token

from conflict_ner.errors import InputError

Entities = list[list[list[int | str]]]  # per text, per entity: start, end, label


def entities(model: str | Path, texts: Sequence[str], revision: str | None = None) -> dict[str, Entities]:
    """Return what a model folder or Hub id finds, by each way of loading it that the card describes."""
    from transformers.utils import logging as transformers_logging

    from conflict_ner.tagger import Tagger

    transformers_logging.disable_progress_bar()
    found: dict[str, Entities] = {}
    for backend in ("torch", "onnx-fp32", "onnx"):
        tagger = Tagger.from_pretrained(model, backend=backend, device="cpu", revision=revision)
        found[backend] = [[[span.start, span.end, span.label] for span in spans] for spans in tagger.tag(texts)]

    from transformers import pipeline

    stock = pipeline("token-classification", model=str(model), revision=revision, aggregation_strategy="simple", device="cpu")
    found["pipeline"] = [[[row["start"], row["end"], row["entity_group"]] for row in stock(text)] for text in texts]
    return found


def load_back(repo_id: str, commit: str, texts: Sequence[str]) -> dict[str, Entities]:
    """Return what `repo_id` at `commit` finds in `texts`, fetched into a cache of its own; raises InputError when it cannot be loaded."""
    with tempfile.TemporaryDirectory() as empty:
        # Nothing may lead to files that are on this machine: no cache, and no folder named like the id in the working directory.
        environment = {name: value for name, value in os.environ.items() if not name.endswith(("_CACHE", "_OFFLINE", "_TOKEN_PATH"))}
        environment |= {"HF_HOME": empty, "HF_TOKEN": get_token() or "", "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        command = [sys.executable, "-m", "conflict_ner.readback", repo_id, commit]
        done = subprocess.run(
            command, input=json.dumps(texts), capture_output=True, encoding="utf-8", env=environment, cwd=empty, check=False
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"{repo_id}: is there as {commit[:12]}, but cannot be loaded back ({reason}); it is not tagged, publish again")
    found: dict[str, Entities] = json.loads(done.stdout)
    return found


def check_same(repo_id: str, commit: str, found: dict[str, Entities], expected: dict[str, Entities]) -> None:
    """Raise InputError unless what was loaded back finds what the folder finds, in every way."""
    if different := [way for way in expected if found.get(way) != expected[way]]:
        ways = ", ".join(different)
        raise InputError(f"{repo_id}: {commit[:12]} finds other entities than its folder ({ways}); it is not tagged, publish again")


if __name__ == "__main__":
    json.dump(entities(sys.argv[1], json.load(sys.stdin), sys.argv[2]), sys.stdout)
