import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from conflict_ner.comparison import compare, over_runs
from conflict_ner.documents import Document, Span
from conflict_ner.scoring import FEWEST_DOCUMENTS, count_strict, strict_scores
from tests.spans import LABELS, any_spans, flat_spans

GOLD = (Span(0, 2, "A"), Span(3, 5, "A"), Span(6, 8, "B"))
DOCUMENTS = [Document(f"d{k}", "aa bb cc dd", GOLD) for k in range(40)]

systems = st.lists(st.tuples(flat_spans(), any_spans(), any_spans()), min_size=1, max_size=6)


def split(rows):
    documents = [Document(f"d{k}", "x" * 60, tuple(gold)) for k, (gold, _, _) in enumerate(rows)]
    return documents, [first for _, first, _ in rows], [second for _, _, second in rows]


def noisy(right, seed):
    """Predict each gold span with probability `right`."""
    generator = np.random.default_rng(seed)
    return [[span for span in document.spans if generator.random() < right] for document in DOCUMENTS]


def test_identical_systems_do_not_differ():
    found = noisy(0.7, 1)
    result = compare(DOCUMENTS, found, found, LABELS)
    assert result["documents"] == 40
    assert set(result["scores"]) == {"micro", *LABELS}
    for row in result["scores"].values():
        assert row["first_f1"] == row["second_f1"]
        assert (row["difference"], row["ci95"], row["p"]) == (0, [0, 0], 1)
    assert (result["won"], result["lost"], result["tied"]) == ([], [], 40)


def test_a_clearly_better_system_is_told_apart():
    better, worse = noisy(0.95, 1), noisy(0.5, 2)
    row = compare(DOCUMENTS, better, worse, LABELS)["scores"]["micro"]
    assert row["p"] < 0.01
    assert 0 < row["ci95"][0] < row["difference"] < row["ci95"][1]


def test_systems_as_good_as_each_other_are_not():
    row = compare(DOCUMENTS, noisy(0.7, 3), noisy(0.7, 4), LABELS)["scores"]["micro"]
    assert row["difference"] != 0
    assert row["p"] > 0.05
    assert row["ci95"][0] < 0 < row["ci95"][1]


def test_a_difference_in_one_label_shows_in_that_label():
    without_b = [[span for span in document.spans if span.label == "A"] for document in DOCUMENTS]
    rows = compare(DOCUMENTS, [document.spans for document in DOCUMENTS], without_b, LABELS)["scores"]
    assert (rows["A"]["difference"], rows["A"]["p"]) == (0, 1)
    assert (rows["B"]["difference"], rows["B"]["p"]) == (1, 1 / 1001)


@settings(deadline=None)
@given(systems)
def test_scores_are_those_of_each_system_alone(rows):
    documents, first, second = split(rows)
    result = compare(documents, first, second, LABELS)["scores"]
    gold = [document.spans for document in documents]
    for side, found in (("first_f1", first), ("second_f1", second)):
        alone = strict_scores(gold, found, LABELS)
        assert result["micro"][side] == alone["micro"]["f1"]
        for label in LABELS:
            assert result[label][side] == alone["per_label"][label]["f1"]
    assert all(row["difference"] == row["first_f1"] - row["second_f1"] for row in result.values())
    assert all(row["p"] is None if len(documents) < FEWEST_DOCUMENTS else 0 < row["p"] <= 1 for row in result.values())


@settings(deadline=None)
@given(systems)
def test_swapping_the_systems_turns_every_sign(rows):
    documents, first, second = split(rows)
    result, swapped = compare(documents, first, second, LABELS), compare(documents, second, first, LABELS)
    for name, row in result["scores"].items():
        other = swapped["scores"][name]
        assert other["difference"] == -row["difference"]
        assert other["p"] == row["p"]
        assert (row["ci95"] is None) == (other["ci95"] is None) == (len(documents) < FEWEST_DOCUMENTS)
        if row["ci95"]:
            assert other["ci95"] == pytest.approx([-row["ci95"][1], -row["ci95"][0]])
    assert (swapped["won"], swapped["lost"], swapped["tied"]) == (result["lost"], result["won"], result["tied"])


@settings(deadline=None)
@given(systems)
def test_every_document_is_won_lost_or_tied_by_right_spans_net_of_wrong_ones(rows):
    documents, first, second = split(rows)
    result = compare(documents, first, second, LABELS)

    def net(gold, found):
        right, wrong, _ = count_strict(gold, found, LABELS).sum(axis=0)
        return right - wrong

    margin = {document.id: net(document.spans, f) - net(document.spans, s) for document, f, s in zip(documents, first, second, strict=True)}
    assert set(result["won"]) == {name for name, value in margin.items() if value > 0}
    assert set(result["lost"]) == {name for name, value in margin.items() if value < 0}
    assert len(result["won"]) + len(result["lost"]) + result["tied"] == len(documents)
    for names in (result["won"], result["lost"]):
        assert [abs(margin[name]) for name in names] == sorted((abs(margin[name]) for name in names), reverse=True)


def test_the_clearest_win_is_named_first():
    first = [GOLD[:1], GOLD, (), GOLD[:2], GOLD[:1]]
    second = [(), (), GOLD, GOLD, GOLD[:1]]
    result = compare(DOCUMENTS[:5], first, second, LABELS)
    assert (result["won"], result["lost"], result["tied"]) == (["d1", "d0"], ["d2", "d3"], 1)


def test_wins_that_are_equally_clear_keep_the_order_of_documents():
    second = [() if k % 2 else GOLD[:2] for k in range(40)]
    won = compare(DOCUMENTS, [GOLD] * 40, second, LABELS)["won"]
    assert won == [f"d{k}" for k in range(1, 40, 2)] + [f"d{k}" for k in range(0, 40, 2)]


def test_p_and_interval_agree_with_resampling_documents_one_by_one():
    first, second = noisy(0.75, 5), noisy(0.6, 6)
    row = compare(DOCUMENTS, first, second, LABELS)["scores"]["micro"]
    counts = np.array(
        [[count_strict(d.spans, found, LABELS).sum(axis=0) for d, found in zip(DOCUMENTS, side, strict=True)] for side in (first, second)]
    )
    generator = np.random.default_rng(7)
    differences = []
    for _ in range(4000):
        tp, fp, fn = counts[:, generator.integers(0, 40, 40)].sum(axis=1).T
        f1 = 2 * tp / (2 * tp + fp + fn)
        differences.append(f1[0] - f1[1])
    as_far = np.abs(np.array(differences) - row["difference"]) >= abs(row["difference"])
    assert 0.001 < row["p"] < 0.5
    assert row["p"] == pytest.approx(as_far.mean(), abs=0.03)
    assert row["ci95"] == pytest.approx(list(np.quantile(differences, [0.025, 0.975])), abs=0.02)


def test_sides_of_different_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        compare(DOCUMENTS[:2], [[], []], [[]], LABELS)


def test_over_runs_by_hand():
    # stdev 0.02, t(0.975; 2) = 4.3027 from the table: reach 4.3027 * 0.02 / sqrt(3) = 0.04968
    result = over_runs([0.80, 0.82, 0.84])
    assert (result["runs"], result["mean"], result["stdev"]) == (3, pytest.approx(0.82), pytest.approx(0.02))
    assert result["ci95"] == pytest.approx([0.77032, 0.86968], abs=1e-5)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8, unique_by=lambda figure: round(figure, 3)))
def test_over_runs_agrees_with_scipy(figures):
    result = over_runs(figures)
    low, high = stats.t.interval(0.95, len(figures) - 1, loc=np.mean(figures), scale=stats.sem(figures))
    assert result["ci95"] == pytest.approx([low, high])
    assert result["stdev"] == pytest.approx(np.std(figures, ddof=1))


def test_one_run_has_no_spread_and_equal_runs_have_none_to_speak_of():
    assert over_runs([0.8]) == {"runs": 1, "mean": 0.8, "stdev": None, "ci95": None}
    assert over_runs([0.5, 0.5, 0.5]) == {"runs": 3, "mean": 0.5, "stdev": 0, "ci95": [0.5, 0.5]}


def test_a_handful_of_documents_is_no_test():
    documents = [Document(str(k), "Raqqa fell", (Span(0, 5, "A"),)) for k in range(FEWEST_DOCUMENTS - 1)]
    row = compare(documents, [d.spans for d in documents], [()] * len(documents), ("A",))["scores"]["micro"]
    assert (row["difference"], row["ci95"], row["p"]) == (1.0, None, None)
