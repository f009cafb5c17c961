"""One request and its answer on the wire, within limits; every failure becomes a FetchError that tells no secret."""

import asyncio
import http.cookiejar
import logging
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import h11
import httpcore2
import httpx2

from listener.domain import Validator
from listener.errors import FetchError
from listener.fetch.body import codings_of, read_body
from listener.fetch.policy import FetchPolicy
from listener.fetch.redirects import Hop

LONGEST_VALIDATOR = 4096

# What httpx2, httpcore2 and what lies below them may raise for a server's fault.
FAILURES = (
    httpx2.HTTPError,
    httpx2.StreamError,
    httpx2.InvalidURL,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    h11.ProtocolError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    OSError,
)

# How a TLS handshake waits, not why it failed.
WAITING = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class NoAnswerError(FetchError):
    """No status line came back (refused, reset, not in time): trying again in this poll may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one hop. Header names are lower case; cookies are left out. ``body`` is empty unless 2xx."""

    hop: Hop
    status: int
    headers: Mapping[str, str]
    validator: Validator | None
    conditional: bool
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How an answer is asked for and read.

    ``cut`` cuts a body at ``limit`` bytes instead of refusing it; ``left_secs`` is what remains of the total time.
    """

    accept: str
    limit: int
    left_secs: float
    cut: bool = False
    validator: Validator | None = None


class Wire:
    """The one HTTP client of the daemon: HTTP/1.1, no cookies, no proxies or netrc from the environment."""

    def __init__(self, policy: FetchPolicy, transport: httpx2.AsyncBaseTransport) -> None:
        # httpx2 logs whole URLs and httpcore2 logs headers (Location, Set-Cookie): both may hold secrets.
        for name in ("httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._policy = policy
        self._client = httpx2.AsyncClient(
            transport=transport,
            headers={"user-agent": policy.user_agent, "accept-encoding": "gzip, deflate"},
            cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx2.Timeout(
                connect=policy.connect_secs, read=policy.read_secs, write=policy.read_secs, pool=None
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def exchange(self, hop: Hop, reading: Reading) -> Answer:
        """Send ``hop`` and read the answer; redirects are the caller's.

        Raises NoAnswerError when nothing came back, FetchError when what came back cannot be used.
        """
        answered = False
        try:
            request = self._client.build_request(hop.method, hop.url, headers=_headers(hop, reading), content=hop.body)
        except (UnicodeError, httpx2.InvalidURL):
            raise FetchError(f"{hop.host}: the request has characters that HTTP does not allow") from None
        try:
            async with asyncio.timeout(max(0.0, reading.left_secs)):
                async with aclosing(await self._client.send(request, stream=True)) as response:
                    answered = True
                    return await self._read(hop, response, reading)
        except TimeoutError:
            raise FetchError(f"{hop.host}: no whole answer within {self._policy.total_secs:g} s") from None
        except FAILURES as error:
            # The chain is cut: the messages below ours may hold URLs, header values, and what the server sent.
            message = f"{hop.host}: {explain(error, self._policy)}"
            raise (FetchError if answered or not _passing(error) else NoAnswerError)(message) from None

    async def _read(self, hop: Hop, response: httpx2.Response, reading: Reading) -> Answer:
        raw = response.headers.raw
        if sum(len(name) + len(value) + 4 for name, value in raw) > self._policy.header_bytes:
            raise FetchError(f"{hop.host}: the headers are larger than {self._policy.header_bytes} bytes")
        headers = {name.lower(): value for name, value in response.headers.items() if name.lower() != "set-cookie"}
        body = b""
        if response.is_success:
            codings = codings_of(headers.get("content-encoding"), host=hop.host)
            body = await read_body(
                response.aiter_raw(), codings=codings, limit=reading.limit, host=hop.host, cut=reading.cut
            )
        elif response.status_code == httpx2.codes.NOT_MODIFIED:
            async for _ in response.aiter_raw():  # nothing comes, but the connection can be used again
                pass
        return Answer(
            hop=hop,
            status=response.status_code,
            headers=headers,
            validator=_validator(raw),
            conditional=reading.validator is not None,
            body=body,
        )


def explain(error: BaseException, policy: FetchPolicy) -> str:
    """What went wrong, in our own words: no text of the server, no part of the request."""
    told = (_explain_cause(cause, policy) for cause in _chain(error))
    return next((words for words in told if words is not None), None) or _explain_kind(error, policy)


def _explain_cause(cause: BaseException, policy: FetchPolicy) -> str | None:
    match cause:
        case ssl.SSLCertVerificationError():
            return f"the TLS certificate is not valid: {cause.verify_message}"
        case ssl.SSLError() if not isinstance(cause, WAITING):
            return f"TLS failed ({cause.reason or 'no reason given'})"
        case socket.gaierror():
            return f"the name cannot be resolved ({cause.strerror})"
        case h11.RemoteProtocolError():
            return _explain_protocol(cause, policy)
        case OSError() if cause.errno is not None and not isinstance(cause, WAITING):
            return f"the connection failed ({os.strerror(cause.errno)})"
    return None


def _explain_kind(error: BaseException, policy: FetchPolicy) -> str:
    match error:
        case httpx2.ConnectTimeout():
            return f"no connection within {policy.connect_secs:g} s"
        case httpx2.TimeoutException():
            return f"silent for {policy.read_secs:g} s"
        case httpx2.LocalProtocolError():
            return "the request has characters that HTTP does not allow"
        case httpx2.RemoteProtocolError():
            return "the connection was closed without an answer"
    return f"the connection failed ({type(error).__name__})"


def _explain_protocol(error: h11.RemoteProtocolError, policy: FetchPolicy) -> str:
    if error.error_status_hint == httpx2.codes.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return f"the headers are larger than {policy.header_bytes} bytes"
    if str(error).startswith("peer closed connection"):
        return "the body is truncated: the connection was closed too early"
    return "the answer is not valid HTTP"


def _passing(error: BaseException) -> bool:
    """Whether trying again in a moment may help."""
    lasting = (h11.ProtocolError, ssl.SSLCertVerificationError, httpx2.LocalProtocolError, httpx2.InvalidURL)
    return not any(isinstance(cause, lasting) for cause in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _headers(hop: Hop, reading: Reading) -> list[tuple[bytes, bytes]]:
    fields = {"accept": reading.accept} | {name.lower(): value for name, value in hop.headers.items()}
    if reading.validator is not None and reading.validator.etag is not None:
        fields["if-none-match"] = reading.validator.etag
    if reading.validator is not None and reading.validator.last_modified is not None:
        fields["if-modified-since"] = reading.validator.last_modified
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields.items()]


def _validator(raw: list[tuple[bytes, bytes]]) -> Validator | None:
    """The validators of an answer, byte for byte (as Latin-1, which maps every byte to one character)."""
    found = {name.lower(): value.decode("latin-1") for name, value in reversed(raw) if len(value) <= LONGEST_VALIDATOR}
    etag, last_modified = found.get(b"etag") or None, found.get(b"last-modified") or None
    if etag is None and last_modified is None:
        return None
    return Validator(etag=etag, last_modified=last_modified)
