"""Log-probabilities per sub-token -> spans: the best legal tag sequence in which every unit of text is decided as a whole.

A *unit* is what no reader would cut: a run of letters and digits, with the joints of a designator (`T-72B3`, `Kh-101/102`,
`R-73/AA-11`) but not those of ordinary compounds, since in `Taliban-held` and `pro-Russia` a mention does end inside. Every sign
outside a unit (comma, bracket, apostrophe, hash) is a unit of its own. All sub-tokens of a unit share one entity, for WordPiece,
byte-level BPE and Unigram alike.
"""

from __future__ import annotations

import bisect
import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from conflict_ner.documents import Span, trim
from conflict_ner.labels import LabelSet

# A hyphen, or a dash that stands for one, joins before a digit (`Su-34`, `Su–34`), a slash or dot between digits (`Kh-101/102`, `7.62`; not
# `Raqqa.24 people`), hyphen or slash after a digit when at most two letters follow (`R-73/AA-11`; not `M-19-led`).
UNIT = re.compile(r"\w+(?:[-‐‑–](?=\d)\w+|(?<=\d)[./](?=\d)\w+|(?<=\d)[-/](?=[^\W\d_]{1,2}(?![^\W\d_]))\w+)*|[^\w\s]")
# Signs that begin or end no mention; an apostrophe may end one (`the Contras'`), brackets may close one.
NEVER_FIRST = "\"'“”‘’«»`([{<,;:!?-–—/"
NEVER_LAST = '"“”«»`[{(<,;:!?-–—/'
BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")


def viterbi(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the tag ids of the best legal IOB2 path over `scores`, shape (units, num_tags), log-probabilities.

    Legal: `I-X` follows only `B-X` or `I-X` (Ratinov & Roth 2009 on BIO; Viterbi 1967). Tag ids as in `LabelSet`.
    """
    if not len(scores):
        return np.zeros(0, dtype=np.int64)
    best_each: NDArray[np.int64] = scores.argmax(axis=1)
    before = np.concatenate(([0], best_each[:-1]))
    is_inside = (best_each % 2 == 0) & (best_each > 0)
    if np.all(~is_inside | (before == best_each) | (before == best_each - 1)):
        return best_each  # no path can be better than the best tag everywhere
    # Plain floats are faster than arrays for a few tags, but some at a time: a whole book of them would fill the memory.
    rows = (row for first in range(0, len(scores), 4096) for row in scores[first : first + 4096].tolist())
    best = [score if tag % 2 or not tag else -np.inf for tag, score in enumerate(next(rows))]
    tag_ids = range(len(best))
    came_from: list[bytearray] = []
    for row in rows:
        source = best.index(max(best))  # `O` and `B-X` may follow anything
        sources = bytearray([source] * len(row))
        for inside in tag_ids[2::2]:
            sources[inside] = inside - 1 if best[inside - 1] >= best[inside] else inside
        best = [best[sources[tag]] + row[tag] for tag in tag_ids]
        came_from.append(sources)
    path = [best.index(max(best))]
    for sources in reversed(came_from):
        path.append(sources[path[-1]])
    return np.array(path[::-1], dtype=np.int64)


def units_of(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Group sub-tokens into units: half-open sub-token ranges that tile `offsets`; one sub-token across two units joins them."""
    # A combining mark belongs to its letter, though it is none itself.
    marked = text if text.isascii() else "".join("x" if _is_mark(character) else character for character in text)
    matches = UNIT.finditer(marked)
    unit_start = unit_end = 0  # the first unit that ends behind the sub-tokens seen so far
    groups: list[tuple[int, int]] = []
    covered = 0  # the current group reaches up to this character
    for position, (start, end) in enumerate(offsets):
        if start < end and (text[start].isspace() or text[end - 1].isspace()):
            start, end = trim(text, start, end)  # noqa: PLW2901 - the offset without the blank that BPE glues to it
        if groups and (start < covered or start == end):
            groups[-1] = (groups[-1][0], position + 1)
        else:
            groups.append((position, position + 1))
        if start < end and covered < end:
            while unit_end < end:
                unit_start, unit_end = next((match.span() for match in matches), (len(text), len(text)))
            covered = unit_end if unit_start < end else end
    return groups


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _is_picture(character: str) -> bool:
    """Tell an emoji or another sign that is no letter, or what joins and varies emoji (skin tones are modifier symbols)."""
    return unicodedata.category(character) in ("So", "Sk") or character in "\ufe0f\u200d\u20e3"


def _paragraph_starts(text: str, offsets: list[tuple[int, int]], groups: list[tuple[int, int]]) -> list[int]:
    """Return which units are the first behind a blank line."""
    ends = [match.end() for match in BLANK_LINE.finditer(text)]
    starts = [trim(text, *offsets[first])[0] for first, _ in groups] if ends else []
    firsts = {bisect.bisect_left(starts, end) for end in ends}
    return sorted(firsts - {len(groups)})


def decode(text: str, offsets: list[tuple[int, int]], log_probs: NDArray[np.floating], labels: LabelSet) -> tuple[Span, ...]:
    """Return the spans of one whole text, sorted and disjoint, each with a score.

    `offsets`: raw-text offsets of all sub-tokens; `log_probs`: shape (sub-tokens, num_tags), natural logarithm. The score, in [0, 1],
    estimates the probability of just this span: see `_span_score`.
    """
    if not offsets:
        return ()
    groups = units_of(text, offsets)
    unit_scores = _unit_scores(log_probs.astype(np.float64), groups)
    paragraphs = _paragraph_starts(text, offsets, groups)
    unit_scores[paragraphs, 2::2] = -np.inf  # no mention goes on behind a blank line
    path = viterbi(unit_scores)
    spans = []
    for first, last, label in _chunks(path, labels):
        start = offsets[groups[first][0]][0]
        end = offsets[groups[last][1] - 1][1]
        while end < len(text) and _is_mark(text[end]):  # uncased tokenizers drop accents, and their offsets with them
            end += 1
        start, end = trim(text, start, end)
        while start < end and (text[start] in NEVER_FIRST or _is_picture(text[start])):
            start, end = trim(text, start + 1, end)
        while start < end and (text[end - 1] in NEVER_LAST or _is_picture(text[end - 1])):
            start, end = trim(text, start, end - 1)
        if start < end:
            ends_here = last + 1 == len(groups) or np.isneginf(unit_scores[last + 1, 2])
            goes_on = -np.inf if ends_here else log_probs[groups[last + 1][0], path[last] + path[last] % 2]
            units = [unit_scores[unit, path[unit]] / (groups[unit][1] - groups[unit][0]) for unit in range(first, last + 1)]
            spans.append(Span(start, end, label, score=_span_score(units, float(goes_on))))
    return tuple(spans)


def _span_score(units: list[float], goes_on: float) -> float:
    """Return an estimate of the probability that the span begins here, goes on to its end and ends there, as if units were independent.

    `units`: log-probabilities of the decided tag, per unit the mean over its sub-tokens (pieces of one word are not independent
    evidence); `goes_on`: that the unit after the span continues it.
    """
    return float(np.exp(min(0.0, sum(units))) * (1 - np.exp(min(0.0, goes_on))))


def _unit_scores(log_probs: NDArray[np.float64], groups: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Sum sub-token scores over each unit: `B-X` is `B-X` then `I-X`, every other tag is itself throughout; shape (units, num_tags)."""
    starts = np.array([first for first, _ in groups])
    totals = np.add.reduceat(log_probs, starts, axis=0)
    first_rows = log_probs[starts]
    totals[:, 1::2] = first_rows[:, 1::2] + totals[:, 2::2] - first_rows[:, 2::2]
    return totals


def _chunks(path: NDArray[np.int64], labels: LabelSet) -> list[tuple[int, int, str]]:
    """Return (first unit, last unit, label) of each mention on a legal path."""
    chunks: list[tuple[int, int, str]] = []
    for unit in np.flatnonzero(path).tolist():
        tag_id = int(path[unit])
        if tag_id % 2 == 1:
            chunks.append((unit, unit, labels.names[tag_id // 2]))
        else:
            chunks[-1] = (chunks[-1][0], unit, chunks[-1][2])
    return chunks
