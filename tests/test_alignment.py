from hypothesis import given, settings
from hypothesis import strategies as st

from conflict_ner.alignment import IGNORED, Losses, align
from conflict_ner.documents import Document, Span, trim
from conflict_ner.labels import LabelSet
from conflict_ner.windows import Tokens, tokenize
from tests.conftest import FAMILIES, TRAIN, build_tokenizer

LABELS = LabelSet(("ACTOR", "LOCATION", "WEAPON"))
TOKENIZERS = {family: build_tokenizer(family) for family in FAMILIES}


def spans_from(document, tokens, label_ids):
    """Read labels back as spans: the inverse of align, written independently."""
    spans = []
    for (start, end), tag_id in zip(tokens.offsets, label_ids, strict=True):
        start, end = trim(document.text, start, end)
        if tag_id > 0 and tag_id % 2:
            spans.append([start, end, LABELS.names[tag_id // 2]])
        elif tag_id > 0 and start < end:
            spans[-1][1] = end
    return tuple(Span(*span) for span in spans)


def test_every_sub_token_of_a_mention_is_labelled(tokenizer):
    for document in TRAIN:
        losses = Losses()
        (tokens,) = tokenize(tokenizer.backend_tokenizer, [document.text])
        label_ids = align(document, tokens, LABELS, losses)
        assert spans_from(document, tokens, label_ids) == document.spans
        assert (losses.aligned, losses.cut) == (len(document.spans), 0)


PIECES = st.lists(st.sampled_from(["T-72B3", "army ", " ", "\n", "é́", "🚀", "،", "بغداد ", "#HIMARS", "\u200b", "x" * 40]), max_size=12)


@settings(deadline=None)
@given(st.sampled_from(FAMILIES), PIECES.map("".join), st.data())
def test_each_mention_is_aligned_exactly_or_counted_as_lost(family, text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
    spans = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        start, end = trim(text, start, end)
        if start < end:
            spans.append(Span(start, end, "ACTOR"))
    document = Document("d", text, tuple(spans))
    losses = Losses()
    (tokens,) = tokenize(TOKENIZERS[family].backend_tokenizer, [text])
    label_ids = align(document, tokens, LABELS, losses)
    assert len(label_ids) == len(tokens.ids)
    assert losses.aligned + losses.cut == len(spans)
    assert sum(tag_id > 0 and tag_id % 2 for tag_id in label_ids) == losses.aligned


def test_an_edge_inside_a_sub_token_is_ignored_and_counted_not_taught_as_outside():
    document = Document("d", "ab cdef gh", (Span(3, 5, "ACTOR"), Span(8, 10, "WEAPON")))
    losses = Losses()
    tokens = Tokens([7, 8, 9], [(0, 2), (3, 7), (8, 10)])
    assert align(document, tokens, LABELS, losses) == [0, IGNORED, LABELS.begin_id("WEAPON")]
    assert (losses.aligned, losses.cut) == (1, 1)


def test_two_mentions_in_one_sub_token_are_both_counted():
    document = Document("d", "abcd ef", (Span(0, 2, "ACTOR"), Span(2, 4, "WEAPON"), Span(5, 7, "WEAPON")))
    losses = Losses()
    assert align(document, Tokens([1, 2], [(0, 4), (5, 7)]), LABELS, losses) == [IGNORED, LABELS.begin_id("WEAPON")]
    assert (losses.aligned, losses.cut) == (1, 2)
