import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_ner.corpus import check_splits, conll, count_table, jsonl, markdown, read_documents, write_documents
from conflict_ner.documents import Document, Span, trim
from conflict_ner.errors import InputError, MissingTextError

# Letters with combining marks, emoji, right-to-left text, brackets, backslashes, every kind of line end and white space.
ALPHABET = st.sampled_from(
    list("aé́ñ🚀👩‍🚀م\u200fאב[](){}#\\|=_* .-'\"") + ["\n", "\r\n", "\r", "\t", "\u2028", "\x0b", "\x85", "\xa0", "## ", "\\u0041", "\ufeff"]
)
TEXTS = st.lists(ALPHABET, max_size=30).map("".join)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@st.composite
def documents(draw, texts=TEXTS, ids=NAMES, metas=None):
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
    spans = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        start, end = trim(text, start, end)
        if start < end:
            spans.append(Span(start, end, draw(st.sampled_from(["ACTOR", "WEAPON", "X-1_y"]))))
    meta = draw(
        st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=3) if metas is None else metas
    )
    return Document(draw(ids), text, tuple(spans), meta)


CORPORA = st.lists(documents(), min_size=1, max_size=3, unique_by=lambda document: document.id)


@pytest.mark.parametrize(("suffix", "module"), [(".md", markdown), (".jsonl", jsonl)])
@given(corpus=CORPORA)
def test_markdown_and_jsonl_give_back_what_was_written(tmp_path_factory, suffix, module, corpus):
    path = tmp_path_factory.getbasetemp() / f"round{suffix}"
    write_documents(corpus, path)
    assert read_documents(path) == corpus
    assert b"\r" not in path.read_bytes() or suffix == ".jsonl"


@given(corpus=CORPORA)
def test_markdown_with_windows_line_ends_reads_the_same(tmp_path_factory, corpus):
    path = tmp_path_factory.getbasetemp() / "windows.md"
    path.write_bytes(markdown.dump(corpus).replace("\n", "\r\n").encode())
    assert read_documents(path) == corpus


def solid(document):
    """Spans as (label, characters) with offsets that count no white space: what columns can keep."""
    kept = [k for k, character in enumerate(document.text) if not character.isspace()]
    position = {k: number for number, k in enumerate(kept)}
    text = "".join(document.text[k] for k in kept)
    return text, [(position[s.start], position[s.end - 1] + 1, s.label) for s in document.spans]


WORDS = st.lists(
    st.sampled_from(["T-72B3,", "(Su-34)", "Россия", "ab", "é́", "[x]", "🚀", "بغداد", " ", "  "]), min_size=1, max_size=12
).map("".join)


@given(
    corpus=st.lists(
        documents(texts=WORDS, ids=st.from_regex(r"[a-z]{1,5}", fullmatch=True)), min_size=1, max_size=3, unique_by=lambda d: d.id
    )
)
def test_conll_keeps_words_tags_and_ids(tmp_path_factory, corpus):
    path = tmp_path_factory.getbasetemp() / "round.conll"
    write_documents(corpus, path)
    again = read_documents(path)
    assert [document.id for document in again] == [document.id for document in corpus]
    assert [solid(document) for document in again] == [solid(document) for document in corpus]


def test_conll_mention_across_a_line_break_goes_on_as_a_new_one():
    text = conll.dump([Document("d", "of Free\nSyrian", (Span(3, 14, "A"),))])
    assert text == "-DOCSTART-\td\tO\n\nof\tO\nFree\tB-A\n\nSyrian\tB-A\n\n"


@pytest.mark.parametrize(
    ("scheme", "rows"),
    [
        ("IOB1", "US I-A\nforces I-A\nIraqi B-A\nforces I-A\nin O\nMosul I-L\n"),
        ("IOB2", "US B-A\nforces I-A\nIraqi B-A\nforces I-A\nin O\nMosul B-L\n"),
        ("BIOES", "US B-A\nforces E-A\nIraqi B-A\nforces E-A\nin O\nMosul S-L\n"),
        ("BILOU", "US B-A\nforces L-A\nIraqi B-A\nforces L-A\nin O\nMosul U-L\n"),
    ],
)
def test_conll_schemes_give_the_same_spans(tmp_path, scheme, rows):
    path = tmp_path / "a.conll"
    path.write_text(rows)
    (document,) = read_documents(path)
    assert document.text == "US forces Iraqi forces in Mosul"
    assert [(document.mention(span), span.label) for span in document.spans] == [("US forces", "A"), ("Iraqi forces", "A"), ("Mosul", "L")]


def test_conll_sentences_are_documents_unless_docstart_groups_them(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n\na\tO\n\nb\tB-X\n\n\n")
    assert [(d.id, d.text) for d in read_documents(path)] == [("a-00001", "a"), ("a-00002", "b")]
    path.write_text("-DOCSTART- -X- O O\n\na x y O\n\nb x y B-X\n\n-DOCSTART- -X- O O\n\nc x y O\n")
    assert [(d.text, d.spans) for d in read_documents(path)] == [("a\nb", (Span(2, 3, "X"),)), ("c", ())]


BAD_FILES = [
    ("no.md", None, "no such file"),
    ("a.md", b"", "no documents"),
    ("a.md", b"\xff\xfeabc", r"a.md:1: byte 0xff is not UTF-8"),
    ("a.md", b"words", r"a.md:1: text before the first"),
    ("a.md", b"## \n", r"a.md:1: heading without"),
    ("a.md", b"## a\nk=v\ntext", r"a.md:3: a blank line"),
    ("a.md", b"## a\nno equals sign\n\ntext", r"a.md:2: metadata item"),
    ("a.md", b"## a\n\nfine\n\nthe [army\n", r"a.md:5: span 'army"),
    ("a.md", b"## a\n\nfine\nthe army]\n", r"a.md:4: stray ']'"),
    ("a.md", b"## a\n\na \\b\n", r"a.md:3: a lone backslash"),
    ("a.md", b"## a\n\nfine\n\n[army ](ACTOR)\n", r"a.md:5: span \[6, 11\).*white space"),
    ("a.md", b"## a\n\n[](ACTOR)\n", r"a.md:3: .*empty"),
    ("a.md", b"## a\n\n[army](ACTR)\n", r"a.md:3: .*not in the set ACTOR"),
    ("a.md", b"## a\n\nx\n\n## a\n\ny\n", r"a.md:5: document id 'a' is also at .*a.md:1"),
    ("a.jsonl", b'{"id": "a", "text": "x"}\n{"id": "b", "te', r"a.jsonl:2: not one complete JSON"),
    ("a.jsonl", b'["a"]', r"a.jsonl:1: expected an object"),
    ("a.jsonl", b'{"id": "a"}', r"a.jsonl:1: field 'text'"),
    ("a.jsonl", b'{"id": "a", "text": "x", "spans": [{"start": 0}]}', r"a.jsonl:1: span .*start"),
    ("a.jsonl", b'{"id": "a", "text": "x", "spans": [{"start": 0, "end": 2, "label": "ACTOR"}]}', r"a.jsonl:1: .*outside the text of 1"),
    (
        "a.jsonl",
        b'{"id": "a", "text": "xyz", "spans": [{"start": 0, "end": 2, "label": "ACTOR"}, {"start": 1, "end": 3, "label": "ACTOR"}]}',
        "a.jsonl:1: .*overlap",
    ),
    ("a.conll", b"a\tB-ACTOR\nb\tI-WEAPON\n", r"a.conll:2: tag I-WEAPON cannot follow B-ACTOR"),
    ("a.conll", b"a\tB-ACTOR\n\nb\tI-ACTOR\n", r"a.conll:3: tag I-ACTOR cannot follow the start"),
    ("a.conll", b"a\tO\nword\n", r"a.conll:2: expected 'word<TAB>tag'"),
    ("a.json", b"{", r"a.json:1: not valid JSON"),
    ("a.json", b"{}", r"a.json: expected one object"),
    ("a.json", b'{"text_file": 3, "sha256": "x", "spans": []}', r"a.json: text_file and sha256 must be strings"),
    ("a.xyz", b"", r"unknown corpus format '.xyz'"),
]


@pytest.mark.parametrize(("name", "content", "complaint"), BAD_FILES)
def test_bad_files_are_refused_with_file_line_and_reason(tmp_path, name, content, complaint):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        read_documents(tmp_path / name, labels=("ACTOR",))


def test_a_file_is_kept_when_its_successor_cannot_be_written(tmp_path):
    write_documents([Document("a", "old")], tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="half a character"):
        write_documents([Document("b", "x\ud800")], tmp_path / "a.jsonl")
    assert read_documents(tmp_path / "a.jsonl")[0].text == "old"


def test_faulty_spans_are_never_written(tmp_path):
    with pytest.raises(InputError, match="'d' is not written"):
        write_documents([Document("d", "abc", (Span(1, 9, "A"),))], tmp_path / "a.md")
    assert not (tmp_path / "a.md").exists()


def test_folder_reads_all_formats_in_name_order_and_leaves_readmes(tmp_path):
    write_documents([Document("m", "m")], tmp_path / "b" / "x.md")
    write_documents([Document("j", "j")], tmp_path / "a.jsonl")
    (tmp_path / "README.md").write_text("# not a corpus\n\nprose\n")
    (tmp_path / "labels.json").write_text("{}")
    assert [document.id for document in read_documents(tmp_path)] == ["j", "m"]


@pytest.fixture
def standoff(tmp_path):
    text = "Le Rafale a décollé.\r\n"
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_bytes(text.encode())
    record = {"id": "one", "text_file": "one.txt", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    record["spans"] = [{"start": 3, "end": 9, "label": "WEAPON"}]
    (tmp_path / "one.json").write_text(json.dumps(record))
    return tmp_path


def test_standoff_finds_and_verifies_its_text(standoff):
    (document,) = read_documents(standoff / "one.json", text_folders=[standoff / "texts"])
    assert document.text.endswith("\r\n")
    assert document.mention(document.spans[0]) == "Rafale"


def test_standoff_over_columns_takes_texts_by_id_and_not_their_tags(tmp_path):
    (tmp_path / "t.txt").write_text("Free B-Org\nSyria I-Org\n\nRafale O\n")
    record = {"text_file": "t.txt", "sha256": hashlib.sha256((tmp_path / "t.txt").read_bytes()).hexdigest(), "source": "example.org, CC0"}
    record["documents"] = [{"id": "t-00002", "spans": [{"start": 0, "end": 6, "label": "WEAPON"}]}]
    (tmp_path / "a.json").write_text(json.dumps(record))
    (document,) = read_documents(tmp_path / "a.json")
    assert (document.text, document.spans) == ("Rafale", (Span(0, 6, "WEAPON"),))
    (tmp_path / "t.txt").unlink()
    with pytest.raises(MissingTextError, match="get it .example.org, CC0. and name"):
        read_documents(tmp_path / "a.json")


def test_standoff_says_what_is_missing_or_changed(standoff):
    with pytest.raises(MissingTextError, match="its text is at none of .*one.txt.*--text_folders"):
        read_documents(standoff / "one.json")
    (standoff / "texts" / "one.txt").write_text("Le  Rafale")
    with pytest.raises(InputError, match="sha256 differs"):
        read_documents(standoff / "one.json", text_folders=[standoff / "texts"])


def test_splits_may_share_neither_ids_nor_texts():
    check_splits({"train": [Document("a", "x y")], "test": [Document("b", "x z")]})
    with pytest.raises(InputError, match="'a' stands in train and in test"):
        check_splits({"train": [Document("a", "x")], "test": [Document("a", "y")]})
    with pytest.raises(InputError, match="train/a and test/b have the same text"):
        check_splits({"train": [Document("a", "x y")], "test": [Document("b", "x\n y ")]})


def test_counts():
    counts = count_table([Document("a", "US army, US navy", (Span(0, 2, "A"), Span(9, 11, "A")))])
    assert counts == {"documents": 1, "words": 4, "spans": 2, "A": 2, "A forms": 1}
