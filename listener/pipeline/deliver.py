"""Hand over what the outbox holds, in the order of decision per brand, at least once."""

from datetime import timedelta

import structlog

from listener.domain import Notification
from listener.errors import DeliveryError
from listener.pipeline.parts import Parts
from listener.store import alerts

log = structlog.get_logger()

DELIVER_LEASE_SECS = 20.0  # longer than one attempt may take; a killed daemon's claim is due again after it
RETRY_SECS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # between attempts of one notification; the last one repeats


async def deliver(parts: Parts, receiver_name: str) -> int:
    """Hand over what is due to one receiver, in order per brand; how many it took."""
    receiver = parts.receivers[receiver_name]
    taken = 0
    while receiver.connected and (notification := await _due(parts, receiver_name)) is not None:
        try:
            await receiver.deliver(notification)
        except DeliveryError as error:
            await _undelivered(parts, notification, error)
            continue
        await alerts.sent(parts.database, notification, now=parts.now())
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
    depth, oldest = await alerts.outbox_depth(parts.database)
    parts.metrics.outbox_depth.set(depth)
    parts.metrics.outbox_age.set((parts.now() - oldest).total_seconds() if oldest else 0.0)
    return taken


async def _due(parts: Parts, receiver_name: str) -> Notification | None:
    """One at a time, so that the lease need only be as long as one attempt, and a killed daemon's is soon over."""
    due = await alerts.due(parts.database, receiver_name, now=parts.now(), lease_secs=DELIVER_LEASE_SECS, limit=1)
    return due[0] if due else None


async def _undelivered(parts: Parts, notification: Notification, error: DeliveryError) -> None:
    labels = {"receiver": notification.receiver, "alert": notification.alert_id, "error": str(error)}
    if not error.retryable:
        await alerts.dead(parts.database, notification, now=parts.now(), error=str(error))
        parts.metrics.notifications.labels(receiver=notification.receiver, outcome="dead").inc()
        log.error("notification.died", **labels)
        return
    wait = RETRY_SECS[min(notification.attempt, len(RETRY_SECS) - 1)]
    await alerts.again(parts.database, notification, due_at=parts.now() + timedelta(seconds=wait), error=str(error))
    parts.metrics.notifications.labels(receiver=notification.receiver, outcome="retry").inc()
    if notification.attempt == 0:
        log.warning("notification.delayed", **labels)
