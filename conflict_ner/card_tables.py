"""Records -> the tables and sentences of a model card, as Markdown. Nothing here computes a score; "" stands for what no record tells."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conflict_ner.mistakes import KINDS
from conflict_ner.scoring import enough
from conflict_ner.terminal import bounds

SCHEMES = {
    "strict": "same start, end and label",
    "exact": "same start and end, whatever the label",
    "partial": "same label: 1 for the same boundaries, 1/2 for any overlap",
    "overlap": "same label and any overlap",
}
# What the project's own data sets are; others speak by their path.
DATA_NAMES = {
    "data/conflict/test": "our test articles",
    "data/articles": "real news reports, whose events some training documents retell",
    "data/re3d/dev.json": "real statements and strike releases",
    "data/challenge": "short sentences built to be hard, whose weakest groups some training documents answer",
}
Row = Mapping[str, Any]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table: first column left, the others right; whole numbers with thousands marked."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def figure(fraction: float) -> str:
    """Return a score as the card prints it: three decimals; raises ValueError for a number that is none."""
    if not math.isfinite(fraction):
        raise ValueError(f"{fraction} is no score")
    return f"{fraction:.3f}"


SCORED = ("F1", "95 % interval", "precision", "recall")  # what matters first: a phone shows the first columns


def figures(row: Row, interval: str | None = None) -> list[str]:
    """Return F1, its interval where one is given, precision and recall."""
    f1, precision, recall = (figure(row[name]) for name in ("f1", "precision", "recall"))
    return [f1, precision, recall] if interval is None else [f1, interval, precision, recall]


def named(path: str) -> str:
    """Return what a data set is, with its path."""
    return f"{DATA_NAMES[path]} (`{path}`)" if path in DATA_NAMES else f"`{path}`"


def shown_spans(marked: str, label: str = "") -> str:
    """Return corpus Markdown for readers: spans in bold, with their label unless it is `label`."""
    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", lambda m: f"**{m[1]}**" + ("" if m[2] == label else f"<sub>{m[2]}</sub>"), marked)


def label_sections(labels: Mapping[str, str], guides: Mapping[str, Row]) -> str:
    """Return each label's definition, with what is marked, what is not, and why; one table where there are only definitions."""
    if not guides and not any(labels.values()):
        return f"{', '.join(f'`{label}`' for label in labels)}: as annotated in the training data, which define them."
    if not guides:
        return markdown_table(
            ["label", "what it means"], ([f"`{k}`", text or "as annotated in the training data"] for k, text in labels.items())
        ).replace("---:|", "---|")
    parts = []
    for label, definition in labels.items():
        guide = guides.get(label, {})
        lines = [f"**`{label}`**: {definition or 'as annotated in the training data'}.", ""]
        lines += [f"- yes: {shown_spans(text, label)} ({why})" for text, why in guide.get("includes", {}).items()]
        lines += [f"- no: *{text}* ({why})" for text, why in guide.get("excludes", {}).items()]
        parts.append("\n".join(lines))
    return "\n\n".join(part.strip() for part in parts)


def label_scores(scores: Row) -> str:
    """Return strict scores by label, then micro and macro."""
    strict = scores["strict"]
    by_name = {**strict["per_label"], "**micro**": strict["micro"], "macro": {**strict["macro"], "support": ""}}
    rows = [[name, *figures(row, bounds(row["ci95"]) if enough(strict) else ""), row["support"]] for name, row in by_name.items()]
    return markdown_table(["label", *SCORED, "mentions"], rows)


def data_scores(corpora: Mapping[str, Row], uses: Mapping[str, str]) -> str:
    """Return strict micro scores by data set; `uses` says what a run did with those it used."""
    rows = []
    for path, scores in corpora.items():
        strict = scores["strict"]
        used = f", {uses[path]}" if uses[path] else ""
        interval = bounds(strict["micro"]["ci95"]) if enough(strict) else "none"
        rows.append([named(path) + used, *figures(strict["micro"], interval), strict["documents"], strict["micro"]["support"]])
    return markdown_table(["data", *SCORED, "documents", "mentions"], rows)


def scheme_scores(metrics: Row) -> str:
    """Return micro scores by way of counting."""
    rows = [
        [f"{name}: {what}", *figures(metrics[name]["micro"], bounds(metrics[name]["micro"]["ci95"]) if enough(metrics[name]) else "")]
        for name, what in SCHEMES.items()
        if name in metrics
    ]
    return markdown_table(["a mention counts when", *SCORED], rows)


def parts_of(metrics: Row, dimension: str) -> dict[str, Row]:
    """Return the parts of a slice that hold enough mentions to be shown."""
    slices = metrics["slices"]
    return {name: row for name, row in slices["dimensions"].get(dimension, {}).items() if row["support"] >= slices["fewest_mentions"]}


def slice_tables(metrics: Row) -> dict[str, str]:
    """Return a table per dimension of slices of which more than one part can be shown."""
    tables = {}
    for dimension in metrics["slices"]["dimensions"]:
        parts = parts_of(metrics, dimension)
        if len(parts) > 1:
            rows = [[name, *figures(row, bounds(row["ci95"]) if enough(dict(row)) else ""), row["support"]] for name, row in parts.items()]
            tables[dimension] = markdown_table([dimension, *SCORED, "mentions"], rows)
    return tables


def group_table(scores: Row) -> str:
    """Return the share of sentences of each challenge group with exactly the right spans."""
    rows = [
        [name, f"{row['rate']:.2f}", f"{row['ci95'][0]:.2f}–{row['ci95'][1]:.2f}", row["documents"]]
        for name, row in scores.get("groups", {}).items()
    ]
    return markdown_table(["group", "all right", "95 % interval", "sentences"], rows) if rows else ""


def mistake_table(metrics: Row) -> str:
    """Return how often each kind of mistake was made."""
    rows = [[f"**{kind}**: {KINDS[kind]}", count] for kind, count in metrics["mistakes"]["kinds"].items()]
    return markdown_table(["kind", "times"], rows)


def reliability_table(calibration: Row) -> str:
    """Return how often spans of like score are right."""
    rows = [
        [f"{row['low']:.1f} to {row['high']:.1f}", row["spans"], figure(row["score"]), figure(row["precision"])]
        for row in calibration["bins"]
    ]
    return markdown_table(["score", "spans", "mean score", "strictly right"], rows)


def threshold_table(calibration: Row) -> str:
    """Return what keeping the surer spans costs and buys."""
    rows = [[f"{row['min_score']:g}", *figures(row), row["spans"]] for row in calibration["thresholds"] if row["spans"]]
    return markdown_table(["kept: score at least", "F1", "precision", "recall", "spans"], rows)


def curve_table(curve: Row) -> str:
    """Return scores by number of training documents."""
    rows = [[f"{row['documents']:,}", figure(row["micro"]["f1"]), bounds(row["micro"]["ci95"])] for row in curve["points"]]
    return markdown_table(["training documents", "strict micro F1", "95 % interval"], rows)


def split_table(data: Row) -> str:
    """Return what the run's splits hold."""
    rows = [[name, row["documents"], row["words"], row["spans"], f"`{row['sha256'][:12]}`"] for name, row in data.items()]
    return markdown_table(["split", "documents", "words", "mentions", "checksum"], rows)
