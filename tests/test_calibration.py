import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conflict_ner.calibration import BINS, THRESHOLDS, calibration, reliability_bins, scored_spans
from conflict_ner.documents import Span
from conflict_ner.scoring import strict_scores

RIGHT, WRONG = Span(0, 1, "A"), Span(5, 6, "A")


def corpus(*scored):
    """Build gold and predictions, one document per (score, right): the gold span is found, or another one is predicted."""
    spans = [RIGHT if right else WRONG for _, right in scored]
    return [[RIGHT]] * len(scored), [[Span(s.start, s.end, s.label, score)] for s, (score, _) in zip(spans, scored, strict=True)]


scored_lists = st.lists(st.tuples(st.integers(0, 10_000).map(lambda k: k / 10_000), st.booleans()), min_size=1, max_size=40)


def test_scores_that_mean_what_they_say_are_calibrated():
    generator = np.random.default_rng(1)
    scores = generator.random(5000)
    result = calibration(*corpus(*zip(scores.tolist(), (generator.random(5000) < scores).tolist(), strict=True)))
    assert result["spans"] == 5000
    assert result["ece"] < 0.03
    assert result["brier"] == pytest.approx(1 / 6, abs=0.01)  # the mean of s (1 - s) for s uniform
    assert result["mean_score"] == pytest.approx(result["precision"], abs=0.02)


def test_overconfident_scores_by_hand():
    result = calibration(*corpus((0.95, True), (0.95, False), (0.95, False), (0.95, False), (0.55, True)))
    assert result["mean_score"] == pytest.approx(0.87)
    assert result["precision"] == pytest.approx(2 / 5)
    # four spans claim 0.95 and keep 0.25, one claims 0.55 and keeps 1
    assert result["ece"] == pytest.approx((4 * 0.70 + 0.45) / 5)
    assert result["brier"] == pytest.approx((0.05**2 + 3 * 0.95**2 + 0.45**2) / 5)
    assert result["bins"] == [
        {"low": 0.5, "high": 0.6, "spans": 1, "score": pytest.approx(0.55), "precision": 1},
        {"low": 0.9, "high": 1.0, "spans": 4, "score": pytest.approx(0.95), "precision": 0.25},
    ]


def test_a_certain_score_falls_into_the_last_bin_and_an_impossible_one_into_the_first():
    bins = calibration(*corpus((1.0, True), (0.0, False), (0.99, True)))["bins"]
    assert [(row["low"], row["high"], row["spans"]) for row in bins] == [(0, 0.1, 1), (0.9, 1, 2)]


@settings(deadline=None)
@given(scored_lists)
def test_bins_hold_every_span_once_between_their_edges(scored):
    bins = reliability_bins(*scored_spans(*corpus(*scored)))
    assert sum(row["spans"] for row in bins) == len(scored)
    assert len(bins) <= BINS
    for row in bins:
        assert row["low"] - 1e-9 <= row["score"] <= row["high"] + 1e-9
    assert sum(row["spans"] * row["precision"] for row in bins) == pytest.approx(sum(right for _, right in scored))


@settings(deadline=None)
@given(scored_lists)
def test_ece_is_within_what_mean_and_worst_case_allow(scored):
    result = calibration(*corpus(*scored))
    assert abs(result["mean_score"] - result["precision"]) - 1e-9 <= result["ece"] <= 1


@settings(deadline=None)
@given(scored_lists)
def test_a_higher_threshold_never_finds_more(scored):
    recalls = [row["recall"] for row in calibration(*corpus(*scored))["thresholds"]]
    assert recalls == sorted(recalls, reverse=True)


@settings(deadline=None)
@given(scored_lists)
def test_a_threshold_scores_as_the_spans_that_reach_it(scored):
    gold, predicted = corpus(*scored)
    rows = calibration(gold, predicted)["thresholds"]
    assert [row["min_score"] for row in rows] == list(THRESHOLDS)
    for row in rows[::3]:
        kept = [[span for span in spans if span.score >= row["min_score"]] for spans in predicted]
        micro = strict_scores(gold, kept, "A")["micro"]
        assert row["spans"] == sum(map(len, kept))
        assert {**row, "precision": row["precision"] or 0.0} == pytest.approx(
            {"min_score": row["min_score"], "spans": row["spans"], **{name: micro[name] for name in ("precision", "recall", "f1")}}
        )


def test_thresholds_by_hand():
    # gold: three spans in three documents, and a fourth that nobody predicted
    gold, predicted = corpus((0.9, True), (0.7, False), (0.5, True))
    rows = {row["min_score"]: row for row in calibration([*gold, [RIGHT]], [*predicted, []])["thresholds"]}
    assert rows[0.0] == {"min_score": 0.0, "spans": 3, "precision": 2 / 3, "recall": 2 / 4, "f1": pytest.approx(4 / 7)}
    assert rows[0.6] == {"min_score": 0.6, "spans": 2, "precision": 1 / 2, "recall": 1 / 4, "f1": pytest.approx(2 / 6)}
    assert rows[0.9] == {"min_score": 0.9, "spans": 1, "precision": 1, "recall": 1 / 4, "f1": pytest.approx(2 / 5)}
    assert rows[0.95] == {"min_score": 0.95, "spans": 0, "precision": None, "recall": 0, "f1": 0}


def test_without_scores_there_is_nothing_to_calibrate():
    assert calibration([[RIGHT]], [[RIGHT]]) is None
    assert calibration([[RIGHT]], [[]]) is None
    assert calibration([], []) is None


def test_spans_without_a_score_are_left_out():
    scores, right = scored_spans([[RIGHT, WRONG]], [[RIGHT, Span(5, 6, "A", 0.3), Span(8, 9, "A", 0.2)]])
    assert scores.tolist() == [0.3, 0.2]
    assert right.tolist() == [True, False]


def test_a_wrong_label_or_another_document_is_not_right():
    _, right = scored_spans([[RIGHT], []], [[Span(0, 1, "B", 0.9)], [Span(0, 1, "A", 0.9)]])
    assert right.tolist() == [False, False]


def test_sides_of_different_length_are_refused():
    with pytest.raises(ValueError, match="longer"):
        calibration([[]], [[], []])
