"""The receiver ``webhook``: every notification as a CloudEvent, signed, by POST to one address.

The body is a CloudEvents 1.0 event in JSON (structured mode); the signature is that of Standard Webhooks 1.0
(https://github.com/standard-webhooks/standard-webhooks), so that libraries of many languages can check it. A retry
carries the same ``webhook-id``, and its own time.
"""

import base64
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr
from standardwebhooks import Webhook as Signer

from listener.alerts.receivers.http_receiver import HttpReceiver, Outgoing, SecretAddress, Token
from listener.alerts.receivers.text import kind_of
from listener.domain import SEVERAL, Notification

PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 65)  # Standard Webhooks: 192 to 512 bits
CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"


def _signing_secrets(secret: SecretStr) -> SecretStr:
    """Refuse what is no secret of Standard Webhooks, without saying what it was."""
    keys = secret.get_secret_value().split()
    if not keys or not all(_is_key(key) for key in keys):
        raise ValueError(
            f"is not {PREFIX} and 24 to 64 random bytes in base64 "
            f"(make one: echo {PREFIX}$(openssl rand -base64 32)); separate several by spaces"
        )
    return secret


def _is_key(text: str) -> bool:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        return False
    return text.startswith(PREFIX) and len(key) in KEY_BYTES


class Webhook(HttpReceiver):
    """POST every notification as a signed CloudEvent."""

    url: SecretAddress = Field(description="Where to POST; often a secret, so by environment or url_file.")
    secret: Annotated[SecretStr, AfterValidator(_signing_secrets)] | None = Field(
        default=None, description="Signs the body: whsec_ and base64; several, separated by spaces, to change it."
    )
    token: Token | None = Field(default=None, description="Bearer token, where the other side asks for one.")

    def request(self, notification: Notification, *, instance: str, now: datetime) -> Outgoing:
        """The event, its signatures, and the token."""
        body = json.dumps(event(notification, instance), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        headers = {
            "content-type": CONTENT_TYPE,
            "webhook-id": notification.id,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self.secret is not None:
            headers["webhook-signature"] = " ".join(
                Signer(secret).sign(notification.id, now.astimezone(UTC), body)
                for secret in self.secret.get_secret_value().split()
            )
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token.get_secret_value()}"
        return Outgoing(url=self.url.get_secret_value(), headers=headers, body=body.encode())


def event(notification: Notification, instance: str) -> dict[str, Any]:
    """A notification as a CloudEvent (1.0.2, JSON format): ``type`` is listener.alert.first, listener.digest, ..."""
    payload = notification.payload
    kind = kind_of(payload)
    detail = {"alert": payload.get("reason"), "bundle": payload.get("kind")}.get(kind)
    about = {"subject": notification.brand} if notification.brand not in {"", SEVERAL} else {}
    return {
        "specversion": "1.0",
        "id": notification.id,
        "source": f"/listener/{quote(instance, safe='')}",
        "type": ".".join(["listener", kind, *([str(detail)] if detail else [])]),
        **about,
        "time": notification.decided_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": dict(payload),
    }
