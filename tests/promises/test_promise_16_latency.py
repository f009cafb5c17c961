"""Promise 16: a decision is at the broker at once, and a backlog drains in order. Figures: benchmarks.delivery."""

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import aiomqtt

from listener.alerts.wire.oncall import Command
from listener.alerts.wire.payload import AlertPayload
from listener.app import utc_now
from listener.app.telling import Taken, Wake
from listener.domain import Act, Notification
from listener.errors import DeliveryError
from listener.pipeline import deliver, tell
from listener.store import Database
from tests.mosquitto import ANYBODY, PATIENCE_SECS, mosquitto, until
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
from tests.running import Inbox, bench, decided

HOUR_SECS = 3600.0
ALERTS = 5
QUEUED = 100


async def test_promise_16_latency_has_no_idle_time_in_it(tmp_path: Path, database: Database) -> None:
    """Each stage would wait an hour for work: from decision to PUBACK, and from an answer to its message, none does."""
    wake = Wake()
    with mosquitto(tmp_path, ANYBODY) as broker, OnCall(broker.port).listening() as on_call:
        async with (
            bench(database) as plain,
            receiver(broker, utc_now, on_action=Taken(database, wake), timeout_secs=10.0) as mqtt,
        ):
            at = following(plain, names(ALERTS), now=utc_now, **over_mqtt(mqtt))
            await until(lambda: on_call.subscribed)
            await asyncio.wait_for(mqtt.wait_connected(), PATIENCE_SECS)
            async with staged(daemon_of(at, mqtt, wake), idle_secs=HOUR_SECS) as running:
                for number, name in enumerate(names(ALERTS), 1):
                    await at.heard(complaint(name, at=utc_now()))
                    running.evaluation.wake.set()
                    await until(lambda count=number: len(on_call.told) == count)  # type: ignore[misc]
                first = on_call.told[0]
                command = Command(action=Act.RESOLVE, seq=1, by="mari")
                async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                    topic = f"listener/v1/brand/{first.brand}/alert/{first.alert_id}/ack"
                    await client.publish(topic, command.model_dump_json(exclude_none=True), qos=1)
                await until(lambda: len(on_call.told) > ALERTS)
                await nothing_waits(database)
    assert [one.brand for one in on_call.told] == [*names(ALERTS), first.brand]
    assert on_call.told[-1].reason.value == "resolved"
    assert await rows(database, "SELECT count(*) FROM notification WHERE sent_at IS NULL") == [(0,)]


async def test_promise_16_latency_of_a_backlog_that_drains_in_order_per_brand(
    tmp_path: Path, database: Database
) -> None:
    """Part of it was refused when the broker went away in the middle: still no brand is told in the wrong order."""
    brands = names(10)
    with mosquitto(tmp_path, ANYBODY) as broker, OnCall(broker.port).listening() as on_call:
        async with bench(database) as plain, receiver(broker, utc_now, timeout_secs=10.0) as mqtt:
            at = following(plain, brands, now=utc_now, **over_mqtt(mqtt))
            await queue(database, brands, QUEUED // len(brands), now=utc_now())
            await until(lambda: on_call.subscribed)
            await asyncio.wait_for(mqtt.wait_connected(), PATIENCE_SECS)
            draining = asyncio.create_task(deliver(at.parts, "mqtt"))
            await until(lambda: len(on_call.raw) > QUEUED // 4)
            broker.kill()
            taken = await draining
            assert QUEUED // 4 < taken < QUEUED
            on_call.subscribed = False
            broker.start()
            await until(lambda: on_call.subscribed)
            await asyncio.wait_for(mqtt.wait_connected(), PATIENCE_SECS)
            while await rows(database, "SELECT 1 FROM notification WHERE open LIMIT 1"):
                await deliver(at.parts, "mqtt")
                await asyncio.sleep(0.05)  # one waits a second for its next attempt, and its brand with it
            await until(lambda: len(on_call.told) == QUEUED)
    order: dict[str, list[int]] = defaultdict(list)
    for one in on_call.messages:
        assert isinstance(one, AlertPayload)
        order[one.brand].append(one.seq)
    assert set(order) == set(brands)
    for heard in order.values():
        assert heard == sorted(heard)  # one may have come again


class Timing(Inbox):
    """A receiver that answers about one brand only: each attempt about another one takes ten seconds and fails."""

    def __init__(self, clock: list[datetime], answers_about: str) -> None:
        super().__init__()
        self.clock, self.answers_about = clock, answers_about
        self.tried: list[str] = []

    async def deliver(self, notification: Notification) -> None:
        self.tried.append(notification.brand)
        self.connected = len(self.tried) < 100  # a test that fails is to end, too
        if notification.brand != self.answers_about:
            self.clock[0] += timedelta(seconds=10)
            raise DeliveryError("no answer within 10 s", retryable=True)
        self.taken.append(notification)


async def test_promise_16_latency_what_is_not_taken_holds_up_nobody_else(database: Database) -> None:
    """Twelve pages run into time-outs, so that there is always a next attempt due; a later page comes in its turn."""
    async with bench(database) as plain:
        at = following(plain, names(13))
        *stuck, last = names(13)
        inbox = Timing(at.clock, answers_about=last)
        at = replace(at, parts=replace(at.parts, receivers={"inbox": inbox}))
        await decided(at, *stuck)
        await tell(at.parts)
        for _ in range(20):
            await deliver(at.parts, "inbox")
        before = len(inbox.tried)
        await decided(at, last)
        await tell(at.parts)
        while not inbox.taken and inbox.connected:
            await deliver(at.parts, "inbox")
    assert [one.brand for one in inbox.taken] == [last]
    assert len(inbox.tried) - before <= len(stuck) + 1
    assert set(inbox.tried[:before]) == set(stuck), "none of them is left out either"
