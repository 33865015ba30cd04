"""The benchmark scripts: what they share, on a tiny corpus. The figures themselves are made by their commands, not here."""

import functools
import io
import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer as FastTokenizer
from transformers import AutoModelForTokenClassification, AutoTokenizer

from conflict_ner import Tagger
from conflict_ner.corpus import write_documents
from conflict_ner.documents import Document
from conflict_ner.errors import InputError
from conflict_ner.labels import LabelSet
from conflict_ner.predictions import read_predictions
from conflict_ner.scoring import strict_scores
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


@pytest.fixture(scope="session")
def model(tiny_encoder, tmp_path_factory):
    """A model folder with random weights, spread so that it finds spans."""
    labels, folder = LabelSet(LABELS), tmp_path_factory.mktemp("classifier")
    torch.manual_seed(0)
    classifier = AutoModelForTokenClassification.from_pretrained(tiny_encoder("bert"), id2label=labels.id2label, label2id=labels.label2id)
    torch.nn.init.normal_(classifier.classifier.weight, std=2.0)
    classifier.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_encoder("bert")).save_pretrained(folder)
    return folder


def test_the_ceiling_computes_the_products_of_the_encoder_and_nothing_else(benchmark_path, model, tmp_path):
    import onnx
    from ceiling import Encoder, ceiling, quantized

    encoder = Encoder.from_config(json.loads((model / "config.json").read_text()))
    classifier = AutoModelForTokenClassification.from_pretrained(model)
    of_model = sum(w.numel() for name, w in classifier.named_parameters() if "layer" in name and w.dim() == 2)
    assert sum(weight.size for _, _, weight in encoder.weights()) == of_model
    assert encoder.operations() == 2 * of_model
    kinds = [node.op_type for node in onnx.load(quantized(encoder, tmp_path)).graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 6 * encoder.layers
    assert "MatMul" not in kinds
    assert kinds.count("QuantizeLinear") == 4 * encoder.layers, "query, key and value share their input"
    assert ceiling("fp32", encoder)(0.01) > 0
    assert ceiling("int8", encoder)(0.01) > 0


def test_a_worker_answers_line_by_line_and_says_why_it_cannot(benchmark_path, model, tmp_path, monkeypatch):
    import speed_worker
    from speed_worker import System, serve

    monkeypatch.setattr(speed_worker, "STRIDE", 8)  # the tiny model's input is shorter than the usual overlap

    def answers(system, *requests):
        said = io.StringIO()
        serve(system, model, io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), said)
        return [json.loads(line) for line in said.getvalue().splitlines()]

    write_documents(DEV, tmp_path / "dev.jsonl")
    (tmp_path / "texts.json").write_text(json.dumps([document.text for document in TRAIN]))
    request = {"texts": str(tmp_path / "texts.json")}
    ready, tagged, scored = answers(System("ours"), request, {"score": str(tmp_path / "dev.jsonl")})
    assert ready == {"ready": True}
    assert tagged["seconds"] > 0
    assert tagged["peak_mib"] > 10
    found = Tagger.from_pretrained(model, backend="torch", device="cpu").tag([DEV[0].text])
    assert scored["f1"] == strict_scores([DEV[0].spans], found, LABELS)["micro"]["f1"]
    assert [set(words) for words in answers(System("stock", batch_size=2), request)] == [{"ready"}, {"seconds", "peak_mib"}]
    assert "abacus" in answers(System("ours", "abacus"))[0]["skipped"]
    if not torch.cuda.is_available():
        assert "GPU" in answers(System("ours", device="cuda"))[0]["skipped"]


@pytest.mark.slow
def test_systems_take_turns_and_a_missing_one_is_said(benchmark_path, model, tmp_path, monkeypatch):
    import speed
    from tables import speed_table

    monkeypatch.setattr(speed, "BUILD", tmp_path)
    monkeypatch.setattr(speed, "CEILING_SECONDS", 0.01)
    texts = {"sentences": [d.text for d in TRAIN], "long": [" ".join(d.text for d in TRAIN) * 5]}
    parts = speed.write_parts(texts, FastTokenizer.from_file(str(model / "tokenizer.json")))
    whole, tenth = parts["long"]
    assert len(json.loads(tenth.file.read_text())[0]) == tenth.characters == whole.characters // 10
    result = {"command": "c", "rounds": 2, "systems": {}, "ceilings": {}, "kinds": {}}
    result["machine"] = {"cores": 1, "processor": "p", "instructions": []}
    wanted = {"int8": speed.CEILINGS["int8"], "torch": speed.SYSTEMS["torch"], "stock": speed.System("ours", "abacus")}
    with speed.workers(wanted, model) as (ready, result["skipped"]):
        assert set(ready) == {"int8", "torch"}
        for kind, both in parts.items():
            speed.measure(kind, both, 2, ready, result)
            result["kinds"][kind] = both[0].size()
    assert all(worker.process.poll() is not None for worker in ready.values())
    assert [len(row["seconds"]) for row in result["systems"]["torch"]["kinds"].values()] == [2, 1]
    assert [len(rates) for rates in result["ceilings"]["int8"].values()] == [2, 1]
    assert result["systems"]["torch"]["kinds"]["long"]["sub_tokens"] == tenth.sub_tokens
    assert "Left out: stock (backend 'abacus'" in speed_table(result)


def test_ratios_are_taken_within_a_round(benchmark_path):
    from speed import SYSTEMS
    from tables import TRAINING_NAMES, speed_table
    from training_speed import SYSTEMS as TRAININGS

    from conflict_ner.card_benchmarks import SYSTEM_NAMES

    def system(ceiling, *seconds):
        size = {"documents": 10, "characters": 400, "sub_tokens": 100}
        return {"ceiling": ceiling, "kinds": {"articles": {**size, "seconds": list(seconds), "peak_mib": 99.6}}}

    result = {
        "systems": {"stock": system("fp32", 1.0, 10.0, 2.0), "onnx-int8": {**system("int8", 0.1, 0.5, 0.2), "f1": 0.5}},
        "ceilings": {"int8": {"articles": [2000.0, 400.0, 1000.0]}},
        "kinds": {"articles": {"documents": 10, "characters": 400, "sub_tokens": 100}},
        **{
            "skipped": {"a": "none", "b": "none"},
            "machine": {"cores": 2, "processor": "p", "instructions": ["i"]},
            "rounds": 3,
            "command": "c",
        },
    }
    shown = speed_table(result)
    # 10, 20 and 10 times as fast as stock in the same round; 1000/2000, 200/400 and 500/1000 of the ceiling.
    assert "| **ours**, ONNX int8 | 50 | 500 | 10.0 | 10.0–20.0 | 50% | 100 | 0.500 |" in shown
    assert "Left out: a, b (none)." in shown
    assert "**Articles** (documents 10, characters 400, sub-tokens 100)" in shown
    assert set(SYSTEM_NAMES) == set(SYSTEMS)
    assert set(TRAINING_NAMES) == set(TRAININGS)


def test_a_cold_start_ends_with_the_first_entity_or_with_the_commands_own_words(benchmark_path, monkeypatch):
    import cold_start
    from tables import cold_start_table

    def python(code):
        return [sys.executable, "-S", "-c", code]

    late = "import time; print('{\"label\": 1}'); time.sleep(0.5)"
    begun = time.perf_counter()
    taken = cold_start.seconds_to_first_entity(python(late))
    assert taken < time.perf_counter() - begun - 0.4, "what comes after the entity does not count"
    monkeypatch.setattr(
        cold_start, "commands", lambda model: {"stock": python(late), "torch": python("raise SystemExit('no such weights')")}
    )
    found = cold_start.cold_starts(Path("anywhere"), 1)
    assert len(found["seconds"]["stock"]) == 1
    assert found["skipped"] == {"torch": "no such weights"}
    assert "Left out: torch (no such weights)." in cold_start_table({"cold_start": found, "rounds": 1, "command": "c"})
    with pytest.raises(InputError, match="found no entity"):
        cold_start.seconds_to_first_entity(python("print('[]')"))


def test_peak_memory_is_that_of_the_process_itself(benchmark_path, tmp_path):
    from training_speed import run_measured

    hold = "import time; held = bytearray({}); time.sleep(1)"
    small, large = (run_measured(["-S", "-c", hold.format(size)], tmp_path / "log") for size in (1, 200 * 2**20))
    assert small["peak_mib"] < 100, "this test process is larger, and does not count"
    assert 190 < large["peak_mib"] - small["peak_mib"] < 220
    assert small["seconds"] > 1
    with pytest.raises(InputError, match="last words"):
        run_measured(["-c", "raise SystemExit(3)"], tmp_path / "log")


@pytest.mark.slow
def test_a_training_is_measured_and_scored(benchmark_path, config, tmp_path, monkeypatch):
    import training_speed

    monkeypatch.setattr(training_speed, "BUILD", tmp_path)
    write_documents(TRAIN, tmp_path / "train.jsonl")
    row = training_speed.run_system("documents-fp32", config, 1, 5, DEV)
    assert row["seconds"] > 0.1
    assert row["peak_mib"] > 50
    record = json.loads((tmp_path / "documents-fp32/run.json").read_text())
    assert (record["settings"]["seed"], record["epochs"]) == (5, 1)
    tagger = Tagger.from_pretrained(tmp_path / "documents-fp32", backend="torch")
    assert row["micro"]["f1"] == strict_scores([DEV[0].spans], tagger.tag([DEV[0].text]), LABELS)["micro"]["f1"]


def test_sentences_count_when_they_are_learnt_too(benchmark_path, tiny_encoder):
    from training_speed import count_sub_tokens

    single, double = TRAIN[0], TRAIN[2]  # one sentence, two sentences
    count = functools.partial(count_sub_tokens, encoder=str(tiny_encoder("bert")))
    assert count([single])[True] == count([single])[False] > 0
    assert count([double])[True] == 2 * count([double])[False]


def test_the_padded_recipe_pads_every_row(benchmark_path, monkeypatch, tiny_encoder):
    import recipe

    monkeypatch.setattr(recipe, "DataCollatorForTokenClassification", recipe.DataCollatorForTokenClassification)
    import recipe_padded

    collate = recipe_padded.recipe.DataCollatorForTokenClassification(AutoTokenizer.from_pretrained(tiny_encoder("bert")))
    assert collate([{"input_ids": [1, 2], "labels": [0, 1]}])["input_ids"].shape == (1, 512)
