import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForTokenClassification, AutoTokenizer

from conflict_ner import Tagger
from conflict_ner import tagger as tagger_module
from conflict_ner.errors import InputError
from conflict_ner.labels import LabelSet
from tests.conftest import ENCODERS

LABELS = LabelSet(("ACTOR", "LOCATION", "WEAPON"))


def random_tagger(folder, seed=0):
    """A tagger with random weights spread widely, so that it predicts many spans."""
    torch.manual_seed(seed)
    model = AutoModelForTokenClassification.from_pretrained(folder, id2label=LABELS.id2label, label2id=LABELS.label2id, dtype=torch.float32)
    model.config.window = {"max_length": 64, "overlap": 16}
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    return Tagger(model, AutoTokenizer.from_pretrained(folder), device="cpu")


@pytest.fixture(scope="module")
def tagger(tiny_encoder):
    return random_tagger(tiny_encoder("bert"))


@pytest.mark.parametrize("architecture", ENCODERS)
def test_every_encoder_family_tags_texts_longer_than_its_window(tiny_encoder, architecture):
    text = "Soldiers of the Nordland army fired rockets at Brenholm on Monday. " * 12
    (spans,) = random_tagger(tiny_encoder(architecture)).tag([text])
    assert spans
    assert spans[-1].end > len(text) / 2
    for span in spans:
        assert text[span.start : span.end].strip() == text[span.start : span.end]
        assert isinstance(span.score, float)
        assert 0 <= span.score <= 1


TEXTS = st.lists(
    st.sampled_from(["T-72B3 ", "army ", "Port Azur, ", " ", "\n", "é́", "🚀", "بغداد ", "\u200b", "\x00", "x" * 200]), max_size=40
).map("".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(TEXTS, max_size=5))
def test_texts_do_not_influence_each_other(tagger, texts):
    assert tagger.tag(texts) == [tagger.tag([text])[0] for text in texts]


def test_one_batch_or_many_give_the_same_spans(tagger, monkeypatch):
    texts = [f"Soldiers fired {'rockets ' * k} at Brenholm." for k in range(40)]
    together = tagger.tag(texts)
    monkeypatch.setattr(tagger_module, "TOKENS_PER_BATCH", 70)
    monkeypatch.setattr(tagger_module, "TEXTS_AT_A_TIME", 3)
    assert tagger.tag(texts) == together


@pytest.mark.parametrize("text", ["Raqqa \ud800 fell", "", " ", "\n\t", "\u200b", "🚀", "x" * 10_000])
def test_texts_without_words_and_one_endless_word(tagger, text):
    (spans,) = tagger.tag([text])
    assert all(text[span.start : span.end] for span in spans)


def test_every_sub_token_is_scored_once_by_some_window(tagger, monkeypatch):
    seen = []
    score = tagger._score_windows
    monkeypatch.setattr(tagger, "_score_windows", lambda batch, tokens: seen.extend(batch) or score(batch, tokens))
    tagger.tag(["army " * 500])
    spoken = sorted(k for job in seen for k in range(job.window.core_start, job.window.core_end))
    assert spoken == list(range(len(spoken)))
    assert len(seen) > 1


def test_short_texts_score_as_the_bare_model_does(tagger):
    text = "Two T-72B3 tanks near the river."
    encoding = tagger.tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        expected = tagger.model(**encoding).logits[0, 1:-1].log_softmax(-1).numpy()
    tokens = tagger_module.tokenize(tagger.tokenizer, text)
    job = tagger_module._Job(0, tagger_module.Window(0, len(tokens.ids), 0, len(tokens.ids)))
    np.testing.assert_allclose(tagger._score_windows([job], [tokens])[0], expected, atol=1e-5)


def test_one_text_is_no_list_of_texts(tagger):
    with pytest.raises(TypeError, match="list of texts"):
        tagger.tag("Raqqa fell.")


def test_a_device_that_is_not_there_is_refused(tagger):
    with pytest.raises(InputError, match="device 'gpu' cannot be used"):
        Tagger(tagger.model, tagger.tokenizer, device="gpu")


def test_what_is_no_model_is_refused(tmp_path, tiny_encoder):
    (tmp_path / "cut").mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        content = (tiny_encoder("bert") / name).read_bytes()
        (tmp_path / "cut" / name).write_bytes(content[: len(content) // 2] if name == "model.safetensors" else content)
    with pytest.raises(InputError, match="no token classifier could be loaded"):
        Tagger.from_pretrained(tmp_path / "cut")
    with pytest.raises(InputError, match="backend 'jax' is unknown"):
        Tagger.from_pretrained(tmp_path, backend="jax")
    with pytest.raises(InputError, match="holds no config.json.*train the model first"):
        Tagger.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="holds no model.safetensors"):
        Tagger.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="no such folder.*train the model first"):
        Tagger.from_pretrained(tmp_path / "absent")
    with pytest.raises(InputError, match="no token classifier could be loaded"):
        Tagger.from_pretrained("nobody/nothing-here")
    with pytest.raises(InputError, match="model's tags"):
        Tagger.from_pretrained(tiny_encoder("bert"))
