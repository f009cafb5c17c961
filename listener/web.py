"""The HTTP side: metrics for Prometheus, and health for whoever restarts or routes to the daemon."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from listener import __version__

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
