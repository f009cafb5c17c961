"""A local HTTP server that records what it is sent, and answers or misbehaves as a test says."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

CHUNK = b"x" * 65536
TLS_HANDSHAKE = b"\x16"  # the first byte of a client that speaks TLS; this server does not
CHUNKS_MAX = 400  # 26 MB: far more than anybody may read


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Recording:
    """``status`` and ``headers`` are what it answers; ``misbehaviour`` instead is hang, garbage, drop or huge."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    misbehaviour: str = ""
    asked: list[Asked] = field(default_factory=list)
    chunks: int = 0
    status_of: Callable[[Asked], int] | None = None

    @property
    def netloc(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connections are kept: requests one after the other."""
        try:
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError
            ):
                while await self._one(reader, writer):
                    pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.readexactly(1)
        if first == TLS_HANDSHAKE:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return False
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(method=method, target=target, headers=headers, body=body)
        self.asked.append(asked)
        match self.misbehaviour:
            case "hang":
                await reader.read()
                return False
            case "drop":
                return False
            case "garbage":
                # Servers echo what they were sent, and nothing of it may come back to people.
                writer.write(f"HTTP/9.9 {target} {headers}\r\n\x00\r\n".encode())
                await writer.drain()
                return False
        status = self.status_of(asked) if self.status_of is not None else self.status
        lines = [f"HTTP/1.1 {status} {target.replace('/', '-')}", *(f"{k}: {v}" for k, v in self.headers.items())]
        if self.misbehaviour == "huge":
            writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode())
            for self.chunks in range(1, CHUNKS_MAX + 1):
                writer.write(CHUNK)
                await writer.drain()
            return False
        echo = b"" if status in {204, 205, 304} or status < 200 else body[:1000] + target.encode()
        writer.write("\r\n".join([*lines, f"content-length: {len(echo)}", "", ""]).encode() + echo)
        await writer.drain()
        return status >= 200


@contextlib.asynccontextmanager
async def recording() -> AsyncIterator[Recording]:
    """A server on a free port of loopback, until the block ends."""
    server = Recording()
    tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks[task] = writer
        try:
            await server.handle(reader, writer)
        finally:
            del tasks[task]

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for writer in tasks.values():
            writer.transport.abort()
        await asyncio.gather(*tasks)
        await listening.wait_closed()
