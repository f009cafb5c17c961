"""The receiver ``email``: one mail per notification by SMTP, with the picture of the alert inside.

A connection per mail: alerts are rare, and a server that restarts then does no harm. What the server says is not told
on: it may repeat addresses, and what it was sent.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import aiosmtplib
import structlog
from pydantic import AfterValidator, Field, SecretStr, model_validator

from listener.alerts.receivers.base import BaseReceiver, Remembered, Tools
from listener.alerts.receivers.letter import letter
from listener.alerts.receivers.text import kind_of
from listener.domain import Notification
from listener.errors import DeliveryError, ListenerError
from listener.protocols import Receiver

log = structlog.get_logger()

PORTS: Final[Mapping[str, int]] = {"starttls": 587, "tls": 465, "none": 25}
LATER: Final = 4  # the first digit of a reply (RFC 5321, 4.2.1): 4 may be tried again, 5 never works
NEVER: Final = 5
PICTURE_SECS: Final = 5.0  # the mail does not wait longer for its picture
FIXES: Final[Mapping[int, str]] = {
    530: "it wants a login: set username and password",
    534: "it wants another kind of login",
    535: "check username and password",
    550: "check the recipients, and that the sender may send there",
    552: "the mail is too large, or a mailbox is full",
    553: "check sender and recipients",
}


def _address(value: str) -> str:
    """Refuse what is no plain mail address; nothing in it can begin another header or command."""
    try:
        address = MailAddress(addr_spec=value)
    except (ValueError, IndexError) as error:
        raise ValueError("is no mail address such as name@example.org") from error
    if not (value.isascii() and value.isprintable() and address.username and address.domain) or set(value) & set(
        " <>,;"
    ):
        raise ValueError("is no plain mail address such as name@example.org")
    return value


PlainAddress = Annotated[str, AfterValidator(_address)]


class Email(BaseReceiver):
    """Send a mail."""

    host: str = Field(min_length=1, max_length=253, description="The SMTP server.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Default: 587, with tls 465, with none 25.")
    encryption: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls refuses a server that cannot; none is for one on this machine."
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities to trust; default: the system's."
    )
    username: str | None = Field(default=None, min_length=1, description="User name there.")
    password: SecretStr | None = Field(default=None, description="... and the password.")
    sender: PlainAddress = Field(description="From whom the mails are.")
    to: Annotated[tuple[PlainAddress, ...], Field(min_length=1, max_length=100, description="To whom they go.")]

    @model_validator(mode="after")
    def _login_is_whole_and_safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: give both or neither")
        if self.password is not None and self.encryption == "none":
            raise ValueError("a password would go over the network in clear: use starttls or tls")
        return self

    @contextlib.asynccontextmanager
    async def opened(self, tools: Tools) -> AsyncIterator[Receiver]:
        """Nothing is connected before there is something to say."""
        yield _Running(self, tools)


class _Running:
    """The mail server at work. A recipient who was accepted does not get the mail again when another one was not."""

    def __init__(self, receiver: Email, tools: Tools) -> None:
        self._receiver = receiver
        self.longest_secs = PICTURE_SECS + receiver.timeout_secs
        self._tools = tools
        self._remembered = Remembered()

    @property
    def connected(self) -> bool:
        """Trying always makes sense: there is no connection to wait for."""
        return True

    async def deliver(self, notification: Notification) -> None:
        """One mail. Raises DeliveryError."""
        mail = letter(
            notification,
            sender=self._receiver.sender,
            to=self._receiver.to,
            language=self._receiver.language,
            instance=self._tools.instance,
            now=self._tools.clock(),
            picture=await self._picture(notification),
        )
        reached = self._remembered.reached(notification.id)
        left = [one for one in self._receiver.to if one not in reached]
        refused = await self._send(mail, left)
        if refused:
            codes = sorted(set(refused.values()))
            log.warning("email.recipients_refused", receiver=self._receiver.name, refused=len(refused), codes=codes)
        later = [code for code in refused.values() if code // 100 == LATER]
        if later:
            self._remembered.add(notification.id, [one for one in left if refused.get(one) not in later])
            raise DeliveryError(f"{len(later)} of {len(left)} recipients: {_told(later[0])}", retryable=True)
        self._remembered.forget(notification.id)

    async def _picture(self, notification: Notification) -> bytes | None:
        """The picture of an alert; the mail goes without where there is none in time."""
        if kind_of(notification.payload) != "alert":
            return None
        try:
            async with asyncio.timeout(min(PICTURE_SECS, self._receiver.timeout_secs)):
                return await self._tools.picture(notification.alert_id)
        except (TimeoutError, ListenerError) as error:  # a page without its picture is better than no page
            log.warning("email.picture_missing", alert=notification.alert_id, problem=str(error) or "it took too long")
            return None

    async def _send(self, mail: EmailMessage, to: Sequence[str]) -> dict[str, int]:
        """Who was refused, with the server's code. Raises DeliveryError when it takes the mail for nobody."""
        options = self._receiver
        failed: DeliveryError
        try:
            context = await asyncio.to_thread(ssl.create_default_context, cafile=options.ca_file)
            async with asyncio.timeout(options.timeout_secs):
                refused, _ = await aiosmtplib.send(
                    mail,
                    sender=options.sender,
                    recipients=list(to),
                    hostname=options.host,
                    port=options.port or PORTS[options.encryption],
                    username=options.username,
                    password=None if options.password is None else options.password.get_secret_value(),
                    local_hostname=_own_name(),
                    use_tls=options.encryption == "tls",
                    start_tls=options.encryption == "starttls",
                    tls_context=context,
                    timeout=options.timeout_secs,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            later = [code for code in codes if code // 100 == LATER]
            failed = DeliveryError(f"no recipient: {_told((later or codes)[0])}", retryable=bool(later))
        except aiosmtplib.SMTPResponseException as error:
            failed = DeliveryError(_told(error.code), retryable=error.code // 100 != NEVER)
        except TimeoutError:
            failed = DeliveryError(f"no answer of the mail server within {options.timeout_secs:g} s", retryable=True)
        except OSError as error:  # aiosmtplib's own of lost connections are such too
            failed = DeliveryError(_unreachable(error), retryable=True)
        except aiosmtplib.SMTPException:
            fix = "it lacks STARTTLS or the login asked for; check encryption, port and username"
            failed = DeliveryError(f"the mail server cannot do what is configured: {fix}", retryable=False)
        else:
            return {recipient: answer.code for recipient, answer in refused.items()}
        raise failed  # outside the handlers: what the server said is no part of this error


def _told(code: int) -> str:
    fix = FIXES.get(code)
    return f"the mail server answered {code}" + (f"; {fix}" if fix else "")


def _unreachable(error: BaseException) -> str:
    """Why there was no answer, without what the library says: it names hosts and repeats the server."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "unknown").replace("_", " ").lower()
            return f"TLS with the mail server failed ({reason}); check encryption, port and ca_file"
        if isinstance(cause, FileNotFoundError | PermissionError):
            return "ca_file cannot be read; make it a readable PEM file"
        if isinstance(cause, socket.gaierror):
            return "the mail server's name cannot be looked up; check host and DNS"
        cause = cause.__cause__ or cause.__context__
    return "the mail server cannot be reached, or hung up; check host and port"


def _own_name() -> str:
    """How we greet: our name, or an address where it is no full one (RFC 5321, 4.1.3); DNS is not asked."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
