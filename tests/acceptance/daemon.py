"""The whole daemon as a process of its own, a review site that it polls, and a subscriber that hears it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
from fastapi import FastAPI

from listener.serving import serving

START_SECS = 60.0  # torch takes its time to import on a busy machine


@dataclass
class Site:
    """A review site whose reviews the test writes."""

    reviews: list[dict[str, Any]] = field(default_factory=list)
    polls: int = 0
    _polled: asyncio.Condition = field(default_factory=asyncio.Condition)

    def write(self, text: str, *, ago: timedelta = timedelta()) -> None:
        """One more review."""
        at = datetime.now(UTC) - ago
        self.reviews.append(
            {"id": len(self.reviews), "text": text, "at": at.isoformat(), "by": f"user{len(self.reviews)}"}
        )

    def history(self) -> None:
        """Three quiet weeks: one review in ten is bad."""
        for number in range(100):
            word = "late" if number % 10 == 0 else "great"
            self.write(f"the parcel was {word} and fast {number}", ago=timedelta(days=2, hours=5 * number))

    def turn(self) -> None:
        """Now everybody complains."""
        for number in range(40):
            self.write(f"the parcel is late and broken and rude {number}", ago=timedelta(seconds=number))

    async def polled(self, times: int) -> None:
        """Wait until it was polled so often."""
        async with asyncio.timeout(60), self._polled:
            await self._polled.wait_for(lambda: self.polls >= times)

    def application(self) -> FastAPI:
        """The site over HTTP."""
        app = FastAPI()

        @app.get("/reviews")
        async def reviews() -> list[dict[str, Any]]:
            async with self._polled:
                self.polls += 1
                self._polled.notify_all()
            return self.reviews

        return app


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[tuple[Site, str]]:
    """A running site, and its address."""
    running = Site()
    async with serving(lambda _: running.application(), "127.0.0.1", 0) as url:
        yield running, url


def configuration(
    folder: Path, *, url: str, model: Path, broker_port: int, database: str | None = None, more: str = ""
) -> Path:
    """A configuration file for a fast daemon; ``more`` are tables of which it has none."""
    path = folder / "listener.toml"
    path.write_text(
        f"""
[service]
instance = "acceptance"
tick_secs = 0.2
log_format = "json"
[database]
url = "{database or "sqlite:///listener.db"}"
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
port = {broker_port}
[brands.bolt]
names = ["Bolt"]
[sources.reviews]
type = "json_api"
url = "{url}/reviews"
interval_secs = 5
brands = ["bolt"]
[sources.reviews.fields]
external_id = "id"
text = "text"
author = "by"
published_at = "at"
{more}
""",
        encoding="utf-8",
    )
    return path


def reachable(config: Path, port: int) -> None:
    """Let people reach its HTTP side, so that messages bring links."""
    text = config.read_text("utf-8")
    config.write_text(text.replace("port = 0\n", f'port = {port}\npublic_url = "http://127.0.0.1:{port}"\n'), "utf-8")


async def cli(config: Path, *arguments: str) -> tuple[int, str]:
    """One ``listener`` command beside the daemon: its exit code, and what it printed."""
    command = (sys.executable, "-m", "listener", *arguments, "--config", str(config))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


class Daemon:
    """One ``listener run`` process."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it logged so far."""
        lines = self._log.read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    async def logged(self, event: str, *, within: float = START_SECS) -> dict[str, Any]:
        """Wait for an event of the log."""
        async with asyncio.timeout(within):
            while True:
                for found in self.events:
                    if found["event"] == event:
                        return found
                if self.process.returncode is not None:
                    raise RuntimeError(f"listener ended with {self.process.returncode}:\n{self._log.read_text()}")
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """End it at whatever instruction it is."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """End it in good order; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def daemon(config: Path, *arguments: str) -> AsyncIterator[Daemon]:
    """A running daemon; killed at the end if it still runs."""
    number = len(list(config.parent.glob("listener-*.log")))
    log = config.parent / f"listener-{number}.log"
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "listener",
            "run",
            "--config",
            str(config),
            *arguments,
            stdout=stream,
            stderr=stream,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )
    try:
        yield Daemon(process, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass
class Subscriber:
    """What came over MQTT, in order."""

    messages: list[tuple[str, bool, dict[str, Any]]] = field(default_factory=list)

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alert events, as they came over the wire, repeats included."""
        return [body for topic, _, body in self.messages if "/alert/" in topic]

    async def alert(self, reason: str, *, within: float = START_SECS, **fields: Any) -> dict[str, Any]:
        """Wait for an alert event, one with these fields."""
        return await self.said("/alert/", within=within, reason=reason, **fields)

    async def said(self, topic: str, *, within: float = START_SECS, **fields: Any) -> dict[str, Any]:
        """Wait for a message with these fields on a topic that has ``topic`` in it."""
        async with asyncio.timeout(within):
            while True:
                for on, _, body in self.messages:
                    if topic in on and body.items() >= fields.items():
                        return body
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def subscriber(port: int) -> AsyncIterator[Subscriber]:
    """A subscriber to everything of ours on a broker."""
    heard = Subscriber()

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            body = json.loads(bytes(message.payload) or b"{}")
            heard.messages.append((str(message.topic), message.retain, body))

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("listener/#", qos=1)
        task = asyncio.create_task(listen(client))
        try:
            yield heard
        finally:
            task.cancel()
