"""Whether the competitors move at the same time: then an alert is marked "whole market". Pure.

A competitor moves too when it overspends its own budget since about the same time, or when far more complaints than
usual arrive. It is still only if that would have shown: silence of a brand that nobody talks about says nothing.

How much evidence is enough? The evidence (see `evidence`) adds up over all starts, so it is never far above or below
its average in calm times: where each mention overspends the budget b by u - b < 0, a start that stakes s a mention is
worth 1 - s(b - u) after one mention, and all starts together 1/(s(b - u)) at any moment: 40 and more at common shares.
Evidence of 10 alone would say nothing. So it must be `TIMES` that average (Markov: by chance at most one time in ten,
in simulation far less; see docs/detection.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Literal

from listener.alerts.detection.evidence import bets

TIMES = 10.0  # the average evidence in calm times
DAY = timedelta(hours=24)
SAME_TIME = DAY
VOLUME_MIN = 4.0  # a ticket needs 6: here it only joins what is known already
SHOCK = 2.0  # how large a move, in shares, would have shown if a competitor is called still ...
MISSED = NormalDist().inv_cdf(0.8)  # ... four times in five
TICKS_A_DAY = 288
DAYS_MAX = 7.0  # for so long the last day's mentions are taken for those of every day
CALM_MAX = 1e4  # where the budget is next to what is usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A competitor as it stands now.

    ``evidence`` (natural logarithm) and ``onset_at`` are those of `evidence`; while an alert of its own fires, those of
    that alert, since an alert starts the bettors anew. ``mean_24h`` and ``usual`` are shares of negative mentions
    (0..1), ``count_24h`` votes of the last day, ``volume`` the score of the volume channel, None in its first day.
    ``budget``, ``deff`` and ``sharpness`` are those of `budget.Usual`.
    """

    brand: str
    evidence: float
    onset_at: datetime | None
    mean_24h: float | None
    count_24h: float
    usual: float
    budget: float
    volume: float | None
    deff: float = 1.0
    sharpness: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Whose trouble it is. Each competitor is in one of the three lists, in the order in which they were given."""

    verdict: Literal["whole_market", "own", "unknown"]
    moving: tuple[str, ...]
    still: tuple[str, ...]
    unknown: tuple[str, ...]
    reason: str


def market(own_onset_at: datetime, neighbours: Sequence[Neighbour], *, now: datetime) -> Market:
    """Judge the trouble that began at ``own_onset_at`` by what the competitors do at ``now``.

    ``whole_market``: at least one moves, and of those of whom we know at least half. ``own``: we know of at least one,
    and most are still. ``unknown``: of none we know enough.
    """
    found: dict[_Stance, list[Neighbour]] = {"moving": [], "still": [], "unknown": []}
    for one in neighbours:
        found[_stance(one, own_onset_at, now)].append(one)
    moving, still = found["moving"], found["still"]
    known = len(moving) + len(still)
    verdict: Literal["whole_market", "own", "unknown"] = "unknown"
    if known:
        verdict = "whole_market" if moving and 2 * len(moving) >= known else "own"
    return Market(
        verdict=verdict,
        moving=tuple(one.brand for one in moving),
        still=tuple(one.brand for one in still),
        unknown=tuple(one.brand for one in found["unknown"]),
        reason=_reason(verdict, moving, still, found["unknown"]),
    )


_Stance = Literal["moving", "still", "unknown"]


def limit(one: Neighbour) -> float:
    """The evidence (natural logarithm) from which a competitor moves: ten times its average in calm times.

    A budget at or below what is usual is overspent in calm times too, where no evidence is enough: then it is ten times
    `CALM_MAX`.
    """
    bet = bets(one.budget, one.deff)
    losses = [stake * (bet.budget - one.usual) / temper for stake, temper in zip(bet.stakes, bet.tempers, strict=True)]
    average = math.fsum(min(1 + 1 / loss, CALM_MAX) if loss > 0 else CALM_MAX for loss in losses) / len(losses)
    return math.log(TIMES * average)


def would_have_shown(one: Neighbour, passed: timedelta) -> bool:
    """Whether twice the usual share of negative mentions, for as long as ``passed``, would have been enough evidence.

    In four cases of five, if mentions came evenly. The logarithm of a bettor's wealth grows by a mean and a variance a
    mention, and that bettor is one of four; the starts of the time before it pays add up to one divided by the growth a
    tick. Where the usual share is more than a third, half of what was not negative turns, instead of twice as much.
    """
    bet = bets(one.budget, one.deff)
    mentions = one.count_24h * min(max(passed / DAY, 0.0), DAYS_MAX)
    per_tick = max(1.0, one.count_24h / TICKS_A_DAY)
    turned = min(SHOCK * one.usual, (1 + one.usual) / 2)
    mean_x = one.usual + (turned - one.usual) * one.sharpness
    enough = limit(one) + math.log(len(bet.stakes))
    for stake, temper in zip(bet.stakes, bet.tempers, strict=True):
        count = mentions / temper
        up, down = math.log1p(stake * (1 - bet.budget)), math.log1p(-stake * bet.budget)
        mean = mean_x * up + (1 - mean_x) * down
        noise = math.sqrt(one.sharpness * mean_x * (1 - mean_x)) * (up - down)
        gain = count * mean - MISSED * noise * math.sqrt(count)
        if gain > 0:
            starts = min(temper / mean, mentions) / per_tick
            if gain + math.log(max(starts, 1.0)) >= enough:
                return True
    return False


def _stance(one: Neighbour, own_onset_at: datetime, now: datetime) -> _Stance:
    passed = now - own_onset_at
    overspends = one.evidence >= limit(one)
    same_time = one.onset_at is not None and abs(one.onset_at - own_onset_at) <= SAME_TIME
    many = one.volume is not None and one.volume >= VOLUME_MIN and passed <= SAME_TIME
    if (overspends and same_time) or many:
        return "moving"
    if overspends or one.volume is None:  # in trouble since another time, or new: a move would not stand out
        return "unknown"
    return "still" if would_have_shown(one, passed) else "unknown"


def _reason(verdict: str, moving: Sequence[Neighbour], still: Sequence[Neighbour], unknown: Sequence[Neighbour]) -> str:
    if not moving and not still:
        return "No competitor is watched." if not unknown else f"Too little is said of {_names(unknown)} to compare."
    says = "The whole market moves" if verdict == "whole_market" else "It is this brand's own"
    parts = []
    if moving:
        listed = ", ".join(_figures(one) for one in moving)
        parts.append(f"{len(moving)} of {len(moving) + len(still)} competitors moved at the same time ({listed})")
    if still:
        parts.append(f"{_names(still)} did not")
    if unknown:
        parts.append(f"too little is said of {_names(unknown)} to tell")
    return f"{says}: {'; '.join(parts)}."


def _names(some: Sequence[Neighbour]) -> str:
    return ", ".join(one.brand for one in some)


def _figures(one: Neighbour) -> str:
    """A competitor's last day in words."""
    if one.mean_24h is None:
        return one.brand
    return f"{one.brand}: {one.mean_24h:.0%} of {one.count_24h:.0f} negative in 24 h, {one.usual:.0%} is usual"
