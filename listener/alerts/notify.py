"""Who is told of a transition: the rows that go into the outbox in the same transaction as the alert. Pure."""

from collections.abc import Sequence
from datetime import datetime

from listener.alerts.detection.lifecycle import Transition
from listener.domain import Frozen, Notification


def notifications(
    transition: Transition, *, receivers: Sequence[str], payload: Frozen, now: datetime
) -> list[Notification]:
    """One notification to each receiver, due at once, when the transition is one to tell of; otherwise none."""
    alert, reason = transition.alert, transition.reason
    if alert is None or reason is None:
        return []
    return [
        Notification(
            alert_id=alert.id,
            seq=alert.seq,
            brand=alert.brand,
            severity=alert.severity,
            receiver=receiver,
            reason=reason,
            payload=payload,
            decided_at=now,
            due_at=now,
        )
        for receiver in receivers
    ]
