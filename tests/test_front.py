"""The front door: the picture, the badges, README's figures and links, and the five lines for data of one's own."""

import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from benchmarks.render import article, committed, everything
from conflict_ner.corpus import write_documents
from conflict_ner.errors import InputError
from tests.conftest import annotate

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"<!-- begin (.*?) -->.*?<!-- end \1 -->|^```.*?^```|^ {4,}\S.*?$", "", README, flags=re.DOTALL | re.MULTILINE)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def benchmark_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def stored():
    return json.loads((ROOT / "benchmarks/picture.json").read_text(encoding="utf-8"))


def shown_paragraphs(row, paragraphs):
    return list(re.finditer(r"[^\n]+", row["text"]))[slice(*paragraphs)]


def test_pictures_are_the_stored_output_drawn_again():
    pictures = {path: text for path, text in everything().items() if path.endswith(".svg")}
    assert set(pictures) == {"benchmarks/picture.svg", *(f"benchmarks/badges/{name}.svg" for name in ("f1", "python", "licence"))}
    for path, text in pictures.items():
        assert (ROOT / path).read_bytes() == text.encode(), path
        assert {element.tag.removeprefix(SVG) for element in ET.fromstring(text).iter()} <= {
            "svg",
            "title",
            "desc",
            "style",
            "rect",
            "text",
        }


def test_the_picture_shows_the_whole_text_and_every_mention_inside_its_mark():
    found = stored()
    root = ET.fromstring(article())
    texts = [t for t in root.iter(f"{SVG}text") if t.get("class") != "source"]
    words = [t for t in texts if t.get("class") is None]
    parts = shown_paragraphs(found["article"], found["paragraphs"])
    assert re.sub(r"\s", "", "".join(t.text for t in words)) == re.sub(r"\s", "", "".join(p[0] for p in parts))
    spans = [s for s in found["article"]["spans"] if parts[0].start() <= s["start"] < parts[-1].end()]
    assert [t.text for t in texts if t.get("class") == "label"] == [s["label"] for s in spans]
    assert {s["label"] for s in spans} == set(found["labels"]), "a picture shows what the model can do: all labels"
    grounds = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "ground"]
    for ground, span in zip(grounds, spans, strict=True):
        left, right = float(ground.get("x")), float(ground.get("x")) + float(ground.get("width"))
        inside = [t for t in texts if t.get("y") == f"{float(ground.get('y')) + 16:g}" and left < float(t.get("x")) < right - 1]
        assert sorted(t.text for t in inside) == sorted([span["text"], span["label"]])
        assert all(float(t.get("x")) + float(t.get("textLength")) < right for t in inside)
        assert right <= float(root.get("width")) - 20
    boxes = sorted((t.get("y"), float(t.get("x")), float(t.get("x")) + float(t.get("textLength"))) for t in texts)
    assert all(one[0] != two[0] or one[2] <= two[1] for one, two in pairwise(boxes)), "no text lies on another"


def test_a_mention_over_two_paragraphs_is_not_drawn_in_part():
    from drawing import picture

    row = {
        "id": "a",
        "text": "At Brenholm\n\nTODAY",
        "spans": [{"start": 3, "end": 18, "label": "L", "text": "Brenholm\n\nTODAY", "score": 1}],
    }
    with pytest.raises(InputError, match="goes over the end of a paragraph"):
        picture({**row, "model": "m", "revision": "r"}, ["L"])


def test_any_model_can_be_drawn(wild_model):
    from drawing import picture
    from picture import found_by

    found = found_by(str(wild_model("bert")))
    assert found["article"]["spans"]
    row = {**found["article"], "spans": [s for s in found["article"]["spans"] if "\n" not in s["text"]]}
    drawn = ET.fromstring(picture(row, found["labels"]))
    assert len([t for t in drawn.iter(f"{SVG}text") if t.get("class") == "label"]) == len(row["spans"])


def test_the_picture_is_of_the_model_whose_scores_stand_beside_it():
    assert committed("models/conflict-minilm/metrics.json")["weights_sha256"].startswith(stored()["article"]["revision"])


def test_the_sentence_that_readme_tags_is_the_one_whose_output_is_stored():
    from picture import SENTENCE

    assert README.count(f'"{SENTENCE}"') == 2
    assert stored()["sentence"]["text"] == SENTENCE


def test_figures_in_readme_are_rendered_or_constants_of_the_code():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    constants = {project["requires-python"].removeprefix(">="), "2.0", "4.0"}  # Python; the licences' versions
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)|^\d\. |^\|.*$|\[ray\]", "", PROSE, flags=re.MULTILINE)
    figures = re.findall(r"(?<![\w.-])\d[\d.,]*(?![\w-])", prose)
    assert {figure.rstrip(".,") for figure in figures} <= constants


def test_links_in_readme_lead_somewhere():
    headings = {re.sub(r"[^\w -]", "", line.lower()).strip().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", README, re.MULTILINE)}
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", README, flags=re.DOTALL | re.MULTILINE))
    assert len(links) > 10
    for link in links:
        path, _, anchor = link.partition("#")
        assert link.startswith("https://") or (anchor in headings if not path else (ROOT / path).exists()), link


def test_the_citation_is_complete():
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert set(cff) >= {"cff-version", "message", "type", "title", "abstract", "authors", "version", "date-released", "license", "keywords"}
    assert cff["license"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]


def test_a_badge_says_only_what_pyproject_says():
    from front import facts

    metrics = committed("models/conflict-minilm/metrics.json")
    assert facts({"requires-python": ">=3.13", "license": "MIT"}, metrics)["python"][1] == "3.13+"
    with pytest.raises(InputError, match="requires-python"):
        facts({"requires-python": ">=3.11,<4", "license": "MIT"}, metrics)


def test_the_stock_pipeline_is_taken_at_its_best_in_every_round():
    from front import times_stock

    def system(*seconds):
        return {"kinds": {"articles": {"sub_tokens": 100, "seconds": seconds}}}

    speed = {"systems": {"stock": system(10, 4), "stock-8": system(5, 8), "stock-cuda": system(1, 1), "torch": system(2.5, 1)}}
    assert times_stock(speed, "torch", "articles") == [2.0, 4.0]
    assert times_stock({"systems": {"torch": system(1)}}, "torch", "articles") == []


@pytest.mark.slow
def test_your_own_labels_in_five_lines(tmp_path, tiny_encoder):
    """The lines of README, in a folder like a fresh clone's, with a tiny encoder for the default one."""
    block = re.search(r"^```sh\n(sed .*?)^```", README, re.DOTALL | re.MULTILINE)[1]
    assert block.count("\n") == 5
    for script in ("train.py", "evaluate.py", "tag.py"):
        (tmp_path / script).symlink_to(ROOT / script)
    default = yaml.safe_load((ROOT / "configs/conflict-minilm.yaml").read_text())
    small = {
        "model_name_or_path": str(tiny_encoder("bert")),
        "max_length": 32,
        "window_overlap": 8,
        "tagging_length": 24,
        "tagging_overlap": 8,
        "num_train_epochs": 1,
    }
    (tmp_path / "configs").mkdir()
    lines = [f"{key}: {json.dumps(value)}" for key, value in {**default, **small}.items()]
    (tmp_path / "configs/conflict-minilm.yaml").write_text("\n".join(lines) + "\n")
    mine = re.search(r"^```markdown\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[1]
    for split in ("train", "dev", "test"):
        (tmp_path / "data/mine" / split).mkdir(parents=True)
    (tmp_path / "data/mine/train/flood.md").write_text(mine)
    write_documents([annotate("fire", "{Blankets|AID} reached {Estany|PLACE}.")], tmp_path / "data/mine/dev/fire.md")
    write_documents([annotate("quake", "{Tents|AID} for {Port Azur|PLACE}.")], tmp_path / "data/mine/test/quake.md")
    (tmp_path / "report.txt").write_text("The Red Cross sent tents.\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-e", "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["text"] == "The Red Cross sent tents.\n"
    assert json.loads((tmp_path / "models/mine/metrics.json").read_text())["strict"]["per_label"].keys() == {"AID", "ORGANISATION", "PLACE"}
    assert (tmp_path / "models/mine/onnx/model_int8.onnx").exists()
