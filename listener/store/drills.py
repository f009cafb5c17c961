"""Drills: an alert of the rule ``drill`` and the event that tells of it, kept as one decision like a real one."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from listener.domain import Alert, AlertState, Event
from listener.errors import ListenerError
from listener.store import alerts, events
from listener.store.database import Database
from listener.tables import alert as table


class DrillRunning(ListenerError):
    """A drill of the brand is under way: one alert of a brand and rule fires at a time."""

    def __init__(self, alert_id: str) -> None:
        super().__init__(f"a drill of this brand is under way: end it with `listener alerts resolve {alert_id}`")
        self.alert_id = alert_id


async def write(database: Database, alert: Alert, event: Event) -> None:
    """Keep the drill for the daemon to tell of, in one transaction. Raises DrillRunning when one of the brand fires."""
    try:
        async with database.writing() as connection:
            await alerts.write(connection, database.dialect, alert)
            await events.write(connection, database.dialect, [event])
    except IntegrityError:
        raise DrillRunning(await _firing(database, alert.fingerprint)) from None


async def _firing(database: Database, fingerprint: str) -> str:
    async with database.reading() as connection:
        chosen = select(table.c.id).where(table.c.fingerprint == fingerprint, table.c.state == AlertState.FIRING.value)
        return (await connection.execute(chosen)).scalar() or "ID"
