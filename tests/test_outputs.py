"""What comes out of tag.py: every format that keeps the text gives back id, text and spans; nothing is written over or half."""

import csv
import io
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from conflict_ner.corpus import read_documents
from conflict_ner.documents import trim
from conflict_ner.errors import InputError
from conflict_ner.inputs import Reading, read_rows
from conflict_ner.outputs import CSV_HEADER, chosen_format, pieces, whole, write_file

LABELS = ("ACTOR", "WEAPON")
PIECES = [
    "Rockets",
    "é́",
    "🚀",
    "\r\n",
    "\n",
    "\r",
    '"',
    "'",
    ",",
    "\t",
    "\u2028",
    "\x85",
    " ",
    "\\",
    "[",
    "](",
    "## ",
    "<b>",
    "&amp;",
    "\ud800",
    "مدينة",
    "=1",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@st.composite
def tagged_rows(draw):
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
    spans = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        start, end = trim(text, start, end)
        if start < end:
            score = draw(st.none() | st.floats(0, 1).map(lambda value: round(value, 4)))
            spans.append({"start": start, "end": end, "label": draw(st.sampled_from(LABELS)), "text": text[start:end], "score": score})
    return {
        "id": draw(TEXTS.filter(str.strip)),
        "text": text,
        "spans": spans,
        "model": "m/<x>",
        "revision": draw(st.sampled_from([None, "0a1b"])),
    }


ROWS = st.lists(tagged_rows(), max_size=4)


def kept(row):
    return row["id"], row["text"], [(span["start"], span["end"], span["label"]) for span in row["spans"]]


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


def read_parquet(path):
    return parquet.read_table(path).to_pylist()


def read_markdown(path):
    """As rows; an empty file is one without documents, which no corpus may be."""
    rows = []
    for document in read_documents(path) if path.stat().st_size else []:
        spans = [{"start": span.start, "end": span.end, "label": span.label} for span in document.spans]
        rows.append({"id": document.id, "text": document.text, "spans": spans, **document.meta})
    return rows


def read_brat(folder):
    rows = []
    for entry in map(json.loads, (folder / "index.jsonl").read_text("utf-8").split("\n")[:-1]):
        text = (folder / f"{entry['file']}.txt").read_bytes().decode()
        spans = []
        for line in (folder / f"{entry['file']}.ann").read_bytes().decode().splitlines():
            name, body, mention = line.split("\t")
            if name[0] == "T":
                label, _, offsets = body.partition(" ")
                fragments = [tuple(map(int, part.split())) for part in offsets.split(";")]
                assert mention == " ".join(text[start:end] for start, end in fragments), "as brat checks it"
                spans.append({"start": fragments[0][0], "end": fragments[-1][1], "label": label})
        rows.append({**entry, "text": text, "spans": spans})
    return rows


class Page(HTMLParser):
    """Rows out of a page: headings, texts and marks."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.rows, self.into, self.starts = [], None, []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "article":
            self.rows.append({"id": "", "text": "", "spans": [], "model": ""})
        elif tag == "mark":
            self.starts.append((len(self.rows[-1]["text"]), values["data-label"]))
        self.into = {"h2": "id", "div": "text", "mark": "text", "footer": "model"}.get(tag, self.into)

    def handle_endtag(self, tag):
        if tag == "mark":
            start, label = self.starts.pop()
            self.rows[-1]["spans"].append({"start": start, "end": len(self.rows[-1]["text"]), "label": label})
        elif tag in ("h2", "div", "footer"):
            self.into = None

    def handle_data(self, data):
        if self.into:
            self.rows[-1][self.into] += data


def read_html(path):
    page = Page()
    with path.open(encoding="utf-8", newline="") as stream:
        page.feed(stream.read())
    page.close()
    return page.rows


KEEPERS = {"jsonl": read_jsonl, "markdown": read_markdown, "parquet": read_parquet, "brat": read_brat, "html": read_html}


@pytest.mark.parametrize("form", KEEPERS)
@given(rows=ROWS)
def test_formats_that_keep_the_text_give_back_id_text_and_spans(tmp_path_factory, form, rows):
    path = tmp_path_factory.getbasetemp() / f"out-{form}{'.md' if form == 'markdown' else ''}"
    write_file(iter(rows), form, path, LABELS)
    found = KEEPERS[form](path)
    exact = form in ("jsonl", "markdown")
    if form == "markdown":  # whose ids are made unlike; what they become is tested below
        assert all(one["id"].startswith(row["id"]) for row, one in zip(rows, found, strict=True))
        rows = [{**row, "id": one["id"]} for row, one in zip(rows, found, strict=True)]
    assert list(map(kept, found)) == [kept(row if exact else whole(row)) for row in rows]
    assert all("m/<x>" in row["model"] for row in found)
    if form in ("jsonl", "parquet"):
        assert found == [row if exact else whole(row) for row in rows]


@given(rows=ROWS)
def test_what_is_written_as_jsonl_or_parquet_can_be_tagged_again(tmp_path_factory, rows):
    for form in ("jsonl", "parquet"):
        path = tmp_path_factory.getbasetemp() / f"again.{form}"
        write_file(rows, form, path, LABELS)
        again = [(row.id, row.text) for row in read_rows([str(path)], Reading())]
        assert again == [(row["id"], row["text"]) for row in (rows if form == "jsonl" else whole(rows))]


@given(rows=ROWS)
def test_csv_has_a_record_per_entity(rows):
    records = list(csv.reader(io.StringIO("".join(pieces(rows, "csv", LABELS)), newline=""), strict=True))
    wanted = [
        (row["id"], *(span[k] for k in ("start", "end", "label", "text", "score")), row["model"], row["revision"])
        for row in whole(rows)
        for span in row["spans"]
    ]
    assert records == [list(CSV_HEADER), *(["" if value is None else str(value) for value in record] for record in wanted)]


@given(rows=ROWS)
def test_brat_names_are_safe_and_no_two_alike(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp() / "names"
    write_file([*rows, *rows], "brat", folder, LABELS)
    names = [path.name for path in folder.iterdir() if path.suffix in (".txt", ".ann")]
    assert len(names) == 4 * len(rows)
    assert all(re.fullmatch(r"\d{7}-[\w.-]*\.(txt|ann)", name) and len(name.encode()) < 256 for name in names)


def test_the_page_escapes_markup_and_needs_no_network(tmp_path):
    row = {"id": "<script>", "text": "<script>alert(1)</script>", "model": "m", "revision": None}
    page = "".join(pieces([{**row, "spans": []}], "html", LABELS))
    assert "<script" not in page
    assert "http" not in page


@given(st.lists(st.sampled_from(["1", "1#2", "1#3", "2"]), max_size=8))
def test_ids_in_markdown_are_unlike_and_those_that_were_stay(tmp_path_factory, ids):
    path = tmp_path_factory.getbasetemp() / "unlike.md"
    rows = [{"id": row_id, "text": str(number), "spans": [], "model": "m", "revision": None} for number, row_id in enumerate(ids)]
    write_file(rows, "markdown", path, LABELS)
    found = read_markdown(path)
    assert [row["text"] for row in found] == [row["text"] for row in rows]
    assert len({row["id"] for row in found}) == len(ids)
    assert all(row["id"].startswith(row_id) for row, row_id in zip(found, ids, strict=True))
    if len(set(ids)) == len(ids):
        assert [row["id"] for row in found] == ids


def test_a_repeated_id_in_markdown_is_counted(tmp_path):
    rows = [{"id": row_id, "text": "x", "spans": [], "model": "m", "revision": None} for row_id in ("1", "1", "1", "1#2", "1")]
    write_file(rows, "markdown", tmp_path / "a.md", LABELS)
    assert [row["id"] for row in read_markdown(tmp_path / "a.md")] == ["1", "1#2", "1#3", "1#2#2", "1#4"]


@given(rows=ROWS, evil=st.text(st.characters(categories=["Cc"]), min_size=1))
def test_no_text_steers_the_terminal(rows, evil):
    rows = [{**row, "id": row["id"] + evil, "text": row["text"] + evil} for row in rows]
    shown = "".join(pieces(rows, "text", LABELS)).replace("\r\n", "\n")
    assert all(character in "\n\t" or unicodedata.category(character) != "Cc" for character in shown)


def test_the_terminal_view_tells_several_texts_apart():
    rows = [{"id": name, "text": f"{name}\x1b[2J!\r\n", "spans": []} for name in ("a\n.txt", "b")]
    assert "".join(pieces(rows[:1], "text", LABELS)) == "a\n.txt\ufffd[2J!\n\n"
    assert "".join(pieces(rows, "text", LABELS)) == "a .txt\na\n.txt\ufffd[2J!\n\n\nb\nb\ufffd[2J!\n\n"


def test_the_terminal_view_in_a_file_has_no_colour_codes(tmp_path):
    spans = [{"start": 0, "end": 2, "label": "ACTOR", "text": "US", "score": 0.5}]
    write_file([{"id": "a", "text": "US [b]", "spans": spans}], "text", tmp_path / "a.txt", LABELS)
    assert (tmp_path / "a.txt").read_text() == "US ACTOR  [b]\n"


@pytest.mark.parametrize(
    ("asked", "output", "keep_text", "chosen"),
    [
        (None, None, True, "jsonl"),
        (None, "out", True, "jsonl"),
        (None, "out.md", True, "markdown"),
        (None, "out.parquet", False, "parquet"),
        (None, "OUT.CSV", True, "csv"),
        (None, "out.jsonl.gz", True, "no output is compressed; name it without .gz"),
        ("jsonl", "out.jsonl.GZ", True, "no output is compressed; name it without .gz"),
        ("brat", "out.parquet", True, "brat"),
        ("xml", "out", True, "--format xml: there is no such format; choose one of jsonl, csv"),
        (None, "out.xml", True, "the suffix .xml names no format"),
        ("parquet", None, True, "cannot be printed; say with --output"),
        ("html", "out", False, "html is made of the text"),
    ],
)
def test_the_format_is_the_one_asked_for_or_that_of_the_suffix(asked, output, keep_text, chosen):
    try:
        found = chosen_format(asked, None if output is None else Path(output), keep_text)
    except InputError as error:
        found = str(error)
    assert chosen in found


def test_an_empty_parquet_file_has_its_columns(tmp_path):
    write_file([], "parquet", tmp_path / "empty.parquet", LABELS, keep_text=False)
    schema = parquet.read_schema(tmp_path / "empty.parquet")
    assert schema.names == ["id", "spans", "model", "revision"]
    assert str(schema.field("spans").type.value_type.field("score").type) == "double"
