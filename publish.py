"""Publish a finished model on the Hugging Face Hub, load it back by its id, and tag it with the version.

Examples:
    python publish.py models/conflict-minilm OWNER/NAME --dry_run
    python publish.py models/conflict-minilm OWNER/NAME --private
    python publish.py models/conflict-minilm OWNER/NAME --dataset OWNER/DATA --space OWNER/SPACE

The token is that of `hf auth login`, or HF_TOKEN. Nothing is sent before everything has been checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from conflict_ner.errors import exit_2_on_bad_input
from conflict_ner.publication import publish
from conflict_ner.tagging import INTERRUPTED


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("model", type=Path, help="run folder with weights, ONNX export and metrics.json")
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="where on the Hub")
    parser.add_argument("--private", action="store_true", help="for your eyes only")
    parser.add_argument("--create_pr", action="store_true", help="open a pull request instead of changing main")
    parser.add_argument("--revision", metavar="BRANCH", help="publish to a branch other than main, which is made if need be")
    parser.add_argument("--license", metavar="ID", help="declare this licence on the card; default: the run's")
    parser.add_argument("--dataset", metavar="OWNER/DATA", help="also publish data/conflict, as Parquet")
    parser.add_argument("--space", metavar="OWNER/SPACE", help="also publish a static page of tagged samples and the error report")
    parser.add_argument("--dry_run", action="store_true", help="check everything, list the files and show the card; send nothing")
    return parser.parse_args(argv)


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Check, upload, load back, tag; exit code 0, 2 for anything that stands in the way, or 130 when interrupted."""
    try:
        publish(parse(argv), Console(highlight=False, soft_wrap=True))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; run the same command again, what is already there is not sent again\n")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
