"""evaluate.py and tag.py as a user calls them, on a tiny trained model; every bad input is one sentence and exit code 2."""

import json
import shutil
import subprocess
import sys

import pytest

import evaluate
import tag
import train
from conflict_ner import Tagger
from conflict_ner.corpus import write_documents
from conflict_ner.corpus.jsonl import spans_from_rows
from tests.conftest import DEV, TRAIN, annotate

TRAIN_TEXT = "Two {T-72B3 tanks|WEAPON} and a {Su-34|WEAPON} were seen near {Port Azur|LOCATION}."


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_encoder):
    """A tiny model trained until it knows its training sentences."""
    folder = tmp_path_factory.mktemp("scripts")
    write_documents(TRAIN, folder / "train.md")
    write_documents(DEV, folder / "dev.md")
    arguments = (
        f"--model_name_or_path {tiny_encoder('bert')} --train_data {folder}/train.md --dev_data {folder}/dev.md --output_dir {folder}/run"
    )
    settings = "--learning_rate 1e-2 --num_train_epochs 60 --per_device_train_batch_size 4 --eval_strategy epoch --metric_for_best_model f1"
    assert train.main([*arguments.split(), *settings.split(), "--use_cpu", "true", "--disable_tqdm", "true", "--save_strategy", "no"]) == 0
    return folder / "run"


def test_evaluate_writes_metrics_and_card_from_what_the_tagger_found(run, tmp_path, capsys):
    write_documents([*TRAIN, annotate("x", "Nothing {here|ACTOR}.")], tmp_path / "test.md")
    assert evaluate.main(["--model", str(run), "--data", str(tmp_path / "test.md"), "--stock_pipeline"]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    micro = metrics["strict"]["micro"]
    assert micro["f1"] > 0.7, "the tiny model has learnt its training sentences"
    assert micro["recall"] < 1
    assert micro["ci95"][0] <= micro["f1"] <= micro["ci95"][1]
    assert metrics["seqeval"]["strict_iob2_micro_f1"] == pytest.approx(micro["f1"])
    assert set(metrics["strict"]["per_label"]["WEAPON"]) == {"precision", "recall", "f1", "support", "ci95"}
    assert metrics["partial"]["micro"]["f1"] >= micro["f1"]
    assert metrics["slices"]["dimensions"]["surface form"]["seen"]["f1"] > 0.9, "run.json says what was trained on"
    assert metrics["strict"]["macro"]["f1"] > 0
    assert metrics["data"]["counts"]["documents"] == 5
    assert len(metrics["data"]["sha256"]) == 64
    assert metrics["model"] == str(run)
    assert metrics["weights_sha256"] == Tagger.from_pretrained(run).model.weights_sha256
    assert metrics["versions"]["transformers"]
    assert metrics["stock_pipeline"]["documents"] == 5
    assert 0.5 < metrics["stock_pipeline"]["f1_between"] <= 1
    assert f"{micro['f1']:.3f}" in capsys.readouterr().out
    assert f"Strict micro F1 **{micro['f1']:.3f}" in (run / "README.md").read_text()


def test_evaluate_skips_further_data_whose_text_is_absent_and_says_so(run, tmp_path, capsys):
    write_documents(DEV, tmp_path / "test.md")
    arguments = ["--model", str(run), "--data", str(tmp_path / "test.md"), "--output", str(tmp_path / "out")]
    assert evaluate.main([*arguments, "--others", "data/articles", "--articles", str(tmp_path)]) == 0
    assert "skipped:" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["others"] == {}
    assert not (tmp_path / "out" / "README.md").exists()


def test_evaluate_scores_further_data_by_itself(run, tmp_path):
    write_documents(DEV, tmp_path / "a.md")
    write_documents(TRAIN, tmp_path / "b.md")
    assert (
        evaluate.main(
            ["--model", str(run), "--data", str(tmp_path / "a.md"), "--others", str(tmp_path / "b.md"), "--output", str(tmp_path)]
        )
        == 0
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    other = metrics["others"][str(tmp_path / "b.md")]
    assert other["data"]["counts"]["documents"] == len(TRAIN)
    assert other["strict"]["micro"]["support"] == sum(len(document.spans) for document in TRAIN)


def test_challenge_groups_are_reported_by_pass_rate(run, tmp_path, capsys):
    right, wrong = annotate("a", TRAIN_TEXT, group="kept"), annotate("b", "The {minister|WEAPON} left.", group="odd")
    write_documents([right, wrong], tmp_path / "c.md")
    assert evaluate.main(["--model", str(run), "--data", str(tmp_path / "c.md"), "--output", str(tmp_path)]) == 0
    groups = json.loads((tmp_path / "metrics.json").read_text())["groups"]
    assert {name: (row["rate"], row["documents"]) for name, row in groups.items()} == {"all": (0.5, 2), "kept": (1.0, 1), "odd": (0.0, 1)}
    assert "odd" in capsys.readouterr().out


def test_scoring_training_documents_is_said_loudly(run, tmp_path, capsys):
    write_documents([TRAIN[1], *DEV], tmp_path / "test.md")
    assert evaluate.main(["--model", str(run), "--data", str(tmp_path / "test.md"), "--output", str(tmp_path)]) == 0
    assert "WARNING: the model was trained on 1 of the 2 documents in" in " ".join(capsys.readouterr().out.split())
    assert json.loads((tmp_path / "metrics.json").read_text())["documents_learnt"] == 1
    assert "trained on 1 of these" in (tmp_path / "report.html").read_text()


def test_any_systems_predictions_can_be_scored_and_compared(run, tmp_path, capsys):
    write_documents(TRAIN, tmp_path / "test.md")
    data = ["--data", str(tmp_path / "test.md")]
    assert evaluate.main(["--model", str(run), *data, "--output", str(tmp_path / "ours")]) == 0
    ours = json.loads((tmp_path / "ours/metrics.json").read_text())
    predictions = str(tmp_path / "ours/predictions.jsonl")
    assert evaluate.main(["--model", predictions, *data, "--output", str(tmp_path / "again"), "--compare", str(run)]) == 0
    again = json.loads((tmp_path / "again/metrics.json").read_text())
    assert again["strict"] == ours["strict"]
    assert again["calibration"]["ece"] == pytest.approx(ours["calibration"]["ece"], abs=1e-3)
    assert again["comparison"]["scores"]["micro"]["difference"] == 0
    (tmp_path / "nothing.jsonl").write_text("".join(json.dumps({"id": d.id, "spans": []}) + "\n" for d in TRAIN))
    assert evaluate.main(["--model", str(run), "--compare", str(tmp_path / "nothing.jsonl"), *data, "--output", str(tmp_path / "won")]) == 0
    comparison = json.loads((tmp_path / "won/metrics.json").read_text())["comparison"]
    assert comparison["scores"]["micro"]["second_f1"] == 0
    assert set(comparison["won"]) == {d.id for d in TRAIN if d.spans}
    assert "paired bootstrap" in capsys.readouterr().out


def test_models_of_other_labels_are_not_compared(run, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    config = json.loads((other / "config.json").read_text())
    config["id2label"] = {number: tag.replace("WEAPON", "VIRUS") for number, tag in config["id2label"].items()}
    config["label2id"] = {tag: int(number) for number, tag in config["id2label"].items()}
    (other / "config.json").write_text(json.dumps(config))
    write_documents(TRAIN, tmp_path / "test.md")
    error = refused(capsys, evaluate.main, "--model", run, "--compare", other, "--data", tmp_path / "test.md", "--output", tmp_path / "o")
    assert "have other labels" in error


def test_what_was_learnt_is_unknown_when_training_data_changed(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    record = json.loads((copy / "run.json").read_text())
    record["settings"]["train_data"] = ["gone.md"]
    (copy / "run.json").write_text(json.dumps(record))
    write_documents([TRAIN[1], *DEV], tmp_path / "test.md")
    assert evaluate.main(["--model", str(copy), "--data", str(tmp_path / "test.md")]) == 0
    assert json.loads((copy / "metrics.json").read_text())["documents_learnt"] is None
    assert "is not known here" in (copy / "report.html").read_text()


def refused(capsys, main, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_scores_of_another_backend_do_not_replace_those_of_the_weights(run, tmp_path, capsys):
    write_documents(DEV, tmp_path / "test.md")
    data = ["--data", tmp_path / "test.md"]
    assert "--output is needed" in refused(capsys, evaluate.main, "--model", run, *data, "--backend", "auto")
    assert evaluate.main(["--model", str(run), *map(str, data), "--backend", "auto", "--output", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out/metrics.json").read_text())["backend"] == "torch", "there is no export"


def test_evaluate_refuses_what_it_cannot_score(run, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    write_documents([annotate("a", "{x|VIRUS}")], tmp_path / "virus.md")
    (tmp_path / "bad.md").write_text("## a\n\n[x (ACTOR)\n")
    (tmp_path / "file").write_text("")
    data = ["--data", tmp_path / "virus.md"]
    assert "holds no config.json" in refused(capsys, evaluate.main, "--model", empty, *data)
    assert "VIRUS, but the model knows only ACTOR, LOCATION, WEAPON" in refused(capsys, evaluate.main, "--model", run, *data)
    assert "bad.md:3" in refused(capsys, evaluate.main, "--model", run, "--data", tmp_path / "bad.md")
    assert "no.md: there is no such file" in refused(capsys, evaluate.main, "--model", run, "--data", tmp_path / "no.md")
    assert "cannot be written" in refused(capsys, evaluate.main, "--model", run, *data, "--output", tmp_path / "file")
    (tmp_path / "other.jsonl").write_text('{"id": "z", "spans": []}\n')
    assert "other.jsonl:1: document id 'z' is not in the data" in refused(
        capsys, evaluate.main, "--model", tmp_path / "other.jsonl", *data, "--output", tmp_path / "o"
    )
    assert "no.jsonl: there is no such file" in refused(capsys, evaluate.main, "--model", run, "--compare", tmp_path / "no.jsonl", *data)
    assert "--output is needed" in refused(capsys, evaluate.main, "--model", "some/hub-id", *data)
    predictions = tmp_path / "predictions.jsonl"
    predictions.write_text('{"id": "a", "spans": []}\n')
    assert "would be overwritten" in refused(capsys, evaluate.main, "--model", predictions, *data, "--output", tmp_path)
    out = ["--output", tmp_path / "out"]
    assert "--others needs a model" in refused(
        capsys, evaluate.main, "--model", predictions, *data, *out, "--others", tmp_path / "virus.md"
    )
    assert "neither a model folder nor" in refused(capsys, evaluate.main, "--model", tmp_path / "virus.md", *data, *out)
    write_documents([annotate("e", "Nothing here.")], tmp_path / "blank.md")
    assert "no span is annotated" in refused(capsys, evaluate.main, "--model", run, "--data", tmp_path / "blank.md")
    assert "its text is at none of" in missing_text(capsys, run, tmp_path)


def missing_text(capsys, run, tmp_path):
    (tmp_path / "one.json").write_text(json.dumps({"id": "1", "text_file": "one.txt", "sha256": "", "spans": []}))
    return refused(capsys, evaluate.main, "--model", run, "--data", tmp_path / "one.json", "--articles", tmp_path)


def test_tag_prints_a_json_line_per_file_with_the_taggers_spans(run, tmp_path, capsys):
    text = "Two T-72B3 tanks\r\nwere seen near Port Azur. 🚀"
    files = [tmp_path / "b.txt", tmp_path / "a.txt"]
    for file in files:
        file.write_bytes(text.encode())
    assert tag.main(["--model", str(run), *map(str, files)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == [str(file) for file in files]
    assert rows[0]["text"] == text
    spans = [{key: row[key] for key in ("start", "end", "label")} for row in rows[0]["spans"]]
    assert spans_from_rows(spans) == Tagger.from_pretrained(run).tag([text])[0]
    assert all(isinstance(row["score"], float) and 0 <= row["score"] <= 1 for row in rows[0]["spans"])


def test_tag_reads_standard_input_by_lines(run):
    done = subprocess.run(
        [sys.executable, "tag.py", "--model", run, "--lines"], input="Rockets hit\n\nPort Azur\n", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["stdin:1", "stdin:2", "stdin:3"]


def test_tag_keeps_line_numbers_and_survives_a_closed_pipe(run, tmp_path):
    (tmp_path / "a.txt").write_bytes("one\fstill one\r\ntwo\u2028still two\n".encode())
    command = [sys.executable, "tag.py", "--model", str(run), "--lines", str(tmp_path / "a.txt")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert [json.loads(line)["text"] for line in done.stdout.split("\n") if line] == ["one\fstill one", "two\u2028still two"]
    (tmp_path / "b.txt").write_text("Rockets hit Port Azur.\n" * 3000)
    piped = subprocess.run(f"{' '.join(command[:-1])} {tmp_path}/b.txt | head -1", shell=True, capture_output=True, text=True)
    assert piped.stdout.count("\n") == 1
    assert "Traceback" not in piped.stderr


def test_tag_shows_text_with_every_character(run, tmp_path, capsys):
    (tmp_path / "a.txt").write_text(TRAIN[1].text + " [bold]")
    assert tag.main(["--model", str(run), "--format", "text", str(tmp_path / "a.txt")]) == 0
    shown = capsys.readouterr().out
    assert "[bold]" in shown
    assert "WEAPON" in shown


def test_min_score_leaves_out_what_the_model_is_unsure_of(run, tmp_path, capsys):
    (tmp_path / "a.txt").write_text(TRAIN[1].text + " " + DEV[0].text)
    every, sure = (tagged(capsys, run, tmp_path / "a.txt", least) for least in ("0", "0.9"))
    assert sure == [span for span in every if span["score"] >= 0.9]
    assert "between 0 and 1" in refused(capsys, tag.main, "--model", run, "--min_score", "7", tmp_path / "a.txt")


def tagged(capsys, run, file, min_score):
    assert tag.main(["--model", str(run), "--min_score", min_score, str(file)]) == 0
    return json.loads(capsys.readouterr().out)["spans"]


def test_tag_refuses_what_it_cannot_read(run, tmp_path, capsys):
    (tmp_path / "latin.txt").write_bytes("Malm\xf6".encode("latin-1"))
    assert "no.txt: there is no such file" in refused(capsys, tag.main, "--model", run, tmp_path / "no.txt")
    assert "latin.txt:1: byte 0xf6 is not UTF-8" in refused(capsys, tag.main, "--model", run, tmp_path / "latin.txt")
    assert "no model of that id" in refused(capsys, tag.main, "--model", "nobody/none", tmp_path / "latin.txt")


def test_what_was_tagged_beside_a_bad_file_is_not_lost(run, tmp_path, capsys):
    for name, content in (("a.txt", b"Rockets"), ("b.txt", b"\xff"), ("c.txt", b"Tanks")):
        (tmp_path / name).write_bytes(content)
    assert tag.main(["--model", str(run), *(str(tmp_path / name) for name in ("a.txt", "b.txt", "c.txt"))]) == 0
    shown = capsys.readouterr()
    assert [json.loads(line)["text"] for line in shown.out.splitlines()] == ["Rockets", "Tanks"]
    assert "b.txt:1: byte 0xff is not UTF-8" in shown.err


def test_a_missing_file_is_told_before_anything_is_tagged(run, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("Rockets")
    assert tag.main(["--model", str(run), str(tmp_path / "a.txt"), str(tmp_path / "no.txt")]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"error: {tmp_path}/no.txt: there is no such file; check the path\n")


def test_help_is_the_docstring(capsys):
    for script in (evaluate, tag):
        with pytest.raises(SystemExit):
            script.main(["--help"])
        assert script.__doc__.splitlines()[0] in capsys.readouterr().out
