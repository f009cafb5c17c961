"""The scoring of the Numenta Anomaly Benchmark: when scores fire, and what that is worth in series of counts.

The rules are those of Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (ICMLA 2015), as NAB's own
code applies them: a window of time round each labelled anomaly; only the earliest detection in a window counts, for
more the earlier it comes; a detection outside costs, for less when it comes soon after a window; nothing is scored in
the first 15 % of the rows, or 750.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROBATION_SHARE = 0.15
PROBATION_ROWS_MAX = 750
EPISODE_GAP_SECS = 12 * 3600
DAY_SECS = 86400
COOLDOWN_SECS = DAY_SECS
MONTH_SECS = 365.25 / 12 * DAY_SECS
FAR = 3.0  # window widths after which a false positive costs in full

Scores = Mapping[str, NDArray[np.float64]]  # of each series, a score a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a detection in a window, a window missed and a detection outside weigh."""

    hit: float
    miss: float
    false: float


STANDARD = Profile(hit=1.0, miss=1.0, false=0.11)
LOW_FP = Profile(hit=1.0, miss=1.0, false=0.22)
LOW_FN = Profile(hit=1.0, miss=2.0, false=0.11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Counts of one brand, oldest first, with the windows of its anomalies as first and last row, both within."""

    name: str
    times: tuple[float, ...]  # Unix seconds
    values: tuple[int, ...]
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """How many rows at the beginning are not scored."""
        return min(int(PROBATION_SHARE * len(self.times)), PROBATION_ROWS_MAX)

    @property
    def scored_months(self) -> float:
        """Brand-months after probation."""
        rows = len(self.times) - self.probation
        return rows * (self.times[-1] - self.times[0]) / (len(self.times) - 1) / MONTH_SECS


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the detections of one threshold came to in one series, or in several added up."""

    windows: int = 0
    months: float = 0.0
    found: int = 0
    hits: float = 0.0  # sum of the hits' worth, each up to 1
    false_points: int = 0
    false_cost: float = 0.0  # sum of the false positives' worth, each from -1 to 0
    episodes: int = 0  # of false positives, more than 12 hours apart
    delays_secs: tuple[float, ...] = ()  # from the labelled instant, which is the middle of the window

    def __add__(self, other: "Outcome") -> "Outcome":
        """Both together."""
        return Outcome(
            windows=self.windows + other.windows,
            months=self.months + other.months,
            found=self.found + other.found,
            hits=self.hits + other.hits,
            false_points=self.false_points + other.false_points,
            false_cost=self.false_cost + other.false_cost,
            episodes=self.episodes + other.episodes,
            delays_secs=self.delays_secs + other.delays_secs,
        )

    @property
    def episodes_per_month(self) -> float:
        """False-positive episodes per brand-month of scored time."""
        return self.episodes / self.months

    def score(self, profile: Profile = STANDARD) -> float:
        """NAB's score: 100 is a detection at the left edge of each window and none outside, 0 is no detection.

        Without any window nothing can be found, and it is 0.
        """
        if not self.windows:
            return 0.0
        raw = profile.hit * self.hits - profile.miss * (self.windows - self.found) + profile.false * self.false_cost
        null, perfect = -profile.miss * self.windows, profile.hit * self.windows
        return 100 * (raw - null) / (perfect - null)


def sigmoid(position: float) -> float:
    """The worth (1 to -1) of a detection at ``position`` window widths from the right edge: -1 is the left edge."""
    return -1.0 if position > FAR else 2 / (1 + math.exp(5 * position)) - 1


def outcome(series: Series, rows: Sequence[int]) -> Outcome:
    """Score detections, given as ascending rows of the series."""
    lefts = [left for left, _ in series.windows]
    best: dict[int, float] = {}
    delays: dict[int, float] = {}
    false: list[int] = []
    cost = 0.0
    for row in rows:
        if row < series.probation:
            continue
        at = bisect_right(lefts, row) - 1
        if at < 0:
            false.append(row)
            cost -= 1.0
            continue
        left, right = series.windows[at]
        if row <= right:
            worth = sigmoid(-(right - row + 1) / (right - left + 1)) / sigmoid(-1.0)
            if at not in best:
                best[at] = worth
                delays[at] = series.times[row] - (series.times[left] + series.times[right]) / 2
        else:
            false.append(row)
            cost += sigmoid((row - right) / (right - left))
    episodes = sum(
        at == 0 or series.times[row] - series.times[false[at - 1]] > EPISODE_GAP_SECS for at, row in enumerate(false)
    )
    return Outcome(
        windows=len(series.windows),
        months=series.scored_months,
        found=len(best),
        hits=math.fsum(best.values()),
        false_points=len(false),
        false_cost=cost,
        episodes=episodes,
        delays_secs=tuple(delays.values()),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """What one threshold comes to in each series."""

    theta: float
    each: tuple[Outcome, ...]

    @property
    def total(self) -> Outcome:
        """All series together."""
        return sum(self.each, Outcome())

    def without(self, left_out: int) -> Outcome:
        """All series but one."""
        return sum(self.each[:left_out] + self.each[left_out + 1 :], Outcome())


def fire(times: Sequence[float], scores: NDArray[np.float64], theta: float) -> list[int]:
    """The rows at which an alert begins: ``theta`` is reached, and none has begun in the last 24 hours."""
    rows: list[int] = []
    free = 0
    for row in np.flatnonzero(scores >= theta).tolist():
        if row >= free:
            rows.append(row)
            free = bisect_left(times, times[row] + COOLDOWN_SECS)
    return rows


def sweep(series: Sequence[Series], scores: Scores, thetas: Sequence[float]) -> list[Row]:
    """Every threshold on every series, the highest first."""
    return [
        Row(theta, tuple(outcome(each, fire(each.times, scores[each.name], theta)) for each in series))
        for theta in sorted(thetas, reverse=True)
    ]


def best(rows: Sequence[Row], *, episodes_max: float = float("inf")) -> Row | None:
    """The highest score with at most so many false-positive episodes a month; of equals the higher threshold."""
    allowed = [row for row in rows if row.total.episodes_per_month <= episodes_max]
    return max(allowed, key=lambda row: row.total.score(), default=None)


def leave_one_out(rows: Sequence[Row]) -> Outcome | None:
    """The threshold chosen on the other series, the outcome on the one left out, all added up."""
    count = len(rows[0].each)
    if count < 2:
        return None
    chosen = [max(rows, key=lambda row: row.without(at).score()).each[at] for at in range(count)]
    return sum(chosen, Outcome())
