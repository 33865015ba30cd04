"""Train one config with several seeds and store the mean: a claim about a config is never one run.

    python benchmarks/seeds.py --config configs/re3d-minilm.yaml --data ../shared/re3d/dev.txt --seeds 1 2 3

Writes benchmarks/<config name>.json: strict micro F1 of each seed (with its interval), their mean and standard deviation.
Models go to models/<config name>, for other seeds than the config's own to models/<config name>-seed<k>; a finished run of the same
settings and data is scored again, not trained again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from conflict_ner.comparison import over_runs  # noqa: E402
from conflict_ner.errors import InputError, exit_2_on_bad_input  # noqa: E402
from conflict_ner.runs import git_commit, read_json, versions, write_json  # noqa: E402


def run(*command: str) -> None:
    """Run a root script; raises InputError when it fails (it has said why)."""
    if subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode:
        raise InputError(f"{command[0]} failed; see its message above")


def score(folder: Path, data: str, others: Sequence[str]) -> None:
    """Evaluate a run as the reference runs are: with the stock pipeline beside it."""
    run("evaluate.py", "--model", str(folder), "--data", data, "--stock_pipeline", "--others", *others)


@exit_2_on_bad_input
def main() -> int:
    """Train and score each seed, write the JSON, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", required=True, help="corpus to score")
    parser.add_argument("--others", nargs="*", default=[], help="further corpora to score")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    own_seed = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))["seed"]
    rows: list[dict[str, Any]] = []
    scored = ""
    for seed in arguments.seeds:
        folder = Path("models") / (arguments.config.stem if seed == own_seed else f"{arguments.config.stem}-seed{seed}")
        settings = ["--config", str(arguments.config), "--seed", str(seed), "--output_dir", str(folder)]
        run("train.py", *settings, "--resume_from_checkpoint", "true")
        score(folder, arguments.data, arguments.others)
        metrics, record = read_json(ROOT / folder / "metrics.json"), read_json(ROOT / folder / "run.json")
        if rows and metrics["data"]["sha256"] != scored:
            raise InputError(f"{arguments.data}: changed while the seeds were scored; run again")
        scored = metrics["data"]["sha256"]
        rows.append(
            {
                "seed": seed,
                "micro": metrics["strict"]["micro"],
                "macro_f1": metrics["strict"]["macro"]["f1"],
                "others": {path: other["strict"]["micro"] for path, other in metrics["others"].items()},
                "training_minutes": record["seconds"] / 60,
            }
        )
    over = over_runs([row["micro"]["f1"] for row in rows])
    others = f" --others {' '.join(arguments.others)}" if arguments.others else ""
    seeds = " ".join(map(str, arguments.seeds))
    command = f"python benchmarks/seeds.py --config {arguments.config} --data {arguments.data}{others} --seeds {seeds}"
    result = {
        "command": command,
        "data": {"path": arguments.data, "sha256": scored},
        "micro_f1": over,
        "seeds": rows,
        "git_commit": git_commit(),
        "versions": versions(),
    }
    path = ROOT / "benchmarks" / f"{arguments.config.stem}.json"
    write_json(path, result)
    print(f"strict micro F1 {over['mean']:.3f} (standard deviation {over['stdev'] or 0:.3f}, {over['runs']} seeds); written: {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
