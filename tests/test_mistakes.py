from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conflict_ner.documents import Document, Span
from conflict_ner.mistakes import (
    EXAMPLES,
    KINDS,
    MOST_FREQUENT,
    Mistake,
    confusion_pairs,
    confusion_table,
    frequent_confusions,
    kind_counts,
    mistakes_of,
)
from tests.conftest import annotate
from tests.spans import LABELS, any_spans, flat_spans, share_a_character

corpora = st.lists(st.tuples(flat_spans(), flat_spans()), max_size=4).map(lambda pairs: ([g for g, _ in pairs], [p for _, p in pairs]))
loose_corpora = st.lists(st.tuples(flat_spans(), any_spans()), max_size=4).map(lambda pairs: ([g for g, _ in pairs], [p for _, p in pairs]))


@pytest.mark.parametrize(
    ("kind", "gold", "predicted"),
    [
        ("missed", [Span(0, 5, "A")], []),
        ("spurious", [], [Span(0, 5, "A")]),
        ("label", [Span(0, 5, "A")], [Span(0, 5, "B")]),
        ("boundary", [Span(0, 5, "A")], [Span(0, 4, "A")]),
        ("boundary", [Span(0, 5, "A"), Span(6, 9, "A")], [Span(0, 7, "A"), Span(7, 9, "A")]),
        ("label and boundary", [Span(0, 5, "A")], [Span(2, 7, "B")]),
        ("label and boundary", [Span(0, 5, "A"), Span(6, 9, "A")], [Span(0, 7, "A"), Span(7, 9, "B")]),
        ("split", [Span(0, 9, "A")], [Span(0, 4, "A"), Span(5, 9, "A")]),
        ("split", [Span(0, 9, "A")], [Span(0, 4, "B"), Span(5, 9, "A")]),
        ("merged", [Span(0, 4, "A"), Span(5, 9, "A")], [Span(0, 9, "A")]),
        ("merged", [Span(0, 4, "A"), Span(5, 9, "B")], [Span(2, 7, "B")]),
    ],
)
def test_each_kind(kind, gold, predicted):
    assert list(mistakes_of(gold, predicted)) == [Mistake(kind, tuple(gold), tuple(predicted))]
    assert kind_counts([gold], [predicted]) == {**dict.fromkeys(KINDS, 0), kind: 1}


def test_mistakes_come_in_text_order_and_right_spans_are_none():
    gold = [Span(0, 5, "A"), Span(10, 15, "A"), Span(20, 25, "A")]
    predicted = [Span(10, 15, "A"), Span(20, 25, "B"), Span(30, 31, "B")]
    assert [mistake.kind for mistake in mistakes_of(gold, predicted)] == ["missed", "label", "spurious"]


def test_touching_spans_are_two_mistakes():
    assert [mistake.kind for mistake in mistakes_of([Span(0, 5, "A")], [Span(5, 9, "A")])] == ["missed", "spurious"]


def test_kinds_are_counted_over_documents():
    gold, predicted = [[Span(0, 5, "A")], [], [Span(0, 5, "A")]], [[], [Span(0, 5, "A")], []]
    assert kind_counts(gold, predicted) == {**dict.fromkeys(KINDS, 0), "missed": 2, "spurious": 1}


@settings(deadline=None)
@given(flat_spans(most=8), flat_spans(most=8))
def test_every_wrong_span_is_in_exactly_one_mistake_and_no_right_one_in_any(gold, predicted):
    mistakes = list(mistakes_of(gold, predicted))
    assert Counter(s for mistake in mistakes for s in mistake.gold) == Counter(set(gold) - set(predicted))
    assert Counter(s for mistake in mistakes for s in mistake.predicted) == Counter(set(predicted) - set(gold))


@settings(deadline=None)
@given(any_spans(most=8), any_spans(most=8))
def test_every_wrong_span_is_in_exactly_one_mistake_also_when_predictions_overlap(gold, predicted):
    mistakes = list(mistakes_of(gold, predicted))
    shown_gold, shown_predicted = (Counter(s for m in mistakes for s in getattr(m, side)) for side in ("gold", "predicted"))
    assert all(shown_gold[span] == 1 for span in set(gold) - set(predicted))
    assert all(shown_predicted[span] == 1 for span in set(predicted) - set(gold))
    assert all(mistake.kind in KINDS for mistake in mistakes)


def test_a_gold_span_that_was_found_is_not_called_split_when_another_prediction_overlaps_it():
    # Strictly: one right, one wrong, none missed. `split` would say that the gold span was not found.
    mistakes = list(mistakes_of([Span(0, 5, "A")], [Span(0, 5, "A"), Span(3, 8, "B")]))
    assert [mistake.gold for mistake in mistakes] == [()]
    assert [mistake.predicted for mistake in mistakes] == [(Span(3, 8, "B"),)]


@settings(deadline=None)
@given(flat_spans(), flat_spans())
def test_kinds_mean_what_they_say(gold, predicted):
    for mistake in mistakes_of(gold, predicted):
        sizes = len(mistake.gold), len(mistake.predicted)
        if mistake.kind in ("missed", "spurious"):
            assert sizes == ((1, 0) if mistake.kind == "missed" else (0, 1))
            continue
        assert all(any(share_a_character(span, other) for other in mistake.predicted) for span in mistake.gold)
        if mistake.kind in ("split", "merged"):
            assert (sizes[0] < sizes[1]) == (mistake.kind == "split")
            continue
        same_edges = [(s.start, s.end) for s in mistake.gold] == [(s.start, s.end) for s in mistake.predicted]
        same_labels = [s.label for s in mistake.gold] == [s.label for s in mistake.predicted]
        assert (
            mistake.kind
            == {(True, False): "label", (False, True): "boundary", (False, False): "label and boundary"}[same_edges, same_labels]
        )


def test_hand_computed_confusion():
    gold = [[Span(0, 5, "A"), Span(10, 15, "A"), Span(20, 25, "B")], [Span(0, 3, "B")]]
    predicted = [[Span(0, 5, "A"), Span(10, 14, "B"), Span(30, 31, "B")], []]
    assert confusion_table(gold, predicted, LABELS) == {"labels": ["A", "B", "none"], "counts": [[1, 1, 0], [0, 0, 2], [0, 1, 0]]}


@settings(deadline=None)
@given(loose_corpora)
def test_rows_of_the_confusion_sum_to_gold_and_columns_to_predictions(corpus):
    counts = confusion_table(*corpus, LABELS)["counts"]
    gold, predicted = (Counter(span.label for spans in side for span in spans) for side in corpus)
    for k, label in enumerate(LABELS):
        assert sum(counts[k]) == gold[label]
        assert sum(row[k] for row in counts) == predicted[label]
    assert counts[-1][-1] == 0


@settings(deadline=None)
@given(corpora)
def test_a_right_span_answers_itself(corpus):
    for gold, predicted in zip(*corpus, strict=True):
        assert {(span, span) for span in set(gold) & set(predicted)} <= set(confusion_pairs(gold, predicted))


@pytest.mark.parametrize("order", [1, -1])
def test_a_right_span_answers_itself_beside_the_same_words_with_another_label(order):
    gold, predicted = [Span(0, 5, "A")], [Span(0, 5, "A"), Span(0, 5, "B")]
    assert set(confusion_pairs(gold, predicted[::order])) == {(gold[0], gold[0]), (None, predicted[1])}


def test_the_same_place_answers_before_the_same_label_and_that_before_any_overlap():
    gold = [Span(0, 5, "A")]
    place, label, neither = Span(0, 5, "B"), Span(1, 5, "A"), Span(0, 6, "B")
    assert next(confusion_pairs(gold, [neither, label, place])) == (gold[0], place)
    assert next(confusion_pairs(gold, [neither, label])) == (gold[0], label)
    assert next(confusion_pairs(gold, [neither])) == (gold[0], neither)


def test_frequent_confusions_are_ranked_and_name_documents():
    documents = [
        *(annotate(f"t{k}", "The {Nordland  Army|ACTOR} moved") for k in range(4)),
        *(annotate(f"u{k}", "{rockets|WEAPON} flew") for k in range(2)),
        *(annotate(f"v{k}", "{guns|WEAPON} fired") for k in range(2)),
        annotate("w", "{Su-34|WEAPON} left"),
    ]
    predicted = [
        [Span(4, 12, "LOCATION")],  # `Nordland` for `Nordland  Army`
        [Span(4, 12, "LOCATION")],
        [Span(4, 12, "LOCATION")],
        [Span(4, 12, "LOCATION")],
        [],
        [],
        [],
        [],
        [Span(0, 5, "WEAPON", 0.4), Span(6, 10, "ACTOR")],  # right whatever its score, and a spurious `left`
    ]
    assert EXAMPLES == 3
    assert frequent_confusions(documents, predicted) == [
        {
            "gold": "ACTOR",
            "gold_words": "nordland army",
            "predicted": "LOCATION",
            "predicted_words": "nordland",
            "count": 4,
            "documents": ["t0", "t1", "t2"],
        },
        {"gold": "WEAPON", "gold_words": "guns", "predicted": "none", "predicted_words": "", "count": 2, "documents": ["v0", "v1"]},
        {"gold": "WEAPON", "gold_words": "rockets", "predicted": "none", "predicted_words": "", "count": 2, "documents": ["u0", "u1"]},
        {"gold": "none", "gold_words": "", "predicted": "ACTOR", "predicted_words": "left", "count": 1, "documents": ["w"]},
    ]


def test_a_document_is_named_once_however_often_it_errs():
    document = annotate("1", "{Guns|WEAPON} and {guns|WEAPON} and {GUNS|WEAPON}")
    (row,) = frequent_confusions([document], [[]])
    assert (row["count"], row["documents"]) == (3, ["1"])


def test_only_the_commonest_confusions_are_listed():
    documents = [Document(str(k), f"word{k:02}", (Span(0, 6, "A"),)) for k in range(MOST_FREQUENT + 5)]
    twice = Document("last", "word24 word24", (Span(0, 6, "A"), Span(7, 13, "A")))
    rows = frequent_confusions([*documents, twice], [[]] * (len(documents) + 1))
    assert [row["gold_words"] for row in rows] == ["word24", *(f"word{k:02}" for k in range(MOST_FREQUENT - 1))]
    assert rows[0]["count"] == 3


def test_nothing_wrong_is_no_confusion():
    document = annotate("1", "{guns|WEAPON}")
    assert frequent_confusions([document], [document.spans]) == []
