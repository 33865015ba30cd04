"""publish.py as a user calls it, to a Hub on this machine; every reason not to publish is one sentence and exit code 2."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import publish
from conflict_ner import __version__, model_card
from conflict_ner.corpus import read_documents
from conflict_ner.corpus.jsonl import spans_from_rows
from conflict_ner.errors import InputError
from conflict_ner.export import TOLERANCE
from conflict_ner.readback import check_same, entities, load_back
from conflict_ner.release import SECRETS, stage_model
from tests.conftest import ALICE, DEV, TRAIN
from tests.hub_server import Repo

# What a stranger does, with nothing but the packages and an id.
STRANGER = """
import json, sys
from transformers import pipeline
model, snippet, texts = json.load(sys.stdin)
tagger = pipeline("token-classification", model=model, aggregation_strategy="simple")
found = [[[e["start"], e["end"], e["entity_group"]] for e in tagger(text)] for text in texts]
exec(snippet)
rows = {split: [[r["id"], r["text"], r["spans"]] for r in rows] for split, rows in corpus.items()}
print(json.dumps([found, rows, corpus["test"].column_names]))
"""
PUBLISHED = {"README.md", "config.json", "config.yaml", "metrics.json", "model.safetensors", "onnx/export.json", "onnx/model.onnx"}
PUBLISHED |= {"onnx/model_int8.onnx", "plots/confusion.png", "plots/reliability.png", "report.html", "run.json"}
PUBLISHED |= {"tokenizer.json", "tokenizer_config.json"}


@pytest.fixture
def model(finished, tmp_path):
    """A copy of its own for a test that spoils it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def run_script(environment, *arguments):
    return subprocess.run([sys.executable, "publish.py", *map(str, arguments)], capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_what_was_published_can_be_loaded_by_its_id(finished, hub, hub_environment, tmp_path, monkeypatch):
    done = run_script(hub_environment, finished, "alice/tiny", "--dataset", "alice/corpus", "--space", "alice/show")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "loaded back by its id: the same entities in 5 test documents" in done.stdout
    assert ALICE not in done.stdout + done.stderr
    repo = hub.repos["model", "alice/tiny"]
    assert set(repo.files()) == PUBLISHED | {".gitattributes"}
    page = hub.repos["space", "alice/show"].files()
    assert set(page) == {".gitattributes", "README.md", "index.html", "report.html"}
    assert b"<mark" in page["index.html"]
    assert b"sdk: static" in page["README.md"]
    assert b"models:\n- alice/tiny\n" in page["README.md"]
    assert b'href="https://huggingface.co/alice/tiny"' in page["index.html"]
    assert repo.resolve(f"v{__version__}") == repo.resolve("main")
    assert not [path for path, content in repo.files().items() if isinstance(content, bytes) and ALICE.encode() in content]
    assert hub.tokens_seen_by_storage == []

    texts = [document.text for document in [*TRAIN, *DEV]]
    expected = entities(finished, texts)
    assert sum(map(len, expected["torch"])) > 5
    card = hub.repos["dataset", "alice/corpus"].files()["README.md"].decode()
    snippet = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    assert 'load_dataset("alice/corpus")' in snippet
    asked = json.dumps(["alice/tiny", snippet, texts])
    nobody = {name: value for name, value in hub_environment.items() if name != "HF_TOKEN"} | {"HF_HOME": str(tmp_path)}
    stranger = subprocess.run([sys.executable, "-c", STRANGER], input=asked, capture_output=True, text=True, env=nobody, cwd=tmp_path)
    assert stranger.returncode == 0, stranger.stderr
    found, rows, columns = json.loads(stranger.stdout.splitlines()[-1])
    assert found == expected["pipeline"]
    described = [line.rpartition("`: ")[0] for line in card.splitlines() if line.startswith("- `")]
    assert set(re.findall(r"\w+", " ".join(described))) >= set(columns), "the card says what each column holds"
    for split, name in (("train", "train"), ("dev", "validation"), ("test", "test")):
        corpus = [(document.id, document.text, document.spans) for document in read_documents(f"data/conflict/{split}")]
        assert [(i, text, tuple(spans_from_rows(spans))) for i, text, spans in rows[name]] == corpus


@pytest.mark.slow
def test_a_private_pull_request_is_loaded_back_too_and_not_tagged(finished, hub, hub_environment):
    done = run_script(hub_environment, finished, "alice/secret", "--private", "--create_pr")
    assert done.returncode == 0, done.stderr
    assert "the same entities in 5 test documents" in done.stdout
    assert done.stdout.splitlines()[-1] == f"published: {hub.endpoint}/alice/secret/discussions/1"
    repo = hub.repos["model", "alice/secret"]
    assert repo.private
    assert set(repo.files()) == {".gitattributes"}
    assert set(repo.files("refs/pr/1")) == PUBLISHED | {".gitattributes"}
    assert not [ref for ref in repo.refs if "tags" in ref]


@pytest.mark.slow
def test_a_model_that_comes_back_another_is_not_tagged_until_it_is_the_same(finished, hub, hub_environment):
    swapped = (finished / "config.json").read_text().replace("ACTOR", "?").replace("WEAPON", "ACTOR").replace("?", "WEAPON")
    hub.replaced["config.json"] = swapped.encode()
    done = run_script(hub_environment, finished, "alice/other")
    hub.replaced.clear()
    assert done.returncode == 2
    assert "finds other entities than its folder (torch, onnx-fp32, onnx, pipeline); it is not tagged, publish again" in done.stderr
    assert done.stderr.count("\n") == 1
    repo = hub.repos["model", "alice/other"]
    assert not [ref for ref in repo.refs if "tags" in ref]
    hub.uploaded()
    again = run_script(hub_environment, finished, "alice/other")
    assert again.returncode == 0, again.stderr
    assert hub.uploaded() == 0
    assert repo.resolve(f"v{__version__}") == repo.resolve("main")


@pytest.mark.slow
def test_what_will_be_deleted_is_listed_and_is_never_a_file_of_others(finished, hub, hub_environment):
    repo = hub.repos["model", "alice/left"] = Repo(private=False)
    stale = {"plots/learning-curve.png", "onnx/model.onnx", "evidence.json", "model-00001-of-00002.safetensors", "old.yaml"}
    own = {"plots/mine.png", "onnx/model_fp16.onnx", "adapter.safetensors", "ci/config.yaml", "LICENSE", "demo/report.html"}
    repo.commit("main", dict.fromkeys(stale | own, b"of before"))
    done = run_script(hub_environment, finished, "alice/left", "--dry_run")
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"^ +deleted  (.*)$", done.stdout, re.MULTILINE)
    assert set(listed) == stale - PUBLISHED
    assert set(repo.files()) == stale | own
    done = run_script(hub_environment, finished, "alice/new", "--dry_run")
    assert done.returncode == 0, done.stderr
    assert "deleted" not in done.stdout
    assert ("model", "alice/new") not in hub.repos


@pytest.mark.slow
def test_every_repository_is_checked_before_anything_is_sent(finished, hub, hub_environment):
    hub.repos["dataset", "bob/data"] = Repo(private=False)
    done = run_script(hub_environment, finished, "alice/first", "--dataset", "bob/data")
    assert done.returncode == 2
    assert "bob/data: the token may not write there" in done.stderr
    assert set(hub.repos["model", "alice/first"].files()) == {".gitattributes"}


def test_an_interrupt_is_one_sentence(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "publish", interrupted)
    assert publish.main([os.devnull, "alice/tiny"]) == 130
    assert capsys.readouterr().err == "interrupted; run the same command again, what is already there is not sent again\n"


@pytest.mark.slow
def test_without_a_hub_one_sentence_is_all_there_is(finished, hub_environment):
    done = run_script(hub_environment | {"HF_ENDPOINT": "http://127.0.0.1:9"}, finished, "alice/tiny")
    assert done.returncode == 2
    assert done.stderr == "error: alice/tiny: http://127.0.0.1:9 cannot be reached (ConnectError); check the connection and publish again\n"


def test_what_comes_back_must_be_the_same(hub, monkeypatch):
    for name, value in {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": ALICE}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"alice/none: is there as 0000, but cannot be loaded back \(.*it is not tagged, publish again"):
        load_back("alice/none", "0000", ["Rockets"])
    found = {"torch": [[[0, 7, "WEAPON"]]], "pipeline": [[]]}
    check_same("alice/x", "0000", found, found)
    with pytest.raises(InputError, match=r"alice/x: 0000 finds other entities than its folder \(torch\)"):
        check_same("alice/x", "0000", found | {"torch": [[]]}, found)


def test_a_dry_run_shows_files_sizes_and_card_and_needs_no_hub(finished, capsys):
    for stray in ("training_args.bin", ".env", "model.safetensors.part", "checkpoint-7/optimizer.pt"):
        (finished / stray).parent.mkdir(exist_ok=True)
        (finished / stray).write_text("stray")
    assert publish.main([str(finished), "alice/tiny", "--dataset", "alice/corpus", "--dry_run"]) == 0
    shown = capsys.readouterr().out
    listing, card, *_ = shown.split("\n\n", 1)
    head, *files, unknown = listing.splitlines()
    assert unknown.startswith("not known what of an earlier publication would be deleted: alice/tiny: ")
    sizes = {line.split()[1]: int(line.split()[0].replace(",", "")) for line in files}
    assert set(sizes) == PUBLISHED
    assert sizes["model.safetensors"] == (finished / "model.safetensors").stat().st_size
    assert f"model alice/tiny: {len(sizes)} files, {sum(sizes.values()):,} bytes" in head
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert '"token-classification", model="alice/tiny"' in card
    assert 'Tagger.from_pretrained("alice/tiny")' in card
    for file in ("train.parquet", "validation.parquet", "test.parquet", "GUIDELINES.md", "labels.json"):
        assert file in card
    assert "pretty_name: conflict-ner corpus" in card


def test_what_is_published_renders_the_same_card_anywhere(model, tmp_path):
    metrics = json.loads((model / "metrics.json").read_text())
    speaks = {"weights_sha256": metrics["weights_sha256"], "data_sha256": metrics["data"]["sha256"], "version": "7.8.9"}
    (model / "evidence.json").write_text(json.dumps(speaks))
    staged = tmp_path / "staged"
    stage_model(model, "alice/tiny", staged)
    records = [json.loads((staged / name).read_text()) for name in ("metrics.json", "run.json", "evidence.json")]
    card = (staged / "README.md").read_text()
    assert card == model_card.render_card(*records, repo_id="alice/tiny")
    assert "conflict-ner 7.8.9" in card
    shown = re.findall(r"\]\((plots/[^)]+)\)", card)
    assert shown
    assert all((staged / figure).stat().st_size for figure in shown)


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(capsys, folder, *options):
    assert publish.main([str(folder), "alice/tiny", "--dry_run", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_a_folder_that_is_no_finished_model_is_refused(model, capsys, tmp_path):
    assert "there is no such folder" in refused(capsys, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "holds no config.json" in refused(capsys, tmp_path / "empty")
    edit(model / "run.json", status="begun")
    assert "its training did not finish" in refused(capsys, model)
    (model / "metrics.json").unlink()
    assert "metrics.json: there is no such file" in refused(capsys, model)


def test_metrics_of_other_weights_are_refused(model, capsys):
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes() + b"\0")
    assert "metrics.json: was not measured on these weights" in refused(capsys, model)


def test_metrics_that_do_not_say_what_was_measured_are_refused(model, capsys):
    metrics = json.loads((model / "metrics.json").read_text())
    del metrics["weights_sha256"]
    (model / "metrics.json").write_text(json.dumps(metrics))
    assert "was not measured on these weights" in refused(capsys, model)


def test_an_export_that_does_not_agree_with_the_weights_is_refused(model, capsys):
    record = json.loads((model / "onnx/export.json").read_text())
    for parity in (
        record["parity"] | {"fp32_max_difference": 2 * TOLERANCE},
        record["parity"] | {"fp32_max_difference": float("nan")},
        record["parity"] | {"fp32_same_entities": False},
        None,
    ):
        edit(model / "onnx/export.json", parity=parity)
        assert "does not say that the ONNX export agrees with torch" in refused(capsys, model)
    edit(model / "onnx/export.json", parity=record["parity"], weights_sha256="0" * 64)
    assert "was exported from other weights" in refused(capsys, model)
    edit(model / "onnx/export.json", weights_sha256=record["weights_sha256"])
    (model / "onnx/model_int8.onnx").write_bytes(b"another")
    assert "model_int8.onnx: is not the file that was exported" in refused(capsys, model)
    (model / "onnx/model_int8.onnx").unlink()
    assert "holds no complete ONNX export; run python -m conflict_ner.export" in refused(capsys, model)


@pytest.mark.parametrize("value", ["absent", None, float("nan")])
def test_a_card_with_a_missing_number_is_refused(model, capsys, value):
    metrics = json.loads((model / "metrics.json").read_text())
    if value == "absent":
        del metrics["strict"]["micro"]["f1"]
    else:
        metrics["strict"]["micro"]["f1"] = value
    (model / "metrics.json").write_text(json.dumps(metrics))
    assert "evaluate or train again" in refused(capsys, model)


def test_a_card_with_an_empty_section_is_refused(model, capsys, monkeypatch, tmp_path):
    template = tmp_path / "card.md"
    template.write_text(
        "# {{ name }}\n\nWords.\n\n## Results\n\n### By label\n\n```\n# a comment\n```\n\n## Limits\n\n\n## Licence\n\n{{ run.license }}\n"
    )
    monkeypatch.setattr(model_card, "TEMPLATE", template)
    assert "its section 'Limits' is empty" in refused(capsys, model)
    template.write_text("# {{ name }}\n\nWords.\n\n## Limits\n")
    assert "its section 'Limits' is empty" in refused(capsys, model)
    template.write_text("# {{ name }}\n\nNone are hurt. None of them.\n- None.\n\nF1 of None on test.\n")
    assert "a figure is missing in 'F1 of None on test.'" in refused(capsys, model)


# Put together here, so that no file of the project looks like one.
@pytest.mark.parametrize(
    "secret",
    [
        ALICE,
        "hf_" + "oauth_" + "a1B2" * 5 + "." + "c3D4" * 5,
        "ghp_" + "a1B2" * 9,
        "AKIA" + "ABCD" * 4,
        "AIza" + "a1B2-" * 7,
        "xoxb" + "-12345" * 4,
        "sk-" + "a1B2" * 8,
        "sk-" + "ant-api03-" + "a1-B2_" * 9,
        "sk-" + "svcacct-" + "a1-B2_" * 9,
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----",
    ],
)
def test_what_looks_like_a_secret_is_refused_and_not_repeated(model, capsys, secret):
    with (model / "report.html").open("a") as file:
        file.write(f"<!-- {secret} -->")
    error = refused(capsys, model)
    assert "report.html: what begins at byte " in error
    assert secret not in error


@pytest.mark.parametrize("text", ["the task-" + "force-" * 9, "-risk-" + "assessment-" * 4, "desk-" + "a1B2" * 9])
def test_words_with_hyphens_are_no_secrets(text):
    assert not [what for what, pattern in SECRETS.items() if re.search(pattern, text.encode())]


def test_a_file_of_no_sensible_size_is_refused(model, capsys):
    (model / "report.html").write_text("")
    assert "report.html: has 0 bytes" in refused(capsys, model)
    with (model / "report.html").open("wb") as file:
        file.truncate(60_000_000)
    assert "report.html: has 60,000,000 bytes" in refused(capsys, model)


@pytest.mark.parametrize("path", ["data/re3d/train.json", "data/re3d", "elsewhere/re3d/train.txt"])
def test_a_licence_must_say_that_training_text_is_non_commercial(model, capsys, path):
    run = json.loads((model / "run.json").read_text())
    run["settings"]["train_data"].append(path)
    (model / "run.json").write_text(json.dumps(run))
    assert f"was trained on {path}, which forbids commercial use" in refused(capsys, model)
    assert "declares mit" in refused(capsys, model, "--license", "mit")
    assert publish.main([str(model), "alice/tiny", "--dry_run", "--license", "cc-by-nc-3.0"]) == 0
    assert "license: cc-by-nc-3.0" in capsys.readouterr().out


def test_a_licence_is_found_in_the_data_themselves(model, capsys, tmp_path):
    row = {"id": "1", "text_file": "1.txt", "sha256": "", "spans": [], "source": "example.org, CC BY-NC-SA 4.0"}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.json").write_text(json.dumps(row))
    run = json.loads((model / "run.json").read_text())
    run["settings"]["train_data"].append(str(tmp_path / "own"))
    (model / "run.json").write_text(json.dumps(run))
    assert "forbids commercial use" in refused(capsys, model)


def test_a_page_with_texts_of_others_stays_here(model, capsys):
    text = "Rockets hit Port Azur."
    (model / "1.txt").write_text(text)
    row = {"id": "1", "text_file": "1.txt", "sha256": hashlib.sha256(text.encode()).hexdigest(), "spans": []}
    (model / "spans.json").write_text(json.dumps(row))
    measured_on(model, model / "spans.json")
    run = json.loads((model / "run.json").read_text())
    edit(model / "run.json", settings=run["settings"] | {"text_folders": [str(model)]})
    assert publish.main([str(model), "alice/tiny", "--dry_run"]) == 0
    assert "report.html" not in capsys.readouterr().out


def measured_on(model, path):
    metrics = json.loads((model / "metrics.json").read_text())
    edit(model / "metrics.json", data=metrics["data"] | {"path": str(path)})


def test_without_the_test_texts_not_even_a_dry_run_passes(model, capsys, tmp_path):
    measured_on(model, tmp_path / "none.md")
    assert "none.md" in refused(capsys, model)


def test_a_config_that_the_run_did_not_have_stays_here(model, capsys, tmp_path):
    run, config = json.loads((model / "run.json").read_text()), tmp_path / "tiny.yaml"
    edit(model / "run.json", config=str(config))
    for more, said in (
        ("output_dir: elsewhere\nseed: 7\n", ""),
        ("weight_decay: 0.5\n", f"left out: {config} (the run had another weight_decay)\n"),
        ("no_such_key: 1\n", f"left out: {config} ({config}:"),
    ):
        lines = Path(run["config"]).read_text().replace("output_dir", "#")
        config.write_text(lines + more + ("" if "output_dir" in more else "output_dir: elsewhere\n"))
        assert publish.main([str(model), "alice/tiny", "--dry_run"]) == 0
        out = capsys.readouterr().out
        assert out.startswith(said)
        assert ("  tiny.yaml\n" in out) == (not said)


def test_ids_are_checked_before_anything_else(capsys):
    assert "write OWNER/NAME" in refused_id(capsys, "no owner/x")
    assert "write OWNER/NAME" in refused_id(capsys, "alice/x", "--dataset", "x")


def refused_id(capsys, repo_id, *options):
    assert publish.main([os.devnull, repo_id, *options]) == 2
    return capsys.readouterr().err
