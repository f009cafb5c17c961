"""From the decision to the broker's acknowledgement, and how fast a backlog drains: the pipeline's half of delivery.

Alerts are decided one after the other, up to 25 firing at a time, by the stages of a daemon over SQLite, as it runs
them, at a real Mosquitto that keeps what it has on disk. ``decision to PUBACK`` is from the start of the look in which
the rules find it to the note of the acknowledgement: the counting, the decision and its commit, who is told, and the
round trip are all in it. The backlog is what a daemon finds in its outbox when the broker is back.
"""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from listener.app import utc_now
from listener.app.telling import Wake
from listener.pipeline import deliver
from listener.store import Database, migrate
from tests.mosquitto import Mosquitto, mosquitto
from tests.promises.chaos import DURABLE, eventually
from tests.promises.on_call import OnCall
from tests.promises.wired import (
    complaint,
    daemon_of,
    following,
    names,
    nothing_waits,
    over_mqtt,
    queue,
    receiver,
    rows,
    staged,
)
from tests.running import Bench, bench

ALERTS = 300
AT_ONCE = 25  # alerts that fire at a time: a look reads each of them again
QUEUED = 2_000
QUEUED_BRANDS = 50
TICK_SECS = 30.0
TOOK = """
    SELECT event.decided_at, notification.sent_at FROM event
    JOIN notification ON notification.alert_id = event.alert_id AND notification.seq = event.seq
    WHERE notification.sent_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFigures:
    """Milliseconds from decision to PUBACK over ``alerts``, and the drain of ``queued`` notifications."""

    alerts: int
    puback_p50_ms: float
    puback_p99_ms: float
    puback_worst_ms: float
    queued: int
    drained_per_sec: float
    in_order: bool


@contextlib.asynccontextmanager
async def _pipeline(brands: list[str]) -> AsyncIterator[tuple[Bench, OnCall, Wake, Mosquitto]]:
    """Parts that follow ``brands`` at a fresh database, whose receiver is connected to a fresh broker."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        conf = f"allow_anonymous true\n{DURABLE.format(folder=folder)}"
        broker = stack.enter_context(mosquitto(folder, conf))
        on_call = stack.enter_context(OnCall(broker.port).listening())
        database = Database(f"sqlite:///{folder}/listener.db")
        stack.push_async_callback(database.close)
        await migrate.prepare(database, auto_upgrade=False)
        plain = await stack.enter_async_context(bench(database))
        mqtt = await stack.enter_async_context(receiver(broker, utc_now, timeout_secs=10.0))
        await mqtt.wait_connected()
        await eventually(lambda: on_call.subscribed)
        yield following(plain, brands, now=utc_now, **over_mqtt(mqtt)), on_call, Wake(), broker


async def decided_to_puback(alerts: int) -> list[float]:
    """Seconds from decision to PUBACK of so many alerts of a fresh database, each decided in a look of its own."""
    brands = names(alerts)
    async with _pipeline(brands) as (at, on_call, wake, _):
        mqtt = at.parts.receivers["mqtt"]
        async with staged(daemon_of(at, mqtt, wake), idle_secs=TICK_SECS) as running:  # type: ignore[arg-type]
            for number, brand in enumerate(brands, 1):
                await at.heard(complaint(brand, at=utc_now()))
                running.evaluation.wake.set()
                await eventually(lambda count=number: len(on_call.told) >= count)  # type: ignore[misc]
            await nothing_waits(at.parts.database)
        took = await rows(at.parts.database, TOOK)
    return [(_moment(sent_at) - _moment(decided_at)).total_seconds() for decided_at, sent_at in took]


async def drained(queued: int, brands: int) -> tuple[float, bool]:
    """Notifications a second, and whether those of each brand came in order."""
    async with _pipeline(names(brands)) as (at, on_call, _, _):
        await queue(at.parts.database, names(brands), queued // brands, now=utc_now())
        began = time.perf_counter()
        while await deliver(at.parts, "mqtt"):
            pass
        secs = time.perf_counter() - began
        await nothing_waits(at.parts.database)
        total = queued // brands * brands
        await eventually(lambda: len(on_call.raw) >= total)
        order: dict[str, list[int]] = defaultdict(list)
        for one in on_call.told:
            order[one.brand].append(one.seq)
    return total / secs, all(seqs == list(range(1, queued // brands + 1)) for seqs in order.values())


def pipeline_figures(*, alerts: int = ALERTS, queued: int = QUEUED) -> PipelineFigures:
    """Measure both."""
    rounds = [asyncio.run(decided_to_puback(min(AT_ONCE, alerts - begun))) for begun in range(0, alerts, AT_ONCE)]
    took = sorted(secs for one in rounds for secs in one)
    per_sec, in_order = asyncio.run(drained(queued, QUEUED_BRANDS))
    hundredths = statistics.quantiles(took, n=100, method="inclusive")
    return PipelineFigures(
        alerts=len(took),
        puback_p50_ms=round(1000 * hundredths[49], 1),
        puback_p99_ms=round(1000 * hundredths[98], 1),
        puback_worst_ms=round(1000 * took[-1], 1),
        queued=queued,
        drained_per_sec=round(per_sec, 1),
        in_order=in_order,
    )


def print_pipeline(figures: PipelineFigures) -> None:
    """Both, as lines for people."""
    print(
        f"decision to PUBACK, {figures.alerts} alerts: p50 {figures.puback_p50_ms:.1f} ms, "
        f"p99 {figures.puback_p99_ms:.1f} ms, worst {figures.puback_worst_ms:.1f} ms"
    )
    order = "in order per brand" if figures.in_order else "OUT OF ORDER"
    print(f"backlog of {figures.queued}: {figures.drained_per_sec:.0f} notifications a second, {order}")


def _moment(kept: object) -> datetime:
    """A time as the driver gives it."""
    return kept if isinstance(kept, datetime) else datetime.fromisoformat(str(kept))
