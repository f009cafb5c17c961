"""Numbers, times, lists and names as each language writes them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.words.languages import TITLE_CHARS_MAX, headline, known, short, tongue

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
EN, ET = tongue("en"), tongue("et")


@pytest.mark.parametrize(
    ("value", "decimals", "english", "estonian"),
    [
        (1.5, 1, "1.5", "1,5"),
        (1_234_567.0, 0, "1\u202f234\u202f567", "1\u202f234\u202f567"),
        (1234.56, 2, "1\u202f234.56", "1\u202f234,56"),
    ],
)
def test_numbers_are_written_as_the_language_writes_them(
    value: float, decimals: int, english: str, estonian: str
) -> None:
    assert (EN.number(value, decimals=decimals), ET.number(value, decimals=decimals)) == (english, estonian)


def test_decimals_are_told_only_where_they_tell() -> None:
    assert [ET.few(value) for value in (0.25, 2.0, 2.04, 9.96, 12.5)] == ["0,2", "2", "2", "10", "12"]


@pytest.mark.parametrize(
    ("names", "english", "estonian"),
    [
        ((), "", ""),
        (("Acme",), "Acme", "Acme"),
        (("Acme", "Bolt"), "Acme and Bolt", "Acme ja Bolt"),
        (("A", "B", "C"), "A, B and C", "A, B ja C"),
    ],
)
def test_lists_end_with_and(names: tuple[str, ...], english: str, estonian: str) -> None:
    assert (EN.listed(names), ET.listed(names)) == (english, estonian)


@pytest.mark.parametrize(
    ("at", "english", "estonian"),
    [
        (NOW, "12:30 UTC", "12:30 UTC"),
        (NOW - timedelta(days=1), "12:30 UTC on 1 Mar", "12:30 UTC (1. märts)"),
        (NOW - timedelta(days=90), "12:30 UTC on 2 Dec 2025", "12:30 UTC (2. dets 2025)"),
    ],
)
def test_a_time_carries_its_day_and_its_year_where_they_are_others(at: datetime, english: str, estonian: str) -> None:
    assert (EN.clock(at, now=NOW), ET.clock(at, now=NOW)) == (english, estonian)


@pytest.mark.parametrize(
    ("passed", "english", "estonian"),
    [
        (timedelta(0), "1 min", "1 min"),
        (timedelta(minutes=59), "59 min", "59 min"),
        (timedelta(minutes=61), "1 h 1 min", "1 t 1 min"),
    ],
)
def test_how_long_it_was(passed: timedelta, english: str, estonian: str) -> None:
    assert (EN.lasting(passed), ET.lasting(passed)) == (english, estonian)


def test_an_unknown_language_is_told_in_english() -> None:
    assert (tongue("xx").code, tongue("xx").say("Note: {brands}.", brands="x")) == ("en", "Note: x.")


def test_numbers_that_are_none_are_not_told() -> None:
    assert [known(value) for value in (None, float("nan"), float("inf"), 0.5)] == [None, None, None, 0.5]


def test_a_name_keeps_to_its_line_and_to_the_reading_order() -> None:
    assert short("A\u202ec\nm\t e\x1b") == "Ac m e"
    assert short("1\u202f000") == "1\u202f000"
    assert short("abcdef", 4) == "abc…"


@given(st.text(max_size=300), st.text(alphabet="xyz ", max_size=200))
def test_a_headline_fits_whatever_the_name(name: str, rest: str) -> None:
    assert len(headline(lambda cut: f"{rest}{cut}", name)) <= TITLE_CHARS_MAX
