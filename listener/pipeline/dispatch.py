"""Turn what was decided into messages: one transaction, alone among all daemons, each time something is to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.alerts.oncall import say
from listener.alerts.oncall.dispatch import dispatch
from listener.alerts.oncall.rounds import Dispatched, Known, Message, Round
from listener.alerts.oncall.storm import Bucket, Limits
from listener.domain import Bundle, Event, Member, Notification, Response, stable_id
from listener.pipeline.mend import answer_to, mended, readable
from listener.pipeline.parts import Parts
from listener.store import alerts, events, outbox, responses, settings, silences

log = structlog.get_logger()

HELD_SECS = 15.0  # how often it is asked whether a hold has ended
STORM = "storm"  # the setting that keeps how full the buckets are
ALONE = Limits(burst=1, per_hour=1.0, update=timedelta(minutes=5))  # a round about one alert is no storm


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What one round keeps: what was decided, its messages, and what became of its events.

    ``anew`` are events that were made anew; ``error`` is why alerts were left out that stay as they are.
    """

    found: Dispatched
    due: Sequence[Notification]
    outcomes: Mapping[str, str]
    anew: Sequence[Event] = ()
    error: Exception | None = None


async def tell(parts: Parts) -> int:
    """Decide who is told of what is new or due; how many messages became due.

    While the rules look, it waits: what one look finds is told together. Where an alert had to be left out, it raises
    why, after the others are kept: the sign that all is well is to fail.
    """
    now = parts.now()
    held_at = parts.telling.held_at
    held = held_at is None or now - held_at >= timedelta(seconds=HELD_SECS)
    decided: Decided | None = None
    async with parts.deciding:
        if held or await events.anything(parts.database, now=now):
            async with responses.deciding(parts.database) as connection:
                decided = await _tell(parts, connection, now, held=held)
            if held and decided.error is None:
                parts.telling.held_at = now
    due = () if decided is None else decided.due
    for one in due:
        log.info("notification.due", receiver=one.receiver, alert=one.alert_id, reason=one.reason.value, seq=one.seq)
    if decided is not None and decided.error is not None:
        raise decided.error
    parts.metrics.told.set(parts.now().timestamp())
    return len(due)


async def _tell(parts: Parts, connection: AsyncConnection, now: datetime, *, held: bool) -> Decided:
    waiting = await events.waiting(connection, held=held)
    unfinished = await responses.unfinished(connection)
    about = {event.alert_id for event in waiting}

    @cache  # a round may be decided more than once, and what cannot be reached is to be counted once
    def reach(names: tuple[str, ...]) -> tuple[str, ...]:
        return parts.reach(names, now)

    start = Round(
        now=now,
        events=waiting,
        known=await _known(connection, about, unfinished),
        policy=parts.policy,
        reach=lambda names: reach(tuple(names)),
        limits=parts.limits,
        pending=await outbox.pending(connection, unfinished),
        silences=await silences.active(connection, now=now),
        buckets=_buckets(await settings.get(connection, STORM) or {}),
    )
    decided = await _decided(parts, connection, start)
    await _keep(connection, parts.database.dialect, decided, now)
    parts.metrics.dispatched(decided.outcomes.values(), decided.found.holds.values())
    return decided


async def _decided(parts: Parts, connection: AsyncConnection, start: Round) -> Decided:
    """What is decided; an event that cannot be read, or an alert that crashes, keeps nobody from hearing of others."""
    try:
        return _round(parts, start)
    except Exception:
        parts.metrics.unit_failures.labels(stage="tell").inc()
        log.exception("tell.crashed")
    rest = await mended(parts, connection, start)
    made = _without_fault(parts, rest.round)
    decided = {one.alert_id for one in made.found.responses}
    others = [one for one in rest.responses if one.alert_id not in decided]
    found = replace(made.found, responses=[*made.found.responses, *others])
    return replace(made, found=found, outcomes={**made.outcomes, **rest.outcomes}, anew=rest.anew)


def _round(parts: Parts, start: Round) -> Decided:
    found = dispatch(start)
    for event in {tell.event.id: tell.event for message in found.messages for tell in message.tells}.values():
        readable(event.payload)  # what is told alone goes out as it was kept, and must be fit for that
    said = [pair for message in found.messages for pair in _said(parts, message, start)]
    found = replace(found, messages=[message for message, _ in said])
    return Decided(found=found, due=[row for _, row in said], outcomes=found.outcomes)


def _without_fault(parts: Parts, start: Round) -> Decided:
    """The round, if need be without the alerts with which alone it crashes too: they stay as they are."""
    try:
        return _round(parts, start)
    except Exception as error:  # noqa: BLE001 -- raised in the end, or at once by what is left
        chains: dict[str, list[Event]] = {alert_id: [] for alert_id in start.known}
        for event in start.events:
            chains.setdefault(event.alert_id, []).append(event)
        fault = {alert_id for alert_id, chain in chains.items() if _crashes(parts, start, alert_id, chain)}
        log.error("tell.left_out", alerts=sorted(fault))  # noqa: TRY400 -- as above
        events_left = [event for event in start.events if event.alert_id not in fault]
        known_left = {alert_id: one for alert_id, one in start.known.items() if alert_id not in fault}
        return replace(_round(parts, replace(start, events=events_left, known=known_left)), error=error)


def _crashes(parts: Parts, start: Round, alert_id: str, chain: Sequence[Event]) -> bool:
    known = {alert_id: start.known[alert_id]} if alert_id in start.known else {}
    try:
        _round(parts, replace(start, events=chain, known=known, buckets={}, limits=ALONE))
    except Exception:  # noqa: BLE001 -- logged where the whole round crashed
        return True
    return False


async def _known(connection: AsyncConnection, about: set[str], unfinished: Mapping[str, Response]) -> dict[str, Known]:
    """The alerts of the waiting events, and all that people were told of and that are not over."""
    asked = about | unfinished.keys()
    briefs = await alerts.briefs(connection, asked)
    kept = {**await responses.of(connection, about - unfinished.keys()), **unfinished}
    newest: Mapping[str, Event] = await events.newest(connection, unfinished)
    return {
        alert_id: Known(brief=brief, response=kept.get(alert_id), event=newest.get(alert_id))
        for alert_id, brief in briefs.items()
    }


def _said(parts: Parts, message: Message, start: Round) -> list[tuple[Message, Notification]]:
    """The message with its row of the outbox; one about several alerts that crashes is told apart."""
    briefs = {
        one.event.alert_id: start.known[one.event.alert_id].brief
        for one in message.tells
        if one.event.alert_id in start.known
    }
    answer = answer_to(parts, say.target(message), start.now)
    try:
        return [(message, say.notification(message, answer=answer, briefs=briefs, now=start.now))]
    except Exception:
        if message.bundle is None:
            raise
        log.exception("bundle.crashed", bundle=message.bundle.id, alerts=len(message.tells))
        return [pair for one in _apart(message, message.bundle) for pair in _said(parts, one, start)]


def _apart(message: Message, bundle: Bundle) -> list[Message]:
    """One message about each alert: a digest, which wakes nobody, becomes digests of one if that can be."""
    if bundle.kind not in say.CALM_KINDS or len(message.tells) == 1:
        return [replace(message, tells=(tell,), bundle=None) for tell in message.tells]
    return [
        replace(
            message,
            tells=(tell,),
            bundle=replace(
                bundle,
                id=stable_id("bundle", bundle.kind, tell.key),
                members=(Member(alert_id=tell.event.alert_id, seq=tell.event.seq),),
            ),
        )
        for tell in message.tells
    ]


async def _keep(connection: AsyncConnection, dialect: str, decided: Decided, now: datetime) -> None:
    found = decided.found
    await events.rewrite(connection, decided.anew)
    await outbox.enqueue(connection, dialect, decided.due)
    await responses.write(connection, dialect, found.responses)
    bundles = {one.bundle.id: one.bundle for one in found.messages if one.bundle is not None}
    await responses.write_bundles(connection, dialect, list(bundles.values()))
    await events.close(connection, decided.outcomes, found.holds, now=now)
    await settings.put(connection, STORM, _as_json(found.buckets))


def _buckets(kept: Mapping[str, Any]) -> dict[str, Bucket]:
    return {
        kind: Bucket(
            tokens=value["tokens"],
            at=datetime.fromisoformat(value["at"]),
            bundled_at=datetime.fromisoformat(value["bundled_at"]) if value["bundled_at"] else None,
        )
        for kind, value in kept.items()
    }


def _as_json(buckets: Mapping[str, Bucket]) -> dict[str, Any]:
    return {
        kind: {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(one).items()}
        for kind, one in buckets.items()
    }
