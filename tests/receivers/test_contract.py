"""What every receiver type promises, also one of another package: retry or not, and no secret anywhere."""

import asyncio
import logging
from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Le
from structlog.testing import capture_logs

from listener import plugins
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.receivers import registry
from listener.alerts.receivers.base import BaseReceiver, longest_secs
from listener.alerts.receivers.http_receiver import refusal
from listener.config.load import load
from listener.config.mqtt import MqttOptions
from listener.domain import Frozen
from listener.errors import ConfigError, DeliveryError
from tests.mosquitto import free_port, until
from tests.receivers.kinds import ENCODED, HTTP, MARK, all_said, email, running, toy, webhook
from tests.receivers.mailing import mailbox
from tests.receivers.payloads import NOW, every_kind, notification
from tests.receivers.recording import CHUNKS_MAX, Recording, recording
from tests.running import Inbox

SPECIAL = [*range(100, 104), *range(200, 209), 226, 299, *range(300, 309), *range(400, 432), 451, 499, *range(500, 512)]


@pytest.fixture
async def server() -> AsyncIterator[Recording]:
    async with recording() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def expected(status: int) -> str:
    """RFC 9110 and its neighbours, said once more in another way."""
    if 200 <= status <= 299:
        return "taken"
    return "retry" if status in {408, 425, 429} or status < 200 or status >= 500 else "never"


async def outcome_of(receiver: Any, **changes: Any) -> str:
    try:
        await receiver.deliver(notification(**changes))
    except DeliveryError as error:
        return "retry" if error.retryable else "never"
    return "taken"


@pytest.mark.parametrize("kind", HTTP)
async def test_every_status_means_retry_or_not(server: Recording, kind: str) -> None:
    found = {}
    async with running(HTTP[kind](server.netloc)) as receiver:
        for status in range(100, 600) if kind == "toy" else SPECIAL:  # they share the template, but for apprise
            if kind == "apprise" and status < 200:
                continue  # its HTTP library takes an interim answer for the final one, and fails in its own way
            server.status = status
            found[status] = await outcome_of(receiver, alert_id=f"a{status}")
    assert len(found) >= (500 if kind == "toy" else 60)
    assert found == {status: expected(status) for status in found}
    assert len({asked.target for asked in server.asked}) == 1  # no redirect was followed


@pytest.mark.parametrize(
    ("value", "secs"),
    [("120", 120.0), ("Mon, 02 Mar 2026 12:31:00 GMT", 60.0), ("soon", None), ("-5", None), (None, None)],
)
@pytest.mark.parametrize("kind", ["webhook", "alertmanager", "toy"])
async def test_a_server_says_when_to_come_back(
    server: Recording, kind: str, value: str | None, secs: float | None
) -> None:
    server.status, server.headers = 429, {} if value is None else {"Retry-After": value}
    async with running(HTTP[kind](server.netloc)) as receiver:
        with pytest.raises(DeliveryError) as caught:
            await receiver.deliver(notification())
    assert caught.value.retry_after_secs == secs


def test_statuses_that_nobody_has_defined_are_told_by_number_alone() -> None:
    error = refusal(599, now=NOW)
    assert error is not None
    assert str(error) == "it answered HTTP 599"


FAILURES = {
    "refused": True,
    "hang": True,
    "tls": True,
    "garbage": True,
    "drop": True,
    "404": False,
    "503": True,
    "302": False,
}


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize("failure", FAILURES)
async def test_no_failure_tells_a_secret(
    server: Recording, kind: str, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    netloc = f"127.0.0.1:{free_port()}" if failure == "refused" else server.netloc
    if failure.isdecimal():
        server.status = int(failure)
        server.headers = {"Location": f"http://{server.netloc}/{MARK}-elsewhere"}
    else:
        server.misbehaviour = failure
    timeout_secs = 0.5 if failure == "hang" else 10.0  # the machine may be busy, and an answer is expected
    made = HTTP[kind](netloc, "https" if failure == "tls" else "http", timeout_secs=timeout_secs)
    with capture_logs() as events:
        async with running(made) as receiver:
            with pytest.raises(DeliveryError) as caught:
                await receiver.deliver(notification())
    said = all_said(caught.value, caplog.records) + str(events)
    options = repr(made) + str(made.model_dump())
    if kind == "alertmanager":  # its address is no secret, but nothing for an error either
        options = options.replace(f"{MARK}-path", "")
    assert MARK not in said + options
    assert ENCODED not in said
    assert netloc.rpartition(":")[2] not in str(caught.value)
    assert caught.value.retryable is FAILURES[failure]
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("kind", HTTP)
async def test_a_request_that_is_taken_leaves_no_secret_in_the_logs(
    server: Recording, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(HTTP[kind](server.netloc)) as receiver:
        await receiver.deliver(notification())
    assert len(server.asked) == 1
    assert MARK not in "\n".join(f"{one.name} {one.getMessage()}" for one in caplog.records)


@pytest.mark.parametrize("kind", ["webhook", "alertmanager", "toy"])
@pytest.mark.parametrize(("status", "outcome"), [(200, "taken"), (404, "never"), (500, "retry")])
async def test_an_endless_answer_is_not_read(server: Recording, kind: str, status: int, outcome: str) -> None:
    server.misbehaviour, server.status = "huge", status
    async with running(HTTP[kind](server.netloc)) as receiver:
        assert await outcome_of(receiver) == outcome
    assert server.chunks < CHUNKS_MAX / 2


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize("payload", every_kind().items(), ids=every_kind().keys())
async def test_every_kind_of_payload_is_taken_or_left_out_on_purpose(
    server: Recording, kind: str, payload: tuple[str, Frozen]
) -> None:
    name, values = payload
    left_out = kind == "alertmanager" and name in {"bundle", "digest"}
    async with running(HTTP[kind](server.netloc)) as receiver:
        assert receiver.connected
        await receiver.deliver(notification(values))
    assert len(server.asked) == (0 if left_out else 1)


@pytest.mark.parametrize("payload", every_kind().items(), ids=every_kind().keys())
async def test_every_kind_of_payload_can_be_mailed(payload: tuple[str, Frozen]) -> None:
    async with mailbox() as box, running(email(box.port)) as receiver:
        assert receiver.connected
        await receiver.deliver(notification(payload[1]))
        assert len(box.mails) == 1


@pytest.mark.parametrize("kind", HTTP)
async def test_estonian_arrives_as_it_was_written(server: Recording, kind: str) -> None:
    payload = every_kind()["test"]
    async with running(HTTP[kind](server.netloc, language="et")) as receiver:
        await receiver.deliver(notification(payload))
    body = server.asked[0].body
    text = body.decode() if kind == "toy" else str(server.asked[0].json())
    assert "Häire: õ" in text


@pytest.mark.parametrize("kind", [*HTTP, "email", "mqtt"])
async def test_each_says_how_long_one_delivery_lasts_at_most(kind: str) -> None:
    """A daemon's claim of a message lasts longer than that, so that no other one sends it, too."""
    if kind == "mqtt":
        mqtt = MqttReceiver(MqttOptions(host="127.0.0.1", timeout_secs=70.0), instance="one", version="0")
        assert longest_secs(mqtt) == 70.0
        return
    made = email(1, timeout_secs=70.0) if kind == "email" else HTTP[kind]("127.0.0.1:1", timeout_secs=70.0)
    async with running(made) as receiver:
        assert longest_secs(receiver) == (75.0 if kind == "email" else 70.0)  # a mail waits for its picture


def test_of_one_that_does_not_say_the_longest_that_may_be_configured_counts() -> None:
    assert longest_secs(Inbox()) == 120.0
    (limit,) = [one for one in BaseReceiver.model_fields["timeout_secs"].metadata if isinstance(one, Le)]
    assert limit.le == longest_secs(Inbox())


@pytest.mark.parametrize("kind", HTTP)
async def test_a_delivery_can_be_cancelled(server: Recording, kind: str) -> None:
    server.misbehaviour = "hang"
    async with running(HTTP[kind](server.netloc, timeout_secs=2.0)) as receiver:
        task = asyncio.create_task(receiver.deliver(notification()))
        await until(lambda: server.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("kind", HTTP)
async def test_a_server_that_does_not_answer_stops_nobody_else(server: Recording, kind: str) -> None:
    server.misbehaviour = "hang"
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    async with running(HTTP[kind](server.netloc, timeout_secs=0.5)) as receiver:
        assert await outcome_of(receiver) == "retry"
    ticking.cancel()
    assert ticks >= 15  # of 50; a loop that was blocked makes one or two


# ----------------------------------------------------------------------------------------------------- configuration


def written(folder: Path, table: str) -> Path:
    path = folder / "listener.toml"
    path.write_text(f"[receivers.ops]\n{table}\n", encoding="utf-8")
    return path


def schemas() -> dict[str, dict[str, Any]]:
    return {"sources": {}, "rules": {}, "receivers": {**registry.known_receivers()}}


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('type = "webhook"\nurl_file = "address"\nsecrett = "sekret"', "receivers.ops.secrett"),
        ('type = "webhook"\nurl = "https://shop.example/sekret"', "receivers.ops.url"),
        ('type = "webhook"\nurl_file = "bad"', "receivers.ops.url"),
        ('type = "webhook"\nurl_file = "address"\nsecret_file = "bad"', "receivers.ops.secret"),
        ('type = "webhook"\nurl_file = "address"\ntoken_file = "bad"', "receivers.ops.token"),
        ('type = "apprise"\nurl_file = "bad"', "receivers.ops.url"),
        ('type = "apprise"\nurl_file = "apprise"\nlanguage = "sekret"', "receivers.ops.language"),
        ('type = "alertmanager"\nurl = "sekret"', "receivers.ops.url"),
        ('type = "alertmanager"\nurl = "http://localhost"\nusername = "sekret"', "receivers.ops"),
        ('type = "email"\nhost = "x"\nsender = "sekret"\nto = ["a@b.example"]', "receivers.ops.sender"),
        (
            'type = "email"\nhost = "x"\nsender = "a@b.example\\nBcc: sekret"\nto = ["a@b.example"]',
            "receivers.ops.sender",
        ),
        ('type = "email"\nhost = "x"\nsender = "a@b.example"\nto = ["sekret"]', "receivers.ops.to[0]"),
        ('type = "email"\nhost = "x"\nsender = "a@b.example"\nto = []', "receivers.ops.to"),
    ],
)
def test_a_wrong_option_is_named_and_its_value_is_not(
    tmp_path: Path, table: str, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "address").write_text("https://hooks.example/sekret")
    (tmp_path / "apprise").write_text("json://localhost/sekret")
    (tmp_path / "bad").write_text("sekret \n sekret")
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, table), schemas())
    assert place in {fault.path for fault in caught.value.faults}
    assert all(fault.path.startswith(place.partition("[")[0]) for fault in caught.value.faults)
    assert MARK not in all_said(caught.value, caplog.records)


def test_secrets_come_from_files_and_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("json://user:sekret@localhost/\njsons://sekret.example\n")
    table = 'type = "apprise"\nurl_file = "url"\n[receivers.hook]\ntype = "webhook"\n'
    monkeypatch.setenv("LISTENER_RECEIVERS__HOOK__URL", "https://hooks.example/sekret")
    settings = load(written(tmp_path, table), schemas())
    assert MARK not in repr(registry.known_receivers()["webhook"].model_validate({"name": "h", **_options(settings)}))


def _options(settings: Any) -> dict[str, Any]:
    return {key: value for key, value in settings.receivers["hook"].items() if key != "type"}


# ----------------------------------------------------------------------------------------------------------- plug-ins


def register(monkeypatch: pytest.MonkeyPatch, **found: str) -> None:
    points = [EntryPoint(name=name, value=value, group=registry.GROUP) for name, value in found.items()]
    monkeypatch.setattr(plugins, "entry_points", lambda *, group: points if group == registry.GROUP else [])


def test_the_type_of_another_package_is_found_and_ours_stay_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, toy="tests.receivers.kinds:Toy", email="nowhere:Email")
    known = registry.known_receivers()
    assert known["toy"].__name__ == "Toy"
    assert set(known) == {"webhook", "apprise", "alertmanager", "email", "toy"}
    assert registry.receiver_names() == sorted(known)


@pytest.mark.parametrize("value", ["no_such_module_here:Toy", "tests.receivers.kinds:running"])
def test_a_broken_package_is_a_fault(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    register(monkeypatch, toy=value)
    with pytest.raises(ConfigError, match="update or remove the package") as caught:
        registry.known_receivers()
    assert caught.value.faults[0].path == "receiver type toy"


def test_only_alertmanager_groups_and_repeats_itself() -> None:
    own = {name: (kind.bundled, kind.repeated) for name, kind in registry.known_receivers().items()}
    assert own.pop("alertmanager") == (False, False)
    assert set(own.values()) == {(True, True)}


def test_requests_do_not_show_what_they_carry() -> None:
    for made in (webhook("localhost:1"), toy("localhost:1")):
        assert MARK not in repr(made.request(notification(), instance="main", now=NOW))
