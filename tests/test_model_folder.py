import json
import shutil

import pytest

from conflict_ner.errors import InputError
from conflict_ner.model_folder import open_model
from conflict_ner.windows import WindowSize


@pytest.fixture
def folder(wild_model, tmp_path):
    return shutil.copytree(wild_model("bert"), tmp_path / "model")


def change(path, **values):
    content = {key: value for key, value in {**json.loads(path.read_text()), **values}.items() if value is not None}
    path.write_text(json.dumps(content))


def test_a_folder_says_what_goes_in_and_what_comes_out(folder):
    model = open_model(folder)
    assert model.labels.names == ("ACTOR", "LOCATION", "WEAPON")
    assert model.windows == WindowSize(64, 16)
    assert model.before == [2]
    assert model.after == [3]
    assert model.revision == model.weights_sha256[:12]


def test_the_revision_changes_with_the_weights(folder):
    before = open_model(folder).revision
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert open_model(folder).revision != before


def test_truncation_and_padding_baked_into_the_tokenizer_are_cleared(folder):
    truncation = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    change(folder / "tokenizer.json", truncation=truncation)
    assert len(open_model(folder).tokenizer.encode("rockets " * 50).ids) > 50


@pytest.mark.parametrize(("limit", "expected"), [(40, WindowSize(40, 10)), (int(1e30), WindowSize(512, 128)), (None, WindowSize(64, 16))])
def test_models_of_others_say_no_window(folder, limit, expected):
    config = json.loads((folder / "config.json").read_text())
    del config["window"]
    (folder / "config.json").write_text(json.dumps(config))
    change(folder / "tokenizer_config.json", model_max_length=limit)
    assert open_model(folder).windows == expected


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"holds no {name}; train the model first"):
        open_model(folder)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("config.json", "{", "not valid JSON.*make it anew"),
        ("config.json", "[]", "expected one JSON object"),
        ("tokenizer.json", '{"model": 1}', "copy or train the model again"),
    ],
)
def test_files_that_are_cut_off_are_named(folder, name, content, complaint):
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=rf"{name}.*{complaint}"):
        open_model(folder)


def test_what_is_no_classifier_and_what_is_not_there_is_refused(folder, tiny_encoder, tmp_path):
    with pytest.raises(InputError, match="model's tags"):
        open_model(tiny_encoder("bert"))
    with pytest.raises(InputError, match="no such folder.*train the model first"):
        open_model(tmp_path / "absent")
    with pytest.raises(InputError, match=r"cannot be read \(File name too long\); correct the path"):
        open_model("x" * 300)
    with pytest.raises(InputError, match="no model of that id could be fetched"):
        open_model("nobody/nothing-here")
    with pytest.raises(InputError, match="has no revisions"):
        open_model(folder, revision="main")
