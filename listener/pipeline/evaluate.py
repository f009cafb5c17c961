"""Count what was scored, let every rule look, and keep what changed together with the notifications it makes due."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from listener.alerts.detection import standing as standings
from listener.alerts.detection import sums
from listener.alerts.detection.blind import Ear
from listener.alerts.detection.budget import BLOCK_TICKS, KEPT_BLOCKS
from listener.alerts.detection.detect import next_look
from listener.alerts.detection.standing import Fleet, Standing
from listener.alerts.oncall.events import event_of
from listener.alerts.wire.payload import StatePayload, alert_payload, as_json, state_payload
from listener.domain import Alert, AlertState, Event, Reason, Response, Severity
from listener.domain.memories import Memory
from listener.pipeline.advise import Advice
from listener.pipeline.look import Case, Look, look, main_rule
from listener.pipeline.parts import Parts
from listener.pipeline.prove import prove_it
from listener.store import alerts, ledger, responses, sources, votes
from listener.store.votes import Change, Kept, Waiting

log = structlog.get_logger()

BALLOTS = 5_000  # counted at a time: bounds memory, not work
EVENTS = {
    Reason.FIRST: "alert.fired",
    Reason.WORSENED: "alert.worsened",
    Reason.REOPENED: "alert.reopened",
    Reason.RESOLVED: "alert.resolved",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One look of all rules: the alerts that people are told of, and how the brands stand that were looked at."""

    told: tuple[Alert, ...]
    states: tuple[StatePayload, ...]


async def evaluate(parts: Parts) -> Evaluation:
    """Look at every brand of which something is new, or whose time has come; the cost is theirs alone.

    A brand without alerts (a competitor) is followed like the others, and nobody is told.
    """
    async with parts.deciding:
        return await _evaluate(parts, parts.now())


async def _evaluate(parts: Parts, now: datetime) -> Evaluation:
    ears = await _ears(parts)
    waiting = await votes.waiting(parts.database, now=now, limit=BALLOTS)
    about = set(parts.agenda.due(now)) | await alerts.firing(parts.database) | ears.keys()
    fleet = _FleetOnce(parts)
    told: list[Alert] = []
    states: list[StatePayload] = []
    while True:
        looked = await _look_at(parts, about, waiting, ears, fleet, now)
        told += looked.told
        states += looked.states
        if len(waiting) < BALLOTS:
            break
        about = set()
        waiting = await votes.waiting(parts.database, now=now, limit=BALLOTS)
    parts.metrics.evaluated.set(now.timestamp())
    return Evaluation(told=tuple(told), states=tuple(states))


class _FleetOnce:
    """What is usual for all brands together: read once a look at most, and only where a brand learns what is usual."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: Fleet | None = None

    async def read(self) -> Fleet:
        """The fleet as it was when it was first asked for."""
        if self._known is None:
            known = await votes.fleet(self._parts.database)
            self._known = Fleet() if known is None else Fleet(x=known[0], y=known[1], deff=known[2])
        return self._known


async def _look_at(
    parts: Parts,
    about: Collection[str],
    waiting: Sequence[Waiting],
    ears: Mapping[str, Sequence[Ear]],
    fleet: "_FleetOnce",
    now: datetime,
) -> Evaluation:
    """Look at these brands, and at those that something is said of."""
    queue: dict[str, list[Waiting]] = defaultdict(list)
    for one in waiting:
        queue[one.brand].append(one)
    await _forget(parts, [one for one in waiting if one.brand not in parts.brands])
    brands = [name for name in sorted(queue.keys() | set(about)) if name in parts.brands]
    stands = await _standings(parts, brands)
    latest = await alerts.latest(parts.database, brands)
    by_brand: dict[str, dict[str, Alert]] = defaultdict(dict)
    for fingerprint, alert in latest.items():
        by_brand[alert.brand][fingerprint] = alert
    people = await _responses(parts, latest.values())
    told: list[Alert] = []
    states: list[StatePayload] = []
    quiet: list[tuple[Case, Look, Change]] = []
    loud: list[tuple[Case, Look, Change]] = []
    for name in brands:
        version, standing = stands.get(name, (0, None))
        case = await _case(parts, name, standing, queue.get(name, ()), by_brand[name], ears.get(name), fleet, now)
        found = look(case)
        change = _change(case, found, version, queue.get(name, ()))
        tells = any(transition.reason is not None for _, transition in found.transitions)
        (loud if tells else quiet).append((case, found, change))
    await _keep_quiet(parts, quiet, now)  # first: who is told of a brand is told how its competitors stand now
    moved = {case.brand: found.counted.standing for case, found, _ in loud}
    for case, found, change in loud:
        decided = await _decide(parts, case, found, change, moved)
        told += decided
        states += [_state(parts, case, found, people)] if decided else []
    states += [_state(parts, case, found, people) for case, found, _ in quiet if case.rules]
    return Evaluation(told=tuple(told), states=tuple(states))


async def _standings(parts: Parts, brands: Sequence[str]) -> dict[str, tuple[int, Standing]]:
    """How these brands stand, with the versions; read only where they have changed since we last kept them."""
    found: dict[str, tuple[int, Standing]] = {}
    for name, version in (await votes.versions(parts.database, brands)).items():
        known = parts.standings.get(name, version)
        if known is not None:
            found[name] = version, known
    for name, kept in (await votes.kept(parts.database, [one for one in brands if one not in found])).items():
        found[name] = kept.version, standings.from_json(kept.state)
    return found


async def _case(
    parts: Parts,
    name: str,
    standing: Standing | None,
    queue: Sequence[Waiting],
    latest: Mapping[str, Alert],
    ears: Sequence[Ear] | None,
    fleet: "_FleetOnce",
    now: datetime,
) -> Case:
    brand, rules = parts.brands[name], parts.rules.get(name, ())
    ballots = [one.ballot for one in queue if one.ballot is not None]
    past, usual = None, Fleet()
    if standings.needs_past(standing, ballots, rule=main_rule(rules), now=now):
        block = sums.tick_of(now) // BLOCK_TICKS
        past = await ledger.past(parts.database, name, first_slot=block - KEPT_BLOCKS)
        usual = await fleet.read()
    return Case(
        brand=name,
        rules=rules,
        standing=standing,
        ballots=ballots,
        fleet=usual,
        now=now,
        alerting=brand.alerts,
        past=past,
        ears=_hearing(parts, name) if ears is None else ears,
        alerts=latest,
    )


def _change(case: Case, found: Look, version: int, queue: Sequence[Waiting]) -> Change:
    """What the look changes; the alerts that changed without anybody being told are in it."""
    standing = found.standing
    return Change(
        brand=case.brand,
        before=version,
        kept=Kept(
            version=version + 1,
            position=standing.position,
            state=standings.as_json(standing),
            share=standing.usual.mean,
            dissatisfaction=standing.usual_rate.mean,
            deff=standing.usual.deff,
            mentions=standing.usual.count,
        ),
        waiting=queue,
        votes=found.counted.votes,
        added=found.counted.added,
        left_out_from=found.left_out_from,
        alerts=[one.alert for _, one in found.transitions if one.alert is not None and not _as_before(case, one.alert)],
        rows={one.ballot.mention: one.row for one in queue if one.ballot is not None},
    )


def _as_before(case: Case, alert: Alert) -> bool:
    return case.alerts.get(alert.fingerprint) == alert


async def _decide(parts: Parts, case: Case, found: Look, change: Change, moved: Mapping[str, Standing]) -> list[Alert]:
    """Prove what people are told of, and keep it with its notifications; what was told."""
    kept = {one.fingerprint: one for one in change.alerts}
    decided: list[Event] = []
    memories: list[Memory] = []
    events = []
    for rule, transition in found.transitions:
        alert, reason = transition.alert, transition.reason
        if alert is None or reason is None:
            continue
        alert, links = await prove_it(parts, case, found, rule, alert, reason, moved)
        kept[alert.fingerprint] = alert
        advice = await _advise(parts, alert, reason)
        memories += [advice.memory] if advice.memory is not None else []
        payload = alert_payload(
            alert,
            reason,
            title=parts.title(case.brand),
            evidence=links,
            now=case.now,
            names=parts.titles,
            articles=advice.articles,
            past=advice.past,
            links=parts.links,
        )
        market = () if payload.market is None or payload.market.verdict != "whole_market" else payload.market.moving
        decided.append(event_of(alert, reason, payload=as_json(payload), now=case.now, market=market))
        events.append((alert, reason, transition.explanation))
    whole = replace(change, alerts=tuple(kept.values()), events=tuple(decided), memories=tuple(memories))
    if not await votes.save(parts.database, [whole], now=case.now):
        parts.agenda.put(case.brand, case.now)  # another daemon decided first: its decision is read at the next look
        return []
    parts.agenda.put(case.brand, next_look(found.standing, case.now))
    parts.standings.put(case.brand, change.kept.version, found.standing)
    for alert, reason, explanation in events:
        if alert.ended_at is not None and alert.resolution is not None:
            lasted_secs = (alert.ended_at - alert.started_at).total_seconds()
            parts.metrics.alert_seconds.labels(resolution=alert.resolution.value).observe(lasted_secs)
        log.warning(
            EVENTS[reason],
            alert=alert.id,
            brand=alert.brand,
            rule=alert.rule,
            severity=alert.severity.value,
            seq=alert.seq,
            explanation=explanation,
        )
    return [alert for alert, _, _ in events]


async def _advise(parts: Parts, alert: Alert, reason: Reason) -> Advice:
    """What to answer, and what helped before."""
    if parts.adviser is None or reason is Reason.RESOLVED:
        return Advice()
    return await parts.adviser.advise(
        parts.database, alert.evidence, alert_id=alert.id, brand=alert.brand, now=alert.updated_at
    )


async def _responses(parts: Parts, known: Iterable[Alert]) -> dict[str, Response]:
    """How people respond to those that fire."""
    return await responses.of(parts.database, [one.id for one in known if one.state is AlertState.FIRING])


async def _keep_quiet(parts: Parts, quiet: Sequence[tuple[Case, Look, Change]], now: datetime) -> None:
    """Keep what nobody is told of, all in one transaction; one by one where another daemon was first."""
    changes = [change for _, _, change in quiet]
    together = not changes or await votes.save(parts.database, changes, now=now)
    for case, found, change in quiet:
        saved = together or await votes.save(parts.database, [change], now=now)
        parts.agenda.put(case.brand, next_look(found.standing, now) if saved else now)
        if saved:
            parts.standings.put(case.brand, change.kept.version, found.standing)


async def _forget(parts: Parts, unknown: Sequence[Waiting]) -> None:
    """Take what is about brands that are followed no more off the queue."""
    if unknown:
        await votes.forget(parts.database, unknown)


async def _ears(parts: Parts) -> dict[str, list[Ear]]:
    """The sources of every brand of which one fails; when all can be heard nobody is looked at for it."""
    since = await sources.failing(parts.database)
    failing = {name for name, source in parts.sources.items() if source.enabled and name in since}
    if not failing:
        return {}
    return {
        brand: [replace(one, failing_since_at=since.get(one.source)) for one in _hearing(parts, brand)]
        for brand in parts.brands
        if any(one.source in failing for one in _hearing(parts, brand))
    }


def _hearing(parts: Parts, brand: str) -> list[Ear]:
    return [
        Ear(source=name, interval_secs=source.interval_secs)
        for name, source in parts.sources.items()
        if source.enabled and (not source.brands or brand in source.brands)
    ]


def _state(parts: Parts, case: Case, found: Look, people: Mapping[str, Response]) -> StatePayload:
    """How the brand stands, for people and for Prometheus."""
    current = [one.alert for _, one in found.transitions if one.alert is not None]
    gauges = parts.metrics.of_brand(case.brand)
    gauges.show(found.signal)
    for severity in Severity:
        count = sum(alert.state is AlertState.FIRING and alert.severity is severity for alert in current)
        gauges.firing[severity].set(count)
    return state_payload(
        case.brand,
        title=parts.title(case.brand),
        alerts=current,
        signal=found.signal,
        blind=found.blind,
        now=case.now,
        responses=people,
    )
