import itertools
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conflict_ner.decoding import UNIT, decode, units_of, viterbi
from conflict_ner.documents import Span, trim
from conflict_ner.labels import LabelSet
from conflict_ner.windows import tokenize
from tests.conftest import FAMILIES, build_tokenizer

LABELS = LabelSet(("ACTOR", "WEAPON"))
NUM_TAGS = len(LABELS.tags)
TOKENIZERS = {family: build_tokenizer(family).backend_tokenizer for family in FAMILIES}


def legal(path):
    return all(tag % 2 or not tag or (before + 1 == tag or before == tag) for before, tag in itertools.pairwise([0, *path]))


@given(st.integers(1, 4), st.integers(0, 10_000))
def test_viterbi_finds_the_best_legal_path(length, seed):
    scores = np.random.default_rng(seed).normal(size=(length, NUM_TAGS))
    best = max(
        (p for p in itertools.product(range(NUM_TAGS), repeat=length) if legal(p)), key=lambda p: sum(scores[k, t] for k, t in enumerate(p))
    )
    assert tuple(viterbi(scores)) == best


@given(st.integers(1, 60), st.integers(0, 10_000))
def test_viterbi_changes_no_legal_path_and_leaves_no_illegal_one(length, seed):
    random = np.random.default_rng(seed)
    scores = random.normal(size=(length, NUM_TAGS))
    assert legal(viterbi(scores).tolist())
    best = viterbi(scores)
    certain = np.where(np.arange(NUM_TAGS) == best[:, None], 0.0, -50.0)
    assert viterbi(certain).tolist() == best.tolist()


def test_viterbi_of_nothing():
    assert viterbi(np.zeros((0, NUM_TAGS))).tolist() == []


def sure(text, offsets, mentions):
    """Log-probabilities of a model that is certain of `mentions` (start, end, label), sub-token by sub-token."""
    probabilities = np.full((len(offsets), NUM_TAGS), 0.01)
    for row, (start, end) in enumerate(offsets):
        start += len(text[start:end]) - len(text[start:end].lstrip())
        tag = 0
        for mention_start, mention_end, label in mentions:
            if mention_start <= start < mention_end:
                tag = LABELS.begin_id(label) + (0 if start == mention_start else 1)
        probabilities[row, tag] = 1 - 0.01 * (NUM_TAGS - 1)
    return np.log(probabilities)


DESIGNATORS = [
    ("a T-72B3, lost", "T-72B3"),
    ("one (Su-34) fell", "Su-34"),
    ("one Su–34 fell", "Su–34"),
    ("one Su‑34 fell", "Su‑34"),
    ("fired Kh-101/102 at", "Kh-101/102"),
    ("an M142 fired", "M142"),
    ("the F-16s flew", "F-16s"),
    ("an R-73/AA-11 hit", "R-73/AA-11"),
    ("by #HIMARS today", "HIMARS"),
    ("the 9K720 fired", "9K720"),
    ("7.62mm rounds", "7.62mm"),
    ("near Bogota\u0301 today", "Bogota\u0301"),
    ("Se\u0301gou fell", "Se\u0301gou"),
    ("by AGM-158C there", "AGM-158C"),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("text", "designator"), DESIGNATORS)
def test_a_designator_comes_out_whole_when_half_of_it_was_missed(family, text, designator):
    start = text.index(designator)
    (tokens,) = tokenize(TOKENIZERS[family], [text])
    log_probs = sure(text, tokens.offsets, [(start, start + len(designator), "WEAPON")])
    inside = [k for k, (s, e) in enumerate(tokens.offsets) if start <= max(s, start) < e <= start + len(designator)]
    if len(inside) > 2:  # the model is wrong about the last sub-token of a longer word
        log_probs[inside[-1]] = np.log(np.array([0.6] + [0.4 / (NUM_TAGS - 1)] * (NUM_TAGS - 1)))
    assert decode(text, tokens.offsets, log_probs, LABELS) == (Span(start, start + len(designator), "WEAPON"),)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("the Taliban-held city", "Taliban"),
        ("ISIS took Raqqa.24 people died", "Raqqa"),
        ("Aleppo/12 November", "Aleppo"),
        ("an anti-IS drive", "IS"),
        ("M-19-led raid", "M-19"),
        ("Ukraine's army", "Ukraine"),
        ("Syria’s", "Syria"),
    ],
)
def test_a_compound_may_end_a_mention_inside(family, text, mention):
    start = text.index(mention)
    (tokens,) = tokenize(TOKENIZERS[family], [text])
    log_probs = sure(text, tokens.offsets, [(start, start + len(mention), "ACTOR")])
    assert decode(text, tokens.offsets, log_probs, LABELS) == (Span(start, start + len(mention), "ACTOR"),)


TEXTS = st.lists(
    st.sampled_from(["T-72B3", "army", " ", "\n", "é́", "🚀", "بغداد", "#", "(", ",", '"', "-", "\u200b", "1", "x" * 30]), max_size=14
).map("".join)


@settings(deadline=None)
@given(st.sampled_from(FAMILIES), TEXTS, st.integers(0, 10_000))
def test_spans_are_valid_whatever_the_model_says(family, text, seed):
    (tokens,) = tokenize(TOKENIZERS[family], [text])
    log_probs = np.log(np.random.default_rng(seed).dirichlet(np.full(NUM_TAGS, 0.3), size=len(tokens.ids)) + 1e-9)
    spans = decode(text, tokens.offsets, log_probs.reshape(len(tokens.ids), NUM_TAGS), LABELS)
    for span in spans:
        assert 0 <= span.start < span.end <= len(text)
        assert text[span.start : span.end] == text[span.start : span.end].strip()
        assert 0 < span.score <= 1
    assert all(left.end <= right.start for left, right in itertools.pairwise(spans))


@settings(deadline=None)
@given(st.sampled_from(FAMILIES), TEXTS)
def test_units_tile_the_sub_tokens(family, text):
    offsets = tokenize(TOKENIZERS[family], [text])[0].offsets
    groups = units_of(text, offsets)
    assert [k for first, last in groups for k in range(first, last)] == list(range(len(offsets)))


def units_by_character(text, offsets):
    """`units_of`, said simply: a table of unit ends per character instead of a walk."""
    ends = [0] * (len(text) + 1)
    for match in UNIT.finditer("".join("x" if unicodedata.category(c).startswith("M") else c for c in text)):
        ends[match.start() : match.end()] = [match.end()] * (match.end() - match.start())
    groups, covered = [], 0
    for position, (start, end) in enumerate(offsets):
        start, end = trim(text, start, end)
        if groups and (start < covered or start == end):
            groups[-1] = (groups[-1][0], position + 1)
        else:
            groups.append((position, position + 1))
        if start < end:
            covered = max(covered, ends[end - 1], end)
    return groups


@settings(deadline=None)
@given(st.sampled_from(FAMILIES), TEXTS)
def test_units_are_those_of_the_simple_definition(family, text):
    offsets = tokenize(TOKENIZERS[family], [text])[0].offsets
    assert units_of(text, offsets) == units_by_character(text, offsets)


def test_score_is_the_probability_that_the_span_begins_goes_on_and_ends_there():
    probabilities = np.array([[0.1, 0.8, 0.05, 0.03, 0.02], [0.3, 0.1, 0.5, 0.05, 0.05], [0.6, 0.1, 0.2, 0.05, 0.05]])
    (span,) = decode("US army fired", [(0, 2), (3, 7), (8, 13)], np.log(probabilities), LABELS)
    assert (span.start, span.end, span.label) == (0, 7, "ACTOR")
    assert span.score == pytest.approx(0.8 * 0.5 * (1 - 0.2))


def test_pieces_of_one_word_count_once_in_the_score():
    probabilities = np.array([[0.1, 0.8, 0.05, 0.03, 0.02], [0.3, 0.1, 0.5, 0.05, 0.05]])
    (span,) = decode("T72", [(0, 1), (1, 3)], np.log(probabilities), LABELS)
    assert span.score == pytest.approx((0.8 * 0.5) ** 0.5)


def test_no_mention_begins_or_ends_with_a_dash():
    text = "city - Kalupur -"
    offsets = [(0, 4), (5, 6), (7, 14), (15, 16)]
    assert decode(text, offsets, sure(text, offsets, [(5, 16, "WEAPON")]), LABELS) == (Span(7, 14, "WEAPON"),)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("between", ["\n\n", "\n \t\n", "\n\n\n  "])
def test_no_mention_goes_on_behind_a_blank_line(family, between):
    text = f"near Hmeimim{between}BEIRUT fell"
    start, blank = text.index("Hmeimim"), text.index(between)
    (tokens,) = tokenize(TOKENIZERS[family], [text])
    log_probs = sure(text, tokens.offsets, [(start, text.index(" fell"), "ACTOR")])
    first = Span(start, blank, "ACTOR")
    assert decode(text, tokens.offsets, log_probs, LABELS)[0] == first
    (at_one_line_break, *_) = decode(text.replace(between, "\n", 1), *at_line_break(family, text.replace(between, "\n", 1)), LABELS)
    assert at_one_line_break.end > blank, "a single line break is a wrapped line"


def at_line_break(family, text):
    (tokens,) = tokenize(TOKENIZERS[family], [text])
    return tokens.offsets, sure(text, tokens.offsets, [(text.index("Hmeimim"), text.index(" fell"), "ACTOR")])


@pytest.mark.parametrize(
    ("text", "mention"), [("🔥 Kherson 🔥", "Kherson"), ("Kherson🇺🇦\ufe0f", "Kherson"), ("Kherson👍🏽", "Kherson"), ("🔥", None)]
)
def test_no_mention_begins_or_ends_with_an_emoji(text, mention):
    offsets = [(k, k + 1) for k in range(len(text))]
    spans = decode(text, offsets, sure(text, offsets, [(0, len(text), "ACTOR")]), LABELS)
    assert [text[span.start : span.end] for span in spans] == ([mention] if mention else [])
