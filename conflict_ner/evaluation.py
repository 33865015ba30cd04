"""A tagger on a corpus -> `metrics.json`: the one file from which every published number is rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from transformers import pipeline

from conflict_ner.corpus import count_table
from conflict_ner.corpus.conll import tagged_words
from conflict_ner.documents import Document, Span, corpus_sha256
from conflict_ner.errors import InputError
from conflict_ner.runs import git_commit, versions
from conflict_ner.scoring import Counts, strict_scores, wilson_interval

METRICS_VERSION = 1


def evaluate_documents(documents: Sequence[Document], predicted: Sequence[Sequence[Span]], labels: Sequence[str]) -> dict[str, Any]:
    """Score predicted spans against the documents' own: `data`, `strict`, seqeval's figure for the same spans, and `groups`.

    `groups` is there when documents name a challenge `group` in their metadata: how many of its documents have exactly the right spans.
    """
    gold = [document.spans for document in documents]
    scores = {
        "data": {"sha256": corpus_sha256(documents), "counts": count_table(documents)},
        "strict": strict_scores(gold, predicted, labels),
        "seqeval": {"strict_iob2_micro_f1": _seqeval_f1(documents, predicted)},
    }
    grouped = [(d.meta["group"], set(d.spans) == set(p)) for d, p in zip(documents, predicted, strict=True) if "group" in d.meta]
    if grouped:
        names = ["all", *sorted({group for group, _ in grouped})]
        scores["groups"] = {name: _pass_rate([right for group, right in grouped if name in ("all", group)]) for name in names}
    return scores


def _pass_rate(right: Sequence[bool]) -> dict[str, Any]:
    return {"documents": len(right), "rate": sum(right) / len(right), "ci95": wilson_interval(sum(right), len(right))}


def _seqeval_f1(documents: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> float:
    """Return seqeval's strict IOB2 micro F1 over words cut at all gold and predicted edges, so that no span changes on the way."""
    rows = []
    for document, spans in zip(documents, predicted, strict=True):
        edges = {edge for span in (*document.spans, *spans) for edge in (span.start, span.end)}
        rows.append([[tag for _, _, tag in tagged_words(document.text, side, edges)] for side in (document.spans, spans)])
    gold, found = zip(*rows, strict=True)
    return float(f1_score(gold, found, mode="strict", scheme=IOB2, zero_division=0))


def pipeline_agreement(model: str, documents: Sequence[Document], predicted: Sequence[Sequence[Span]], limit: int) -> dict[str, Any]:
    """Compare with what a user of the stock pipeline gets: on each document of at most `limit` sub-tokens, the same spans or not.

    Returns the documents compared, the share with identical spans, and F1 of the pipeline's spans against the tagger's.
    """
    stock = pipeline("token-classification", model=model, aggregation_strategy="simple", device="cpu")
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
        "spans": counts.tp + counts.fn,
    }


def check_labels(documents: Sequence[Document], labels: Sequence[str], path: str) -> None:
    """Raise InputError when the data have labels that the model cannot predict: its recall on them would be 0 by construction."""
    unknown = {span.label for document in documents for span in document.spans} - set(labels)
    if unknown:
        raise InputError(
            f"{path}: annotated with {', '.join(sorted(unknown))}, but the model knows only {', '.join(labels)}; "
            "evaluate a model trained on these labels, or map the data to the model's"
        )


def metrics_record(model: str, data: str, scores: Mapping[str, dict[str, Any]], stock: dict[str, Any] | None) -> dict[str, Any]:
    """Assemble `metrics.json` from the scores by corpus path: those of `data` at the top level, the rest under `others`.

    `stock` is what `pipeline_agreement` returned, None when it was not measured.
    """
    return {
        "version": METRICS_VERSION,
        "model": model,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {"path": data, **scores[data]["data"]},
        "strict": scores[data]["strict"],
        "seqeval": scores[data]["seqeval"],
        **({"groups": scores[data]["groups"]} if "groups" in scores[data] else {}),
        "stock_pipeline": stock,
        "others": {path: score for path, score in scores.items() if path != data},
        "git_commit": git_commit(),
        "versions": versions(),
    }
