"""Texts made careless for training: what changes, and that most stay as they were."""

import random
from collections.abc import Callable

import pytest

from training import sloppy


@pytest.mark.parametrize(
    ("way", "text", "typed"),
    [
        (sloppy.lowered, "Kolmas öö ON", "kolmas öö on"),
        (sloppy.bare, "Žürii, öösel; paeva 3,5 €. Жёлтый йогурт", "Zurii, oosel; paeva 3,5 €. Желтый йогурт"),
        (sloppy.unpointed, "Tere! Hind 3,5 €, kell 12:30. Miks?", "tere hind 3,5 € kell 12:30 miks?"),
        (sloppy.latin, "Заказ пришёл", "zakaz prishel"),
    ],
)
def test_what_a_hasty_writer_leaves_out(way: Callable[[str, random.Random], str], text: str, typed: str) -> None:
    assert way(text, random.Random(1)) == typed


def test_two_letters_inside_one_word_change_places() -> None:
    typed = sloppy.swapped("see on teenindaja", random.Random(1))
    assert typed != "see on teenindaja"
    assert sorted(typed) == sorted("see on teenindaja")
    assert typed.startswith("see on t")
    assert typed.endswith("a")
    assert sloppy.swapped("see on hea", random.Random(1)) == "see on hea"


def test_most_texts_stay_as_they_were_written() -> None:
    draw = random.Random(1)
    typed = [sloppy.sloppy("Õhtul tuli Teenindaja.", "et", draw) for _ in range(500)]
    assert 0.7 < typed.count("Õhtul tuli Teenindaja.") / 500 < 0.9
    assert len(set(typed)) > 3
    assert not any("zakaz" in sloppy.sloppy("Заказ", "bg", draw) for _ in range(200))
    assert any("zakaz" in sloppy.sloppy("Заказ", "ru", draw) for _ in range(200))
