"""One notification of each kind that a receiver may be given, and receivers with secrets to look for."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from listener.alerts.wire.digest import digest_payload
from listener.alerts.wire.findings import AnswerFindings, ArticleFindings, Words
from listener.alerts.wire.oncall import BundleMember, BundlePayload, TestPayload, WatchdogPayload
from listener.alerts.wire.payload import alert_payload, as_json
from listener.domain import SEVERAL, Alert, AlertState, Evidence, Frozen, Notification, Reason, Resolution, Severity
from tests import alerting

NOW = alerting.NOW
LINKS = [Evidence(id=f"m{number}", url=f"https://foorum.example/{number}?õ=1", source="forum") for number in range(5)]
ANSWER = AnswerFindings(
    seq=1,
    topic="listener/v1/alert/x/command",
    links={"ack": "https://listener.example/a/ack.abc", "snooze": "https://listener.example/a/snooze.abc"},
)
ARTICLES = (
    ArticleFindings(
        id="delivery",
        title="Kullerid hilinevad",
        url="https://wiki.example/d",
        language="et",
        similarity=0.9,
        reason="x",
    ),
    ArticleFindings(id="refund", title="Refunds <b>", language="en", similarity=0.8, reason="x"),
)
TEXT = {"en": Words(title="Õunapood: 200 complaints", body="One\nTwo"), "et": Words(title="Häire: õ", body="Üks")}


def alert_json(reason: Reason = Reason.FIRST, alert: Alert | None = None, **changes: Any) -> Frozen:
    """The payload of an alert about a brand whose name is not ASCII, with all that goes with it."""
    if alert is None:
        resolved = reason is Reason.RESOLVED
        alert = alerting.alert(
            state=AlertState.RESOLVED if resolved else AlertState.FIRING,
            seq=2 if resolved else 1,
            ended_at=NOW + timedelta(hours=1) if resolved else None,
            resolution=Resolution.RECOVERED if resolved else None,
        )
    title = changes.pop("title", "Õunapood ™")
    payload = alert_payload(alert, reason, title=title, evidence=LINKS, now=NOW)
    return as_json(payload.model_copy(update={"answer": ANSWER, "articles": ARTICLES, **changes}))


def bundle_json() -> Frozen:
    """Three alerts in one message."""
    members = tuple(
        BundleMember(
            alert_id=f"a{number}",
            seq=1,
            brand=f"brand_{number}",
            title=f"Bränd {number}",
            rule="deterioration",
            severity=Severity.CRITICAL,
            reason=Reason.FIRST,
            state=AlertState.FIRING,
            started_at=NOW,
        )
        for number in range(3)
    )
    return as_json(
        BundlePayload(kind="storm", bundle_id="b1", severity=Severity.CRITICAL, at=NOW, alerts=members, text=TEXT)
    )


def digest_json() -> Frozen:
    """A calm day."""
    return as_json(digest_payload((), looked_at=3, alpha=0.1, alerts=(), titles={}, day=date(2026, 3, 2), now=NOW))


def watchdog_json() -> Frozen:
    """All is well."""
    return as_json(WatchdogPayload(instance="main", at=NOW, evaluated_at=NOW, every_secs=300.0, text=TEXT))


def check_json() -> Frozen:
    """Somebody tries a receiver out."""
    return as_json(TestPayload(instance="main", receiver="ops", at=NOW, text=TEXT))


def notification(payload: Frozen | None = None, **changes: Any) -> Notification:
    """A row of the outbox."""
    payload = alert_json() if payload is None else payload
    values: dict[str, Any] = {
        "alert_id": payload.get("alert_id", "x1"),
        "seq": payload.get("seq", 1),
        "brand": payload.get("brand", SEVERAL),
        "severity": Severity(payload.get("severity", "info")),
        "receiver": "ops",
        "reason": Reason(payload.get("reason", "first")),
        "payload": payload,
        "decided_at": NOW,
        "due_at": NOW,
    }
    return Notification(**{**values, **changes})


def every_kind() -> Mapping[str, Frozen]:
    """One payload of each kind, by name."""
    return {
        "first": alert_json(Reason.FIRST),
        "worsened": alert_json(Reason.WORSENED),
        "repeat": alert_json(Reason.REPEAT, repeat=2),
        "escalated": alert_json(Reason.ESCALATED, repeat=3, escalate=True),
        "resolved": alert_json(Reason.RESOLVED),
        "drill": alert_json(Reason.FIRST, drill=True),
        "bundle": bundle_json(),
        "digest": digest_json(),
        "watchdog": watchdog_json(),
        "test": check_json(),
    }
