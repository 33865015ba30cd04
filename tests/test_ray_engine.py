"""tag.py --engine ray, on a local cluster of two workers: the rows of the local engine, and none lost or doubled when workers die."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import psutil
import pyarrow as pa
import pytest
import ray
from pyarrow import parquet

import tag
from conflict_ner import ray_engine, ray_work
from conflict_ner.errors import InputError
from conflict_ner.export import export
from conflict_ner.inputs import Reading
from conflict_ner.job import Job
from tests.conftest import SAMPLE

TWO = ["--engine", "ray", "--workers", "2", "--cores_per_worker", "1"]


@pytest.fixture(scope="module")
def cluster():
    """Two workers' worth of cores on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    yield ray.init("local", num_cpus=2, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False)
    ray.shutdown()


@pytest.fixture(scope="module")
def model(wild_model, tmp_path_factory):
    """A model folder with its ONNX files, which load faster than torch."""
    folder = shutil.copytree(wild_model("bert"), tmp_path_factory.mktemp("exported") / "model")
    export(folder)
    return folder


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(ray_engine, "BLOCK_BYTES", 40_000)
    monkeypatch.setattr(ray_work, "PART_BYTES", 400_000)


def write_inputs(folder, number):
    """`number` rows as JSONL and a few more as Parquet, some of them bad; a file without rows, and one that cannot be read."""
    (folder / "faulty.jsonl").write_bytes(b'{"body": "no text"}')
    lines = []
    for row in range(number):
        text = 7 if row % 50 == 7 else None if row % 50 == 9 else f"{row} 🚀 {SAMPLE[row % 4]}" + "\ud83d" * (row % 20 == 3)
        lines.append("{half" if row % 100 == 11 else json.dumps({"id": f"j{row}", "text": text} if row % 3 else {"text": text}))
    (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines))
    texts = [None if row == 4 else f"{row}: {SAMPLE[row % 4]}\r\n" for row in range(20)]
    parquet.write_table(pa.table({"text": texts, "id": [f"p{row}" for row in range(20)]}), folder / "more.parquet")
    (folder / "empty.jsonl").touch()
    return ["rows.jsonl", "empty.jsonl", "more.parquet", "faulty.jsonl"]


def rows_of(output):
    if not output.is_dir():
        files = [output]
    else:
        files = sorted(output.iterdir())
        assert all(file.name.startswith("part-") for file in files)
    read = [parquet.read_table(f).to_pylist() if f.suffix == ".parquet" else map(json.loads, f.read_text().splitlines()) for f in files]
    return [row for rows in read for row in rows]


def assert_same_rows(found, expected):
    """Equal but for order, and for scores in their last digit: a text's neighbours in a batch change those."""
    by_id = {row["id"]: row for row in found}
    assert len(by_id) == len(found), "a row is doubled"
    assert by_id.keys() == {row["id"] for row in expected}
    for row in expected:
        pair = [row, by_id[row["id"]]]
        assert [span["score"] for span in pair[0]["spans"]] == pytest.approx([span["score"] for span in pair[1]["spans"]], abs=2e-4)
        bare = [{**one, "spans": [{**span, "score": 0} for span in one["spans"]]} for one in pair]
        assert bare[0] == bare[1]


def errors_of(output):
    lines = Path(f"{output}.errors.jsonl").read_text().splitlines()
    return sorted((row["id"], row["error"]) for row in map(json.loads, lines))


@pytest.mark.slow
def test_the_rows_and_the_bad_rows_are_those_of_the_local_engine(cluster, model, small_blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["--model", str(model), "--backend", "onnx-fp32", *write_inputs(tmp_path, 300), "--output"]
    assert tag.main([*command, "local.parquet"]) == 0
    assert tag.main([*command, "spread.parquet", *TWO]) == 0
    found = rows_of(tmp_path / "spread.parquet")
    assert_same_rows(found, rows_of(tmp_path / "local.parquet"))
    assert {"rows.jsonl:1", "j1", "p0"} <= {row["id"] for row in found}
    assert errors_of("spread.parquet") == errors_of("local.parquet")
    assert not Path("spread.parquet.unfinished").exists()
    assert ray.is_initialized(), "a cluster that the caller joined is the caller's"


def working():
    """Return the processes of the cluster that tag or write at this moment."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            name = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if name.startswith(("ray::MapWorker(MapBatches(TagBatch)).submit", "ray::Write")):
            found.append(process)
    return found


@pytest.mark.slow
def test_no_row_is_lost_or_doubled_when_workers_are_killed(cluster, model, small_blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["--model", str(model), "--backend", "onnx-fp32", *write_inputs(tmp_path, 3000), "--output"]
    killed, parts = [], []

    def kill():
        deadline = time.monotonic() + 300
        while not killed and time.monotonic() < deadline:
            time.sleep(0.01)
            if made := list((tmp_path / "spread.unfinished").glob("part-*")):
                for process in working():
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(process.pid)
                parts.append(len(made))

    killer = Thread(target=kill, daemon=True)
    killer.start()
    assert tag.main([*command, "spread", *TWO]) == 0
    killer.join(timeout=1)
    assert killed, "nobody was at work"
    assert parts[-1] < len(list((tmp_path / "spread").iterdir())), "everything was done already"
    assert tag.main([*command, "local"]) == 0
    assert_same_rows(rows_of(tmp_path / "spread"), rows_of(tmp_path / "local"))
    assert errors_of("spread") == errors_of("local")


@pytest.mark.slow
def test_faults_of_the_cluster_and_on_its_workers_are_one_sentence(cluster, model, tmp_path, capsys):
    (tmp_path / "a.txt").write_text(SAMPLE[0])
    command = ["--model", str(model), str(tmp_path / "a.txt"), "--output", str(tmp_path / "out"), "--engine", "ray"]
    assert tag.main([*command, "--workers", "2"]) == 2
    assert "there is room for 1 worker of 2 cores each" in capsys.readouterr().err
    assert tag.main([*command, "--backend", "onnx", "--device", "cuda"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: device 'cuda': ONNX models run on the CPU here")
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("joined", [True, False])
def test_a_command_joins_the_cluster_it_is_told_of_or_starts_one_that_ends_with_it(cluster, model, tmp_path, joined):
    (tmp_path / "a.txt").write_text(SAMPLE[0])
    command = [sys.executable, "tag.py", "--model", str(model), str(tmp_path / "a.txt"), "--output", str(tmp_path / "out"), *TWO]
    environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address if joined else "", "MARK": str(tmp_path)}
    ended = subprocess.run([*command, "--workers", "1"], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert f"{tmp_path / 'out'}: 1 row in 1 part\n" in ended.stderr
    assert ended.stderr.count("\n") <= 2, ended.stderr  # Ray itself says one thing
    assert [row["text"] for row in rows_of(tmp_path / "out")] == [SAMPLE[0]]
    assert ray.cluster_resources()["CPU"] == 2
    deadline = time.monotonic() + 60
    while (left := marked(str(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def marked(mark):
    """Return what still runs of the processes that were started with MARK in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_commands_that_cannot_be_meant_are_refused(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    out = ["--output", str(tmp_path / "out")]
    for arguments, sentence in [
        ([], "name it with --output"),
        (["-", *out], "cannot read standard input"),
        ([*out, "--resume"], "leave --resume away"),
        ([*out, "--format", "brat"], "writes jsonl, csv, parquet"),
        ([*out, "--format", "html"], "writes jsonl, csv, parquet"),
        ([*out, "--workers", "0"], "--workers 0"),
        ([*out, "--cores_per_worker", "-1"], "--cores_per_worker -1"),
        (["--output", str(tmp_path / "full")], "name an empty or new folder"),
        (["--output", str(tmp_path / "a.txt")], "name an empty or new folder"),
        (out, "no-such-model: there is no such folder"),
    ]:
        assert tag.main(["--model", "no-such-model", "--engine", "ray", str(tmp_path / "a.txt"), *arguments]) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "full"]


def test_without_ray_there_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "conflict_ner.ray_engine")
    assert tag.main(["--model", "m", "--engine", "ray", str(tmp_path / "a.txt"), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == ("error: --engine ray: ray is not installed; pip install -e '.[ray]', or leave --engine away\n")


def test_a_part_that_is_written_twice_is_there_once(tmp_path, capsys):
    folder = tmp_path / "out.unfinished"
    folder.mkdir()
    parts = ray_work.Parts(folder, Job([], Reading(), tmp_path / "out", "jsonl", "m"))
    block = pa.table({"line": ['{"id": "a"}', '{"id": "b", "error": "bad"}'], "good": [True, False], "lost": ["", "bad"]})
    written = [parts.write([block], SimpleNamespace(task_idx=3)) for _ in range(2)]
    (folder / ".of-a-killed-worker").write_text('{"id": ')
    assert ray_engine._finish(tmp_path / "out", written[1:]) == 0
    out = tmp_path / "out"
    said = f"left out: bad\n{out}: 1 row in 1 part; 1 file was left out or cut short, {out}.errors.jsonl says why\n"
    assert capsys.readouterr().err == said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["part-000003.jsonl"]
    assert rows_of(tmp_path / "out") == [{"id": "a"}]
    assert errors_of(tmp_path / "out") == [("b", "bad")]


def test_when_nothing_can_be_tagged_that_is_the_error_and_an_empty_input_is_an_empty_folder(tmp_path):
    unfinished = tmp_path / "out.unfinished"
    unfinished.mkdir()
    (unfinished / "errors-000000.jsonl").write_text('{"id": "b", "error": "bad"}\n')
    with pytest.raises(InputError, match="nothing could be tagged, 1 row was left out; .*.errors.jsonl says why"):
        ray_engine._finish(tmp_path / "out", [ray_work.Written(0, 0, 1)])
    assert [path.name for path in tmp_path.iterdir()] == ["out.errors.jsonl"]
    unfinished.mkdir()
    assert ray_engine._finish(tmp_path / "out", []) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_worker_takes_no_more_cores_than_it_is_given(model, tmp_path, monkeypatch):
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    job = Job([], Reading(), tmp_path, "jsonl", str(model), backend="onnx-fp32")
    assert ray_work.TagBatch(Path.cwd(), job, 3, None).tagger.backend.workers == 3
