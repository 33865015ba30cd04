"""A corpus as a `datasets.DatasetDict`: text and spans for those who keep offsets, tokens and IOB2 tags for those who do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from conflict_ner.corpus.conll import tagged_words
from conflict_ner.documents import Document
from conflict_ner.labels import LabelSet

if TYPE_CHECKING:
    from datasets import DatasetDict


def dataset_dict(splits: Mapping[str, Sequence[Document]], labels: LabelSet) -> DatasetDict:
    """Return one row a document: `id`, `text`, `spans` (start, end, label), `tokens`, `ner_tags` (class ids) and the metadata keys.

    A metadata key that a document lacks is the empty string; one named like a column gets `meta_` before it. Split `dev` is called
    `validation`, as on the Hub.
    """
    from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

    keys = sorted({key for documents in splits.values() for document in documents for key in document.meta})
    string = Value("string")
    features = Features(
        id=string,
        text=string,
        spans=List({"start": Value("int32"), "end": Value("int32"), "label": string}),
        tokens=List(string),
        ner_tags=List(ClassLabel(names=list(labels.tags))),
        **{_column(key): string for key in keys},
    )
    return DatasetDict(
        {
            "validation" if split == "dev" else split: Dataset.from_list([_row(d, labels, keys) for d in documents], features=features)
            for split, documents in splits.items()
        }
    )


def _column(key: str) -> str:
    return f"meta_{key}" if key in ("id", "text", "spans", "tokens", "ner_tags") else key


def _row(document: Document, labels: LabelSet, keys: Sequence[str]) -> dict[str, object]:
    words = list(tagged_words(document.text, document.spans))
    return {
        "id": document.id,
        "text": document.text,
        "spans": [{"start": span.start, "end": span.end, "label": span.label} for span in document.spans],
        "tokens": [document.text[start:end] for start, end, _ in words],
        "ner_tags": [labels.label2id[tag] for _, _, tag in words],
        **{_column(key): document.meta.get(key, "") for key in keys},
    }


def export(splits: Mapping[str, Sequence[Document]], labels: LabelSet, folder: Path) -> list[Path]:
    """Write one Parquet file a split, named as `load_dataset(folder)` expects, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for split, dataset in dataset_dict(splits, labels).items():
        paths.append(folder / f"{split}.parquet")
        dataset.to_parquet(paths[-1])
    return paths
