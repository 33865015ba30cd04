"""Render the committed figures into the documentation: JSON in, the marked blocks of README.md and benchmarks/README.md out.

    python benchmarks/render.py            # rewrite the blocks
    python benchmarks/render.py --check    # exit 2 when a block differs from its JSON

A block stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from conflict_ner.corpus import count_table, read_documents  # noqa: E402
from conflict_ner.corpus.quality import agreement, unseen_forms  # noqa: E402
from conflict_ner.documents import Document, corpus_sha256  # noqa: E402
from conflict_ner.errors import InputError, exit_2_on_bad_input  # noqa: E402
from conflict_ner.labels import read_definitions  # noqa: E402
from conflict_ner.runs import read_json  # noqa: E402
from conflict_ner.scoring import shown_interval  # noqa: E402


def committed(path: str) -> dict[str, Any]:
    """Return a JSON file as git holds it, so that training a model of one's own changes no published figure; without git, as it lies."""
    try:
        shown = subprocess.run(["git", "-C", str(ROOT), "show", f":{path}"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return read_json(ROOT / path)
    return json.loads(shown.stdout)


def default_model() -> str:
    """Return the scores of the default model: a row per label and corpus."""
    metrics = committed("models/conflict-minilm/metrics.json")
    lines = ["| data | label | precision | recall | F1 | 95 % interval | mentions |", "|---|---|---:|---:|---:|---|---:|"]
    for path, scores in {metrics["data"]["path"]: metrics, **metrics["others"]}.items():
        for label, row in {**scores["strict"]["per_label"], "**micro**": scores["strict"]["micro"]}.items():
            interval = shown_interval(scores["strict"]) if "ci95" in row else ""
            figures = " | ".join(f"{row[name]:.3f}" for name in ("precision", "recall", "f1"))
            lines.append(f"| `{path}` | {label} | {figures} | {interval} | {row['support']} |")
    return "\n".join(lines)


def stock_pipeline() -> str:
    """Return how often the stock pipeline gives the tagger's entities."""
    stock = committed("models/conflict-minilm/metrics.json")["stock_pipeline"]
    if stock is None:
        raise InputError("models/conflict-minilm/metrics.json was made without --stock_pipeline; evaluate again with it")
    return (
        f"On the {stock['documents']} test documents that fit into the model's input, the stock pipeline gives exactly the same entities "
        f"for {stock['identical_documents']:.0%} of the documents; counted by entity, the two agree with F1 {stock['f1_between']:.3f}."
    )


def re3d() -> str:
    """Return the re3d figure: mean over seeds, each seed, and the command."""
    result = committed("benchmarks/re3d-minilm.json")
    if len(result["seeds"]) < 3:
        raise InputError("benchmarks/re3d-minilm.json has fewer than three seeds; run make bench")
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


@functools.cache
def corpus() -> dict[str, list[Document]]:
    """Return the splits of our corpus."""
    return {split: read_documents(ROOT / "data/conflict" / split) for split in ("train", "dev", "test")}


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table: first column left, the others right."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def counts() -> str:
    """Return documents, words, spans and distinct forms by split, and the checksums."""
    tables = {split: count_table(documents) for split, documents in corpus().items()}
    tables["all"] = count_table([document for documents in corpus().values() for document in documents])
    rows = [[name, *(table.get(name, 0) for table in tables.values())] for name in tables["all"]]
    checksums = ", ".join(f"{split} `{corpus_sha256(documents)[:16]}`" for split, documents in corpus().items())
    challenge = count_table(read_documents(ROOT / "data/challenge"))
    more = f"Challenge set: {challenge['documents']} sentences, {challenge['spans']} spans. Checksums: {checksums}."
    return markdown_table(["", *tables], rows) + f"\n\n{more}"


def splits() -> str:
    """Return the share of test and dev forms that training never shows."""
    shares = {split: unseen_forms(corpus()["train"], corpus()[split]) for split in ("dev", "test")}
    return (
        "Distinct surface forms that train never annotates: "
        + ", ".join(f"{share:.1%} of {split}" for split, share in shares.items())
        + "."
    )


def readings() -> str:
    """Return agreement per part and label."""
    labels = list(read_definitions(ROOT / "data/conflict/labels.json"))
    scores = agreement(ROOT / "data/agreement/readings.jsonl")
    rows = []
    for part in ("train", "dev", "test", "re3d"):
        row = scores[part]
        low, high = row["micro"]["ci95"]
        figures = [f"{row['per_label'][label]['f1']:.3f}" for label in labels]
        rows.append([part, row["documents"], *figures, f"{row['micro']['f1']:.3f}", f"{low:.3f}–{high:.3f}"])
    return markdown_table(["part", "documents", *labels, "micro", "95 % interval"], rows)


def by_meta(key: str) -> str:
    """Return documents per value of a metadata key (a comma list counts each item) and split."""
    found = {s: Counter(v for d in ds for v in d.meta.get(key, "").split(",") if v) for s, ds in corpus().items()}
    values = sorted(set().union(*found.values()))
    return markdown_table([key, *found], [[value, *(count[value] for count in found.values())] for value in values])


def grid() -> str:
    """Return the three tables of the grid."""
    return "\n\n".join(by_meta(key) for key in ("conflict", "genre", "noise"))


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"default-model": default_model, "stock-pipeline": stock_pipeline},
    "benchmarks/README.md": {"re3d": re3d},
    "data/README.md": {"counts": counts, "splits": splits, "agreement": readings, "grid": grid, "cases": lambda: by_meta("cases")},
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
