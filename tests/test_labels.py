import json
from pathlib import Path

import pytest

from conflict_ner.corpus import read_documents
from conflict_ner.errors import InputError
from conflict_ner.labels import Guide, LabelSet, read_definitions, read_guides


def test_tags_are_iob2_in_label_order_with_outside_first():
    labels = LabelSet(("ACTOR", "WEAPON"))
    assert labels.tags == ("O", "B-ACTOR", "I-ACTOR", "B-WEAPON", "I-WEAPON")
    assert labels.id2label[labels.begin_id("WEAPON")] == "B-WEAPON"
    assert labels.label2id["I-WEAPON"] == labels.begin_id("WEAPON") + 1
    assert LabelSet.from_id2label(labels.id2label) == labels


def test_labels_from_data_are_numbered_the_same_in_every_run():
    assert LabelSet.from_names(["b", "a", "b"]) == LabelSet.from_names({"a", "b"})


@pytest.mark.parametrize("names", [(), ("A", "A"), ("two words",)])
def test_impossible_sets_are_refused(names):
    with pytest.raises(InputError):
        LabelSet(names)


@pytest.mark.parametrize("tags", [{0: "LABEL_0", 1: "LABEL_1"}, {0: "B-X", 1: "I-X", 2: "O"}, {0: "O", 1: "B-X"}])
def test_foreign_tag_sets_are_refused(tags):
    with pytest.raises(InputError, match="tags"):
        LabelSet.from_id2label(tags)


def test_definitions_keep_file_order_and_refuse_other_shapes(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"Z": "last letter", "A": "first letter"}))
    assert list(read_definitions(path)) == ["Z", "A"]
    path.write_text('["A"]')
    with pytest.raises(InputError, match="labels.json"):
        read_definitions(path)
    path.write_text('{"A": ')
    with pytest.raises(InputError, match=r"labels.json:1"):
        read_definitions(path)


def test_a_label_may_be_told_at_length(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"A": {"definition": "first", "includes": {"[a](A)": "why"}}, "B": "second"}))
    assert read_definitions(path) == {"A": "first", "B": "second"}
    assert read_guides(path) == {"A": Guide("first", {"[a](A)": "why"}), "B": Guide("second")}


@pytest.mark.parametrize(
    "told",
    [7, None, {}, {"note": "no definition"}, {"definition": 1}, {"definition": "", "include": {}}, {"definition": "", "includes": ["a"]}]
    + [{"definition": "", "includes": {"a": 1}}],
)
def test_what_says_nothing_of_a_label_is_one_sentence(tmp_path, told):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"A": told}))
    with pytest.raises(InputError, match="labels.json: A needs a one-line definition"):
        read_guides(path)


def test_the_examples_of_our_labels_are_annotated_as_they_say(tmp_path):
    guides = read_guides(Path("data/conflict/labels.json"))
    for label, guide in guides.items():
        for examples, there in ((guide.includes, True), (guide.excludes, False), ({guide.note: ""} if guide.note else {}, True)):
            for number, example in enumerate(examples):
                path = tmp_path / f"{label}-{there}-{number}.md"
                path.write_text(f"## example\n\n{example}\n")
                (document,) = read_documents(path, tuple(guides))
                assert (label in {span.label for span in document.spans}) == there, example
