"""Random spans for property tests: flat ones as an annotator makes them, and ones that may overlap as other systems predict them."""

from hypothesis import strategies as st

from conflict_ner.documents import Span

LABELS = ("A", "B")


def flat_spans(labels=LABELS, most=6):
    """Sorted, disjoint spans; some touch."""

    def lay_out(pieces):
        spans, position = [], 0
        for gap, length, label in pieces:
            spans.append(Span(position + gap, position + gap + length, label))
            position += gap + length
        return spans

    return st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.sampled_from(labels)), max_size=most).map(lay_out)


def any_spans(labels=LABELS, most=5):
    """Distinct spans in any order that may overlap, nest, or differ by label alone."""
    span = st.builds(
        lambda start, length, label: Span(start, start + length, label), st.integers(0, 10), st.integers(1, 6), st.sampled_from(labels)
    )
    return st.lists(span, max_size=most, unique=True)


def share_a_character(left, right):
    return bool(set(range(left.start, left.end)) & set(range(right.start, right.end)))
