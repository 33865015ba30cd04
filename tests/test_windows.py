from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conflict_ner import windows
from conflict_ner.windows import cut_windows, special_frame, tokenize


@given(st.integers(0, 500), st.integers(1, 60), st.data())
def test_cores_tile_the_text_and_lie_in_their_windows(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    windows = cut_windows(length, size, overlap)
    spoken = [k for window in windows for k in range(window.core_start, window.core_end)]
    assert spoken == list(range(length))
    for window in windows:
        assert window.start <= window.core_start < window.core_end <= window.end <= window.start + size


@given(st.integers(1, 400), st.integers(2, 50))
def test_each_sub_token_is_decided_where_its_poorer_side_has_most_context(length, size):
    windows = cut_windows(length, size, size // 2)

    def context(window, k):
        left = k - window.start if window.start else length
        right = window.end - 1 - k if window.end < length else length
        return min(left, right)

    for window in windows:
        for k in range(window.core_start, window.core_end):
            best = max(context(other, k) for other in windows if other.start <= k < other.end)
            assert context(window, k) >= best - 1  # an even overlap has two middles


def test_overlap_must_leave_progress():
    with pytest.raises(ValueError, match="overlap"):
        cut_windows(10, 4, 4)


def test_slices_with_the_special_frame_equal_what_the_tokenizer_makes(tokenizer):
    text = "Two T-72B3 tanks near the river."
    before, after = special_frame(tokenizer.backend_tokenizer)
    assert before + tokenize(tokenizer.backend_tokenizer, [text])[0].ids + after == tokenizer(text)["input_ids"]


def test_tokenize_never_truncates(tokenizer):
    text = "rockets at Brenholm " * 300
    (tokens,) = tokenize(tokenizer.backend_tokenizer, [text])
    assert len(tokens.ids) > tokenizer.model_max_length
    assert tokens.offsets[-1][1] >= len(text.rstrip())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["T-72B3", "army", " ", "  ", "\n\n", "\r\n", "é", "🚀", "بغداد", ",", "x" * 30]), max_size=60).map("".join),
    st.integers(1, 60),
)
def test_a_long_text_in_pieces_has_the_tokens_of_the_whole(tokenizer, text, length):
    with patch.object(windows, "LONG", length):
        (pieces,) = tokenize(tokenizer.backend_tokenizer, [text])
    (whole,) = tokenize(tokenizer.backend_tokenizer, [text])
    assert pieces == whole
