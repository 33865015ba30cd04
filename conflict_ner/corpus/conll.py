r"""CoNLL columns: one word a line (first column the word, last the tag, split by tab or space), a blank line after each sentence.

Columns do not say how words were spaced, so the text of a sentence is its words joined by one space. Where the file marks documents
(`-DOCSTART-`, with the id in the second column if we wrote it), sentences are the lines of one document; where it does not, each
sentence is a document named `<file stem>-<number>`. IOB1, IOB2 and BIOES/BILOU are told apart by the tags themselves.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from conflict_ner.documents import Document, Span, checked_spans
from conflict_ner.errors import InputError, read_text

DOCSTART = "-DOCSTART-"
TAG = re.compile(r"O|([BIESLU])-(\S+)")
WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(slots=True)
class Row:
    """One line of columns: its line number, word, tag prefix (`O` outside) and label."""

    line: int
    word: str
    prefix: str
    label: str


@dataclass(slots=True)
class Block:
    """The sentences of one document before its text is joined; `id` only when the file names it."""

    line: int
    id: str | None = None
    sentences: list[list[Row]] = field(default_factory=list)


def read(path: Path, labels: Collection[str] | None = None) -> Iterator[tuple[Document, int]]:
    """Yield each document with its first line; raises InputError with file and line."""
    blocks = _read_blocks(path)
    scheme = _scheme(row for block in blocks for sentence in block.sentences for row in [*sentence, None])
    for number, block in enumerate(blocks, 1):
        text, spans = "", []
        for sentence in block.sentences:
            text += "\n" if text else ""
            for first, last in _chunks(path, sentence, scheme):
                start = len(text) + sum(len(row.word) + 1 for row in sentence[:first])
                words = " ".join(row.word for row in sentence[first : last + 1])
                spans.append(Span(start, start + len(words), sentence[first].label))
            text += " ".join(row.word for row in sentence)
        try:
            yield Document(block.id or f"{path.stem}-{number:05d}", text, checked_spans(text, spans, labels)), block.line
        except InputError as error:
            raise InputError.at(path, block.line, str(error)) from None


def _read_blocks(path: Path) -> list[Block]:
    """Parse columns into documents: by `-DOCSTART-` where there is one, else by sentence."""
    lines = read_text(path).replace("\r\n", "\n").split("\n")
    by_sentence = not any(line.startswith(DOCSTART) for line in lines)
    blocks: list[Block] = []
    fresh = True  # the next word begins a sentence
    for number, line in enumerate(lines, 1):
        columns = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            fresh = True
        elif columns[0] == DOCSTART:
            named = len(columns) > 2 and "\t" in line and columns[1] != "-X-"
            blocks.append(Block(number, columns[1] if named else None))
            fresh = True
        else:
            match = TAG.fullmatch(columns[-1].strip())
            if len(columns) < 2 or not match:
                raise InputError.at(path, number, f"expected 'word<TAB>tag' with a tag like O, B-X or I-X, found {line[:60]!r}")
            if (fresh and by_sentence) or not blocks:
                blocks.append(Block(number))
            if fresh:
                blocks[-1].sentences.append([])
            blocks[-1].sentences[-1].append(Row(number, columns[0], match[1] or "O", match[2] or ""))
            fresh = False
    return blocks


def _scheme(rows: Iterator[Row | None]) -> str:
    """Tell IOB1, IOB2 and BIOES apart; None separates sentences.

    IOB1 writes `B-` only where a chunk touches one of the same label, so a `B-` anywhere else proves IOB2.
    """
    after, begins_plainly, inside_begins = "", False, False
    for row in rows:
        if row is not None and row.prefix in "ESLU":
            return "BIOES"
        if row is not None and row.label != after:
            begins_plainly |= row.prefix == "B"
            inside_begins |= row.prefix == "I"
        after = row.label if row else ""
    return "IOB1" if inside_begins and not begins_plainly else "IOB2"


def _chunks(path: Path, sentence: list[Row], scheme: str) -> list[tuple[int, int]]:
    """Return (first, last) row of each mention; raises InputError where a tag cannot follow the one before it."""
    chunks: list[tuple[int, int]] = []
    is_open = False
    for position, row in enumerate(sentence):
        before = sentence[position - 1] if position else None
        continues = before is not None and before.label == row.label and is_open
        if row.prefix in "BSU" or (row.prefix == "I" and scheme == "IOB1" and not continues):
            chunks.append((position, position))
        elif row.prefix in "IEL":
            if not continues:
                previous = f"{before.prefix}-{before.label}".rstrip("-") if before else "the start of a sentence"
                tag = f"{row.prefix}-{row.label}"
                raise InputError.at(
                    path, row.line, f"tag {tag} cannot follow {previous} in {scheme}; write B-{row.label} or mend the label"
                )
            chunks[-1] = (chunks[-1][0], position)
        is_open = row.prefix in "BI"
    return chunks


def tagged_words(text: str, spans: Sequence[Span], edges: Iterable[int] = ()) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, IOB2 tag) of every word of `text`: runs of letters and digits or single signs, cut at span edges and `edges`.

    `spans` must be sorted and disjoint. No span is lost: each begins and ends where a word does.
    """
    cuts = {edge for span in spans for edge in (span.start, span.end)} | set(edges)
    waiting = iter(spans)
    span = next(waiting, None)
    begun = False
    for match in WORD.finditer(text):
        inner = [match.start(), *(k for k in range(match.start() + 1, match.end()) if k in cuts), match.end()]
        for start, end in pairwise(inner):
            while span is not None and span.end <= start:
                span, begun = next(waiting, None), False
            inside = span is not None and span.start <= start
            yield start, end, f"{'I' if begun else 'B'}-{span.label}" if inside and span else "O"
            begun = inside


def dump(documents: Sequence[Document]) -> str:
    """Return IOB2 columns, a sentence per line of text; a mention that crosses a line break goes on as a new one."""
    parts = []
    for document in documents:
        parts.append(f"{DOCSTART}\t{' '.join(document.id.split())}\tO\n\n")
        last_end: int | None = None
        for start, end, tag in tagged_words(document.text, document.spans):
            new_line = last_end is not None and "\n" in document.text[last_end:start]
            line_tag = tag.replace("I-", "B-", 1) if new_line else tag
            parts.append(f"{chr(10) if new_line else ''}{document.text[start:end]}\t{line_tag}\n")
            last_end = end
        parts.append("\n" if last_end is not None else "")
    return "".join(parts)
