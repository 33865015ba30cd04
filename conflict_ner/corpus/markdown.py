r"""Our own articles: Markdown that a person reads and corrects in a diff.

    ## syria-palmyra-01
    genre=wire | conflict=syria | date=2016-03-27

    [Russian](ACTOR) [Su-25 jets](WEAPON) over [Palmyra](LOCATION).

The text of a document is what lies between the blank line after the metadata line and the next heading, without the line breaks
around it. `\[ \] \\` are literal characters, `\#` begins a line that is no heading, and `\u000d` (four hex digits) is any
character an editor would lose: carriage returns, controls, white space at the edges of a line. A file with Windows line ends reads
like one without.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from conflict_ner.documents import Document, Span, SpanError, checked_spans
from conflict_ner.errors import InputError, read_text

TOKEN = re.compile(r"\\u([0-9a-fA-F]{4})|\\([\\\[\]#])|(\\)|(\[)|(\]\(([^()\s]*)\))|(\])|([^\\\[\]]+)", re.DOTALL)
# What an editor, git or `str.splitlines` would treat as a line end or drop: controls other than line feed and tab, byte-order marks,
# lone surrogates; line breaks around the text; blanks at the end of a line.
CONTROL = r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ufeff\ud800-\udfff]"
FRAGILE = re.compile(rf"{CONTROL}|\A\n+|\n+\Z|[ \t]+(?=\n|\Z)")
HEADING = re.compile(r"^#(?=# )", re.MULTILINE)


def read(path: Path, labels: Collection[str] | None = None) -> Iterator[tuple[Document, int]]:
    """Yield each document of a Markdown file with the line of its heading; raises InputError with file and line."""
    lines = read_text(path).replace("\r\n", "\n").split("\n")
    headings = [number for number, line in enumerate(lines) if line.startswith("## ")]
    for number, line in enumerate(lines[: headings[0]] if headings else lines):
        if line.strip() and not line.startswith("# "):
            raise InputError.at(path, number + 1, "text before the first '## <document id>' heading; add a heading above it")
    for begin, end in pairwise([*headings, len(lines)]):
        yield _read_document(path, begin, lines[begin:end], labels), begin + 1


def _read_document(path: Path, begin: int, lines: list[str], labels: Collection[str] | None) -> Document:
    document_id = _unescape(lines[0][3:].strip(" \t"))
    if not document_id:
        raise InputError.at(path, begin + 1, "heading without a document id; write '## <document id>'")
    meta: dict[str, str] = {}
    body = 1
    if len(lines) > 1 and lines[1].strip():
        meta = _read_meta(path, begin + 2, lines[1])
        body = 2
    if len(lines) > body and lines[body].strip():
        raise InputError.at(path, begin + body + 1, "a blank line must stand between the metadata line and the text")
    while body < len(lines) and not lines[body]:
        body += 1
    text, spans, span_lines = _parse_inline(path, begin + body + 1, "\n".join(lines[body:]).rstrip("\n"))
    try:
        return Document(document_id, text, checked_spans(text, spans, labels), meta)
    except SpanError as error:
        raise InputError.at(path, span_lines[spans.index(error.span)], str(error)) from None


def _read_meta(path: Path, number: int, line: str) -> dict[str, str]:
    meta = {}
    for item in line.strip(" \t").split(" | "):
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise InputError.at(path, number, f"metadata item {item!r} is not key=value; items are separated by ' | '")
        meta[_unescape(key)] = _unescape(value)
    return meta


def _parse_inline(path: Path, first_line: int, marked: str) -> tuple[str, list[Span], list[int]]:
    """Return the raw text, its spans and the file line of each span."""
    text, spans, span_lines = "", [], []
    start: int | None = None
    line = first_line
    for token in TOKEN.finditer(marked):
        code, literal, backslash, opening, closing, label, stray, plain = token.groups()
        if code:
            text += chr(int(code, 16))
        elif literal or plain:
            text += literal or plain
            line += token.group().count("\n")
        elif backslash:
            raise InputError.at(path, line, r"a lone backslash; write \\ for a backslash, \[ \] for brackets")
        elif opening and start is None:
            start, start_line = len(text), line
        elif closing is not None and start is not None:
            spans.append(Span(start, len(text), label))
            span_lines.append(start_line)
            start = None
        else:
            raise InputError.at(
                path, line, f"stray {(opening or stray or closing)[0]!r}; spans are [words](LABEL), literal brackets \\[ and \\]"
            )
    if start is not None:
        raise InputError.at(path, start_line, f"span {text[start : start + 30]!r} is not closed with '](LABEL)'")
    return text, spans, span_lines


def dump(documents: Sequence[Document]) -> str:
    """Return the Markdown of `documents`; reading it back gives the same documents."""
    return "\n".join(_dump_document(document) for document in documents)


def _dump_document(document: Document) -> str:
    text = document.text
    fragile = {position for match in FRAGILE.finditer(text) for position in range(*match.span())}
    headings = {match.start() for match in HEADING.finditer(text)}
    starts = {span.start for span in document.spans}
    ends = {span.end: span.label for span in document.spans}
    pieces = []
    for position in range(len(text) + 1):
        if position in ends:
            pieces.append(f"]({ends[position]})")
        if position in starts:
            pieces.append("[")
        character = text[position : position + 1]
        if position in fragile:
            pieces.append(_code(character))
        else:
            pieces.append(f"\\{character}" if position in headings or character in ("\\", "[", "]") else character)
    meta = " | ".join(f"{_escape_name(key, '=')}={_escape_name(value)}" for key, value in document.meta.items())
    heading = f"## {_escape_name(document.id)}\n" + (f"{meta}\n" if meta else "")
    return heading + "\n" + "".join(pieces) + "\n"


def _code(character: str) -> str:
    return f"\\u{ord(character):04x}"


def _escape_name(name: str, also: str = "") -> str:
    """Escape an id, a metadata key or value: one line, no edge white space, no separator."""
    escaped = name.replace("\\", "\\\\")
    return re.sub(rf"\A\s|\s\Z|[\n|{also}]|{CONTROL}", lambda match: _code(match.group()), escaped)


def _unescape(escaped: str) -> str:
    return re.sub(r"\\u([0-9a-fA-F]{4})|\\\\", lambda match: chr(int(match[1], 16)) if match[1] else "\\", escaped)
