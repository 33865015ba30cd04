"""Folders of Hub Spaces: what is in them, and the static page in a real browser. The other kind is served in test_demo.py."""

import importlib.metadata
import re
import shutil
from pathlib import Path

import pytest
import yaml

from benchmarks.render import committed
from conflict_ner import space
from conflict_ner.model_folder import open_model
from conflict_ner.runs import write_json
from conflict_ner.showcase import sample_articles
from conflict_ner.space import build_space, render_page
from conflict_ner.tagger import Tagger
from tests.browser import contrast, needs_chromium, opened, tab_to


@pytest.fixture(scope="module")
def folder(wild_model, tmp_path_factory):
    """A model with an error report, under a name that is no markup."""
    copy = tmp_path_factory.mktemp("space") / "R&D <b>"
    shutil.copytree(wild_model("bert"), copy)
    (copy / "report.html").write_text("<!doctype html><title>Report</title>")
    speaks = {"weights_sha256": open_model(copy).weights_sha256}
    write_json(copy / "metrics.json", committed("models/conflict-minilm/metrics.json") | speaks)
    return copy


@pytest.fixture(scope="module")
def static(folder, tmp_path_factory):
    return build_space("static", folder, tmp_path_factory.mktemp("static") / "space")


def header(readme):
    return yaml.safe_load(readme.read_text().split("---\n")[1])


def test_a_static_space_is_a_page_a_report_and_a_card(static, folder):
    assert {path.name for path in static.iterdir()} == {"README.md", "index.html", "report.html"}
    assert {"sdk": "static", "app_file": "index.html"}.items() <= header(static / "README.md").items()
    assert (static / "report.html").read_text() == (folder / "report.html").read_text()
    assert "F1 0." in (static / "README.md").read_text()


def test_the_page_needs_no_network_and_no_name_can_become_markup(static):
    page = (static / "index.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:|report\.html)""", page)
    assert not re.search(r"@import|url\(", page)
    assert "R&amp;D &lt;b&gt;" in page


def test_a_published_model_is_linked_from_page_and_card(folder, tmp_path):
    made = build_space("static", folder, tmp_path / "space", repo_id="someone/tiny")
    assert header(made / "README.md")["models"] == ["someone/tiny"]
    assert "[someone/tiny](https://huggingface.co/someone/tiny)" in (made / "README.md").read_text()
    page = (made / "index.html").read_text()
    assert re.findall(r"""href=["'](?!#|data:|report\.html)([^"']+)""", page) == ["https://huggingface.co/someone/tiny"]


def test_a_space_says_what_its_model_marks_and_has_its_licence(folder, tmp_path):
    other, ours = (Path(shutil.copytree(folder, tmp_path / name)) for name in ("other", "ours"))
    write_json(other / "run.json", {"license": "cc-by-nc-3.0", "settings": {"train_data": ["data/re3d/train.json"]}})
    write_json(ours / "run.json", committed("models/conflict-minilm/run.json"))
    for model, title, name, licence in (
        (other, "ACTOR, LOCATION, WEAPON in text", "other", "cc-by-nc-3.0"),
        (ours, "Actors, weapons and locations in reports on armed conflict", "Conflict NER", "apache-2.0"),
    ):
        made = build_space("static", model, tmp_path / f"space of {name}")
        assert {"title": name, "license": licence}.items() <= header(made / "README.md").items()
        assert f"# {title}\n" in (made / "README.md").read_text()
        assert f"<h1>{title}</h1>" in (made / "index.html").read_text()
        assert f"Model: {licence}." in (made / "README.md").read_text()
    assert "license" not in header(build_space("static", folder, tmp_path / "bare") / "README.md"), "none is known"


def test_every_span_is_marked_with_its_score(static, folder):
    page = (static / "index.html").read_text()
    found = Tagger.from_pretrained(folder).tag([sample.text for sample in sample_articles()])
    marks = re.findall(r'<mark data-label="(\w+)" data-score="([\d.]+)"', page)
    assert marks == [(span.label, str(round(span.score, 4))) for spans in found for span in spans]
    assert len(re.findall("<tr data-label", page)) == len(marks)


def test_without_a_report_there_is_no_link_and_that_is_said(wild_model, tmp_path, caplog):
    build_space("static", wild_model("bert"), tmp_path / "space")
    assert "there is no error report" in caplog.text
    assert "report.html" not in (tmp_path / "space/index.html").read_text()


def test_a_gradio_space_pins_what_it_installs(folder, tmp_path):
    made = build_space("gradio", folder, tmp_path / "space")
    assert {path.name for path in made.iterdir()} == {"README.md", "app.py", "conflict_ner", "models", "requirements.txt"}
    pins = dict(line.split("==") for line in (made / "requirements.txt").read_text().splitlines())
    assert pins == {package: importlib.metadata.version(package) for package in pins}
    assert {"gradio", "torch"} <= set(pins), "no ONNX export: torch computes"
    card = header(made / "README.md")
    assert (card["sdk"], card["sdk_version"], card["app_file"]) == ("gradio", pins["gradio"], "app.py")
    assert len(card["short_description"]) <= 60, "the Hub allows no more"
    assert not (made / "models/R&D <b>/report.html").exists()
    assert not list(made.rglob("__pycache__"))


def test_a_model_of_the_hub_is_named_with_its_commit(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "cache/models--someone--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs/main").write_text(commit)
    shutil.copytree(folder, cached / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    made = build_space("gradio", "someone/tiny", tmp_path / "space")
    assert f"main(['someone/tiny', '--revision', '{commit}'])" in (made / "app.py").read_text()
    assert header(made / "README.md")["models"] == ["someone/tiny"]
    assert not (made / "models").exists()


def test_what_cannot_be_built_is_one_sentence(folder, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    for arguments, said in (
        ([folder, tmp_path / "full"], "is not empty"),
        ([folder, tmp_path / "new", "--report", tmp_path / "no.html"], "there is no such file"),
        ([tmp_path / "none", tmp_path / "new"], "there is no such folder"),
    ):
        assert space.main(["static", *map(str, arguments)]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_the_page_filters_by_score_and_label_by_keyboard_alone(static, width, scheme):
    with opened((static / "index.html").as_uri(), width, scheme) as browser:
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        marks, lit = browser.locator("mark"), browser.locator("mark:not(.off)")
        every = marks.count()
        assert lit.count() == every > 20
        assert contrast(marks.first) > 4.5
        tab_to(browser, "nav a")
        tab_to(browser, "#least")
        for _ in range(60):
            browser.keyboard.press("ArrowRight")
        assert browser.inner_text("#shown") == "0.60"
        scores = marks.evaluate_all("marks => marks.map((mark) => Number(mark.dataset.score))")
        assert lit.count() == sum(score >= 0.6 for score in scores) < every
        assert browser.locator("tbody tr:not([hidden])").count() == lit.count()
        browser.keyboard.press("Home")
        tab_to(browser, "input[value=WEAPON]")
        browser.keyboard.press("Space")
        assert lit.count() == browser.locator("mark:not([data-label=WEAPON])").count() < every
        browser.reload()
        browser.wait_for_function("() => !document.querySelector('mark.off')")


def test_the_rest_of_the_page_stands_without_a_script(folder):
    page = render_page(Tagger.from_pretrained(folder), has_report=False)
    for sample in sample_articles():
        assert f'<a href="#{sample.id}">{sample.meta["title"]}</a>' in page
        assert f'<article id="{sample.id}">' in page
