"""Long texts in stretches, and texts that nobody can judge."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.domain import Assessment, Probabilities
from listener.errors import ScoringError
from listener.sentiment.windows import CHARS_MAX, Window, pooled, require_readable, speaking, stretches


@given(st.integers(0, 700), st.integers(1, 200))
def test_stretches_cover_a_text_in_order_and_overlap_by_an_eighth(length: int, room: int) -> None:
    found = list(stretches(range(length), room))
    assert all(len(one) <= room for one in found)
    assert all(len(one) == room for one in found[:-1])
    assert sorted({token for one in found for token in one}) == list(range(length))
    for before, after in itertools.pairwise(found):
        assert before[-1] - after[0] + 1 == room // 8
        assert after[-1] > before[-1]


def test_a_short_text_and_an_empty_one_are_one_stretch() -> None:
    assert [list(one) for one in stretches([5, 6], 10)] == [[5, 6]]
    assert [list(one) for one in stretches([], 10)] == [[]]


@pytest.mark.parametrize("text", ["a", "õ", "ж", "漢", "😀", "٣ا", "@a", "1a"])
def test_a_letter_or_an_emoji_can_be_judged(text: str) -> None:
    require_readable(text)


@pytest.mark.parametrize("text", ["", "  ", "12.5 %", "\u200d\u202e", "́", "a\ud800", "a" * (CHARS_MAX + 1)])
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ScoringError):
        require_readable(text)


def test_letters_and_emoji_speak() -> None:
    assert speaking("Õh, 2 😀!") == 3


def test_windows_go_back_to_their_texts() -> None:
    def said(negative: float) -> Assessment:
        return Assessment(
            probabilities=Probabilities(negative=negative, neutral=1 - negative, positive=0.0),
            model="m@1",
            risk=negative,
        )

    windows = [Window(text=0, ids=(1,)), Window(text=1, ids=(1, 2, 3)), Window(text=1, ids=(1,))]
    first, second = pooled(2, windows, [said(0.5), said(0.2), said(0.6)])
    assert first == said(0.5)
    assert second.probabilities.negative == pytest.approx(0.3)
    assert second.risk == 0.6
