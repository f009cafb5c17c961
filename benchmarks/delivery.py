"""How fast a broker's death is noticed, and how fast all is told again after its return.

``python -m benchmarks.delivery [--rounds N] [--json]`` kills (SIGKILL) and freezes (SIGSTOP) a real Mosquitto without
persistence, with default options. ``detected`` is from the death to the receiver's knowing of it, while nothing but
heartbeats is said (an alert that is due finds out within ``timeout_secs``); ``converged`` is from the return to the
broker's having the status and 100 states again. Then alerts are followed from decision to PUBACK, and a backlog to its
end (``benchmarks._delivery_pipeline``).
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from benchmarks._delivery_pipeline import pipeline_figures, print_pipeline
from benchmarks.machine import machine
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.wire.payload import StatePayload, state_payload
from listener.config.mqtt import MqttOptions
from listener.domain import Condition, Signal
from tests.mosquitto import ANYBODY, Mosquitto, mosquitto

BRANDS = {f"brand{number}": f"Brand {number}" for number in range(100)}
AWAY_SECS = (1.0, 15.0)  # how long the broker is away, at random: the pause between attempts grows meanwhile
PATIENCE_SECS = 180.0
FREEZE_ROUNDS = 3  # each takes up to a minute
DEATHS = {"killed": "SIGKILL", "frozen": "SIGSTOP"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured over all rounds of one kind of death; seconds."""

    death: str
    rounds: int
    detected_median_secs: float
    detected_worst_secs: float
    converged_median_secs: float
    converged_worst_secs: float


def states() -> dict[str, StatePayload]:
    """How all brands stand."""
    now = datetime.now(UTC)
    return {
        brand: state_payload(
            brand,
            title=title,
            alerts=(),
            signal=Signal(
                brand=brand,
                rule="deterioration",
                condition=Condition.CALM,
                severity=None,
                reason="all is well",
                observed=0.2,
                expected=0.2,
                window_start_at=now - timedelta(hours=1),
                window_end_at=now,
            ),
            now=now,
        )
        for brand, title in BRANDS.items()
    }


async def took_until(condition: Callable[[], bool]) -> float:
    """Seconds until ``condition`` holds."""
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE_SECS):
        while not condition():  # noqa: ASYNC110 -- what makes it hold happens in another process
            await asyncio.sleep(0.002)
    return time.perf_counter() - began


async def one_death(broker: Mosquitto, receiver: MqttReceiver, death: str, away_secs: float) -> tuple[float, float]:
    """Let the broker die and return: seconds until it was noticed, and until all was told again."""
    await took_until(lambda: receiver.settled)
    if death == "killed":
        broker.kill()
    else:
        broker.freeze()
    detected = await took_until(lambda: not receiver.connected)
    await asyncio.sleep(away_secs)
    if death == "killed":
        await asyncio.to_thread(broker.start)
    else:
        broker.thaw()
    return detected, await took_until(lambda: receiver.settled)


async def broker_deaths(death: str, *, rounds: int, seed: int) -> Figures:
    """Figures over so many deaths of one kind (a key of ``DEATHS``)."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, mosquitto(Path(folder), f"{ANYBODY}\npersistence false") as broker:
        options = MqttOptions(host="127.0.0.1", port=broker.port)
        async with MqttReceiver(options, instance="benchmark", version="0", brands=BRANDS) as receiver:
            receiver.publish_states(states())
            measured = [await one_death(broker, receiver, death, chance.uniform(*AWAY_SECS)) for _ in range(rounds)]
    return summed_up(death, measured)


def summed_up(death: str, measured: Sequence[tuple[float, float]]) -> Figures:
    """Median and worst of pairs (detected, converged)."""
    detected, converged = zip(*measured, strict=True)
    return Figures(
        death=death,
        rounds=len(measured),
        detected_median_secs=round(statistics.median(detected), 3),
        detected_worst_secs=round(max(detected), 3),
        converged_median_secs=round(statistics.median(converged), 3),
        converged_worst_secs=round(max(converged), 3),
    )


def print_deaths(figures: Sequence[Figures]) -> None:
    """A table of them."""
    print("broker     rounds  detected s: median   worst   converged s: median   worst")
    for one in figures:
        print(
            f"{one.death:9} {one.rounds:7} {one.detected_median_secs:19.2f} {one.detected_worst_secs:7.2f}"
            f" {one.converged_median_secs:21.2f} {one.converged_worst_secs:7.2f}"
        )


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="how often the broker is killed (10)")
    parser.add_argument("--freezes", type=int, default=FREEZE_ROUNDS, help=f"how often frozen ({FREEZE_ROUNDS})")
    parser.add_argument("--seed", type=int, default=1, help="of how long the broker is away (1)")
    parser.add_argument("--alerts", type=int, default=300, help="how many are followed to their PUBACK (300)")
    parser.add_argument("--queued", type=int, default=2_000, help="how many wait in the backlog (2000)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    structlog.configure(processors=[lambda _logger, _name, _event: _drop()])
    counts = {"killed": options.rounds, "frozen": options.freezes}
    figures = [
        asyncio.run(broker_deaths(death, rounds=rounds, seed=options.seed))
        for death, rounds in counts.items()
        if rounds > 0
    ]
    pipeline = pipeline_figures(alerts=options.alerts, queued=options.queued)
    if options.json:
        brokers = [asdict(figure) for figure in figures]
        print(json.dumps({"machine": machine(), "brokers": brokers, "pipeline": asdict(pipeline)}))
        return 0
    print(machine())
    print_deaths(figures)
    print_pipeline(pipeline)
    return 0


def _drop() -> dict[str, object]:
    """Say nothing of each connection."""
    raise structlog.DropEvent


if __name__ == "__main__":
    sys.exit(main())
