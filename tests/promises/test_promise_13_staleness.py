"""Promise 13: nobody is woken for history. After 25 hours without a broker comes one digest, and the right state."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from listener.alerts.detection.rules import HighRisk
from listener.alerts.oncall.expiry import EXPIRY_SECS
from listener.domain import Notification, Severity
from listener.errors import DeliveryError
from listener.pipeline import deliver, evaluate
from listener.store import Database
from tests.integration.test_mqtt import subscriber
from tests.mentions import NOW
from tests.mosquitto import ANYBODY, PATIENCE_SECS, mosquitto, until
from tests.promises.on_call import OnCall
from tests.promises.wired import complaint, following, names, over_mqtt, receiver, rows
from tests.running import HOUR, Bench, Inbox, bench, decided, told

OVER, FIRES, FRESH, WORSE = BRANDS = ["brandover", "brandfires", "brandfresh", "brandworse"]
AWAY = 25 * HOUR
PAGE_EXPIRY = timedelta(seconds=EXPIRY_SECS[Severity.CRITICAL])


def staged(plain: Bench, **changes: Any) -> Bench:
    """Alerts of all brands last for two days, but one that is over after six hours."""
    at = following(plain, BRANDS, **changes)
    lasting = HighRisk(name="high_risk", cooldown_secs=48 * 3600)
    rules = {**dict.fromkeys(BRANDS, (lasting,)), OVER: (HighRisk(name="high_risk"),)}
    return replace(at, parts=replace(at.parts, rules=rules))


async def away(at: Bench) -> None:
    """Two alerts begin as the receiver goes; one is over after six hours; another begins an hour before it is back."""
    for name in (OVER, FIRES):
        await at.heard(complaint(name, at=at.clock[0]))
    for hour in range(25):
        if hour == 24:
            await at.heard(complaint(FRESH, at=at.clock[0]))
        await at.look()
        assert await deliver(at.parts, next(iter(at.parts.receivers))) == 0
        at.clock[0] += HOUR


def decided_at(payload: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(payload["decided_at"])


async def test_promise_13_staleness_after_25_hours_one_digest_and_no_stale_page(database: Database) -> None:
    async with bench(database) as plain:
        at = staged(plain)
        at.inbox.connected = False
        await away(at)
        at.inbox.connected = True
        found = await evaluate(at.parts)
        heard = await told(at)
        assert {state.brand: state.state for state in found.states if state.brand in BRANDS[:3]} == {
            OVER: "ok",
            FIRES: "critical",
            FRESH: "critical",
        }
        alerts = [one for one in heard if one["type"] == "alert"]
        bundles = [one for one in heard if one["type"] == "bundle"]
        assert len(alerts) + len(bundles) == len(heard)
        assert all(at.clock[0] - decided_at(one) < PAGE_EXPIRY for one in alerts)
        assert [one["kind"] for one in bundles] == ["missed"]
        missed = {member["brand"]: member["state"] for member in bundles[0]["alerts"]}
        assert missed == {OVER: "resolved", FIRES: "firing"}
        assert [(one["brand"], one["reason"]) for one in alerts if one["brand"] == FRESH] == [(FRESH, "first")]
        assert not [one for one in alerts if one["brand"] == OVER]  # nobody heard of it: neither of its end
        # What was told late is not told late again; what still fires asks for somebody anew, as of now.
        began = len(heard)
        at.clock[0] += timedelta(minutes=31)
        await at.look()
        later = (await told(at))[began:]
        assert Counter(one["type"] for one in later)["bundle"] == 0
        asked = [one["brand"] for one in heard + later if one["type"] == "alert" and one["brand"] == FIRES]
        assert asked, "an alert that fires and that nobody has answered is repeated"
        assert await rows(database, "SELECT count(*) FROM notification WHERE open") == [(0,)]


async def test_promise_13_staleness_over_a_broker_that_was_away(tmp_path: Path, database: Database) -> None:
    """The same over the wire: the broker is down for 25 hours, and forgets all."""
    with mosquitto(tmp_path, f"{ANYBODY}\npersistence false") as broker, OnCall(broker.port).listening() as on_call:
        async with bench(database) as plain, receiver(broker, plain.parts.now) as mqtt:
            at = staged(plain, **over_mqtt(mqtt))
            await asyncio.wait_for(mqtt.wait_connected(), PATIENCE_SECS)
            broker.kill()
            await until(lambda: not mqtt.connected)
            await away(at)
            on_call.subscribed = False
            broker.start()
            await until(lambda: on_call.subscribed)
            await asyncio.wait_for(mqtt.wait_connected(), PATIENCE_SECS)
            found = await evaluate(at.parts)
            mqtt.publish_states({state.brand: state for state in found.states})
            await deliver(at.parts, "mqtt")
            await until(lambda: mqtt.settled)
            async with subscriber(broker.port) as late:
                topics = [f"listener/v1/brand/{name}/state" for name in BRANDS[:3]]
                await until(lambda: all(late.on(topic) for topic in topics))
                assert [late.values(topic)[-1]["state"] for topic in topics] == ["ok", "critical", "critical"]
            await until(lambda: len(on_call.raw) >= 2)
    heard = [json.loads(message.payload) for message in on_call.raw]
    assert [one["kind"] for one in heard if one["type"] == "bundle"] == ["missed"]
    assert all(at.clock[0] - decided_at(one) < PAGE_EXPIRY for one in heard if one["type"] == "alert")
    assert FRESH in {one["brand"] for one in heard if one["type"] == "alert"}
    assert not any(message.retain for message in on_call.raw)


async def test_promise_13_staleness_an_event_expires_at_the_broker_when_it_is_stale(
    tmp_path: Path, database: Database
) -> None:
    """It was decided ten hours before the broker took it: it may wait there for fourteen more."""
    with mosquitto(tmp_path, ANYBODY) as broker, OnCall(broker.port).listening() as on_call:
        async with bench(database) as plain, receiver(broker, plain.parts.now) as mqtt:
            at = staged(plain, **over_mqtt(mqtt))
            await until(lambda: on_call.subscribed)
            await asyncio.wait_for(mqtt.wait_connected(), PATIENCE_SECS)
            await at.heard(complaint(FIRES, at=at.clock[0]))
            await at.look()
            at.clock[0] += 10 * HOUR
            assert await deliver(at.parts, "mqtt") == 1
            await until(lambda: on_call.raw)
    (message,) = on_call.raw
    assert message.properties is not None
    expiry_secs = message.properties.json()["MessageExpiryInterval"]  # type: ignore[no-untyped-call]
    left_secs = PAGE_EXPIRY.total_seconds() - 10 * 3600
    # The broker counts on from what we said, in whole seconds.
    assert left_secs - PATIENCE_SECS <= expiry_secs <= left_secs


@dataclass
class Hanging(Inbox):
    """A receiver that lets every attempt run into a long time-out, until a moment."""

    clock: list[datetime] = field(default_factory=list)
    until: datetime = NOW

    async def deliver(self, notification: Notification) -> None:
        self.clock[0] += timedelta(minutes=2)
        if self.clock[0] < self.until:
            raise DeliveryError("no answer within 120 s", retryable=True)
        self.taken.append(notification)


async def test_promise_13_staleness_while_every_attempt_times_out(database: Database) -> None:
    """There is always another attempt due: what has become history meanwhile is named in the digest all the same."""
    async with bench(database) as plain:
        at = following(plain, names(8))
        hanging = Hanging(clock=at.clock, until=NOW + PAGE_EXPIRY + HOUR)
        at = replace(at, parts=replace(at.parts, receivers={"inbox": hanging}))
        await decided(at, *names(8))
        await told(at)
        at.clock[0] = NOW + PAGE_EXPIRY - HOUR
        while at.clock[0] < hanging.until + HOUR:
            await deliver(at.parts, "inbox")
            at.clock[0] += timedelta(seconds=15)
        heard = [one.payload for one in hanging.taken]
        assert [one["kind"] for one in heard] == ["missed"]
        assert sorted(member["brand"] for member in heard[0]["alerts"]) == names(8)
        assert await rows(database, "SELECT count(*) FROM notification WHERE open") == [(0,)]
