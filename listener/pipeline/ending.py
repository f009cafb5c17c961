"""End an alert though no rule says that it is over: by hand, by its time, or since nobody watches it any more."""

from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.alerts.detection.lifecycle import by_hand
from listener.alerts.oncall.events import event_of
from listener.alerts.oncall.rounds import DRILL
from listener.alerts.wire.payload import Said, alert_payload, as_drill, as_json
from listener.domain import Alert, AlertState, Reason, Resolution
from listener.errors import StoreError
from listener.pipeline.parts import Parts
from listener.store import alerts, events, responses

log = structlog.get_logger()

ROLLOUT = timedelta(hours=1)  # how long daemons of two configurations may look at one database


async def end(
    parts: Parts, connection: AsyncConnection, ended: Alert, now: datetime, *, said: Said | None = None
) -> None:
    """Keep the end with the event that tells of it, inside the caller's transaction; ``measured`` comes after it."""
    links = await alerts.links(connection, ended.evidence)
    payload = alert_payload(
        ended,
        Reason.RESOLVED,
        title=parts.title(ended.brand),
        evidence=links,
        now=now,
        names=parts.titles,
        said=said,
    )
    if ended.rule == DRILL:
        payload = as_drill(payload)
    await alerts.write(connection, parts.database.dialect, ended)
    event = event_of(ended, Reason.RESOLVED, payload=as_json(payload), now=now)
    await events.write(connection, parts.database.dialect, [event])


def measured(parts: Parts, ended: Alert) -> None:
    """Count how long an alert lasted, once its end is committed; drills are none."""
    if ended.rule != DRILL and ended.ended_at is not None and ended.resolution is not None:
        lasted_secs = (ended.ended_at - ended.started_at).total_seconds()
        parts.metrics.alert_seconds.labels(resolution=ended.resolution.value).observe(lasted_secs)


def unwatched(parts: Parts, alert: Alert, now: datetime) -> bool:
    """Whether an alert fires that nobody looks at any more: its brand or rule is gone, or nobody is told of the brand.

    What began after our first look was found by a daemon of another configuration, while one is rolled out: for an hour
    it is theirs to end, and an end of ours that they have undone is not made again.
    """
    since_at, ended_at = parts.watching.since_at, parts.watching.ended.get(alert.id)
    return (
        alert.state is AlertState.FIRING
        and alert.rule != DRILL
        and not parts.watches(alert.brand, alert.rule)
        and since_at is not None
        and alert.started_at <= max(since_at, now - ROLLOUT)
        and (ended_at is None or ended_at <= now - ROLLOUT)
    )


async def end_unwatched(parts: Parts, alert: Alert, now: datetime) -> Alert | None:
    """End an alert that nobody looks at any more, without a word of recovery.

    None when it is over already, and when that crashes, which is logged. Raises StoreError.
    """
    try:
        ended = await _unwatched(parts, alert, now)
    except StoreError:
        raise
    except Exception:
        parts.metrics.unit_failures.labels(stage="evaluate").inc()
        log.exception("alert.not_ended", alert=alert.id, brand=alert.brand, rule=alert.rule)
        return None
    if ended is None:
        return None
    recent = {alert_id: at for alert_id, at in parts.watching.ended.items() if at > now - ROLLOUT}
    parts.watching.ended = recent | {ended.id: now}
    measured(parts, ended)
    log.warning(
        "alert.resolved",
        alert=ended.id,
        brand=ended.brand,
        rule=ended.rule,
        severity=ended.severity.value,
        seq=ended.seq,
        explanation="closed without recovery: its brand or rule is not watched any more",
    )
    return ended


async def _unwatched(parts: Parts, alert: Alert, now: datetime) -> Alert | None:
    async with responses.deciding(parts.database) as connection:
        known = await alerts.one(connection, alert.id)
        if known is None or known.state is not AlertState.FIRING:
            return None
        ended = replace(by_hand(known, now), resolution=Resolution.UNWATCHED)
        await end(parts, connection, ended, now)
    return ended
