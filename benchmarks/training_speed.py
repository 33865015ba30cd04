"""How long `train.py` takes beside the recipe of the usual example script: same encoder, data, epochs, seed and machine.

    python benchmarks/training_speed.py                                    # about 40 minutes on two cores; resumes
    python benchmarks/training_speed.py --epochs 1 --train_share 0.05 --output build/training_speed.json

The recipe is `benchmarks/peers/recipe.py`: words split beforehand, first sub-token labelled, 32-bit floats, batches of 8 padded to their
longest row, and no choice of a checkpoint; `recipe-our-rate` takes the learning rate of our config. Only when asked for: `recipe` with its
published rate, and `recipe-padded` with every row padded to 512, as the script's `pad_to_max_length` does (many times as long).
`documents` is our config without its sentences: what the recipe learns from, and nothing else; `default` is the config as it is;
`documents-fp32` forbids bfloat16, which train.py uses where the machine multiplies it fast.

Minutes are wall-clock time of the whole process: imports, reading, training, and tagging dev once (ours: also scoring dev after each
epoch, which the recipe leaves out). Sub-tokens are those of the text learnt from, with sentences where they are learnt too, times
epochs; no padding. A result for the same settings, data and code is not computed again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from ceiling import cores  # noqa: E402
from learning_curve import part  # noqa: E402
from speed_worker import peak_mib  # noqa: E402
from tables import training_table  # noqa: E402

from conflict_ner import Tagger  # noqa: E402
from conflict_ner.corpus import read_documents, write_documents  # noqa: E402
from conflict_ner.documents import Document, corpus_sha256  # noqa: E402
from conflict_ner.encoders import resolve_encoder  # noqa: E402
from conflict_ner.errors import InputError, exit_2_on_bad_input  # noqa: E402
from conflict_ner.predictions import read_predictions  # noqa: E402
from conflict_ner.runs import git_commit, read_json_if_any, versions, write_json  # noqa: E402
from conflict_ner.scoring import strict_scores  # noqa: E402
from conflict_ner.training import load_tokenizer, split_sentences  # noqa: E402

BUILD = ROOT / "build/training_speed"
SENTENCES_OFF = ("--sentences_too", "false")
SYSTEMS: dict[str, tuple[str, tuple[str, ...]]] = {  # what is started, and its options beyond the common ones
    "recipe": ("benchmarks/peers/recipe.py", ()),
    "recipe-our-rate": ("benchmarks/peers/recipe.py", ("--learning_rate", "{learning_rate}")),
    "recipe-padded": ("benchmarks/peers/recipe_padded.py", ("--learning_rate", "{learning_rate}")),
    "documents": ("train.py", SENTENCES_OFF),
    "documents-fp32": ("train.py", (*SENTENCES_OFF, "--bf16", "false")),
    "default": ("train.py", ()),
}
BY_DEFAULT = ("recipe-our-rate", "documents", "default")


def run_measured(command: list[str], log: Path) -> dict[str, float]:
    """Run a command to its end; returns wall-clock seconds and peak memory in MiB. Raises InputError when it fails."""
    begun, peak = time.monotonic(), 0.0
    with log.open("w", encoding="utf-8") as file:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            while process.poll() is None:
                peak = peak_mib(process.pid) or peak  # the kernel keeps the maximum, so the last look is the right one
                time.sleep(0.1)
        finally:
            process.kill()
    if process.returncode:
        raise InputError(f"{command[0]} failed; its last words are in {log}")
    return {"seconds": time.monotonic() - begun, "peak_mib": peak}


def run_system(name: str, config: Path, epochs: float, seed: int, dev: list[Document]) -> dict[str, Any]:
    """Train and tag dev; returns time, memory and strict scores."""
    script, options = SYSTEMS[name]
    learning_rate = yaml.safe_load(config.read_text(encoding="utf-8"))["learning_rate"]
    options = tuple(option.format(learning_rate=learning_rate) for option in options)
    labels = sorted({span.label for document in dev for span in document.spans})
    output = BUILD / name
    if script == "train.py":
        shutil.rmtree(output, ignore_errors=True)
        common = ["--config", str(config), "--num_train_epochs", f"{epochs:g}", "--seed", str(seed), "--output_dir", str(output)]
        command = [script, *common, "--train_data", str(BUILD / "train.jsonl"), *options]
        measured = run_measured(command, BUILD / f"{name}.log")
        predicted = [tuple(spans) for spans in Tagger.from_pretrained(output, backend="torch").tag([d.text for d in dev])]
    else:
        files = [f"--{split}={BUILD / file}.jsonl" for split, file in (("train", "train"), ("dev", "blank"), ("test", "blank"))]
        found = output.with_suffix(".jsonl")
        command = [script, *files, "--epochs", f"{epochs:g}", "--seed", str(seed), "--output", str(found), *options]
        measured = run_measured(command, BUILD / f"{name}.log")
        predicted = read_predictions(found, dev, labels)
    return {**measured, "micro": strict_scores([d.spans for d in dev], predicted, labels)["micro"]}


def count_sub_tokens(documents: list[Document], encoder: str) -> dict[bool, int]:
    """Return the sub-tokens of one epoch: of the documents, and (True) of documents and their sentences."""
    tokenizer = load_tokenizer(resolve_encoder(encoder), encoder)

    def count(texts: list[str]) -> int:
        return sum(map(len, tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"])) if texts else 0

    whole = count([document.text for document in documents])
    return {False: whole, True: whole + count([s.text for document in documents for s in split_sentences(document)])}


def code_sha256(config: Path) -> str:
    """Return a checksum over what decides the speed of training: the package's code, the recipe and the config."""
    files = [*sorted((ROOT / "conflict_ner").rglob("*.py")), *sorted((ROOT / "benchmarks/peers").glob("*.py")), config]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


@exit_2_on_bad_input
def main() -> int:
    """Run what is missing, store after each run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "configs/conflict-minilm.yaml")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(BY_DEFAULT))
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--train_share", type=float, default=1.0, help="part of the training documents, for trying out")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/training_speed.json")
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    splits = {key: [d for path in config[f"{key}_data"] for d in read_documents(ROOT / path)] for key in ("train", "dev")}
    train, dev = part(splits["train"], arguments.train_share), splits["dev"]
    BUILD.mkdir(parents=True, exist_ok=True)
    write_documents(train, BUILD / "train.jsonl")
    write_documents([Document(d.id, d.text) for d in dev], BUILD / "blank.jsonl")
    settings = {
        **{"epochs": arguments.epochs, "seed": arguments.seed, "documents": len(train), "cores": cores()},
        "data": {"train": corpus_sha256(train), "dev": corpus_sha256(dev)},
        "code_sha256": code_sha256(arguments.config),
    }
    command = f"python benchmarks/training_speed.py --epochs {arguments.epochs:g} --seed {arguments.seed}"
    result = read_json_if_any(arguments.output) or {}
    if result.get("settings") != settings:
        result = {"settings": settings, "systems": {}}
    sub_tokens = count_sub_tokens(train, config["model_name_or_path"])
    for name in arguments.systems:
        if name not in result["systems"]:
            row = run_system(name, arguments.config, arguments.epochs, arguments.seed, dev)
            row["sub_tokens"] = arguments.epochs * sub_tokens[name == "default" and config.get("sentences_too", False)]
            result["systems"][name] = {**row, "git_commit": git_commit(), "versions": versions()}
            write_json(arguments.output, {**result, "command": f"{command} --systems {' '.join(result['systems'])}"})
        print(f"{name}: {result['systems'][name]['seconds'] / 60:.1f} min", file=sys.stderr, flush=True)
    print(training_table(result), f"written: {arguments.output}", sep="\n\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
