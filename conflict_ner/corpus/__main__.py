"""Look after a corpus from the command line.

Examples:
    python -m conflict_ner.corpus stats data/conflict            # counts, unseen forms, agreement of the two readings
    python -m conflict_ner.corpus check data/conflict            # words annotated unevenly, texts shared between splits
    python -m conflict_ner.corpus export data/conflict build/hub # Parquet with text and spans, tokens and tags
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from conflict_ner.corpus import check_splits, count_table, read_documents
from conflict_ner.corpus.export import export
from conflict_ner.corpus.quality import agreement, shared_runs, uneven_forms, unseen_forms
from conflict_ner.documents import Document
from conflict_ner.errors import InputError, exit_2_on_bad_input
from conflict_ner.labels import LabelSet, read_definitions

SPLITS = ("train", "dev", "test")


def read_splits(folder: Path) -> tuple[dict[str, list[Document]], LabelSet]:
    """Read `folder/{train,dev,test}` with the labels of `folder/labels.json`; raises InputError."""
    labels = LabelSet(tuple(read_definitions(folder / "labels.json")))
    splits = {split: read_documents(folder / split, labels.names) for split in SPLITS if (folder / split).is_dir()}
    if not splits:
        raise InputError(f"{folder}: holds none of the folders {', '.join(SPLITS)}; name a corpus folder")
    return splits, labels


def stats(folder: Path, console: Console) -> None:
    """Print counts per split, the share of unseen forms, and agreement where readings are kept beside the corpus."""
    splits, _ = read_splits(folder)
    counts = {split: count_table(documents) for split, documents in splits.items()}
    counts["all"] = count_table([document for documents in splits.values() for document in documents])
    table = Table("", *counts, title=str(folder))
    for row in counts["all"]:
        table.add_row(row, *(f"{column.get(row, 0):,}" for column in counts.values()))
    console.print(table)
    for split in [split for split in splits if split != "train" and "train" in splits]:
        console.print(f"{split}: {unseen_forms(splits['train'], splits[split]):.1%} of the distinct forms are not in train")
    readings = folder.parent / "agreement" / "readings.jsonl"
    for part, scores in agreement(readings).items() if readings.exists() else ():
        by_label = ", ".join(f"{label} {row['f1']:.3f}" for label, row in scores["per_label"].items())
        console.print(f"agreement on {part} ({scores['documents']} documents): F1 {scores['micro']['f1']:.3f}; {by_label}")


def check(folder: Path, console: Console) -> None:
    """Print what a corpus keeper should look at; raises InputError for an id or a text that stands in two splits."""
    splits, _ = read_splits(folder)
    check_splits(splits)
    for first, second in (("train", "test"), ("train", "dev"), ("dev", "test")):
        others = {document.id: document.text for document in splits.get(second, ())}
        for document_id, other, run in shared_runs(splits.get(first, ()), others):
            console.print(f"shared between {first}/{document_id} and {second}/{other}: {run}", markup=False)
    for uneven in uneven_forms([document for documents in splits.values() for document in documents]):
        figures = f"{uneven.label} {uneven.annotated} times, bare {uneven.bare} times"
        console.print(f"{uneven.form!r} is {figures}, e.g. {uneven.document}: {uneven.context}", markup=False, highlight=False)


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; exit code 0, or 2 for a corpus that cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m conflict_ner.corpus", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("stats", "check", "export"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path, help="corpus folder with train/, dev/, test/ and labels.json")
        if name == "export":
            command.add_argument("output", type=Path, help="folder to write one Parquet file a split to")
    arguments = parser.parse_args(argv)
    console = Console(soft_wrap=True)
    if arguments.command == "export":
        splits, labels = read_splits(arguments.folder)
        console.print("written: " + ", ".join(map(str, export(splits, labels, arguments.output))))
    else:
        {"stats": stats, "check": check}[arguments.command](arguments.folder, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
