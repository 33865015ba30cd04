"""tag.py's runs: killed, interrupted, out of disk, resumed; rows are the same as undisturbed ones, and none is lost or doubled."""

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from itertools import count, islice
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForTokenClassification, AutoTokenizer

import tag
from conflict_ner import tagging
from conflict_ner.documents import Span
from conflict_ner.errors import InputError, exit_2_on_bad_input
from conflict_ner.job import planned
from conflict_ner.journal import Journal
from conflict_ner.labels import LabelSet
from conflict_ner.tables import BadRow, Row
from conflict_ner.tagger import BACKENDS

LABELS = LabelSet(("ACTOR", "WEAPON"))


def capitals(batches):
    """An engine without a model: every capitalised word is an ACTOR."""
    return tagging.tag_batches(
        lambda texts: ([Span(*m.span(), "ACTOR", 0.75) for m in re.finditer(r"[A-Z]\w*", t)] for t in texts), batches
    )


@exit_2_on_bad_input
def run(*arguments, engine=capitals, stop=None):
    job = planned(tag.parse(["--model", "m", *map(str, arguments)]))
    return tagging.run(job, engine, LABELS.names, stop or Event())


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(tagging, "ROWS_PER_BATCH", 3)


@pytest.fixture
def rows(tmp_path):
    """Ten rows, two of them bad."""
    path = tmp_path / "rows.jsonl"
    texts = ["The Army 🚀\r\nleft", None, "b", "Rockets", "d", "", "Port Azur", 7, "h", "Su"]
    path.write_text("".join(json.dumps({"id": str(number), "text": text}) + "\n" for number, text in enumerate(texts)))
    return path


def jsonl(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def refused(capsys, *arguments, **rest):
    assert run(*arguments, **rest) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


class Killed(BaseException):
    """Stands for the end of the process: nothing in the project catches it."""


def dying(after):
    def engine(batches):
        yield from islice(capitals(batches), after)
        raise Killed

    return engine


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_rows_carry_spans_model_and_revision_and_bad_rows_go_to_a_file(rows, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert run(rows, "--output", out, "--revision", "0a1b") == 0
    found = jsonl(out)
    assert [row["id"] for row in found] == list("02345689")
    spans = [
        {"start": 0, "end": 3, "label": "ACTOR", "text": "The", "score": 0.75},
        {"start": 4, "end": 8, "label": "ACTOR", "text": "Army", "score": 0.75},
    ]
    assert found[0] == {"id": "0", "text": "The Army 🚀\r\nleft", "spans": spans, "model": "m", "revision": "0a1b"}
    assert [(bad["row"], bad["id"]) for bad in jsonl(tmp_path / "out.jsonl.errors.jsonl")] == [(2, "1"), (8, "7")]
    assert capsys.readouterr().err == f"{out}: 8 rows; 2 rows were left out, {out}.errors.jsonl says why\n"
    assert files(tmp_path) == ["out.jsonl", "out.jsonl.errors.jsonl", "rows.jsonl"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "markdown", "html", "parquet"])
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_killed_run_goes_on_without_a_lost_or_doubled_row(rows, tmp_path, form, after):
    options = ["--format", form, rows, "--output"]
    assert run(*options, tmp_path / "whole") == 0
    out = tmp_path / "out"
    with pytest.raises(Killed):
        run(*options, out, engine=dying(after))
    assert not out.exists()
    for name in ("out.part", "out.errors.jsonl"):  # what a kill in the middle of a batch leaves behind
        with (tmp_path / name).open("a") as stream:
            stream.write('{"half a li')
    assert run(*options, out, "--resume") == 0
    assert out.read_bytes() == (tmp_path / "whole").read_bytes()
    assert (tmp_path / "out.errors.jsonl").read_text() == (tmp_path / "whole.errors.jsonl").read_text()
    assert files(tmp_path) == ["out", "out.errors.jsonl", "rows.jsonl", "whole", "whole.errors.jsonl"]


def test_a_brat_folder_is_made_whole_and_no_folder_of_the_users_is_touched(rows, tmp_path, capsys):
    with pytest.raises(Killed):
        run(rows, "--format", "brat", "--output", tmp_path / "out", engine=dying(2))
    (tmp_path / "out").mkdir()
    assert run(rows, "--format", "brat", "--output", tmp_path / "out", "--resume") == 0
    assert len(list((tmp_path / "out").glob("*.ann"))) == 8
    assert run(rows, "--format", "brat", "--output", tmp_path / "out", "--resume") == 0, "complete: nothing to do"
    (tmp_path / "new").mkdir()
    assert run(rows, "--format", "brat", "--output", tmp_path / "new", "--resume") == 0, "empty: everything to do"
    assert len(list((tmp_path / "new").glob("*.ann"))) == 8
    capsys.readouterr()
    assert "name an empty or new folder" in refused(capsys, rows, "--format", "brat", "--output", tmp_path / "out")
    assert "name a file" in refused(capsys, rows, "--output", tmp_path)
    assert "name a file" in refused(capsys, rows, "--output", "")


def test_what_is_finished_is_kept_until_its_successor_is(rows, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    out.write_text("earlier\n")
    with pytest.raises(Killed):
        run(rows, "--output", out, engine=dying(2))
    assert out.read_text() == "earlier\n"
    assert "add --resume" in refused(capsys, rows, "--output", out)
    assert run(rows, "--output", out, "--resume") == 0
    assert len(jsonl(out)) == 8
    assert run(rows, "--output", out, "--resume") == 0
    done = f"{out}: was finished by an earlier run, nothing was read now; for new input or other options name another --output\n"
    assert capsys.readouterr().err.endswith(done)
    assert run(rows, "--output", out) == 0, "a finished output may be made anew"


def test_a_kill_while_the_output_is_made_or_after_it_is_mended(rows, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.csv"

    def fails(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("conflict_ner.journal.write_file", fails)
        with pytest.raises(Killed):
            run(rows, "--output", out)
    assert run(rows, "--output", out, "--resume") == 0
    done = out.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("conflict_ner.journal.Journal.discard", fails)
        with pytest.raises(Killed):
            run(rows, "--output", out)
    assert run(rows, "--output", out, "--resume") == 0
    with monkeypatch.context() as patched:
        patched.setattr("conflict_ner.journal.Journal.discard", fails)
        with pytest.raises(Killed):
            run(rows, "--output", tmp_path / "out.jsonl")
    assert run(rows, "--output", tmp_path / "out.jsonl", "--resume") == 0
    assert len(jsonl(tmp_path / "out.jsonl")) == 8
    assert out.read_bytes() == done
    assert files(tmp_path) == ["out.csv", "out.csv.errors.jsonl", "out.jsonl", "out.jsonl.errors.jsonl", "rows.jsonl"]


def test_a_resumed_run_must_be_the_same_run(rows, tmp_path, capsys):
    out = ["--output", tmp_path / "out.jsonl", "--resume"]
    with pytest.raises(Killed):
        run(rows, *out, engine=dying(2))
    before = (tmp_path / "out.jsonl.part").read_bytes()
    assert "had --min_score 0.0, this one has 0.5" in refused(capsys, rows, *out, "--min_score", "0.5")
    error = refused(capsys, rows, *out, "--revision", "x")
    assert "the model's weights have changed (None, now x)" in error
    assert f"or delete {tmp_path}/out.jsonl.journal to start anew" in error
    assert "had --format 'jsonl', this one has 'csv'" in refused(capsys, rows, *out, "--format", "csv")
    lines = rows.read_text()
    for changed in (lines.replace("Army", "army"), "\n".join(lines.split("\n")[:4])):
        rows.write_text(changed)
        assert "not those of the interrupted run" in refused(capsys, rows, *out)
    assert (tmp_path / "out.jsonl.part").read_bytes() == before
    rows.write_text(lines + '{"id": "10", "text": "More"}\n')
    assert run(rows, *out) == 0, "rows that were not reached yet may have changed"
    assert [row["id"] for row in jsonl(tmp_path / "out.jsonl")] == [*"02345689", "10"]


@pytest.mark.parametrize(("before", "choice"), [("onnx-int8", "onnx"), ("onnx-fp32", "onnx-fp32"), ("torch", "torch")])
def test_another_backend_is_named_as_it_can_be_chosen(tmp_path, before, choice):
    with Journal(tmp_path / "out", {"--backend": before}):
        pass
    with pytest.raises(
        InputError, match=f"was tagged by {before}, now other would be used; name --backend {choice} to resume it, or delete"
    ):
        Journal(tmp_path / "out", {"--backend": "other"}).load()
    assert choice in BACKENDS


def test_two_runs_do_not_write_one_output(tmp_path):
    row = Row("1", "x")
    tagged = {"id": "1", "text": "x", "spans": [], "model": "m", "revision": None}
    with Journal(tmp_path / "out", {}) as first:
        first.add([row], [tagged])
        second = Journal(tmp_path / "out", {})
        second.load()
        with pytest.raises(InputError, match="another run is writing it"):
            second.__enter__()
        first.add([row], [tagged])
        first.finish("jsonl", LABELS.names, keep_text=True)
    assert jsonl(tmp_path / "out") == [tagged, tagged]
    with Journal(tmp_path / "out", {}):
        pass  # whoever comes when the first is done may write


def test_two_processes_do_not_write_one_output(rows, tmp_path, capsys):
    def meanwhile(batches):
        for number, result in enumerate(capitals(batches)):
            if number == 1:
                other = subprocess.run([*DRIVER, rows, "--output", out, "--resume"], capture_output=True, text=True)
                assert (other.returncode, other.stderr.count("\n")) == (2, 1)
                assert f"{out}: another run is writing it" in other.stderr
            yield result

    out = tmp_path / "out.jsonl"
    assert run(rows, "--output", out, engine=meanwhile) == 0
    assert [row["id"] for row in jsonl(out)] == list("02345689")


@pytest.mark.parametrize("form", ["jsonl", "brat"])
@pytest.mark.parametrize("pattern", ["", "*"])
def test_a_run_with_its_output_among_the_inputs_can_be_resumed(tmp_path, form, pattern, capsys):
    inputs = tmp_path / "in"
    inputs.mkdir()
    for number in range(8):
        (inputs / f"{number}.txt").write_bytes(b"\0" if number == 1 else b"The Army")
    command = [inputs / pattern, "--format", form, "--output", inputs / "a.jsonl"]
    with pytest.raises(Killed):
        run(*command, engine=dying(2))
    (inputs / "a.jsonl.journal.new").write_text("{")
    assert run(*command, "--resume") == 0
    assert "7 rows; 1 file was left out or cut short, " in capsys.readouterr().err
    assert run(*command, "--resume") == 0
    assert "nothing was read now" in capsys.readouterr().err
    if form == "brat":
        assert "name an empty or new folder" in refused(capsys, *command)
    else:
        assert run(*command) == 0, "an earlier output is made anew"
        assert "left out 1 earlier output" in capsys.readouterr().err
        (inputs / "a.jsonl").write_text('{"text": "x"}\n')
        assert "is an input" in refused(capsys, *command), "without --resume it is somebody's text"
    assert "is an input" in refused(capsys, inputs / "a.jsonl.errors.jsonl", "--output", inputs / "a.jsonl", "--resume")


def test_damaged_working_files_are_named(rows, tmp_path, capsys):
    out = ["--output", tmp_path / "out.jsonl", "--resume"]
    with pytest.raises(Killed):
        run(rows, *out, engine=dying(2))
    (tmp_path / "out.jsonl.part").write_text("")
    assert "out.jsonl.part: is shorter than" in refused(capsys, rows, *out)
    (tmp_path / "out.jsonl.journal").write_text("{}")
    assert "cannot be read as a journal" in refused(capsys, rows, *out)


def test_an_interrupt_ends_the_run_behind_the_batch_at_hand(rows, tmp_path, capsys):
    stop = Event()

    def interrupted(batches):
        for number, result in enumerate(capitals(batches)):
            if number == 1:
                stop.set()
            yield result

    out = ["--output", tmp_path / "out.jsonl"]
    assert run(rows, *out, engine=interrupted, stop=stop) == 130
    assert f"{tmp_path}/out.jsonl.part keeps 6 rows; the same command with --resume goes on" in capsys.readouterr().err
    assert run(rows, *out, "--resume") == 0
    assert [row["id"] for row in jsonl(tmp_path / "out.jsonl")] == list("02345689")


def test_when_nothing_can_be_tagged_that_is_the_error(tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes(b"\0")
    (tmp_path / "b.txt").write_bytes(b"\xff")
    out = ["--output", tmp_path / "made/out.jsonl"]
    assert "a.txt:1: holds a NUL byte" in refused(capsys, tmp_path / "a.txt")
    assert "a.txt:1: holds a NUL byte" in refused(capsys, tmp_path / "a.txt", *out)
    assert run(tmp_path / "a.txt", tmp_path / "b.txt", *out) == 2
    assert "error: nothing could be tagged, see " in capsys.readouterr().err
    assert run(tmp_path / "?.txt") == 2
    assert "nothing could be tagged, 2 files were left out or cut short; mend" in (error := capsys.readouterr().err)
    assert error.count("\n") == 3
    assert files(tmp_path / "made") == ["out.jsonl.errors.jsonl"]


def test_a_bad_file_among_others_is_told_and_the_others_are_tagged(tmp_path, capsys):
    for name, content in (("a.txt", b"Army"), ("b.txt", b"\0"), ("c.txt", b"Navy")):
        (tmp_path / name).write_bytes(content)
    assert run(tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.txt", "--no_text") == 0
    shown = capsys.readouterr()
    assert [[span["text"] for span in json.loads(line)["spans"]] for line in shown.out.splitlines()] == [["Army"], ["Navy"]]
    assert "text" not in json.loads(shown.out.splitlines()[0])
    said = f"left out: {tmp_path}/b.txt:1: holds a NUL byte, so it is no text; name plain-text files\n"
    assert shown.err == said + "2 rows; 1 file was left out or cut short\n"


def test_a_lost_file_is_told_at_once_and_counted_apart(rows, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    (tmp_path / "wrong.csv").write_text("body\nx\n")
    (tmp_path / "more.csv").write_text("text\nx,y\nArmy\n")
    command = [rows, tmp_path / "wrong.csv", tmp_path / "more.csv", "--output", out]
    closing = f"{out}: 9 rows; 1 file was left out or cut short, 3 rows were left out, {out}.errors.jsonl says why\n"
    assert run(*command) == 0
    first, last = capsys.readouterr().err.splitlines(keepends=True)
    assert first.startswith(f"left out: {tmp_path}/wrong.csv: has no column 'text'")
    assert last == closing
    with pytest.raises(Killed):
        run(*command, engine=dying(4))
    assert first in capsys.readouterr().err
    assert run(*command, "--resume") == 0
    assert capsys.readouterr().err == closing, "it was told, and is still counted"
    assert run(rows, tmp_path / "more.csv", "--no_text") == 0
    assert capsys.readouterr().err.endswith("\n9 rows; 3 rows were left out\n")
    assert run(tmp_path / "more.csv", "--output", out) == 0
    assert capsys.readouterr().err == f"{out}: 1 row; 1 row was left out, {out}.errors.jsonl says why\n"


def test_commands_that_cannot_be_meant_are_refused_before_anything_is_written(rows, tmp_path, capsys):
    assert "--min_score 7" in refused(capsys, rows, "--min_score", "7")
    assert "--resume: standard output" in refused(capsys, rows, "--resume")
    assert "is an input" in refused(capsys, rows, "--output", rows)
    assert "is an input" in refused(capsys, tmp_path, "--output", f"{tmp_path}/../{tmp_path.name}/rows.jsonl")
    assert "no such format" in refused(capsys, rows, "--format", "xml")
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(capsys, rows, "--output", tmp_path / "file" / "out.jsonl")
    assert files(tmp_path) == ["file", "rows.jsonl"]
    for option in (("--workers", "2"), ("--address", "auto"), ("--cores_per_worker", "1")):
        assert tag.main(["--model", "m", str(rows), *option]) == 2
        assert capsys.readouterr().err == f"error: {option[0]}: is for --engine ray; add that, or leave it away\n"


def test_an_output_is_a_file_and_links_to_one_stay(rows, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/null", "-"):
        error = refused(capsys, rows, "--output", name)
        assert f"--output {name}: is no file; name one, or leave --output away to write to standard output" in error
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link.csv").symlink_to(tmp_path / "real")
    for _ in range(2):  # at first it points to nothing
        assert run(rows, "--output", tmp_path / "link.csv") == 0
        assert (tmp_path / "link.csv").is_symlink()
        assert (tmp_path / "real").read_text().startswith("id,start")
    capsys.readouterr()
    (tmp_path / "in.jsonl").symlink_to(rows)
    assert "is an input" in refused(capsys, tmp_path / "in.jsonl", "--output", rows)
    assert "is an input" in refused(capsys, rows, "--output", tmp_path / "in.jsonl")


@pytest.mark.parametrize("length", [250, 300])
def test_names_that_are_too_long_are_one_sentence(rows, tmp_path, capsys, length):
    assert "cannot be read (File name too long); name another --output" in refused(capsys, rows, "--output", tmp_path / ("x" * length))


def test_an_interrupt_while_inputs_are_listed_is_one_sentence(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tag, "planned", interrupted)
    assert tag.main(["--model", "m", str(tmp_path)]) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_a_model_is_the_same_with_a_slash_behind_it():
    assert [tag.parse(["--model", name]).model for name in ("build/m/", "build/m", "/")] == ["build/m", "build/m", "/"]


def test_what_is_left_out_of_a_folder_is_told(tmp_path, capsys):
    for name in ("a.txt", "b.HTML", "c.html", "d.md", "e", "f", "g", ".hidden"):
        (tmp_path / name).write_text("Army")
    assert run(tmp_path, "--no_text") == 0
    assert capsys.readouterr().err == f"{tmp_path}: left out 3 unsuffixed files, 2 .html, 1 .md\n"


DRIVER = [sys.executable, "-c", "import sys; from tests.test_tagging import run; sys.exit(run(*sys.argv[1:]))"]


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(tmp_path):
    lines = tmp_path / "lines.txt"
    lines.write_text("The Army left Port Azur.\n" * 2000)
    command = [*DRIVER, "--lines", lines, "--output", tmp_path / "out.jsonl", "--resume"]
    full = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    )
    assert full.returncode == 2
    assert re.fullmatch(r"error: .*out.jsonl.part: cannot be written \(File too large\); make room .* --resume\n", full.stderr)
    assert (tmp_path / "out.jsonl.journal").exists()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert [row["id"] for row in jsonl(tmp_path / "out.jsonl")] == [f"{lines}:{number}" for number in range(1, 2001)]
    with Path("/dev/full").open("w") as stream:
        printed = subprocess.run([*DRIVER, lines], stdout=stream, stderr=subprocess.PIPE, text=True)
    assert (printed.returncode, printed.stderr.count("\n")) == (2, 1)
    assert "standard output: cannot be written (No space left" in printed.stderr


def test_a_terminal_shows_documents_per_second_and_remaining_time(tmp_path):
    (tmp_path / "lines.txt").write_text("The Army left.\n" * 500)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*DRIVER, "--lines", tmp_path / "lines.txt", "--output", tmp_path / "out.jsonl"],
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += (piece := os.read(ours, 4096))
        except OSError:  # the other end is closed
            break
        if not piece:
            break
    os.close(ours)
    assert process.wait() == 0
    assert re.search(rb"100%.*500 documents, [\d.]+/s.*0:00:0", shown)


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny_encoder):
    """A tiny model of random weights: it finds something in most texts."""
    folder = tmp_path_factory.mktemp("tiny")
    names = {"id2label": LABELS.id2label, "label2id": LABELS.label2id}
    AutoModelForTokenClassification.from_pretrained(tiny_encoder("bert"), **names).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_encoder("bert")).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_real_process_is_stopped_and_resumed(model, tmp_path, monkeypatch, sent, code):
    monkeypatch.undo()  # batches of their real size, as in the process
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f'Text {number}: two tanks 🚀 near Port Azur, \tsaid "they".\r\n' for number in range(6000)))
    options = ["--model", str(model), "--lines", str(lines), "--device", "cpu", "--output"]
    out, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    process = subprocess.Popen([sys.executable, "tag.py", *options, str(out)], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (journal.exists() and json.loads(journal.read_text())["done"]["rows"]):
        time.sleep(0.01)
    process.send_signal(sent)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "Traceback" not in error
    done = json.loads(journal.read_text())["done"]["rows"]
    assert 0 < done < 6000
    assert not out.exists()
    assert sent == signal.SIGKILL or f"out.jsonl.part keeps {done} rows" in error
    assert tag.main([*options, str(out), "--resume"]) == 0
    assert tag.main([*options, str(tmp_path / "whole.jsonl")]) == 0
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    found = jsonl(out)
    assert [row["id"] for row in found] == [f"{lines}:{number}" for number in range(1, 6001)]
    assert any(row["spans"] for row in found)
    assert re.fullmatch(r"[0-9a-f]{12}", found[0]["revision"])
    assert found[0]["model"] == str(model)


@given(st.lists(st.lists(st.booleans(), max_size=4), max_size=8))
def test_the_local_engine_gives_every_batch_back_in_order_with_the_spans_of_its_good_rows(goodness):
    numbers = count()
    batches = [[Row(n := str(next(numbers)), n) if good else BadRow(str(next(numbers)), "bad") for good in batch] for batch in goodness]
    tagged = list(tagging.tag_batches(lambda texts: ([Span(0, 1, text)] for text in texts), batches))
    assert [batch for batch, _ in tagged] == batches
    assert [[span.label for (span,) in spans] for _, spans in tagged] == [
        [row.text for row in batch if isinstance(row, Row)] for batch in batches
    ]
