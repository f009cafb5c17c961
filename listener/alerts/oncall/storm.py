"""Storm control: a token bucket; what does not fit into it is named in one message. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """How many messages may still go out at once, as of ``at``; ``bundled_at`` is when the rest was last named."""

    tokens: float
    at: datetime
    bundled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """At most ``burst`` messages at once and ``per_hour`` in the long run; the rest at most every ``update``."""

    burst: int
    per_hour: float
    update: timedelta


def full(limits: Limits, now: datetime) -> Bucket:
    """A bucket that nothing was taken from yet."""
    return Bucket(tokens=float(limits.burst), at=now)


def fold(
    messages: Sequence[T], bucket: Bucket, limits: Limits, now: datetime
) -> tuple[Sequence[T], Sequence[T], Sequence[T], Bucket]:
    """Which of ``messages`` (the worst first) go out alone, which are named in one message, and which wait for that.

    A single one that is left over goes out alone: a message about one alert is that alert's.
    """
    passed_hours = max(0.0, (now - bucket.at).total_seconds() / 3600)
    tokens = min(float(limits.burst), bucket.tokens + passed_hours * limits.per_hour)
    bucket = replace(bucket, tokens=tokens, at=max(now, bucket.at))
    alone = min(len(messages), int(tokens))
    if not messages[alone:]:
        return messages, (), (), replace(bucket, tokens=tokens - alone)
    bucket = replace(bucket, tokens=tokens - alone)
    if bucket.bundled_at is not None and now - bucket.bundled_at < limits.update:
        return messages[:alone], (), messages[alone:], bucket
    bucket = replace(bucket, bundled_at=now)
    if len(messages) - alone == 1:
        return messages, (), (), bucket
    return messages[:alone], messages[alone:], (), bucket
