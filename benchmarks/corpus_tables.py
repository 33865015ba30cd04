"""The tables of data/README.md, counted anew from the corpus."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path

from tables import markdown_table

from conflict_ner.corpus import count_table, read_documents
from conflict_ner.corpus.quality import agreement, unseen_forms
from conflict_ner.documents import Document, corpus_sha256
from conflict_ner.labels import read_definitions
from conflict_ner.scoring import shown_interval

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def corpus() -> dict[str, list[Document]]:
    """Return the splits of our corpus."""
    return {split: read_documents(ROOT / "data/conflict" / split) for split in ("train", "dev", "test")}


def counts() -> str:
    """Return documents, words, spans and distinct forms by split, and the checksums."""
    tables = {split: count_table(documents) for split, documents in corpus().items()}
    tables["all"] = count_table([document for documents in corpus().values() for document in documents])
    rows = [[name, *(table.get(name, 0) for table in tables.values())] for name in tables["all"]]
    checksums = ", ".join(f"{split} `{corpus_sha256(documents)[:16]}`" for split, documents in corpus().items())
    challenge = count_table(read_documents(ROOT / "data/challenge"))
    more = f"Challenge set: {challenge['documents']} sentences, {challenge['spans']} spans. Checksums: {checksums}."
    return markdown_table(["", *tables], rows) + f"\n\n{more}"


def splits() -> str:
    """Return the share of test and dev forms that training never shows."""
    shares = {split: unseen_forms(corpus()["train"], corpus()[split]) for split in ("dev", "test")}
    return (
        "Distinct surface forms that train never annotates: "
        + ", ".join(f"{share:.1%} of {split}" for split, share in shares.items())
        + "."
    )


def readings() -> str:
    """Return agreement per part and label."""
    labels = list(read_definitions(ROOT / "data/conflict/labels.json"))
    scores = agreement(ROOT / "data/agreement/readings.jsonl")
    rows = []
    for part in ("train", "dev", "test", "re3d", "articles"):
        row = scores[part]
        figures = [f"{row['per_label'][label]['f1']:.3f}" for label in labels]
        rows.append([part, row["documents"], *figures, f"{row['micro']['f1']:.3f}", shown_interval(row)])
    return markdown_table(["part", "documents", *labels, "micro", "95 % interval"], rows)


def by_meta(key: str) -> str:
    """Return documents per value of a metadata key (a comma list counts each item) and split."""
    found = {s: Counter(v for d in ds for v in d.meta.get(key, "").split(",") if v) for s, ds in corpus().items()}
    values = sorted(set().union(*found.values()))
    return markdown_table([key, *found], [[value, *(count[value] for count in found.values())] for value in values])


def grid() -> str:
    """Return the three tables of the grid."""
    return "\n\n".join(by_meta(key) for key in ("conflict", "genre", "noise"))
