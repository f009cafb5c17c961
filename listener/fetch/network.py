"""Connect only to vetted addresses: one look-up, every address checked, and the connection made to what was checked.

A name that resolves differently a moment later (DNS rebinding) changes nothing, since nothing is looked up twice. TLS
still verifies the host name, because only the TCP connection sees the address.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from typing import Any

import httpcore2
import httpx2

from listener.errors import FetchError
from listener.fetch.addresses import AllowList, IPAddress, refusal

MOST_ADDRESSES = 4  # of one name; each gets its share of the time to connect

Resolve = Callable[[str, int], Awaitable[list[IPAddress]]]


async def resolve(host: str, port: int, *, look_up: Callable[..., Any] = socket.getaddrinfo) -> list[IPAddress]:
    """All addresses of ``host``, in the system's order of preference. Raises OSError.

    Each look-up has a thread of its own: ``loop.getaddrinfo`` shares a handful of threads with the whole process, so
    that a few names whose servers hang would hold up everything else. The thread is a daemon, so that it does not hold
    up the end of the process either.
    """
    with contextlib.suppress(ValueError):
        return [ip_address(host)]
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[IPAddress]] = loop.create_future()

    def settle(addresses: list[IPAddress] | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(addresses or [])
        else:
            answer.set_exception(error)

    def work() -> None:
        addresses, error = None, None
        try:
            found = look_up(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))
        except OSError as failure:
            error = failure
        except ValueError:  # a label of more than 63 characters cannot be encoded for DNS
            error = OSError("the host name is not valid")
        with contextlib.suppress(RuntimeError):  # the loop was closed while the name server was silent
            loop.call_soon_threadsafe(settle, addresses, error)

    threading.Thread(target=work, name="listener-dns", daemon=True).start()
    return await answer


class VettedBackend(httpcore2.AsyncNetworkBackend):
    """Opens TCP connections for the pool, to addresses that pass the policy only."""

    def __init__(self, allowed: AllowList, resolve_host: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve_host
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- the interface of httpcore2
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Look ``host`` up once and connect to the first vetted address that answers.

        Raises FetchError when no address is allowed, httpcore2.ConnectError and ConnectTimeout otherwise.
        """
        give_up_at = time.monotonic() + (timeout or 0.0)
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore2.ConnectError(error) from error
        vetted = vet(host, addresses, self._allowed)[:MOST_ADDRESSES]
        failure: Exception = httpcore2.ConnectError("no address")
        for left in range(len(vetted), 0, -1):
            share = None if timeout is None else max(0.0, give_up_at - time.monotonic()) / left
            try:
                return await self._inner.connect_tcp(
                    str(vetted[-left]), port, share, local_address=local_address, socket_options=socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


def vet(host: str, addresses: Iterable[IPAddress], allowed: AllowList) -> list[IPAddress]:
    """The addresses that we may connect to; raise FetchError, naming the kind of address, when none is left."""
    judged = [(address, None if allowed.admits(host, address) else refusal(address)) for address in addresses]
    vetted = [address for address, why in judged if why is None]
    if judged and not vetted:
        kinds = ", ".join(sorted({why for _, why in judged if why}))
        raise FetchError(f"{host}: resolves to {kinds} addresses only; allow_private_hosts does not list it")
    if not vetted:
        raise FetchError(f"{host}: the name has no address")
    return vetted


class VettedTransport(httpx2.AsyncHTTPTransport):
    """The transport of httpx2 over a pool that connects through ``backend``.

    The pool has no upper limit: one request at a time and origin bounds it, and a limit could be used up by hosts that
    hang. httpx2 takes no network backend of its own, hence the pool is put in its place (a test holds us to it).
    """

    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        context = httpx2.create_ssl_context()  # the system's authorities, or SSL_CERT_FILE
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=32,
            keepalive_expiry=15.0,
            network_backend=backend,
        )
