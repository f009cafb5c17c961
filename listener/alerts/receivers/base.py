'''What every receiver type derives from. The class *is* the schema of its table ``[receivers.NAME]``.

A new receiver is one short file. Where one notification is one HTTP request, say only what to ask for; the template in
``listener.alerts.receivers.http_receiver`` does the rest: time limits, which answer means to try again, and that no
secret gets into an error or a log. For example::

    class Pushover(HttpReceiver):
        """Send to a phone."""

        user: SecretStr
        token: SecretStr

        def request(self, notification: Notification, *, instance: str, now: datetime) -> Outgoing:
            """One message."""
            said = words(notification.payload, self.language)
            form = {"user": self.user.get_secret_value(), "token": self.token.get_secret_value(), "message": said.title}
            headers = {"content-type": "application/x-www-form-urlencoded"}
            url = "https://api.pushover.net/1/messages.json"
            return Outgoing(url=url, headers=headers, body=urlencode(form).encode())

Register it under its own name with the entry point group ``listener.receivers``. A secret is a field of type
``pydantic.SecretStr``: the loader fills it from the environment or from ``<field>_file``, and it is never printed.
'''

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Literal, Protocol, runtime_checkable

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from listener.domain import Frozen
from listener.protocols import Receiver

Language = Literal["en", "et"]

TIMEOUT_MOST_SECS: Final = 120.0
REMEMBERED_MAX: Final = 1000  # notifications; more are never on their way at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the application lends to a receiver.

    ``http`` follows no redirects. ``picture`` draws an alert by its id: a PNG, or None when there is none.
    """

    http: httpx2.AsyncClient
    instance: str
    version: str
    clock: Callable[[], datetime]
    picture: Callable[[str], Awaitable[bytes | None]]


class BaseReceiver(BaseModel, ABC):
    """The options that every receiver has.

    ``bundled`` says whether several alerts may be folded into one message for it, ``repeated`` whether repeats and
    escalations go there; both are False where the other side does that itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bundled: ClassVar[bool] = True
    repeated: ClassVar[bool] = True

    name: str = Field(min_length=1)
    language: Language = Field(default="en", description="Language of what people read: en or et.")
    timeout_secs: float = Field(
        default=10.0, gt=0.0, le=TIMEOUT_MOST_SECS, description="How long one delivery may take."
    )

    @abstractmethod
    def opened(self, tools: Tools) -> AbstractAsyncContextManager[Receiver]:
        """The running receiver, until the block ends. A service that is down is no reason to raise here."""


@runtime_checkable
class Timed(Receiver, Protocol):
    """A running receiver that says how long one delivery lasts at most; another one has ``TIMEOUT_MOST_SECS``."""

    @property
    def longest_secs(self) -> float:
        """An attempt that is not over soon after it is cut off, and made again."""
        ...


def longest_secs(receiver: Receiver) -> float:
    """How long one delivery to a running receiver lasts at most."""
    return receiver.longest_secs if isinstance(receiver, Timed) else TIMEOUT_MOST_SECS


@runtime_checkable
class Resender(Receiver, Protocol):
    """A running receiver that forgets what it is not told again."""

    @property
    def interval_secs(self) -> float:
        """How often it is to be told."""
        ...

    async def resend(self, firing: Sequence[Frozen], ended: Sequence[Frozen]) -> None:
        """Tell of the alerts that fire now, and of those that ended in the last five minutes (payloads of alerts).

        Raises DeliveryError; the next round makes up for it.
        """
        ...


class Remembered:
    """Who has got which notification already, within this process: a retry goes to the others only."""

    def __init__(self, *, most: int = REMEMBERED_MAX) -> None:
        self._most = most
        self._reached: OrderedDict[str, set[str]] = OrderedDict()

    def add(self, notification: str, reached: Iterable[str]) -> None:
        """These have got it. The oldest notification is forgotten when there are too many."""
        self._reached.setdefault(notification, set()).update(reached)
        self._reached.move_to_end(notification)
        while len(self._reached) > self._most:
            self._reached.popitem(last=False)

    def reached(self, notification: str) -> frozenset[str]:
        """Who has got it."""
        return frozenset(self._reached.get(notification, ()))

    def forget(self, notification: str) -> None:
        """It has reached everybody."""
        self._reached.pop(notification, None)
