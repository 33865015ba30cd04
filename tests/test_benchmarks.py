"""The benchmark scripts: what they share, on a tiny corpus. The figures themselves are made by their commands, not here."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from conflict_ner.corpus import write_documents
from conflict_ner.documents import Document
from conflict_ner.predictions import read_predictions
from tests.conftest import DEV, TRAIN

ROOT = Path(__file__).parent.parent
LABELS = ("ACTOR", "LOCATION", "WEAPON")


@pytest.fixture
def benchmark_path(monkeypatch):
    for folder in ("benchmarks/peers", "benchmarks"):
        monkeypatch.syspath_prepend(str(ROOT / folder))


def test_parts_of_the_training_documents_lie_inside_one_another(benchmark_path):
    from learning_curve import part

    documents = [Document(f"d{k}", "text") for k in range(100)]
    parts = [part(documents, share) for share in (0.1, 0.25, 0.5, 1)]
    assert [len(p) for p in parts] == [10, 25, 50, 100]
    for small, large in pairwise(parts):
        assert [d for d in large if d in small] == small, "in the corpus's order, and inside the next"
    assert parts[-1] == documents


def test_peers_words_lose_no_span_and_read_tags_back(benchmark_path):
    from peer import spans_of, words

    for document in (*TRAIN, *DEV):
        row = {"text": document.text, "spans": [{"start": s.start, "end": s.end, "label": s.label} for s in document.spans]}
        found = [span for tagged in words(row) for span in spans_of([w[:2] for w in tagged], [w[2] for w in tagged])]
        assert found == [(s.start, s.end, s.label) for s in document.spans]
    assert spans_of([(0, 1), (2, 3), (4, 5)], ["I-A", "I-A", "I-B"]) == [(0, 3, "A"), (4, 5, "B")]


def test_a_peer_runs_from_the_command_line_and_its_spans_can_be_scored(tmp_path):
    write_documents(TRAIN, tmp_path / "train.jsonl")
    write_documents([Document(d.id, d.text) for d in DEV], tmp_path / "test.jsonl")
    files = [f"--{split}={tmp_path}/{name}.jsonl" for split, name in (("train", "train"), ("dev", "test"), ("test", "test"))]
    command = [sys.executable, "benchmarks/peers/gazetteer.py", *files, "--seed=1", f"--output={tmp_path}/found.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    (found,) = read_predictions(tmp_path / "found.jsonl", DEV, LABELS)
    assert found == DEV[0].spans


def test_a_result_is_computed_again_only_when_its_peer_changed(benchmark_path):
    from accuracy import missing_seeds

    peers = {}
    assert missing_seeds(peers, "spacy-cnn", [1, 2]) == [1, 2]
    peers["spacy-cnn"]["runs"] = [{"seed": 1}]
    assert missing_seeds(peers, "spacy-cnn", [1, 2]) == [2]
    peers["spacy-cnn"]["code_sha256"] = "another file"
    assert missing_seeds(peers, "spacy-cnn", [1, 2]) == [1, 2]
    assert missing_seeds(peers, "gazetteer", [1, 2]) == [1], "no seed changes a gazetteer"


def test_stored_results_speak_of_the_committed_data():
    from conflict_ner.corpus import read_documents
    from conflict_ner.documents import corpus_sha256

    test = corpus_sha256(read_documents("data/conflict/test"))
    train = corpus_sha256(read_documents("data/conflict/train"))
    stored = json.loads((ROOT / "benchmarks/accuracy.json").read_text())["tasks"]["conflict"]
    assert (stored["data"]["train"], stored["data"]["test"]) == (train, test)
    for name in ("conflict-minilm", "conflict-minilm-learning-curve"):
        assert json.loads((ROOT / f"benchmarks/{name}.json").read_text())["data"]["sha256"] == test
