import json

import pytest

from conflict_ner.corpus import __main__ as command
from conflict_ner.corpus import write_documents
from conflict_ner.corpus.export import dataset_dict
from conflict_ner.corpus.quality import agreement, shared_runs, uneven_forms, unseen_forms
from conflict_ner.labels import LabelSet
from tests.conftest import DEV, TRAIN, annotate


def test_agreement_is_strict_f1_per_part(tmp_path):
    rows = [
        {"part": "test", "id": "a", "text_sha256": "", "first": [[0, 2, "A"], [3, 5, "B"]], "second": [[0, 2, "A"], [3, 6, "B"]]},
        {"part": "dev", "id": "b", "text_sha256": "", "first": [[0, 2, "A"]], "second": [[0, 2, "A"]]},
    ]
    path = tmp_path / "readings.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = agreement(path)
    assert scores["test"]["micro"]["f1"] == 0.5
    assert scores["test"]["per_label"]["A"]["f1"] == 1.0
    assert (scores["dev"]["micro"]["f1"], scores["dev"]["documents"]) == (1.0, 1)


def test_unseen_forms_counts_distinct_forms_per_label_and_ignores_case():
    train = [annotate("t", "{Homs|LOCATION} {Iran|ACTOR}")]
    test = [annotate("x", "{HOMS|LOCATION} {Homs|LOCATION} {Iran|LOCATION} {Hama|LOCATION}")]
    assert unseen_forms(train, test) == pytest.approx(2 / 3)


def test_shared_runs_need_eight_words_and_ignore_signs_and_case():
    documents = [annotate("d", "One two, three {four|A} five six seven EIGHT nine.")]
    assert shared_runs(documents, {"o": "one two three four five six seven nine"}) == []
    found = shared_runs(documents, {"o": "zero one-two three four five six seven eight"})
    assert found == [("d", "o", "one two three four five six seven eight")]


def test_uneven_forms_compare_like_with_like():
    documents = [
        annotate("a", "{tanks|WEAPON} were burnt. {Russian|ACTOR} warships left. The {Coalition|ACTOR} spoke."),
        annotate("b", "Two tanks were burnt. Russian tourists left. The coalition spoke."),
    ]
    (uneven,) = uneven_forms(documents)
    assert (uneven.form, uneven.label, uneven.annotated, uneven.bare, uneven.document) == ("tanks", "WEAPON", 1, 1, "b")


def test_export_keeps_offsets_and_gives_tags_for_tokens():
    labels = LabelSet(("ACTOR", "LOCATION", "WEAPON"))
    rows = dataset_dict({"train": TRAIN, "dev": DEV}, labels)
    assert set(rows) == {"train", "validation"}
    row = rows["train"][0]
    assert [row["text"][s["start"] : s["end"]] for s in row["spans"]] == ["Nordland army", "rockets", "Brenholm"]
    tags = [labels.tags[tag] for tag in row["ner_tags"]]
    assert [token for token, tag in zip(row["tokens"], tags, strict=True) if tag != "O"] == ["Nordland", "army", "rockets", "Brenholm"]
    assert tags[row["tokens"].index("army")] == "I-ACTOR"


@pytest.fixture
def folder(tmp_path):
    write_documents(TRAIN, tmp_path / "train" / "a.md")
    write_documents(DEV, tmp_path / "dev" / "a.md")
    (tmp_path / "labels.json").write_text(json.dumps({"ACTOR": "", "WEAPON": "", "LOCATION": ""}))
    return tmp_path


def test_commands_run_on_a_corpus_folder(folder, capsys):
    assert command.main(["stats", str(folder)]) == 0
    assert "of the distinct forms are not in train" in capsys.readouterr().out
    assert command.main(["check", str(folder)]) == 0
    assert command.main(["export", str(folder), str(folder / "out")]) == 0
    assert {path.name for path in (folder / "out").iterdir()} == {"train.parquet", "validation.parquet"}


def test_commands_refuse_what_is_no_corpus(tmp_path, capsys):
    assert command.main(["stats", str(tmp_path)]) == 2
    assert "labels.json: there is no such file" in capsys.readouterr().err
    (tmp_path / "labels.json").write_text('{"A": ""}')
    assert command.main(["stats", str(tmp_path)]) == 2
    assert "holds none of the folders" in capsys.readouterr().err
