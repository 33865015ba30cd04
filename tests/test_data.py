"""The data we ship: splits that do not leak, counts that were promised, annotations that follow the format."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from conflict_ner.corpus import check_splits, count_table, read_documents
from conflict_ner.corpus.quality import shared_runs, unseen_forms
from conflict_ner.documents import text_sha256
from conflict_ner.labels import read_definitions

LABELS = tuple(read_definitions(Path("data/conflict/labels.json")))
SHARED = Path("../shared")
KINDS = {
    "genre": "wire headline caption communique ministry press-release think-tank field-report cable eyewitness osint alert arms-notice "
    "encyclopedia state-media broadcast old-newspaper",
    "noise": "none caps lower nopunct mojibake typo translit tokenized linebreak",
    "cases": "place-party nationality-weapon nationality-action nationality-other homonym no-entity civil-negative alias unit-number ship-name "
    "designator coordination apposition possessive civil-vehicle led-backed facility",
}


@pytest.fixture(scope="module")
def splits():
    return {split: read_documents(f"data/conflict/{split}", LABELS) for split in ("train", "dev", "test")}


@pytest.fixture(scope="module")
def challenge():
    return read_documents("data/challenge", LABELS)


def test_no_event_id_or_text_stands_in_two_splits(splits, challenge):
    check_splits({**splits, "challenge": challenge})
    events = {split: {document.meta["event"] for document in documents} for split, documents in splits.items()}
    assert not events["train"] & events["dev"]
    assert not events["train"] & events["test"]
    assert not events["dev"] & events["test"]


def test_metadata_is_complete_and_spelt_as_agreed(splits):
    for documents in splits.values():
        for document in documents:
            assert {"genre", "conflict", "event", "date", "noise"} <= set(document.meta), document.id
            for key, allowed in KINDS.items():
                assert set(filter(None, document.meta.get(key, "").split(","))) <= set(allowed.split()), document.id


def test_counts(splits):
    counts = count_table([document for documents in splits.values() for document in documents])
    assert counts["documents"] >= 700
    assert counts["words"] >= 75_000
    assert counts["spans"] >= 12_000
    assert counts["ACTOR"] >= 5_000
    assert counts["ACTOR forms"] >= 1_300
    assert counts["WEAPON"] >= 3_000
    assert counts["WEAPON forms"] >= 900
    assert counts["LOCATION"] >= 3_500
    assert counts["LOCATION forms"] >= 1_300
    cases = Counter(case for documents in splits.values() for d in documents for case in d.meta.get("cases", "").split(",") if case)
    assert min(cases[case] for case in KINDS["cases"].split()) >= 40


def test_test_split_asks_for_more_than_memory(splits):
    assert unseen_forms(splits["train"], splits["test"]) >= 0.4
    conflicts, genres = ({split: {d.meta[key] for d in splits[split]} for split in splits} for key in ("conflict", "genre"))
    assert len(conflicts["test"] - conflicts["train"] - conflicts["dev"]) >= 2
    assert len(genres["test"] - genres["train"] - genres["dev"]) >= 1


def test_no_run_of_eight_words_is_shared_between_splits(splits, challenge):
    test = {document.id: document.text for document in (*splits["test"], *challenge)}
    dev = {document.id: document.text for document in splits["dev"]}
    assert shared_runs([*splits["train"], *splits["dev"]], test) == []
    assert shared_runs(splits["train"], dev) == []


@pytest.mark.skipif(not SHARED.exists(), reason="the texts of others lie in ../shared, which is not here")
def test_no_run_of_eight_words_comes_from_the_texts_of_others(splits, challenge):
    others = {path.name: path.read_text(encoding="utf-8") for path in (SHARED / "articles").glob("*.txt")}
    others |= {name: " ".join(d.text for d in read_documents(SHARED / f"re3d/{name}.txt")) for name in ("train", "dev")}
    for path in (SHARED / "real_text").glob("*.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            others[path.name] = " \n".join(json.loads(line)["text"] for line in lines)
    ours = [document for documents in (*splits.values(), challenge) for document in documents]
    assert shared_runs(ours, others) == []


@pytest.mark.skipif(not SHARED.exists(), reason="the stand-off texts lie in ../shared, which is not here")
def test_stand_off_spans_fit_their_texts():
    folders = [SHARED / "articles", SHARED / "re3d"]
    assert len(read_documents("data/articles", LABELS, folders)) == 2
    assert len(read_documents("data/re3d", LABELS, folders)) == 765


def test_readings_cover_all_of_test_and_a_third_of_the_rest(splits):
    rows = [json.loads(line) for line in Path("data/agreement/readings.jsonl").read_text().splitlines()]
    read_twice = {row["id"] for row in rows}
    for split, least in (("train", 0.3), ("dev", 0.3), ("test", 1.0)):
        assert len([d for d in splits[split] if d.id in read_twice]) >= least * len(splits[split])
    texts = {document.id: text_sha256(document.text) for documents in splits.values() for document in documents}
    unchanged = [row for row in rows if texts.get(row["id"]) == row["text_sha256"]]
    assert len(unchanged) >= 0.9 * len([row for row in rows if row["part"] != "re3d"])


def test_challenge_groups_are_large_enough_and_never_trained_on(challenge):
    groups = Counter(document.meta["group"] for document in challenge)
    assert len(challenge) >= 250
    assert min(groups.values()) >= 10
    assert not any("challenge" in config.read_text() for config in Path("configs").glob("*.yaml"))
