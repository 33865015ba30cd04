"""What users bring to be tagged: every format, in order, constant memory; what cannot be read is one sentence and the rest is read."""

import csv
import gzip
import io
import json
import os
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from conflict_ner.errors import InputError
from conflict_ner.inputs import Reading, expand, read_rows, total_bytes
from conflict_ner.job import Job
from conflict_ner.model_folder import open_model
from conflict_ner.tables import BadRow, Columns, Row

TEXTS = st.lists(
    st.sampled_from(["Rockets", "🚀", "é́", "\r\n", "\n", "\r", '"', ",", ";", "\t", "\u2028", "\x85", " ", "\\", "مدينة"])
).map("".join)
ROWS = st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), TEXTS), max_size=5)


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps({"id": key, "text": text}, ensure_ascii=False) + "\n" for key, text in rows), "utf-8")


def write_gzip(path, rows):
    path.write_bytes(gzip.compress("".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in rows).encode()))


def write_csv(path, rows):
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([("id", "other", "text"), *((key, "x,y", text) for key, text in rows)])


def write_tsv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter="\t").writerows([("id", "other", "text"), *((key, "x,y", text) for key, text in rows)])


def write_parquet(path, rows):
    table = pa.table({"id": [key for key, _ in rows], "text": pa.array([text for _, text in rows], pa.large_string())})
    parquet.write_table(table, path, row_group_size=2)


WRITERS = {"a.jsonl": write_jsonl, "a.JSONL.gz": write_gzip, "a.csv": write_csv, "a.TSV": write_tsv, "a.parquet": write_parquet}


@pytest.mark.parametrize("name", WRITERS)
@given(rows=ROWS)
def test_tables_give_every_row_as_it_was(tmp_path_factory, name, rows):
    path = tmp_path_factory.getbasetemp() / name
    WRITERS[name](path, rows)
    found = read(path)
    assert [(row.id, row.text) for row in found] == rows
    assert all(0 <= left.read <= right.read <= path.stat().st_size for left, right in pairwise(found))


def read(*paths, **options):
    return list(read_rows([str(path) for path in paths], Reading(**options)))


def test_text_columns_may_have_any_name_and_rows_without_id_are_named_by_place(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x", "key": 7}\n\n{"body": "y"}\n{"body": "z", "key": ""}\n')
    rows = read(tmp_path / "a.jsonl", columns=Columns("body", "key"))
    assert [(row.id, row.text) for row in rows] == [("7", "x"), (f"{tmp_path}/a.jsonl:3", "y"), (f"{tmp_path}/a.jsonl:4", "z")]


def test_an_absent_default_id_column_is_no_fault(tmp_path):
    (tmp_path / "a.csv").write_text('text\none\n\n"two\nlines"\n')
    assert [(row.id, row.text) for row in read(tmp_path / "a.csv")] == [
        (f"{tmp_path}/a.csv:1", "one"),
        (f"{tmp_path}/a.csv:2", "two\nlines"),
    ]


@pytest.mark.parametrize("name", WRITERS)
def test_a_wrong_column_is_one_sentence_with_those_there_are(tmp_path, name):
    WRITERS[name](tmp_path / name, [("1", "x"), ("2", "y")])
    for option, columns in (("--text_column", Columns("body")), ("--id_column", Columns(id="body"))):
        (bad,) = read(tmp_path / name, columns=columns)
        assert isinstance(bad, BadRow)
        assert f"{name}: has no column 'body'" in bad.error
        assert option in bad.error
        assert bad.error.endswith("'text'")


def test_bad_json_rows_are_left_out_one_by_one(tmp_path):
    lines = [
        b'{"id": "a"}',
        b"{",
        b"[1]",
        b'{"text": "Malm\xf6"}',
        b"[" * 100_000,
        b'{"id": "f", "text": null}',
        b'{"id": 1, "text": 2}',
        b'{"text": "x"}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    *bad, good = read(tmp_path / "a.jsonl")
    assert good.text == "x"
    assert [row.id for row in bad] == ["a", *(f"{tmp_path}/a.jsonl:{n}" for n in (2, 3, 4, 5)), "f", "1"]
    complaints = [
        "1: column 'text' is empty",
        "2: not one complete",
        "3: not a JSON object",
        "4: byte 0xf6",
        "5: not one",
        "6: column 'text' is",
        "7: .* holds int",
    ]
    for row, complaint in zip(bad, complaints, strict=True):
        with pytest.raises(InputError, match=f"a.jsonl:{complaint}"):
            raise InputError(row.error)


def test_bad_csv_rows_are_left_out_one_by_one(tmp_path):
    rows = [b"id,text", b"1,good", b"2,Malm\xf6", b"3,too,many", b"4", b'5,"stray"quote', b"6,good", b'7,"never closed']
    (tmp_path / "a.csv").write_bytes(b"\n".join(rows))
    found = read(tmp_path / "a.csv")
    assert [row.id for row in found if isinstance(row, Row)] == ["1", "6"]
    errors = [row.error for row in found if isinstance(row, BadRow)]
    for error, complaint in zip(
        errors, ["2: byte 0xf6", "3: has 3 fields", "4: has 1 fields", "5: not a CSV", "7: a quotation mark"], strict=True
    ):
        assert f"a.csv: record {complaint}" in error


def test_a_quotation_mark_that_takes_lines_along_says_how_many(tmp_path):
    lines = ["text", "good", '"open', "lost", '"', "good", '"open', 'lost "word" lost', "good", '"never closed', "lost", "lost"]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    first, _, second, taken, third, last = read(tmp_path / "a.csv")
    assert [first.text, second.text, third.text] == ["good", "good", "good"]
    assert "record 4: not a CSV record" in taken.error
    assert "lines 7 to 8, all left out" in taken.error
    assert last.error == (
        f"{tmp_path}/a.csv: record 6: a quotation mark is never closed, so everything from line 10 to the end is left out; close or double it"
    )


def test_carriage_returns_alone_are_no_csv_line_ends(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,text\r1,Rockets\r")
    (tmp_path / "b.csv").write_bytes(b"id,text\n1,Rock\rets\n2,good\n")
    (only,) = read(tmp_path / "a.csv")
    assert only.error.startswith(f"{tmp_path}/a.csv:1: a line ends in a carriage return alone; save the file with line feeds")
    bad, good = read(tmp_path / "b.csv")
    assert bad.error.startswith(f"{tmp_path}/b.csv: record 1: a line ends in a carriage return alone")
    assert good.text == "good"


@pytest.mark.parametrize("name", ["a.json", "a.html", "a.xml.gz", "a.pdf", "a.docx"])
def test_what_is_no_prose_by_its_suffix_is_tagged_only_when_its_format_is_named(tmp_path, name):
    content = b'{"text": "x"}\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (bad,) = read(tmp_path / name)
    assert f"{name}: is not plain text by its suffix; say with --input_format" in bad.error
    assert [row.text for row in read(tmp_path / name, format="jsonl")] == ["x"]
    (tmp_path / "b.ndjson").write_bytes(content)
    assert [row.text for row in read(tmp_path / "b.ndjson")] == ["x"]
    assert expand([str(tmp_path)]) == [f"{tmp_path}/b.ndjson"]


def test_folders_and_patterns_do_not_stand_for_what_is_left_out_and_names_do(tmp_path):
    for name in ("a.txt", "out/1.txt", "b.txt", "in/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link.txt").symlink_to(tmp_path / "b.txt")
    leave_out = [tmp_path / "in" / ".." / "out", tmp_path / "b.txt", tmp_path / "none"]
    kept = [f"{tmp_path}/a.txt", f"{tmp_path}/in/c.txt"]
    assert expand([str(tmp_path)], leave_out) == expand([f"{tmp_path}/**/*.txt"], leave_out) == kept
    assert expand([f"{tmp_path}/b.txt"], leave_out) == [f"{tmp_path}/b.txt"]


def test_a_csv_field_may_be_longer_than_pythons_limit(tmp_path):
    (tmp_path / "a.csv").write_text("text\n" + "x" * 200_000)
    assert [len(row.text) for row in read(tmp_path / "a.csv")] == [200_000]


def test_parquet_nulls_and_other_types_are_bad_rows(tmp_path):
    parquet.write_table(pa.table({"text": ["x", None, "y"], "id": pa.array([1, 2, None])}), tmp_path / "a.parquet")
    first, bad, last = read(tmp_path / "a.parquet")
    assert (first.id, last.id, last.text) == ("1", f"{tmp_path}/a.parquet:3", "y")
    assert bad.error.startswith(f"{tmp_path}/a.parquet: record 2: column 'text' is empty (null)")
    parquet.write_table(pa.table({"text": [b"\xff", b"x"]}), tmp_path / "b.parquet")
    assert all("holds bytes, not text" in row.error for row in read(tmp_path / "b.parquet"))
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ok", b"\xff\xfe"]).buffers())
    parquet.write_table(pa.table({"text": broken}), tmp_path / "c.parquet")
    good, bad = read(tmp_path / "c.parquet")
    assert good.text == "ok"
    assert "not UTF-8" in bad.error


def test_files_that_break_or_are_no_text_leave_one_bad_row_and_the_next_is_read(tmp_path):
    packed = gzip.compress(b"".join(json.dumps({"text": os.urandom(50).hex()}).encode() + b"\n" for _ in range(2000)))
    (tmp_path / "a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "b.txt").write_bytes(b"one\nt\0wo")
    (tmp_path / "c.txt").write_bytes("Malmö".encode("latin-1"))
    (tmp_path / "d.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "e.csv").write_bytes("id,text\n".encode("utf-16"))
    (tmp_path / "f.jsonl.gz").write_bytes(b"not packed")
    (tmp_path / "g.txt").write_text("good")
    found = read(*sorted(tmp_path.iterdir()))
    bad = [row for row in found if isinstance(row, BadRow)]
    assert len(found) - len(bad) > 100
    assert found[-1].text == "good"
    complaints = [
        "a.jsonl.gz: cannot be read to its end",
        "b.txt:2: holds a NUL",
        "c.txt:1: byte 0xf6",
        "d.parquet: is not a whole",
        "e.csv:1: is no UTF-8 text; save the file as UTF-8",
        "f.jsonl.gz: cannot be read",
    ]
    for row, complaint in zip(bad, complaints, strict=True):
        assert complaint in row.error


def test_lines_are_texts_of_their_own_with_line_ends_left_out(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfone\r\n\nM\xf6\nlast"))
    first, empty, bad, last = read(tmp_path / "a.txt.gz", by_line=True)
    assert [first.text, empty.text, last.text] == ["one", "", "last"]
    assert [first.id, last.id] == [f"{tmp_path}/a.txt.gz:1", f"{tmp_path}/a.txt.gz:4"]
    assert "a.txt.gz:3: byte 0xf6" in bad.error


def test_standard_input_takes_any_format_but_parquet(monkeypatch):
    for form, expected in (("jsonl", "x"), ("txt", '{"text": "x"}\r\n')):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "x"}\r\n')))
        assert [row.text for row in read("-", format=form)] == [expected]
    assert "cannot be read from a pipe" in read("-", format="parquet")[0].error


def test_folders_and_patterns_stand_for_their_files_in_name_order(tmp_path):
    for name in ("b/deep.csv", "a.txt", "b/x.JSONL.GZ", ".git/hidden.txt", "picture.png", "c.parquet", "[1].txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    names = [os.path.relpath(file, tmp_path) for file in expand([str(tmp_path)])]
    assert names == ["[1].txt", "a.txt", "b/deep.csv", "b/x.JSONL.GZ", "c.parquet"]
    assert expand([f"{tmp_path}/**/*.csv", f"{tmp_path}/[1].txt"]) == [f"{tmp_path}/b/deep.csv", f"{tmp_path}/[1].txt"]
    assert expand([]) == ["-"]
    assert total_bytes(["-"]) is None
    for nothing, complaint in (
        (f"{tmp_path}/*.doc", "no such file"),
        (f"{tmp_path}/no.txt", "no such file"),
        (f"{tmp_path}/.git", "no file"),
    ):
        if complaint == "no file":
            (tmp_path / ".git/hidden.txt").unlink()
        with pytest.raises(InputError, match=complaint):
            expand([nothing])


def test_a_cut_off_file_gives_the_rows_before_the_cut(tmp_path):
    lines = b"".join(json.dumps({"id": str(number), "text": os.urandom(2000).hex()}).encode() + b"\n" for number in range(50))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines)[:40_000])
    *good, bad = read(tmp_path / "a.jsonl.gz")
    assert [row.id for row in good] == list(map(str, range(len(good))))
    assert len(good) > 10
    assert bad.of_file
    assert "cannot be read to its end" in bad.error


def test_a_column_that_is_there_twice_is_one_sentence(tmp_path):
    (tmp_path / "a.csv").write_text("text,other,other,text\n1,2,3,4\n")
    table = pa.Table.from_arrays([pa.array(["x"])] * 3, names=["text", "id", "id"])
    parquet.write_table(table, tmp_path / "b.parquet")
    twice, ids = read(tmp_path / "a.csv", tmp_path / "b.parquet")
    assert twice.error == f"{tmp_path}/a.csv: has 2 columns 'text'; give each a name of its own"
    assert "b.parquet: has 2 columns 'id'" in ids.error
    (tmp_path / "c.csv").write_text("text,other,other\n1,2,3\n")
    assert [row.text for row in read(tmp_path / "c.csv")] == ["1"]


def test_parquet_ids_that_python_cannot_hold_are_bad_rows(tmp_path):
    for name, kind in (("a", pa.timestamp("s")), ("b", pa.timestamp("s", "Mars/Olympus"))):
        ids = pa.array([0, 400_000_000_000], pa.int64()).cast(kind)
        parquet.write_table(pa.table({"text": ["x", "y"], "id": ids}), tmp_path / f"{name}.parquet")
    *_, late = read(tmp_path / "a.parquet")
    assert late.error.startswith(f"{tmp_path}/a.parquet: record 2: holds a value that cannot be written out (")
    assert len(read(tmp_path / "b.parquet")) == 2
    assert all("record" in row.error for row in read(tmp_path / "b.parquet"))


def test_a_damaged_parquet_page_is_one_line(tmp_path):
    write_parquet(tmp_path / "a.parquet", [(str(number), "text" * 100) for number in range(20)])
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[4:60] = bytes(56)
    (tmp_path / "a.parquet").write_bytes(content)
    *_, bad = read(tmp_path / "a.parquet")
    assert "\n" not in bad.error


def test_a_header_with_other_separators_says_what_to_do(tmp_path):
    for name, header, mend in (
        ("a.csv", "id;text", "separated by ';'; save it with commas"),
        ("b.csv", "id\ttext", "separated by '\\t'; name it .tsv"),
        ("c.tsv", "id,text", "separated by ','; name it .csv"),
    ):
        (tmp_path / name).write_text(header + "\n1\n")
        (bad,) = read(tmp_path / name)
        assert f"{name}:1: its fields are {mend}" in bad.error
    (tmp_path / "d.csv").write_text('"text; translated"\nx\n')
    assert [row.text for row in read(tmp_path / "d.csv", columns=Columns("text; translated"))] == ["x"]


def test_a_header_over_two_lines_is_utf_8_to_its_end(tmp_path):
    (tmp_path / "a.csv").write_bytes('text,"two\nlineß"\nx,y\n'.encode("latin-1"))
    (bad,) = read(tmp_path / "a.csv")
    assert bad.error == f"{tmp_path}/a.csv:1: is no UTF-8 text; save the file as UTF-8"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_csv_in_utf_16_is_said_to_be_no_utf_8(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("id,text\r\n1,x\r\n".encode(encoding))
    (bad,) = read(tmp_path / "a.csv")
    assert bad.error == f"{tmp_path}/a.csv:1: is no UTF-8 text; save the file as UTF-8"


def test_a_file_that_is_named_twice_is_read_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mix").mkdir()
    for name in ("mix/a.txt", "mix/b.txt"):
        (tmp_path / name).write_text("")
    assert expand(["./mix/b.txt", "mix", "mix/*.txt", f"{tmp_path}/mix/a.txt", "-", "-"]) == ["./mix/b.txt", "mix/a.txt", "-"]


def test_earlier_outputs_are_read_only_when_they_are_named(tmp_path):
    row = {"id": "1", "text": "x", "spans": [], "model": "m", "revision": None}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "b.jsonl.errors.jsonl").write_text('{"row": 1, "id": "1", "error": "bad"}\n')
    parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "c.parquet")
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    for name in (f"{tmp_path}", f"{tmp_path}/*"):
        with pytest.raises(InputError, match="nothing but earlier outputs"):
            expand([name])
    for name, content in (("e.jsonl", '{"text": "x", "spans": []}'), ("f.jsonl", ""), ("g.jsonl", "[1]"), ("h.jsonl", "7")):
        (tmp_path / name).write_text(content)
    said = []
    for name in (f"{tmp_path}", f"{tmp_path}/*"):
        assert expand([name], (), said.append) == [f"{tmp_path}/{letter}.jsonl" for letter in "efgh"]
        assert said.pop() == f"{name}: left out 4 earlier outputs\n"
    assert expand([f"{tmp_path}/a.jsonl"], (), said.append) == [f"{tmp_path}/a.jsonl"]
    assert not said


def test_nothing_in_a_folder_is_passed_over_in_silence(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_text("x")
    (tmp_path / "linked").mkdir()
    (tmp_path / "in/folder").symlink_to(tmp_path / "linked")
    (tmp_path / "in/b.txt").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "in/c.txt")
    said = []
    assert expand([f"{tmp_path}/in"], (), said.append) == [f"{tmp_path}/in/a.txt"]
    assert said == [f"{tmp_path}/in: left out 1 broken link, 1 linked folder, 1 special file\n"]


def test_a_text_in_place_of_a_file_is_one_sentence():
    with pytest.raises(InputError, match=r"^Rockets hit Rockets .*\.\.\.: cannot be read \(File name too long\); name a file") as told:
        expand(["Rockets hit\n" * 100])
    assert "\n" not in str(told.value)


@pytest.fixture
def locked():
    """A folder that may be entered and not listed, and in it one that may not be entered; root, who may do all, is nobody meanwhile."""
    folder = Path(tempfile.mkdtemp())
    for name in ("inner", "open/shut"):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.txt").write_text("x")
        (folder / name).chmod(0)
    (folder / "open" / "a.txt").write_text("x")
    folder.chmod(0o311)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    folder.chmod(0o700)
    for name in ("inner", "open/shut"):
        (folder / name).chmod(0o700)
    shutil.rmtree(folder)


def test_what_may_not_be_read_is_said_to_be_so(locked):
    for name in (locked, locked / "inner" / "a.txt", locked / "inner"):
        with pytest.raises(InputError, match=r"cannot be read \(Permission denied\); name a file that can be read"):
            expand([str(name)])
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\); correct the path"):
        open_model(locked / "inner" / "model")
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\); name another --output"):
        Job([], Reading(), locked / "inner" / "out", "jsonl", "m").check()


def test_a_folder_in_a_folder_that_may_not_be_read_is_left_out_and_said(locked):
    said = []
    assert expand([str(locked / "open")], (), said.append) == [f"{locked}/open/a.txt"]
    assert said == [f"{locked}/open: left out 1 unreadable folder\n"]
