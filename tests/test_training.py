import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer

import train
from conflict_ner.corpus import write_documents
from conflict_ner.encoders import resolve_encoder
from conflict_ner.labels import LabelSet
from conflict_ner.training import join_documents, last_whole_checkpoint, load_model, load_tokenizer, make_features, split_sentences
from conflict_ner.windows import WindowSize
from tests.conftest import DEV, ENCODERS, TRAIN, annotate

LABELS = LabelSet(("ACTOR", "LOCATION", "WEAPON"))


def test_windows_learn_every_sub_token_exactly_once(tokenizer):
    document = annotate("d", "{Nordland army|ACTOR} fired {rockets|WEAPON} at {Brenholm|LOCATION} on Monday.")
    long = annotate("d", " ".join(["{Nordland army|ACTOR} fired {rockets|WEAPON} at {Brenholm|LOCATION} on Monday."] * 20))
    for one in (document, long):
        features, losses = make_features([one], tokenizer, LABELS, WindowSize(32, 8))
        assert losses.cut == 0
        learnt = [label for row in features["labels"] for label in row if label >= 0]
        whole, _ = make_features([one], tokenizer, LABELS, WindowSize(10_000, 0))
        assert learnt == [label for label in whole["labels"][0] if label >= 0]
        assert max(map(len, features["input_ids"])) <= 32


def test_sentences_keep_their_spans_and_cut_none():
    document = annotate("d", "{Su-34s|WEAPON} of the {U.S. Air Force|ACTOR} left. It was late! Then {Port Azur|LOCATION} fell.")
    sentences = list(split_sentences(document))
    assert "".join(sentence.text for sentence in sentences) == document.text
    mentions = [(sentence.mention(span), span.label) for sentence in sentences for span in sentence.spans]
    assert mentions == [(document.mention(span), span.label) for span in document.spans]
    assert len(sentences) == 3


def test_joined_documents_fill_windows_and_lose_no_mention(tokenizer):
    documents = [dataclasses.replace(document, id=f"{document.id}-{copy}") for document in TRAIN for copy in range(5)]
    joined = join_documents(documents, tokenizer, [200])
    assert len(joined) < len(documents)
    assert sorted(d.mention(s) for d in joined for s in d.spans) == sorted(d.mention(s) for d in documents for s in d.spans)
    assert "\n\n".join(d.text for d in joined).count("officials said.") == 5
    windows, losses = make_features(joined, tokenizer, LabelSet(("ACTOR", "LOCATION", "WEAPON")), WindowSize(200, 20))
    assert len(windows) == len(joined), "each fits one window"
    assert losses.aligned == sum(len(d.spans) for d in documents)
    assert join_documents(documents[::-1], tokenizer, [200]) == joined, "whatever the order of files"


def test_documents_are_joined_to_each_length_in_its_turn(tokenizer):
    documents = [dataclasses.replace(document, id=f"{document.id}-{copy}") for document in TRAIN for copy in range(20)]
    joined = join_documents(documents, tokenizer, [60, 300])
    sizes = [len(tokenizer(document.text)["input_ids"]) for document in joined]
    assert max(sizes[::2]) <= 60 < min(sizes[1:-1:2])
    assert max(sizes) <= 300


def test_a_half_written_checkpoint_is_not_resumed_from(tmp_path):
    for step, state in ((2, '{"a": 1}\n'), (10, '{"a": '), (9, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


@pytest.mark.parametrize("architecture", ENCODERS)
def test_a_run_folder_holds_everything_and_nothing_else(config, tiny_encoder, architecture):
    encoder = str(tiny_encoder(architecture))
    assert train.main(["--config", str(config), "--model_name_or_path", encoder, "--num_train_epochs", "1"]) == 0
    folder = config.parent / "run"
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "run.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert AutoConfig.from_pretrained(folder).id2label == LABELS.id2label
    assert AutoConfig.from_pretrained(folder).window == {"max_length": 32, "overlap": 8, "whole": 32}
    assert AutoTokenizer.from_pretrained(folder).model_max_length == 64
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "finished"
    assert run["settings"]["learning_rate"] == 5e-3
    assert run["data"]["train"]["spans"] == sum(len(document.spans) for document in TRAIN)
    assert run["alignment"]["train"] == {"aligned": sum(len(document.spans) for document in TRAIN), "cut": 0}
    assert run["dev"]["best_f1"] is not None
    assert run["versions"]["torch"]
    assert run["seconds"] > 0


def test_the_model_knows_the_windows_to_tag_in_and_its_attention_dropout(config):
    tagging = ["--tagging_length", "24", "--tagging_overlap", "4", "--attention_dropout", "0"]
    assert train.main(["--config", str(config), "--num_train_epochs", "1", *tagging]) == 0
    model = AutoConfig.from_pretrained(config.parent / "run")
    assert model.window == {"max_length": 24, "overlap": 4, "whole": 32}
    assert model.attention_probs_dropout_prob == 0
    settings = json.loads((config.parent / "run" / "run.json").read_text())["settings"]
    assert (settings["max_length"], settings["tagging_length"], settings["attention_dropout"]) == (32, 24, 0)


@pytest.mark.parametrize("architecture", ENCODERS)
def test_no_attention_dropout_whatever_an_encoder_calls_it(tiny_encoder, architecture):
    folder = str(tiny_encoder(architecture))
    source = resolve_encoder(folder)
    tokenizer = load_tokenizer(source, folder)
    for wanted in (0.0, 0.25):
        model = load_model(source, folder, LABELS, tokenizer, WindowSize(32, 8), attention_dropout=wanted)
        config = model.config.to_dict()
        assert wanted in [config.get("attention_probs_dropout_prob"), config.get("attention_dropout")]


def test_other_labels_need_no_code(config):
    write_documents([annotate("a", "{Malaria|DISEASE} in {Kano|PLACE}. " * 8)], config.parent / "train.md")
    write_documents([annotate("b", "{Cholera|DISEASE} in {Aden|PLACE}.")], config.parent / "dev.md")
    assert train.main(["--config", str(config), "--num_train_epochs", "1"]) == 0
    assert AutoConfig.from_pretrained(config.parent / "run").id2label == {
        0: "O",
        1: "B-DISEASE",
        2: "I-DISEASE",
        3: "B-PLACE",
        4: "I-PLACE",
    }


def run_train(*arguments, **kwargs):
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        [sys.executable, "train.py", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **kwargs,
    )


def test_killed_and_resumed_gives_the_weights_of_an_uninterrupted_run(config):
    whole, killed = config.parent / "whole", config.parent / "killed"
    settings = ["--config", str(config), "--num_train_epochs", "40"]
    assert train.main([*settings, "--output_dir", str(whole)]) == 0
    process = run_train(*settings, "--output_dir", killed)
    deadline = time.monotonic() + 120
    while last_whole_checkpoint(killed) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, process.stdout.read()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(killed.glob("checkpoint-*"))
    assert json.loads((killed / "run.json").read_text())["status"] == "begun"
    assert train.main([*settings, "--output_dir", str(killed)]) == 2, "a new run must not trample on an unfinished one"
    assert train.main([*settings, "--output_dir", str(killed), "--seed", "4", "--resume_from_checkpoint", "true"]) == 2
    assert train.main([*settings, "--output_dir", str(killed), "--resume_from_checkpoint", "true"]) == 0
    expected, found = load_file(whole / "model.safetensors"), load_file(killed / "model.safetensors")
    assert expected.keys() == found.keys()
    assert all((expected[name] == found[name]).all() for name in expected)
    assert json.loads((killed / "run.json").read_text())["resumed"] is True
    assert not list(killed.glob("checkpoint-*"))


def test_resuming_where_nothing_was_begun_starts_from_scratch_and_a_finished_run_is_left_alone(config, caplog):
    resume = ["--config", str(config), "--num_train_epochs", "1", "--resume_from_checkpoint", "true"]
    assert train.main(resume) == 0
    weights = config.parent / "run" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert train.main(resume) == 0
    assert weights.stat().st_mtime_ns == before
    weights.unlink()  # a reference run is committed without its weights
    assert train.main(resume) == 0
    assert weights.exists()
    assert train.main([*resume, "--seed", "9"]) == 0, "another run may take the place of a finished one"
    assert json.loads((config.parent / "run" / "run.json").read_text())["settings"]["seed"] == 9


LAUNCHERS = {
    # Without MPI, accelerate starts one process on a CPU whatever the number asked for; torchrun starts them all.
    "accelerate": (["accelerate.commands.launch", "--cpu", "--num_processes", "2"], 1),
    "torchrun": (["torch.distributed.run", "--standalone", "--nproc_per_node", "2"], 2),
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers_train_one_model_together(config, launcher):
    command, processes = LAUNCHERS[launcher]
    done = subprocess.run(
        [sys.executable, "-m", *command, "train.py", "--config", str(config)], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    folder = config.parent / "run"
    assert (folder / "model.safetensors").exists()
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "finished"
    assert run["settings"]["world_size"] == processes
    assert run["batch_size"] == 2 * processes
    assert done.stdout.count("next: python evaluate.py") == 1
    assert not list(folder.glob("checkpoint-*"))


BAD_INPUT = [
    ("missing data", lambda c: ["--train_data", str(c.parent / "no.md")], "no.md: there is no such file"),
    ("empty data", lambda c: ["--train_data", touch(c.parent / "empty.md", "")], "empty.md: no documents"),
    ("unknown label", lambda c: ["--dev_data", touch(c.parent / "other.md", "## x\n\n[a](NEW)\n")], "labels NEW never occur"),
    (
        "same text",
        lambda c: ["--test_data", touch(c.parent / "same.md", f"## x\n\n{DEV[0].text}\n")],
        "dev/d1 and test/x have the same text",
    ),
    ("no encoder", lambda c: ["--model_name_or_path", "nobody/nothing-here"], "encoder nobody/nothing-here cannot be had"),
    ("same file twice", lambda c: ["--train_data", str(c.parent / "train.md"), str(c.parent / "train.md")], "'t1' is in two of its files"),
    ("no text", lambda c: ["--dev_data", touch(c.parent / "void.md", "## x\n\n")], "hold no text at all"),
    ("window too small", lambda c: ["--max_length", "2"], "cannot overlap by 8"),
    ("tagging longer than learnt", lambda c: ["--tagging_length", "9999"], "tagging_length 9999 is more than max_length"),
    ("no share", lambda c: ["--attention_dropout", "1.5"], "attention_dropout 1.5 is no share"),
    ("tagging overlap", lambda c: ["--tagging_length", "16", "--tagging_overlap", "16"], "cannot overlap by 16"),
    ("overlap below zero", lambda c: ["--window_overlap", "-1"], "cannot overlap by -1"),
    ("resume from a path", lambda c: ["--resume_from_checkpoint", "run/checkpoint-2"], "say true or false"),
    ("output is a file", lambda c: ["--output_dir", touch(c.parent / "file", "x")], "file: cannot be written"),
    ("output cannot be made", lambda c: ["--output_dir", "/proc/none/run"], "/proc/none/run: cannot be written"),
]


def touch(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(("arguments", "complaint"), [(a, c) for _, a, c in BAD_INPUT], ids=[name for name, *_ in BAD_INPUT])
def test_bad_input_is_one_sentence_and_exit_2_before_training(config, capsys, arguments, complaint):
    assert train.main(["--config", str(config), *arguments(config)]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert "Traceback" not in error
    assert not (config.parent / "run" / "model.safetensors").exists()


def test_too_little_disk_is_found_before_training(config, capsys, monkeypatch):
    from conflict_ner import runs

    monkeypatch.setattr(runs.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    assert train.main(["--config", str(config)]) == 2
    assert "GB are free" in capsys.readouterr().err
