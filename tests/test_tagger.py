import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conflict_ner import Tagger
from conflict_ner import tagger as tagger_module
from conflict_ner.errors import InputError
from conflict_ner.windows import WindowSize, tokenize
from tests.conftest import ENCODERS


@pytest.fixture(scope="module")
def tagger(wild_model):
    return Tagger.from_pretrained(wild_model("bert"), device="cpu")


@pytest.mark.parametrize("architecture", ENCODERS)
def test_every_encoder_family_tags_texts_longer_than_its_window(wild_model, architecture):
    text = "Soldiers of the Nordland army fired rockets at Brenholm on Monday. " * 12
    (spans,) = Tagger.from_pretrained(wild_model(architecture), device="cpu").tag([text])
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
    monkeypatch.setattr(tagger.backend, "tokens_per_batch", 70)
    monkeypatch.setattr(tagger_module, "TEXTS_AT_A_TIME", 3)
    assert tagger.tag(texts) == together


@pytest.mark.parametrize("text", ["Raqqa \ud800 fell", "", " ", "\n\t", "\u200b", "🚀", "x" * 10_000])
def test_texts_without_words_and_one_endless_word(tagger, text):
    (spans,) = tagger.tag([text])
    assert all(text[span.start : span.end] for span in spans)


def test_every_sub_token_is_scored_once_by_some_window(tagger, monkeypatch):
    seen = []
    compute = tagger._logits
    monkeypatch.setattr(tagger, "_logits", lambda batch, tokens: seen.extend(batch) or compute(batch, tokens))
    tagger.tag(["army " * 500])
    spoken = sorted(k for job in seen for k in range(job.window.core_start, job.window.core_end))
    assert spoken == list(range(len(spoken)))
    assert len(seen) > 1


def test_short_texts_score_as_the_bare_model_does(tagger):
    text = "Two T-72B3 tanks near the river."
    input_ids = torch.tensor([tagger.model.tokenizer.encode(text).ids])
    with torch.inference_mode():
        expected = tagger.backend.model(input_ids=input_ids).logits[0, 1:-1].log_softmax(-1).numpy()
    ((_, log_probs),) = tagger.score([text])
    np.testing.assert_allclose(log_probs, expected, atol=1e-5)


def test_a_sub_token_has_the_scores_of_the_window_that_speaks_for_it(tagger):
    (tokens,) = tokenize(tagger.model.tokenizer, ["Soldiers fired rockets at Brenholm. " * 20])
    text = "Soldiers fired rockets at Brenholm. " * 20
    ((_, log_probs),) = tagger.score([text])
    for window in tagger.model.windows.cut(len(tokens.ids), 2):
        part = tagger._logits([tagger_module._Job(0, window)], [tokens])[0, 1:-1]
        expected = tagger_module._log_softmax(part)[window.core_start - window.start : window.core_end - window.start]
        np.testing.assert_allclose(log_probs[window.core_start : window.core_end], expected, atol=1e-4)


def test_texts_before_an_unreadable_one_are_tagged(tagger):
    def texts():
        yield from ["Soldiers fired rockets at Brenholm."] * 3
        raise InputError("notes.txt:4: byte 0xff is not UTF-8")

    stream = tagger.stream(texts())
    assert [next(stream) for _ in range(3)] == tagger.tag(["Soldiers fired rockets at Brenholm."] * 3)
    with pytest.raises(InputError, match="notes.txt:4"):
        next(stream)


def test_texts_are_read_no_further_than_two_portions_ahead(tagger, monkeypatch):
    monkeypatch.setattr(tagger_module, "TEXTS_AT_A_TIME", 2)
    read = []
    stream = tagger.stream(read.append(k) or f"text {k}" for k in range(1000))
    next(stream)
    assert len(read) <= 2 * (1 + tagger_module.PORTIONS_AHEAD) + 1
    stream.close()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(TEXTS, min_size=1, max_size=3).map(" ".join), st.integers(8, 60), st.integers(0, 30))
def test_however_windows_fall_every_sub_token_is_decided_and_spans_lie_in_the_text(tagger, text, length, overlap):
    usual = tagger.model
    tagger.model = dataclasses.replace(usual, windows=WindowSize(length + overlap, overlap))
    try:
        ((tokens, log_probs),) = tagger.score([text])
        (spans,) = tagger.tag([text])
    finally:
        tagger.model = usual
    assert np.allclose(np.exp(log_probs).sum(-1), 1, atol=1e-4), "rows nobody spoke for would sum to the number of tags"
    assert all(text[span.start : span.end].strip() for span in spans)
    assert len(log_probs) == len(tokens.ids)


def test_characters_outside_white_space_belong_to_some_sub_token(tagger):
    text = "Two T-72B3 tanks, (Su-34)\r\nnear Port Azur – #HIMARS 7.62 mm; “Kh-101/102”."
    (tokens,) = tokenize(tagger.model.tokenizer, [text])
    covered = {k for start, end in tokens.offsets for k in range(start, end)}
    assert covered >= {k for k, character in enumerate(text) if not character.isspace()}


def test_one_text_is_no_list_of_texts(tagger):
    with pytest.raises(TypeError, match="list of texts"):
        tagger.tag("Raqqa fell.")


def test_a_device_that_is_not_there_is_refused(wild_model):
    with pytest.raises(InputError, match="device 'gpu' cannot be used"):
        Tagger.from_pretrained(wild_model("bert"), device="gpu")


def test_weights_that_are_cut_off_are_refused(tmp_path, wild_model):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        content = (wild_model("bert") / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2] if name == "model.safetensors" else content)
    with pytest.raises(InputError, match="no token classifier could be loaded"):
        Tagger.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="backend 'jax' is unknown"):
        Tagger.from_pretrained(tmp_path, backend="jax")
