"""Waits: what servers write into headers never breaks us, and what they ask for is obeyed."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.fetch.backoff import (
    LONGEST_RETRY_AFTER_SECS,
    LONGEST_THROTTLE_SECS,
    OPEN_AFTER,
    pause_after,
    retry_after_secs,
    retry_wait_secs,
    throttle_secs,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "secs"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("999999999999999999", LONGEST_RETRY_AFTER_SECS),
        ("Sat, 21 Nov 2026 12:02:00 GMT", 120.0),
        ("Saturday, 21-Nov-26 12:02:00 GMT", 120.0),
        ("Sat Nov 21 12:02:00 2026", 120.0),
        ("Sat, 21 Nov 2026 14:02:00 +0200", 120.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 21 Nov 2036 12:02:00 GMT", LONGEST_RETRY_AFTER_SECS),
        (None, None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
        ("١٢", None),
        ("Sat, 99 Nov 2026 12:02:00 GMT", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_in_both_forms(value: str | None, secs: float | None) -> None:
    """RFC 9110, 10.2.3, the three date forms of 5.6.7, and what else servers write."""
    assert retry_after_secs(value, now=NOW) == secs


@given(st.text(max_size=60))
def test_no_text_breaks_retry_after(value: str) -> None:
    """Garbage is None; anything else is a wait that can be added to a time."""
    secs = retry_after_secs(value, now=NOW)
    assert secs is None or 0.0 <= secs <= LONGEST_RETRY_AFTER_SECS


@given(st.integers(min_value=-10_000, max_value=500_000))
def test_dates_and_seconds_agree(delta: int) -> None:
    """A date ``delta`` seconds away asks for the same as ``delta``."""
    at = NOW + timedelta(seconds=delta)
    assert retry_after_secs(format_datetime(at, usegmt=True), now=NOW) == max(0.0, float(delta))


@pytest.mark.parametrize(
    ("headers", "secs"),
    [
        ({"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 30)}, 30.0),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": str((int(NOW.timestamp()) + 30) * 1000)}, 30.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-11-21T12:00:30.000000Z"}, 30.0),
        ({"ratelimit-remaining": "0, 0;window=60", "ratelimit-reset": "30"}, 30.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "999999"}, LONGEST_THROTTLE_SECS),
        ({"ratelimit-remaining": "1", "ratelimit-reset": "30"}, None),
        ({"ratelimit-remaining": "0"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "never"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "0"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) - 30)}, None),
        ({"ratelimit-remaining": "no", "ratelimit-reset": "30"}, None),
        ({"ratelimit-remaining": "0", "x-ratelimit-reset": "30"}, None),
        ({}, None),
    ],
)
def test_throttle(headers: dict[str, str], secs: float | None) -> None:
    """An empty quota asks for a wait until its reset, in each of the forms in use."""
    assert throttle_secs(headers, now=NOW) == secs


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_breaks_the_throttle(remaining: str, reset: str) -> None:
    """Garbage asks for nothing; anything else for an hour at most."""
    secs = throttle_secs({"ratelimit-remaining": remaining, "ratelimit-reset": reset}, now=NOW)
    assert secs is None or 0.0 < secs <= LONGEST_THROTTLE_SECS


@given(st.integers(min_value=1, max_value=10_000), st.floats(min_value=0.0, max_value=1.0, exclude_max=True))
def test_full_jitter(attempt: int, drawn: float) -> None:
    """The wait is anything below a bound that doubles."""
    wait = retry_wait_secs(attempt, random=lambda: drawn)
    assert 0.0 <= wait < min(300.0, 2.0 ** min(attempt - 1, 20)) or wait == drawn == 0.0


def test_a_success_ends_the_pause() -> None:
    """The one probe that succeeds closes the circuit: no failures, no pause."""
    pause = pause_after(0, now=NOW, interval_secs=60, random=lambda: 0.5)
    assert (pause.until, pause.open) == (None, False)


@pytest.mark.parametrize(
    ("failures", "shortest", "longest", "is_open"),
    [
        (1, 60, 120, False),
        (2, 60, 240, False),
        (4, 60, 960, False),
        (5, 900, 990, True),
        (6, 1800, 1980, True),
        (9, 14400, 15840, True),
        (10, 21600, 23760, True),
        (10**6, 21600, 23760, True),
    ],
)
def test_the_pause_grows_and_the_circuit_opens(failures: int, shortest: int, longest: int, is_open: bool) -> None:
    """The documented table, for a source polled every minute."""
    for drawn, secs in ((0.0, shortest), (1.0, longest)):
        pause = pause_after(failures, now=NOW, interval_secs=60, random=iter([drawn]).__next__)
        assert pause.until is not None
        assert (pause.until - NOW).total_seconds() == pytest.approx(secs)
        assert pause.open is is_open
        assert str(failures) in pause.reason


@given(
    st.integers(min_value=1, max_value=200),
    st.floats(min_value=1.0, max_value=200_000.0),
    st.floats(min_value=0.0, max_value=1.0, exclude_max=True),
)
def test_a_pause_is_never_shorter_than_the_interval(failures: int, interval_secs: float, drawn: float) -> None:
    """A source that fails is never asked more often than one that works, and always asked again."""
    pause = pause_after(failures, now=NOW, interval_secs=interval_secs, random=lambda: drawn)
    assert pause.until is not None
    secs = (pause.until - NOW).total_seconds()
    assert secs >= interval_secs or math.isclose(secs, interval_secs, abs_tol=1e-3)
    assert secs <= max(interval_secs, 6 * 3600.0) * 1.1 + 1e-3
    assert pause.open is (failures >= OPEN_AFTER)
