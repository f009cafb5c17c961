"""Every receiver type over one local server, with secrets that must never show, and one of another package."""

import logging
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx2
from pydantic import SecretStr

from listener.alerts.receivers.alertmanager import Alertmanager
from listener.alerts.receivers.apprise import Apprise
from listener.alerts.receivers.base import BaseReceiver, Tools
from listener.alerts.receivers.email import Email
from listener.alerts.receivers.http_receiver import HttpReceiver, Outgoing, SecretAddress
from listener.alerts.receivers.text import words
from listener.alerts.receivers.webhook import Webhook
from listener.domain import Notification
from listener.protocols import Receiver
from tests.receivers.payloads import NOW

MARK = "sekret"  # in every secret
SIGNING = "whsec_" + "c2VrcmV0" * 4  # "sekret" four times, in base64
ENCODED = "c2VrcmV0"


class Toy(HttpReceiver):
    """What another package might bring: its own form, and leaving out what it does not want."""

    url: SecretAddress
    key: SecretStr

    def request(self, notification: Notification, *, instance: str, now: datetime) -> Outgoing:
        """One line."""
        said = words(notification.payload, self.language)
        headers = {"x-key": self.key.get_secret_value(), "x-from": instance}
        return Outgoing(method="PUT", url=self.url.get_secret_value(), headers=headers, body=said.title.encode())


def webhook(netloc: str, scheme: str = "http", **changes: Any) -> Webhook:
    address = f"{scheme}://{MARK}-user:{MARK}-password@{netloc}/{MARK}-path?key={MARK}-query"
    values = {"name": "ops", "url": address, "secret": SIGNING, "token": f"{MARK}-token"}
    return Webhook.model_validate({**values, **changes})


def alertmanager(netloc: str, scheme: str = "http", **changes: Any) -> Alertmanager:
    values = {"name": "ops", "url": f"{scheme}://{netloc}/{MARK}-path", "token": f"{MARK}-token"}
    return Alertmanager.model_validate({**values, **changes})


def apprise(netloc: str, scheme: str = "http", **changes: Any) -> Apprise:
    schema = {"http": "json", "https": "jsons"}[scheme]
    values = {"name": "ops", "url": f"{schema}://{MARK}-user:{MARK}-password@{netloc}/{MARK}-path?-{MARK}=1"}
    return Apprise.model_validate({**values, **changes})


def toy(netloc: str, scheme: str = "http", **changes: Any) -> Toy:
    values = {"name": "ops", "url": f"{scheme}://{netloc}/{MARK}-path?key={MARK}-query", "key": f"{MARK}-key"}
    return Toy.model_validate({**values, **changes})


def email(port: int, **changes: Any) -> Email:
    values = {"name": "ops", "host": "127.0.0.1", "port": port, "encryption": "none"}
    people = {"sender": "listener@shop.example", "to": ["one@shop.example", "two@shop.example"]}
    return Email.model_validate({**values, **people, **changes})


HTTP: dict[str, Callable[..., BaseReceiver]] = {
    "webhook": webhook,
    "alertmanager": alertmanager,
    "apprise": apprise,
    "toy": toy,
}


@asynccontextmanager
async def running(receiver: BaseReceiver, **changes: Any) -> AsyncIterator[Receiver]:
    """The receiver at work, as the application opens it."""

    async def no_picture(_alert: str) -> bytes | None:
        return None

    async with httpx2.AsyncClient(follow_redirects=False) as http:
        values: dict[str, Any] = {
            "http": http,
            "instance": "main",
            "version": "1.2.3",
            "clock": lambda: NOW,
            "picture": no_picture,
        }
        async with receiver.opened(Tools(**{**values, **changes})) as opened:
            yield opened


def all_said(error: BaseException, records: list[logging.LogRecord]) -> str:
    """Everything that an error can show: itself, its chain also where it is hidden, and the logs."""
    chain: list[BaseException] = []
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is not None and one not in chain:
            chain.append(one)
            rest += [one.__cause__, one.__context__]
    said = [*traceback.format_exception(error), *(f"{one} {one!r} {one.args} {vars(one)}" for one in chain)]
    return "\n".join([*said, *(f"{one.name} {one.getMessage()} {one.exc_text}" for one in records)])
