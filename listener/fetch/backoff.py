"""When to try again: what servers ask for, what we wait between retries, and when a source rests. Pure.

Three waits, from short to long:

- between two attempts within a poll: ``retry_wait_secs`` (full jitter), at most a few seconds in all;
- what a server asks for: ``retry_after_secs`` and ``throttle_secs``, obeyed to the letter;
- between two polls of a source that fails: ``pause_after``, kept with the source's row over restarts.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

HOUR_SECS = 3600.0
LONGEST_RETRY_AFTER_SECS = 7 * 24 * HOUR_SECS  # a mistyped date must not silence a source for years
LONGEST_THROTTLE_SECS = HOUR_SECS
DEFAULT_RETRY_AFTER_SECS = 60.0  # 429 without a word on when to come back

RETRY_BASE_SECS = 1.0
RETRY_LONGEST_SECS = 300.0

BACK_OFF_LONGEST_SECS = HOUR_SECS
OPEN_AFTER = 5  # consecutive failures
OPEN_SECS = 15 * 60.0
OPEN_LONGEST_SECS = 6 * HOUR_SECS
OPEN_SPREAD = 0.1

_NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,9})?", re.ASCII)
_UNIX_TIME_FROM = 1e9  # seconds; a delta of thirty years is no delta
_UNIX_MILLIS_FROM = 1e12
_RATE_LIMIT_PREFIXES = ("ratelimit", "x-ratelimit", "x-rate-limit")


def retry_after_secs(value: str | None, *, now: datetime) -> float | None:
    """How long ``Retry-After`` asks us to wait: seconds or an HTTP date (RFC 9110, 10.2.3).

    0 for a date that has passed; None when there is nothing that can be read; never more than a week.
    """
    text = (value or "").strip()
    if _NUMBER.fullmatch(text):
        return min(float(text), LONGEST_RETRY_AFTER_SECS)
    at = _http_date(text)
    return None if at is None else _until(at, now=now, longest_secs=LONGEST_RETRY_AFTER_SECS)


def throttle_secs(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """How long to stay away because the quota is used up: ``RateLimit-Remaining: 0`` with ``RateLimit-Reset``.

    Reads the ``RateLimit-``, ``X-RateLimit-`` and ``X-Rate-Limit-`` families (lower-case names); the reset may be delta
    seconds (IETF draft, Reddit), unix time (Bluesky, GitHub, X) or an ISO time (Mastodon). None when there is quota
    left, or nothing that can be read; never more than an hour.
    """
    waits = [
        wait
        for prefix in _RATE_LIMIT_PREFIXES
        if _leading_number(headers.get(f"{prefix}-remaining")) == 0
        and (wait := _reset_secs(headers.get(f"{prefix}-reset"), now=now)) is not None
    ]
    return max(waits, default=None)


def retry_wait_secs(attempt: int, *, random: Callable[[], float]) -> float:
    """Before attempt ``attempt`` + 1: anything from 0 to 1 s, 2 s, 4 s ..., at most 5 min, drawn evenly.

    Full jitter, so that clients that failed together do not return together (M. Brooker, "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015). ``attempt`` counts from 1; ``random`` draws from [0, 1).
    """
    return random() * min(RETRY_LONGEST_SECS, RETRY_BASE_SECS * 2.0 ** min(attempt - 1, 30))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Until when a source is left alone after a poll, and why. ``until`` None: poll at the usual time.

    While ``open`` the next poll is the one probe: when it succeeds the failures are 0 again and the circuit is closed,
    when it fails the circuit stays open twice as long.
    """

    until: datetime | None
    open: bool
    reason: str


def pause_after(failures: int, *, now: datetime, interval_secs: float, random: Callable[[], float]) -> Pause:
    """How long a source rests after ``failures`` consecutive failed polls; the caller keeps the count and ``until``.

    ====================  ==========================================================================================
    0                     no pause
    1 to 4                drawn evenly between the interval and min(1 h, interval * 2^failures)
    5 and more            the circuit is open: 15 min * 2^(failures - 5), at most 6 h, and up to a tenth more, so that
                          sources that fell together do not probe together
    ====================  ==========================================================================================

    Never shorter than ``interval_secs``. ``RateLimited`` is not a failure: there, wait what the server asked for.
    ``random`` draws from [0, 1).
    """
    if failures <= 0:
        return Pause(until=None, open=False, reason="the last poll succeeded")
    if failures < OPEN_AFTER:
        longest = max(interval_secs, min(BACK_OFF_LONGEST_SECS, interval_secs * 2.0**failures))
        wait = interval_secs + random() * (longest - interval_secs)
        reason = f"{failures} failed poll{'s' * (failures > 1)} in a row: backing off for {wait:.0f} s"
        return Pause(until=now + timedelta(seconds=wait), open=False, reason=reason)
    doublings = min(failures - OPEN_AFTER, 30)
    wait = max(interval_secs, min(OPEN_LONGEST_SECS, OPEN_SECS * 2.0**doublings)) * (1.0 + OPEN_SPREAD * random())
    reason = f"{failures} failed polls in a row: the circuit is open for {wait:.0f} s, then one probe"
    return Pause(until=now + timedelta(seconds=wait), open=True, reason=reason)


def _http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _until(at: datetime, *, now: datetime, longest_secs: float) -> float:
    return min(max(0.0, (at - now).total_seconds()), longest_secs)


def _leading_number(value: str | None) -> float | None:
    match = _NUMBER.match((value or "").strip())
    return float(match.group()) if match else None


def _reset_secs(value: str | None, *, now: datetime) -> float | None:
    text = (value or "").strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number >= _UNIX_TIME_FROM:
            at_secs = number / 1000.0 if number >= _UNIX_MILLIS_FROM else number
            number = at_secs - now.timestamp()
        wait = min(number, LONGEST_THROTTLE_SECS)
    else:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        wait = _until(at, now=now, longest_secs=LONGEST_THROTTLE_SECS)
    return wait if wait > 0.0 and math.isfinite(wait) else None
