import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conflict_ner.documents import Document, Span
from conflict_ner.scoring import bootstrap_f1_interval, strict_scores
from conflict_ner.slices import slice_scores, surface_form, surface_forms
from tests.conftest import annotate
from tests.spans import LABELS, any_spans, flat_spans


def figures(entry):
    return {name: value for name, value in entry.items() if name != "ci95"}


DOCUMENTS = [
    annotate("1", "{Su-34|WEAPON} over {Port Azur|LOCATION} .", genre="wire", cases="caps,ship-name"),
    annotate("2", "The {Nordland army|ACTOR} fired {rockets|WEAPON} .", genre="blog", cases="caps"),
    annotate("3", "Nothing .", genre="blog"),
]
PREDICTED = [
    [Span(0, 5, "WEAPON"), Span(11, 15, "LOCATION")],  # Su-34 right, `Port` for `Port Azur`
    [Span(4, 17, "ACTOR")],  # Nordland army right, rockets missed
    [Span(0, 7, "WEAPON")],  # `Nothing`
]


def test_parts_made_of_documents():
    scores = slice_scores(DOCUMENTS, PREDICTED, None)
    assert set(scores) == {"genre", "hard case", "document length", "mention length"}
    assert {part: figures(entry) for part, entry in scores["genre"].items()} == {
        "wire": {"documents": 1, "precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "support": 2},
        "blog": {"documents": 2, "precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "support": 2},
    }


def test_a_document_counts_in_each_of_its_hard_cases():
    cases = slice_scores(DOCUMENTS, PREDICTED, None)["hard case"]
    assert figures(cases["caps"]) == {"documents": 2, "precision": 2 / 3, "recall": 1 / 2, "f1": pytest.approx(4 / 7), "support": 4}
    assert figures(cases["ship-name"]) == {"documents": 1, "precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "support": 2}


def test_a_prediction_belongs_where_its_own_words_put_it():
    lengths = slice_scores(DOCUMENTS, PREDICTED, None)["mention length"]
    # One word: Su-34 right, `Port` and `Nothing` wrong, rockets missed. Two words: Nordland army right, Port Azur missed.
    assert figures(lengths["1 word"]) == {"documents": 3, "precision": 1 / 3, "recall": 1 / 2, "f1": pytest.approx(2 / 5), "support": 2}
    assert figures(lengths["2 words"]) == {"documents": 2, "precision": 1, "recall": 1 / 2, "f1": pytest.approx(2 / 3), "support": 2}


def test_forms_are_seen_by_label_and_words_whatever_the_case():
    seen = {("WEAPON", "su-34"), ("ACTOR", "rockets")}
    forms = slice_scores(DOCUMENTS, PREDICTED, seen)["surface form"]
    assert figures(forms["seen"]) == {"documents": 1, "precision": 1, "recall": 1, "f1": 1, "support": 1}
    assert figures(forms["unseen"]) == {"documents": 3, "precision": 1 / 3, "recall": 1 / 3, "f1": pytest.approx(1 / 3), "support": 3}


def test_surface_forms_of_a_corpus():
    assert surface_form(DOCUMENTS[0], Span(0, 5, "WEAPON")) == ("WEAPON", "su-34")
    assert surface_forms(DOCUMENTS) == {("WEAPON", "su-34"), ("LOCATION", "port azur"), ("ACTOR", "nordland army"), ("WEAPON", "rockets")}


def test_everything_is_unseen_by_a_model_that_saw_nothing():
    assert set(slice_scores(DOCUMENTS, PREDICTED, set())["surface form"]) == {"unseen"}


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (1, "0-49 words"),
        (49, "0-49 words"),
        (50, "50-149 words"),
        (149, "50-149 words"),
        (150, "150-399 words"),
        (399, "150-399 words"),
        (400, "400+ words"),
    ],
)
def test_document_lengths_have_these_edges(words, part):
    document = Document("1", " ".join(["word"] * words), (Span(0, 4, "A"),))
    assert list(slice_scores([document], [[]], None)["document length"]) == [part]


def test_lengths_are_sorted_by_number_and_names_by_letter():
    words = " ".join(["word"] * 5)
    spans = [Span(0, 5 * count - 1, "A") for count in (4, 3, 2, 1)]
    documents = [
        Document(str(k), words + " word" * more, (span,), {"genre": genre})
        for k, (span, more, genre) in enumerate(zip(spans, (400, 150, 50, 0), "dcba", strict=True))
    ]
    scores = slice_scores(documents, [[]] * 4, None)
    assert list(scores["mention length"]) == ["1 word", "2 words", "3 words", "4+ words"]
    assert list(scores["document length"]) == ["0-49 words", "50-149 words", "150-399 words", "400+ words"]
    assert list(scores["genre"]) == ["a", "b", "c", "d"]


def test_a_dimension_without_a_value_or_a_mention_is_left_out():
    document = Document("1", "nothing here", (), {"genre": "wire"})
    assert slice_scores([document], [[]], set()) == {}
    assert "genre" not in slice_scores([annotate("1", "{Su-34|WEAPON}")], [[]], None)


def test_documents_without_the_key_are_in_no_part_of_it():
    documents = [annotate("1", "{Su-34|WEAPON}", genre="wire"), annotate("2", "{Su-34|WEAPON}")]
    assert slice_scores(documents, [[], []], None)["genre"]["wire"]["support"] == 1


def test_all_parts_draw_from_the_same_documents_and_count_those_that_mention_them():
    wire = [annotate(str(k), "{Su-34|WEAPON} left", genre="wire") for k in range(12)]
    others = [Document(f"other {k}", "nothing here", (), {"genre": "wire"}) for k in range(50)]
    predicted = [list(document.spans) if k % 3 else [] for k, document in enumerate(wire)]
    part = slice_scores(wire + others, predicted + [[]] * 50, None)["genre"]["wire"]
    whole = strict_scores([d.spans for d in wire + others], predicted + [[]] * 50, ["WEAPON"])
    assert part["documents"] == 12
    assert part["ci95"] == whole["micro"]["ci95"]
    assert part["ci95"][0] < part["f1"] < part["ci95"][1]


TEXT = "ab cd ef gh ij kl mn op qr st uv wx yz " * 2


@settings(deadline=None)
@given(st.lists(st.tuples(flat_spans(), any_spans(), st.sampled_from(["wire", "blog"])), min_size=1, max_size=4))
def test_every_span_is_in_one_part_of_a_complete_dimension(rows):
    # Spans may start or end in a space here; a mention of nothing but spaces has no words and is left out.
    documents = [
        Document(str(k), TEXT, tuple(s for s in gold if TEXT[s.start : s.end].strip()), {"genre": genre})
        for k, (gold, _, genre) in enumerate(rows)
    ]
    predicted = [[s for s in found if TEXT[s.start : s.end].strip()] for _, found, _ in rows]
    whole = strict_scores([d.spans for d in documents], predicted, LABELS)["micro"]
    for parts in slice_scores(documents, predicted, {("A", "ab")}).values():
        assert sum(part["support"] for part in parts.values()) == whole["support"]
        found = sum(part["recall"] * part["support"] for part in parts.values())
        assert found == pytest.approx(whole["recall"] * whole["support"])


def test_the_only_part_scores_as_the_whole():
    gold = [document.spans for document in DOCUMENTS]
    part = slice_scores(DOCUMENTS, PREDICTED, None)["document length"]["0-49 words"]
    whole = strict_scores(gold, PREDICTED, ["ACTOR", "LOCATION", "WEAPON"])
    assert {"documents": part["documents"], **figures(part)} == {"documents": whole["documents"], **figures(whole["micro"])}
    # strict micro counts of the three documents: right, wrong, missed
    assert part["ci95"] == whole["micro"]["ci95"] == bootstrap_f1_interval(np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0]]))
