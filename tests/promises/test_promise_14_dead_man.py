"""Promise 14: silence is noticed. Whoever watches knows when the daemon is gone, hangs, or does not look any more."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from listener.domain import Hold
from listener.metrics import Metrics
from listener.serving import serving
from tests.acceptance.daemon import Subscriber, daemon, subscriber
from tests.mosquitto import ANYBODY, mosquitto
from tests.promises.chaos import PATIENCE_SECS, Outcry, configuration, eventually
from tests.services import require

KEEPALIVE_SECS = 5  # chaos configures it
SWEEP_SECS = 5.0  # Mosquitto looks that often for clients that have been silent too long
SLACK_SECS = 5.0  # for a machine that is busy
WATCHDOG = '[watchdog]\nreceivers = ["mqtt"]\nevery_minutes = 0.02\n'
EVALUATED = "listener_last_evaluation_timestamp_seconds"
TOLD = "listener_last_tell_timestamp_seconds"
RULES = Path(__file__).parents[2] / "config/prometheus/rules.yml"


def values(heard: Subscriber, level: str) -> list[dict[str, Any]]:
    """What was heard of the daemon itself."""
    return [body for topic, _, body in heard.messages if topic == f"listener/v1/chaos/{level}"]


def status(heard: Subscriber) -> str | None:
    """What the broker retains of it, with the reason."""
    said = values(heard, "status")
    return f"{said[-1]['state']}, {said[-1]['reason']}" if said else None


async def metric(address: str, name: str = EVALUATED) -> float:
    """A metric that an alarm on silence watches."""
    async with httpx2.AsyncClient() as client:
        families = text_string_to_metric_families((await client.get(address)).text)
    (sample,) = (one for family in families for one in family.samples if one.name == name)
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
                first = await metric(address)
                looked = [body["evaluated_at"] for body in values(heard, "watchdog")]
                await eventually(lambda: values(heard, "watchdog")[-1]["evaluated_at"] > looked[-1])
                assert time.time() - PATIENCE_SECS < first < await metric(address) <= time.time()
                assert time.time() - PATIENCE_SECS < await metric(address, TOLD) <= time.time()

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


# ---------------------------------------------------------------------------------------------- the rules of Prometheus


def fires(folder: Path, rule: str, *series: tuple[str, str], at: str) -> bool:
    """Whether the shipped rule fires at a time, over series of one value a minute; promtool says so."""
    promtool = shutil.which("promtool")
    require(promtool, "promtool (Debian package prometheus)")
    probe = {"expr": f'count(ALERTS{{alertname="{rule}", alertstate="firing"}}) or vector(0)', "eval_time": at}
    results = []
    for expected in (0, 1):
        case = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series],
            "promql_expr_test": [{**probe, "exp_samples": [{"labels": "{}", "value": expected}]}],
        }
        document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case]}
        (folder / "test.yml").write_text(yaml.safe_dump(document), "utf-8")
        command = [str(promtool), "test", "rules", str(folder / "test.yml")]
        results.append(subprocess.run(command, capture_output=True, check=False).returncode == 0)
    assert results in ([True, False], [False, True])
    return results[1]


@pytest.mark.parametrize(
    ("rule", "series", "values", "at", "alarmed"),
    [
        ("ListenerTellsNobody", TOLD, "0+60x30", "30m", False),
        ("ListenerTellsNobody", TOLD, "0+60x10 600x20", "12m", False),
        ("ListenerTellsNobody", TOLD, "0+60x10 600x20", "16m", True),
        ("ListenerTellsNobody", TOLD, "0x30", "10m", True),  # it has crashed from the start
        ("ListenerAbsent", EVALUATED, "0+60x30", "30m", False),
        ("ListenerAbsent", EVALUATED, "0+60x10 600x30", "27m", True),
        ("ListenerAlertUntold", 'listener_events_total{outcome="told"}', "0x10 5x10", "12m", False),
        ("ListenerAlertUntold", 'listener_events_total{outcome="unreadable"}', "_x10 1x40", "11m", True),
        ("ListenerAlertUntold", 'listener_events_total{outcome="unreadable"}', "_x10 1x40", "40m", False),
        ("ListenerAlertUntold", 'listener_events_total{outcome="unreadable"}', "1x30 2x20", "32m", True),
        ("ListenerUnitsFail", 'listener_unit_failures_total{stage="tell"}', "0+1x40", "40m", True),
        ("ListenerUnitsFail", 'listener_unit_failures_total{stage="tell"}', "0x10 1x30", "30m", False),
    ],
)
def test_promise_14_prometheus_alarms_when_nobody_is_told(
    tmp_path: Path, rule: str, series: str, values: str, at: str, alarmed: bool
) -> None:
    assert fires(tmp_path, rule, (series, values), at=at) is alarmed


def test_promise_14_the_rules_ask_for_metrics_that_there_are() -> None:
    """A rule about a metric that was renamed would never alarm."""
    metrics = Metrics()
    metrics.dispatched(["unreadable"], [Hold.STORM])
    known = {sample for family in metrics.registry.collect() for sample in (family.name, f"{family.name}_total")}
    asked = set(re.findall(r"listener_\w+", " ".join(expressions())))
    assert asked >= {EVALUATED, TOLD}
    assert asked <= known


def expressions() -> list[str]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]
