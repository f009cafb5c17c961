"""Where a change comes from: who speaks (mix), or what they say (within groups). Exact, and pure.

The mean is the sum over groups of weight times mean, so its change is, group by group, what the change of the weight
does plus what the change of the mean does. With midpoint weights nothing is left over and neither side is favoured
(Kitagawa, Components of a Difference Between Two Rates, JASA 1955).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from listener.domain import Ballot

UNKNOWN = "unknown"  # the group of those whose source, language or topic nobody tells

Dimension = Literal["source", "language", "topic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The votes of one source, language or topic: how many, and the sum of their x (0..1 each)."""

    key: str
    count: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one group contributes to the change of the mean.

    ``weight`` is the group's share of the votes (0..1), ``mean`` the mean of x in it, None where it has no votes.
    ``mix`` is what its growing or shrinking did: positive when more is heard of a group that is worse than the whole.
    ``within`` is what its own becoming worse (or better) did; a group that came or went has only a mix effect.
    """

    key: str
    weight_before: float
    weight_after: float
    mean_before: float | None
    mean_after: float | None
    mix: float
    within: float
    contribution: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """The change of the mean by groups, the largest contribution first (of either sign).

    ``change`` = ``mix`` + ``within`` = the sum of the parts' contributions, to rounding (1e-12). Without votes on one
    side there is nothing to compare: that mean and ``change`` are None, and there are no parts.
    """

    mean_before: float | None
    mean_after: float | None
    change: float | None
    mix: float
    within: float
    parts: tuple[Part, ...]


def decompose(before: Sequence[Group], after: Sequence[Group]) -> Decomposition:
    """The change of the mean of x from ``before`` (the usual time) to ``after`` (the judged one), for one dimension.

    Groups with the same key are added up; groups without votes are ignored. All is reckoned in fractions, so that the
    only error is that of rounding each figure once.
    """
    old, new = _added_up(before), _added_up(after)
    count_before, total_before = _whole(old)
    count_after, total_after = _whole(new)
    if not count_before or not count_after:
        return Decomposition(
            mean_before=float(total_before / count_before) if count_before else None,
            mean_after=float(total_after / count_after) if count_after else None,
            change=None,
            mix=0.0,
            within=0.0,
            parts=(),
        )
    mean_before, mean_after = total_before / count_before, total_after / count_after
    centre = (mean_before + mean_after) / 2
    none = (Fraction(0), Fraction(0))
    parts = []
    for key in sorted(old.keys() | new.keys()):
        (n0, sum0), (n1, sum1) = old.get(key, none), new.get(key, none)
        w0, w1 = n0 / count_before, n1 / count_after
        # A group that is absent on one side is taken to have been there, without votes, as it is on the other.
        m0 = sum0 / n0 if n0 else sum1 / n1
        m1 = sum1 / n1 if n1 else m0
        mix, within = (w1 - w0) * ((m0 + m1) / 2 - centre), (w0 + w1) / 2 * (m1 - m0)
        parts.append(
            Part(
                key=key,
                weight_before=float(w0),
                weight_after=float(w1),
                mean_before=float(m0) if n0 else None,
                mean_after=float(m1) if n1 else None,
                mix=float(mix),
                within=float(within),
                contribution=float(mix + within),
            )
        )
    return Decomposition(
        mean_before=float(mean_before),
        mean_after=float(mean_after),
        change=float(mean_after - mean_before),
        # Each is rounded once before: adding up fractions of many denominators would be slow, and no better.
        mix=math.fsum(part.mix for part in parts),
        within=math.fsum(part.within for part in parts),
        parts=tuple(sorted(parts, key=lambda part: (-abs(part.contribution), part.key))),
    )


def groups_of(votes: Iterable[Ballot], dimension: Dimension, *, use_risk: bool) -> tuple[Group, ...]:
    """The votes that weigh, added up by source, language or topic, in the order of their keys.

    A vote whose language or topic is not known belongs to the group "unknown".
    """
    sums: dict[str, tuple[float, float]] = {}
    for vote in votes:
        if vote.weighs:
            key = {"source": vote.source, "language": vote.lang, "topic": vote.topic}[dimension] or UNKNOWN
            count, total = sums.get(key, (0.0, 0.0))
            sums[key] = (count + 1.0, total + x_of(vote, use_risk=use_risk))
    return tuple(Group(key=key, count=count, total=total) for key, (count, total) in sorted(sums.items()))


def x_of(vote: Ballot, *, use_risk: bool) -> float:
    """What a vote counts, 0..1: its risk, or whether it is negative."""
    return vote.risk if use_risk else float(vote.negative)


def _added_up(groups: Sequence[Group]) -> dict[str, tuple[Fraction, Fraction]]:
    sums: dict[str, tuple[Fraction, Fraction]] = {}
    for group in groups:
        if group.count > 0:
            key = group.key or UNKNOWN
            count, total = sums.get(key, (Fraction(0), Fraction(0)))
            sums[key] = (count + Fraction(group.count), total + Fraction(group.total))
    return sums


def _whole(groups: dict[str, tuple[Fraction, Fraction]]) -> tuple[Fraction, Fraction]:
    return (
        sum((count for count, _ in groups.values()), Fraction(0)),
        sum((total for _, total in groups.values()), Fraction(0)),
    )
