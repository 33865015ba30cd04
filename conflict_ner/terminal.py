"""metrics.json -> tables on the terminal. Nothing here computes a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from conflict_ner.scoring import FEWEST_DOCUMENTS, enough, shown_interval


def print_scores(console: Console, title: str, scores: dict[str, Any], more: bool) -> None:
    """Print what is known of one data set: scores, challenge groups; with `more` also slices, mistakes and thresholds."""
    console.print(score_table(title, scores["strict"]))
    console.print(scheme_table(scores))
    if "groups" in scores:
        console.print(group_table(scores["groups"]))
    if more:
        console.print(slice_table(scores["slices"]))
        console.print(confusion_table(scores["mistakes"]["confusion"]))
        console.print(frequent_table(scores["mistakes"]["frequent"]))
        console.print("mistakes: " + ", ".join(f"{count} {kind}" for kind, count in scores["mistakes"]["kinds"].items()))
        if scores["calibration"]:
            console.print(reliability_table(scores["calibration"]))
            console.print(threshold_table(scores["calibration"]))


def table(title: str, first: str, columns: Sequence[str], caption: str | None = None) -> Table:
    """Return an empty table: first column left, the others right."""
    made = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    made.add_column(first)
    for column in columns:
        made.add_column(column, justify="right")
    return made


def ratios(row: dict[str, Any]) -> list[str]:
    """Return precision, recall and F1 as people read them."""
    return ["–" if row[name] is None else f"{row[name]:.3f}" for name in ("precision", "recall", "f1")]


def bounds(ci95: Sequence[float] | None) -> str:
    """Return an interval as people read it."""
    return f"{ci95[0]:.3f}–{ci95[1]:.3f}" if ci95 else ""


def score_table(title: str, scores: dict[str, Any]) -> Table:
    """Return one data set's strict scores: a row per label, then micro and macro, with 95 % intervals of F1."""
    made = table(title, "label", ("precision", "recall", "F1", "95 % interval", "support"), "strict: same start, end and label")
    for label, row in scores["per_label"].items():
        made.add_row(label, *ratios(row), bounds(row["ci95"]) if enough(scores) else "", str(row["support"]))
    made.add_section()
    micro, macro = scores["micro"], scores["macro"]
    made.add_row("micro", *ratios(micro), shown_interval(scores), str(micro["support"]), style="bold")
    made.add_row("macro", *ratios(macro), bounds(macro["ci95"]) if enough(scores) else "", "")
    return made


def scheme_table(scores: dict[str, Any]) -> Table:
    """Return the micro scores of the other ways to count."""
    made = table("", "micro", ("precision", "recall", "F1", "95 % interval"))
    for scheme in ("exact", "partial", "overlap"):
        made.add_row(scheme, *ratios(scores[scheme]["micro"]), shown_interval(scores[scheme]))
    return made


def group_table(groups: dict[str, Any]) -> Table:
    """Return the pass rate of each challenge group: the share of its sentences with exactly the right spans."""
    made = table(
        "challenge groups", "group", ("passed", "95 % interval", "sentences"), "passed: all spans of the sentence right, none too many"
    )
    for name, row in groups.items():
        low, high = row["ci95"]
        made.add_row(name, f"{row['rate']:.2f}", f"{low:.2f}–{high:.2f}", str(row["documents"]), style="bold" if name == "all" else "")
    return made


def slice_table(slices: dict[str, Any]) -> Table:
    """Return strict micro F1 by part, parts with too few mentions left out."""
    fewest = slices["fewest_mentions"]
    made = table(
        "slices",
        "part",
        ("precision", "recall", "F1", "95 % interval", "support"),
        f"parts with fewer than {fewest} mentions are hidden, intervals over fewer than {FEWEST_DOCUMENTS} documents too",
    )
    for dimension, parts in slices["dimensions"].items():
        shown = {name: row for name, row in parts.items() if row["support"] >= fewest}
        for name, row in shown.items():
            made.add_row(f"{dimension}: {name}", *ratios(row), bounds(row["ci95"]) if enough(row) else "", str(row["support"]))
        made.add_section()
    return made


def confusion_table(confusion: dict[str, Any]) -> Table:
    """Return how gold labels (rows) were predicted (columns), whatever the boundaries."""
    made = table("confusion", "gold \\ predicted", confusion["labels"])
    for label, row in zip(confusion["labels"], confusion["counts"], strict=True):
        made.add_row(label, *map(str, row))
    return made


def frequent_table(frequent: Sequence[dict[str, Any]]) -> Table:
    """Return the commonest wrong pairs, those that occur more than once."""
    made = table("the most frequent wrong pairs", "gold", ("predicted", "times", "for example in"))
    for row in frequent:
        if row["count"] > 1:
            sides = [f"{row[side]} {row[side + '_words']}".strip() for side in ("gold", "predicted")]
            made.add_row(sides[0], sides[1], str(row["count"]), row["documents"][0])
    return made


def reliability_table(calibration: dict[str, Any]) -> Table:
    """Return how often spans of like score are right."""
    made = table("reliability", "score", ("mean score", "right", "spans"))
    for row in calibration["bins"]:
        made.add_row(f"{row['low']:.1f}–{row['high']:.1f}", f"{row['score']:.3f}", f"{row['precision']:.3f}", str(row["spans"]))
    return made


def threshold_table(calibration: dict[str, Any]) -> Table:
    """Return what `--min_score` costs and buys."""
    title = f"thresholds (expected calibration error {calibration['ece']:.3f})"
    made = table(title, "min_score", ("precision", "recall", "F1", "spans kept"))
    for row in calibration["thresholds"]:
        made.add_row(f"{row['min_score']:g}", *ratios(row), str(row["spans"]))
    return made


def comparison_table(comparison: dict[str, Any]) -> Table:
    """Return two systems side by side, with the paired difference."""
    title = f"{comparison['first']} (first) against {comparison['second']} (second), {comparison['documents']} documents"
    made = table(title, "label", ("first F1", "second F1", "difference", "95 % interval", "p"), "paired bootstrap over documents")
    for name, row in comparison["scores"].items():
        p = "no test" if row["p"] is None else f"{row['p']:.3f}"
        figures = (f"{row['first_f1']:.3f}", f"{row['second_f1']:.3f}", f"{row['difference']:+.3f}", bounds(row["ci95"]), p)
        made.add_row(name, *figures, style="bold" if name == "micro" else "")
    return made
