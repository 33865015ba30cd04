"""A colour for every label, and text with its spans in them. Nothing here needs more than rich: `tag.py` starts with it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from conflict_ner.documents import Span

# Okabe & Ito's palette: told apart by colour-blind readers, on dark and on light ground. Further labels reuse it in order.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


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
