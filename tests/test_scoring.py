import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nervaluate import Evaluator
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from conflict_ner import scoring
from conflict_ner.documents import Span
from conflict_ner.matching import overlaps
from conflict_ner.scoring import (
    Counts,
    bootstrap_f1_interval,
    count_schemes,
    resampled_f1,
    scheme_scores,
    score_counts,
    shown_interval,
    strict_scores,
    wilson_interval,
)
from tests.spans import LABELS, any_spans, flat_spans

SCHEMES = ("strict", "exact", "partial", "overlap")


def figures(entry):
    return {name: value for name, value in entry.items() if name != "ci95"}


def test_hand_computed_table():
    gold = [[Span(0, 2, "A"), Span(3, 5, "B")], [Span(0, 1, "A")], []]
    predicted = [[Span(0, 2, "A"), Span(3, 4, "B")], [Span(0, 1, "B")], [Span(5, 6, "A")]]
    scores = strict_scores(gold, predicted, LABELS)
    # A: tp 1, fp 1 (5-6), fn 1 (0-1); B: tp 0, fp 2, fn 1
    assert scores["documents"] == 3
    assert figures(scores["per_label"]["A"]) == {"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "support": 2}
    assert figures(scores["per_label"]["B"]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert scores["micro"]["precision"] == 1 / 4
    assert scores["micro"]["recall"] == 1 / 3
    assert scores["micro"]["f1"] == pytest.approx(2 / 7)
    assert scores["macro"]["f1"] == 1 / 4


GOLD = [
    [Span(0, 5, "A"), Span(6, 10, "A"), Span(12, 15, "B"), Span(20, 24, "B")],
    [Span(0, 3, "A")],
    [Span(0, 4, "B"), Span(5, 8, "B")],
]
PREDICTED = [
    # right, boundary, label, boundary, spurious
    [Span(0, 5, "A"), Span(6, 9, "A"), Span(12, 15, "A"), Span(22, 26, "B"), Span(30, 33, "B")],
    [Span(40, 41, "A")],
    [Span(0, 4, "A"), Span(5, 8, "A")],
]
# 7 gold spans (A 3, B 4), 8 predicted (A 6, B 2): what each scheme gives credit for.
CREDIT = {
    "strict": {"A": 1, "B": 0, "micro": 1},
    "exact": {"micro": 4},  # 0-5, 12-15, and both of the third document
    "partial": {"A": 1.5, "B": 0.5, "micro": 2},
    "overlap": {"A": 2, "B": 1, "micro": 3},
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_hand_computed_table_of_every_scheme(scheme):
    scores = scheme_scores(GOLD, PREDICTED, LABELS)[scheme]
    predicted, gold = {"A": 6, "B": 2, "micro": 8}, {"A": 3, "B": 4, "micro": 7}
    entries = {"micro": scores["micro"], **scores.get("per_label", {})}
    assert set(entries) == set(CREDIT[scheme])
    for name, credit in CREDIT[scheme].items():
        expected = {"precision": credit / predicted[name], "recall": credit / gold[name], "f1": 2 * credit / (predicted[name] + gold[name])}
        assert figures(entries[name]) == pytest.approx({**expected, "support": gold[name]})
    if scheme == "exact":
        assert "macro" not in scores
    else:
        for name in ("precision", "recall", "f1"):
            assert scores["macro"][name] == pytest.approx((entries["A"][name] + entries["B"][name]) / 2)


def test_every_f1_has_its_interval():
    for scores in scheme_scores(GOLD, PREDICTED, LABELS).values():
        for entry in [scores["micro"], *scores.get("per_label", {}).values(), *([scores["macro"]] if "macro" in scores else [])]:
            low, high = entry["ci95"]
            assert 0 <= low <= high <= 1


@settings(deadline=None)
@given(any_spans(), any_spans())
def test_a_milder_scheme_never_gives_less_credit_and_no_count_is_negative(gold, predicted):
    counts = count_schemes(gold, predicted, LABELS)
    assert (counts["strict"][:, 0] <= counts["partial"][:, 0]).all()
    assert (counts["partial"][:, 0] <= counts["overlap"][:, 0]).all()
    assert counts["strict"][:, 0].sum() <= counts["exact"][0, 0]
    for scheme in SCHEMES:
        assert (counts[scheme] >= 0).all()
        assert counts[scheme][:, [0, 1]].sum() == len(predicted)
        assert counts[scheme][:, [0, 2]].sum() == len(gold)


@settings(deadline=None)
@given(any_spans(), any_spans(), st.randoms(use_true_random=False))
def test_no_scheme_depends_on_the_order_of_spans(gold, predicted, random):
    counts = count_schemes(gold, predicted, LABELS)
    mixed = count_schemes(random.sample(gold, len(gold)), random.sample(predicted, len(predicted)), LABELS)
    for scheme in SCHEMES:
        assert np.array_equal(counts[scheme], mixed[scheme])


@pytest.mark.parametrize("order", [1, -1])
def test_an_exact_match_gets_full_credit_beside_a_longer_prediction(order):
    counts = count_schemes([Span(5, 8, "A")], [Span(0, 20, "A"), Span(5, 8, "A")][::order], "A")
    assert {scheme: counts[scheme].tolist() for scheme in SCHEMES} == {scheme: [[1, 1, 0]] for scheme in SCHEMES}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_span_predicted_twice_counts_once(scheme):
    gold, once = [Span(0, 5, "A"), Span(5, 10, "A")], [Span(0, 10, "A")]
    assert np.array_equal(count_schemes(gold, once * 2, LABELS)[scheme], count_schemes(gold, once, LABELS)[scheme])


def random_tags(generator: random.Random, length: int) -> list[str]:
    tags, label = [], None
    for _ in range(length):
        choice = generator.random()
        if choice < 0.4:
            label = None
        elif choice < 0.75 or label is None:
            label = generator.choice(LABELS)
            tags.append(f"B-{label}")
            continue
        tags.append("O" if label is None else f"I-{label}")
    return tags


def spans_of(tags: list[str]) -> list[Span]:
    spans: list[Span] = []
    for position, tag in enumerate(tags):
        if tag.startswith("B-"):
            spans.append(Span(position, position + 1, tag[2:]))
        elif tag.startswith("I-"):
            spans[-1] = Span(spans[-1].start, position + 1, tag[2:])
    return spans


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_agrees_with_seqeval_strict_iob2(seed):
    generator = random.Random(seed)
    lengths = [generator.randint(1, 12) for _ in range(6)]
    gold = [["B-A", *random_tags(generator, n)] for n in lengths]
    predicted = [["B-A" if generator.random() < 0.5 else "O", *random_tags(generator, n)] for n in lengths]
    predicted = [[t if not t.startswith("I-") or tags[k - 1][2:] == t[2:] else "O" for k, t in enumerate(tags)] for tags in predicted]
    predicted = [[tags[0], *("O" if t.startswith("I-") and tags[k][0] == "O" else t for k, t in enumerate(tags[1:]))] for tags in predicted]
    oracle = classification_report(gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    ours = strict_scores([spans_of(t) for t in gold], [spans_of(t) for t in predicted], LABELS)
    for name, oracle_name in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
        assert ours["micro"][name] == pytest.approx(oracle["micro avg"][oracle_name])
        assert ours["macro"][name] == pytest.approx(oracle["macro avg"][oracle_name])
        for label in set(LABELS) & set(oracle):
            assert ours["per_label"][label][name] == pytest.approx(oracle[label][oracle_name])


def nervaluate(gold, predicted, labels):
    """Return nervaluate's result of every scheme, overall and by label; it counts the last character in."""

    def rows(documents):
        return [[{"label": s.label, "start": s.start, "end": s.end - 1} for s in spans] for spans in documents]

    results = Evaluator(rows(gold), rows(predicted), list(labels), loader="dict").evaluate()
    return results["overall"], results["entities"]


def agree(ours, theirs):
    return figures(ours) == pytest.approx(
        {name: getattr(theirs, name) for name in ("precision", "recall", "f1")} | {"support": theirs.possible}
    )


corpora = st.lists(st.tuples(flat_spans(), flat_spans()), min_size=1, max_size=4).map(lambda pairs: tuple(zip(*pairs, strict=True)))


@settings(deadline=None)
@given(corpora)
def test_strict_and_exact_agree_with_nervaluate_on_flat_spans(corpus):
    ours, (theirs, _) = scheme_scores(*corpus, LABELS), nervaluate(*corpus, LABELS)
    assert agree(ours["strict"]["micro"], theirs["strict"])
    assert agree(ours["exact"]["micro"], theirs["exact"])


@settings(deadline=None)
@given(corpora)
def test_partial_agrees_with_nervaluate_label_by_label(corpus):
    # Its overall `partial` ignores labels; by label it sees the spans of that label alone, as ours does. Between flat spans in text
    # order, taking the first free overlap is as good as any other choice.
    ours, (_, theirs) = scheme_scores(*corpus, LABELS)["partial"]["per_label"], nervaluate(*corpus, LABELS)
    for label, results in theirs.items():
        assert agree(ours[label], results["partial"])


@settings(deadline=None)
@given(st.lists(st.tuples(flat_spans("A"), flat_spans("A")), min_size=1, max_size=4))
def test_partial_agrees_with_nervaluate_when_there_is_one_label(pairs):
    corpus = tuple(zip(*pairs, strict=True))
    assert agree(scheme_scores(*corpus, "A")["partial"]["micro"], nervaluate(*corpus, "A")[0]["partial"])


def without_rivals(gold, predicted):
    """Leave out all spans that meet more than one on the other side, and those they meet."""
    meet = overlaps(gold, predicted)
    lone = [(g, p) for g, p in meet if sum(g == i for i, _ in meet) == sum(p == k for _, k in meet) == 1]
    rival_gold, rival_predicted = ({pair[side] for pair in meet} - {pair[side] for pair in lone} for side in (0, 1))
    return [s for k, s in enumerate(gold) if k not in rival_gold], [s for k, s in enumerate(predicted) if k not in rival_predicted]


@settings(deadline=None)
@given(corpora)
def test_overlap_agrees_with_nervaluate_ent_type_where_no_span_has_two_candidates(corpus):
    gold, predicted = zip(*(without_rivals(g, p) for g, p in zip(*corpus, strict=True)), strict=True)
    assert agree(scheme_scores(gold, predicted, LABELS)["overlap"]["micro"], nervaluate(gold, predicted, LABELS)[0]["ent_type"])


@settings(deadline=None)
@given(corpora)
def test_nervaluate_ent_type_never_finds_more_than_overlap(corpus):
    assert nervaluate(*corpus, LABELS)[0]["ent_type"].correct <= sum(
        count_schemes(g, p, LABELS)["overlap"][:, 0].sum() for g, p in zip(*corpus, strict=True)
    )


@pytest.mark.parametrize(
    ("scheme", "theirs", "gold", "predicted", "right"),
    [
        # A wrong label that overlaps earlier uses the gold span up: `Nordland` LOCATION, `army` ACTOR for `Nordland army` ACTOR.
        ("overlap", "ent_type", [Span(0, 13, "A")], [Span(0, 8, "B"), Span(9, 13, "A")], 1),
        # The closer gold span (3-10) is taken first, and the second prediction, which meets no other, is left without.
        ("overlap", "ent_type", [Span(0, 2, "A"), Span(3, 10, "A")], [Span(1, 8, "A"), Span(8, 12, "A")], 2),
        # Predictions that overlap one another: the earlier one steals the exact match of the later.
        ("strict", "strict", [Span(0, 13, "A")], [Span(0, 8, "A"), Span(0, 13, "A")], 1),
        ("exact", "exact", [Span(0, 13, "A")], [Span(0, 8, "A"), Span(0, 13, "A")], 1),
        ("partial", "partial", [Span(0, 13, "A")], [Span(0, 8, "A"), Span(0, 13, "A")], 1),
    ],
)
def test_nervaluate_gives_less_when_an_earlier_overlap_steals_a_match_and_more_in_reverse_order(scheme, theirs, gold, predicted, right):
    # nervaluate 1.2.1 walks through the predictions once and never takes a pairing back, so the order of a list decides the score.
    f1 = 2 * right / (len(gold) + len(predicted))
    assert nervaluate([gold], [predicted], LABELS)[0][theirs].f1 < f1
    assert nervaluate([gold], [predicted[::-1]], LABELS)[0][theirs].f1 == pytest.approx(f1)
    for order in (predicted, predicted[::-1]):
        assert scheme_scores([gold], [order], LABELS)[scheme]["micro"]["f1"] == pytest.approx(f1)


def test_nervaluate_overlooks_an_overlap_of_less_than_one_percent_of_the_gold_span():
    gold, predicted = [[Span(0, 201, "A")]], [[Span(0, 2, "A")]]
    assert nervaluate(gold, predicted, "A")[0]["ent_type"].f1 == 0
    assert scheme_scores(gold, predicted, "A")["overlap"]["micro"]["f1"] == 1


def test_nervaluate_partial_ignores_labels_and_ours_does_not():
    gold, predicted = [[Span(0, 5, "A")]], [[Span(0, 5, "B")]]
    assert nervaluate(gold, predicted, LABELS)[0]["partial"].f1 == 1
    assert scheme_scores(gold, predicted, LABELS)["partial"]["micro"]["f1"] == 0


def test_nothing_and_empty_gold_are_zero_not_an_error():
    assert Counts().f1 == 0.0
    assert strict_scores([[]], [[]], LABELS)["micro"]["f1"] == 0.0
    assert strict_scores([[]], [[Span(0, 1, "A")]], LABELS)["micro"]["precision"] == 0.0


@pytest.mark.parametrize("scores", [scheme_scores, strict_scores])
@pytest.mark.parametrize("sides", [([[Span(0, 1, "X")]], [[]]), ([[]], [[Span(0, 1, "X")]])], ids=["gold", "predicted"])
def test_unknown_labels_are_an_error_of_ours(scores, sides):
    with pytest.raises(ValueError, match="label 'X', which is outside the set A, B"):
        scores(*sides, LABELS)


@pytest.mark.parametrize("scores", [scheme_scores, strict_scores])
def test_sides_of_different_length_are_refused(scores):
    with pytest.raises(ValueError, match="shorter"):
        scores([[], []], [[]], LABELS)


def test_interval_holds_the_score_is_repeatable_and_narrows_with_documents():
    generator = np.random.default_rng(1)
    counts = generator.integers(0, 5, (400, 3))
    tp, fp, fn = counts.sum(axis=0)
    low, high = bootstrap_f1_interval(counts)
    assert low < 2 * tp / (2 * tp + fp + fn) < high
    assert [low, high] == bootstrap_f1_interval(counts)
    few_low, few_high = bootstrap_f1_interval(counts[:20])
    assert few_high - few_low > high - low


def test_wilson_interval_against_published_values():
    # Newcombe 1998, table I: 81 of 263 and 0 of 20
    assert wilson_interval(81, 263) == pytest.approx([0.2553, 0.3662], abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx([0.0, 0.1611], abs=1e-4)


def test_interval_agrees_with_resampling_documents_one_by_one():
    counts = np.random.default_rng(2).integers(0, 6, (60, 3))
    generator = np.random.default_rng(3)
    f1 = []
    for _ in range(4000):
        tp, fp, fn = counts[generator.integers(0, 60, 60)].sum(axis=0)
        f1.append(2 * tp / (2 * tp + fp + fn))
    assert bootstrap_f1_interval(counts, samples=4000) == pytest.approx(list(np.quantile(f1, [0.025, 0.975])), abs=0.01)


def test_the_bootstrap_of_a_matrix_is_the_bootstrap_of_each_column_alone():
    counts = np.random.default_rng(4).integers(0, 9, (50, 4, 3)) / 2  # halves, as partial credit makes them
    together = resampled_f1(counts)
    assert together.shape == (1000, 4)
    for column in range(4):
        assert np.array_equal(together[:, column], resampled_f1(counts[:, column]))
    scores = score_counts(counts, "ABCD")
    for column, label in enumerate("ABCD"):
        assert scores["per_label"][label]["ci95"] == bootstrap_f1_interval(counts[:, column])
    assert scores["micro"]["ci95"] == bootstrap_f1_interval(counts.sum(axis=1))


def test_the_macro_interval_contains_macro_and_lies_within_the_spread_of_labels():
    counts = np.random.default_rng(5).integers(0, 5, (300, 3, 3)).astype(float)
    counts[:, 0, 1:] = 0  # one label is always right: macro is no micro
    scores = score_counts(counts, "ABC")
    low, high = scores["macro"]["ci95"]
    assert low < scores["macro"]["f1"] < high
    assert not low < scores["micro"]["f1"] < high
    assert high < scores["per_label"]["A"]["ci95"][0] == 1


def test_the_macro_interval_contains_macro_when_labels_are_rare():
    # Twelve documents, each with its own label, all right: a draw that misses a document says nothing about its label.
    labels = [f"L{number}" for number in range(12)]
    spans = [[Span(0, 1, label)] for label in labels]
    macro = strict_scores(spans, spans, labels)["macro"]
    assert macro["f1"] == 1
    assert macro["ci95"][1] == 1


def test_a_label_that_never_occurs_takes_no_part_in_macro():
    spans = [[Span(0, 1, "A")] for _ in range(20)]
    scores = strict_scores(spans, spans, LABELS)
    assert scores["macro"] == {"precision": 1, "recall": 1, "f1": 1, "ci95": [1, 1]}
    assert figures(scores["per_label"]["B"]) == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


@pytest.mark.parametrize(("score", "documents"), [(strict_scores, 10_000), (scheme_scores, 100)])
def test_no_document_is_scored_twice_however_often_it_is_drawn(monkeypatch, score, documents):
    calls = []
    real = scoring.count_strict
    monkeypatch.setattr(scoring, "count_strict", lambda *sides: calls.append(sides) or real(*sides))
    gold = [[Span(0, 2, "A"), Span(3, 5, "B")]] * documents
    predicted = [[Span(0, 2, "A")], [Span(3, 5, "A")]] * (documents // 2)
    scores = score(gold, predicted, LABELS)
    micro = scores.get("strict", scores)["micro"]
    assert len(calls) == documents
    assert micro["f1"] == pytest.approx(1 / 3)  # tp 1/2, fp 1/2, fn 3/2 a document
    assert micro["ci95"][0] < 1 / 3 < micro["ci95"][1]


def test_no_interval_is_shown_for_a_handful_of_documents():
    spans = [[Span(0, 1, "A")]] * 10
    assert shown_interval(strict_scores(spans[:9], spans[:9], LABELS)) == "9 documents: no interval"
    assert shown_interval(strict_scores(spans, spans, LABELS)) == "1.000–1.000"
