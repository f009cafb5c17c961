"""Votes added up over stretches of time, one by one: however they come in, the floats are the same. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from listener.alerts.detection.budget import BLOCK_TICKS, LEFT_OUT_AFTER_ALERT_BLOCKS, TICK_SECS
from listener.alerts.detection.rules import Deterioration
from listener.domain import Ballot, Past, Sums, Vote

HOUR_TICKS, DAY_HOURS = 12, 24
KEPT_TICKS = 2 * HOUR_TICKS


def tick_of(at: datetime) -> int:
    """The number of the five minutes that hold ``at``."""
    return int(at.timestamp()) // TICK_SECS


def x_of(ballot: Ballot, rule: Deterioration) -> float:
    """What the ballot counts, 0..1."""
    return ballot.risk if rule.counts == "risk" else float(ballot.negative)


def y_of(ballot: Ballot) -> float:
    """Dissatisfaction, 0..1: a perception of 100 is 0, one of -100 is 1."""
    return (1.0 - ballot.polarity) / 2.0


def moment(tick: int) -> datetime:
    """The start of a tick."""
    return datetime.fromtimestamp(tick * TICK_SECS, tz=UTC)


def total(some: Sequence[Sums]) -> Sums:
    """All together, in slot 0."""
    n = negative = x = xx = y = yy = 0.0
    for _, more_n, more_negative, more_x, more_xx, more_y, more_yy in some:  # a tuple is read faster than its names
        n += more_n
        negative += more_negative
        x += more_x
        xx += more_xx
        y += more_y
        yy += more_yy
    return Sums(0, n, negative, x, xx, y, yy)


def last_hours(votes: Sequence[Vote], rule: Deterioration, tick: int) -> tuple[tuple[Sums, ...], tuple[Sums, ...]]:
    """``ticks`` and ``hours`` of a standing at ``tick``, added up from the votes of the last day and an hour."""
    counted = [vote for vote in votes if vote.news and vote.weighs]
    return ticks((), counted, rule, tick), hours((), counted, rule, tick)


def ticks(kept: tuple[Sums, ...], votes: Sequence[Ballot], rule: Deterioration, tick: int) -> tuple[Sums, ...]:
    """The sums of the last two hours by five minutes, with ``votes`` added."""
    return _grown(kept, votes, rule, TICK_SECS, tick - KEPT_TICKS)


def hours(kept: tuple[Sums, ...], votes: Sequence[Ballot], rule: Deterioration, tick: int) -> tuple[Sums, ...]:
    """The sums of the last day by hours, with ``votes`` added."""
    return _grown(kept, votes, rule, TICK_SECS * HOUR_TICKS, tick // HOUR_TICKS - DAY_HOURS)


def _one(ballot: Ballot, rule: Deterioration, index: int) -> Sums:
    x, y = x_of(ballot, rule), y_of(ballot)
    return Sums(index, 1.0, float(ballot.negative), x, x * x, y, y * y)


def _added_up(ballots: Sequence[Ballot], rule: Deterioration, secs: int, kept: Sequence[Sums] = ()) -> dict[int, Sums]:
    """The sums by slot, with ``ballots`` added one by one: however they are split up, the floats are the same."""
    sums = {one.slot: one for one in kept}
    for one in ballots:
        slot = int(one.at.timestamp()) // secs
        single = _one(one, rule, slot)
        sums[slot] = sums[slot].plus(single) if slot in sums else single
    return sums


def _grown(
    kept: tuple[Sums, ...], votes: Sequence[Ballot], rule: Deterioration, secs: int, oldest: int
) -> tuple[Sums, ...]:
    """The sums with ``votes`` added, without what is older than ``oldest``, in order."""
    if not votes:
        return kept if not kept or kept[0].slot > oldest else tuple(one for one in kept if one.slot > oldest)
    # Nearly always all of them belong to the newest slot or after it: the others need not be touched.
    newest = min(int(one.at.timestamp()) // secs for one in votes)
    still = len(kept) if not kept or kept[-1].slot < newest else len(kept) - 1 if kept[-1].slot == newest else 0
    sums = _added_up(votes, rule, secs, kept[still:])
    grown = [*kept[:still], *[sums[slot] for slot in sorted(sums)]]
    return tuple(grown if grown[0].slot > oldest else [one for one in grown if one.slot > oldest])


def blocks(
    ballots: Sequence[Ballot], rule: Deterioration, firing_from_at: datetime | None, now_block: int
) -> tuple[Past, ...]:
    """What to add to the blocks; during an alert they are left out, until what it tells of is nothing new any more."""
    sums = _added_up([one for one in ballots if one.weighs], rule, TICK_SECS * BLOCK_TICKS)
    onset = None if firing_from_at is None else tick_of(firing_from_at) // BLOCK_TICKS
    recent = onset is not None and now_block - onset <= LEFT_OUT_AFTER_ALERT_BLOCKS
    return tuple(
        Past(sums=sums[index], left_out=recent and onset is not None and index >= onset) for index in sorted(sums)
    )


def joined(past: Sequence[Past], more: Sequence[Past]) -> list[Past]:
    """The blocks with ``more`` added to them, in order."""
    known = {one.sums.slot: one for one in past}
    for one in more:
        before = known.get(one.sums.slot)
        known[one.sums.slot] = one if before is None else replace(before, sums=before.sums.plus(one.sums))
    return [known[index] for index in sorted(known)]
