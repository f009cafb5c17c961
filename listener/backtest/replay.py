"""The daemon's looks over votes in memory: the same decisions, without a database. Pure but for what it calls back.

Whatever happens at a look is ``listener.pipeline.look``; here is only what the store keeps for it, and when the daemon
looks: when something new is said, while an alert fires, and when a brand's windows have slid on.
"""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from listener.aggregate import FINE_SECS, window_start
from listener.alerts.detection import standing as standings
from listener.alerts.detection.budget import BLOCK_TICKS, KEPT_BLOCKS
from listener.alerts.detection.detect import next_look
from listener.alerts.detection.rules import Rule
from listener.alerts.detection.standing import Fleet, Standing
from listener.alerts.detection.sums import tick_of
from listener.domain import Alert, AlertState, Ballot, Channel, Past, Reason, Severity, Signal
from listener.domain.repeats import REPEAT, Spoken, repeated
from listener.pipeline.look import Case, Look, look, main_rule

AFTER = timedelta(days=1)  # looked at after the last mention, so that an alert that fires then may still resolve


class Heard(NamedTuple):
    """A ballot, and when it could be counted: when it was said, or later where it came late."""

    at: datetime
    ballot: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What is replayed of one brand: what was heard of it, in the order of ``at``, and its rules.

    Without ``alerting`` it is followed like a competitor: nothing fires.
    """

    brand: str
    rules: Sequence[Rule]
    heard: Sequence[Heard]
    alerting: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What people would have been told at ``at``: the alert as it was then, and why."""

    at: datetime
    reason: Reason
    alert: Alert

    @property
    def brand(self) -> str:
        """Whom it is about."""
        return self.alert.brand

    @property
    def severity(self) -> Severity:
        """How loud it is."""
        return self.alert.severity

    @property
    def signal(self) -> Signal:
        """What was found."""
        return self.alert.signal

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What of the rule was breached."""
        return self.signal.channels


OnLook = Callable[[datetime, Look], None]
OnProgress = Callable[[int, int], None]  # ticks done, ticks in all


class Follower:
    """One brand as the store keeps it, between two looks."""

    def __init__(self, brand: str, rules: Sequence[Rule], *, alerting: bool = True) -> None:
        self.brand, self.rules, self.alerting = brand, tuple(rules), alerting
        self.standing: Standing | None = None
        self.alerts: Mapping[str, Alert] = {}
        self._rule = main_rule(self.rules)
        self._blocks: dict[int, Past] = {}
        self._spoken: Spoken = {}

    def copy(self, now: datetime) -> "Follower":
        """Another one that goes on from here. What was said a day before ``now`` is forgotten: nothing repeats it."""
        other = Follower(self.brand, self.rules, alerting=self.alerting)
        other.standing, other.alerts = self.standing, self.alerts
        other._blocks = dict(self._blocks)
        self._spoken = {key: times for key, times in self._spoken.items() if now - max(times) < REPEAT}
        other._spoken = {key: list(times) for key, times in self._spoken.items()}
        return other

    @property
    def firing(self) -> bool:
        """Whether an alert of any rule fires."""
        return any(alert.state is AlertState.FIRING for alert in self.alerts.values())

    def look(self, now: datetime, ballots: Sequence[Ballot], fleet: Fleet) -> tuple[Look, list[Event]]:
        """Look at ``now`` with what is new, and keep what comes of it."""
        repeats = repeated(ballots, self._spoken)
        ballots = [
            one if (kind := repeats.get(one.mention)) is one.repeats else replace(one, repeats=kind) for one in ballots
        ]
        case = Case(
            brand=self.brand,
            rules=self.rules,
            standing=self.standing,
            ballots=ballots,
            fleet=fleet,
            now=now,
            alerting=self.alerting,
            past=self._past(now) if self._needs_past(ballots, now) else None,
            alerts=self.alerts,
        )
        found = look(case)
        self._keep(found)
        events = [
            Event(at=now, reason=transition.reason, alert=transition.alert)
            for _, transition in found.transitions
            if transition.reason is not None and transition.alert is not None
        ]
        return found, events

    def _needs_past(self, ballots: Sequence[Ballot], now: datetime) -> bool:
        return standings.needs_past(self.standing, ballots, rule=self._rule, now=now)

    def _past(self, now: datetime) -> list[Past]:
        first = tick_of(now) // BLOCK_TICKS - KEPT_BLOCKS
        self._blocks = {slot: self._blocks[slot] for slot in sorted(self._blocks) if slot >= first}
        return list(self._blocks.values())

    def _keep(self, found: Look) -> None:
        """As ``listener.store.votes.save`` does it, in the same order."""
        self.standing = found.standing
        if found.left_out_from is not None:
            for slot, one in self._blocks.items():
                if slot >= found.left_out_from:
                    self._blocks[slot] = replace(one, left_out=True)
        for one in found.counted.added:
            before = self._blocks.get(one.sums.slot)
            self._blocks[one.sums.slot] = (
                one
                if before is None
                else Past(sums=before.sums.plus(one.sums), left_out=before.left_out or one.left_out)
            )
        changed = {one.alert.fingerprint: one.alert for _, one in found.transitions if one.alert is not None}
        if changed:
            self.alerts = {**self.alerts, **changed}


def replay(
    tracks: Sequence[Track],
    *,
    tick_secs: int = FINE_SECS,
    until: datetime | None = None,
    fleet: Fleet | None = None,
    on_look: OnLook | None = None,
    on_progress: OnProgress | None = None,
) -> list[Event]:
    """Look at all brands together every ``tick_secs``, from their first mention up to ``until``.

    Without ``until``, up to a day after the last mention. What is usual for the fleet is what is usual for the brands
    given, as the daemon has it, unless a ``fleet`` is given.
    """
    said = [one.at for track in tracks for one in (*track.heard[:1], *track.heard[-1:])]
    if not said:
        return []
    first = window_start(min(said), FINE_SECS)
    last = max(said) + AFTER if until is None else until
    ticks = int((last - first).total_seconds() // tick_secs)
    step = timedelta(seconds=tick_secs)
    followers = {one.brand: Follower(one.brand, one.rules, alerting=one.alerting) for one in tracks}
    heard = {one.brand: one.heard for one in tracks}
    done = dict.fromkeys(followers, 0)
    usual = _Fleet(fleet)
    events: list[Event] = []
    queue = [(1, brand) for brand in sorted(followers)]  # (tick, brand): one entry a brand
    while queue and queue[0][0] <= ticks:
        tick = queue[0][0]
        now = first + tick * step
        together = usual.fleet()
        while queue and queue[0][0] == tick:
            _, brand = heapq.heappop(queue)
            follower, coming = followers[brand], heard[brand]
            start = end = done[brand]
            while end < len(coming) and coming[end].at <= now:
                end += 1
            done[brand] = end
            found, told = follower.look(now, [one.ballot for one in coming[start:end]], together)
            events += told
            usual.put(brand, found.standing)
            if on_look is not None:
                on_look(now, found)
            due_at = next_look(found.standing, now)
            if end < len(coming):
                due_at = min(due_at, coming[end].at)
            wait = 1 if follower.firing else max(1, math.ceil((due_at - now) / step))
            heapq.heappush(queue, (tick + wait, brand))
        if on_progress is not None:
            on_progress(tick, ticks)
    return events


class _Fleet:
    """What is usual for all brands together, as ``listener.store.votes.fleet`` adds it up."""

    def __init__(self, given: Fleet | None) -> None:
        self._given = given
        self._known: Fleet | None = given
        self._brands: dict[str, tuple[float, float, float, float]] = {}

    def put(self, brand: str, standing: Standing) -> None:
        """Note how a brand stands."""
        here = (standing.usual.count, standing.usual.mean, standing.usual_rate.mean, standing.usual.deff)
        if self._given is None and self._brands.get(brand) != here:
            self._brands[brand] = here
            self._known = None

    def fleet(self) -> Fleet:
        """As it was before the brands of this tick are looked at."""
        if self._known is None:
            stood = [self._brands[brand] for brand in sorted(self._brands)]
            total = math.fsum(count for count, *_ in stood)
            self._known = Fleet()
            if total:
                x, y, deff = (math.fsum(one[0] * one[what] for one in stood) / total for what in (1, 2, 3))
                self._known = Fleet(x=x, y=y, deff=deff)
        return self._known
