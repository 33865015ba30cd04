"""Ours and its peers on the same splits, scored by the same scorer: the table in benchmarks/README.md.

    python benchmarks/accuracy.py                       # everything: hours on two cores
    python benchmarks/accuracy.py --tasks re3d --peers gazetteer crf

Each result goes into benchmarks/accuracy.json as soon as it is there; a result for the same data, seed and peer code is not computed again.
Ours are the finished runs in models/ (`benchmarks/seeds.py` makes them). Peers see `test.jsonl` without spans
(on re3d, where the scored split is also the dev split, those that choose on dev see it there).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from conflict_ner.corpus import read_documents, write_documents  # noqa: E402
from conflict_ner.documents import Document, corpus_sha256  # noqa: E402
from conflict_ner.errors import InputError, exit_2_on_bad_input  # noqa: E402
from conflict_ner.predictions import read_predictions  # noqa: E402
from conflict_ner.runs import git_commit, read_json_if_any, versions, write_json  # noqa: E402
from conflict_ner.scoring import strict_scores  # noqa: E402

PEERS = ROOT / "benchmarks/peers"
RESULT = ROOT / "benchmarks/accuracy.json"
BUILD = ROOT / "build/peers"


@dataclass(frozen=True)
class Task:
    """Three splits, and our runs on them by seed."""

    train: str
    dev: str
    test: str
    ours: str
    our_epochs: str


@dataclass(frozen=True)
class Peer:
    """A file in benchmarks/peers, whether its result depends on the seed, and options beyond the common ones."""

    file: str
    seeded: bool
    options: tuple[str, ...] = ()


TASKS = {
    "conflict": Task("data/conflict/train", "data/conflict/dev", "data/conflict/test", "conflict-minilm", "5"),
    # Peers that choose on dev may do so on the very sentences they are scored on; ours chooses nothing there.
    "re3d": Task("../shared/re3d/train.txt", "../shared/re3d/dev.txt", "../shared/re3d/dev.txt", "re3d-minilm", "16"),
}
RUNS = {
    "gazetteer": Peer("gazetteer", seeded=False),
    "crf": Peer("crf", seeded=False),
    "spacy-cnn": Peer("spacy_cnn", seeded=True),
    "recipe": Peer("recipe", seeded=True),
    "recipe-our-settings": Peer("recipe", seeded=True, options=("--epochs", "{our_epochs}", "--learning_rate", "3e-4")),
}


def python_of(peer: Peer) -> str:
    """Return the interpreter of a peer, its environment made when it needs one of its own."""
    pins = PEERS / f"{peer.file}.txt"
    if not pins.exists():
        return sys.executable
    environment = BUILD / f"env-{peer.file}"
    if not (environment / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin/python", "-m", "pip", "install", "--quiet", "-r", pins], check=True)
        (environment / "ready").touch()
    return str(environment / "bin/python")


def run_peer(name: str, task_name: str, seed: int, test: list[Document], labels: list[str]) -> dict[str, Any]:
    """Train and tag in a process of its own; returns its strict scores and minutes."""
    peer, task, folder = RUNS[name], TASKS[task_name], BUILD / task_name
    output = folder / f"{name}-{seed}.jsonl"
    options = [option.format(our_epochs=task.our_epochs) for option in peer.options]
    files = [part for split in ("train", "dev", "test") for part in (f"--{split}", str(folder / f"{split}.jsonl"))]
    command = [python_of(peer), str(PEERS / f"{peer.file}.py"), *files, "--seed", str(seed), "--output", str(output), *options]
    begun = time.monotonic()
    log = output.with_suffix(".log")
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=False)
    if done.returncode:
        raise InputError(f"{name} failed on {task_name}; its last words are in {log}")
    minutes = (time.monotonic() - begun) / 60
    predicted = read_predictions(output, test, labels)
    return {"minutes": minutes, "strict": strict_scores([d.spans for d in test], predicted, labels)}


def our_runs(task: Task, checksums: dict[str, str], seeds: list[int]) -> list[dict[str, Any]]:
    """Return the scores of our finished runs; raises InputError when one is missing, or was trained or scored on other data."""
    rows = []
    for folder in sorted((ROOT / "models").glob(f"{task.ours}*")):
        metrics, run = read_json_if_any(folder / "metrics.json"), read_json_if_any(folder / "run.json")
        if metrics and run and folder.name in (task.ours, f"{task.ours}-seed{run['settings']['seed']}"):
            used = {"train": run["data"]["train"]["sha256"], "dev": run["data"]["dev"]["sha256"], "test": metrics["data"]["sha256"]}
            if used != checksums or run["status"] != "finished":
                raise InputError(
                    f"{folder}: was trained or scored on other data than {task.train}, {task.dev}, {task.test}; run seeds.py again"
                )
            rows.append({"seed": run["settings"]["seed"], "minutes": run["seconds"] / 60, "strict": metrics["strict"]})
    if not set(seeds) <= {row["seed"] for row in rows}:
        raise InputError(f"models/{task.ours}: runs for seeds {seeds} are wanted; make them with benchmarks/seeds.py")
    return [row for row in rows if row["seed"] in seeds]


@exit_2_on_bad_input
def main() -> int:
    """Run what is missing, store, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--peers", nargs="*", choices=[*RUNS, "ours"], default=[*RUNS, "ours"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    result = read_json_if_any(RESULT) or {"tasks": {}}
    for task_name in arguments.tasks:
        task = TASKS[task_name]
        splits = {split: read_documents(ROOT / getattr(task, split)) for split in ("train", "dev", "test")}
        checksums = {split: corpus_sha256(documents) for split, documents in splits.items()}
        stored = result["tasks"].get(task_name, {})
        if stored.get("data") != checksums:
            stored = {"data": checksums, "documents": len(splits["test"]), "peers": {}}
        result["tasks"][task_name] = stored
        (BUILD / task_name).mkdir(parents=True, exist_ok=True)
        blank = [Document(d.id, d.text) for d in splits["test"]]
        for split, documents in {**splits, "test": blank}.items():
            write_documents(documents, BUILD / task_name / f"{split}.jsonl")
        labels = sorted({span.label for documents in splits.values() for d in documents for span in d.spans})
        for name in arguments.peers:
            if name == "ours":
                stored["peers"]["ours"] = {"runs": our_runs(task, checksums, arguments.seeds)}
            else:
                for seed in missing_seeds(stored["peers"], name, arguments.seeds):
                    scores = run_peer(name, task_name, seed, splits["test"], labels)
                    stored["peers"][name]["runs"].append({"seed": seed, **scores, "git_commit": git_commit(), "versions": versions()})
                    save(result)
            for row in stored["peers"][name]["runs"]:
                print(f"{task_name} {name} seed {row['seed']}: F1 {row['strict']['micro']['f1']:.3f}, {row['minutes']:.1f} min", flush=True)
            save(result)
    return 0


def fingerprint(name: str) -> str:
    """Return a checksum over all that makes a peer what it is: its file, what peers share, its pins and options."""
    peer = RUNS[name]
    parts = [PEERS / f"{peer.file}.py", PEERS / "peer.py", PEERS / f"{peer.file}.txt"]
    content = b"\0".join(part.read_bytes() for part in parts if part.exists())
    return hashlib.sha256(content + repr(peer.options).encode()).hexdigest()


def missing_seeds(peers: dict[str, Any], name: str, seeds: list[int]) -> list[int]:
    """Return the seeds without a stored result of the peer's present code; results of earlier code are dropped."""
    code = fingerprint(name)
    if peers.get(name, {}).get("code_sha256") != code:
        peers[name] = {"code_sha256": code, "runs": []}
    done = {row["seed"] for row in peers[name]["runs"]}
    return [seed for seed in (seeds if RUNS[name].seeded else seeds[:1]) if seed not in done]


def save(result: dict[str, Any]) -> None:
    """Store what there is."""
    write_json(RESULT, {**result, "command": "make bench-accuracy"})


if __name__ == "__main__":
    raise SystemExit(main())
