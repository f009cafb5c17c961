"""What goes over the wire for a notification: its topic, its bytes, its properties. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from types import MappingProxyType
from typing import Literal

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from listener.alerts.mqtt.retained import encode
from listener.alerts.mqtt.topics import Topics
from listener.alerts.oncall.expiry import expires_at
from listener.alerts.wire.oncall import ActionPayload
from listener.alerts.wire.payload import SCHEMA, HeartbeatPayload, as_json
from listener.domain import BundleKind, Notification
from listener.errors import DeliveryError

HEARTBEAT_EXPIRY_SECS = 120
ACTION_EXPIRY_SECS = 3600  # what somebody did is in the database; this is for those who look
# These ask for somebody now; the others tell what was not told in time.
LOUD_BUNDLES: frozenset[BundleKind] = frozenset({"storm", "market"})

Kind = Literal["alert", "bundle", "digest", "watchdog", "test", "state", "status", "heartbeat", "action", "discovery"]
NOTIFIED: Mapping[str, Kind] = MappingProxyType(
    {kind: kind for kind in ("alert", "bundle", "digest", "watchdog", "test")}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One publish, always with QoS 1. ``kind`` is what a refusal of it is counted under."""

    kind: Kind
    topic: str
    body: bytes
    retain: bool = False
    properties: Properties | None = None


def message_of(notification: Notification, *, topics: Topics, now: datetime) -> Message:
    """What to publish. Raises DeliveryError, not retryable, when it is too old, or of no kind that has a topic."""
    left_secs = int((expires_at(notification.severity, notification.decided_at) - now).total_seconds())
    if left_secs < 1:
        age_hours = (now - notification.decided_at).total_seconds() / 3600
        raise DeliveryError(f"decided {age_hours:.0f} h ago, too old to page anybody", retryable=False)
    kind = NOTIFIED.get(str(notification.payload.get("type")))
    if kind is None:
        raise DeliveryError(f"a payload of type {notification.payload.get('type')!r} has no topic", retryable=False)
    if kind == "watchdog":  # late, it would say that all is well when it is not
        every_secs = notification.payload.get("every_secs")
        left_secs = min(left_secs, ceil(2 * every_secs)) if isinstance(every_secs, int | float) else left_secs
    properties = properties_of(
        left_secs,
        alert_id=notification.alert_id,
        seq=str(notification.seq),
        kind=notification.reason.value,
        repeat=str(notification.repeat),
        schema=SCHEMA,
    )
    return Message(
        kind=kind, topic=_topic(kind, notification, topics), body=encode(notification.payload), properties=properties
    )


def action_of(action: ActionPayload, *, topics: Topics, now: datetime) -> Message | None:
    """What to publish about an action; None when it is too old to be news."""
    left_secs = ACTION_EXPIRY_SECS - (now - action.at) // timedelta(seconds=1)
    if left_secs < 1:
        return None
    properties = properties_of(left_secs, schema=SCHEMA)
    return Message(kind="action", topic=topics.actions, body=encode(as_json(action)), properties=properties)


def heartbeat_of(instance: str, *, topics: Topics, now: datetime) -> Message:
    """A sign of life."""
    body = encode(as_json(HeartbeatPayload(instance=instance, at=now)))
    return Message(kind="heartbeat", topic=topics.heartbeat, body=body, properties=properties_of(HEARTBEAT_EXPIRY_SECS))


def _topic(kind: Kind, notification: Notification, topics: Topics) -> str:
    match kind:
        case "alert":
            return topics.alert(notification.brand, notification.severity)
        case "bundle" if notification.payload.get("kind") in LOUD_BUNDLES:
            return topics.bundle(notification.severity)
        case "watchdog":
            return topics.watchdog
        case "test":
            return topics.test
        case _:
            return topics.digest


def properties_of(expiry_secs: int, **user: str) -> Properties:
    """The properties of one publish (MQTT 5.0, 3.3.2.3)."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho types all but this
    properties.PayloadFormatIndicator = 1  # UTF-8
    properties.ContentType = "application/json"
    properties.MessageExpiryInterval = expiry_secs
    if user:
        properties.UserProperty = list(user.items())
    return properties
