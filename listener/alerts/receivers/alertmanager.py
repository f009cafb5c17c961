"""The receiver ``alertmanager``: alerts as Alertmanager has them (API v2), which groups, silences and pages itself.

Alertmanager knows an alert by its labels alone, and forgets one that it is not told again: so the labels are the same
from the first event to the last, and what fires is sent again every minute with an end three minutes ahead. After a
restart of either side it is all there again within a minute, and nobody is paged twice.
"""

import base64
import contextlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Self

from pydantic import Field, SecretStr, model_validator

from listener.alerts.receivers.base import REMEMBERED_MAX, BaseReceiver, Language, Tools
from listener.alerts.receivers.http_receiver import Address, Outgoing, Token, send
from listener.alerts.receivers.text import kind_of, words
from listener.domain import AlertState, Frozen, Notification
from listener.protocols import Receiver

PATH: Final = "/api/v2/alerts"
LASTS: Final = 3  # so many intervals an alert fires without being sent again


class Alertmanager(BaseReceiver):
    """Hand alerts to Prometheus Alertmanager."""

    bundled: ClassVar[bool] = False
    repeated: ClassVar[bool] = False

    url: Address = Field(description="Its address, e.g. http://alertmanager:9093, with its path prefix if it has one.")
    username: str | None = Field(default=None, min_length=1, description="User name of its basic authentication.")
    password: SecretStr | None = Field(default=None, description="... and the password.")
    token: Token | None = Field(default=None, description="Bearer token instead.")
    interval_secs: float = Field(default=60.0, ge=1.0, le=3600.0, description="How often what fires is sent again.")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: give both or neither")
        if self.token is not None and self.password is not None:
            raise ValueError("give either a token, or username and password")
        if self.username is not None and ":" in self.username:
            raise ValueError("username may hold no colon (RFC 7617)")
        return self

    @contextlib.asynccontextmanager
    async def opened(self, tools: Tools) -> AsyncIterator[Receiver]:
        """Nothing is connected before there is something to say."""
        yield _Running(self, tools)

    def outgoing(self, alerts: Sequence[Mapping[str, Any]]) -> Outgoing:
        """One POST of these alerts."""
        headers = {"content-type": "application/json"}
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token.get_secret_value()}"
        elif self.username is not None and self.password is not None:
            credentials = base64.b64encode(f"{self.username}:{self.password.get_secret_value()}".encode()).decode()
            headers["authorization"] = f"Basic {credentials}"
        body = json.dumps(list(alerts), ensure_ascii=False, allow_nan=False).encode()
        return Outgoing(url=self.url.rstrip("/") + PATH, headers=headers, body=body)


class _Running:
    """Alertmanager at work. It remembers how severe alerts were, since another severity is another alert there."""

    def __init__(self, receiver: Alertmanager, tools: Tools) -> None:
        self._receiver = receiver
        self.longest_secs = receiver.timeout_secs
        self._tools = tools
        self._severities: OrderedDict[str, str] = OrderedDict()

    @property
    def connected(self) -> bool:
        """Trying always makes sense: there is no connection to wait for."""
        return True

    @property
    def interval_secs(self) -> float:
        """How often what fires is to be sent again."""
        return self._receiver.interval_secs

    async def deliver(self, notification: Notification) -> None:
        """Post what it tells of; digests and bundles are left out, since it groups itself. Raises DeliveryError."""
        payload = notification.payload
        if kind_of(payload) not in {"alert", "watchdog", "test"}:
            return
        alerts = [self._posted(payload)]
        before = self._severities.get(str(payload.get("alert_id")))
        if before is not None and before != payload["severity"]:
            alerts.append(self._posted({**payload, "severity": before, "state": AlertState.RESOLVED, "ended_at": None}))
        await self._send(alerts)
        if kind_of(payload) == "alert":
            self._remember(payload)

    async def resend(self, firing: Sequence[Frozen], ended: Sequence[Frozen]) -> None:
        """Post them all again. Raises DeliveryError."""
        told = [self._posted(one) for one in (*firing, *ended)]
        if told:
            await self._send(told)
        for one in firing:
            self._remember(one)

    def _posted(self, payload: Frozen) -> dict[str, Any]:
        return posted(
            payload,
            instance=self._tools.instance,
            language=self._receiver.language,
            now=self._tools.clock(),
            lasts=timedelta(seconds=LASTS * self._receiver.interval_secs),
        )

    async def _send(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        await send(self._tools, self._receiver.outgoing(alerts), timeout_secs=self._receiver.timeout_secs)

    def _remember(self, payload: Frozen) -> None:
        self._severities.pop(payload["alert_id"], None)
        if payload["state"] == AlertState.FIRING:
            self._severities[payload["alert_id"]] = payload["severity"]
        while len(self._severities) > REMEMBERED_MAX:
            self._severities.popitem(last=False)


def posted(payload: Frozen, *, instance: str, language: Language, now: datetime, lasts: timedelta) -> dict[str, Any]:
    """One alert for ``POST /api/v2/alerts`` (postableAlert of its OpenAPI).

    The labels say which alert it is, and hold nothing that changes while it fires, but for its severity: neither the
    alert's id, which is another one when the brand falls again, nor a number. What does not end within ``lasts`` must
    be sent again.
    """
    said = words(payload, language)
    annotations = {
        "summary": said.title,
        "description": said.body,
        "evidence": "\n".join(one.url for one in said.evidence),
        "articles": "\n".join(f"{one.label} {one.url}".strip() for one in said.articles),
        "alert_id": payload.get("alert_id", ""),
        "seq": str(payload.get("seq", "")),
        **{f"link_{one.act}": one.url for one in said.answers},
    }
    labels = {
        "alertname": alert_name(payload),
        "instance": instance,
        "severity": payload.get("severity", "none"),
        "brand": payload.get("brand", ""),
        "rule": payload.get("rule", ""),
    }
    alert: dict[str, Any] = {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": payload.get("started_at") or payload["at"],
        "endsAt": _ends_at(payload, now=now, lasts=lasts),
    }
    first = next(iter(said.answers), None)
    return {**alert, "generatorURL": first.url} if first is not None else alert


def alert_name(payload: Frozen) -> str:
    """ListenerDeterioration, ListenerHighRisk, ListenerBlind ...: the rule in camel case; a drill has its own."""
    kind = kind_of(payload)
    what = "drill" if payload.get("drill") else payload["rule"] if kind == "alert" else kind
    return "Listener" + "".join(part.capitalize() for part in what.split("_"))


def _ends_at(payload: Frozen, *, now: datetime, lasts: timedelta) -> str:
    if payload.get("state") == AlertState.RESOLVED:
        return payload.get("ended_at") or _time(now)
    if kind_of(payload) == "watchdog":  # it comes more seldom than what fires is sent again
        lasts = max(lasts, timedelta(seconds=2 * payload["every_secs"]))
    return _time(now + lasts)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
