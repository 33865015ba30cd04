"""Score a model, or any file of predicted spans, on annotated documents -> metrics.json, predictions.jsonl, report.html, tables.

Examples:
    python evaluate.py --model models/conflict-minilm --data data/conflict/test
    python evaluate.py --model models/conflict-minilm --data data/conflict/test --others data/articles --output models/conflict-minilm
    python evaluate.py --model models/conflict-minilm --compare other-system.jsonl --data data/conflict/test --output build/compared
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from conflict_ner.assessment import assess
from conflict_ner.errors import exit_2_on_bad_input
from conflict_ner.sources import TEXT_FOLDERS
from conflict_ner.tagger import BACKENDS


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--model", required=True, help="model folder, Hub id, or a .jsonl file of predicted spans")
    parser.add_argument("--compare", metavar="OTHER", help="a second model or file of predicted spans: paired bootstrap on --data")
    parser.add_argument("--data", required=True, help="corpus file or folder to score")
    parser.add_argument("--others", nargs="*", default=[], metavar="PATH", help="further corpora, each scored by itself")
    parser.add_argument(
        "--text_folders",
        "--articles",
        nargs="*",
        default=list(TEXT_FOLDERS),
        metavar="FOLDER",
        help="where stand-off texts lie",
    )
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="where the results go (and the card, for a run folder); default: the model folder; needed for any other model",
    )
    parser.add_argument("--stock_pipeline", action="store_true", help="also measure how often pipeline() gives the same entities")
    parser.add_argument("--backend", choices=BACKENDS, default="torch", help="what computes; default: torch, the weights as trained")
    parser.add_argument("--device", help="torch device; default: a GPU when there is one")
    return parser.parse_args(argv)


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Score, print, write; exit code 0, or 2 for input that cannot be used."""
    assess(parse(argv), Console())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
