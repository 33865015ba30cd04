"""What can be scored: a model folder, a Hub id, or a file of spans that any system predicted; and what a model had learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from transformers import pipeline

from conflict_ner.corpus import read_documents
from conflict_ner.documents import Document, Span, corpus_sha256
from conflict_ner.errors import InputError, MissingTextError
from conflict_ner.predictions import read_predictions
from conflict_ner.scoring import Counts
from conflict_ner.tagger import Tagger

TEXT_FOLDERS = ("../shared/articles", "../shared/re3d")  # where stand-off texts are looked for unless other folders are named


def open_source(name: str, backend: str, device: str | None) -> Tagger | Path:
    """Return the tagger `name` stands for, or the path of a `.jsonl` file of predicted spans; raises InputError for neither."""
    path = Path(name)
    if path.suffix == ".jsonl" and not path.exists():
        raise InputError(f"{name}: there is no such file; check the path")
    if path.suffix == ".jsonl":
        return path
    if path.is_file():
        raise InputError(f"{name}: is neither a model folder nor a .jsonl file of predicted spans; name one of the two")
    return Tagger.from_pretrained(name, backend, device)


def labels_of(sources: Sequence[Tagger | Path], documents: Sequence[Document]) -> tuple[str, ...]:
    """Return the labels to score: those that the models know, else those of the data; raises InputError for models that differ."""
    known = [tuple(source.labels.names) for source in sources if isinstance(source, Tagger)]
    if len(known) == 2 and set(known[0]) != set(known[1]):
        raise InputError(
            f"the two models have other labels ({', '.join(known[0])}; {', '.join(known[1])}); compare models of one label set"
        )
    return known[0] if known else tuple(sorted({span.label for document in documents for span in document.spans}))


def spans_from(
    source: Tagger | Path, documents: Sequence[Document], labels: Sequence[str], path: str, console: Console
) -> list[Sequence[Span]]:
    """Return what `source` finds in the `documents` of `path`; raises InputError when predicted spans do not fit them."""
    if isinstance(source, Path):
        return list(read_predictions(source, documents, labels))
    return list(track(source.stream(d.text for d in documents), f"tagging {path}", len(documents), console=console))


def read_corpora(paths: Sequence[str], text_folders: Sequence[str], console: Console) -> dict[str, list[Document]]:
    """Return the corpora to score by path; all but the first are skipped when their texts are not here, and that is said."""
    corpora = {paths[0]: read_documents(paths[0], text_folders=text_folders)}
    for path in paths[1:]:
        try:
            corpora[path] = read_documents(path, text_folders=text_folders)
        except MissingTextError as error:
            console.print(f"[yellow]skipped:[/] {error}")
    return corpora


def pipeline_agreement(model: str, documents: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> dict[str, Any]:
    """Compare with what a user of the stock pipeline gets: on each document that it does not cut, the same spans or not.

    Returns the documents compared, the share with identical spans, and F1 of the pipeline's spans against the tagger's.
    """
    stock = pipeline("token-classification", model=model, aggregation_strategy="simple", device="cpu")
    limit = stock.tokenizer.model_max_length
    fits = [k for k, d in enumerate(documents) if len(stock.tokenizer(d.text, verbose=False)["input_ids"]) <= limit]
    same, counts = 0, Counts()
    for k in fits:
        ours = set(predicted[k])
        theirs = {Span(e["start"], e["end"], e["entity_group"]) for e in stock(documents[k].text)}
        same += ours == theirs
        counts = Counts(counts.tp + len(ours & theirs), counts.fp + len(theirs - ours), counts.fn + len(ours - theirs))
    return {
        "documents": len(fits),
        "identical_documents": same / max(len(fits), 1),
        "f1_between": counts.f1,
        "spans": int(counts.tp + counts.fn),
    }


def training_documents(run: Mapping[str, Any] | None, text_folders: Sequence[Path | str] = ()) -> list[Document] | None:
    """Return the documents that `run.json` says the model learnt from; None when they are not here, or not as they were."""
    if run is None:
        return None
    try:
        documents = [d for path in run["settings"]["train_data"] for d in read_documents(path, text_folders=text_folders)]
    except (InputError, KeyError):
        return None
    return documents if corpus_sha256(documents) == run["data"]["train"]["sha256"] else None


def documents_learnt(run: Mapping[str, Any] | None, training: Sequence[Document] | None, documents: Sequence[Document]) -> int | None:
    """Return how many of `documents` the run was trained on, by checksum of the whole or by text.

    None when that cannot be told: without a `run.json`, or when its training documents are not here as they were.
    """
    if run is None:
        return None
    if corpus_sha256(documents) == run.get("data", {}).get("train", {}).get("sha256"):
        return len(documents)
    if training is None:
        return None
    learnt = {document.text for document in training}
    return sum(document.text in learnt for document in documents)
