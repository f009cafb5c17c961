"""Who is told of what now: open events and timers in, notifications out. Pure.

In this order, as trusted systems do it: what is over and was never told needs no word; silences, maintenance and quiet
hours hold back; a page of a brand inhibits its tickets; brands that move together are told together; and what is left
goes through the storm control, each kind by itself: no drill is told together with what is real, and no reminder goes
before what nobody has heard of. What is held stays open, and comes as a page or as a digest when the hold ends: as a
digest, too, where somebody has answered it meanwhile. So all hear of it, and nobody is woken for what somebody is on.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from listener.alerts.oncall import storm
from listener.alerts.oncall.chain import answered, begun, due_again, first_steps, over, reminded
from listener.alerts.oncall.rounds import DRILL, KINDS, Dispatched, Kind, Known, Message, Outcome, Round, Tell
from listener.domain import (
    AlertState,
    Brief,
    Bundle,
    BundleKind,
    Event,
    Hold,
    Member,
    Reason,
    Response,
    Severity,
    stable_id,
)

TIMED = frozenset({Hold.SILENCE, Hold.MAINTENANCE, Hold.QUIET_HOURS})
AFTER_HOLD = timedelta(minutes=1)  # how late a reminder comes after what holds it back


def dispatch(now: Round) -> Dispatched:
    """Decide once; the same round gives the same messages."""
    return _Work(now).done()


class _Work:
    """One round, while it is decided."""

    def __init__(self, now: Round) -> None:
        self._round = now
        self._tells: list[Tell] = []
        self._held: list[Tell] = []
        self._messages: list[Message] = []
        self._responses: dict[str, Response] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._holds: dict[str, Hold] = {}
        self._buckets = dict(now.buckets)
        self._pages = {one.brief.brand for one in now.known.values() if _is_page(one)}

    def done(self) -> Dispatched:
        chains: dict[str, list[Event]] = defaultdict(list)
        for event in self._round.events:
            chains[event.alert_id].append(event)
        # The loudest first: a page inhibits the tickets that come with it.
        for chain in sorted(chains.values(), key=lambda chain: (-chain[-1].severity.rank, chain[-1].row)):
            self._consider(chain)
        for known in self._round.known.values():
            if known.firing and known.brief.alert_id not in chains:
                self._remind(known)
            elif not known.firing and known.response is not None and known.response.next_at is not None:
                # That it is over waits to be told: nobody is to be reminded meanwhile.
                self._responses[known.brief.alert_id] = replace(known.response, next_at=None)
        self._digest()
        for kind in KINDS:
            self._send(kind)
        return Dispatched(
            messages=self._messages,
            responses=list(self._responses.values()),
            outcomes=self._outcomes,
            holds=self._holds,
            buckets=self._buckets,
        )

    # ------------------------------------------------------------------------------------------------ what to tell

    def _consider(self, chain: Sequence[Event]) -> None:
        """One alert's open events, oldest first; only the newest is told."""
        newest = chain[-1]
        response = self._response(newest)
        if newest.state is AlertState.RESOLVED:
            if not response.told_seq or response.closed:
                self._never_told(chain, response)
            elif (hold := self._timed(newest)) is not None:
                self._keep(chain, hold)  # that it is over can wait, too
            else:
                self._end(chain, response)
            return
        hold = self._hold(newest)
        if hold is not None:
            self._keep(chain, hold)
        elif newest.severity is not Severity.CRITICAL and any(event.hold in TIMED for event in chain):
            self._hold_ended(chain, newest, response)
        else:
            self._fire(chain, newest, response)

    def _timed(self, event: Event) -> Hold | None:
        policy, now = self._round.policy, self._round.now
        return policy.hold(event.brand, event.rule, event.severity, now, self._round.silences)

    def _hold(self, event: Event) -> Hold | None:
        hold = self._timed(event)
        if hold is not None or event.severity is Severity.CRITICAL or event.brand not in self._pages:
            return hold
        # That a brand cannot be heard is news also beside a page.
        return None if "sources" in event.payload.get("channels", ()) else Hold.INHIBITED

    def _fire(self, chain: Sequence[Event], event: Event, response: Response) -> None:
        if event.severity is Severity.CRITICAL and event.rule != DRILL:
            self._pages.add(event.brand)
        policy, now = self._round.policy, self._round.now
        escalation = policy.escalation(event.brand, event.severity)
        first = [name for step in first_steps(escalation) for name in step.to]
        targets = _union(policy.told(event.brand, event.severity), self._round.reach(first))
        tell = Tell(
            event=event,
            reason=event.reason,
            targets=targets,
            response=begun(response, event, targets, escalation, now),
            before=response,
            chain=chain,
        )
        if answered(response, event, escalation, now):
            self._held.append(replace(tell, reason=Reason.DIGEST))
        else:
            self._tells.append(tell)

    def _hold_ended(self, chain: Sequence[Event], event: Event, response: Response) -> None:
        """It waited, and can be told of in the digest."""
        targets = self._round.policy.told(event.brand, event.severity)
        ended = chain[-1].state is AlertState.RESOLVED
        after = over(response) if ended else begun(response, event, targets, None, self._round.now)
        self._held.append(
            Tell(event=chain[-1], reason=Reason.DIGEST, targets=targets, response=after, before=response, chain=chain)
        )

    def _end(self, chain: Sequence[Event], response: Response) -> None:
        tell = Tell(
            event=chain[-1],
            reason=Reason.RESOLVED,
            targets=self._still_there(response.receivers),
            response=over(response),
            before=response,
            chain=chain,
        )
        self._tells.append(tell)

    def _never_told(self, chain: Sequence[Event], response: Response) -> None:
        """Over before anybody heard of it: nobody needs to, unless it was held back on purpose or by a storm."""
        last = [event for event in chain if event.state is AlertState.FIRING][-1:]
        waited = [event.hold for event in chain if event.hold is not None and event.hold is not Hold.INHIBITED]
        if not last or not waited:
            self._close(chain, "unneeded")
            self._responses[response.alert_id] = over(response)
            return
        hold = self._timed(last[0])
        if hold is not None:
            self._keep(chain, hold)
        else:
            self._hold_ended(chain, last[0], response)

    def _remind(self, known: Known) -> None:
        """What its timer says, if it is due."""
        brief, response, event, now = known.brief, known.response, known.event, self._round.now
        if response is None or event is None or response.next_at is None or response.next_at > now:
            return
        policy = self._round.policy
        held = policy.hold(brief.brand, brief.rule, brief.severity, now, self._round.silences) is not None
        if held or event.seq > response.told_seq:
            # Nor is anybody reminded of what is still to be told: they hear of it first.
            self._responses[brief.alert_id] = replace(response, next_at=now + AFTER_HOLD)
            return
        escalation = policy.escalation(brief.brand, brief.severity)
        found = reminded(response, escalation, now)
        wanted = self._round.reach(found.to) if found.to else self._told_of(brief, response)
        able = [one for one in wanted if policy.kind(one).repeated]
        waiting = self._round.pending.get(brief.alert_id, frozenset())
        targets = tuple(one for one in able if one not in waiting)
        if not targets:
            # Nobody can be asked: on to the next step. Where all must be asked, or the last call made, those who do
            # not even know yet are asked later, and it does not count.
            later = able and (found.reason is not Reason.ESCALATED or found.last)
            passed = replace(found.response, messages=response.messages)
            self._responses[brief.alert_id] = due_again(response, escalation, now) if later else passed
            return
        after = replace(found.response, receivers=_union(response.receivers, targets))
        told_at = response.told_at or now
        self._tells.append(
            Tell(
                event=event,
                reason=found.reason,
                targets=targets,
                response=after,
                before=response,
                minutes=round((now - told_at).total_seconds() / 60),
                escalate=found.last,
            )
        )

    def _told_of(self, brief: Brief, response: Response) -> tuple[str, ...]:
        """Whom to ask once more: who was told and is still there; where none of them is, whoever would be told now."""
        told = self._still_there(response.receivers)
        if told or not response.receivers:
            return told
        return self._round.policy.told(brief.brand, brief.severity)

    def _still_there(self, receivers: Sequence[str]) -> tuple[str, ...]:
        return tuple(one for one in receivers if one in self._round.policy.receivers)

    # ------------------------------------------------------------------------------------------------- how to tell

    def _digest(self) -> None:
        """One message of all that waited and may be told now, and one of drills."""
        for drills in (False, True):
            held = [tell for tell in self._held if (tell.event.rule == DRILL) is drills]
            holds = frozenset(event.hold for tell in held for event in tell.chain if event.hold is not None)
            self._bundle("held", held, holds=holds)
        for tell in self._held:
            self._told(tell, "bundled")

    def _send(self, kind: Kind) -> None:
        groups = self._together([tell for tell in self._tells if tell.kind == kind])
        if not groups:
            return
        limits, now = self._round.limits, self._round.now
        bucket = self._buckets.get(kind) or storm.full(limits, now)
        alone, folded, waiting, self._buckets[kind] = storm.fold(groups, bucket, limits, now)
        for group in alone:
            if len(whole := [*group, *self._companions(group)]) == 1:
                self._alone(group[0])
            else:
                self._bundle("market", whole)
                for tell in group:
                    self._told(tell, "bundled")
        rest = [tell for group in folded for tell in group]
        self._bundle("storm", rest, alone=len(alone))
        for tell in rest:
            self._told(tell, "bundled")
        for tell in (tell for group in waiting for tell in group):
            self._wait(tell)

    def _together(self, tells: Sequence[Tell]) -> list[list[Tell]]:
        """The worst first; brands that moved together in one group."""
        ordered = sorted(tells, key=lambda tell: (-tell.event.severity.rank, -_observed(tell), tell.event.row))
        groups: list[list[Tell]] = []
        for tell in ordered:
            home = next((group for group in groups if any(_moved_together(tell, other) for other in group)), None)
            if home is None:
                groups.append([tell])
            else:
                home.append(tell)
        return groups

    def _companions(self, group: Sequence[Tell]) -> list[Tell]:
        """Pages that people have been told of already, of brands that move together with these."""
        market = {brand for tell in group if tell.kind == "page" for brand in tell.event.market}
        brands = {tell.event.brand for tell in group}
        targets = _union(*(tell.targets for tell in group))
        return [
            Tell(event=one.event, reason=one.event.reason, targets=targets, response=one.response, before=one.response)
            for one in self._round.known.values()
            if one.brief.brand in market - brands
            and _is_page(one)
            and one.event is not None
            and one.response is not None
        ]

    def _alone(self, tell: Tell) -> None:
        self._messages += [Message(receiver=receiver, tells=(tell,)) for receiver in tell.targets]
        self._told(tell, "told")

    def _bundle(
        self, kind: BundleKind, tells: Sequence[Tell], *, holds: frozenset[Hold] = frozenset(), alone: int = 0
    ) -> None:
        """One message to each receiver about all that it is to be told of."""
        receivers = _union(*(tell.targets for tell in tells))
        for receiver in receivers:
            mine = tuple(tell for tell in tells if receiver in tell.targets)
            if kind != "held" and (len(mine) == 1 or not self._round.policy.kind(receiver).bundled):
                self._messages += [Message(receiver=receiver, tells=(tell,)) for tell in mine]
                continue
            bundle = Bundle(
                id=stable_id("bundle", kind, *sorted(tell.key for tell in mine)),
                kind=kind,
                at=self._round.now,
                members=tuple(Member(alert_id=tell.event.alert_id, seq=tell.event.seq) for tell in mine),
            )
            self._messages.append(Message(receiver=receiver, tells=mine, bundle=bundle, holds=holds, alone=alone))

    # ------------------------------------------------------------------------------------------------ what to keep

    def _response(self, event: Event) -> Response:
        known = self._round.known.get(event.alert_id)
        kept = None if known is None else known.response
        return kept or Response(alert_id=event.alert_id, brand=event.brand)

    def _told(self, tell: Tell, outcome: Outcome) -> None:
        self._responses[tell.event.alert_id] = tell.response
        self._close(tell.chain, outcome)

    def _wait(self, tell: Tell) -> None:
        if tell.chain:
            self._keep(tell.chain, Hold.STORM)
        else:  # a reminder: all that wait are due together, at the next message that may name several
            bundled_at = self._buckets[tell.kind].bundled_at or self._round.now
            due_at = bundled_at + self._round.limits.update
            self._responses[tell.event.alert_id] = replace(tell.before, next_at=due_at)

    def _keep(self, chain: Sequence[Event], hold: Hold) -> None:
        for event in chain:
            if event.hold is not hold:
                self._holds[event.id] = hold

    def _close(self, chain: Sequence[Event], outcome: Outcome) -> None:
        for event in chain[:-1]:
            self._outcomes[event.id] = "unneeded" if outcome == "unneeded" else "superseded"
        for event in chain[-1:]:
            self._outcomes[event.id] = outcome


def _is_page(known: Known) -> bool:
    """Whether people were told of it as it is now: a page that is itself held back says nothing in a ticket's place."""
    response, brief = known.response, known.brief
    told = response is not None and not response.closed and response.told_seq >= brief.seq
    return known.firing and told and brief.severity is Severity.CRITICAL and brief.rule != DRILL


def _moved_together(one: Tell, other: Tell) -> bool:
    return one.event.brand in other.event.market or other.event.brand in one.event.market


def _observed(tell: Tell) -> float:
    return float(tell.event.payload.get("observed") or 0.0)


def _union(*some: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in some for name in names))
