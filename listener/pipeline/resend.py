"""Tell a receiver again of what fires, where it forgets what it is not told again."""

from datetime import datetime, timedelta

import structlog

from listener.alerts.oncall.say import Target
from listener.alerts.receivers.base import Resender
from listener.domain import AlertState, Event, Frozen
from listener.errors import DeliveryError
from listener.pipeline.mend import answer_to, tellable
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
        found = [await tellable(parts, connection, one) for one in (await events.last(connection, about)).values()]
    newest = [one for one in found if one is not None]
    firing = [_said(parts, name, one, now) for one in newest if one.state is AlertState.FIRING]
    over = [_said(parts, name, one, now) for one in newest if one.state is AlertState.RESOLVED]
    if not firing and not over:
        return 0
    try:
        await receiver.resend(firing, over)
    except DeliveryError as error:
        log.warning("resend.failed", receiver=name, error=str(error))
        return 0
    return len(newest)


def _said(parts: Parts, name: str, event: Event, now: datetime) -> Frozen:
    """What was said of it, with how to answer now: what the receiver is told again replaces what it knew."""
    over = event.state is AlertState.RESOLVED
    target = Target(id=event.alert_id, brand=event.brand, seq=event.seq, receiver=name, over=over)
    answer = answer_to(parts, target, now)
    return {**event.payload, "answer": None if answer is None else answer.model_dump(mode="json")}
