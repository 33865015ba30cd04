"""A long text <-> overlapping encoder windows.

The text is tokenized once; windows are slices of its sub-tokens. Each sub-token is *spoken for* by exactly one window, the one in
which it has most context on its poorer side. Training and inference cut alike, but inference may cut long texts into shorter windows than
were learnt from; never into longer ones, whose positions the model does not know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from conflict_ner.errors import InputError

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
BEFORE_SPACE = re.compile(r"(?<=\S)(?= \S)")
LONG = 200_000  # characters that are tokenized at once


@dataclass(frozen=True, slots=True)
class Window:
    """Sub-tokens `[start, end)` go through the encoder together; the window speaks for `[core_start, core_end)`."""

    start: int
    end: int
    core_start: int
    core_end: int


def cut_windows(num_sub_tokens: int, size: int, overlap: int) -> list[Window]:
    """Cover `num_sub_tokens` by windows of at most `size` that overlap by `overlap`; the cores tile the text.

    A text that fits is one window. Raises ValueError unless 0 <= overlap < size.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"overlap {overlap} must lie in [0, {size})")
    starts = [0]
    while starts[-1] + size < num_sub_tokens:
        starts.append(starts[-1] + size - overlap)
    # In the overlap of two windows, the middle is where both have equal context: cores meet there.
    bounds = [0, *(start + (overlap + 1) // 2 for start in starts[1:]), num_sub_tokens]
    return [Window(start, min(start + size, num_sub_tokens), bounds[k], bounds[k + 1]) for k, start in enumerate(starts) if num_sub_tokens]


@dataclass(frozen=True, slots=True)
class WindowSize:
    """How a model cuts long texts: sub-tokens of a window, specials included, and of the overlap of two neighbours.

    Training writes into the model's `config.json` which windows to tag in, and inference reads it there.
    """

    max_length: int
    overlap: int
    whole: int = 0  # a text of at most so many sub-tokens, specials included, is one window all the same

    def cut(self, num_sub_tokens: int, num_specials: int) -> list[Window]:
        """Cut a text, leaving room for the specials of each window; raises InputError when nothing fits beside them."""
        if 0 < num_sub_tokens <= self.whole - num_specials:
            return [Window(0, num_sub_tokens, 0, num_sub_tokens)]
        size = self.max_length - num_specials
        if not 0 <= self.overlap < size:
            raise InputError(
                f"windows of {self.max_length} sub-tokens, {num_specials} of them special, cannot overlap by {self.overlap}; "
                "raise --max_length (--tagging_length) or lower --window_overlap (--tagging_overlap; 0 or more)"
            )
        return cut_windows(num_sub_tokens, size, self.overlap)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A whole text as sub-tokens without specials: ids and raw-text offsets `[start, end)` in code points."""

    ids: list[int]
    offsets: list[tuple[int, int]]


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Tokens]:
    """Tokenize raw texts, whole, without specials; offsets are those of the tokenizer (they may include a leading space).

    The tokenizer must neither truncate nor pad. Several texts go through it in parallel; a very long one goes in pieces, cut before a
    single blank, where every tokenizer cuts: a tokenizer needs hundreds of bytes for each character it holds.
    """
    whole = [LONE_SURROGATE.sub("\ufffd", text) for text in texts]  # half a character is none to a tokenizer; offsets stay
    short = tokenizer.encode_batch([text if len(text) <= LONG else "" for text in whole], add_special_tokens=False)
    return [
        Tokens(encoding.ids, encoding.offsets) if len(text) <= LONG else _tokenize_long(tokenizer, text)
        for text, encoding in zip(whole, short, strict=True)
    ]


def _tokenize_long(tokenizer: Tokenizer, text: str) -> Tokens:
    tokens = Tokens([], [])
    start = 0
    while start < len(text):
        space = BEFORE_SPACE.search(text, min(start + LONG, len(text)))
        end = space.start() if space else len(text)
        encoding = tokenizer.encode(text[start:end], add_special_tokens=False)
        tokens.ids.extend(encoding.ids)
        tokens.offsets.extend((first + start, last + start) for first, last in encoding.offsets)
        start = end
    return tokens


def special_frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the special ids that the tokenizer puts before and after a text (`[CLS]` and `[SEP]` for BERT)."""
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    framed = tokenizer.encode("a", add_special_tokens=True).ids
    before = next(k for k in range(len(framed)) if framed[k : k + len(bare)] == bare)
    return framed[:before], framed[before + len(bare) :]
