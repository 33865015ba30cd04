from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conflict_ner.documents import Span
from conflict_ner.matching import any_overlap, clusters, overlaps, pair_up, same_boundaries, same_label, strict
from tests.spans import any_spans, flat_spans, share_a_character

RULES = (strict, same_boundaries, same_label, any_overlap)


def shared(gold, predicted):
    return min(gold.end, predicted.end) - max(gold.start, predicted.start)


def best_by_trying_all(gold, predicted, rule):
    """Return (pairs, characters shared) of the best one-to-one pairing."""
    if not gold:
        return 0, 0
    first, *others = gold
    best = best_by_trying_all(others, predicted, rule)
    for number, candidate in enumerate(predicted):
        if share_a_character(first, candidate) and rule(first, candidate):
            pairs, characters = best_by_trying_all(others, predicted[:number] + predicted[number + 1 :], rule)
            best = max(best, (pairs + 1, characters + shared(first, candidate)))
    return best


@settings(deadline=None)
@given(any_spans(most=8), any_spans(most=8), st.lists(st.sampled_from(RULES), min_size=1))
def test_pairs_are_one_to_one_and_obey_a_rule(gold, predicted, rules):
    pairs = pair_up(gold, predicted, *rules)
    answered, used = [g for g, _ in pairs], [p for _, p in pairs]
    assert len(set(answered)) == len(answered)
    assert len(set(used)) == len(used)
    assert set(answered) <= set(gold)
    assert set(used) <= set(predicted)
    assert all(share_a_character(g, p) and any(rule(g, p) for rule in rules) for g, p in pairs)


@settings(deadline=None)
@given(flat_spans(), any_spans())
def test_pairs_come_in_the_order_of_gold(gold, predicted):
    answered = [g for g, _ in pair_up(gold, predicted, strict, any_overlap)]
    assert answered == sorted(answered)


@settings(deadline=None)
@given(any_spans(), any_spans(), st.sampled_from((same_label, any_overlap)))
def test_an_exact_match_is_never_lost_to_an_overlap(gold, predicted, later):
    pairs = pair_up(gold, predicted, strict, later)
    assert {(span, span) for span in set(gold) & set(predicted)} <= set(pairs)


def test_an_earlier_and_longer_overlap_steals_nothing():
    gold, predicted = [Span(5, 8, "A")], [Span(0, 20, "A"), Span(5, 8, "A")]
    assert pair_up(gold, predicted, strict, same_label) == [(gold[0], predicted[1])]
    assert pair_up(predicted, gold, strict, same_label) == [(predicted[1], gold[0])]


sides = st.one_of(st.tuples(any_spans(), any_spans()), st.tuples(flat_spans(most=5), flat_spans(most=5)))


@settings(deadline=None)
@given(sides, st.sampled_from(RULES))
def test_one_rule_makes_as_many_pairs_as_possible_and_of_those_the_closest(sides, rule):
    pairs = pair_up(*sides, rule)
    assert (len(pairs), sum(shared(*pair) for pair in pairs)) == best_by_trying_all(*sides, rule)


@settings(deadline=None)
@given(any_spans(), any_spans())
def test_a_later_rule_makes_as_many_pairs_as_the_earlier_one_left_possible(gold, predicted):
    first = pair_up(gold, predicted, strict)
    free_gold = [g for g in gold if g not in predicted]
    free_predicted = [p for p in predicted if p not in gold]
    pairs = pair_up(gold, predicted, strict, any_overlap)
    assert len(pairs) == len(first) + best_by_trying_all(free_gold, free_predicted, any_overlap)[0]


def test_more_pairs_go_before_a_larger_overlap():
    gold, predicted = [Span(0, 2, "A"), Span(3, 12, "A")], [Span(1, 9, "A"), Span(9, 12, "A")]
    # 1-9 shares six characters with 3-12 and only one with 0-2; taking the six would leave 0-2 without an answer.
    assert pair_up(gold, predicted, same_label) == list(zip(gold, predicted, strict=True))


@settings(deadline=None)
@given(any_spans(), any_spans(), st.randoms(use_true_random=False))
def test_the_number_of_pairs_depends_on_no_order(gold, predicted, random):
    mixed_gold, mixed_predicted = random.sample(gold, len(gold)), random.sample(predicted, len(predicted))
    assert len(pair_up(gold, predicted, strict, same_label)) == len(pair_up(mixed_gold, mixed_predicted, strict, same_label))


@settings(deadline=None)
@given(any_spans(most=10), any_spans(most=10))
def test_overlaps_are_all_pairs_that_share_a_character(gold, predicted):
    expected = [(i, k) for i, g in enumerate(gold) for k, p in enumerate(predicted) if share_a_character(g, p)]
    assert sorted(overlaps(gold, predicted)) == expected


def test_touching_spans_do_not_overlap():
    assert overlaps([Span(0, 3, "A")], [Span(3, 5, "A")]) == []
    assert clusters([Span(0, 3, "A")], [Span(3, 5, "A")]) == [([Span(0, 3, "A")], []), ([], [Span(3, 5, "A")])]


def test_a_long_prediction_far_to_the_left_is_found_behind_short_ones():
    predicted = [Span(0, 100, "A"), *(Span(k, k + 1, "A") for k in range(1, 90))]
    assert overlaps([Span(95, 99, "A")], predicted) == [(0, 0)]


def connected(gold, predicted):
    """Return the connected groups of (side, span) by merging whatever touches until nothing does."""
    groups = [{(side, span)} for side, spans in enumerate((gold, predicted)) for span in spans]
    merged = True
    while merged:
        merged = False
        for left in groups:
            for right in groups:
                if left is not right and any(share_a_character(a, b) for _, a in left for _, b in right):
                    left |= right
                    groups = [group for group in groups if group is not right]
                    merged = True
                    break
            if merged:
                break
    return sorted(sorted(group) for group in groups)


@settings(deadline=None)
@given(any_spans(), any_spans())
def test_clusters_hold_every_span_once_and_are_what_overlap_connects(gold, predicted):
    groups = clusters(gold, predicted)
    assert sorted(span for group, _ in groups for span in group) == sorted(gold)
    assert sorted(span for _, group in groups for span in group) == sorted(predicted)
    assert sorted(sorted([(0, s) for s in g] + [(1, s) for s in p]) for g, p in groups) == connected(gold, predicted)


@settings(deadline=None)
@given(any_spans(), any_spans())
def test_clusters_come_in_text_order(gold, predicted):
    edges = [(min(s.start for s in (*g, *p)), max(s.end for s in (*g, *p))) for g, p in clusters(gold, predicted)]
    assert all(left[1] <= right[0] for left, right in pairwise(edges))


@pytest.mark.parametrize(("gold", "predicted"), [([], []), ([Span(0, 1, "A")], []), ([], [Span(0, 1, "A")])])
def test_an_empty_side_pairs_with_nothing(gold, predicted):
    assert pair_up(gold, predicted, *RULES) == []
    assert len(clusters(gold, predicted)) == len(gold) + len(predicted)
