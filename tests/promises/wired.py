"""The units of work about as many brands as a test wants, at a real broker where it wants one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from listener.alerts.detection.rules import HighRisk
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.oncall.storm import Limits
from listener.config import Brand
from listener.config.mqtt import MqttOptions
from listener.domain import RawMention
from listener.matching import Matcher, compile_brand
from listener.pipeline.parts import Agenda
from listener.store import Database
from tests.mosquitto import Mosquitto
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


def receiver(broker: Mosquitto, clock: Callable[[], datetime], **options: Any) -> MqttReceiver:
    """A receiver at this broker."""
    found = MqttOptions.model_validate({"host": "127.0.0.1", "port": broker.port, "timeout_secs": 1.0, **options})
    return MqttReceiver(found, instance="one", version="0.1", clock=clock)


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
