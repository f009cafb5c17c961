"""The units of work about as many brands as a test wants, at a real broker where it wants one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from listener.alerts.detection.rules import HighRisk
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.oncall.links import Signer
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.oncall.storm import Limits
from listener.alerts.wire.payload import alert_payload, as_json
from listener.app import App
from listener.app.telling import Taken, Wake, acting_of
from listener.config import Brand, Settings
from listener.config.mqtt import MqttOptions
from listener.daemon import Daemon
from listener.domain import Notification, RawMention, Reason, Severity
from listener.matching import Matcher, compile_brand
from listener.pipeline.parts import Agenda
from listener.store import Database, outbox
from listener.store.database import chunks
from tests.alerting import alert
from tests.mosquitto import PATIENCE_SECS, Mosquitto
from tests.running import Bench

REACH = 500_000  # people who see each complaint: one is enough for an alert
WIDE = Limits(burst=10_000, per_hour=100_000.0, update=timedelta(minutes=5))  # each alert is a message of its own


def names(count: int) -> list[str]:
    """So many brands, of which none is a spelling of another."""
    return [f"brandname{number:04}" for number in range(count)]


def following(at: Bench, brands: Sequence[str], **changes: Any) -> Bench:
    """The same bench with these brands, each of which one heavy complaint makes alert."""
    parts = replace(
        at.parts,
        brands={name: Brand(names=(name.title(),)) for name in brands},
        matcher=Matcher([compile_brand(name, [name.title()]) for name in brands]),
        rules={name: (HighRisk(name="high_risk"),) for name in brands},
        limits=WIDE,
        agenda=Agenda(),
        **changes,
    )
    return replace(at, parts=parts)


def over_mqtt(mqtt: MqttReceiver) -> dict[str, Any]:
    """The changes to parts that make the broker the only receiver."""
    return {"receivers": {"mqtt": mqtt}, "policy": Policy(receivers={"mqtt": ReceiverKind()})}


def receiver(
    broker: Mosquitto, clock: Callable[[], datetime], *, on_action: Taken | None = None, **options: Any
) -> MqttReceiver:
    """A receiver at this broker, impatient; it takes commands where there is ``on_action``."""
    found = MqttOptions.model_validate({"host": "127.0.0.1", "port": broker.port, "timeout_secs": 1.0, **options})
    return MqttReceiver(found, instance="one", version="0.1", clock=clock, on_action=on_action)


def complaint(brand: str, number: int = 0, *, at: datetime) -> RawMention:
    """What a customer of great reach says."""
    return RawMention(
        external_id=f"{brand}-{number}",
        url=f"https://forum.example/{brand}/{number}",
        text=f"{brand.title()} was awful for me, number {number} of {brand}",
        author=f"customer {brand} {number}",
        published_at=at,
        reach=REACH,
    )


async def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    async with database.reading() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


# --------------------------------------------------------------------------------------------- as the daemon runs them


def daemon_of(at: Bench, mqtt: MqttReceiver, wake: Wake) -> Daemon:
    """A daemon around these parts, whose stages the caller runs; its HTTP side is not opened."""
    settings = Settings()
    return Daemon(
        App(
            settings=settings,
            database=at.parts.database,
            metrics=at.parts.metrics,
            parts=at.parts,
            mqtt=mqtt,
            acting=acting_of(settings, at.parts.database, Signer(bytes(32)), wake),
            resenders={},
            calendars={},
            wake=wake,
        )
    )


@contextlib.asynccontextmanager
async def staged(daemon: Daemon, *, idle_secs: float) -> AsyncIterator[Daemon]:
    """Run the stages of a daemon, each of which waits so long for work unless it is woken."""
    for stage in daemon.stages:
        stage.idle_secs = idle_secs
    tasks = [asyncio.create_task(stage.run(), name=stage.name) for stage in daemon.stages]
    try:
        yield daemon
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def queue(database: Database, brands: Sequence[str], each: int, *, now: datetime) -> list[Notification]:
    """Fill the outbox to the broker as if it had been away: so many notifications of each brand, in turns."""
    found = [
        Notification(
            alert_id=(one := replace(alert(), brand=brand, seq=seq, started_at=now)).id,
            seq=seq,
            brand=brand,
            severity=Severity.CRITICAL,
            receiver="mqtt",
            reason=Reason.FIRST,
            payload=as_json(alert_payload(one, Reason.FIRST, title=brand.title(), evidence=(), now=now)),
            decided_at=now,
            due_at=now,
        )
        for seq in range(1, each + 1)
        for brand in brands
    ]
    async with database.writing() as connection:
        for some in chunks(found):
            await outbox.enqueue(connection, database.dialect, some)
    return found


async def nothing_waits(database: Database) -> None:
    """Return once every notification was taken."""
    async with asyncio.timeout(PATIENCE_SECS):
        while await rows(database, "SELECT row FROM notification WHERE open LIMIT 1"):  # noqa: ASYNC110 -- nothing rings
            await asyncio.sleep(0.01)
