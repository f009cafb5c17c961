"""The event of a transition: what is kept with the decision, for people to be told of. Pure."""

from collections.abc import Sequence
from datetime import datetime

from listener.domain import Alert, Event, Frozen, Reason


def event_of(alert: Alert, reason: Reason, *, payload: Frozen, now: datetime, market: Sequence[str] = ()) -> Event:
    """What people are to be told of ``alert``; ``market`` are the brands that moved with it, where all of them did."""
    return Event(
        alert_id=alert.id,
        seq=alert.seq,
        brand=alert.brand,
        rule=alert.rule,
        severity=alert.severity,
        reason=reason,
        state=alert.state,
        payload=payload,
        decided_at=now,
        market=tuple(market),
    )
