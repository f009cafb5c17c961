"""Windows from mentions and windows from windows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.aggregate import COARSE_SECS, FINE_SECS, Voice, merge, roll_up, window_start
from listener.domain import Assessment, Probabilities

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def said(negative: float, positive: float, risk: float | None = None) -> Assessment:
    probabilities = Probabilities(negative=negative, neutral=1 - negative - positive, positive=positive)
    return Assessment(probabilities=probabilities, model="m@1", risk=risk)


def test_voices_count_and_copies_only_reach() -> None:
    window = roll_up(
        "bolt",
        START,
        FINE_SECS,
        [
            Voice(assessment=said(0.8, 0.1), reach=100),
            Voice(assessment=said(0.1, 0.8)),
            Voice(assessment=None, reach=7),
            Voice(assessment=said(0.9, 0.0), copy=True, reach=1000),
        ],
    )
    assert (window.volume, window.negative, window.copies, window.reach) == (2, 1, 1, 1107)
    assert window.perception == pytest.approx(0.0)
    assert window.negative_share == 0.5
    assert window.end_at - window.start_at == timedelta(minutes=5)


def test_risk_decides_where_the_model_has_it() -> None:
    window = roll_up("bolt", START, FINE_SECS, [Voice(assessment=said(0.2, 0.2, risk=0.9))])
    assert window.negative == 1
    assert window.risk_sum == 0.9


def test_silence_is_not_neutral() -> None:
    window = roll_up("bolt", START, FINE_SECS, [])
    assert window.perception is None
    assert window.negative_share is None
    assert window.reach is None


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_every_time_has_one_window(at: datetime) -> None:
    for size in (FINE_SECS, COARSE_SECS):
        start_at = window_start(at, size)
        assert start_at <= at < start_at + timedelta(seconds=size)
        assert start_at.timestamp() % size == 0


@given(st.lists(st.floats(0, 1), max_size=30))
def test_an_hour_is_the_sum_of_its_parts(risks: list[float]) -> None:
    voices = [Voice(assessment=said(risk, 1 - risk), reach=1) for risk in risks]
    parts = [
        roll_up("bolt", START + timedelta(seconds=FINE_SECS * part), FINE_SECS, voices[part::12]) for part in range(12)
    ]
    hour = merge("bolt", START, START + timedelta(hours=1), parts)
    whole = roll_up("bolt", START, COARSE_SECS, voices)
    assert (hour.volume, hour.negative, hour.reach) == (whole.volume, whole.negative, whole.reach)
    assert hour.polarity_sum == pytest.approx(whole.polarity_sum)


def test_merge_leaves_out_what_is_not_wholly_inside() -> None:
    before = roll_up("bolt", START - timedelta(seconds=FINE_SECS), FINE_SECS, [Voice(assessment=said(1, 0))])
    assert merge("bolt", START, START + timedelta(hours=1), [before]).volume == 0
