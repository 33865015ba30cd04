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


@given(any_spans(), any_spans(), st.randoms(use_true_random=False))
def test_no_scheme_depends_on_the_order_of_spans(gold, predicted, random):
    counts = count_schemes(gold, predicted, LABELS)
    mixed = count_schemes(random.sample(gold, len(gold)), random.sample(predicted, len(predicted)), LABELS)
    for scheme in SCHEMES:
        assert np.array_equal(counts[scheme], mixed[scheme])


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


def test_nothing_and_empty_gold_are_zero_not_an_error():
    assert Counts().f1 == 0.0
    assert strict_scores([[]], [[]], LABELS)["micro"]["f1"] == 0.0
    assert strict_scores([[]], [[Span(0, 1, "A")]], LABELS)["micro"]["precision"] == 0.0


def test_unknown_labels_are_an_error_of_ours():
    with pytest.raises(ValueError, match="outside the set"):
        strict_scores([[Span(0, 1, "X")]], [[]], LABELS)


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
