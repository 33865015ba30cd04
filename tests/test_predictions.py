import json

import pytest

from conflict_ner.documents import Document, Span, text_sha256
from conflict_ner.errors import InputError
from conflict_ner.predictions import read_predictions, write_predictions

LABELS = ("ACTOR", "WEAPON")
DOCUMENTS = [Document("one", "The Nordland army fired rockets."), Document("two", "Ядро – 🚀 rockets again."), Document("three", "No one.")]
PREDICTED = [
    (Span(4, 17, "ACTOR", 0.9), Span(24, 31, "WEAPON", 0.25)),
    (Span(0, 4, "ACTOR"), Span(7, 8, "WEAPON", 1.0)),
    (),
]


def row(document_id="one", spans=(), **more):
    return json.dumps({"id": document_id, "spans": list(spans), **more})


def span(start=4, end=17, label="ACTOR", **more):
    return {"start": start, "end": end, "label": label, **more}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictions.jsonl"


def scores(predicted):
    return [[span.score for span in spans] for spans in predicted]


def test_what_is_written_is_read_again(path):
    write_predictions(path, DOCUMENTS, PREDICTED)
    back = read_predictions(path, DOCUMENTS, LABELS)
    assert back == PREDICTED
    assert scores(back) == scores(PREDICTED)


def test_the_order_is_that_of_the_documents_and_of_the_text(path):
    path.write_text("\n".join([row("three"), row("one", [span(24, 31, "WEAPON"), span()]), row("two")]))
    back = read_predictions(path, DOCUMENTS, LABELS)
    assert back == [(Span(4, 17, "ACTOR"), Span(24, 31, "WEAPON")), (), ()]


def test_files_hold_no_text_but_prove_which_it_was(path):
    write_predictions(path, DOCUMENTS, PREDICTED)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    assert [set(row) for row in rows] == [{"id", "text_sha256", "spans"}] * 3
    assert [row["text_sha256"] for row in rows] == [text_sha256(document.text) for document in DOCUMENTS]
    assert "score" not in rows[1]["spans"][0]


def test_files_of_other_systems_need_neither_scores_nor_checksums(path):
    path.write_text(row("one", [span(score=None)]) + "\n")
    assert scores(read_predictions(path, DOCUMENTS[:1], LABELS)) == [[None]]


def test_spans_that_overlap_one_another_are_accepted(path):
    spans = [span(4, 12), span(4, 17), span(4, 17, "WEAPON")]
    path.write_text(row("one", spans))
    assert read_predictions(path, DOCUMENTS[:1], LABELS) == [(Span(4, 12, "ACTOR"), Span(4, 17, "ACTOR"), Span(4, 17, "WEAPON"))]


def test_a_span_given_twice_is_one_span(path):
    path.write_text(row("one", [span(), span()]))
    assert read_predictions(path, DOCUMENTS[:1], LABELS) == [(Span(4, 17, "ACTOR"),)]


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_do_no_harm(path):
    path.write_bytes(b"\xef\xbb\xbf" + f"{row('one', [span()])}\r\n\r\n{row('two')}\r\n".encode())
    assert read_predictions(path, DOCUMENTS[:2], LABELS) == [(Span(4, 17, "ACTOR"),), ()]


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x0c", "\n"], ids=ascii)
def test_an_id_may_hold_any_kind_of_line_end(path, odd):
    documents = [Document(f"one{odd}more", "The Nordland army fired rockets.")]
    write_predictions(path, documents, PREDICTED[:1])
    assert read_predictions(path, documents, LABELS) == PREDICTED[:1]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (row("four"), "'four' is not in the data"),
        (row("two"), "'two' comes twice"),
        (row(spans=[span(30, 40)]), "outside the text of 32 characters"),
        (row(spans=[span(-1, 3)]), "outside the text"),
        (row(spans=[span(5, 4)]), "outside the text"),
        (row(spans=[span(4, 4)]), "empty"),
        (row(spans=[span(3, 17)]), "white space"),
        (row(spans=[span(label="PLACE")]), "'Nordland army' has a label that is not in the set ACTOR, WEAPON"),
        (row(spans=[span(label="")]), "no label"),
        (row(text_sha256=text_sha256("another text")), "'one' was another text"),
        (row(spans=[span(score=1.5)]), "score 1.5 is no number in [0, 1]"),
        (row(spans=[span(score=-0.1)]), "score -0.1 is no number in [0, 1]"),
        (row(spans=[span(score=float("nan"))]), "score NaN is no number in [0, 1]"),
        (row(spans=[span(score=True)]), "score true is no number in [0, 1]"),
        (row(spans=[span(score="high")]), 'score "high" is no number in [0, 1]'),
        (row(spans=[span("4")]), "start"),
        (row(spans=[{"start": 4, "end": 17}]), "label"),
        (row(spans=[[4, 17, "ACTOR"]]), "label"),
        ('{"id": "one", "spans": {}}', "not a list"),
        ('{"id": "one", "entities": []}', "expected"),
        ('{"id": "one", "spans": [', "not valid JSON"),
        ('{"spans": []}', "expected"),
        ('{"id": 1, "spans": []}', "expected"),
        ("[]", "expected"),
    ],
)
def test_every_fault_names_file_and_line_in_one_sentence(path, line, complaint):
    path.write_text(f"{row('two')}\n\n{line}\n{row('three')}\n")
    with pytest.raises(InputError) as caught:
        read_predictions(path, DOCUMENTS, LABELS)
    message = str(caught.value)
    where, said = message[: len(f"{path}:3: ")], message[len(f"{path}:3: ") :]
    assert where == f"{path}:3: "
    assert complaint in said
    assert "\n" not in said
    assert ". " not in said
    assert not said.endswith(".")


def test_documents_that_the_file_leaves_out_are_named(path):
    path.write_text(row("two") + "\n")
    with pytest.raises(InputError) as caught:
        read_predictions(path, DOCUMENTS, LABELS)
    assert str(caught.value).startswith(f"{path}: says nothing about 2 of 3 documents, the first is 'one'; ")


def test_a_missing_file_and_bytes_that_are_no_text_are_told_apart(path):
    with pytest.raises(InputError, match="there is no such file"):
        read_predictions(path, DOCUMENTS, LABELS)
    path.write_bytes(row("one").encode() + b"\n\xff\n")
    with pytest.raises(InputError, match=r"jsonl:2: byte 0xff is not UTF-8"):
        read_predictions(path, DOCUMENTS, LABELS)


def test_a_changed_document_is_not_scored_with_old_offsets(path):
    write_predictions(path, DOCUMENTS, PREDICTED)
    changed = [Document("one", "The  Nordland army fired rockets."), *DOCUMENTS[1:]]
    with pytest.raises(InputError, match=r":1: document 'one' was another text"):
        read_predictions(path, changed, LABELS)


def test_as_many_predictions_as_documents_are_written(path):
    with pytest.raises(ValueError, match="shorter"):
        write_predictions(path, DOCUMENTS, PREDICTED[:2])
