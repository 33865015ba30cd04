"""How much each further document is worth: train on a part of the training documents, score on the same data.

    python benchmarks/learning_curve.py --config configs/conflict-minilm.yaml --data data/conflict/test --shares 0.1 0.25 0.5 1

Writes benchmarks/<config name>-learning-curve.json, and learning_curve.json beside the whole model, where the report finds it. A part
holds the documents whose id has the lowest checksums, so a smaller part lies inside every larger one. All of it is the config's own
run in models/<config name>; a finished run is scored again, not trained again.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from seeds import run, score  # noqa: E402

from conflict_ner.corpus import read_documents, write_documents  # noqa: E402
from conflict_ner.documents import Document  # noqa: E402
from conflict_ner.errors import InputError, exit_2_on_bad_input  # noqa: E402
from conflict_ner.runs import LEARNING_CURVE, git_commit, read_json, versions, write_json  # noqa: E402


def part(documents: list[Document], share: float) -> list[Document]:
    """Return `share` of the documents, in their order, chosen by the checksum of their ids."""
    ranked = sorted(documents, key=lambda document: hashlib.sha256(document.id.encode()).hexdigest())
    chosen = {document.id for document in ranked[: max(1, round(share * len(documents)))]}
    return [document for document in documents if document.id in chosen]


def train_part(config: Path, documents: list[Document], share: float) -> Path:
    """Train on a part, all of it with the config as it is; returns the run folder."""
    if share == 1:
        folder = Path("models") / config.stem
        run("train.py", "--config", str(config), "--output_dir", str(folder), "--resume_from_checkpoint", "true")
        return folder
    name = f"{config.stem}-{share:g}"
    corpus = ROOT / "build/learning_curve" / f"{name}.jsonl"
    write_documents(part(documents, share), corpus)
    folder = Path("models") / name
    settings = ["--train_data", str(corpus.relative_to(ROOT)), "--output_dir", str(folder), "--resume_from_checkpoint", "true"]
    run("train.py", "--config", str(config), *settings)
    return folder


@exit_2_on_bad_input
def main() -> int:
    """Train and score every share, smallest first; write the JSON after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", required=True, help="corpus to score")
    parser.add_argument("--others", nargs="*", default=[], help="further corpora to score")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.25, 0.5, 1.0])
    arguments = parser.parse_args()
    if not all(0 < share <= 1 for share in arguments.shares) or 1 not in arguments.shares:
        raise InputError("--shares: a share lies above 0 and is at most 1, and 1 is one of them; the curve belongs to the whole model")
    settings = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    documents = [d for path in settings["train_data"] for d in read_documents(ROOT / path)]
    points: list[dict[str, Any]] = []
    for share in sorted(arguments.shares):
        folder = train_part(arguments.config, documents, share)
        score(folder, arguments.data, arguments.others)
        metrics, record = read_json(ROOT / folder / "metrics.json"), read_json(ROOT / folder / "run.json")
        points.append(
            {
                "documents": record["data"]["train"]["documents"],
                "micro": metrics["strict"]["micro"],
                "per_label": metrics["strict"]["per_label"],
                "others": {path: {"documents": s["strict"]["documents"], **s["strict"]["micro"]} for path, s in metrics["others"].items()},
                "groups": {path: s["groups"] for path, s in metrics["others"].items() if "groups" in s},
                "training_minutes": record["seconds"] / 60,
            }
        )
        others = f" --others {' '.join(arguments.others)}" if arguments.others else ""
        shares = " ".join(f"{share:g}" for share in sorted(arguments.shares))
        curve = {
            "command": f"python benchmarks/learning_curve.py --config {arguments.config} --data {arguments.data}{others} --shares {shares}",
            "data": {"path": arguments.data, "sha256": metrics["data"]["sha256"]},
            "points": points,
            "git_commit": git_commit(),
            "versions": versions(),
        }
        write_json(ROOT / "benchmarks" / f"{arguments.config.stem}-learning-curve.json", curve)
    write_json(ROOT / folder / LEARNING_CURVE, curve)
    score(folder, arguments.data, arguments.others)  # its report shows the curve
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
