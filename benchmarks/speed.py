"""How fast the tagger is, beside the stock pipeline and beside the machine's own limit: the table in benchmarks/README.md.

    python benchmarks/speed.py                                           # about 25 minutes on two cores
    python benchmarks/speed.py --rounds 2 --share 0.05 --output build/speed.json --systems stock torch

Each system loads once, in a process of its own, and tags on request (`speed_worker.py`). Rounds go through all systems in turn, so that
what else the machine does meets all alike; ratios are taken within a round, and the table shows medians over rounds. Systems that this
machine or the model folder does not have (no GPU, no ONNX model) are said and left out.

Sub-tokens are those of the text, counted once by the model's tokenizer: padding, specials and overlaps are each system's own affair.
The ceiling is defined in `ceiling.py`; it is measured in the same rounds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from ceiling import cores, instructions  # noqa: E402
from cold_start import cold_starts  # noqa: E402
from speed_worker import System  # noqa: E402
from tables import cold_start_table, speed_table  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from conflict_ner.corpus import read_documents  # noqa: E402
from conflict_ner.errors import InputError, exit_2_on_bad_input  # noqa: E402
from conflict_ner.model_folder import open_model  # noqa: E402
from conflict_ner.runs import git_commit, versions, write_json  # noqa: E402

SHARED = ROOT.parent / "shared"
BUILD = ROOT / "build/speed"
ARTICLES = 60  # of each source
LONG = 5_000_000  # characters
CEILING_SECONDS = 2.0  # of each measurement of a ceiling
LONG_KIND = "long"  # read once, behind the other kinds: it takes minutes, and what happens once has happened by then
LONG_PART = 10  # systems of 32-bit floats read the tenth part of the long text: all of it would take them minutes each time

SYSTEMS = {
    "stock": System("stock"),
    "stock-8": System("stock", batch_size=8),
    "stock-32": System("stock", batch_size=32),
    "torch": System("ours", "torch"),
    "onnx-fp32": System("ours", "onnx-fp32"),
    "onnx-int8": System("ours", "onnx"),
    "stock-cuda": System("stock", batch_size=32, device="cuda"),
    "torch-cuda": System("ours", "torch", device="cuda"),
}
CEILINGS = {
    "fp32": System("ceiling", "fp32"),
    "int8": System("ceiling", "int8"),
    "bf16-cuda": System("ceiling", "bf16-cuda", device="cuda"),
}


def ceiling_of(system: System) -> str:
    """Return the kind of product that a system computes with."""
    return "bf16-cuda" if system.device == "cuda" else "int8" if system.backend == "onnx" else "fp32"


@dataclass(frozen=True)
class Part:
    """Texts of one kind as a worker reads them: `documents` is a fraction for a part of a single long text."""

    file: Path
    documents: float
    characters: int
    sub_tokens: int

    def size(self) -> dict[str, float]:
        """Return how much text it is."""
        return {"documents": self.documents, "characters": self.characters, "sub_tokens": self.sub_tokens}


def kinds_of_text(share: float) -> dict[str, list[str]]:
    """Return short sentences, articles, and one long text; `share` takes the first part of each, for trying out."""
    sentences = [d.text for split in ("train", "dev") for d in read_documents(SHARED / f"re3d/{split}.txt")]
    sources = [jsonl_texts(SHARED / f"real_text/{name}.jsonl.gz") for name in ("insight_crime", "muc4_train")]
    articles = [text for texts in sources for text in random.Random(0).sample(texts, ARTICLES)]
    random.Random(0).shuffle(articles)
    long = "\n\n".join(text for texts in sources for text in texts)[:LONG]
    return {
        "sentences": sentences[: max(1, round(share * len(sentences)))],
        "articles": articles[: max(1, round(share * len(articles)))],
        "long": [long[: round(share * LONG)]],
    }


def jsonl_texts(path: Path) -> list[str]:
    """Return the texts of a compressed JSON Lines file; raises InputError when it is not there."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file; this benchmark needs the texts in {SHARED}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def write_parts(texts: dict[str, list[str]], tokenizer: Tokenizer) -> dict[str, tuple[Part, Part]]:
    """Write the texts where workers read them: of each kind all of it, and what slow systems read."""
    BUILD.mkdir(parents=True, exist_ok=True)

    def part(name: str, texts: list[str], documents: float) -> Part:
        file = BUILD / f"{name}.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        sub_tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts, add_special_tokens=False))
        return Part(file, documents, sum(map(len, texts)), sub_tokens)

    parts = {kind: (part(kind, chosen, len(chosen)),) * 2 for kind, chosen in texts.items() if kind != "long"}
    (long,) = texts["long"]
    return {**parts, "long": (part("long", [long], 1), part("long-part", [long[: len(long) // LONG_PART]], 1 / LONG_PART))}


class Worker:
    """A system in its own process, spoken to in lines of JSON."""

    def __init__(self, name: str, system: System, model: Path) -> None:
        self.name, self.log = name, BUILD / f"{name}.log"
        command = [sys.executable, "benchmarks/speed_worker.py", "--model", str(model), "--system", json.dumps(asdict(system))]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )

    def hear(self) -> dict[str, Any]:
        """Wait for the next line; raises InputError when the worker has stopped instead."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise InputError(f"{self.name} stopped; its last words are in {self.log}")
        return json.loads(line)

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        if self.process.stdin:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        return self.hear()


@contextmanager
def workers(systems: dict[str, System], model: Path) -> Iterator[tuple[dict[str, Worker], dict[str, str]]]:
    """Start every system; yields those that are ready, and why the others are left out."""
    started = {name: Worker(name, system, model) for name, system in systems.items()}
    try:
        first = {name: worker.hear() for name, worker in started.items()}
        skipped = {name: words["skipped"] for name, words in first.items() if "skipped" in words}
        yield {name: worker for name, worker in started.items() if name not in skipped}, skipped
    finally:
        for worker in started.values():
            worker.process.kill()
            worker.process.wait()


def measure(kind: str, parts: tuple[Part, Part], rounds: int, ready: dict[str, Worker], result: dict[str, Any]) -> None:
    """Let every system tag one kind of text, round after round, and add the seconds to `result`."""
    once = kind == LONG_KIND
    for number in range(1 if once else rounds):
        for name, worker in ready.items():
            if name in CEILINGS:
                rate = worker.ask(ceiling=CEILING_SECONDS)["sub_tokens_per_second"]
                result["ceilings"].setdefault(name, {}).setdefault(kind, []).append(rate)
                continue
            kind_of_ceiling = ceiling_of(SYSTEMS[name])
            part = parts[kind_of_ceiling == "fp32"]
            system = result["systems"].setdefault(name, {"ceiling": kind_of_ceiling, "kinds": {}})
            row = system["kinds"].setdefault(kind, {**part.size(), "seconds": []})
            if not number and not once:  # memory is allocated and threads are started once: that is not what is measured
                worker.ask(texts=str(part.file))
            said = worker.ask(texts=str(part.file))
            row["seconds"].append(round(said["seconds"], 4))
            row["peak_mib"] = said["peak_mib"]
        print(f"{kind}: round {number + 1} of {1 if once else rounds}", file=sys.stderr, flush=True)


@exit_2_on_bad_input
def main() -> int:
    """Measure, store after each kind of text, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models/conflict-minilm")
    parser.add_argument("--data", type=Path, default=ROOT / "data/conflict/test", help="corpus for the F1 column")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--kinds", nargs="+", choices=["sentences", "articles", LONG_KIND], default=["sentences", "articles", LONG_KIND])
    parser.add_argument("--rounds", type=int, default=3, help="of sentences and articles; the long text is read once")
    parser.add_argument("--share", type=float, default=1.0, help="first part of each kind of text, for trying out")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/speed.json")
    arguments = parser.parse_args()
    model = arguments.model.resolve()
    if not (model / "tokenizer.json").exists():
        raise InputError(f"{model}: holds no tokenizer.json; train the model first (python train.py --config ...) or name another folder")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    parts = {kind: both for kind, both in write_parts(kinds_of_text(arguments.share), tokenizer).items() if kind in arguments.kinds}
    chosen = {name: SYSTEMS[name] for name in arguments.systems}
    result: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/speed.py", *sys.argv[1:]]),
        "machine": {"processor": platform.machine(), "cores": cores(), "instructions": instructions()},
        "rounds": arguments.rounds,
        "weights_sha256": open_model(model).weights_sha256,
        "kinds": {},
        "systems": {},
        "ceilings": {},
        "git_commit": git_commit(),
        "versions": versions(),
    }
    result["cold_start"] = cold_starts(model, arguments.rounds)  # before anything else holds memory
    with workers(CEILINGS | chosen, model) as (ready, result["skipped"]):
        for name, reason in result["skipped"].items():
            print(f"left out: {name}: {reason}", file=sys.stderr)
        for kind, both in parts.items():
            measure(kind, both, arguments.rounds, ready, result)
            result["kinds"][kind] = both[0].size()
            write_json(arguments.output, result)
        for name in result["systems"]:
            if SYSTEMS[name].program == "ours":
                result["systems"][name]["f1"] = ready[name].ask(score=str(arguments.data))["f1"]
    write_json(arguments.output, result)
    print(speed_table(result), cold_start_table(result), f"written: {arguments.output}", sep="\n\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
