"""Render the committed figures into the documentation: JSON in, the marked blocks of README.md and benchmarks/README.md out.

    python benchmarks/render.py            # rewrite the blocks
    python benchmarks/render.py --check    # exit 2 when a block differs from its JSON

A block stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from conflict_ner.errors import InputError, exit_2_on_bad_input  # noqa: E402
from conflict_ner.runs import read_json  # noqa: E402


def default_model() -> str:
    """Return the scores of the default model: a row per label and corpus."""
    metrics = read_json(ROOT / "models/conflict-minilm/metrics.json")
    lines = ["| data | label | precision | recall | F1 | 95 % interval | mentions |", "|---|---|---:|---:|---:|---|---:|"]
    for path, scores in {metrics["data"]["path"]: metrics, **metrics["others"]}.items():
        for label, row in {**scores["strict"]["per_label"], "**micro**": scores["strict"]["micro"]}.items():
            interval = "–".join(f"{bound:.3f}" for bound in row["ci95"]) if "ci95" in row else ""
            figures = " | ".join(f"{row[name]:.3f}" for name in ("precision", "recall", "f1"))
            lines.append(f"| `{path}` | {label} | {figures} | {interval} | {row['support']} |")
    return "\n".join(lines)


def stock_pipeline() -> str:
    """Return how often the stock pipeline gives the tagger's entities."""
    stock = read_json(ROOT / "models/conflict-minilm/metrics.json")["stock_pipeline"]
    return (
        f"On the {stock['documents']} test documents that fit into one window, the stock pipeline gives exactly the same entities for "
        f"{stock['identical_documents']:.0%} of the documents; counted by entity, the two agree with F1 {stock['f1_between']:.3f}."
    )


def re3d() -> str:
    """Return the re3d figure: mean over seeds, each seed, and the command."""
    result = read_json(ROOT / "benchmarks/re3d-minilm.json")
    lines = [
        f"Strict micro F1 on the dev split, ten labels: **{result['mean_micro_f1']:.3f}** (mean of {len(result['seeds'])} seeds, standard "
        f"deviation {result['stdev_micro_f1']:.3f}).",
        "",
        "| seed | precision | recall | F1 | 95 % interval | training minutes |",
        "|---:|---:|---:|---:|---|---:|",
    ]
    for row in result["seeds"]:
        micro = row["micro"]
        figures = " | ".join(f"{micro[name]:.3f}" for name in ("precision", "recall", "f1"))
        lines.append(f"| {row['seed']} | {figures} | {micro['ci95'][0]:.3f}–{micro['ci95'][1]:.3f} | {row['training_minutes']:.1f} |")
    return "\n".join([*lines, "", f"    {result['command']}"])


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"default-model": default_model, "stock-pipeline": stock_pipeline},
    "benchmarks/README.md": {"re3d": re3d},
}


def rendered(path: str) -> str:
    """Return the text of `path` with its blocks rendered anew; raises InputError when a block's marks are missing."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for name, render in BLOCKS[path].items():
        found = re.search(rf"<!-- begin {name} -->\n(.*?)\n?<!-- end {name} -->", text, re.DOTALL)
        if not found:
            raise InputError(f"{path}: the marks <!-- begin {name} --> and <!-- end {name} --> are missing; restore them")
        text = text[: found.start(1)] + render() + "\n" + text[text.index(f"<!-- end {name} -->") :]
    return text


@exit_2_on_bad_input
def main() -> int:
    """Write or check every block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 when a block is out of date")
    check = parser.parse_args().check
    for path in BLOCKS:
        text = rendered(path)
        if check and text != (ROOT / path).read_text(encoding="utf-8"):
            raise InputError(f"{path}: differs from its figures; run python benchmarks/render.py")
        if not check:
            (ROOT / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
