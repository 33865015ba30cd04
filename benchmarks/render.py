"""Render the committed figures: JSON in, the marked blocks of README.md, benchmarks/README.md and data/README.md and the pictures out.

    python benchmarks/render.py            # rewrite blocks and pictures
    python benchmarks/render.py --check    # exit 2 when one differs from its JSON

A block stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import corpus_tables  # noqa: E402
import front  # noqa: E402
from drawing import picture  # noqa: E402
from tables import cold_start_table, markdown_table, peers_table, speed_table, training_table  # noqa: E402

from conflict_ner.comparison import over_runs  # noqa: E402
from conflict_ner.errors import InputError, exit_2_on_bad_input  # noqa: E402
from conflict_ner.runs import read_json  # noqa: E402
from conflict_ner.scoring import FEWEST_DOCUMENTS  # noqa: E402
from conflict_ner.terminal import bounds, ratios  # noqa: E402


def committed(path: str) -> dict[str, Any]:
    """Return a JSON file as git holds it, so that training a model of one's own changes no published figure; without git, as it lies."""
    try:
        shown = subprocess.run(["git", "-C", str(ROOT), "show", f":{path}"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return read_json(ROOT / path)
    return json.loads(shown.stdout)


def metrics() -> dict[str, Any]:
    """Return the records of how the default model was scored."""
    return committed("models/conflict-minilm/metrics.json")


def badge_facts() -> dict[str, tuple[str, str, str]]:
    """Return what the badges say."""
    return front.facts(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"], metrics())


def headline() -> str:
    """Return the README's first paragraph of figures."""
    return front.headline(metrics(), committed("benchmarks/accuracy.json"), committed("benchmarks/speed.json"))


def tagged() -> dict[str, Any]:
    """Return what the model found in the README's texts, as it lies: only benchmarks/picture.py writes it, on purpose."""
    return read_json(ROOT / "benchmarks/picture.json")


def article() -> str:
    """Return the picture of a tagged article."""
    stored = tagged()
    title = "Part of a report on armed conflict, as the model marks it: actors, weapons and locations"
    return picture(stored["article"], stored["labels"], slice(*stored["paragraphs"]), title)


def stock_pipeline() -> str:
    """Return how often the stock pipeline gives the tagger's entities."""
    stock = metrics()["stock_pipeline"]
    if stock is None:
        raise InputError("models/conflict-minilm/metrics.json was made without --stock_pipeline; evaluate again with it")
    return (
        f"On the {stock['documents']} test documents that fit into the model's input, the stock pipeline gives exactly the same entities "
        f"for {stock['identical_documents']:.0%} of the documents; counted by entity, the two agree with F1 {stock['f1_between']:.3f}."
    )


def seeds_of(name: str) -> str:
    """Return what `benchmarks/seeds.py` stored for a config: the mean over seeds, each seed, further data, and the command."""
    result = committed(f"benchmarks/{name}.json")
    over = result["micro_f1"]
    if over["runs"] < 3:
        raise InputError(f"benchmarks/{name}.json has fewer than three seeds; run its command again")
    rows = [[row["seed"], *ratios(row["micro"]), bounds(row["micro"]["ci95"]), f"{row['training_minutes']:.1f}"] for row in result["seeds"]]
    lines = [
        f"Strict micro F1 on `{result['data']['path']}`: **{over['mean']:.3f}** (mean of {over['runs']} seeds, standard deviation "
        f"{over['stdev']:.3f}, 95 % interval of the mean {bounds(over['ci95'])}).",
        "",
        markdown_table(["seed", "precision", "recall", "F1", "95 % interval", "training minutes"], rows),
    ]
    for path in result["seeds"][0]["others"]:
        more = over_runs([row["others"][path]["f1"] for row in result["seeds"]])
        lines += ["", f"On `{path}`: {more['mean']:.3f}, standard deviation {more['stdev']:.3f}."]
    return "\n".join([*lines, "", f"    {result['command']}"])


def growth() -> str:
    """Return the learning curve: scores by number of training documents, the smallest part being what a demo corpus would give."""
    curve = committed("benchmarks/conflict-minilm-learning-curve.json")
    points = curve["points"]
    header = ["strict micro F1 on", *(f"{point['documents']:,} documents" for point in points)]
    rows = [[f"`{curve['data']['path']}`", *(with_interval(point["micro"]) for point in points)]]
    for path in points[0]["others"]:
        scores = [point["others"][path] for point in points]
        rows.append([f"`{path}`", *(with_interval(s) if s["documents"] >= FEWEST_DOCUMENTS else f"{s['f1']:.3f}" for s in scores)])
    table = markdown_table(header, rows)
    groups = points[0]["groups"]["data/challenge"]
    passed = [[name, *(share(point["groups"]["data/challenge"][name]) for point in points)] for name in groups]
    challenge = markdown_table(["challenge group: sentences passed", *header[1:]], passed)
    return f"{table}\n\n{challenge}\n\n    {curve['command']}"


def with_interval(row: dict[str, Any]) -> str:
    """Return F1 and its interval."""
    return f"{row['f1']:.3f} [{bounds(row['ci95'])}]"


def windows() -> str:
    """Return how far entities agree when windows fall elsewhere."""
    result = committed("benchmarks/windows.json")
    rows = [
        [row["max_length"], row["overlap"], f"{row['f1']:.3f}", bounds(row["ci95"]), f"{row['joined_dev_f1']:.3f}"]
        for row in result["sizes"]
    ]
    agree = "articles: F1 against its own windows"
    table = markdown_table(["sub-tokens of a window", "overlap", agree, "95 % interval", "joined dev documents: F1"], rows)
    own = result["own"]
    return (
        f"{result['articles']} articles with {result['spans']:,} entities and {result['joined_dev']} joined dev documents; the model's own "
        f"windows (first row) have {own['max_length']} sub-tokens and overlap by {own['overlap']}:\n\n{table}\n\n    {result['command']}"
    )


def share(row: dict[str, Any]) -> str:
    """Return a pass rate and its interval."""
    return f"{row['rate']:.2f} [{row['ci95'][0]:.2f}–{row['ci95'][1]:.2f}]"


def measured(path: str, table: Callable[[dict[str, Any]], str]) -> str:
    """Return the table of a measurement that takes a quiet machine, or that it has not been made."""
    return table(committed(path)) if (ROOT / path).exists() else "Not measured yet."


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {
        "badges": lambda: front.badges(badge_facts()),
        "headline": headline,
        "sentence": lambda: front.sentence_output(tagged()),
        "default-model": lambda: front.scores(metrics()),
        "peers": lambda: front.peers_short(committed("benchmarks/accuracy.json"), committed("models/conflict-minilm/metrics.json")),
        "speed": lambda: front.speed_short(committed("benchmarks/speed.json")),
        "stock-pipeline": stock_pipeline,
        "weakest": lambda: front.weakest(metrics()),
        "citation": lambda: front.citation(yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))),
    },
    "benchmarks/README.md": {
        "windows": windows,
        "conflict": lambda: seeds_of("conflict-minilm"),
        "growth": growth,
        "peers": lambda: peers_table(committed("benchmarks/accuracy.json")),
        "re3d": lambda: seeds_of("re3d-minilm"),
        "speed": lambda: measured("benchmarks/speed.json", speed_table),
        "cold-start": lambda: measured("benchmarks/speed.json", cold_start_table),
        "training-speed": lambda: measured("benchmarks/training_speed.json", training_table),
    },
    "data/README.md": {
        "counts": corpus_tables.counts,
        "splits": corpus_tables.splits,
        "agreement": corpus_tables.readings,
        "grid": corpus_tables.grid,
        "cases": lambda: corpus_tables.by_meta("cases"),
    },
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


def everything() -> dict[str, str]:
    """Return path and text of every file that holds something rendered."""
    pictures = {"benchmarks/picture.svg": article(), **front.badge_files(badge_facts())}
    return {path: rendered(path) for path in BLOCKS} | pictures


@exit_2_on_bad_input
def main() -> int:
    """Write or check everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 when a block or picture is out of date")
    check = parser.parse_args().check
    for path, text in everything().items():
        file = ROOT / path
        if not check:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or text != file.read_text(encoding="utf-8"):
            raise InputError(f"{path}: differs from its figures; run python benchmarks/render.py")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
