"""One message of each kind that goes over MQTT, for tests; and notifications that carry them."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from listener.alerts.wire import payload
from listener.alerts.wire.digest import DigestPayload, DriftFindings, OpenAlert
from listener.alerts.wire.findings import AnswerFindings, ArticleFindings, PastFindings, Words
from listener.alerts.wire.oncall import ActionPayload, BundleMember, BundlePayload, TestPayload, WatchdogPayload
from listener.alerts.wire.payload import AlertPayload, HeartbeatPayload, StatePayload, as_json
from listener.domain import (
    Act,
    AlertState,
    Channel,
    Evidence,
    Notification,
    Outcome,
    Reason,
    Resolution,
    Severity,
    Via,
    stable_id,
)
from tests.alerting import NOW, alert, signal

BUNDLE_ID = stable_id("bundle", "one")
WORDS = {
    "en": Words(title="Acme: 60% negative, usually 20%", body="60% of 60 mentions tell of a negative experience."),
    "et": Words(title="Acme: 60% halbu, tavaliselt 20%", body="60 mainimisest räägib halvast kogemusest 60%."),
}
ANSWER = AnswerFindings(
    seq=1,
    topic=f"listener/v1/brand/acme/alert/{alert().id}/ack",
    links={"ack": "https://listener.example.org/act/eyJ0"},
)
ARTICLE = ArticleFindings(
    id="late-delivery",
    title="A delivery is late",
    url="https://help.example.org/late",
    language="en",
    similarity=0.87,
    reason="Near to three of the mentions.",
)
PAST = PastFindings(
    alert_id=stable_id("alert", "past"),
    brand="acme",
    started_at=NOW - timedelta(days=40),
    ended_at=NOW - timedelta(days=39, hours=20),
    resolution=Resolution.RECOVERED,
    similarity=0.81,
    cause="The courier's app was down",
    helped="A notice on the front page",
    resolved_by="mari",
)


def alert_payload(**changes: Any) -> AlertPayload:
    """A critical alert with what to answer."""
    evidence = [Evidence(id=stable_id("mention", "1"), url="https://example.org/reviews/1", source="reviews")]
    made = payload.alert_payload(alert(), Reason.FIRST, title="Acme", evidence=evidence, now=NOW)
    known = {"text": WORDS, "answer": ANSWER, "articles": (ARTICLE,), "past": (PAST,)}
    return made.model_copy(update={**known, **changes})


def state_payload(**changes: Any) -> StatePayload:
    """The brand stands badly."""
    made = payload.state_payload("acme", title="Acme", alerts=[alert()], signal=signal(), now=NOW)
    return made.model_copy(update={"instance": "one", **changes})


def bundle_payload(**changes: Any) -> BundlePayload:
    """Two alerts in one message."""
    members = tuple(
        BundleMember(
            alert_id=stable_id("alert", brand),
            seq=1,
            brand=brand,
            title=brand.title(),
            rule="deterioration",
            severity=Severity.CRITICAL,
            reason=Reason.FIRST,
            state=AlertState.FIRING,
            started_at=NOW - timedelta(minutes=3),
            observed=0.6,
            expected=0.2,
        )
        for brand in ("acme", "bolt")
    )
    answer = AnswerFindings(seq=1, topic=f"listener/v1/one/alert/{BUNDLE_ID}/ack")
    text = {
        "en": Words(title="2 alerts at once", body="Acme and Bolt: critical."),
        "et": Words(title="Korraga 2 häiret", body="Acme ja Bolt: kriitiline."),
    }
    made = BundlePayload(
        kind="storm",
        bundle_id=BUNDLE_ID,
        severity=Severity.CRITICAL,
        at=NOW,
        alerts=members,
        answer=answer,
        text=text,
    )
    return made.model_copy(update=changes)


def digest_payload() -> DigestPayload:
    """One brand falls slowly, one alert is open."""
    drift = DriftFindings(
        rank=1,
        brand="acme",
        title="Acme",
        before=0.11,
        recent=0.15,
        change=0.04,
        low=0.02,
        high=0.06,
        per_week=0.006,
        mentions=1900,
        evidence=6.2,
        explanation="The share rose from 11% to 15%.",
    )
    firing = OpenAlert(
        alert_id=alert().id,
        brand="acme",
        severity="critical",
        since=NOW - timedelta(minutes=3),
        channels=(Channel.EVIDENCE,),
    )
    words = {"en": Words(title="Digest: 1 slowly falling, 1 open alerts", body="Acme: 15%, 11% before.")}
    return DigestPayload(
        day="2026-03-02", at=NOW, looked_at=12, alpha=0.05, drifting=(drift,), open_alerts=(firing,), text=words
    )


def watchdog_payload() -> WatchdogPayload:
    """All is well."""
    words = {"en": Words(title="All is well", body="The rules looked a minute ago.")}
    return WatchdogPayload(
        instance="one", at=NOW, evaluated_at=NOW - timedelta(minutes=1), every_secs=300.0, text=words
    )


def test_payload() -> TestPayload:
    """Somebody tries the receiver out."""
    words = {"en": Words(title="A test", body="If you read this, the receiver mqtt works.")}
    return TestPayload(instance="one", receiver="mqtt", at=NOW, text=words)


test_payload.__test__ = False  # type: ignore[attr-defined]  # no test for pytest


def action_payload(**changes: Any) -> ActionPayload:
    """Somebody is on it."""
    made = ActionPayload(
        target=alert().id,
        action=Act.ACK,
        seq=1,
        by="mari",
        via=Via.MQTT,
        at=NOW,
        outcome=Outcome.DONE,
        explanation="mari has seen it; repeats and escalation stop",
    )
    return made.model_copy(update=changes)


def every_payload() -> dict[str, BaseModel]:
    """One of each kind that we publish, by the name of its schema."""
    return {
        "alert": alert_payload(),
        "bundle": bundle_payload(),
        "state": state_payload(),
        "status": payload.birth_payload("one", version="0.1", now=NOW),
        "heartbeat": HeartbeatPayload(instance="one", at=NOW),
        "digest": digest_payload(),
        "watchdog": watchdog_payload(),
        "test": test_payload(),
        "action": action_payload(),
    }


def notification(content: BaseModel, **changes: Any) -> Notification:
    """What the outbox hands over."""
    values: dict[str, Any] = {
        "alert_id": alert().id,
        "seq": 1,
        "brand": "acme",
        "severity": Severity.CRITICAL,
        "receiver": "mqtt",
        "reason": Reason.FIRST,
        "payload": as_json(content),
        "decided_at": NOW,
        "due_at": NOW,
    }
    return Notification(**{**values, **changes})
