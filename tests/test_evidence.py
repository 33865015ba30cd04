"""evidence.json: what of the benchmarks is this run's, and what only looks like it."""

import copy
import json
import shutil
from pathlib import Path

import pytest

from benchmarks.render import committed
from conflict_ner import evidence
from conflict_ner.corpus import read_documents, write_documents
from conflict_ner.documents import corpus_sha256
from conflict_ner.evidence import gather, main
from conflict_ner.runs import read_json, write_json


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a run's records and benchmarks that are its own, the project's data elsewhere."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "models/mine").mkdir(parents=True)
    for record in ("metrics.json", "run.json"):
        write_json(tmp_path / "models/mine" / record, committed(f"models/conflict-minilm/{record}"))
    monkeypatch.chdir(tmp_path)
    metrics, run = read_json(Path("models/mine/metrics.json")), read_json(Path("models/mine/run.json"))
    seed, micro, test = run["settings"]["seed"], metrics["strict"]["micro"], metrics["data"]["sha256"]
    row = {"seed": seed, "micro": micro, "macro_f1": 0.5, "others": {}, "training_minutes": 1.0}
    seeds = {
        "command": "c",
        "data": {"sha256": test},
        "micro_f1": {"runs": 1, "mean": micro["f1"], "stdev": None, "ci95": None},
        "seeds": [row],
    }
    write_json(Path("benchmarks/conflict-minilm.json"), seeds)
    data = {"train": run["data"]["train"]["sha256"], "dev": run["data"]["dev"]["sha256"], "test": test}
    ours = {"runs": [{"seed": seed, "minutes": 1.0, "strict": metrics["strict"]}]}
    write_json(Path("benchmarks/accuracy.json"), {"command": "c", "tasks": {"t": {"data": data, "documents": 3, "peers": {"ours": ours}}}})
    speed = read_json(Path(__file__).parent.parent / "benchmarks/speed.json")
    speed["weights_sha256"] = metrics["weights_sha256"]
    write_json(Path("benchmarks/speed.json"), speed)
    return Path("models/mine")


def change(path, *steps, to):
    content = read_json(Path(path))
    row = content
    for step in steps[:-1]:
        row = row[step]
    row[steps[-1]] = to
    write_json(Path(path), content)


def test_the_runs_own_figures_are_taken_over(place):
    found = gather(place)
    assert {"seeds", "peers", "speed", "citation", "version"} <= set(found)
    assert found["weights_sha256"] == read_json(place / "metrics.json")["weights_sha256"]
    assert not {"model", "examples", "outputs"} & set(found), "no weights here"


@pytest.mark.parametrize(
    ("left_out", "file", "steps", "value"),
    [
        ("seeds", "conflict-minilm.json", ["seeds", 0, "micro", "f1"], 0.5),
        ("seeds", "conflict-minilm.json", ["seeds", 0, "seed"], 99),
        ("seeds", "conflict-minilm.json", ["data", "sha256"], "00"),
        ("peers", "accuracy.json", ["tasks", "t", "data", "train"], "00"),
        ("peers", "accuracy.json", ["tasks", "t", "data", "test"], "00"),
        ("speed", "speed.json", ["weights_sha256"], "00"),
    ],
)
def test_figures_of_another_run_are_not(place, left_out, file, steps, value):
    change(f"benchmarks/{file}", *steps, to=value)
    assert {"seeds", "peers", "speed"} - set(gather(place)) == {left_out}


def test_peers_stand_beside_this_very_run(place):
    metrics, stored = read_json(place / "metrics.json"), read_json(Path("benchmarks/accuracy.json"))["tasks"]["t"]["peers"]["ours"]["runs"]
    assert [row["seed"] for row in gather(place)["peers"]["systems"]["ours"]["runs"]] == [row["seed"] for row in stored]
    change("benchmarks/accuracy.json", "tasks", "t", "peers", "ours", "runs", 0, "strict", "micro", "recall", to=0.5)
    (ours,) = gather(place)["peers"]["systems"]["ours"]["runs"]
    assert (ours["f1"], ours["minutes"]) == (metrics["strict"]["micro"]["f1"], read_json(place / "run.json")["seconds"] / 60)


def test_without_weights_what_they_once_said_is_kept_unless_they_are_others(place):
    said = {
        "weights_sha256": read_json(place / "metrics.json")["weights_sha256"],
        "data_sha256": "",
        "examples": [{"text": "x", "output": []}],
    }
    write_json(place / "evidence.json", said)
    assert gather(place)["examples"] == said["examples"]
    change(place / "metrics.json", "weights_sha256", to="ab" * 32)
    assert "examples" not in gather(place)


def test_labels_have_their_examples_while_they_are_defined_as_they_were(place):
    guides = {label: {"definition": text, "includes": {"[x](Y)": "why"}} for label, text in read_json(place / "run.json")["labels"].items()}
    Path("data/conflict").mkdir(parents=True)
    write_json(Path("data/conflict/labels.json"), guides)
    assert gather(place)["labels"]["ACTOR"]["includes"] == {"[x](Y)": "why"}
    changed = copy.deepcopy(guides)
    changed["ACTOR"]["definition"] = "something else"
    write_json(Path("data/conflict/labels.json"), changed)
    assert "labels" not in gather(place)


def test_corpus_agreement_and_what_training_never_saw_are_known_by_checksum(place, monkeypatch):
    project = Path(__file__).parent.parent
    shutil.copytree(project / "data/agreement", "data/agreement")
    shutil.copy(project / "data/README.md", "data")
    train = read_documents(project / "data/conflict/train/sudan.md")
    test = read_documents(project / "data/conflict/test/falklands.md")
    for name, documents in (("train", train), ("test", test)):
        Path(f"data/conflict/{name}").mkdir(parents=True)
        write_documents(documents, Path(f"data/conflict/{name}/some.md"))
    assert not {"corpus", "agreement", "never_trained"} & set(gather(place)), "another corpus lies there"
    for name, documents in (("train", train), ("test", test)):
        change(place / "run.json", "data", name, "sha256", to=corpus_sha256(documents))
    change(place / "metrics.json", "data", "sha256", to=corpus_sha256(test))
    found = gather(place)
    assert found["corpus"] == {"license": "cc-by-4.0"}
    assert set(found["agreement"]) == {"train", "test"}
    assert "falklands" in found["never_trained"]["conflict"]
    assert "sudan" not in found["never_trained"]["conflict"]
    write_documents(train[1:], Path("data/conflict/train/some.md"))
    assert not {"corpus", "agreement", "never_trained"} & set(gather(place)), "the corpus has changed since"


def test_the_command_writes_the_record_and_renders_the_card(place, capsys):
    assert main([str(place)]) == 0
    assert "without examples and the snippets' outputs" in capsys.readouterr().out
    assert "### Beside other systems" in (place / "README.md").read_text()
    assert (place / "plots/confusion.png").is_file()
    assert json.loads((place / "evidence.json").read_text())["version"] == evidence.__version__


def test_weights_that_were_not_measured_are_one_sentence(place, finished, capsys):
    for file in finished.iterdir():
        if file.is_file() and file.name not in ("metrics.json", "run.json"):
            shutil.copy(file, place)
    assert main([str(place)]) == 2
    assert "was not measured on these weights; run python evaluate.py" in capsys.readouterr().err
    assert main(["models/none"]) == 2
    assert "there is no such file" in capsys.readouterr().err
