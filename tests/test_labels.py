import json

import pytest

from conflict_ner.errors import InputError
from conflict_ner.labels import LabelSet, read_definitions


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
