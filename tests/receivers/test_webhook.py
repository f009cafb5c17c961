"""The webhook: its signature and its body as independent libraries read them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from pydantic import ValidationError
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from listener.alerts.receivers.http_receiver import Outgoing
from listener.alerts.receivers.webhook import Webhook
from listener.domain import Frozen, Notification
from tests.receivers.payloads import NOW, every_kind, notification

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of the specification
NEW = "whsec_bGlzdGVuZXJsaXN0ZW5lcmxpc3RlbmVy"  # "listener", three times
TYPES = {
    "first": "listener.alert.first",
    "worsened": "listener.alert.worsened",
    "repeat": "listener.alert.repeat",
    "escalated": "listener.alert.escalated",
    "resolved": "listener.alert.resolved",
    "drill": "listener.alert.first",
    "bundle": "listener.bundle.storm",
    "digest": "listener.digest",
    "watchdog": "listener.watchdog",
    "test": "listener.test",
}


def made(secret: str | None = OLD, *, at: datetime = NOW, row: Notification | None = None) -> Outgoing:
    receiver = Webhook.model_validate({"name": "ops", "url": "https://hooks.example/", "secret": secret})
    return receiver.request(row or notification(), instance="pood 1", now=at)


def test_the_signature_of_the_specification_comes_out() -> None:
    """https://github.com/standard-webhooks/standard-webhooks, tests of its reference libraries."""
    signed = Verifier(OLD).sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1614265330, UTC), '{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_every_secret_of_a_rotation_verifies(secret: str) -> None:
    sent = made(f"{OLD} {NEW}", at=datetime.now(UTC))
    Verifier(secret).verify(sent.body, dict(sent.headers))


def test_a_changed_body_or_id_does_not_verify() -> None:
    sent = made(at=datetime.now(UTC))
    with pytest.raises(WebhookVerificationError):
        Verifier(OLD).verify(sent.body.replace(b"critical", b"warning "), dict(sent.headers))
    with pytest.raises(WebhookVerificationError):
        Verifier(OLD).verify(sent.body, {**sent.headers, "webhook-id": "another"})


def test_a_retry_has_the_same_id_and_its_own_time() -> None:
    first, retry = made(), made(at=NOW + timedelta(minutes=10))
    assert first.headers["webhook-id"] == retry.headers["webhook-id"] == notification().id
    assert int(retry.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 600
    assert first.body == retry.body


@pytest.mark.parametrize("payload", every_kind().items(), ids=every_kind().keys())
def test_the_body_is_a_cloud_event(payload: tuple[str, Frozen]) -> None:
    name, values = payload
    row = notification(values)
    sent = made(row=row)
    event = from_structured_event(HTTPMessage(headers=dict(sent.headers), body=sent.body))
    assert event.get_id() == row.id
    assert event.get_type() == TYPES[name]
    assert event.get_source() == "/listener/pood%201"
    assert event.get_subject() == values.get("brand")
    assert event.get_time() == row.decided_at
    assert event.get_data() == json.loads(json.dumps(values))


def test_without_a_secret_nothing_is_signed() -> None:
    assert "webhook-signature" not in made(None).headers


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", f"{OLD},{NEW}", f"{OLD} nonsense", "whsec_õ"],
)
def test_a_secret_that_others_could_not_use_is_refused(secret: str) -> None:
    with pytest.raises(ValidationError, match="random bytes in base64") as caught:
        made(secret)
    assert OLD.removeprefix("whsec_") not in str(caught.value)
    assert "nonsense" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example", "ftp://hooks.example/", "https://", "javascript:alert(1)", "https://a b/", "http://x:99999/"],
)
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="http:// or https://"):
        Webhook.model_validate({"name": "ops", "url": url})
