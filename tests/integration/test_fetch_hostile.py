"""The fetcher against servers that lie, bomb, stall and look for secrets: a FetchError each time, soon and cheaply."""

import asyncio
import gc
import logging
import os
import time
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener.domain import Accept, Checkpoint, Page, Request
from listener.errors import FetchError, SourceError
from listener.fetch import Fetcher, FetchPolicy
from listener.fetch.addresses import IPAddress
from listener.fetch.client import hop_of
from tests.misbehaving import BEHAVIOURS, BOMB_BYTES, Asked, Misbehaving, bomb, misbehaving

MIB = 1024 * 1024
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
POLICY = FetchPolicy(
    user_agent="listener/test",
    host_interval_secs=0.0,
    page_interval_secs=0.0,
    allow_private_hosts=frozenset({"127.0.0.1"}),
    retry_budget_secs=0.0,
)


async def fetch(
    url: str, *, accept: Accept = Accept.FEED, headers: dict[str, str] | None = None, **policy: Any
) -> Page:
    """One poll with a client of its own."""
    async with Fetcher(replace(POLICY, **policy), draw=lambda: 0.0) as fetcher:
        request = Request(url=url, accept=accept, headers=headers or {})
        return await fetcher.for_source("blog", Checkpoint(), now=NOW)(request)


@pytest.fixture
async def server() -> AsyncIterator[Misbehaving]:
    """The misbehaving server."""
    async with misbehaving() as running:
        yield running


# ------------------------------------------------------------------------------------------------- lies about the body


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/drop", "closed without an answer"),
        ("/garbage", "not valid HTTP"),
        ("/partial", "truncated"),
        ("/partial-chunked", "truncated"),
        ("/partial-gzip", "truncated"),
        ("/bad-length", "not valid HTTP"),
        ("/bad-chunk", "not valid HTTP"),
        ("/encoded?as=", "empty or malformed content encoding"),
        ("/encoded?as=gzip", "no valid gzip stream"),
        ("/encoded?as=deflate", "no valid deflate stream"),
        ("/encoded?as=br", "content encoding 'br'"),
        ("/encoded?as=gzip,gzip,gzip", "3 content encodings"),
        ("/gzip-bomb", "(200-fold|larger than)"),
        ("/double-gzip-bomb", "200-fold"),
        ("/endless", "larger than"),
        ("/endless-headers", "headers are larger than 65536 bytes"),
        ("/large-headers?bytes=70000", "headers are larger than 65536 bytes"),
        ("/redirect?to=", "without a target"),
        ("/redirect?to=ftp://127.0.0.1/", "127.0.0.1: only http and https"),
        ("/redirect?to=http://169.254.169.254/latest/meta-data/", "link-local"),
        ("/redirect?to=http://10.0.0.1/", "private"),
        ("/redirect?to=http://[::1]/", "loopback"),
        ("/redirect?to=http://[::ffff:127.0.0.2]/", "loopback"),
        ("/redirect?to=http://2130706434/", "loopback"),
        ("/redirect?to=http://127.0.0.2:22/", "port 22"),
    ],
)
async def test_every_lie_is_a_fetch_error(server: Misbehaving, target: str, why: str) -> None:
    """Which names the host and what is wrong."""
    with pytest.raises(FetchError, match=why) as caught:
        await fetch(server.url(target))
    assert ": " in str(caught.value)


async def test_garbage_after_the_body_is_not_part_of_it(server: Misbehaving) -> None:
    """And the next request is not answered with it."""
    good = server.serve("/good", b"good")
    async with Fetcher(replace(POLICY, retry_budget_secs=5.0), draw=lambda: 0.0) as fetcher:
        poll = fetcher.for_source("blog", Checkpoint(), now=NOW)
        assert (await poll(Request(url=server.url("/long"), accept=Accept.FEED))).body == b"hello"
        assert (await poll(Request(url=good, accept=Accept.FEED))).body == b"good"


async def test_headers_below_the_limit(server: Misbehaving) -> None:
    """Some sites need them."""
    assert (await fetch(server.url("/large-headers?bytes=60000"))).body == b"ok"


@pytest.mark.parametrize(("accept", "mib"), [(Accept.PAGE, 5), (Accept.FEED, 10), (Accept.JSON, 20)])
async def test_the_limits_by_kind(server: Misbehaving, accept: Accept, mib: int) -> None:
    """A body of exactly the limit passes."""
    url = server.serve("/large", os.urandom(MIB) * mib)
    assert len((await fetch(url, accept=accept)).body) == mib * MIB
    server.serve("/large", os.urandom(MIB) * mib + b"x")
    with pytest.raises(FetchError, match=f"larger than {mib * MIB} bytes"):
        await fetch(url, accept=accept)


@pytest.mark.parametrize("target", ["/gzip-bomb", "/double-gzip-bomb", "/endless", "/endless-headers"])
async def test_memory_stays_bounded(server: Misbehaving, target: str) -> None:
    """256 MiB, or no end, on the wire's other side; less than the limit of a feed and a bit on ours."""
    bomb(1), bomb(2)  # packed before the measurement
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(FetchError):
            await fetch(server.url(target))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * MIB < BOMB_BYTES / 10


# ------------------------------------------------------------------------------------------------------------ patience


@pytest.mark.parametrize(
    ("target", "policy", "why"),
    [
        ("/hang", {"read_secs": 0.1}, r"silent for 0\.1 s"),
        ("/delay?secs=5", {"read_secs": 0.1}, r"silent for 0\.1 s"),
        ("/slow-loris", {"total_secs": 0.3}, r"no whole answer within 0\.3 s"),
        ("/tiny-chunks", {"total_secs": 0.3}, r"no whole answer within 0\.3 s"),
        ("/redirect?to=/hang", {"total_secs": 0.3}, r"no whole answer within 0\.3 s"),
        ("/chain?left=4&secs=0.2", {"total_secs": 0.5}, r"no whole answer within 0\.5 s"),
    ],
)
async def test_slow_servers(server: Misbehaving, target: str, policy: dict[str, Any], why: str) -> None:
    """Silence and slowness both have an end."""
    started = time.monotonic()
    with pytest.raises(FetchError, match=why):
        await fetch(server.url(target), **policy)
    assert time.monotonic() - started < 5.0


async def test_a_hanging_robots_txt_ends_too(server: Misbehaving) -> None:
    """Time-out: nothing may be fetched."""
    hanging = server.url("/hang")

    async def hang(_server: Misbehaving, _asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {hanging}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BEHAVIOURS, "/robots.txt", hang)
        with pytest.raises(FetchError, match=r"robots\.txt cannot be had"):
            await fetch(server.url("/page"), accept=Accept.PAGE, read_secs=0.1)
    assert server.asked("/page") == []


async def test_cancellation_passes_through(server: Misbehaving) -> None:
    """The daemon stops at once, and the origin is free for the next poll."""
    good = server.serve("/good", b"ok")
    async with Fetcher(POLICY) as fetcher:
        poll = fetcher.for_source("blog", Checkpoint(), now=NOW)
        hanging = asyncio.create_task(poll(Request(url=server.url("/hang"), accept=Accept.FEED)))
        await server.until_asked(1)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert (await poll(Request(url=good, accept=Accept.FEED))).body == b"ok"


async def test_hosts_that_hang_delay_nobody(server: Misbehaving) -> None:
    """150 origins hang, each asked by two sources; a good one answers as fast as ever."""
    good = server.serve("/good", b"ok")
    hanging = [f"http://127.0.0.1:{await server.listen()}/hang" for _ in range(150)]
    async with Fetcher(POLICY) as fetcher:

        def poll(name: str, url: str) -> Awaitable[Page]:
            return fetcher.for_source(name, Checkpoint(), now=NOW)(Request(url=url, accept=Accept.FEED))

        await poll("warm-up", good)
        tasks = [asyncio.ensure_future(poll(f"{n}", url)) for url in hanging for n in range(2)]
        await server.until_asked(151)
        took = []
        for _ in range(20):
            started = time.monotonic()
            await poll("good", good)
            took.append(time.monotonic() - started)
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(took)[10] < 0.1


# ---------------------------------------------------------------------------------------------------- private addresses


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://0.0.0.0/"])
async def test_private_addresses_are_refused(url: str) -> None:
    """Unless the operator allows them."""
    with pytest.raises(FetchError, match=r"(loopback|unspecified).*allow_private_hosts"):
        await fetch(url, allow_private_hosts=frozenset())


async def test_rebinding_finds_nothing(server: Misbehaving) -> None:
    """A public name that resolves to loopback is refused at each connection, whatever it resolved to before."""

    async def rebinding(_host: str, _port: int) -> list[IPAddress]:
        return [ip_address("127.0.0.1")]

    policy = replace(POLICY, allow_private_hosts=frozenset(), allow_ports=frozenset({server.port}))
    async with Fetcher(policy, resolve=rebinding) as fetcher:
        poll = fetcher.for_source("blog", Checkpoint(), now=NOW)
        with pytest.raises(FetchError, match=r"rebinding\.test: resolves to loopback addresses only"):
            await poll(Request(url=f"http://rebinding.test:{server.port}/", accept=Accept.FEED))
    assert server.requests == []


async def test_a_public_host_cannot_send_us_to_an_allowed_one(server: Misbehaving) -> None:
    """The operator allowed the intranet to be a source, not to be reached through strangers."""

    async def resolve(host: str, _port: int) -> list[IPAddress]:
        assert host == "public.test"
        return [ip_address("127.0.0.1")]

    # The address of public.test is allowed here only so that the test has a server for it.
    policy = replace(
        POLICY,
        allow_private_hosts=frozenset({"intranet.test", "127.0.0.0/8"}),
        allow_ports=frozenset({server.port}),
    )
    async with Fetcher(policy, resolve=resolve) as fetcher:
        poll = fetcher.for_source("blog", Checkpoint(), now=NOW)
        url = f"http://public.test:{server.port}/redirect?to=http://intranet.test/"
        with pytest.raises(FetchError, match="which may be private, is refused"):
            await poll(Request(url=url, accept=Accept.FEED))


async def test_proxies_of_the_environment_are_ignored(server: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve names itself, behind the guard."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = server.serve("/good", b"ok")
    assert (await fetch(url)).body == b"ok"


# ------------------------------------------------------------------------------------------------------------- secrets

SECRET = "t0ken-of-the-operator"


@pytest.mark.parametrize(
    "target",
    [
        "/drop",
        "/garbage",
        "/partial",
        "/hang",
        "/bad-chunk",
        "/encoded?as=" + SECRET,
        "/endless-headers",
        "/loop",
        "/redirect?to=http://user:" + SECRET + "@10.0.0.1/" + SECRET + "?key=" + SECRET,
        "/redirect?to=http://[" + SECRET,
        "/redirect?to=" + SECRET + "://x",
        "/redirect?status=301&to=/status?code=500",
        "/status?code=401",
        "/status?code=404",
        "/status?code=410",
        "/status?code=429",
        "/status?code=429&retry-after=" + SECRET,
        "/status?code=500",
        "/good",
    ],
)
async def test_no_secret_in_errors_and_logs(server: Misbehaving, target: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither from userinfo, query, fragment or headers, nor echoed by the server; at any level, with the trace."""
    server.serve("/good", b"ok")
    caplog.set_level(logging.DEBUG)
    url = server.url(target, host=f"user:{SECRET}@127.0.0.1")
    url += ("&" if "?" in url else "?") + f"key={SECRET}#{SECRET}"
    said = ""
    with capture_logs() as logs:
        try:
            await fetch(
                url,
                headers={"X-Api-Key": SECRET, "Cookie": SECRET},
                read_secs=0.2,
                retry_budget_secs=5.0,
            )
        except SourceError as error:
            said = f"{error} {error!r}" + "".join(format_chain(error))
    assert SECRET not in said + caplog.text + repr(logs)
    assert "dXNlcjp0MGtlbi" not in said + caplog.text + repr(logs)  # the same in Base64
    assert any(SECRET in asked.target for asked in server.requests)


def format_chain(error: BaseException) -> list[str]:
    """What a log of the exception shows."""
    return [line for line in traceback.format_exception(error) if not line.lstrip().startswith("File ")]


async def test_headers_that_http_does_not_allow(server: Misbehaving) -> None:
    """They are refused without being repeated."""
    for value in (f"{SECRET}\r\nX-Injected: 1", f"{SECRET}\u20ac", f"{SECRET}\x00"):
        with pytest.raises(FetchError, match="characters that HTTP does not allow") as caught:
            await fetch(server.url("/"), headers={"Authorization": value})
        assert SECRET not in str(caught.value)
    assert server.requests == []


async def test_the_repr_of_what_we_hold_tells_nothing() -> None:
    """An error report with local variables must not either."""
    hop = hop_of(Request(url=f"http://u:{SECRET}@a.test/", accept=Accept.FEED, headers={"X-Key": SECRET}))
    assert SECRET not in repr(hop)
