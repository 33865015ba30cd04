import copy
import io
import json
import re

import pytest
import yaml
from rich.console import Console

from conflict_ner.colours import highlighted
from conflict_ner.documents import Span
from conflict_ner.errors import InputError
from conflict_ner.model_card import render_card, write_card
from conflict_ner.terminal import score_table

SCORES = {
    "data": {"sha256": "ab" * 32, "counts": {"documents": 17, "words": 901, "spans": 123}},
    "strict": {
        "documents": 17,
        "micro": {"precision": 0.811, "recall": 0.722, "f1": 0.7639, "support": 123, "ci95": [0.7123, 0.8234]},
        "macro": {"precision": 0.801, "recall": 0.702, "f1": 0.7481, "ci95": [0.6987, 0.7998]},
        "per_label": {"ACTOR": {"precision": 0.91, "recall": 0.62, "f1": 0.7375, "support": 71, "ci95": [0.6876, 0.7876]}},
    },
}
OTHER = copy.deepcopy(SCORES)
OTHER["strict"]["micro"]["f1"] = 0.6543
METRICS = {**SCORES, "model": "models/tiny", "data": {"path": "data/test", **SCORES["data"]}, "others": {"data/articles": OTHER}}
RUN = {
    "config": "configs/tiny.yaml",
    "encoder": {"name": "some/encoder", "revision": None, "origin": "wheel x==1"},
    "license": "apache-2.0",
    "labels": {"ACTOR": "who fights"},
    "data": {"train": {"documents": 37, "words": 4007, "spans": 557, "sha256": "cd" * 32}},
    "settings": {
        "train_data": ["data/train"],
        "num_train_epochs": 9.0,
        "per_device_train_batch_size": 16,
        "learning_rate": 3e-4,
        "seed": 5,
        "max_length": 256,
    },
    "alignment": {"train": {"aligned": 555, "cut": 2}},
    "dev": {"best_f1": 0.7777},
    "seconds": 99.0,
    "resumed": False,
    "epochs": 9.0,
    "batch_size": 16,
    "machine": {"cores": 2, "processor": "x86_64", "gpu": None},
    "versions": {"torch": "2.13.0"},
    "git_commit": "0123abc",
}


def split_card(card):
    _, header, body = card.split("---\n", 2)
    return yaml.safe_load(header), body


def test_metadata_is_what_the_hub_expects():
    metadata, _ = split_card(render_card(METRICS, RUN))
    assert metadata["license"] == "apache-2.0"
    assert metadata["language"] == "en"
    assert metadata["base_model"] == "some/encoder"
    assert metadata["pipeline_tag"] == "token-classification"
    assert metadata["library_name"] == "transformers"
    (result,) = metadata["model-index"][0]["results"]
    assert {m["type"]: m["value"] for m in result["metrics"]} == {"precision": 0.811, "recall": 0.722, "f1": 0.7639}


def test_metadata_parses_with_the_hubs_own_reader(tmp_path):
    from huggingface_hub import ModelCard

    card = ModelCard(render_card(METRICS, RUN))
    (result,) = [r for r in card.data.eval_results if r.metric_type == "f1"]
    assert result.metric_value == 0.7639
    assert card.data.model_name == "tiny"


def numbers(value):
    """All numbers in the records, in every spelling the card uses."""
    if isinstance(value, dict):
        return {n for item in value.values() for n in numbers(item)}
    if isinstance(value, list):
        return {n for item in value for n in numbers(item)}
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, str):
        return set(re.findall(r"\d+(?:\.\d+)*", value)) | {value[:12]}
    return {f"{value:.3f}", f"{value:g}", f"{value:.4f}", str(value), f"{value / 60:.1f}"}


def test_every_number_on_the_card_comes_from_a_record():
    _, body = split_card(render_card(METRICS, RUN))
    known = numbers(METRICS) | numbers(RUN)
    template_words = {"95", "72"}  # "95 % interval", "T-72"
    found = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)", body))
    assert found - known - template_words == set()
    for figure in ("0.764", "0.712", "0.823", "0.654", "0.748", "123", "71", "4007", "1.6", "0.778", "0.0003"):
        assert figure in body, figure


def test_no_section_is_empty_and_no_placeholder_left():
    _, body = split_card(render_card(METRICS, RUN))
    sections = re.split(r"^#+ .*$", body, flags=re.MULTILINE)[1:]
    assert len(sections) == 7
    assert all(section.strip() for section in sections)
    assert "$" not in body
    assert "None" not in body


def test_the_card_says_which_split_was_scored():
    assert "used for no choice" in render_card(METRICS, RUN)
    for split, words in (("train", "was trained on"), ("dev", "chose the checkpoint")):
        run = {**RUN, "data": {**RUN["data"], split: {**RUN["data"]["train"], "sha256": METRICS["data"]["sha256"]}}}
        metadata, body = split_card(render_card(METRICS, run))
        assert words in body
        assert metadata["model-index"][0]["results"][0]["dataset"]["split"] == split


def test_the_card_says_what_was_trained_on():
    documents = METRICS["strict"]["documents"]
    assert "3 of these documents were also trained on" in render_card({**METRICS, "documents_learnt": 3}, RUN)
    assert "**was trained on**" in render_card({**METRICS, "documents_learnt": documents}, RUN)
    assert "trained on" not in render_card({**METRICS, "documents_learnt": 0}, RUN).split("## Use")[0]


def test_without_a_dev_score_the_card_does_not_claim_a_choice():
    assert "The last epoch was kept." in render_card(METRICS, {**RUN, "dev": {"best_f1": None}})


def test_a_number_changed_in_the_record_changes_the_card():
    changed = copy.deepcopy(METRICS)
    changed["strict"]["micro"]["ci95"][0] = 0.5555
    assert "0.555" in render_card(changed, RUN) or "0.556" in render_card(changed, RUN)


def test_an_interval_over_a_handful_of_documents_is_not_shown():
    few = {**SCORES["strict"], "documents": 2}
    assert "2 documents: no interval" in printed(score_table("t", few))
    assert "2 documents: no interval" in render_card({**METRICS, "strict": few}, RUN)


def test_a_missing_field_is_one_sentence(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps({"model": "x"}))
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    with pytest.raises(InputError, match="lacks the field 'strict'"):
        write_card(tmp_path)
    (tmp_path / "run.json").write_text('{"a": ')
    with pytest.raises(InputError, match=r"run.json:1: not valid JSON"):
        write_card(tmp_path)


def printed(renderable):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_terminal_table_shows_label_micro_interval_and_macro():
    text = printed(score_table("t", SCORES["strict"]))
    for piece in ("ACTOR", "0.910", "71", "0.764", "0.712–0.823", "0.688–0.788", "0.748"):
        assert piece in text


def test_highlight_keeps_the_text_and_names_the_labels():
    text = "The [x] army fired."
    rendered = highlighted(text, [Span(4, 12, "ACTOR")], ["ACTOR"])
    assert rendered.plain == "The [x] army ACTOR  fired."
