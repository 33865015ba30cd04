"""One assessment from files to files: tag or read predictions, score, leave metrics.json, predictions.jsonl, report.html and the card."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from conflict_ner.comparison import compare
from conflict_ner.documents import Document, Span
from conflict_ner.evaluation import check_scorable, evaluate_documents, metrics_record
from conflict_ner.model_card import write_card
from conflict_ner.predictions import write_predictions
from conflict_ner.report import write_report
from conflict_ner.runs import LEARNING_CURVE, METRICS, PREDICTIONS, REPORT, RUN_RECORD, prepare_output, read_json_if_any, write_json
from conflict_ner.slices import surface_forms
from conflict_ner.sources import documents_learnt, labels_of, open_source, pipeline_agreement, read_corpora, spans_from, training_documents
from conflict_ner.tagger import Tagger
from conflict_ner.terminal import comparison_table, print_scores


def assess(arguments: Namespace, console: Console) -> None:
    """Do what `evaluate.py` was asked to (its options are the attributes of `arguments`); raises InputError for unusable input."""
    folder = Path(arguments.model)
    output = Path(arguments.output or (folder if folder.is_dir() else "."))
    prepare_output(output)
    source = open_source(arguments.model, arguments.device)
    rival = open_source(arguments.compare, arguments.device) if arguments.compare else None
    corpora = read_corpora([arguments.data, *arguments.others], arguments.text_folders, console)
    documents, labels = corpora[arguments.data], labels_of(source, corpora[arguments.data])
    for path, corpus in corpora.items():
        check_scorable(corpus, labels, path)
    run = read_json_if_any(folder / RUN_RECORD)
    training = training_documents(run, arguments.text_folders)
    seen = surface_forms(training) if training else None
    found, scores = {}, {}
    for path, corpus in corpora.items():
        found[path] = spans_from(source, corpus, labels, path, console)
        scores[path] = evaluate_documents(corpus, found[path], labels, seen)
        print_scores(console, path, scores[path], more=path == arguments.data)
    predicted = found[arguments.data]
    extra: dict[str, Any] = {
        "documents_learnt": warn_of_training_data(console, documents_learnt(run, training, documents), len(documents)),
        "stock_pipeline": stock_pipeline(arguments.model, source, documents, predicted, console) if arguments.stock_pipeline else None,
        "comparison": None,
        "learning_curve": read_json_if_any(folder / LEARNING_CURVE),
    }
    if rival:
        others = spans_from(rival, documents, labels, arguments.data, console)
        names = {"first": arguments.model, "second": arguments.compare}
        extra["comparison"] = {**names, **compare(documents, predicted, others, labels)}
        console.print(comparison_table(extra["comparison"]))
    write_all(output, metrics_record(arguments.model, arguments.data, scores, extra), documents, predicted, console)


def warn_of_training_data(console: Console, learnt: int | None, documents: int) -> int | None:
    """Say loudly when the scores are no test; returns `learnt`."""
    if learnt:
        console.print(f"[bold red]WARNING: the model was trained on {learnt} of these {documents} documents; this is no test[/]")
    return learnt


def stock_pipeline(
    model: str, source: Tagger | Path, documents: Sequence[Document], predicted: Sequence[Sequence[Span]], console: Console
) -> dict[str, Any] | None:
    """Return how far the stock pipeline agrees with the tagger, and say it; None for a file of predicted spans."""
    if isinstance(source, Path):
        return None
    stock = pipeline_agreement(model, documents, predicted, source.tokenizer.model_max_length)
    console.print(f"stock pipeline(): same entities in {stock['identical_documents']:.1%} of {stock['documents']} documents")
    return stock


def write_all(
    output: Path, metrics: Mapping[str, Any], documents: Sequence[Document], predicted: Sequence[Sequence[Span]], console: Console
) -> None:
    """Write the results into `output`; a run folder also gets its card."""
    write_json(output / METRICS, metrics)
    write_predictions(output / PREDICTIONS, documents, predicted)
    write_report(output / REPORT, metrics, documents, predicted)
    card = [write_card(output)] if (output / RUN_RECORD).exists() else []
    console.print("written: " + ", ".join(map(str, [output / METRICS, output / PREDICTIONS, output / REPORT, *card])))
