"""Text with its spans -> an SVG picture, a fact -> a badge: pure functions; a picture is lines of text and rectangles, nothing else.

Widths are those of Helvetica in its metrics file, which matplotlib brings; `textLength` holds every run of text to its width, so that marks
sit right whatever font the reader has. Units are pixels.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib

from conflict_ner.colours import COLOURS
from conflict_ner.errors import InputError

WIDTH, MARGIN, LINE, PARAGRAPH = 830, 24, 30, 10  # GitHub shows a README about 830 pixels wide
SIZE, SMALL, BADGE = 16.0, 9.5, 11.0  # font sizes: text, labels, badges
PAD, GAP = 4.0, 4.0  # inside a mark left and right; between a mention and its label
FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
STYLE = """text { font-family: %s; font-size: %gpx; fill: #1f2328 } .label { font-size: %gpx; font-weight: bold }
.page { fill: #ffffff; stroke: #d1d9e0 } .ground { opacity: .2 } .source { font-size: 12px; opacity: .75 }
@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .page { fill: #0d1117; stroke: #3d444d } .ground { opacity: .42 } }"""


@dataclass(frozen=True)
class Piece:
    """A mention with its label and the number of its colour, or text between mentions, which has neither."""

    text: str
    label: str = ""
    colour: int = 0

    @property
    def width(self) -> float:
        """Width with the mark around it."""
        around = PAD + GAP + width(self.label, SMALL, bold=True) + PAD if self.label else 0.0
        return width(self.text, SIZE) + around


@functools.cache
def metrics(bold: bool) -> dict[str, int]:
    """Return the advance of every ASCII character in thousandths of the font size."""
    file = Path(matplotlib.get_data_path(), "fonts/afm", "phvb8a.afm" if bold else "phvr8a.afm")
    return {
        chr(int(code)): int(wide) for code, wide in re.findall(r"^C (\d+) ; WX (\d+)", file.read_text(encoding="latin-1"), re.MULTILINE)
    }


def width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of `text`; what is not ASCII is as wide as a digit."""
    return sum(metrics(bold).get(character, 556) for character in text) * size / 1000


def picture(row: Mapping[str, Any], labels: Sequence[str], paragraphs: slice = slice(None), title: str = "") -> str:
    """Return an SVG of some paragraphs of a tagged row, every span in a mark with its label, and the model's name below."""
    body, y, seen = list[str](), MARGIN + SIZE, list[str]()
    for start, end in [match.span() for match in re.finditer(r"[^\n]+", row["text"])][paragraphs]:
        pieces = list(cut(row, labels, start, end))
        seen += [f"{piece.text} ({piece.label})" for piece in pieces if piece.label]
        for line in lines(units(pieces)):
            body += drawn(line, y)
            y += LINE
        y += PARAGRAPH
    source = escape(f"found by {row['model']}, weights {row['revision']}")
    height = y + MARGIN - PARAGRAPH
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" role="img" '
            'aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape("; ".join(seen))}</desc>',
            f"<style>{STYLE % (FONT, SIZE, SMALL)}</style>",
            f'<rect class="page" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1:g}" rx="6"/>',
            *body,
            f'<text class="source" x="{MARGIN}" y="{y:g}">{source}</text>',
            "</svg>\n",
        ]
    )


def cut(row: Mapping[str, Any], labels: Sequence[str], start: int, end: int) -> Iterator[Piece]:
    """Yield text[start:end] of a row in mentions and what stands between them; raises InputError for a mention that goes over an edge."""
    for span in row["spans"]:
        if span["start"] < end and span["end"] > start:
            if not start <= span["start"] < span["end"] <= end:
                raise InputError(f"{row['id']}: the mention {span['text']!r} goes over the end of a paragraph; show another paragraph")
            yield Piece(row["text"][start : span["start"]])
            yield Piece(row["text"][span["start"] : span["end"]], span["label"], labels.index(span["label"]))
            start = span["end"]
    yield Piece(row["text"][start:end])


def units(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield what no line break may part: a word or mention with all that touches it, the blank in front included."""
    unit = list[Piece]()
    for piece in pieces:
        for part in [piece] if piece.label else [Piece(text) for text in re.split("(?= )", piece.text) if text]:
            if unit and not part.label and part.text.startswith(" "):
                yield unit
                unit = []
            unit.append(part)
    yield unit


def lines(parts: Iterable[list[Piece]]) -> Iterator[list[Piece]]:
    """Yield lines that fit the page."""
    line = list[Piece]()
    for unit in parts:
        if line and sum(piece.width for piece in line + unit) > WIDTH - 2 * MARGIN:
            yield line
            line = [Piece(unit[0].text.lstrip()), *unit[1:]] if not unit[0].label else unit
        else:
            line = line + unit
    yield line


def drawn(line: Iterable[Piece], y: float) -> Iterator[str]:
    """Yield one line's rectangles and texts; `y` is its base line."""
    x = float(MARGIN)
    for (label, colour), group in groupby(line, key=lambda piece: (piece.label, COLOURS[piece.colour % len(COLOURS)])):
        for piece in group if label else [Piece("".join(piece.text for piece in group))]:
            if label:
                yield f'<rect class="ground" x="{x:.1f}" y="{y - 16:g}" width="{piece.width:.1f}" height="22" rx="3" fill="{colour}"/>'
                yield f'<rect x="{x:.1f}" y="{y + 5:g}" width="{piece.width:.1f}" height="2" fill="{colour}"/>'
                behind = x + PAD + width(piece.text, SIZE) + GAP
                yield from run(label, behind, y, SMALL, 'class="label" ', bold=True)
            yield from run(piece.text, x + (PAD if label else 0.0), y, SIZE)
            x += piece.width


def run(text: str, x: float, y: float, size: float, more: str = "", bold: bool = False) -> Iterator[str]:
    """Yield a run of text held to its width; blanks around it take room only."""
    if shown := text.strip():
        left = x + width(text[: len(text) - len(text.lstrip())], size, bold)
        held = f'textLength="{width(shown, size, bold):.1f}" lengthAdjust="spacingAndGlyphs"'
        yield f'<text {more}x="{left:.1f}" y="{y:g}" {held}>{escape(shown)}</text>'


def badge(name: str, value: str) -> str:
    """Return a badge as an SVG: a name on grey, a value on blue, both white."""
    left, right = (width(text, BADGE, bold=True) + 12 for text in (name, value))
    texts = [*run(name, 6, 14, BADGE, bold=True), *run(value, left + 6, 14, BADGE, bold=True)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right:.1f}" height="20" role="img" aria-labelledby="title">',
            f'<title id="title">{escape(name)}: {escape(value)}</title>',
            f"<style>text {{ font: bold {BADGE:g}px {FONT}; fill: #ffffff }}</style>",
            f'<rect width="{left + right:.1f}" height="20" rx="3" fill="#57606a"/>',
            f'<rect x="{left:.1f}" width="{right:.1f}" height="20" rx="3" fill="#0072b2"/>',
            *texts,
            "</svg>\n",
        ]
    )
