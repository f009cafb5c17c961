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
from listener.alerts.detection.rules import Rule
from listener.alerts.detection.standing import Fleet, Standing
from listener.alerts.oncall.events import event_of
from listener.alerts.wire.payload import Said, StatePayload, alert_payload, as_json, state_payload
from listener.domain import Alert, AlertState, Event, Evidence, Reason, Response, Severity
from listener.domain.memories import Memory
from listener.errors import StoreError
from listener.pipeline.advise import Advice
from listener.pipeline.ending import end_unwatched, unwatched
from listener.pipeline.found import Found, NothingLookedAt
from listener.pipeline.look import Case, Look, look, main_rule
from listener.pipeline.parts import Parts
from listener.pipeline.prove import prove_it
from listener.store import alerts, ledger, responses, sources, votes
from listener.store.votes import Change, Kept, Waiting

log = structlog.get_logger()

BALLOTS = 5_000  # counted at a time: bounds memory, not work
PUT_OFF_MOST = 500  # so many brands that crash or are another daemon's end a look: they would only be met again
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
    parts.watching.since_at = parts.watching.since_at or now
    fleet = _FleetOnce(parts)
    found = Found(parts=parts, now=now)
    while True:
        await _look_at(found, about, waiting, ears, fleet)
        if len(waiting) < BALLOTS or len(found.put_off) > PUT_OFF_MOST:
            break
        about = set()
        waiting = await votes.waiting(parts.database, now=now, limit=BALLOTS, without=found.put_off)
    if parts.brands and parts.brands.keys() <= parts.trouble.brands:
        raise NothingLookedAt("every brand crashed when it was last looked at")
    parts.metrics.evaluated.set(now.timestamp())
    return Evaluation(told=tuple(found.told), states=tuple(found.states))


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
    found: Found,
    about: Collection[str],
    waiting: Sequence[Waiting],
    ears: Mapping[str, Sequence[Ear]],
    fleet: _FleetOnce,
) -> None:
    """Look at these brands, and at those that something is said of; alerts of others that fire are ended."""
    parts, now = found.parts, found.now
    queue: dict[str, list[Waiting]] = defaultdict(list)
    for one in waiting:
        queue[one.brand].append(one)
    await _forget(parts, [one for one in waiting if one.brand not in parts.brands])
    by_brand = await _latest(found, queue.keys() | set(about))
    brands = [name for name in sorted(by_brand) if name in parts.brands]
    stands = await _standings(found, brands)
    people = await _responses(parts, [one for some in by_brand.values() for one in some.values()])
    quiet: list[tuple[Case, Look, Change]] = []
    loud: list[tuple[Case, Look, Change]] = []
    for name in brands:
        if name in found.put_off:
            continue
        with found.alone(name):
            version, standing = stands.get(name, (0, None))
            case = await _case(parts, name, standing, queue.get(name, ()), by_brand[name], ears.get(name), fleet, now)
            seen = look(case)
            change = _change(case, seen, version, queue.get(name, ()))
            tells = any(transition.reason is not None for _, transition in seen.transitions)
            (loud if tells else quiet).append((case, seen, change))
    await _keep_quiet(found, quiet)  # first: who is told of a brand is told how its competitors stand now
    moved = {case.brand: seen.counted.standing for case, seen, _ in loud}
    for case, seen, change in loud:
        with found.alone(case.brand):
            decided = await _decide(found, case, seen, change, moved)
            found.told += decided
            found.states += [_state(parts, case, seen, people)] if decided else []
    for case, seen, _ in quiet:
        if case.rules and case.brand not in found.put_off:
            with found.alone(case.brand):
                found.states.append(_state(parts, case, seen, people))


async def _latest(found: Found, brands: Collection[str]) -> dict[str, dict[str, Alert]]:
    """The newest alerts of each brand by fingerprint. What fires and is not watched any more is ended."""
    parts = found.parts
    by_brand: dict[str, dict[str, Alert]] = {name: {} for name in brands}
    for alert in (await _alerts(found, sorted(brands))).values():
        by_brand[alert.brand][alert.fingerprint] = alert
        if unwatched(parts, alert, found.now) and (ended := await end_unwatched(parts, alert, found.now)) is not None:
            found.told.append(ended)
            by_brand[alert.brand][alert.fingerprint] = ended
    return by_brand


async def _alerts(found: Found, brands: Sequence[str]) -> dict[str, Alert]:
    """The newest alerts of these brands; where one cannot be read, its brand is found by halves, and waits."""
    try:
        return await alerts.latest(found.parts.database, brands)
    except (ValueError, TypeError, LookupError):
        if len(brands) > 1:
            half = len(brands) // 2
            return {**await _alerts(found, brands[:half]), **await _alerts(found, brands[half:])}
        kept: dict[str, Alert] = {}
        with found.alone(brands[0]):
            kept.update(await alerts.latest(found.parts.database, brands))
        return kept


async def _standings(found: Found, brands: Sequence[str]) -> dict[str, tuple[int, Standing]]:
    """How these brands stand, with the versions; read only where they have changed since we last kept them."""
    parts = found.parts
    stands: dict[str, tuple[int, Standing]] = {}
    for name, version in (await votes.versions(parts.database, brands)).items():
        known = parts.standings.get(name, version)
        if known is not None:
            stands[name] = version, known
    for name, kept in (await votes.kept(parts.database, [one for one in brands if one not in stands])).items():
        with found.alone(name):
            stands[name] = kept.version, standings.from_json(kept.state)
    return stands


async def _case(
    parts: Parts,
    name: str,
    standing: Standing | None,
    queue: Sequence[Waiting],
    latest: Mapping[str, Alert],
    ears: Sequence[Ear] | None,
    fleet: _FleetOnce,
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


async def _said(parts: Parts, alert: Alert) -> Said | None:
    """What was said when the alert was closed, for whoever meets it again."""
    known = (await responses.of(parts.database, [alert.id])).get(alert.id)
    return None if known is None else Said(by=known.resolved_by, cause=known.cause, helped=known.helped)


async def _decide(looked: Found, case: Case, found: Look, change: Change, moved: Mapping[str, Standing]) -> list[Alert]:
    """Prove what people are told of, and keep it with its notifications; what was told."""
    parts = looked.parts
    kept = {one.fingerprint: one for one in change.alerts}
    decided: list[Event] = []
    memories: list[Memory] = []
    events = []
    for rule, transition in found.transitions:
        alert, reason = transition.alert, transition.reason
        if alert is None or reason is None:
            continue
        alert, links = await _proven(parts, case, found, rule, alert, reason, moved)
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
            said=await _said(parts, alert) if reason is Reason.REOPENED else None,
            links=parts.links,
        )
        market = () if payload.market is None or payload.market.verdict != "whole_market" else payload.market.moving
        decided.append(event_of(alert, reason, payload=as_json(payload), now=case.now, market=market))
        events.append((alert, reason, transition.explanation))
    whole = replace(change, alerts=tuple(kept.values()), events=tuple(decided), memories=tuple(memories))
    if not await votes.save(parts.database, [whole], now=case.now):
        looked.lost(case.brand)
        return []
    looked.kept(case.brand, change.kept.version, found.standing)
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


async def _proven(
    parts: Parts, case: Case, found: Look, rule: Rule, alert: Alert, reason: Reason, moved: Mapping[str, Standing]
) -> tuple[Alert, list[Evidence]]:
    """The alert with its proof; without it where a bug, or a competitor that cannot be read, keeps it from us."""
    try:
        return await prove_it(parts, case, found, rule, alert, reason, moved)
    except StoreError:
        raise
    except Exception:
        parts.metrics.unit_failures.labels(stage="evaluate").inc()
        log.exception("proof.crashed", alert=alert.id, brand=alert.brand)
        return alert, []


async def _advise(parts: Parts, alert: Alert, reason: Reason) -> Advice:
    """What to answer, and what helped before; nothing where that crashes: a page must not wait for it."""
    if parts.adviser is None or reason is Reason.RESOLVED:
        return Advice()
    try:
        return await parts.adviser.advise(
            parts.database, alert.evidence, alert_id=alert.id, brand=alert.brand, now=alert.updated_at
        )
    except StoreError:
        raise
    except Exception:
        parts.metrics.unit_failures.labels(stage="evaluate").inc()
        log.exception("advice.crashed", alert=alert.id, brand=alert.brand)
        return Advice()


async def _responses(parts: Parts, known: Iterable[Alert]) -> dict[str, Response]:
    """How people respond to those that fire."""
    return await responses.of(parts.database, [one.id for one in known if one.state is AlertState.FIRING])


async def _keep_quiet(found: Found, quiet: Sequence[tuple[Case, Look, Change]]) -> None:
    """Keep what nobody is told of, all in one transaction; one by one where another daemon was first or one crashes."""
    together = await _kept_together(found, [change for _, _, change in quiet])
    for case, seen, change in quiet:
        with found.alone(case.brand):
            if together or await votes.save(found.parts.database, [change], now=found.now):
                found.kept(case.brand, change.kept.version, seen.standing)
            else:
                found.lost(case.brand)


async def _kept_together(found: Found, changes: Sequence[Change]) -> bool:
    try:
        return not changes or await votes.save(found.parts.database, changes, now=found.now)
    except StoreError:
        raise
    except Exception:
        log.exception("look.crashed", brands=len(changes))
        return False


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
