"""Calibration on a real (tiny) model: softer scores, the same spans, written into the weights."""

import json

import pytest
from safetensors.torch import load_file

import train
from conflict_ner import Tagger
from conflict_ner.calibration import calibration
from conflict_ner.corpus import write_documents
from conflict_ner.documents import Document
from conflict_ner.temperature import FEWEST_SPANS, LAST_LAYER, calibrate
from tests.conftest import DEV, TRAIN

COPIES = 12
# The model knows these sentences by heart; half of the copies say that it is wrong about every one.
HALF_WRONG = [Document(f"{d.id}-{k}", d.text, d.spans if k % 2 else ()) for d in TRAIN for k in range(COPIES)]


@pytest.fixture(scope="module")
def sure_model(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("sure")
    write_documents(TRAIN, folder / "train.md")
    write_documents(DEV, folder / "dev.md")
    files = (
        f"--model_name_or_path {tiny_encoder('bert')} --train_data {folder}/train.md --dev_data {folder}/dev.md --output_dir {folder}/run"
    )
    settings = "--learning_rate 1e-2 --num_train_epochs 60 --per_device_train_batch_size 4 --eval_strategy no --save_strategy no"
    assert train.main([*files.split(), *settings.split(), "--use_cpu", "true", "--disable_tqdm", "true"]) == 0
    return folder / "run"


def test_too_few_dev_spans_leave_the_model_alone_and_the_record_says_so(sure_model):
    assert json.loads((sure_model / "run.json").read_text())["calibration"] is None
    before = (sure_model / "model.safetensors").read_bytes()
    assert calibrate(sure_model, DEV) is None
    assert (sure_model / "model.safetensors").read_bytes() == before


def test_a_model_that_is_too_sure_becomes_less_sure_and_finds_the_same_spans(sure_model):
    texts = [document.text for document in HALF_WRONG]
    gold = [document.spans for document in HALF_WRONG]
    before, layer = Tagger.from_pretrained(sure_model).tag(texts), load_file(sure_model / "model.safetensors")
    assert sum(map(len, before)) >= FEWEST_SPANS
    fitted = calibrate(sure_model, HALF_WRONG)
    after = Tagger.from_pretrained(sure_model).tag(texts)
    assert after == before  # spans compare without their scores
    assert fitted["temperature"] > 1
    assert fitted["ece_after"] < fitted["ece_before"]
    assert fitted["ece_before"] == pytest.approx(calibration(gold, before)["ece"], abs=1e-4)
    assert fitted["ece_after"] == pytest.approx(calibration(gold, after)["ece"], abs=1e-4)
    for name, weights in load_file(sure_model / "model.safetensors").items():
        scale = fitted["temperature"] if name in LAST_LAYER else 1
        assert (weights * scale - layer[name]).abs().max() < 1e-5
