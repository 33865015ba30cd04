"""Tagged rows -> one HTML page that needs no network, a row at a time. The style sheet draws the labels: copied text is the text alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from conflict_ner.colours import COLOURS

HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tagged texts</title><style>
:root { color-scheme: light dark } body { font: 1rem/1.7 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
h2 { font-size: 1rem; overflow-wrap: anywhere } .text { white-space: pre-wrap; overflow-wrap: anywhere }
footer { font-size: .8rem; opacity: .7 } mark { color: inherit; border-radius: .2rem; padding: .1rem .2rem }
mark::after { content: attr(data-label); font-size: .65rem; font-weight: 700; margin-left: .3rem }
"""


def page(rows: Iterable[Mapping[str, Any]], labels: Sequence[str]) -> Iterator[str]:
    """Yield the page in pieces: one article per row, with id, highlighted text, model and revision; scores show under the pointer."""
    yield HEAD
    for number, label in enumerate(labels):
        colour = COLOURS[number % len(COLOURS)]
        yield f'mark[data-label="{escape(label)}"] {{ background: {colour}40; border-bottom: 2px solid {colour} }}\n'
    yield "</style></head><body>\n"
    for row in rows:
        heading, source = _shown(row["id"]), _shown(" at ".join(filter(None, (row["model"], row["revision"]))))
        yield f'<article><h2>{heading}</h2>\n<div class="text">{marked(row)}</div>\n<footer>{source}</footer></article>\n'
    yield "</body></html>\n"


def marked(row: Mapping[str, Any]) -> str:
    """Return the row's text as HTML, each span a `mark` with its label and score for a style sheet or a script to use."""
    pieces, position = [], 0
    for span in row["spans"]:
        pieces.append(_shown(row["text"][position : span["start"]]))
        score = "" if span["score"] is None else f' data-score="{span["score"]}" title="score {span["score"]}"'
        pieces.append(f'<mark data-label="{escape(span["label"])}"{score}>{_shown(span["text"])}</mark>')
        position = span["end"]
    return "".join(pieces) + _shown(row["text"][position:])


def _shown(text: str) -> str:
    """Escape `text`; a browser would read a bare carriage return as a line feed and drop NUL."""
    return escape(text).replace("\r", "&#13;").replace("\0", "\ufffd")
