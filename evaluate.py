"""Score a model on annotated documents: model folder or Hub id + corpus -> metrics.json and a table on the terminal.

Examples:
    python evaluate.py --model models/conflict-minilm --data data/conflict/test
    python evaluate.py --model models/conflict-minilm --data data/conflict/test --others data/articles --output models/conflict-minilm
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from conflict_ner import Tagger
from conflict_ner.corpus import read_documents
from conflict_ner.errors import MissingTextError, exit_2_on_bad_input
from conflict_ner.evaluation import check_labels, evaluate_documents, metrics_record, pipeline_agreement
from conflict_ner.model_card import write_card
from conflict_ner.report import group_table, score_table
from conflict_ner.runs import METRICS, RUN_RECORD, prepare_output, write_json


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--model", required=True, help="model folder or Hub id")
    parser.add_argument("--data", required=True, help="corpus file or folder to score")
    parser.add_argument("--others", nargs="*", default=[], metavar="PATH", help="further corpora, each scored by itself")
    parser.add_argument(
        "--text_folders",
        "--articles",
        nargs="*",
        default=["../shared/articles", "../shared/re3d"],
        metavar="FOLDER",
        help="where stand-off texts lie",
    )
    parser.add_argument(
        "--output", metavar="FOLDER", help="where metrics.json goes (and the model card, for a run folder); default: the model folder"
    )
    parser.add_argument("--stock_pipeline", action="store_true", help="also measure how often pipeline() gives the same entities")
    parser.add_argument("--device", help="torch device; default: a GPU when there is one")
    return parser.parse_args(argv)


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Score, print, write; exit code 0, or 2 for input that cannot be used."""
    arguments = parse(argv)
    console = Console()
    output = Path(arguments.output or (arguments.model if Path(arguments.model).is_dir() else "."))
    prepare_output(output)
    tagger = Tagger.from_pretrained(arguments.model, device=arguments.device)
    corpora = {arguments.data: read_documents(arguments.data, text_folders=arguments.text_folders)}
    for path in arguments.others:
        try:
            corpora[path] = read_documents(path, text_folders=arguments.text_folders)
        except MissingTextError as error:
            console.print(f"[yellow]skipped:[/] {error}")
    for path, documents in corpora.items():
        check_labels(documents, tagger.labels.names, path)
    predicted, scores = {}, {}
    for path, documents in corpora.items():
        tagged = track(tagger.stream(d.text for d in documents), f"tagging {path}", len(documents), console=console)
        predicted[path] = list(tagged)
        scores[path] = evaluate_documents(documents, predicted[path], tagger.labels.names)
        console.print(score_table(path, scores[path]["strict"]))
        if "groups" in scores[path]:
            console.print(group_table(path, scores[path]["groups"]))
    stock = None
    if arguments.stock_pipeline:
        stock = pipeline_agreement(arguments.model, corpora[arguments.data], predicted[arguments.data], tagger.tokenizer.model_max_length)
        console.print(f"stock pipeline(): same entities in {stock['identical_documents']:.1%} of {stock['documents']} documents")
    write_json(output / METRICS, metrics_record(arguments.model, arguments.data, scores, stock))
    written = [output / METRICS] + ([write_card(output)] if (output / RUN_RECORD).exists() else [])
    console.print("written: " + ", ".join(map(str, written)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
