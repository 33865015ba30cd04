"""metrics.json -> figures, as SVG text for the report, as PNG files for the model card. Nothing here computes a score."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from conflict_ner.colours import COLOURS
from conflict_ner.runs import PLOTS
from conflict_ner.scoring import FEWEST_DOCUMENTS, enough

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's font
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
GREY = "#555555"
DOTS = 130  # an inch, of a card's figure: sharp on a phone
COLOURS_OF_A_FILE = 48
CARD_FIGURES = ("f1-by-label.png", "f1-by-genre.png", "reliability.png", "confusion.png", "learning-curve.png")


def svg(figure: Figure, title: str) -> str:
    """Return a figure as an `<svg>` element that scales with its page; `title` is what a screen reader says of it."""
    buffer = io.StringIO()
    # The salt makes ids that differ between figures and are the same every time.
    with mpl.rc_context({**STYLE, "svg.hashsalt": title, "svg.id": None}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    element = buffer.getvalue()[buffer.getvalue().index("<svg") :]
    element = re.sub(r'(id="|href="#)(?=[a-zA-Z])', rf"\g<1>{re.sub(r'[^a-z]+', '-', title.lower())}-", element)
    return element.replace("<svg", f'<svg role="img" aria-label="{html.escape(title)}"', 1)


def f1_bars(rows: Mapping[str, Mapping[str, Any]], names_colours: Mapping[str, str] | None = None) -> Figure:
    """Draw F1 with its 95 % interval, a bar a row: labels, or the parts of a slice (`rows` as in metrics.json, with `ci95`)."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.0, 0.6 + 0.3 * len(rows)))
        axes = figure.add_subplot()
        for place, (name, row) in enumerate(rows.items()):
            axes.barh(place, row["f1"], color=(names_colours or {}).get(name, COLOURS[1]), height=0.62)
            if row.get("documents", FEWEST_DOCUMENTS) >= FEWEST_DOCUMENTS:
                axes.plot(row["ci95"], [place, place], color="black", linewidth=1.2, marker="|", markersize=6)
            axes.text(1.02, place, f"{row['f1']:.3f}  n={row['support']:,}", va="center", color=GREY)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("strict F1, 95 % interval")
        return figure


def reliability(calibration: Mapping[str, Any]) -> Figure:
    """Draw precision against score by bin; the area of a point is its number of spans."""
    bins = calibration["bins"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 4.0))
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        scores, precision = [row["score"] for row in bins], [row["precision"] for row in bins]
        axes.plot(scores, precision, color=COLOURS[1])
        largest = max(row["spans"] for row in bins)
        axes.scatter(scores, precision, s=[20 + 180 * row["spans"] / largest for row in bins], color=COLOURS[1])
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="score of predicted spans", ylabel="share that is strictly right")
        return figure


def confusion(table: Mapping[str, Any]) -> Figure:
    """Draw the confusion table as a heat map, each row shaded by its share; the numbers are counts."""
    labels, counts = table["labels"], table["counts"]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.6 + 0.75 * len(labels), 1.2 + 0.5 * len(labels)))
        axes = figure.add_subplot()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for r, row in enumerate(counts):
            for c, count in enumerate(row):
                axes.text(
                    c,
                    r,
                    "" if r == c == len(labels) - 1 else str(count),
                    ha="center",
                    va="center",
                    color="white" if shares[r][c] > 0.6 else "black",
                )
        axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
        axes.set_yticks(range(len(labels)), labels)
        axes.set(xlabel="predicted", ylabel="gold")
        return figure


def learning_curve(curve: Mapping[str, Any]) -> Figure:
    """Draw F1 over the number of training documents, with its interval as a band."""
    points = curve["points"]
    documents = [point["documents"] for point in points]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.4))
        axes = figure.add_subplot()
        low, high = zip(*(point["micro"]["ci95"] for point in points), strict=True)
        axes.fill_between(documents, low, high, color=COLOURS[1], alpha=0.2)
        axes.plot(documents, [point["micro"]["f1"] for point in points], color=COLOURS[1], marker="o")
        axes.set(xlabel="training documents", ylabel="strict micro F1", xlim=(0, None))
        axes.set_xticks(documents, [f"{number:,}" for number in documents])
        return figure


def card_figures(metrics: Mapping[str, Any]) -> dict[str, tuple[str, Callable[[], Figure]]]:
    """Return the figures of a model card by file name: what each shows in words, and what draws it. No record, no figure."""
    strict, calibration, curve = metrics["strict"], metrics["calibration"], metrics["learning_curve"]
    where = f"on {metrics['data']['path']}"
    genres = {
        name: row
        for name, row in metrics["slices"]["dimensions"].get("genre", {}).items()
        if row["support"] >= metrics["slices"]["fewest_mentions"]
    }
    found: dict[str, tuple[str, Callable[[], Figure]]] = {}
    if enough(strict):
        colours = {label: COLOURS[k % len(COLOURS)] for k, label in enumerate(strict["per_label"])}
        found["f1-by-label.png"] = (
            f"Bars of strict F1 per label {where}, with 95 % intervals",
            lambda: f1_bars(strict["per_label"], colours),
        )
    if len(genres) > 1:
        found["f1-by-genre.png"] = (f"Bars of strict F1 per genre {where}, the weakest first", lambda: f1_bars(_weakest_first(genres)))
    if calibration and calibration["bins"]:
        drawn = "Curve of the share of spans that are right over their score, against the diagonal of a perfect estimate"
        found["reliability.png"] = (drawn, lambda: reliability(calibration))
    table = metrics["mistakes"]["confusion"]
    found["confusion.png"] = (f"Table of gold labels against predicted labels {where}", lambda: confusion(table))
    if curve and len(curve["points"]) > 1:
        found["learning-curve.png"] = ("Curve of strict micro F1 over the number of training documents", lambda: learning_curve(curve))
    return found


def _weakest_first(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return dict(sorted(rows.items(), key=lambda item: item[1]["f1"]))


def descriptions(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the Markdown of each figure of the card by the stem of its file; its words are for those who do not see it."""
    return {name.removesuffix(".png"): f"![{words}]({PLOTS}/{name})" for name, (words, _) in card_figures(metrics).items()}


def write_figures(folder: Path, metrics: Mapping[str, Any]) -> list[Path]:
    """Draw the card's figures into `folder/plots`, the same bytes every time, and remove those of earlier metrics; return their paths."""
    target = folder / PLOTS
    target.mkdir(exist_ok=True)
    for stale in CARD_FIGURES:
        (target / stale).unlink(missing_ok=True)
    drawn = []
    for name, (_, draw) in card_figures(metrics).items():
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            draw().savefig(buffer, format="png", dpi=DOTS, bbox_inches="tight")
        # Few colours make a small file; saved anew it also says nothing of versions and dates.
        Image.open(buffer).convert("RGB").quantize(COLOURS_OF_A_FILE).save(target / name, optimize=True)
        drawn.append(target / name)
    return drawn
