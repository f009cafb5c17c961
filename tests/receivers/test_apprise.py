"""Apprise: several services, of which one fails; what is told loudly and what is not."""

from collections.abc import AsyncIterator

import pytest

from listener.alerts.receivers.apprise import Apprise
from listener.alerts.receivers.base import Remembered
from listener.domain import Reason, Severity
from listener.errors import DeliveryError
from tests import alerting
from tests.receivers.kinds import running
from tests.receivers.payloads import alert_json, every_kind, notification
from tests.receivers.recording import Recording, recording


@pytest.fixture
async def server() -> AsyncIterator[Recording]:
    async with recording() as opened:
        yield opened


def both(server: Recording) -> Apprise:
    urls = f"json://{server.netloc}/one\njson://{server.netloc}/two"
    return Apprise.model_validate({"name": "ops", "url": urls, "timeout_secs": 5.0})


async def test_who_has_got_it_does_not_get_it_again(server: Recording) -> None:
    server.status_of = lambda asked: 503 if asked.target == "/two" else 200
    async with running(both(server)) as receiver:
        for _ in range(3):
            with pytest.raises(DeliveryError, match=r"^json: it answered HTTP 503 \(Service Unavailable\)$") as caught:
                await receiver.deliver(notification())
            assert caught.value.retryable
        server.status_of = None
        await receiver.deliver(notification())
        assert [asked.target for asked in server.asked].count("/one") == 1
        await receiver.deliver(notification(seq=2))
    assert [asked.target for asked in server.asked].count("/one") == 2
    assert [asked.target for asked in server.asked].count("/two") == 5


async def test_it_is_tried_again_while_it_can_help_anybody(server: Recording) -> None:
    server.status_of = lambda asked: 404 if asked.target == "/one" else 429
    async with running(both(server)) as receiver:
        with pytest.raises(DeliveryError, match=r"HTTP 404.*; json: it answered HTTP 429") as caught:
            await receiver.deliver(notification())
        assert caught.value.retryable
        server.status_of = lambda _asked: 404
        with pytest.raises(DeliveryError) as caught:
            await receiver.deliver(notification(seq=2))
        assert not caught.value.retryable


@pytest.mark.parametrize(
    ("payload", "loudness"),
    [
        (alert_json(), "failure"),
        (alert_json(alert=alerting.alert(severity=Severity.WARNING)), "warning"),
        (alert_json(alert=alerting.alert(severity=Severity.INFO)), "info"),
        (alert_json(Reason.RESOLVED), "success"),
        (every_kind()["bundle"], "failure"),
        (every_kind()["digest"], "info"),
        (every_kind()["test"], "info"),
    ],
)
async def test_services_are_told_how_loud_it_is(server: Recording, payload: dict[str, object], loudness: str) -> None:
    async with running(Apprise.model_validate({"name": "o", "url": f"json://{server.netloc}"})) as receiver:
        await receiver.deliver(notification(payload))
    sent = server.asked[0].json()
    assert sent["type"] == loudness
    assert sent["title"]


async def test_links_come_along(server: Recording) -> None:
    async with running(Apprise.model_validate({"name": "o", "url": f"json://{server.netloc}"})) as receiver:
        await receiver.deliver(notification())
    message = server.asked[0].json()["message"]
    assert "https://foorum.example/0" in message
    assert "https://listener.example/a/ack.abc" in message


@pytest.mark.parametrize("url", ["", "nonsense", "slack://x", "json://localhost nonsense", "file:///etc/passwd"])
def test_an_address_that_the_library_cannot_use_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="Apprise"):
        Apprise.model_validate({"name": "ops", "url": url})


def test_memory_is_bounded() -> None:
    remembered = Remembered(most=2)
    for number in range(3):
        remembered.add(str(number), ["one"])
    assert [bool(remembered.reached(str(number))) for number in range(3)] == [False, True, True]
    remembered.add("1", ["two"])
    assert remembered.reached("1") == {"one", "two"}
    remembered.forget("1")
    remembered.forget("1")
    assert not remembered.reached("1")
