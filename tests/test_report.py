"""report.html: rendered from the record, safe for any text, small, and working in a real browser without a network."""

import json
import re
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from conflict_ner.documents import Document, Span
from conflict_ner.evaluation import evaluate_documents, metrics_record
from conflict_ner.report import browser_rows, ink, render_report, write_report
from tests.conftest import TRAIN, annotate

SCHEMA = Path("conflict_ner/metrics.schema.json")
LABELS = ("ACTOR", "WEAPON", "LOCATION")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = annotate(
    "evil", "</script><script>alert(1)</script> 🚀 <b>{Kremlin|ACTOR}</b> & {T-72|WEAPON} 🚀 near {Perm|LOCATION}", genre="osint"
)


def predicted_for(document):
    """The gold spans but for the last, one widened, one relabelled: each with a score."""
    spans = [Span(s.start, s.end, s.label, 0.9) for s in document.spans[:-1]]
    return [*spans, Span(0, 3, "LOCATION", 0.3)] if spans and spans[0].start > 3 else spans


@pytest.fixture(scope="module")
def report():
    documents = [*TRAIN, EVIL, *(annotate(f"r{k}", f"{{Army {k}|ACTOR}} shelled {{Town {k}|LOCATION}}.", genre="wire") for k in range(40))]
    predicted = [predicted_for(document) for document in documents]
    scores = {"data/x": {**evaluate_documents(documents, predicted, LABELS, seen={("ACTOR", "army 1")}), "documents_learnt": 3}}
    point = {"documents": 10, "micro": scores["data/x"]["strict"]["micro"]}
    curve = {"command": "c", "data": {"path": "data/x", "sha256": "0"}, "points": [point, {**point, "documents": 20}]}
    extra = {"stock_pipeline": None, "comparison": None, "learning_curve": curve}
    metrics = json.loads(json.dumps(metrics_record("models/x", "data/x", scores, extra)))
    return metrics, documents, predicted, render_report(metrics, documents, predicted)


def test_the_record_is_as_its_schema_says(report):
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    assert not list(Draft202012Validator(schema).iter_errors(report[0]))
    broken = {**report[0], "strict": {**report[0]["strict"], "micro": {}}}
    assert list(Draft202012Validator(schema).iter_errors(broken))


@pytest.mark.parametrize("run", ["conflict-minilm", "re3d-minilm"])
def test_committed_records_are_as_the_schema_says(run):
    schema, record = json.loads(SCHEMA.read_text()), json.loads(Path(f"models/{run}/metrics.json").read_text())
    assert not [f"{error.json_path}: {error.message[:100]}" for error in Draft202012Validator(schema).iter_errors(record)]


def test_the_page_shows_the_records_figures_and_a_warning(report):
    metrics, _, _, page = report
    assert f"{metrics['strict']['micro']['f1']:.3f}" in page
    assert "trained on 3 of these" in page
    for count in metrics["mistakes"]["kinds"].values():
        assert f"<td>{count}</td>" in page
    assert page.count("<figure>") >= 4


def test_the_page_needs_no_network_and_texts_cannot_become_markup(report):
    page = report[3]
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "<script>alert" not in page
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)[1]
    assert [row["text"] for row in json.loads(data)] == [document.text for document in report[1]]


def test_a_thousand_documents_fit_into_five_megabytes(report):
    document = Document("long", TRAIN[0].text * 8, tuple(Span(k * 100, k * 100 + 9, "ACTOR") for k in range(8)))
    documents = [Document(f"{document.id}{k}", document.text, document.spans) for k in range(1000)]
    assert len(render_report(report[0], documents, [d.spans for d in documents]).encode()) < 5_000_000


def test_every_ink_can_be_read_on_its_colour():
    assert {colour: ink(colour) for colour in ("#0072b2", "#e69f00", "#56b4e9")} == {
        "#0072b2": "#fff",
        "#e69f00": "#000",
        "#56b4e9": "#000",
    }


def test_figures_have_names_for_screen_readers_and_ids_of_their_own(report):
    page = report[3]
    assert page.count('<svg role="img" aria-label="') == page.count("<svg")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_odd_names_and_half_characters_do_not_break_the_page(tmp_path, report):
    document = Document("a $\\frac$ </style>", "Raqqa \ud83d fell", (Span(0, 5, "R&D"),), {"genre": "$\\frac$", "conflict": "x"})
    other = Document("b", "Raqqa fell", (Span(0, 5, "R&D"),), {"genre": "wire", "conflict": "y"})
    documents = [document, other] * 40
    predicted = [d.spans for d in documents]
    scores = {"d": {**evaluate_documents(documents, predicted, ("R&D",)), "documents_learnt": None}}
    extra = {"stock_pipeline": None, "comparison": None, "learning_curve": None}
    write_report(tmp_path / "r.html", metrics_record("m", "d", scores, extra), documents, predicted)
    assert "$\\frac$" in (tmp_path / "r.html").read_text()


def test_every_span_of_a_mistake_carries_its_kind(report):
    _, documents, predicted, _ = report
    for document, spans, row in zip(documents, predicted, browser_rows(documents, predicted), strict=True):
        right = set(document.spans) & set(spans)
        for side, own in (("gold", document.spans), ("predicted", spans)):
            assert [bool(shown[3]) for shown in row[side]] == [span not in right for span in own]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_browser_opens_filters_searches_and_marks_without_errors(report, tmp_path):
    from playwright.sync_api import sync_playwright

    _, documents, predicted, page_text = report
    (tmp_path / "report.html").write_text(page_text, encoding="utf-8")
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
        page.goto((tmp_path / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, "a phone need not scroll sideways"
        page.select_option("#kind", "")
        assert page.inner_text("#count") == f"{len(documents)} of {len(documents)} documents"
        assert page.locator("article").count() == 25
        page.click("#more")
        assert page.locator("article").count() == len(documents)
        page.select_option("#kind", "missed")
        missed = sum("missed" in {shown[3] for shown in row["gold"]} for row in browser_rows(documents, predicted))
        assert page.inner_text("#count").startswith(f"{missed} of ")
        page.select_option("#label", "WEAPON")
        weapons = [row for row in browser_rows(documents, predicted) if ["WEAPON", "missed"] in [shown[2:4] for shown in row["gold"]]]
        assert page.inner_text("#count").startswith(f"{len(weapons)} of ")
        page.select_option("#kind", "")
        page.select_option("#label", "")
        page.fill("#search", "genre=osint")
        assert [title.inner_text() for title in page.locator("article h3").all()] == ["evil"]
        marks = page.locator("article .side:first-of-type mark")
        assert [mark.evaluate("m => m.firstChild.textContent") for mark in marks.all()] == ["Kremlin", "T-72", "Perm"]
        page.pdf(path=tmp_path / "report.pdf")
        assert page.locator("details:not([open])").count() == 0, "what is printed is open"
        browser.close()
    assert complaints == []
