"""Perception over time: windows made from mentions, and windows made from windows. Pure.

A window is always recomputed from what lies in it, never incremented, so that an edit, a late mention or a second run
cannot make it drift.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from listener.domain import Assessment, Window

FINE_SECS = 300  # the smallest window
COARSE_SECS = 3600  # for long stretches: a month is 720 of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What a window needs of one mention; ``assessment`` is None while it waits for the model (or cannot be scored)."""

    assessment: Assessment | None
    copy: bool = False
    reach: int | None = None


def window_start(at: datetime, size_secs: int) -> datetime:
    """The start of the window of ``size_secs`` that holds ``at``, aligned to UTC."""
    stamp = int(at.timestamp())
    return datetime.fromtimestamp(stamp - stamp % size_secs, tz=UTC)


def roll_up(brand: str, start_at: datetime, size_secs: int, voices: Iterable[Voice]) -> Window:
    """One window from the mentions in it. Copies are counted and weigh nothing; reach adds up where it is known."""
    volume = copies = negative = 0
    polarity_sum = risk_sum = 0.0
    reach: int | None = None
    for voice in voices:
        if voice.reach is not None:
            reach = (reach or 0) + voice.reach
        if voice.copy:
            copies += 1
        elif voice.assessment is not None:
            volume += 1
            negative += voice.assessment.negative
            polarity_sum += voice.assessment.polarity
            risk = voice.assessment.risk
            risk_sum += voice.assessment.probabilities.negative if risk is None else risk
    return Window(
        brand=brand,
        start_at=start_at,
        end_at=start_at + timedelta(seconds=size_secs),
        volume=volume,
        copies=copies,
        polarity_sum=polarity_sum,
        negative=negative,
        risk_sum=risk_sum,
        reach=reach,
    )


def merge(brand: str, start_at: datetime, end_at: datetime, windows: Iterable[Window]) -> Window:
    """One window from those that lie inside [``start_at``, ``end_at``); the others are left out."""
    inside = [window for window in windows if start_at <= window.start_at and window.end_at <= end_at]
    reaches = [window.reach for window in inside if window.reach is not None]
    return Window(
        brand=brand,
        start_at=start_at,
        end_at=end_at,
        volume=sum(window.volume for window in inside),
        copies=sum(window.copies for window in inside),
        polarity_sum=sum(window.polarity_sum for window in inside),
        negative=sum(window.negative for window in inside),
        risk_sum=sum(window.risk_sum for window in inside),
        reach=sum(reaches) if reaches else None,
    )
