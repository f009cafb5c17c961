"""The real daemon, a real Mosquitto and somebody on call, while broker and daemon are killed, frozen and refused.

One heavy complaint after the other appears on a review site, each about another brand, so that each is one alert. What
was decided is what the database says; what was received is what a subscriber with a durable session heard.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from fastapi import FastAPI
from sqlalchemy import text

from listener.alerts.wire.payload import AlertPayload
from listener.pipeline.deliver import ANSWERED
from listener.serving import serving
from listener.store import Database
from tests.acceptance.daemon import Daemon, daemon
from tests.mosquitto import Mosquitto, mosquitto
from tests.promises.on_call import Key, OnCall
from tests.small_model import calibration, save_small_model

PATIENCE_SECS = 120.0  # for what takes a few seconds on an idle machine
SOURCES = 5  # polls of one are at least five seconds apart, so several take turns
BRANDS = 400  # of which as many are written about as there is time for
EVERY_SECS = 0.8  # from one complaint to the next
LONG_SECS, SHORT_SECS = 6 * 3600, 60  # how long an alert stands
SOON = 0.7  # how many of the faults come soon after a decision
TIMEOUT_SECS = 1.5  # how long the daemon waits for the broker's answer
ALLOWED = "topic readwrite #\n"
DENIED = "topic read #\ntopic write listener/v1/chaos/#\ntopic write listener/v1/brand/+/state\n"  # but no alerts
DURABLE = "persistence true\npersistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\n"

GIVEN_UP = "SELECT error FROM notification WHERE dead_at IS NOT NULL"

FAULTS = ("broker killed", "listener killed") * 3 + ("broker frozen", "alerts refused")


# A broker that is killed may lose what it has taken: what nobody answers is said again, until somebody does.
SAID_AGAIN = """
[escalations.all]
severities = ["info", "warning", "critical"]
repeat_minutes = 0.1
repeats_max = 100
"""


def grave_model(folder: Path) -> Path:
    """A small model that finds a grave risk in whatever it reads; it needs no torch to run."""
    return save_small_model(folder, calibration={"default": calibration(shift={"risk": 50.0})})


# -------------------------------------------------------------------------------------------------------- who speaks


@dataclass
class Outcry:
    """A review site on which many people see each complaint."""

    reviews: list[dict[str, Any]] = field(default_factory=list)

    def write(self) -> None:
        """One more complaint, about the next brand."""
        number = len(self.reviews)
        self.reviews.append(
            {
                "id": number,
                "text": f"{brand_name(number)}: the parcel was late and broken, complaint {number} of its kind",
                "at": datetime.now(UTC).isoformat(),
                "by": f"user{number}",
                "reach": 500_000,
            }
        )

    def application(self) -> FastAPI:
        """The site over HTTP: each source sees its part of the complaints."""
        app = FastAPI()

        @app.get("/reviews/{part}")
        async def reviews(part: int) -> list[dict[str, Any]]:
            return self.reviews[part::SOURCES]

        return app


def brand_name(number: int) -> str:
    """Names of which none is a spelling of another."""
    return f"Brandname{number:03}"


# ------------------------------------------------------------------------------------------------------ what was found


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the database holds at one moment."""

    alerts: set[Key]  # the newest event of each alert
    events: set[Key]
    told: set[Key]  # events of which people were to be told
    brands: list[str]  # of the first events, with repetition
    open: int  # events and notifications that wait
    firing: int
    dead: list[str]  # why notifications were given up, but for calls that somebody has answered before they came


async def kept(database: Database) -> Kept:
    """Read it."""

    async def rows(query: str) -> list[Any]:
        return [tuple(row) for row in await connection.execute(text(query))]

    async with database.reading() as connection:
        waiting = await rows(
            "SELECT (SELECT count(*) FROM event WHERE open) + (SELECT count(*) FROM notification WHERE open)"
        )
        return Kept(
            alerts=set(await rows("SELECT id, seq FROM alert")),
            events=set(await rows("SELECT alert_id, seq FROM event")),
            told=set(await rows("SELECT alert_id, seq FROM event WHERE outcome IN ('told', 'bundled')")),
            brands=[brand for (brand,) in await rows("SELECT brand FROM event WHERE seq = 1")],
            open=waiting[0][0],
            firing=len(await rows("SELECT id FROM alert WHERE state = 'firing'")),
            dead=[error for (error,) in await rows(GIVEN_UP) if error != ANSWERED],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of it. ``moments`` says what was done when, and how many alerts had been decided until then."""

    kept: Kept
    received: set[Key]
    told: Sequence[AlertPayload]
    messages: int  # over the wire, repeats included
    complaints: int
    moments: Sequence[str]
    decided_at_faults: Sequence[int]
    settled_secs: float  # from the last fault until nothing waited


# ------------------------------------------------------------------------------------------------------------ chaos


class Chaos:
    """A daemon, a broker, and what is done to them."""

    def __init__(self, folder: Path, config: Path, broker: Mosquitto, chance: random.Random) -> None:
        self.moments: list[str] = []
        self.decided: list[int] = []
        self.database = Database(f"sqlite:///{folder}/listener.db")
        self._acl = folder / "acl"
        self._config = config
        self._broker = broker
        self._chance = chance
        self._began_at = time.monotonic()
        self._stack = contextlib.AsyncExitStack()
        self._daemon: Daemon | None = None

    async def __aenter__(self) -> Self:
        """Start the daemon."""
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        await self._stack.aclose()
        await self.database.close()

    async def inflict(self, fault: str) -> None:
        """One of ``FAULTS``, at a moment of chance; returns when what can be done about it was done."""
        await self._moment()
        decided = await self._count_decided()
        self.decided.append(decided)
        self.moments.append(f"{time.monotonic() - self._began_at:6.1f} s  {decided:4} decided  {fault}")
        match fault:
            case "broker killed":
                self._broker.kill()
                await asyncio.sleep(self._chance.uniform(0.0, 1.5))
                await asyncio.to_thread(self._broker.start)
            case "listener killed":
                await self._running.kill()
                await self._stack.aclose()
                await self._start()
            case "broker frozen":
                before = self._count("notification.delayed", "mqtt.disconnected")
                self._broker.freeze()
                # What was on its way when it froze will come, and be sent again.
                await eventually(lambda: self._count("notification.delayed", "mqtt.disconnected") > before)
                self._broker.thaw()
            case "alerts refused":
                before = self._count("mqtt.publish_refused")
                self._allow(DENIED)
                await eventually(lambda: self._count("mqtt.publish_refused") > before + 1)
                self._allow(ALLOWED)

    async def _moment(self) -> None:
        """Mostly soon after something was decided, when it is being told; else any time."""
        if self._chance.random() < SOON:
            before = self.decided[-1] if self.decided else 0
            async with asyncio.timeout(PATIENCE_SECS):
                while await self._count_decided() <= before:  # noqa: ASYNC110 -- another process
                    await asyncio.sleep(0.05)
            await asyncio.sleep(self._chance.uniform(0.0, 0.4))
        else:
            await asyncio.sleep(self._chance.uniform(0.0, 2.0))

    async def _count_decided(self) -> int:
        async with self.database.reading() as connection:
            return int((await connection.execute(text("SELECT count(*) FROM event"))).scalar_one())

    async def settle(self, on_call: OnCall, complaints: int, *, over: bool) -> Kept:
        """Wait until all that was written was decided and nothing waits any more; what is kept then.

        With ``over`` all alerts must have ended too. What is lost does not come, so this gives up waiting in time.
        """
        until = time.monotonic() + PATIENCE_SECS
        while True:
            found = await kept(self.database)
            done = len(found.brands) >= complaints and not found.open and not (over and found.firing)
            if (done and found.told <= on_call.received) or time.monotonic() > until:
                return found
            await asyncio.sleep(0.1)

    @property
    def _running(self) -> Daemon:
        if self._daemon is None:
            raise RuntimeError("no daemon runs")
        return self._daemon

    async def _start(self) -> None:
        self._daemon = await self._stack.enter_async_context(daemon(self._config))
        await self._daemon.logged("daemon.started", within=PATIENCE_SECS)

    def _count(self, *events: str) -> int:
        return sum(found["event"] in events for found in self._running.events)

    def _allow(self, rules: str) -> None:
        self._acl.write_text(rules, "utf-8")
        os.kill(self._broker.pid, signal.SIGHUP)


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds; another process makes it hold."""
    async with asyncio.timeout(PATIENCE_SECS):
        while not condition():  # noqa: ASYNC110 -- no event of ours tells
            await asyncio.sleep(0.05)


async def unleash(
    folder: Path, model: Path, *, seed: int, rounds: int = 1, every_secs: float = EVERY_SECS, end: bool = False
) -> Found:
    """Inflict all ``FAULTS`` so many times in an order and at moments of chance, while complaints keep coming.

    With ``end`` each alert ends after a minute, and that is to be told too.
    """
    chance = random.Random(seed)
    faults = [fault for _ in range(rounds) for fault in chance.sample(FAULTS, len(FAULTS))]
    (folder / "acl").write_text(ALLOWED, "utf-8")
    conf = f"allow_anonymous true\nacl_file {folder}/acl\n{DURABLE.format(folder=folder)}"
    async with contextlib.AsyncExitStack() as stack:
        broker = stack.enter_context(mosquitto(folder, conf))
        outcry = Outcry()
        url = await stack.enter_async_context(serving(lambda _: outcry.application(), "127.0.0.1", 0))
        on_call = stack.enter_context(OnCall(broker.port, answering=True).listening())
        cooldown_secs = SHORT_SECS if end else LONG_SECS
        config = configuration(
            folder, url=url, model=model, port=broker.port, cooldown_secs=cooldown_secs, more=SAID_AGAIN
        )
        chaos = await stack.enter_async_context(Chaos(folder, config, broker, chance))
        async with complaining(outcry, every_secs):
            for fault in faults:
                await chaos.inflict(fault)
        ended_at = time.monotonic()
        found = await chaos.settle(on_call, len(outcry.reviews), over=end)
        return Found(
            kept=found,
            received=on_call.received,
            told=on_call.told,
            messages=len(on_call.messages),
            complaints=len(outcry.reviews),
            moments=chaos.moments,
            decided_at_faults=chaos.decided,
            settled_secs=time.monotonic() - ended_at,
        )


@contextlib.asynccontextmanager
async def complaining(outcry: Outcry, every_secs: float) -> AsyncIterator[None]:
    """A complaint every now and then, until the block ends."""

    async def go_on() -> None:
        while len(outcry.reviews) < BRANDS:
            outcry.write()
            await asyncio.sleep(every_secs)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def configuration(
    folder: Path,
    *,
    url: str,
    model: Path,
    port: int,
    cooldown_secs: int = LONG_SECS,
    brands: int = BRANDS,
    more: str = "",
) -> Path:
    """A configuration file, with ``more`` at its end: every alert is a message of its own."""
    path = folder / "listener.toml"
    followed = "\n".join(f'[brands.b{number}]\nnames = ["{brand_name(number)}"]' for number in range(brands))
    sources = "\n".join(
        f"""[sources.reviews{part}]
type = "json_api"
url = "{url}/reviews/{part}"
interval_secs = 5
[sources.reviews{part}.fields]
external_id = "id"
text = "text"
author = "by"
published_at = "at"
reach = "reach"
"""
        for part in range(SOURCES)
    )
    path.write_text(
        f"""
[service]
instance = "chaos"
tick_secs = 0.5
log_format = "json"
[database]
url = "sqlite:///listener.db"
[scoring]
model = "{model}"
lease_secs = 10
[http]
port = 0
[fetch]
allow_private_hosts = ["127.0.0.1"]
host_interval_secs = 0
[mqtt]
host = "127.0.0.1"
port = {port}
keepalive_secs = 5
timeout_secs = {TIMEOUT_SECS}
[storm]
burst = 10000
per_hour = 100000
[knowledge]
past_max = 0
[rules.high_risk]
type = "high_risk"
cooldown_secs = {cooldown_secs}
{followed}
{sources}
{more}
""",
        encoding="utf-8",
    )
    return path
