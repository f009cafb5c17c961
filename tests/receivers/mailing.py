"""A local SMTP server (aiosmtpd) inside the test's event loop, which keeps the mails and refuses as a test says."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(slots=True)
class Mailbox:
    """``refusals`` by recipient, and for ``sender`` and ``data``; what came in, and with which login."""

    port: int = 0
    refusals: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    login: LoginPassword | None = None
    accepted_login: bool = True

    async def handle_MAIL(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "sender" in self.refusals:
            return self.refusals["sender"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "data" in self.refusals:
            return self.refusals["data"]
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def authenticate(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        """Note the login."""
        self.login = data
        return AuthResult(success=self.accepted_login, handled=self.accepted_login)


@contextlib.asynccontextmanager
async def mailbox(*, starttls: ssl.SSLContext | None = None, hang: bool = False) -> AsyncIterator[Mailbox]:
    """A server on a free port of loopback, until the block ends; with ``starttls`` it wants a login."""
    box = Mailbox()
    loop = asyncio.get_running_loop()

    def session() -> asyncio.BaseProtocol:
        if hang:
            return asyncio.Protocol()
        return SMTP(
            box,
            hostname="mail.test",
            loop=loop,
            tls_context=starttls,
            authenticator=box.authenticate,
            auth_required=starttls is not None,
        )

    server = await loop.create_server(session, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
