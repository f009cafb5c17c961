"""Connections: one look-up, only vetted addresses, and no shared thread that silent name servers could use up."""

import asyncio
import socket
import threading
from ipaddress import ip_address
from typing import Any

import httpcore2
import httpx2
import pytest

from listener.errors import FetchError
from listener.fetch.addresses import AllowList, IPAddress
from listener.fetch.network import VettedBackend, VettedTransport, resolve, vet

NOBODY = AllowList.parse(())
LOOPBACK = AllowList.parse({"127.0.0.0/8", "::1"})


def addresses(*texts: str) -> list[IPAddress]:
    """Addresses."""
    return [ip_address(text) for text in texts]


def test_only_public_addresses_are_left() -> None:
    """A name with a public and a private address is reached at the public one."""
    assert vet("h", addresses("10.0.0.1", "8.8.8.8", "::1"), NOBODY) == addresses("8.8.8.8")


@pytest.mark.parametrize(
    ("found", "why"),
    [(("127.0.0.1", "::1"), "loopback"), (("10.0.0.1", "169.254.169.254"), "link-local, private"), ((), "no address")],
)
def test_without_one_the_kind_is_named(found: tuple[str, ...], why: str) -> None:
    """The operator learns why, and where to allow it."""
    with pytest.raises(FetchError, match=f"site.test.*{why}"):
        vet("site.test", addresses(*found), NOBODY)


async def test_the_name_is_looked_up_once() -> None:
    """A second answer, private this time, would never be seen (DNS rebinding)."""
    answers = [addresses("10.0.0.1"), addresses("127.0.0.1")]

    async def rebinding(_host: str, _port: int) -> list[IPAddress]:
        return answers.pop()

    async with await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stream = await VettedBackend(LOOPBACK, rebinding).connect_tcp("rebinding.test", port, 5.0)
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        await stream.aclose()
    assert answers == [addresses("10.0.0.1")]


async def test_the_next_address_is_tried() -> None:
    """A refused connection is not the end while there is another address."""

    async def two(_host: str, _port: int) -> list[IPAddress]:
        return addresses("::1", "127.0.0.1")

    async with await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stream = await VettedBackend(LOOPBACK, two).connect_tcp("two.test", port, 5.0)
        await stream.aclose()


async def test_a_silent_name_server_is_a_connect_timeout() -> None:
    """The look-up counts into the time to connect."""

    async def silent(_host: str, _port: int) -> list[IPAddress]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(httpcore2.ConnectTimeout):
        await VettedBackend(NOBODY, silent).connect_tcp("silent.test", 80, 0.01)


async def test_literal_addresses_need_no_look_up() -> None:
    """Nor a thread."""
    assert await resolve("127.0.0.1", 80) == addresses("127.0.0.1")
    assert await resolve("::1", 80) == addresses("::1")


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f.0.0.1", "017700000001"])
async def test_odd_spellings_of_an_address_are_seen_through(spelling: str) -> None:
    """What the system would connect to is what is vetted."""
    with pytest.raises(FetchError, match="loopback"):
        vet(spelling, await resolve(spelling, 80), NOBODY)


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "..", "a..test"])
async def test_names_that_dns_cannot_carry(host: str) -> None:
    """They are no bug of ours: the caller sees an OSError."""
    with pytest.raises(OSError, match=r"."):
        await resolve(host, 80)


async def test_hanging_look_ups_do_not_hold_up_others() -> None:
    """A hundred of them hang; the next name is answered, and so is the process's own thread pool."""
    release = threading.Event()

    def look_up(host: str, _port: int, **_options: Any) -> list[Any]:
        if host.startswith("hangs"):
            release.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))]

    hanging = [asyncio.create_task(resolve(f"hangs{n}.test", 80, look_up=look_up)) for n in range(100)]
    try:
        async with asyncio.timeout(5):
            assert await resolve("answers.test", 80, look_up=look_up) == addresses("8.8.8.8")
            assert await asyncio.to_thread(lambda: 1) == 1
        assert not any(task.done() for task in hanging)
    finally:
        release.set()
        assert await asyncio.gather(*hanging) == [addresses("8.8.8.8")] * 100


def test_a_loop_that_is_gone_when_the_answer_comes() -> None:
    """The thread ends quietly: a daemon that stops does not wait for a name server."""
    release = threading.Event()

    def look_up(*_place: Any, **_options: Any) -> list[Any]:
        release.wait(30)
        return []

    async def give_up() -> None:
        async with asyncio.timeout(0.01):
            await resolve("hangs.test", 80, look_up=look_up)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    waiting = [thread for thread in threading.enumerate() if thread.name == "listener-dns"]
    release.set()
    for thread in waiting:
        thread.join(5)
        assert not thread.is_alive()


async def test_the_pool_of_httpx2_is_ours() -> None:
    """The guard is put in place of a private attribute: if httpx2 renames it, this fails and not the guard."""

    async def nowhere(_host: str, _port: int) -> list[IPAddress]:
        return addresses("10.0.0.1")

    transport = VettedTransport(VettedBackend(NOBODY, nowhere))
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        with pytest.raises(FetchError, match="private"):
            await client.get("http://site.test/")
