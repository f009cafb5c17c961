"""The receiver ``apprise``: people's own services (Slack, Telegram, Matrix, SMS ... over a hundred) by Apprise URLs.

https://github.com/caronc/apprise does the sending. It answers True or False and writes why into its log, addresses and
tokens included. Here its log goes nowhere: of a failure only the service's scheme and the HTTP status are told.
"""

import asyncio
import contextlib
import logging
import re
import warnings
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, Field, SecretStr

from listener.alerts.receivers.base import BaseReceiver, Remembered, Tools
from listener.alerts.receivers.http_receiver import refusal
from listener.alerts.receivers.text import plain, words
from listener.domain import AlertState, Frozen, Notification, Severity
from listener.errors import DeliveryError
from listener.protocols import Receiver

if TYPE_CHECKING:
    from apprise import AppriseAsset, NotifyBase, NotifyType

LIBRARIES: Final = ("apprise", "requests", "urllib3")  # what it says and what it sends with: all log addresses
STATUS: Final = re.compile(r"\berror=(\d{3})\b")  # as its services write the HTTP status


class _OnlyStatus(logging.Filter):
    """Lets the HTTP status out of the library's log, which the library then gives us, and nothing else."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record that tells a status, and of it only that."""
        found = STATUS.search(record.getMessage())
        if found is None:
            return False
        record.msg, record.args, record.exc_info, record.exc_text = found.group(), (), None, None
        return True


ONLY_STATUS: Final = _OnlyStatus()


def _urls(secret: SecretStr) -> SecretStr:
    """Refuse what Apprise cannot read, without saying what it was."""
    urls = secret.get_secret_value().split()
    if not urls:
        raise ValueError("names no Apprise URL; https://appriseit.com/services has them all")
    for number, url in enumerate(urls, start=1):
        if _service(url, _asset(timeout_secs=1.0)) is None:
            raise ValueError(
                f"its URL number {number} is none that Apprise can use; https://appriseit.com/services has their forms"
            )
    return secret


class Apprise(BaseReceiver):
    """Write to people over the services that Apprise knows."""

    url: Annotated[SecretStr, AfterValidator(_urls)] = Field(
        description="One Apprise URL, or several separated by spaces or lines, by environment or url_file."
    )

    @contextlib.asynccontextmanager
    async def opened(self, tools: Tools) -> AsyncIterator[Receiver]:
        """Nothing is connected before there is something to say."""
        asset = _asset(timeout_secs=self.timeout_secs)
        found = [(url, _service(url, asset)) for url in self.url.get_secret_value().split()]
        services = [
            _Service(number=str(number), schema=url.partition("://")[0], plugin=plugin)
            for number, (url, plugin) in enumerate(found)
            if plugin is not None
        ]
        yield _Running(self, services, tools)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """One of the services behind a receiver."""

    number: str
    schema: str
    plugin: "NotifyBase"


class _Running:
    """The services at work. Who has got a notification does not get it again when another one failed."""

    def __init__(self, receiver: Apprise, services: Sequence[_Service], tools: Tools) -> None:
        self._receiver = receiver
        self.longest_secs = receiver.timeout_secs
        self._services = services
        self._tools = tools
        self._remembered = Remembered()

    @property
    def connected(self) -> bool:
        """Trying always makes sense: there is no connection to wait for."""
        return True

    async def deliver(self, notification: Notification) -> None:
        """Write to each service that has not got it. Raises DeliveryError with the schemes of those that failed."""
        said = words(notification.payload, self._receiver.language)
        reached = self._remembered.reached(notification.id)
        left = [service for service in self._services if service.number not in reached]
        message = {"title": said.title, "body": plain(said) or said.title}
        answers = await asyncio.gather(*(self._notify(one, message, notification.payload) for one in left))
        failed = [(one, problem) for one, problem in zip(left, answers, strict=True) if problem is not None]
        if not failed:
            self._remembered.forget(notification.id)
            return
        self._remembered.add(
            notification.id, [one.number for one, problem in zip(left, answers, strict=True) if not problem]
        )
        raise DeliveryError(
            "; ".join(sorted({f"{one.schema}: {problem}" for one, problem in failed})),
            retryable=any(problem.retryable for _, problem in failed),
        )

    async def _notify(self, service: _Service, message: dict[str, str], payload: Frozen) -> DeliveryError | None:
        """Why this service did not take it; None when it did. The library sends from a thread of its own."""
        import apprise  # noqa: PLC0415 -- 0.2 s: only who sends

        sender = apprise.Apprise(asset=service.plugin.asset)
        sender.add(service.plugin)
        result = await sender.async_notify(
            **message, notify_type=_notify_type(payload), body_format=apprise.NotifyFormat.TEXT
        )
        return None if result else self._problem(result)

    def _problem(self, result: Any) -> DeliveryError:
        """What the library's log tells of a failure: the last HTTP status, if there is one."""
        text = " ".join(entry.message for entry in result.logs())
        statuses = STATUS.findall(text)
        told = refusal(int(statuses[-1]), now=self._tools.clock()) if statuses else None
        late = f"no answer within {self._receiver.timeout_secs:g} s"
        other = "it was not taken; check that it can be reached, and its URL"
        return told or DeliveryError(late if result.timeout_count else other, retryable=True)


def _notify_type(payload: Frozen) -> "NotifyType":
    from apprise import NotifyType  # noqa: PLC0415 -- 0.2 s: only who sends

    if payload.get("state") == AlertState.RESOLVED:
        return NotifyType.SUCCESS
    loud = {Severity.CRITICAL: NotifyType.FAILURE, Severity.WARNING: NotifyType.WARNING}
    return loud.get(payload.get("severity", Severity.INFO), NotifyType.INFO)


def _asset(*, timeout_secs: float) -> "AppriseAsset":
    """How the library is to behave: nothing on disk, no redirects, no templates, and none of its logs."""
    from apprise import AppriseAsset, PersistentStoreMode  # noqa: PLC0415 -- 0.2 s: only who sends

    logging.getLogger("apprise").addFilter(ONLY_STATUS)
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        if name != "apprise":
            logger.setLevel(logging.CRITICAL)
    return AppriseAsset(
        app_id="listener",
        app_desc="listener",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        storage_mode=PersistentStoreMode.MEMORY,
        http_redirects=False,
        allow_templates=False,
        service_timeout=timeout_secs,
    )


def _service(url: str, asset: "AppriseAsset") -> "NotifyBase | None":
    from apprise import Apprise as Library  # noqa: PLC0415 -- 0.2 s: only who sends
    from apprise import NotifyBase  # noqa: PLC0415

    with warnings.catch_warnings():
        # Its services are loaded with the first address, and with them imghdr, of which Python 3.11 and 3.12 warn.
        warnings.simplefilter("ignore", DeprecationWarning)
        made = Library.instantiate(url, asset=asset, suppress_exceptions=True)
    return made if isinstance(made, NotifyBase) else None
