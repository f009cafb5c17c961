"""The template for receivers that send one HTTP request per notification: what any answer means, in one table.

No error and no log of it holds an address, a header, a token, a body, or anything that the server said: the path of a
webhook is often its secret, and servers echo what they were sent.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.client import responses
from typing import Annotated, Final

import httpx2
from pydantic import AfterValidator, SecretStr

from listener.alerts.receivers.base import BaseReceiver, Tools
from listener.domain import Notification
from listener.errors import DeliveryError
from listener.fetch.backoff import retry_after_secs
from listener.protocols import Receiver

ANSWER_BYTES_MAX: Final = 64 * 1024  # is read, so that the connection can be used again; nobody looks at it
URL_CHARS_MAX: Final = 4096
PORT_MAX: Final = 65535
LIBRARIES: Final = ("httpx2", "httpcore2")  # they log addresses and headers

# Of 4xx (RFC 9110, 6585, 8470): the server could not take it now. All others say that it never will.
TRANSIENT: Final = frozenset({408, 425, 429})
FIXES: Final[Mapping[int, str]] = {
    401: "check the secret",
    402: "check the account there",
    403: "check the secret and what it permits",
    404: "check the address",
    405: "check the address",
    407: "check the proxy",
    410: "it is gone for good: remove the receiver or set its new address",
    413: "allow larger messages there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request. Nothing of it is printed but the method."""

    method: str = "POST"
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class HttpReceiver(BaseReceiver):
    """A receiver behind HTTP: a plug-in gives ``request``."""

    @abstractmethod
    def request(self, notification: Notification, *, instance: str, now: datetime) -> Outgoing | None:
        """What to send; None when this receiver leaves out such a notification on purpose."""

    @contextlib.asynccontextmanager
    async def opened(self, tools: Tools) -> AsyncIterator[Receiver]:
        """Nothing is connected before there is something to say."""
        yield _Running(self, tools)


class _Running:
    """An HTTP receiver at work."""

    def __init__(self, receiver: HttpReceiver, tools: Tools) -> None:
        self._receiver = receiver
        self.longest_secs = receiver.timeout_secs
        self._tools = tools

    @property
    def connected(self) -> bool:
        """Trying always makes sense: there is no connection to wait for."""
        return True

    async def deliver(self, notification: Notification) -> None:
        """One request. Raises DeliveryError."""
        outgoing = self._receiver.request(notification, instance=self._tools.instance, now=self._tools.clock())
        if outgoing is not None:
            await send(self._tools, outgoing, timeout_secs=self._receiver.timeout_secs)


async def send(tools: Tools, outgoing: Outgoing, *, timeout_secs: float) -> None:
    """Send it within ``timeout_secs``. Raises DeliveryError unless the server answers that it has taken it (2xx).

    The status decides: what comes after it cannot undo that the server has taken it.
    """
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    headers = {"user-agent": f"listener/{tools.version}", **outgoing.headers}
    answered: tuple[int, str | None] | None = None
    failed: DeliveryError | None = None
    try:
        async with (
            asyncio.timeout(timeout_secs),
            tools.http.stream(
                outgoing.method,
                outgoing.url,
                headers=headers,
                content=outgoing.body,
                follow_redirects=False,
                timeout=timeout_secs,
            ) as answer,
        ):
            answered = answer.status_code, answer.headers.get("retry-after")
            await _drain(answer)
    except (TimeoutError, httpx2.TimeoutException):
        failed = DeliveryError(f"no answer within {timeout_secs:g} s", retryable=True)
    except httpx2.HTTPError as error:
        failed = DeliveryError(_problem(error), retryable=True)
    except httpx2.InvalidURL:
        failed = DeliveryError("its address is none that can be used; correct it", retryable=False)
    if answered is not None:
        failed = refusal(answered[0], retry_after=answered[1], now=tools.clock())
    if failed is not None:
        raise failed  # outside the handlers: the library's error, which holds the address, is no part of this one


def refusal(status: int, *, retry_after: str | None = None, now: datetime) -> DeliveryError | None:
    """What an HTTP status means for a notification; None when it was taken (RFC 9110, 15).

    2xx is taken; 408, 425, 429, 5xx and what is no final answer may be tried again; all else will never work.
    """
    told = f"HTTP {status}{_phrase(status)}"
    match status // 100:
        case 2:
            return None
        case 3:
            fix = "redirects are not followed, since they could lead anywhere; set the final address"
            return DeliveryError(f"it answered {told}; {fix}", retryable=False)
        case 4 if status not in TRANSIENT:
            fix = FIXES.get(status, "check the options of the receiver")
            return DeliveryError(f"it answered {told}; {fix}", retryable=False)
        case _:
            wait_secs = retry_after_secs(retry_after, now=now)
            return DeliveryError(f"it answered {told}", retryable=True, retry_after_secs=wait_secs)


def http_address(value: str) -> str:
    """Refuse what is no http(s) address, without saying what it was."""
    try:
        url = httpx2.URL(value)
        usable = url.scheme in {"http", "https"} and bool(url.host) and (url.port is None or 0 < url.port <= PORT_MAX)
    except (httpx2.InvalidURL, ValueError):
        usable = False
    if not usable or len(value) > URL_CHARS_MAX or not value.isprintable() or " " in value:
        raise ValueError("is no address that begins with http:// or https:// and names a host")
    return value


def header_value(secret: SecretStr) -> SecretStr:
    """Refuse a secret that cannot stand in a header (RFC 9110, 5.5), without saying what it was."""
    value = secret.get_secret_value()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("holds spaces, line ends or letters that cannot stand in an HTTP header")
    return secret


def _secret_address(secret: SecretStr) -> SecretStr:
    http_address(secret.get_secret_value())
    return secret


Address = Annotated[str, AfterValidator(http_address)]
SecretAddress = Annotated[SecretStr, AfterValidator(_secret_address)]
Token = Annotated[SecretStr, AfterValidator(header_value)]


async def _drain(answer: httpx2.Response) -> None:
    """Read what the server says, as it came over the wire: nothing is unpacked, and not much is taken."""
    left = ANSWER_BYTES_MAX
    async for chunk in answer.aiter_raw():
        left -= len(chunk)
        if left < 0:
            return


def _phrase(status: int) -> str:
    """The standard's words, never the server's."""
    return f" ({responses[status]})" if responses.get(status) else ""


def _problem(error: httpx2.HTTPError) -> str:
    """Why there was no answer, without what the library says: that may hold the address or a header."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "unknown").replace("_", " ").lower()
            return f"TLS failed ({reason}); check the certificate there and the authorities here"
        if isinstance(cause, socket.gaierror):
            return "its name cannot be looked up; check the address and DNS"
        if isinstance(cause, OSError) and cause.errno:
            return f"it cannot be reached ({os.strerror(cause.errno)})"
    if isinstance(error, httpx2.ProtocolError | httpx2.DecodingError):
        return "it hung up, or does not speak HTTP; check the address and its port"
    return "the connection was lost" if not isinstance(error, httpx2.ConnectError) else "it cannot be reached"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it came from."""
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        rest += [one.__context__, one.__cause__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]
