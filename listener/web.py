"""The HTTP side: metrics for Prometheus, and health for whoever restarts or routes to the daemon."""

import asyncio
import contextlib
import socket as socketlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import structlog
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from listener import __version__

log = structlog.get_logger()

Check = Callable[[], Awaitable[str | None]]  # None when well, else what is wrong


def application(registry: CollectorRegistry, *, alive: Check, ready: dict[str, Check]) -> FastAPI:
    """The application.

    ``GET /healthz`` is 200 while the daemon's stages run (restart it otherwise); ``GET /readyz`` is 200 when it can do
    its whole job, and names each part that cannot (503); ``GET /metrics`` is for Prometheus.
    """
    app = FastAPI(title="listener", version=__version__, docs_url=None, redoc_url=None)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        problem = await alive()
        return JSONResponse({"status": problem or "ok"}, status_code=503 if problem else 200)

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        checks = {name: await check() for name, check in ready.items()}
        failed = any(problem is not None for problem in checks.values())
        return JSONResponse(
            {
                "status": "not ready" if failed else "ok",
                "checks": {name: problem or "ok" for name, problem in checks.items()},
            },
            status_code=503 if failed else 200,
        )

    return app


class Server(uvicorn.Server):
    """uvicorn inside our event loop: signals stay with the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGINT and SIGTERM alone: the daemon stops all its parts in order."""
        yield


@contextlib.asynccontextmanager
async def serving(app: FastAPI, host: str, port: int) -> AsyncIterator[str]:
    """Serve ``app`` while the block runs; gives its address. Raises OSError when the port is taken."""
    config = uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, lifespan="off")
    server = Server(config)
    # Bound here, not inside uvicorn, which would end the process when the port is taken.
    socket = await asyncio.to_thread(_bind, host, port)
    task = asyncio.create_task(server.serve(sockets=[socket]), name="http")
    try:
        bound = socket.getsockname()[1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    finally:
        server.should_exit = True
        await task
        socket.close()


def _bind(host: str, port: int) -> socketlib.socket:
    family, kind, protocol, _, address = socketlib.getaddrinfo(host, port, type=socketlib.SOCK_STREAM)[0]
    bound = socketlib.socket(family, kind, protocol)
    try:
        bound.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return bound
