"""Hand over what the outbox holds, in the order of decision per brand, at least once."""

from datetime import datetime, timedelta

import structlog

from listener.alerts.oncall import say
from listener.alerts.oncall.expiry import EXPIRY_SECS
from listener.alerts.oncall.rounds import Message, Tell
from listener.domain import (
    SEVERAL,
    AlertState,
    Bundle,
    Event,
    Member,
    Notification,
    Reason,
    Response,
    Severity,
    stable_id,
)
from listener.errors import DeliveryError
from listener.pipeline.parts import Parts
from listener.store import alerts, events, outbox, responses

log = structlog.get_logger()

DELIVER_LEASE_SECS = 20.0  # longer than one attempt may take; a killed daemon's claim is due again after it
RETRY_SECS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # between attempts of one notification; the last one repeats
UNTOLD = "its beginning was never delivered"
TOO_OLD = "too old to be news; named in a digest"


async def deliver(parts: Parts, receiver_name: str) -> int:
    """Hand over what is due to one receiver, in order per brand; how many it took.

    What has become too old while the receiver was away is named in one digest instead.
    """
    receiver = parts.receivers[receiver_name]
    taken = 0
    if receiver.connected:
        await _give_up_old(parts, receiver_name)
    while receiver.connected and (notification := await _due(parts, receiver_name)) is not None:
        if await _pointless(parts, notification):
            await _die(parts, notification, UNTOLD, outcome="pointless")
            continue
        try:
            await receiver.deliver(notification)
        except DeliveryError as error:
            await _undelivered(parts, notification, error)
            continue
        # At once and alone: a kill between the receiver's yes and this commit makes it come twice.
        await outbox.sent(parts.database, notification, now=parts.now())
        parts.metrics.notifications.labels(receiver=receiver_name, outcome="sent").inc()
        log.info(
            "notification.sent",
            receiver=receiver_name,
            alert=notification.alert_id,
            brand=notification.brand,
            reason=notification.reason.value,
            seq=notification.seq,
        )
        taken += 1
    depth, oldest = await outbox.depth(parts.database)
    parts.metrics.outbox_depth.set(depth)
    parts.metrics.outbox_age.set((parts.now() - oldest).total_seconds() if oldest else 0.0)
    return taken


async def _due(parts: Parts, receiver_name: str) -> Notification | None:
    """One at a time, so that the lease need only be as long as one attempt, and a killed daemon's is soon over."""
    due = await outbox.due(parts.database, receiver_name, now=parts.now(), lease_secs=DELIVER_LEASE_SECS, limit=1)
    return due[0] if due else None


async def _pointless(parts: Parts, notification: Notification) -> bool:
    """Whether it is the end of something that this receiver never heard of."""
    if notification.reason is not Reason.RESOLVED or notification.brand == SEVERAL:
        return False
    bundles = await responses.bundles_of(parts.database, notification.alert_id)
    return not await outbox.was_told(parts.database, notification.receiver, [notification.alert_id, *bundles])


async def _undelivered(parts: Parts, notification: Notification, error: DeliveryError) -> None:
    if not error.retryable:
        await _die(parts, notification, str(error))
        return
    wait = RETRY_SECS[min(notification.attempt, len(RETRY_SECS) - 1)]
    wait = max(wait, error.retry_after_secs or 0.0)
    await outbox.again(parts.database, notification, due_at=parts.now() + timedelta(seconds=wait), error=str(error))
    parts.metrics.notifications.labels(receiver=notification.receiver, outcome="retry").inc()
    if notification.attempt == 0:
        log.warning("notification.delayed", **_labels(notification, str(error)))


async def _die(parts: Parts, notification: Notification, error: str, *, outcome: str = "dead") -> None:
    await outbox.dead(parts.database, notification, now=parts.now(), error=error)
    parts.metrics.notifications.labels(receiver=notification.receiver, outcome=outcome).inc()
    if outcome == "dead":
        log.error("notification.died", **_labels(notification, error))


def _labels(notification: Notification, error: str) -> dict[str, str]:
    return {"receiver": notification.receiver, "alert": notification.alert_id, "error": error}


# --------------------------------------------------------------------------------------------------- what is too old


async def _give_up_old(parts: Parts, receiver: str) -> None:
    """Page nobody for what is history: all of it that tells of alerts is named in one digest to this receiver."""
    now = parts.now()
    if not await outbox.any_old(parts.database, receiver, _limits(now)):
        return
    async with responses.deciding(parts.database) as connection:
        old = await outbox.old(connection, receiver, _limits(now))
        about: dict[str, int] = {}
        for one in old:
            for alert_id, seq in await responses.members(connection, one.alert_id) or [(one.alert_id, one.seq)]:
                about[alert_id] = max(seq, about.get(alert_id, 0))
        briefs = await alerts.briefs(connection, about)
        newest = await events.newest(connection, briefs)
        told = [_tell(newest[alert_id], receiver) for alert_id in briefs if alert_id in newest]
        await outbox.give_up(connection, [one.id for one in old], now=now, error=TOO_OLD)
        if told:
            bundle = Bundle(
                id=stable_id("bundle", "missed", receiver, *sorted(one.id for one in old)),
                kind="missed",
                at=now,
                members=tuple(Member(alert_id=one.event.alert_id, seq=one.event.seq) for one in told),
            )
            message = Message(receiver=receiver, tells=tuple(told), bundle=bundle)
            digest = say.notification(message, answer=None, briefs=briefs, now=now)
            await responses.write_bundles(connection, parts.database.dialect, [bundle])
            await outbox.enqueue(connection, parts.database.dialect, [digest])
    parts.metrics.notifications.labels(receiver=receiver, outcome="expired").inc(len(old))
    log.error("notifications.expired", receiver=receiver, count=len(old), alerts=len(told))


def _limits(now: datetime) -> dict[Severity, datetime]:
    """By severity, what was decided then or earlier is too old."""
    return {severity: now - timedelta(seconds=secs) for severity, secs in EXPIRY_SECS.items()}


def _tell(event: Event, receiver: str) -> Tell:
    response = Response(alert_id=event.alert_id, brand=event.brand)
    reason = event.reason if event.state is AlertState.FIRING else Reason.DIGEST
    return Tell(event=event, reason=reason, targets=(receiver,), response=response, before=response)
