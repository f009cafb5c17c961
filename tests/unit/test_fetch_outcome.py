"""What every status means: one table for all of them."""

from datetime import UTC, datetime

import pytest

from listener.errors import AccessDenied, FetchError, Gone, RateLimited
from listener.fetch.outcome import REDIRECTS, judge, retry_wait

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
USED = {*range(200, 300)} - {206}
RETRIED = {408, 425, 500, 502, 503, 504}


@pytest.mark.parametrize("status", [number for number in range(100, 600) if number not in REDIRECTS])
def test_every_status(status: int) -> None:
    """Used, retried or raised, and as which error; without any header."""
    outcome = judge(host="site.test", method="GET", status=status, headers={}, conditional=False, now=NOW)
    expected = {401: AccessDenied, 402: AccessDenied, 403: AccessDenied, 410: Gone, 429: RateLimited}
    if status in USED:
        assert outcome.error is None
    else:
        assert type(outcome.error) is expected.get(status, FetchError)
        assert f"site.test: {status}" in str(outcome.error) or f"site.test: status {status}" in str(outcome.error)
    assert outcome.retry is (status in RETRIED)


@pytest.mark.parametrize("status", sorted(RETRIED | {429}))
def test_only_get_and_head_are_retried(status: int) -> None:
    """A POST may have been done although the answer says otherwise."""
    headers = {"retry-after": "1"}
    for method, retried in (("GET", True), ("HEAD", True), ("POST", False), ("PUT", False)):
        outcome = judge(host="h", method=method, status=status, headers=headers, conditional=False, now=NOW)
        assert outcome.retry is retried


@pytest.mark.parametrize(
    ("status", "headers", "secs", "waits"),
    [
        (429, {"retry-after": "3"}, 3.0, True),
        (429, {"retry-after": "86400"}, 86400.0, True),
        (429, {"retry-after": "Sat, 21 Nov 2026 12:10:00 GMT"}, 600.0, True),
        (429, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "40"}, 40.0, True),
        (429, {"retry-after": "soon"}, 60.0, False),
        (429, {}, 60.0, False),
        (503, {"retry-after": "Sat, 21 Nov 2026 12:10:00 GMT"}, 600.0, True),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "40"}, 40.0, True),
    ],
)
def test_too_fast(status: int, headers: dict[str, str], secs: float, waits: bool) -> None:
    """What the server asks for is what RateLimited says; a minute when it asks for nothing."""
    outcome = judge(host="h", method="GET", status=status, headers=headers, conditional=False, now=NOW)
    assert isinstance(outcome.error, RateLimited)
    assert outcome.error.retry_after_secs == outcome.hold_secs == secs
    assert outcome.retry is waits
    assert outcome.wait_secs == (secs if waits else None)


def test_a_good_answer_may_say_that_it_was_the_last() -> None:
    """The pre-emptive throttle: an empty quota holds the origin without a failure."""
    headers = {"ratelimit-remaining": "0", "ratelimit-reset": "20"}
    outcome = judge(host="h", method="GET", status=200, headers=headers, conditional=False, now=NOW)
    assert (outcome.error, outcome.hold_secs) == (None, 20.0)


def test_not_modified_is_an_answer_only_to_a_question() -> None:
    """Without a validator there is nothing that it could refer to."""
    asked = judge(host="h", method="GET", status=304, headers={}, conditional=True, now=NOW)
    unasked = judge(host="h", method="GET", status=304, headers={}, conditional=False, now=NOW)
    assert asked.error is None
    assert isinstance(unasked.error, FetchError)


@pytest.mark.parametrize(
    ("asked", "retries_left", "budget", "attempt", "wait"),
    [
        (None, 2, 5.0, 1, 0.5),
        (None, 2, 5.0, 3, 2.0),
        (3.0, 2, 5.0, 1, 3.0),
        (0.0, 2, 5.0, 1, 0.5),
        (6.0, 2, 5.0, 1, None),
        (None, 0, 5.0, 1, None),
        (None, 2, -1.0, 1, None),
    ],
)
def test_retry_wait(asked: float | None, retries_left: int, budget: float, attempt: int, wait: float | None) -> None:
    """At least what was asked for, and never beyond the budget: then it is the next poll's turn."""
    found = retry_wait(asked, retries_left=retries_left, budget_secs=budget, attempt=attempt, random=lambda: 0.5)
    assert found == wait
