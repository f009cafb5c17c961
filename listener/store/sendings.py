"""What was sent of an alert, and how that went: the outbox as people see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, desc, select

from listener.domain import Reason
from listener.store.database import Database
from listener.tables import notification

SENDINGS_MAX = 500  # that are read of one alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A notification and how far it is: at most one of ``sent_at`` and ``dead_at`` is set; ``error`` is the last.

    ``target`` is the alert or the bundle that it tells of.
    """

    target: str
    seq: int
    repeat: int
    receiver: str
    reason: Reason
    decided_at: datetime
    due_at: datetime
    attempts: int
    sent_at: datetime | None = None
    dead_at: datetime | None = None
    error: str | None = None

    @property
    def outcome(self) -> Literal["sent", "dead", "retried", "waiting"]:
        """One word for people."""
        if self.sent_at is not None:
            return "sent"
        if self.dead_at is not None:
            return "dead"
        return "retried" if self.error else "waiting"


async def of(database: Database, *targets: str) -> list[Sending]:
    """What was sent of these alerts and bundles, in the order of decision, the newest 500."""
    table = notification.c
    chosen = select(notification).where(table.alert_id.in_(targets)).order_by(desc(table.row)).limit(SENDINGS_MAX)
    async with database.reading() as connection:
        rows = (await connection.execute(chosen)).all()
    return [_sending(row) for row in reversed(rows)]


def _sending(row: Row[Any]) -> Sending:
    return Sending(
        target=row.alert_id,
        seq=row.seq,
        repeat=row.repeat,
        receiver=row.receiver,
        reason=Reason(row.reason),
        decided_at=row.decided_at,
        due_at=row.due_at,
        attempts=row.attempt,
        sent_at=row.sent_at,
        dead_at=row.dead_at,
        error=row.error,
    )
