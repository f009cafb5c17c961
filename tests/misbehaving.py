"""An HTTP server that misbehaves on demand: raw asyncio, since a framework would correct what it is told.

``async with misbehaving() as server:`` listens on loopback; ``server.url("/gzip-bomb")`` is an address to fetch. The
path names the behaviour (``BEHAVIOURS`` has them all), the query carries its options. ``server.serve`` adds a
well-behaved document, ``server.requests`` is what was asked.
"""

import asyncio
import functools
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

BOMB_BYTES = 256 * 1024 * 1024
PIECE = b"x" * 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came off the wire; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    port: int

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def options(self) -> dict[str, str]:
        """The query."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A well-behaved answer; with validators it answers 304 where they match."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    etag: str | None = None
    last_modified: str | None = None


Behaviour = Callable[["Misbehaving", Asked, asyncio.StreamWriter], Awaitable[None]]
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(path: str) -> Callable[[Behaviour], Behaviour]:
    """Register what is done at ``path``."""

    def register(function: Behaviour) -> Behaviour:
        BEHAVIOURS[path] = function
        return function

    return register


@dataclass(slots=True)
class Misbehaving:
    """The running server."""

    port: int = 0
    scheme: str = "http"
    requests: list[Asked] = field(default_factory=list)
    documents: dict[str, Document] = field(default_factory=dict)
    _tls: ssl.SSLContext | None = None
    _servers: list[asyncio.Server] = field(default_factory=list)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)
    _flaky: dict[str, int] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, target: str, *, host: str = "127.0.0.1") -> str:
        """The address of a behaviour or document."""
        return f"{self.scheme}://{host}:{self.port}{target}"

    def serve(self, path: str, document: Document | bytes) -> str:
        """Add or replace a well-behaved document, and return its address."""
        self.documents[path] = Document(body=document) if isinstance(document, bytes) else document
        return self.url(path)

    def asked(self, path: str) -> list[Asked]:
        """The requests for one path, in order."""
        return [request for request in self.requests if request.path == path]

    async def until_asked(self, times: int) -> None:
        """Wait for so many requests in all."""
        while len(self.requests) < times:
            self._news.clear()
            await self._news.wait()

    def count_down(self, target: str, failures: int) -> int:
        """How often ``target`` still fails, counted down at each call."""
        left = self._flaky.setdefault(target, failures)
        self._flaky[target] = left - 1
        return left

    async def listen(self) -> int:
        """Open one more port, which is one more origin, and return its number."""
        self._servers.append(server := await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls))
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def aclose(self) -> None:
        """Drop everything."""
        for server in self._servers:
            server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
            pass  # the client has gone: that is what most of these behaviours are for
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        port = writer.get_extra_info("sockname")[1]
        self.requests.append(request := Asked(method=method, target=target, headers=headers, body=body, port=port))
        self._news.set()
        if request.path in BEHAVIOURS:
            await BEHAVIOURS[request.path](self, request, writer)
            return False
        await send_document(request, self.documents.get(request.path), writer)
        return True


@asynccontextmanager
async def misbehaving(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Misbehaving]:
    """Run the server on a free port of loopback."""
    server = Misbehaving(scheme="http" if tls is None else "https", _tls=tls)
    server.port = await server.listen()
    try:
        yield server
    finally:
        await server.aclose()


async def send(
    writer: asyncio.StreamWriter, status: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> None:
    """Write an answer with exactly these headers; Content-Length is added unless it is among them."""
    fields = {"Content-Length": str(len(body))} | dict(headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    writer.write(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body)
    await writer.drain()


async def send_document(request: Asked, document: Document | None, writer: asyncio.StreamWriter) -> None:
    """Answer as a good server does."""
    if document is None:
        await send(writer, "404 Not Found")
        return
    headers = dict(document.headers)
    if document.etag is not None:
        headers["ETag"] = document.etag
    if document.last_modified is not None:
        headers["Last-Modified"] = document.last_modified
    matches = (document.etag is not None and request.headers.get("if-none-match") == document.etag) or (
        document.etag is None
        and document.last_modified is not None
        and request.headers.get("if-modified-since") == document.last_modified
    )
    if matches:
        await send(writer, "304 Not Modified", headers | {"Content-Length": ""})
        return
    await send(writer, f"{document.status} Given", headers, document.body)


@functools.cache
def bomb(layers: int) -> bytes:
    """256 MiB of zeros in gzip: 256 KiB in one layer, 1 KiB in two."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(BOMB_BYTES // (1024 * 1024))) + packer.flush()
    return packed if layers == 1 else gzip.compress(packed, 9)


# ------------------------------------------------------------------------------------------------------- connections


@behaviour("/drop")
async def drop(_server: Misbehaving, _request: Asked, _writer: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""


@behaviour("/drop-first")
async def drop_first(server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Close the connection without a word ``times`` times, then answer."""
    if server.count_down(request.target, int(request.options.get("times", "1"))) <= 0:
        await send(writer, "200 OK", body=b"at last")


@behaviour("/hang")
async def hang(_server: Misbehaving, _request: Asked, _writer: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await asyncio.Event().wait()


@behaviour("/delay")
async def delay(_server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer after ``secs`` seconds."""
    await asyncio.sleep(float(request.options["secs"]))
    await send(writer, "200 OK", body=b"late")


@behaviour("/slow-loris")
async def slow_loris(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Send a byte of the body every 20 ms, for ever: never silent, never done."""
    await send(writer, "200 OK", {"Content-Length": "1000000"})
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


# ----------------------------------------------------------------------------------------------------------- framing


@behaviour("/garbage")
async def garbage(_server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer with something that is not HTTP, with the client's own credentials in it."""
    writer.write(f"SSH-2.0-{request.headers.get('authorization', 'x')}\r\n\r\n".encode())
    await writer.drain()


@behaviour("/partial")
async def partial(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Promise 1000 bytes, send 10, close."""
    await send(writer, "200 OK", {"Content-Length": "1000"}, b"0123456789")


@behaviour("/partial-chunked")
async def partial_chunked(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Send one chunk and close before the last."""
    await send(writer, "200 OK", {"Content-Length": "", "Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n")


@behaviour("/partial-gzip")
async def partial_gzip(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Cut a gzip stream in half and call it whole."""
    packed = gzip.compress(bytes(range(256)) * 64)
    await send(writer, "200 OK", {"Content-Encoding": "gzip"}, packed[: len(packed) // 2])


@behaviour("/long")
async def too_long(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Promise 5 bytes, send 5 and then garbage."""
    await send(writer, "200 OK", {"Content-Length": "5"}, b"hello, and more that nobody asked for")
    await asyncio.sleep(0.05)


@behaviour("/bad-length")
async def bad_length(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Give a length that is no number."""
    await send(writer, "200 OK", {"Content-Length": "-5"}, b"hello")


@behaviour("/bad-chunk")
async def bad_chunk(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Give a chunk size that is no number."""
    await send(writer, "200 OK", {"Content-Length": "", "Transfer-Encoding": "chunked"}, b"zz\r\nhello\r\n0\r\n\r\n")


@behaviour("/tiny-chunks")
async def tiny_chunks(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Send one byte a chunk, as fast as it goes, for ever."""
    await send(writer, "200 OK", {"Content-Length": "", "Transfer-Encoding": "chunked"})
    while True:
        writer.write(b"1\r\nx\r\n" * 4096)
        await writer.drain()


@behaviour("/endless")
async def endless(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Send a body without length, for ever."""
    await send(writer, "200 OK", {"Content-Length": ""})
    while True:
        writer.write(PIECE)
        await writer.drain()


@behaviour("/endless-headers")
async def endless_headers(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Send headers for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: and more\r\n" * 100)
        await writer.drain()


@behaviour("/large-headers")
async def large_headers(_server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Send ``bytes`` bytes of headers, then a good body."""
    await send(writer, "200 OK", {f"X-{n}": "y" * 1000 for n in range(int(request.options["bytes"]) // 1000)}, b"ok")


# --------------------------------------------------------------------------------------------------------- encodings


@behaviour("/encoded")
async def encoded(_server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Claim the content encoding ``as`` for a body that has none."""
    claim = f"Content-Encoding: {request.options['as']}"
    writer.write(f"HTTP/1.1 200 OK\r\n{claim}\r\nContent-Length: 5\r\n\r\nhello".encode("latin-1"))
    await writer.drain()


@behaviour("/gzip-bomb")
async def gzip_bomb(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """256 MiB of zeros in 256 KiB."""
    await send(writer, "200 OK", {"Content-Encoding": "gzip"}, bomb(1))


@behaviour("/double-gzip-bomb")
async def double_gzip_bomb(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """256 MiB of zeros in about 1 KiB."""
    await send(writer, "200 OK", {"Content-Encoding": "gzip, gzip"}, bomb(2))


# --------------------------------------------------------------------------------------------------------- redirects


@behaviour("/redirect")
async def redirect(_server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Redirect to ``to`` with ``status`` (302); with an empty ``to``, to nowhere."""
    await send(writer, f"{request.options.get('status', '302')} Moved", {"Location": request.options["to"]})


@behaviour("/loop")
async def loop(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """Redirect to a page that redirects back."""
    await send(writer, "302 Found", {"Location": "/redirect?to=/loop"})


@behaviour("/chain")
async def chain(_server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Redirect ``left`` times, each after ``secs`` seconds (0), then answer."""
    left, secs = int(request.options["left"]), request.options.get("secs", "0")
    await asyncio.sleep(float(secs))
    if not left:
        await send(writer, "200 OK", body=b"the end")
    else:
        await send(writer, "301 Moved Permanently", {"Location": f"/chain?left={left - 1}&secs={secs}"})


# ---------------------------------------------------------------------------------------------------------- statuses


@behaviour("/status")
async def status(_server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer ``code``; every other option is a header (``retry-after=5``)."""
    headers = {name: value for name, value in request.options.items() if name != "code"}
    await send(writer, f"{request.options['code']} Told", headers)


@behaviour("/flaky")
async def flaky(server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer ``code`` ``times`` times (with the other options as headers), then 200."""
    options = request.options
    if server.count_down(request.target, int(options.pop("times", "1"))) > 0:
        await send(writer, f"{options.pop('code')} Told", options)
    else:
        await send(writer, "200 OK", body=b"at last")


@behaviour("/empty")
async def empty(_server: Misbehaving, _request: Asked, writer: asyncio.StreamWriter) -> None:
    """204, no content."""
    await send(writer, "204 No Content", {"Content-Length": ""})


@behaviour("/always-304")
async def always_304(_server: Misbehaving, request: Asked, writer: asyncio.StreamWriter) -> None:
    """304 to whoever sends a validator, whatever it is; 200 with one to others."""
    if "if-none-match" in request.headers:
        await send(writer, "304 Not Modified", {"Content-Length": ""})
    else:
        await send(writer, "200 OK", {"ETag": '"for ever"'}, b"full")
