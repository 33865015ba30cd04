"""Tag plain text: files or standard input in -> one JSON object per text, or a highlighted view, out.

Examples:
    python tag.py --model models/conflict-minilm article.txt another.txt
    zcat reports.txt.gz | python tag.py --model models/conflict-minilm --lines
    python tag.py --model models/conflict-minilm --format text article.txt
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import tee
from pathlib import Path

from rich.console import Console

from conflict_ner import Tagger
from conflict_ner.corpus.jsonl import row_from_document
from conflict_ner.documents import Document
from conflict_ner.errors import InputError, decode_utf8, exit_2_on_bad_input, read_text
from conflict_ner.terminal import highlighted


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("files", nargs="*", metavar="FILE", help="plain-text files; none or '-': standard input")
    parser.add_argument("--model", required=True, help="model folder or Hub id")
    parser.add_argument("--format", choices=("jsonl", "text"), default="jsonl", help="JSON lines (default) or a highlighted view")
    parser.add_argument("--lines", action="store_true", help="every line is a text of its own")
    parser.add_argument(
        "--min_score",
        type=float,
        default=0.0,
        metavar="S",
        help="leave out spans with a lower score, 0 to 1 (default 0); the thresholds in report.html say what that costs",
    )
    parser.add_argument("--device", help="torch device; default: a GPU when there is one")
    return parser.parse_args(argv)


def read_texts(files: Sequence[str], by_line: bool) -> Iterator[tuple[str, str]]:
    """Yield (id, text): whole files, or their lines as `file:number`; raises InputError for a file that is no UTF-8 text."""
    for file in files or ["-"]:
        name = "stdin" if file == "-" else file
        if file == "-" and by_line:  # as they come: a pipe may be long
            yield from ((f"{name}:{n}", decode_utf8(line, name, n).rstrip("\r\n")) for n, line in enumerate(sys.stdin.buffer, 1))
            continue
        text = decode_utf8(sys.stdin.buffer.read(), name) if file == "-" else read_text(Path(file))
        if by_line:
            yield from ((f"{name}:{n}", line.rstrip("\r")) for n, line in enumerate(text.removesuffix("\n").split("\n"), 1))
        else:
            yield name, text


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Tag and print; exit code 0, or 2 for input that cannot be used."""
    arguments = parse(argv)
    if not 0 <= arguments.min_score <= 1:
        raise InputError(f"--min_score {arguments.min_score:g}: a score lies between 0 and 1; name one in that range")
    tagger = Tagger.from_pretrained(arguments.model, device=arguments.device)
    console = Console(highlight=False, soft_wrap=True)
    named, texts = tee(read_texts(arguments.files, arguments.lines))
    for (name, text), spans in zip(named, tagger.stream(text for _, text in texts), strict=True):
        kept = [span for span in spans if span.score is None or span.score >= arguments.min_score]
        if arguments.format == "text":
            console.print(highlighted(text, kept, tagger.labels.names))
        else:
            print(json.dumps(row_from_document(Document(name, text, tuple(kept))), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
