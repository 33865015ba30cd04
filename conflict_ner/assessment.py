"""One assessment from files to files: tag or read predictions, score, leave metrics.json, predictions.jsonl, report.html and the card."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from conflict_ner.comparison import compare
from conflict_ner.documents import Document, Span
from conflict_ner.errors import InputError
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
    if not arguments.output and not folder.is_dir():
        raise InputError("--output is needed: name the folder for metrics.json and report.html, since the model is no folder of its own")
    if not arguments.output and arguments.backend != "torch":
        raise InputError(f"--output is needed: the model folder's scores are those of its weights, not of --backend {arguments.backend}")
    output = Path(arguments.output or folder)
    prepare_output(output)
    if (output / PREDICTIONS).resolve() == folder.resolve():
        raise InputError(f"{folder}: would be overwritten by the results; name another --output")
    source = open_source(arguments.model, arguments.backend, arguments.device)
    if arguments.others and isinstance(source, Path):
        raise InputError("--others needs a model: a file of predicted spans speaks of one data set; score each file by itself")
    rival = open_source(arguments.compare, arguments.backend, arguments.device) if arguments.compare else None
    corpora = read_corpora([arguments.data, *arguments.others], arguments.text_folders, console)
    documents = corpora[arguments.data]
    labels = labels_of([source, *([rival] if rival else [])], documents)
    for path, corpus in corpora.items():
        check_scorable(corpus, labels, path)
    others = spans_from(rival, documents, labels, arguments.data, console) if rival else None
    run = read_json_if_any(folder / RUN_RECORD)
    training = training_documents(run, arguments.text_folders)
    seen = surface_forms(training) if training else None
    found, scores = {}, {}
    for path, corpus in corpora.items():
        found[path] = spans_from(source, corpus, labels, path, console)
        learnt = warn_of_training_data(console, documents_learnt(run, training, corpus), len(corpus), path)
        scores[path] = {**evaluate_documents(corpus, found[path], labels, seen), "documents_learnt": learnt}
        print_scores(console, path, scores[path], more=path == arguments.data)
    predicted = found[arguments.data]
    extra: dict[str, Any] = {
        "backend": source.backend.name if isinstance(source, Tagger) else None,
        "weights_sha256": source.model.weights_sha256 if isinstance(source, Tagger) else None,
        "stock_pipeline": stock_pipeline(arguments.model, source, documents, predicted, console) if arguments.stock_pipeline else None,
        "comparison": None,
        "learning_curve": curve_of(folder, scores[arguments.data]),
    }
    if others is not None:
        names = {"first": arguments.model, "second": arguments.compare}
        extra["comparison"] = {**names, **compare(documents, predicted, others, labels)}
        console.print(comparison_table(extra["comparison"]))
    write_all(output, metrics_record(arguments.model, arguments.data, scores, extra), documents, predicted, console)


def curve_of(folder: Path, scores: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the learning curve stored beside the model, when it was scored on this very data."""
    curve = read_json_if_any(folder / LEARNING_CURVE)
    return curve if curve and curve.get("data", {}).get("sha256") == scores["data"]["sha256"] else None


def warn_of_training_data(console: Console, learnt: int | None, documents: int, path: str) -> int | None:
    """Say loudly when the scores are no test; returns `learnt`."""
    if learnt:
        console.print(f"[bold red]WARNING: the model was trained on {learnt} of the {documents} documents in {path}; this is no test[/]")
    return learnt


def stock_pipeline(
    model: str, source: Tagger | Path, documents: Sequence[Document], predicted: Sequence[Sequence[Span]], console: Console
) -> dict[str, Any] | None:
    """Return how far the stock pipeline agrees with the tagger, and say it; None for a file of predicted spans."""
    if isinstance(source, Path):
        return None
    stock = pipeline_agreement(model, documents, predicted)
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
