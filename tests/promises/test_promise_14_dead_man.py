"""Promise 14: silence is noticed. Whoever watches knows when the daemon is gone, hangs, or does not look any more."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from listener.serving import serving
from tests.acceptance.daemon import Subscriber, daemon, subscriber
from tests.mosquitto import ANYBODY, mosquitto
from tests.promises.chaos import PATIENCE_SECS, Outcry, configuration, eventually

KEEPALIVE_SECS = 5  # chaos configures it
SWEEP_SECS = 5.0  # Mosquitto looks that often for clients that have been silent too long
SLACK_SECS = 5.0  # for a machine that is busy
WATCHDOG = '[watchdog]\nreceivers = ["mqtt"]\nevery_minutes = 0.02\n'
EVALUATED = "listener_last_evaluation_timestamp_seconds"


def values(heard: Subscriber, level: str) -> list[dict[str, Any]]:
    """What was heard of the daemon itself."""
    return [body for topic, _, body in heard.messages if topic == f"listener/v1/chaos/{level}"]


def status(heard: Subscriber) -> str | None:
    """What the broker retains of it, with the reason."""
    said = values(heard, "status")
    return f"{said[-1]['state']}, {said[-1]['reason']}" if said else None


async def evaluated(address: str) -> float:
    """The metric that an alarm on silence watches."""
    async with httpx2.AsyncClient() as client:
        families = text_string_to_metric_families((await client.get(address)).text)
    (sample,) = (one for family in families for one in family.samples if one.name == EVALUATED)
    return float(sample.value)


@pytest.mark.timeout(300)
async def test_promise_14_dead_man(tmp_path: Path, model: Path) -> None:
    """It lives: heartbeat, watchdog, metric. It hangs, it is killed: the broker says so in time."""
    with mosquitto(tmp_path, ANYBODY) as broker:
        async with serving(lambda _: Outcry().application(), "127.0.0.1", 0) as url, subscriber(broker.port) as heard:
            config = configuration(tmp_path, url=url, model=model, port=broker.port, brands=1, more=WATCHDOG)
            async with daemon(config) as running:
                address = (await running.logged("daemon.started", within=PATIENCE_SECS))["metrics"]
                await eventually(lambda: len(values(heard, "watchdog")) >= 2 and values(heard, "heartbeat"))
                assert status(heard) == "online, started"
                first = await evaluated(address)
                looked = [body["evaluated_at"] for body in values(heard, "watchdog")]
                await eventually(lambda: values(heard, "watchdog")[-1]["evaluated_at"] > looked[-1])
                assert time.time() - PATIENCE_SECS < first < await evaluated(address) <= time.time()

                os.kill(running.process.pid, signal.SIGSTOP)
                hangs_at = time.monotonic()
                await eventually(lambda: status(heard) == "offline, lost")
                assert time.monotonic() - hangs_at < 1.5 * KEEPALIVE_SECS + SWEEP_SECS + SLACK_SECS
                os.kill(running.process.pid, signal.SIGCONT)
                await eventually(lambda: status(heard) == "online, started")

                barks = len(values(heard, "watchdog"))
                await eventually(lambda: len(values(heard, "watchdog")) > barks)
                await running.kill()
                killed_at = time.monotonic()
                await eventually(lambda: status(heard) == "offline, lost")
                assert time.monotonic() - killed_at < 1.5 * KEEPALIVE_SECS
