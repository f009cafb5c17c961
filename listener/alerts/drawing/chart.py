"""What is drawn of an alert: the share of negative mentions with its band, the evidence, and the marks. Pure.

Numbers only: `picture` makes an image of them, `sketch` draws them on a terminal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from listener.alerts.detection.decompose import x_of
from listener.alerts.detection.intervals import wilson
from listener.alerts.detection.proof import replay, together
from listener.alerts.detection.standing import Origin
from listener.domain import Vote

BINS_MIN, BINS_MAX = 40, 120
MINUTE, HOUR, DAY = 60, 3600, 86400
# Each is at most twice the one before, so that one of them makes 60 to 120 bins of any longer time.
WIDTHS = (5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY)
CALM_SECS = 12 * HOUR  # what is shown from before the onset, at least ...
CALM_TIMES = 4  # ... and so many times the time since
POOL_VOTES = 20  # a share of fewer votes than that says little: earlier ones join them
POOL_BINS = 12  # but not from longer ago


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The votes of one stretch of time, from ``start_at`` on.

    ``votes`` weigh, ``repeats`` do not; ``total`` is the sum of x of those that weigh. ``share`` with its band from
    ``low`` to ``high`` (0..1; Wilson, 95 %, for display only) is theirs together with those shortly before, where they
    are few, but never across the onset; None where nobody spoke for long.
    """

    start_at: datetime
    votes: int
    repeats: int
    total: float
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The evidence (ln) from ``at`` on, until the next point."""

    at: datetime
    evidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All that is drawn, from ``start_at`` to ``end_at``.

    ``usual`` and ``budget`` are shares (0..1), ``limit`` and ``limit_page`` natural logarithms of the evidence at which
    a ticket is written and at which somebody is woken. ``path`` is in order of time.
    """

    start_at: datetime
    end_at: datetime
    width_secs: int
    bins: tuple[Bin, ...]
    path: tuple[Point, ...]
    usual: float
    budget: float
    limit: float
    limit_page: float | None
    onset_at: datetime | None
    decided_at: datetime

    @property
    def share(self) -> float | None:
        """The newest share that is drawn."""
        return next((one.share for one in reversed(self.bins) if one.share is not None), None)

    @property
    def evidence(self) -> float:
        """The newest evidence, ln."""
        return self.path[-1].evidence


def chart(
    votes: Sequence[Vote],
    *,
    usual: float,
    budget: float,
    onset_at: datetime | None,
    decided_at: datetime,
    limit: float,
    limit_page: float | None = None,
    use_risk: bool,
    sharpness: float = 1.0,
    since_at: datetime | None = None,
    origin: Origin | None = None,
) -> Chart:
    """What to draw of a decision at ``decided_at`` on ``votes``, which come by position.

    The evidence is folded from those after ``origin`` (see `proof.replay`); earlier ones are only counted. Drawn is the
    time from ``since_at``, by default from long enough before the onset to see what was usual, in 40 to 120 bins. A
    vote that was evidence lies where it was counted, one that was history where it was written. ``usual`` and
    ``budget`` are shares; ``sharpness`` is how much of a rise of the share shows in the mean of x (see `budget.share`).
    """
    start_at = since_at or _from(votes, onset_at, decided_at)
    width, first, last = _grid(start_at, decided_at)
    counted = [vote for vote in votes if vote.counted_at <= decided_at]
    pools = _bins(counted, width=width, first=first, last=last, onset_at=onset_at, use_risk=use_risk)
    bins = tuple(_drawn(one, usual, sharpness) for one in pools)
    looks = replay(counted, use_risk=use_risk, origin=origin)
    begin_at, end_at = _moment(first * width), _moment((last + 1) * width)
    before = [look.evidence for look in looks if look.counted_at < begin_at]
    begun = 0.0 if origin is None else together(origin.wealth, origin.wealth_rate)
    path = [Point(at=begin_at, evidence=before[-1] if before else begun)]
    path += [Point(at=look.counted_at, evidence=look.evidence) for look in looks if look.counted_at >= begin_at]
    path.append(Point(at=decided_at, evidence=path[-1].evidence))
    return Chart(
        start_at=begin_at,
        end_at=end_at,
        width_secs=width,
        bins=bins,
        path=tuple(path),
        usual=usual,
        budget=budget,
        limit=limit,
        limit_page=limit_page,
        onset_at=onset_at,
        decided_at=decided_at,
    )


def _from(votes: Sequence[Vote], onset_at: datetime | None, decided_at: datetime) -> datetime:
    """From where on to draw: enough of the calm to see what has changed, and not more than there is."""
    oldest = min((_seen_at(vote) for vote in votes), default=decided_at)
    if onset_at is None:
        wanted = decided_at - timedelta(seconds=2 * CALM_SECS)
    else:
        wanted = onset_at - max(CALM_TIMES * (decided_at - onset_at), timedelta(seconds=CALM_SECS))
    return max(oldest, wanted)


def _grid(start_at: datetime, end_at: datetime) -> tuple[int, int, int]:
    """The width of the bins in seconds, and the first and the last, counted from the Unix epoch."""
    start, end = int(start_at.timestamp()), int(end_at.timestamp())
    for width in WIDTHS:
        first, last = start // width, end // width
        if last - first < BINS_MAX:
            break
    else:
        # Years, by whole days: rare, and then a round width matters less than fitting.
        width = DAY * -(-(end - start) // (DAY * (BINS_MAX - 1)))
        first, last = start // width, end // width
    return width, min(first, last - BINS_MIN + 1), last


class _Pool(NamedTuple):
    """A bin before it is drawn: what lies in it, and in it with those before that it is joined with."""

    start_at: datetime
    votes: int
    repeats: int
    total: float
    pooled: int
    pooled_total: float


def _bins(
    votes: Sequence[Vote], *, width: int, first: int, last: int, onset_at: datetime | None, use_risk: bool
) -> list[_Pool]:
    first -= POOL_BINS  # the first bins that are drawn are joined by what was said before them
    size = last - first + 1
    counts, repeats, totals = [0] * size, [0] * size, [0.0] * size
    for vote in votes:
        index = int(_seen_at(vote).timestamp()) // width - first
        if 0 <= index < size and vote.weighs:
            counts[index] += 1
            totals[index] += x_of(vote, use_risk=use_risk)
        elif 0 <= index < size:
            repeats[index] += 1
    onset = None if onset_at is None else int(onset_at.timestamp()) // width - first
    bins = []
    for index in range(POOL_BINS, size):
        oldest = max(0, index - POOL_BINS + 1, onset if onset is not None and onset <= index else 0)
        count, total, back = 0, 0.0, index
        while back >= oldest and count < POOL_VOTES:
            count, total, back = count + counts[back], total + totals[back], back - 1
        bins.append(
            _Pool(
                start_at=_moment((first + index) * width),
                votes=counts[index],
                repeats=repeats[index],
                total=totals[index],
                pooled=count,
                pooled_total=total,
            )
        )
    return bins


def _drawn(pool: _Pool, usual: float, sharpness: float) -> Bin:
    """The bin with the share that its mean of x stands for, and the band of that share."""
    share = low = high = None
    if pool.pooled:
        share = min(max(usual + (pool.pooled_total / pool.pooled - usual) / sharpness, 0.0), 1.0)
        low, high = wilson(share, pool.pooled * sharpness)
    return Bin(
        start_at=pool.start_at,
        votes=pool.votes,
        repeats=pool.repeats,
        total=pool.total,
        share=share,
        low=low,
        high=high,
    )


def _seen_at(vote: Vote) -> datetime:
    """What came as history was counted long after it was written, all at once."""
    return vote.counted_at if vote.news else min(vote.at, vote.counted_at)


def _moment(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, tz=UTC)
