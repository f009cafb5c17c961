"""Alertmanager: what identifies an alert, how long it lasts, and the real one with a recording webhook behind it."""

import asyncio
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.receivers.alertmanager import Alertmanager, alert_name, posted
from listener.alerts.receivers.base import Resender
from listener.alerts.wire.findings import AnswerFindings
from listener.domain import AlertState, Frozen, Reason, Severity
from listener.errors import DeliveryError
from listener.pipeline import deliver, tell
from listener.pipeline.resend import resend
from listener.store import Database
from tests import alerting
from tests.mosquitto import free_port, until
from tests.receivers.kinds import running
from tests.receivers.payloads import NOW, alert_json, every_kind, notification
from tests.receivers.recording import Recording, recording
from tests.running import bench, decided
from tests.services import require

BINARY = shutil.which("prometheus-alertmanager")
LASTS = timedelta(minutes=3)


def post(payload: Frozen, now: datetime = NOW) -> dict[str, Any]:
    return posted(payload, instance="main", language="en", now=now, lasts=LASTS)


@pytest.fixture
async def server() -> AsyncIterator[Recording]:
    async with recording() as opened:
        yield opened


def test_the_same_labels_from_the_first_event_to_the_last_and_when_it_comes_back() -> None:
    first = alerting.alert()
    later = alerting.alert(started_at=NOW + timedelta(days=9), updated_at=NOW + timedelta(days=9))
    payloads = [
        alert_json(Reason.FIRST, first),
        alert_json(Reason.REPEAT, first, repeat=1),
        alert_json(Reason.RESOLVED),
        alert_json(Reason.REOPENED, alerting.alert(seq=3, reopened=1)),
        alert_json(Reason.FIRST, later),
    ]
    labels = [post(one)["labels"] for one in payloads]
    assert labels == [
        {
            "alertname": "ListenerDeterioration",
            "instance": "main",
            "severity": "critical",
            "brand": "acme",
            "rule": "deterioration",
        }
    ] * len(payloads)
    assert post(payloads[0])["annotations"]["alert_id"] != post(payloads[-1])["annotations"]["alert_id"]


def test_what_fires_lasts_three_intervals_and_what_ended_has_its_end() -> None:
    later = NOW + timedelta(hours=5)
    assert post(alert_json(), later)["endsAt"] == "2026-03-02T17:33:00.000Z"
    assert post(alert_json(), later)["startsAt"] == alert_json()["started_at"]
    assert post(alert_json(Reason.RESOLVED), later)["endsAt"] == alert_json(Reason.RESOLVED)["ended_at"]
    assert post(every_kind()["watchdog"])["endsAt"] == "2026-03-02T12:40:00.000Z"  # it comes every five minutes


def test_people_get_words_links_and_evidence() -> None:
    alert = post(alert_json())
    notes = alert["annotations"]
    assert alert["generatorURL"] == notes["link_ack"] == "https://listener.example/a/ack.abc"
    assert notes["summary"] == alert_json()["text"]["en"]["title"]
    assert notes["evidence"].startswith("https://foorum.example/0?õ=1\n")
    assert "https://wiki.example/d" in notes["articles"]
    assert "generatorURL" not in post(alert_json(answer=None))


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (alert_json(), "ListenerDeterioration"),
        ({**alert_json(), "rule": "high_risk"}, "ListenerHighRisk"),
        ({**alert_json(), "rule": "blind"}, "ListenerBlind"),
        ({**alert_json(), "drill": True}, "ListenerDrill"),
        (every_kind()["watchdog"], "ListenerWatchdog"),
        (every_kind()["test"], "ListenerTest"),
    ],
)
def test_names_follow_the_rule(payload: Frozen, name: str) -> None:
    assert alert_name(payload) == name


async def test_a_worse_level_ends_the_alert_of_the_level_before(server: Recording) -> None:
    warning = alert_json(alert=alerting.alert(severity=Severity.WARNING))
    async with running(made(server.netloc)) as receiver:
        await receiver.deliver(notification(warning))
        await receiver.deliver(notification(alert_json(Reason.WORSENED)))
        await receiver.deliver(notification(alert_json(Reason.RESOLVED)))
    first, second, third = (asked.json() for asked in server.asked)
    assert [one["labels"]["severity"] for one in first] == ["warning"]
    assert [(one["labels"]["severity"], one["endsAt"] > "2026-03-02T12:30:01") for one in second] == [
        ("critical", True),
        ("warning", False),
    ]
    assert [one["labels"]["severity"] for one in third] == ["critical"]


async def test_all_that_fires_is_sent_again_in_one_request(server: Recording) -> None:
    async with running(made(server.netloc)) as receiver:
        assert isinstance(receiver, Resender)
        assert receiver.interval_secs == 60.0
        await receiver.resend([], [])
        assert server.asked == []
        await receiver.resend([alert_json()], [alert_json(Reason.RESOLVED, ended("other"))])
        server.status = 500
        with pytest.raises(DeliveryError):
            await receiver.resend([alert_json()], [])
    assert [one["labels"]["brand"] for one in server.asked[0].json()] == ["acme", "other"]


async def test_what_is_sent_again_keeps_the_links_to_answer(server: Recording, database: Database) -> None:
    """Alertmanager takes the annotations of what came last."""
    async with bench(database) as at, running(made(server.netloc)) as receiver:
        assert isinstance(receiver, Resender)
        at.parts = replace(
            at.parts,
            receivers={"am": receiver},
            policy=Policy(receivers={"am": ReceiverKind(bundled=False, repeated=False)}),
            answer=lambda target, _: AnswerFindings(seq=target.seq, topic="", links={"ack": f"https://l/{target.id}"}),
        )
        (alert,) = await decided(at, "bolt")
        await tell(at.parts)
        await deliver(at.parts, "am")
        await resend(at.parts, "am", receiver)
    first, again = (asked.json()[0] for asked in server.asked)
    assert first["annotations"] == again["annotations"]
    assert again["annotations"]["link_ack"] == again["generatorURL"] == f"https://l/{alert.id}"


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"username": "õ", "password": "p:w"}, "Basic w7U6cDp3"),
        ({}, None),
    ],
)
async def test_how_it_logs_in(server: Recording, options: dict[str, str], header: str | None) -> None:
    async with running(made(server.netloc, **options)) as receiver:
        await receiver.deliver(notification())
    assert server.asked[0].headers.get("authorization") == header
    assert server.asked[0].target == "/am/api/v2/alerts"


@pytest.mark.parametrize(
    "options",
    [{"username": "a"}, {"password": "a"}, {"token": "a", "username": "a", "password": "a"}, {"token": "a b"}],
)
def test_logins_that_cannot_work_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"belong together|give either|HTTP header"):
        made("localhost", **options)


def made(netloc: str, **changes: Any) -> Alertmanager:
    return Alertmanager.model_validate({"name": "am", "url": f"http://{netloc}/am/", **changes})


def ended(brand: str, at: datetime = NOW) -> Any:
    return alerting.alert(brand=brand, state=AlertState.RESOLVED, seq=2, ended_at=at)


# ----------------------------------------------------------------------------------------------------- the real thing


class Real:
    """The real Alertmanager on a free port, telling a recording webhook."""

    def __init__(self, folder: Path, webhook: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        route = {"receiver": "hook", "group_by": ["brand"], "repeat_interval": "1h"}
        waits = {"group_wait": "2s", "group_interval": "1s"}
        config = {
            "route": {**route, **waits},
            "receivers": [{"name": "hook", "webhook_configs": [{"url": f"http://{webhook}/"}]}],
        }
        (folder / "alertmanager.yml").write_text(json.dumps(config))

    async def start(self) -> None:
        arguments = [
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(BINARY), *arguments], stdout=log, stderr=log)  # noqa: ASYNC220
        async with httpx2.AsyncClient() as client:
            async with asyncio.timeout(30):
                while not await self._ready(client):  # noqa: ASYNC110 -- no event of ours tells
                    await asyncio.sleep(0.05)

    async def _ready(self, client: httpx2.AsyncClient) -> bool:
        try:
            return (await client.get(f"http://127.0.0.1:{self.port}/-/ready")).status_code == 200
        except httpx2.HTTPError:
            return False

    async def alerts(self) -> list[dict[str, Any]]:
        async with httpx2.AsyncClient() as client:
            found: list[dict[str, Any]] = (await client.get(f"http://127.0.0.1:{self.port}/api/v2/alerts")).json()
            return found

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=10)
            self.process = None

    def receiver(self) -> Alertmanager:
        return Alertmanager.model_validate(
            {"name": "am", "url": f"http://127.0.0.1:{self.port}", "interval_secs": 20.0}
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    require(BINARY, "Alertmanager (the binary prometheus-alertmanager)")
    return tmp_path


def now() -> datetime:
    return datetime.now(UTC)


def told(server: Recording, brand: str) -> list[list[tuple[str, str]]]:
    """What the webhook was told of a brand, message by message: the alerts' names and states."""
    return [
        sorted((one["labels"]["alertname"], one["status"]) for one in asked.json()["alerts"])
        for asked in server.asked
        if asked.json()["groupLabels"] == {"brand": brand}
    ]


def fires(brand: str, rule: str = "deterioration") -> Frozen:
    started_at = now()
    return {**alert_json(alert=alerting.alert(brand=brand, started_at=started_at, updated_at=started_at)), "rule": rule}


def over(payload: Frozen) -> Frozen:
    return {**payload, "reason": "resolved", "state": "resolved", "seq": 2, "ended_at": now().isoformat()}


async def test_the_real_one_groups_survives_a_restart_and_ends_each_alert_once(folder: Path, server: Recording) -> None:
    real = Real(folder, server.netloc)
    await real.start()
    try:
        async with running(real.receiver(), clock=now) as receiver:
            assert isinstance(receiver, Resender)
            both = [fires("acme"), fires("acme", "high_risk")]
            for one in both:
                await receiver.deliver(notification(one))
            firing = [("ListenerDeterioration", "firing"), ("ListenerHighRisk", "firing")]
            await until(lambda: firing in told(server, "acme"))

            real.stop(signal.SIGTERM)  # it keeps whom it told, and forgets what fires
            await real.start()
            assert await real.alerts() == []
            with_end = await receiver_resends(receiver, real, both)
            assert all(one > now().isoformat() for one in with_end)

            ended = [over(one) for one in both]
            for one in ended:
                await receiver.deliver(notification(one))
            resolved = [("ListenerDeterioration", "resolved"), ("ListenerHighRisk", "resolved")]
            await until(lambda: resolved in told(server, "acme"))
            for fence in ("fence_one", "fence_two"):  # what is told of these is told after all that is due of acme
                await receiver.resend([fires(fence)], ended)
                await until(lambda fence=fence: told(server, fence))  # type: ignore[misc]
    finally:
        real.stop()
    messages = told(server, "acme")
    ends = [one for message in messages for one in message if one[1] == "resolved"]
    assert sorted(ends) == sorted(set(ends))
    assert len(messages) == 2
    assert messages[0] == firing


async def receiver_resends(receiver: Resender, real: Real, payloads: list[Frozen]) -> list[str]:
    """The ends of the alerts that Alertmanager knows after what fires was sent again."""
    await receiver.resend(payloads, [])
    known = await real.alerts()
    assert {one["labels"]["alertname"] for one in known} == {"ListenerDeterioration", "ListenerHighRisk"}
    return [one["endsAt"] for one in known]
