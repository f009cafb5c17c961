"""What one poll of an unchanged source costs: polls per second, CPU time, and bytes on the wire.

``python -m benchmarks.poll_unchanged [--polls N] [--json]``: a local server answers 304 from a process of its own; the
daemon's fetcher asks it as it asks every site, but without the gap between requests. ``kept`` polls over one
connection, ``fresh`` opens one for each poll, as polls that are minutes apart do. The CPU time is that of our process;
bytes are TCP payload in both directions, to compare with ``full``, a poll that brings the whole feed.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection

from benchmarks.machine import machine
from listener.domain import Accept, Checkpoint, Request
from listener.fetch import Fetcher, FetchPolicy

ETAG = '"5f3e-61a2b3c4d5e6f"'
FEED_BYTES = 64 * 1024
WARM_UP = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured over one kind of connection."""

    connection: str
    polls: int
    polls_per_sec: float
    cpu_ms_per_poll: float
    wire_bytes_per_poll: float
    wire_bytes_full: int


class NotModified(asyncio.Protocol):
    """Answers 304 where the validator matches and a feed where it does not, and counts the bytes of both directions."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Requests of one client at a time arrive whole."""
        if f"if-none-match: {ETAG}".encode() in data.lower():
            close = "Connection: close\r\n" if data.startswith(b"GET /fresh") else ""
            answer = f"HTTP/1.1 304 Not Modified\r\nETag: {ETAG}\r\n{close}\r\n".encode()
        else:
            head = f"HTTP/1.1 200 OK\r\nETag: {ETAG}\r\nContent-Type: application/rss+xml\r\n"
            answer = f"{head}Content-Length: {FEED_BYTES}\r\n\r\n".encode() + b"x" * FEED_BYTES
        NotModified.count += len(data) + len(answer)
        self._transport.write(answer)
        if b"Connection: close" in answer:
            self._transport.close()


def serve(pipe: Connection) -> None:
    """The server process: sends its port, then its byte count whenever it is asked."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(NotModified, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        while await loop.run_in_executor(None, pipe.recv):
            pipe.send(NotModified.count)

    asyncio.run(main())


def count_bytes(pipe: Connection) -> int:
    """The bytes on the wire so far."""
    pipe.send(True)
    count: int = pipe.recv()
    return count


async def measure(pipe: Connection, port: int, polls: int, connection: str) -> Figures:
    """Poll once in full and then ``polls`` times unchanged, as the pipeline does: a checkpoint in, a checkpoint out."""
    policy = FetchPolicy(
        user_agent="listener/benchmark", host_interval_secs=0.0, allow_private_hosts=frozenset({"127.0.0.1"})
    )
    request = Request(url=f"http://127.0.0.1:{port}/{connection}", accept=Accept.FEED)
    checkpoint = Checkpoint()
    async with Fetcher(policy) as fetcher:

        async def poll(status: int) -> None:
            nonlocal checkpoint
            fetch = fetcher.for_source("unchanged", checkpoint, now=datetime.now(UTC))
            page = await fetch(request)
            assert page.status == status
            checkpoint = Checkpoint(validators=fetch.validators, refreshed_at=fetch.refreshed_at)

        before = count_bytes(pipe)
        await poll(200)
        full = count_bytes(pipe) - before
        for _ in range(WARM_UP):
            await poll(304)
        before, started, cpu = count_bytes(pipe), time.perf_counter(), time.process_time()
        for _ in range(polls):
            await poll(304)
        took, spent = time.perf_counter() - started, time.process_time() - cpu
        after = count_bytes(pipe)
    return Figures(
        connection=connection,
        polls=polls,
        polls_per_sec=round(polls / took, 1),
        cpu_ms_per_poll=round(1000.0 * spent / polls, 3),
        wire_bytes_per_poll=round((after - before) / polls, 1),
        wire_bytes_full=full,
    )


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--polls", type=int, default=2000, help="how many polls to measure (2000)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        port = ours.recv()
        figures = [asyncio.run(measure(ours, port, options.polls, kind)) for kind in ("kept", "fresh")]
    finally:
        ours.send(False)
        server.join(5)
    if options.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure) for figure in figures]}))
        return 0
    print(machine())
    print("connection   polls  polls/s  CPU ms/poll  bytes/poll  bytes full")
    for figure in figures:
        print(
            f"{figure.connection:10} {figure.polls:7} {figure.polls_per_sec:8.0f} {figure.cpu_ms_per_poll:12.3f}"
            f" {figure.wire_bytes_per_poll:11.0f} {figure.wire_bytes_full:11}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
