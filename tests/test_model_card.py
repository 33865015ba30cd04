import copy
import functools
import io
import json
import re
from itertools import pairwise

import pytest
import yaml
from rich.console import Console

from benchmarks.render import committed
from conflict_ner.card_metadata import BUILDING, GRAMS_PER_KWH, WATTS_PER_CORE, WATTS_PER_GPU, emissions_of
from conflict_ner.colours import highlighted
from conflict_ner.documents import Span
from conflict_ner.errors import InputError
from conflict_ner.model_card import MODEL, render_card, write_card
from conflict_ner.plots import CARD_FIGURES, card_figures, descriptions, write_figures
from conflict_ner.snippets import blocks_of
from conflict_ner.terminal import score_table

MICRO = {"precision": 0.811, "recall": 0.722, "f1": 0.7639, "support": 123, "ci95": [0.7123, 0.8234]}
SCHEME = {"documents": 17, "micro": MICRO}


def part(f1, support=61, documents=11):
    return {"documents": documents, "precision": 0.712, "recall": 0.713, "f1": f1, "support": support, "ci95": [0.614, 0.816]}


SCORES = {
    "data": {"sha256": "ab" * 32, "counts": {"documents": 17, "words": 901, "spans": 123}},
    "strict": {
        **SCHEME,
        "macro": {"precision": 0.801, "recall": 0.702, "f1": 0.7481, "ci95": [0.6987, 0.7998]},
        "per_label": {"ACTOR": {"precision": 0.91, "recall": 0.62, "f1": 0.7375, "support": 71, "ci95": [0.6876, 0.7876]}},
    },
    **dict.fromkeys(("exact", "partial", "overlap"), SCHEME),
    "slices": {
        "fewest_mentions": 30,
        "dimensions": {
            "genre": {"wire": part(0.881), "cable": part(0.612), "poem": part(0.101, support=29)},
            "conflict": {"here": part(0.555), "there": part(0.666, documents=2)},
            "surface form": {"seen": part(0.919), "unseen": part(0.626)},
        },
    },
    "mistakes": {"kinds": {"missed": 13, "label": 8}, "confusion": {"labels": ["ACTOR", "none"], "counts": [[44, 27], [14, 0]]}},
    "calibration": {
        "mean_score": 0.845,
        "precision": 0.811,
        "ece": 0.034,
        "bins": [{"low": 0.6, "high": 0.7, "spans": 43, "score": 0.657, "precision": 0.5814}],
        "thresholds": [{"min_score": 0.6, "precision": 0.899, "recall": 0.533, "f1": 0.669, "spans": 77}],
    },
    "documents_learnt": 0,
}
OTHER = copy.deepcopy(SCORES)
OTHER["strict"]["micro"]["f1"] = 0.6543
METRICS = {
    **SCORES,
    "model": "models/tiny",
    "data": {"path": "data/test", **SCORES["data"]},
    "weights_sha256": "ef" * 32,
    "stock_pipeline": {"documents": 16, "identical_documents": 0.5, "f1_between": 0.957},
    "learning_curve": None,
    "others": {"data/articles": OTHER},
}
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
PEER = {"f1": 0.7039, "ci95": [0.651, 0.749], "minutes": 1.5}
EVIDENCE = {
    "weights_sha256": METRICS["weights_sha256"],
    "data_sha256": METRICS["data"]["sha256"],
    "version": "7.8.9",
    "citation": {"title": "A title", "authors": ["Someone", "Somebody Else"], "year": "2031", "license": "Apache-2.0"},
    "labels": {
        "ACTOR": {"includes": {"an [army](ACTOR) in [Here](PLACE)": "why"}, "excludes": {"a poet": "no"}, "note": "Ask *[Here](PLACE)*."}
    },
    "seeds": {
        "command": "make seeds",
        "micro_f1": {"runs": 2, "mean": 0.7539, "stdev": 0.01, "ci95": [0.732, 0.776]},
        "seeds": [{"seed": 5, "micro": MICRO, "training_minutes": 1.65}],
    },
    "peers": {
        "command": "make peers",
        "documents": 17,
        "systems": {
            "crf": {"runs": [PEER]},
            "ours": {"runs": [{**PEER, "f1": 0.7639}, {**PEER, "f1": 0.7439}]},
            "gazetteer": {"runs": [{**PEER, "f1": 0.9539}]},
        },
    },
    "speed": {
        "command": "make speed",
        "machine": {"processor": "x86_64", "cores": 2, "instructions": []},
        "rounds": 3,
        "kinds": {"articles": {"documents": 10, "characters": 4000, "sub_tokens": 1000}},
        "systems": {
            name: {"kinds": {"articles": {"documents": 10, "sub_tokens": 1000, "seconds": seconds, "peak_mib": 99.6}}}
            for name, seconds in {"stock": [1.0, 4.0, 2.0], "onnx-int8": [0.25, 0.5, 0.4]}.items()
        },
        "cold_start": {"seconds": {"onnx-int8": [0.7, 0.6, 0.9]}},
    },
    "corpus": {"license": "cc-by-4.0"},
    "agreement": {"test": {"documents": 12, "micro": MICRO, "per_label": {"ACTOR": MICRO}}},
    "never_trained": {"conflict": ["here"]},
    "model": {"parameters": 22_400_000, "weights_bytes": 90_000_000, "onnx_bytes": {"model_int8.onnx": 23_000_000}},
    "examples": [
        {"text": "An army.", "output": [{"entity_group": "ACTOR", "score": 0.9876, "word": "army", "start": 3, "end": 7}]},
    ],
    "outputs": {},
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
    result, _ = metadata["model-index"][0]["results"]
    assert {m["type"]: m["value"] for m in result["metrics"]} == {"precision": 0.811, "recall": 0.722, "f1": 0.7639}


def test_an_encoder_of_a_local_folder_is_no_model_of_the_hub():
    run = {**RUN, "encoder": {"name": "/home/me/enc", "revision": None, "origin": "folder /home/me/enc"}}
    metadata, _ = split_card(card := render_card(METRICS, run))
    assert "base_model" not in metadata
    assert "/home/me" not in card


def test_data_that_choices_were_made_on_is_no_test_data():
    others = {"data/re3d/dev.json": OTHER, "data/articles": OTHER}
    metadata, body = split_card(render_card({**METRICS, "others": others}, RUN))
    assert [result["dataset"]["split"] for result in metadata["model-index"][0]["results"]] == ["test", "dev", "test"]
    assert re.search(r"data/re3d/dev.json`\), \*\*used for choices\*\*", body)


def test_a_card_for_other_labels_speaks_of_no_war():
    assert not re.search("warship|missile|armed", render_card(METRICS, RUN))


def test_metadata_parses_with_the_hubs_own_reader(tmp_path):
    from huggingface_hub import ModelCard

    card = ModelCard(render_card(METRICS, RUN, EVIDENCE))
    values = {r.dataset_name: r.metric_value for r in card.data.eval_results if r.metric_type == "f1"}
    assert values == {"data/test": 0.7639, "data/articles": 0.6543}
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
    return {
        f"{value:.1f}",
        f"{value:.2f}",
        f"{value:.3f}",
        f"{value:g}",
        f"{value:.4f}",
        str(value),
        f"{value / 60:.1f}",
        f"{100 * value:.0f}",
    }


def test_every_number_on_the_card_comes_from_a_record():
    _, body = split_card(render_card(METRICS, RUN))
    known = numbers(METRICS) | numbers(RUN)
    known |= {"95", "72", "1/2", "1", "2", "200"}  # "95 % interval", "T-72", half a point for an overlap, CO2, a text 200 times
    known |= numbers([WATTS_PER_CORE, BUILDING, GRAMS_PER_KWH, emissions_of(RUN)["emissions"]]) | {"10.1002"}  # and a DOI
    found = set(re.findall(r"(?<![\w.+-])\d+(?:\.\d+)?(?![\w.]*\d)", body.replace(",", "")))
    assert found - known == set()
    for figure in ("0.764", "0.712", "0.823", "0.654", "0.748", "123", "71", "4,007", "1.6", "0.778", "0.0003"):
        assert figure in body, figure


def test_what_the_evidence_says_is_computed_from_it():
    body = split_card(render_card(METRICS, RUN, EVIDENCE))[1]
    for said in (
        "(22 million parameters)",
        "Mean of 2 seeds: 0.754.",
        "linear-chain CRF 0.704 (ours +0.050)",
        "gazetteer of training mentions 0.954 (ours -0.200)",
        # 10 documents in 0.4 s; 4, 8 and 5 times as fast as stock in the same round; the median of three starts.
        "25 articles a second on 2 processor cores (int8 ONNX, without torch), 5.0 times what the stock pipeline does at its best batch size. 0.7 seconds",
        "| **ours**, ONNX int8 | 25 | 2,500 | 5.0 | 100 |  |",
        "Of the 43 spans scored 0.6 to 0.7, 58 % were strictly right.",
        "- yes: an **army** in **Here**<sub>PLACE</sub> (why)",
        "- no: *a poet* (no)",
        "Ask ***Here**<sub>PLACE</sub>*.",
        "here (conflict) 0.555.",
        "| test | 12 | 0.764 | 0.764 | 0.712–0.823 |",
        "author  = {{Someone} and {Somebody Else}}",
        "version = {7.8.9}",
        "23 MB instead of 90 MB",
    ):
        assert said in body, said
    assert "poem" not in body, "too few mentions to say anything"


def test_what_no_record_tells_is_left_out_heading_and_all():
    bare = {**METRICS, "calibration": None, "others": {}, "stock_pipeline": None}
    bare["slices"] = {"fewest_mentions": 30, "dimensions": {}}
    bodies = [split_card(render_card(*records))[1] for records in ((bare, RUN), (METRICS, RUN), (METRICS, RUN, EVIDENCE))]
    counts = []
    for body in bodies:
        assert not re.search(r"\b(None|nan|Undefined)\b|[$]|{%|\n\n\n\n", body)
        headings = list(re.finditer(r"^(#+) (.*)$", re.sub(r"```.*?```", "code", body, flags=re.DOTALL), re.MULTILINE))
        counts.append(len(headings))
        for heading, after in pairwise(headings):
            words = heading.string[heading.end() : after.start()].strip()
            assert words or len(after[1]) > len(heading[1]), heading[2]
    assert counts[0] < counts[1] < counts[2]


def test_evidence_of_other_weights_is_not_shown_nor_comparisons_on_other_data():
    other = {**EVIDENCE, "weights_sha256": "00" * 32}
    assert render_card(METRICS, RUN, other) == render_card(METRICS, RUN)
    body = render_card(METRICS, RUN, {**EVIDENCE, "data_sha256": "00" * 32})
    assert "CRF" not in body
    assert "Other seeds" not in body
    assert "(conflict)" not in body
    assert "25 articles a second" in body


def test_the_header_has_examples_with_outputs_emissions_and_every_data_set():
    from huggingface_hub import TokenClassificationOutputElement

    metadata, _ = split_card(render_card(METRICS, RUN, EVIDENCE))
    (example,) = metadata["widget"]
    found = TokenClassificationOutputElement.parse_obj(example["output"][0])
    assert (found.entity_group, example["text"][found.start : found.end]) == ("ACTOR", "army")
    results = {result["dataset"]["name"]: result for result in metadata["model-index"][0]["results"]}
    assert {name: result["metrics"][0]["value"] for name, result in results.items()} == {"data/test": 0.7639, "data/articles": 0.6543}
    emissions = metadata["co2_eq_emissions"]
    assert emissions["emissions"] == pytest.approx(99 / 3600 * 2 * WATTS_PER_CORE / 1000 * BUILDING * GRAMS_PER_KWH, rel=0.05)
    assert f"{WATTS_PER_CORE:g} W a core" in emissions["source"]


def test_emissions_of_a_gpu_are_not_those_of_the_cores_beside_it():
    one = emissions_of({**RUN, "machine": {**RUN["machine"], "gpu": "NVIDIA X"}})
    settings = {**RUN["settings"], "world_size": 4}
    four = emissions_of({**RUN, "machine": {**RUN["machine"], "gpu": "NVIDIA X"}, "settings": settings})
    assert four["hardware"] == "4 × NVIDIA X"
    assert four["emissions"] == pytest.approx(4 * one["emissions"], rel=0.1)
    assert one["emissions"] == pytest.approx(99 / 3600 * WATTS_PER_GPU / 1000 * BUILDING * GRAMS_PER_KWH, rel=0.05)


def test_labels_without_definitions_are_named_in_one_sentence():
    body = render_card(METRICS, {**RUN, "labels": {"ACTOR": "", "PLACE": ""}})
    assert "`ACTOR`, `PLACE`: as annotated in the training data" in body
    assert "| `ACTOR` | who fights |" in render_card(METRICS, RUN)


def test_a_published_card_names_model_and_corpus_by_their_ids():
    run = {**RUN, "settings": {**RUN["settings"], "train_data": ["data/conflict/train"]}}
    metrics = {**METRICS, "data": {**METRICS["data"], "path": "data/conflict/test"}}
    code = next(block.code for block in blocks_of(render_card({**metrics, "model": MODEL}, run, EVIDENCE)))
    evidence = {**EVIDENCE, "outputs": {code: "ACTOR army 0.99\n"}}
    metadata, body = split_card(render_card(metrics, run, evidence, "alice/tiny-one", "alice/corpus"))
    assert metadata["datasets"] == ["alice/corpus"]
    assert [result["dataset"]["type"] for result in metadata["model-index"][0]["results"]] == ["alice/corpus", "data-articles"]
    assert metadata["model-index"][0]["name"] == "tiny-one"
    assert "models/tiny" not in body
    assert blocks_of(body)[0].shown == "ACTOR army 0.99\n", "what was run under one name is shown under the other"
    assert "datasets" not in split_card(render_card(METRICS, RUN, EVIDENCE, "alice/tiny", "alice/corpus"))[0], "trained on other data"


@pytest.mark.parametrize("value", [None, float("nan"), "absent"])
@pytest.mark.parametrize(
    "where", ["strict.micro.f1", "strict.per_label.ACTOR.recall", "calibration.ece", "others.data/articles.strict.micro.f1"]
)
def test_a_missing_number_is_one_sentence(where, value):
    metrics = copy.deepcopy(METRICS)
    *path, last = where.split(".")
    row = functools.reduce(dict.__getitem__, path, metrics)
    if value == "absent":
        del row[last]
    else:
        row[last] = value
    with pytest.raises(InputError, match="evaluate or train again") as error:
        render_card(metrics, RUN, EVIDENCE)
    assert "\n" not in str(error.value)


def test_figures_are_the_same_every_time_small_and_said_in_words(tmp_path):
    metrics = committed("models/conflict-minilm/metrics.json")
    (tmp_path / "plots").mkdir()
    metrics["learning_curve"] = None
    (tmp_path / "plots/learning-curve.png").touch()  # of earlier metrics
    (tmp_path / "plots/mine.png").touch()
    first = {path.name: path.read_bytes() for path in write_figures(tmp_path, metrics)}
    second = {path.name: path.read_bytes() for path in write_figures(tmp_path, metrics)}
    assert first == second
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {*first, "mine.png"}
    assert set(card_figures(committed("models/conflict-minilm/metrics.json"))) <= set(CARD_FIGURES)
    assert {"f1-by-label.png", "f1-by-genre.png", "reliability.png", "confusion.png"} <= set(first)
    for name, content in first.items():
        assert content.startswith(b"\x89PNG")
        assert len(content) < 60_000, name
        assert not re.search(rb"tEXt|tIME|Matplotlib", content), name
    shown = re.findall(r"!\[([^\]]{20,})\]\(plots/([^)]+)\)", "\n".join(descriptions(metrics).values()))
    assert {name for _, name in shown} == set(first)


def test_the_card_says_which_split_was_scored():
    assert "used for no choice" in render_card(METRICS, RUN)
    for split, words in (("train", "was trained on"), ("dev", "choices were made on")):
        run = {**RUN, "data": {**RUN["data"], split: {**RUN["data"]["train"], "sha256": METRICS["data"]["sha256"]}}}
        metadata, body = split_card(render_card(METRICS, run))
        assert words in body
        assert metadata["model-index"][0]["results"][0]["dataset"]["split"] == split


def test_the_card_says_what_was_trained_on():
    documents = METRICS["strict"]["documents"]
    assert "3 of these documents were also trained on" in render_card({**METRICS, "documents_learnt": 3}, RUN)
    assert "**was trained on**" in render_card({**METRICS, "documents_learnt": documents}, RUN)
    assert "trained on" not in render_card({**METRICS, "documents_learnt": 0}, RUN).split("## What the labels")[0]


def test_without_a_dev_score_the_card_does_not_claim_a_choice():
    assert "The last epoch was kept." in render_card(METRICS, {**RUN, "dev": {"best_f1": None}})


def test_a_number_changed_in_the_record_changes_the_card():
    changed = copy.deepcopy(METRICS)
    changed["strict"]["micro"]["ci95"][0] = 0.4321
    assert "0.432" not in render_card(METRICS, RUN)
    assert "0.432" in render_card(changed, RUN)


def test_an_interval_over_a_handful_of_documents_is_not_shown():
    few = {**SCORES["strict"], "documents": 2}
    assert "2 documents: no interval" in printed(score_table("t", few))
    assert "2 documents: no interval" in render_card({**METRICS, "strict": few}, RUN)


def test_a_record_without_a_field_or_cut_off_is_one_sentence(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps({"model": "x"}))
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    with pytest.raises(InputError, match="lacks the field 'data'"):
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
