"""One commit, whatever happens on the way: folders published by the unchanged client, in a process of its own, to a Hub on this machine."""

import json
import os
import subprocess
import sys

import pytest

from conflict_ner.errors import InputError
from conflict_ner.hub import Repository, check_repository
from tests.conftest import ALICE, BOB

# Publishes what each line of its input asks for: the client reads HF_ENDPOINT once, so it cannot live in the process of the tests.
CLIENT = """
import json, os, sys
from pathlib import Path
from conflict_ner.errors import InputError
from conflict_ner.hub import Repository, check_token, make_ready, publish_folder, stale_files, tag_version
for line in sys.stdin:
    asked = json.loads(line)
    os.environ["HF_TOKEN"] = asked.pop("token")
    folder, owned, tag = Path(asked.pop("folder")), asked.pop("owned"), asked.pop("tag")
    try:
        check_token()
        repository = Repository(**asked)
        make_ready(folder, repository)
        commit = publish_folder(folder, repository, "a message", stale_files(folder, repository, owned))
        answer = {"oid": commit.oid, "pr": commit.pr_url, "tagged": tag and tag_version(repository, commit.oid, tag)}
    except InputError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""
CARD = "---\nlicense: cc-by-4.0\n---\n\n# A card\n"


@pytest.fixture(scope="module")
def publish(hub_environment):
    """A function that publishes a folder as Alice, or by the `token` given, and returns what came of it."""
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=hub_environment,
    )

    def ask(folder, repo_id, token=ALICE, owned=(), tag=None, **options):
        client.stdin.write(json.dumps({"folder": str(folder), "id": repo_id, "token": token, "owned": owned, "tag": tag, **options}) + "\n")
        client.stdin.flush()
        return json.loads(client.stdout.readline())

    yield ask
    _, errors = client.communicate()
    assert errors == ""


@pytest.fixture
def folder(tmp_path):
    """A card, a small file in a folder, and two large files."""
    folder = tmp_path / "folder"
    (folder / "onnx").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    (folder / "onnx" / "export.json").write_text("{}")
    (folder / "onnx" / "model.onnx").write_bytes(os.urandom(100_000))  # of each test its own: the Hub knows what it has seen
    (folder / "model.safetensors").write_bytes(os.urandom(200_000))
    return folder


FILES = {".gitattributes", "README.md", "model.safetensors", "onnx/export.json", "onnx/model.onnx"}
LARGE_BYTES = 300_000


def test_a_folder_becomes_one_commit_and_nothing_is_sent_twice(hub, publish, folder):
    hub.uploaded()
    first = publish(folder, "alice/once", tag="v1")
    repo = hub.repos["model", "alice/once"]
    assert set(repo.files()) == FILES
    assert len(repo.commits) == 2, "the empty one, and ours"
    assert not repo.private
    assert LARGE_BYTES < hub.uploaded() < LARGE_BYTES + 2_000
    again = publish(folder, "alice/once", tag="v1")
    assert again == first
    assert first["tagged"]
    assert hub.uploaded() == 0
    assert len(repo.commits) == 2
    (folder / "README.md").write_text(CARD + "more\n")
    assert publish(folder, "alice/once")["oid"] == repo.resolve("main") != first["oid"]
    assert 0 < hub.uploaded() < 1_000
    assert hub.tokens_seen_by_storage == []


def test_what_contradicts_the_new_files_goes_and_all_else_stays(hub, publish, folder):
    publish(folder, "alice/kept")
    (folder / "LICENSE").write_text("by hand")
    (folder / "onnx" / "old.onnx").write_bytes(b"old")
    (folder / "onnx" / "own").mkdir()
    for own in ("onnx/own/model.onnx", "onnx/own/model-1.safetensors"):
        (folder / own).write_bytes(b"of others")
    publish(folder, "alice/kept")
    for gone in ("LICENSE", "onnx/old.onnx", "onnx/own/model.onnx", "onnx/own/model-1.safetensors"):
        (folder / gone).unlink()
    publish(folder, "alice/kept", owned=["onnx/*", "model*.safetensors", "*.safetensors"])
    kept = {"LICENSE", "onnx/own/model.onnx", "onnx/own/model-1.safetensors"}
    assert set(hub.repos["model", "alice/kept"].files()) == FILES | kept, "no pattern reaches into a folder"


def test_a_published_tag_is_not_moved(hub, publish, folder):
    first = publish(folder, "alice/tagged", tag="v1")
    (folder / "README.md").write_text(CARD + "more\n")
    assert publish(folder, "alice/tagged", tag="v1")["tagged"] is False
    assert hub.repos["model", "alice/tagged"].resolve("v1") == first["oid"]


def test_private_stays_private(hub, publish, folder):
    publish(folder, "alice/mine", private=True)
    assert hub.repos["model", "alice/mine"].private
    publish(folder, "alice/open")
    (folder / "README.md").write_text(CARD + "for my eyes only\n")
    assert "exists and is public" in publish(folder, "alice/open", private=True)["error"]
    assert hub.repos["model", "alice/open"].files()["README.md"] == CARD.encode()


def test_a_pull_request_leaves_main_alone(hub, publish, folder):
    publish(folder, "alice/asked")
    before = hub.repos["model", "alice/asked"].resolve("main")
    (folder / "README.md").write_text(CARD + "proposed\n")
    asked = publish(folder, "alice/asked", create_pr=True)
    repo = hub.repos["model", "alice/asked"]
    assert asked["pr"].endswith("/alice/asked/discussions/1")
    assert repo.resolve("refs/pr/1") == asked["oid"]
    assert repo.files("refs/pr/1")["README.md"] == (CARD + "proposed\n").encode()
    assert repo.resolve("main") == before


def test_a_branch_is_made_when_it_is_not_there(hub, publish, folder):
    for text in ("one", "two"):
        (folder / "README.md").write_text(CARD + text)
        publish(folder, "alice/branched", revision="next")
    repo = hub.repos["model", "alice/branched"]
    assert set(repo.files("next")) == FILES
    assert set(repo.files("main")) == {".gitattributes"}


def test_datasets_and_spaces_have_their_own_names(hub, publish, folder):
    publish(folder, "alice/data", kind="dataset")
    (folder / "README.md").write_text("---\nlicense: mit\nsdk: static\n---\n# A page\n")
    publish(folder, "alice/page", kind="space")
    assert set(hub.repos["dataset", "alice/data"].files()) == set(hub.repos["space", "alice/page"].files()) == FILES


def test_a_dropped_connection_is_tried_again_and_nothing_is_half_there(hub, publish, folder):
    hub.cut_uploads = 1
    publish(folder, "alice/dropped")
    repo = hub.repos["model", "alice/dropped"]
    assert hub.cut_uploads == 0
    assert set(repo.files()) == FILES
    assert len(repo.commits) == 2


def test_an_interrupted_upload_shows_nothing_and_is_repeatable(hub, publish, folder):
    hub.refuse_uploads = True
    error = publish(folder, "alice/broken", tag="v1")["error"]
    hub.refuse_uploads = False
    assert "the Hub answered with error 400 and said 'the signature has expired" in error
    assert "publish again" in error
    repo = hub.repos["model", "alice/broken"]
    assert set(repo.files()) == {".gitattributes"}
    assert publish(folder, "alice/broken", tag="v1")["tagged"]
    assert set(repo.files()) == FILES


def test_what_the_hub_refuses_is_one_sentence_and_changes_nothing(hub, publish, folder):
    publish(folder, "bob/taken", token=BOB)
    before = dict(hub.repos)
    (folder / "README.md").write_text(CARD + "by Alice\n")
    errors = [
        publish(folder, "bob/taken")["error"],
        publish(folder, "bob/new")["error"],
        publish(folder, "alice/x", token="hf_" + "wrong" * 7)["error"],
        publish(folder, "alice/x", token="")["error"],
    ]
    for error, words in zip(errors, ("someone else's", "someone else's", "does not know the token", "log in with"), strict=True):
        assert words in error
        assert "\n" not in error
        assert "hf_" not in error
    assert hub.repos == before
    assert hub.repos["model", "bob/taken"].files()["README.md"] == CARD.encode()
    (folder / "README.md").write_text("no header\n")
    assert '"license" must be a string' in publish(folder, "alice/headless")["error"]


def test_no_network_is_one_sentence(hub_environment, folder):
    asked = json.dumps({"folder": str(folder), "id": "alice/far", "token": ALICE, "owned": [], "tag": None})
    closed = hub_environment | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", CLIENT], input=asked, capture_output=True, text=True, env=closed)
    assert "http://127.0.0.1:9 cannot be reached (ConnectError)" in json.loads(done.stdout)["error"]
    assert done.stderr == ""


@pytest.mark.parametrize("repo_id", ["name", "a/b/c", "alice/na me", "alice/-x", "", "alice/", "../x", "alice/x.git"])
def test_an_id_that_the_hub_would_not_take_is_refused_before_anything_is_sent(repo_id):
    with pytest.raises(InputError, match="is no repository id"):
        check_repository(Repository(repo_id))


def test_a_pull_request_into_a_branch_is_refused():
    with pytest.raises(InputError, match="leave one of them away"):
        check_repository(Repository("alice/x", create_pr=True, revision="next"))
