import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_ner.documents import Document, Span, SpanError, checked_spans, corpus_sha256, trim


@given(st.text(), st.data())
def test_trim_drops_only_white_space_and_all_of_it(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    left, right = trim(text, start, end)
    assert text[left:right] == text[start:end].strip() or left == right
    assert start <= left <= right <= end


@pytest.mark.parametrize(
    ("span", "complaint"),
    [
        (Span(0, 99, "A"), "outside"),
        (Span(-1, 2, "A"), "outside"),
        (Span(3, 2, "A"), "outside"),
        (Span(2, 2, "A"), "empty"),
        (Span(0, 4, "A"), "white space"),
        (Span(0, 3, ""), "no label"),
        (Span(0, 3, "B"), "not in the set A"),
    ],
)
def test_faulty_spans_are_named(span, complaint):
    with pytest.raises(SpanError, match=complaint) as caught:
        checked_spans("one two", [span], labels=["A"])
    assert caught.value.span == span


def test_overlap_is_refused_and_touching_is_not():
    assert checked_spans("abcd", [Span(2, 4, "A"), Span(0, 2, "A")]) == (Span(0, 2, "A"), Span(2, 4, "A"))
    with pytest.raises(SpanError, match="overlap"):
        checked_spans("abcd", [Span(0, 3, "A"), Span(2, 4, "B")])


def test_scores_do_not_take_part_in_comparison():
    assert Span(0, 1, "A", score=0.3) == Span(0, 1, "A")


def test_corpus_checksum_changes_with_text_span_and_order():
    one, two = Document("1", "ab", (Span(0, 1, "A"),)), Document("2", "cd")
    assert corpus_sha256([one, two]) == corpus_sha256([one, two])
    variants = [[two, one], [one], [Document("1", "ab"), two], [Document("1", "ax", one.spans), two]]
    assert len({corpus_sha256(documents) for documents in [[one, two], *variants]}) == 5
