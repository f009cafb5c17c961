"""Turn what was decided into messages: one transaction, alone among all daemons, each time something is to be told."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.alerts.oncall import say
from listener.alerts.oncall.dispatch import dispatch
from listener.alerts.oncall.rounds import Dispatched, Known, Message, Round
from listener.alerts.oncall.storm import Bucket
from listener.domain import Event, Notification, Response
from listener.pipeline.mend import mended, readable
from listener.pipeline.parts import Parts
from listener.store import alerts, events, outbox, responses, settings, silences

log = structlog.get_logger()

HELD_SECS = 15.0  # how often it is asked whether a hold has ended
STORM = "storm"  # the setting that keeps how full the buckets are


async def tell(parts: Parts) -> int:
    """Decide who is told of what is new or due; how many messages became due.

    While the rules look, it waits: what one look finds is told together.
    """
    now = parts.now()
    held_at = parts.telling.held_at
    held = held_at is None or now - held_at >= timedelta(seconds=HELD_SECS)
    kept: list[Notification] = []
    async with parts.deciding:
        if held or await events.anything(parts.database, now=now):
            async with responses.deciding(parts.database) as connection:
                kept = await _tell(parts, connection, now, held=held)
            if held:
                parts.telling.held_at = now
    for one in kept:
        log.info("notification.due", receiver=one.receiver, alert=one.alert_id, reason=one.reason.value, seq=one.seq)
    parts.metrics.told.set(parts.now().timestamp())
    return len(kept)


async def _tell(parts: Parts, connection: AsyncConnection, now: datetime, *, held: bool) -> list[Notification]:
    waiting = await events.waiting(connection, held=held)
    unfinished = await responses.unfinished(connection)
    about = {event.alert_id for event in waiting}
    start = Round(
        now=now,
        events=waiting,
        known=await _known(connection, about, unfinished),
        policy=parts.policy,
        reach=lambda names: parts.reach(names, now),
        limits=parts.limits,
        pending=await outbox.pending(connection, unfinished),
        silences=await silences.active(connection, now=now),
        buckets=_buckets(await settings.get(connection, STORM) or {}),
    )
    found, due, outcomes = await _decided(parts, connection, start)
    await _keep(connection, parts.database.dialect, found, due, outcomes, now)
    parts.metrics.dispatched(outcomes.values(), found.holds.values())
    return due


async def _decided(
    parts: Parts, connection: AsyncConnection, start: Round
) -> tuple[Dispatched, list[Notification], Mapping[str, str]]:
    """What is decided, its messages, and what became of the events.

    An event that cannot be put into words keeps nobody from hearing of the others.
    """
    try:
        found = dispatch(start)
        return found, _notifications(parts, found, start), found.outcomes
    except Exception:
        parts.metrics.unit_failures.labels(stage="tell").inc()
        log.exception("tell.crashed")
    rest = await mended(parts, connection, start)
    found = dispatch(rest.round)
    due = _notifications(parts, found, rest.round, apart=True)
    decided = {one.alert_id for one in found.responses}
    others = [one for one in rest.responses if one.alert_id not in decided]
    return replace(found, responses=[*found.responses, *others]), due, {**found.outcomes, **rest.outcomes}


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


def _notifications(parts: Parts, found: Dispatched, start: Round, *, apart: bool = False) -> list[Notification]:
    """The rows of the outbox; with ``apart`` a message about several alerts that crashes is told one by one."""
    for event in {tell.event.id: tell.event for message in found.messages for tell in message.tells}.values():
        readable(event.payload)  # what is told alone goes out as it was kept, and must be fit for that
    due = []
    for message in found.messages:
        try:
            due.append(_notification(parts, message, start))
        except Exception:
            if not apart or message.bundle is None:
                raise
            log.exception("bundle.crashed", bundle=message.bundle.id, alerts=len(message.tells))
            due += [_notification(parts, replace(message, tells=(one,), bundle=None), start) for one in message.tells]
    return due


def _notification(parts: Parts, message: Message, start: Round) -> Notification:
    answer = parts.answer(say.target(message), start.now)
    briefs = {
        one.event.alert_id: start.known[one.event.alert_id].brief
        for one in message.tells
        if one.event.alert_id in start.known
    }
    return say.notification(message, answer=answer, briefs=briefs, now=start.now)


async def _keep(
    connection: AsyncConnection,
    dialect: str,
    found: Dispatched,
    due: list[Notification],
    outcomes: Mapping[str, str],
    now: datetime,
) -> None:
    await outbox.enqueue(connection, dialect, due)
    await responses.write(connection, dialect, found.responses)
    bundles = {one.bundle.id: one.bundle for one in found.messages if one.bundle is not None}
    await responses.write_bundles(connection, dialect, list(bundles.values()))
    await events.close(connection, outcomes, found.holds, now=now)
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
