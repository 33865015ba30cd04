"""The demo: what its controls answer, and the page itself in a real browser, served as a Space serves it."""

import base64
import csv
import html
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.render import committed
from conflict_ner import demo
from conflict_ner.corpus import read_documents
from conflict_ner.demo import LONGEST, Page
from conflict_ner.model_folder import open_model
from conflict_ner.runs import write_json
from conflict_ner.showcase import facts_of, sample_articles
from conflict_ner.space import SERVING, build_space
from conflict_ner.tagger import Tagger
from tests.browser import contrast, needs_chromium, opened, tab_to
from tests.conftest import SAMPLE

TEXT = " ".join(SAMPLE)


@pytest.fixture(scope="module")
def folder(wild_model, tmp_path_factory):
    """A model that finds something everywhere, with the records of a real one."""
    copy = tmp_path_factory.mktemp("demo") / "tiny <b>model"
    shutil.copytree(wild_model("bert"), copy)
    write_json(copy / "run.json", committed("models/conflict-minilm/run.json"))
    speaks = {"weights_sha256": open_model(copy).weights_sha256}
    write_json(copy / "metrics.json", committed("models/conflict-minilm/metrics.json") | speaks)
    return copy


@pytest.fixture(scope="module")
def page(folder):
    return Page(Tagger.from_pretrained(folder))


def paragraphs(text):
    return {" ".join(part.split()) for part in text.split("\n\n")}


def test_samples_are_our_own_texts_and_never_trained_on():
    ours = [document.text for document in read_documents("data/conflict/test")] + [Path("tests/data/article.txt").read_text()]
    known = set().union(*map(paragraphs, ours))
    for sample in sample_articles():
        assert paragraphs(sample.text) <= known, sample.id
        assert sample.meta["title"]
    assert max(len(sample.text) for sample in sample_articles()) > 8000, "one is long"


def linked(links):
    return [base64.b64decode(found).decode() for found in re.findall(r'base64,([^"]*)"', links)]


@given(text=st.text(st.characters(codec="utf-8") | st.sampled_from(" \r\n🚀T-72,"), max_size=80), least=st.floats(0, 1))
def test_every_view_shows_the_spans_of_the_tagger_at_the_threshold(page, text, least):
    row, marked, table, links, status = page.answer(text, least)
    if not text.strip():
        assert row is None
        return
    spans = page.tagger.tag([text])[0]
    kept = [span for span in spans if round(span.score, 4) >= least]
    assert [(mark["start"], mark["end"], mark["entity"]) for mark in marked["entities"]] == [(s.start, s.end, s.label) for s in kept]
    assert [line[1] for line in table] == [span.label for span in kept]
    assert f"{len(kept)} mentions" in status
    assert ("hidden" in status) == (len(kept) < len(spans))
    as_json, as_csv, as_html = linked(links)
    assert [(s["start"], s["end"], s["text"]) for s in json.loads(as_json)["spans"]] == [
        (s.start, s.end, text[s.start : s.end]) for s in kept
    ]
    assert [int(record["start"]) for record in csv.DictReader(io.StringIO(as_csv, newline=""))] == [span.start for span in kept]
    shown = re.search(r'<div class="text">(.*?)</div>\n<footer>', as_html, re.DOTALL)[1]
    assert html.unescape(re.sub("<.*?>", "", shown)).replace("\ufffd", "\0") == text.replace("\ufffd", "\0")


def test_what_cannot_be_tagged_is_said_in_a_sentence(page, tmp_path):
    assert "There is no text yet" in page.answer(" \n", 0)[-1]
    row, *views, status = page.answer("a" * (LONGEST + 1), 0)
    assert "The text has 100,001 characters; this page takes at most 100,000" in status
    assert (row, *views) == (None, None, [], "")
    assert page.answer("\ud83d Rockets hit Port Azur", 0)[0]["text"][0] == "\ufffd", "half a character could not be sent back"
    latin = tmp_path / "notes <1>.txt"
    latin.write_bytes("Malm\xf6".encode("latin-1"))
    text, row, *_, status = page.opened(str(latin), 0)
    assert (text, row) == ("", None)
    assert "notes &lt;1&gt;.txt:1: byte 0xf6 is not UTF-8" in status


def test_an_upload_is_deleted_when_it_is_read(page, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    text, row, *_ = page.opened(str(tmp_path / "a.txt"), 0)
    assert text == TEXT == row["text"]
    assert not (tmp_path / "a.txt").exists()


def test_facts_are_those_of_the_records(page, folder, wild_model):
    metrics = json.loads((folder / "metrics.json").read_text())
    assert page.facts.headline.startswith(f"F1 {metrics['strict']['micro']['f1']:.3f} (")
    assert "where" in page.facts.definitions["LOCATION"]
    assert "tiny &lt;b&gt;model" in demo.introduction(page.facts)
    assert "<h1>Actors, weapons and locations in reports on armed conflict</h1>" in demo.introduction(page.facts)
    bare = facts_of(Tagger.from_pretrained(wild_model("bert")).model)
    assert (bare.headline, set(bare.definitions.values())) == (None, {""})


def test_a_model_scored_on_what_it_learnt_says_so(folder, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    metrics = json.loads((copy / "metrics.json").read_text())
    (copy / "metrics.json").write_text(json.dumps({**metrics, "documents_learnt": 3}))
    assert facts_of(Tagger.from_pretrained(copy).model).headline.endswith("3 of which it was trained on")
    (copy / "metrics.json").write_text(json.dumps({**metrics, "strict": []}))
    assert facts_of(Tagger.from_pretrained(copy).model).headline is None


def test_a_score_of_other_weights_is_not_shown(folder, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes() + b"\0")
    assert facts_of(open_model(copy)).headline is None


def test_a_model_of_other_text_is_called_by_its_labels(folder, tmp_path):
    copy = tmp_path / "people"
    shutil.copytree(folder, copy)
    run = json.loads((copy / "run.json").read_text())
    write_json(copy / "run.json", run | {"settings": {"train_data": ["data/people"]}})
    config = (copy / "config.json").read_text().replace("ACTOR", "PERSON").replace("WEAPON", "TITLE")
    (copy / "config.json").write_text(config)
    head = demo.introduction(facts_of(open_model(copy)))
    assert "<h1>PERSON, LOCATION, TITLE in text</h1>" in head
    assert "armed conflict" not in head


def test_without_gradio_one_sentence_says_how_to_get_it(monkeypatch, capsys, folder):
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    assert demo.main([str(folder)]) == 2
    assert "pip install -e '.[demo]'" in capsys.readouterr().err


def test_the_demo_imports_nothing_that_a_space_does_not_install():
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    names = {re.split("[<>=]", requirement)[0].replace("pyyaml", "yaml") for requirement in project["dependencies"]}
    absent = names - set(SERVING) - {"jinja2", "markupsafe", "yaml"}  # which gradio brings
    assert {"torch", "transformers", "datasets"} <= absent
    code = f"import sys; sys.modules.update(dict.fromkeys({sorted(absent)})); import conflict_ner.demo, conflict_ner.onnx_backend"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""


@pytest.fixture(scope="module")
def served(folder, tmp_path_factory):
    """The address of a Space's own app.py, started where it would run."""
    space = build_space("gradio", folder, tmp_path_factory.mktemp("served") / "space")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "HF_HUB_OFFLINE": "1"}
    with (space / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, "app.py"], cwd=space, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            assert server.poll() is None, (space / "log").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
        assert "Traceback" not in (space / "log").read_text()
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
@needs_chromium
def test_the_page_tags_filters_and_downloads_by_keyboard_alone(served, folder, page, tmp_path):
    again = subprocess.Popen([sys.executable, "-m", "conflict_ner.demo", folder, "--port", str(served)], stderr=subprocess.PIPE, text=True)
    found = page.tagger.tag([TEXT])[0]
    with opened(f"http://127.0.0.1:{served}/") as browser:
        browser.wait_for_selector("#marked .highlighted")
        assert "strict F1 0." in browser.inner_text("header")
        tab_to(browser, "#text textarea")
        browser.keyboard.press("Control+A")
        browser.keyboard.type(TEXT)
        tab_to(browser, "#tag")
        browser.keyboard.press("Enter")
        browser.wait_for_function("n => document.querySelector('#status').innerText.startsWith(n + ' mentions')", arg=len(found))
        marks = browser.locator("#marked .highlighted .text")
        assert marks.all_inner_texts() == [TEXT[span.start : span.end] for span in found]
        assert marks.first.is_visible()
        assert contrast(marks.first) > 4.5
        assert browser.locator("#status[role=status]").count() == 1

        tab_to(browser, "#threshold input[type=range]")
        browser.keyboard.press("End")
        sure = [span for span in found if round(span.score, 4) >= 1]
        browser.wait_for_function("n => document.querySelectorAll('#marked .highlighted').length === n", arg=len(sure))
        assert f"{len(found) - len(sure)} below the threshold are hidden" in browser.inner_text("#status")
        browser.keyboard.press("Home")
        browser.wait_for_function("n => document.querySelectorAll('#marked .highlighted').length === n", arg=len(found))

        tab_to(browser, "#downloads a")
        with browser.expect_download() as download:
            browser.keyboard.press("Enter")
        download.value.save_as(tmp_path / "tagged.json")
        assert len(json.loads((tmp_path / "tagged.json").read_text())["spans"]) == len(found)
    assert again.wait(60) == 2
    assert re.search(r"^error: the page cannot be served .*--port", again.stderr.read())


@pytest.mark.slow
@needs_chromium
def test_the_page_takes_files_says_what_is_wrong_and_fits_a_phone_in_the_dark(served, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "latin.txt").write_bytes("Malm\xf6".encode("latin-1"))
    with opened(f"http://127.0.0.1:{served}/", width=390, scheme="dark") as browser:
        browser.wait_for_selector("#marked .highlighted")
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        assert contrast(browser.locator("#marked .highlighted .text").first) > 4.5
        browser.set_input_files("#upload input[type=file], input[type=file]", tmp_path / "a.txt")
        browser.wait_for_function("text => document.querySelector('#text textarea').value === text", arg=TEXT)
        browser.wait_for_function("text => document.querySelector('#marked').innerText.includes(text)", arg="HIMARS")
        browser.set_input_files("#upload input[type=file], input[type=file]", tmp_path / "latin.txt")
        browser.wait_for_selector("#status .fault")
        assert "latin.txt:1: byte 0xf6 is not UTF-8" in browser.inner_text("#status")
        browser.click("#clear")
        browser.wait_for_selector("#status .fault", state="detached")
        browser.click("#tag")
        browser.wait_for_selector("#status .fault")
        assert "There is no text yet" in browser.inner_text("#status")
        browser.get_by_role("button", name=sample_articles()[-1].meta["title"]).click()
        browser.wait_for_selector("#marked .highlighted")
        browser.wait_for_function("n => document.querySelector('#marked').innerText.length > n", arg=len(sample_articles()[-1].text))
