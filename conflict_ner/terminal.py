"""metrics.json -> tables on the terminal, and highlighted text. Nothing here computes a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from conflict_ner.documents import Span
from conflict_ner.scoring import shown_interval

# Okabe & Ito's palette: told apart by colour-blind readers, on dark and on light ground. Further labels reuse it in order.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def score_table(title: str, scores: dict[str, Any]) -> Table:
    """Return one data set's strict scores: a row per label, then micro (with its 95 % interval) and macro."""
    table = Table(title=title, title_justify="left", caption="strict: same start, end and label", caption_justify="left")
    table.add_column("label")
    for column in ("precision", "recall", "F1", "support"):
        table.add_column(column, justify="right")
    for label, row in scores["per_label"].items():
        table.add_row(label, *(f"{row[name]:.3f}" for name in ("precision", "recall", "f1")), str(row["support"]))
    table.add_section()
    micro, macro = scores["micro"], scores["macro"]
    f1 = f"{micro['f1']:.3f} [{shown_interval(scores)}]"
    table.add_row("micro", f"{micro['precision']:.3f}", f"{micro['recall']:.3f}", f1, str(micro["support"]), style="bold")
    table.add_row("macro", *(f"{macro[name]:.3f}" for name in ("precision", "recall", "f1")), "")
    return table


def group_table(title: str, groups: dict[str, Any]) -> Table:
    """Return the pass rate of each challenge group: the share of its sentences with exactly the right spans."""
    table = Table(
        title=title, title_justify="left", caption="passed: all spans of the sentence right, none too many", caption_justify="left"
    )
    table.add_column("group")
    for column in ("passed", "95 % interval", "sentences"):
        table.add_column(column, justify="right")
    for name, row in groups.items():
        low, high = row["ci95"]
        table.add_row(name, f"{row['rate']:.2f}", f"{low:.2f}-{high:.2f}", str(row["documents"]), style="bold" if name == "all" else "")
    return table


def highlighted(text: str, spans: Sequence[Span], labels: Sequence[str]) -> Text:
    """Return `text` with every span in the colour of its label and the label behind it."""
    rendered = Text()
    position = 0
    for span in spans:
        colour = COLOURS[labels.index(span.label) % len(COLOURS)]
        rendered.append(text[position : span.start])
        rendered.append(text[span.start : span.end], style=f"bold white on {colour}")
        rendered.append(f" {span.label} ", style=f"{colour}")
        position = span.end
    rendered.append(text[position:])
    return rendered
