"""Tell a receiver again of what fires, where it forgets what it is not told again."""

from datetime import timedelta

import structlog

from listener.alerts.receivers.base import Resender
from listener.domain import AlertState
from listener.errors import DeliveryError
from listener.pipeline.parts import Parts
from listener.store import alerts, events, responses

log = structlog.get_logger()

ENDED = timedelta(minutes=5)  # how long the end of an alert is told again


async def resend(parts: Parts, name: str, receiver: Resender) -> int:
    """Tell ``receiver`` of the alerts that it was told of and that fire, or have ended lately; how many."""
    now = parts.now()
    async with parts.database.reading() as connection:
        ended = await alerts.ended_since(connection, now - ENDED)
        told = {**await responses.unfinished(connection), **await responses.of(connection, ended)}
        about = [alert_id for alert_id, one in told.items() if one.told_seq and name in one.receivers]
        newest = await events.last(connection, about)
    firing = [one.payload for one in newest.values() if one.state is AlertState.FIRING]
    over = [one.payload for one in newest.values() if one.state is AlertState.RESOLVED]
    if not firing and not over:
        return 0
    try:
        await receiver.resend(firing, over)
    except DeliveryError as error:
        log.warning("resend.failed", receiver=name, error=str(error))
        return 0
    return len(newest)
