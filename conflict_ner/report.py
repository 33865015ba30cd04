"""metrics.json + documents + predicted spans -> `report.html`: one file without network, for the screen, the phone and the printer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from conflict_ner import plots
from conflict_ner.colours import COLOURS
from conflict_ner.documents import Document, Span
from conflict_ner.mistakes import KINDS, mistakes_of
from conflict_ner.scoring import FEWEST_DOCUMENTS, enough, shown_interval
from conflict_ner.terminal import bounds

TEMPLATE = Path(__file__).with_name("report.html.jinja")
MOST_BARS = 40  # per figure; more parts than that stand only in metrics.json


def write_report(path: Path, metrics: Mapping[str, Any], documents: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> None:
    """Write the report of the top-level data set of `metrics`, whose `documents` and `predicted` spans fill the error browser."""
    path.write_text(render_report(metrics, documents, predicted), encoding="utf-8", errors="replace")  # half a character has no UTF-8


def render_report(metrics: Mapping[str, Any], documents: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> str:
    """Return the page. Texts travel as JSON and are put in place by the page's script as text, never as markup."""
    labels = list(metrics["strict"]["per_label"])
    colours = {label: COLOURS[k % len(COLOURS)] for k, label in enumerate(labels)}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(figure=lambda value: "–" if value is None else f"{value:.3f}", bounds=bounds)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        m=metrics,
        colours=colours,
        inks={label: ink(colour) for label, colour in colours.items()},
        fewest=FEWEST_DOCUMENTS,
        enough=enough,
        kinds=KINDS,
        interval=shown_interval(metrics["strict"]),
        bars=plots.svg(plots.f1_bars(metrics["strict"]["per_label"], colours), "F1 per label") if enough(metrics["strict"]) else "",
        slices=_slice_figures(metrics["slices"]),
        reliability=plots.svg(plots.reliability(metrics["calibration"]), "reliability of scores") if metrics["calibration"] else "",
        confusion=plots.svg(plots.confusion(metrics["mistakes"]["confusion"]), "confusion of labels"),
        curve=plots.svg(plots.learning_curve(metrics["learning_curve"]), "learning curve") if metrics["learning_curve"] else "",
        safe=Markup,
        data=_embedded(browser_rows(documents, predicted)),
    )


def ink(colour: str) -> str:
    """Return black or white, whichever reads better on `#rrggbb` (WCAG 2 relative luminance)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#fff"


def _slice_figures(slices: Mapping[str, Any]) -> dict[str, str]:
    """Return a bar chart per dimension of slices, parts with too few mentions left out, the weakest first where order means nothing."""
    figures = {}
    for dimension, parts in slices["dimensions"].items():
        shown = {name: row for name, row in parts.items() if row["support"] >= slices["fewest_mentions"]}
        if "length" not in dimension:
            shown = dict(sorted(shown.items(), key=lambda item: item[1]["f1"])[:MOST_BARS])
        if len(shown) > 1:
            figures[dimension] = plots.svg(plots.f1_bars(shown), f"F1 by {dimension}")
    return figures


def browser_rows(documents: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> list[dict[str, Any]]:
    """Return what the error browser shows: per document id, text, gold and predicted spans (code points) and the kind of each mistake."""
    rows = []
    for document, spans in zip(documents, predicted, strict=True):
        kinds = {}
        for mistake in mistakes_of(document.spans, spans):
            kinds.update({("gold", span): mistake.kind for span in mistake.gold})
            kinds.update({("predicted", span): mistake.kind for span in mistake.predicted})
        rows.append(
            {
                "id": document.id,
                "meta": dict(document.meta),
                "text": document.text,
                "gold": [[s.start, s.end, s.label, kinds.get(("gold", s), "")] for s in document.spans],
                "predicted": [
                    [s.start, s.end, s.label, kinds.get(("predicted", s), ""), *([] if s.score is None else [round(s.score, 2)])]
                    for s in spans
                ],
            }
        )
    return rows


def _embedded(rows: list[dict[str, Any]]) -> Markup:
    """Return JSON that may stand inside a script element: no text in it can end the element."""
    text = json.dumps(rows, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
