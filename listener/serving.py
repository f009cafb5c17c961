"""A web application inside our own event loop, next to the daemon's other parts."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from fastapi import FastAPI

from listener.errors import ConfigError, Fault

STOP_SECS = 1  # for answers that are on their way


class _Server(uvicorn.Server):
    """uvicorn inside our event loop: signals stay with the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGINT and SIGTERM alone: the daemon stops all its parts in order."""
        yield


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens while the block runs. Raises ConfigError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.create_server((host, port), family=family)
    except OSError as error:
        fix = "choose another port, or stop what listens there"
        raise ConfigError([Fault(path=f"{host}:{port}", problem=f"cannot be listened on: {error}", fix=fix)]) from error
    with opened:
        yield opened


@contextlib.asynccontextmanager
async def serving(application: Callable[[str], FastAPI], host: str, port: int) -> AsyncIterator[str]:
    """Serve an application while the block runs; gives its address, with which ``application`` makes it.

    Port 0 takes a free one. Bound and listening when the block begins, so no request comes too early; raises
    ConfigError when the address cannot be had, where uvicorn itself would end the process.
    """
    with listening(host, port) as opened:
        address = f"http://{f'[{host}]' if ':' in host else host}:{opened.getsockname()[1]}"
        config = uvicorn.Config(
            application(address),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=STOP_SECS,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[opened]), name=f"http {address}")
        try:
            yield address
        finally:
            server.should_exit = True
            await task
