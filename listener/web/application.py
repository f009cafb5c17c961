"""Metrics for Prometheus, health for whoever restarts or routes to the daemon, and the routers of all the rest."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from listener import __version__
from listener.alerts.words.languages import tongue
from listener.alerts.words.page_texts import Unusable
from listener.errors import StoreError
from listener.web import act, alerts, silences
from listener.web.acting import Acting
from listener.web.auth import Guard
from listener.web.guarded import Guarded
from listener.web.pages import error_page
from listener.web.words import language_of

Check = Callable[[], Awaitable[str | None]]  # None when well, else what is wrong


def application(
    registry: CollectorRegistry, *, alive: Check, ready: dict[str, Check], acting: Acting | None = None
) -> FastAPI:
    """The application.

    ``GET /healthz`` is 200 while the daemon's stages run (restart it otherwise); ``GET /readyz`` is 200 when it can do
    its whole job, and names each part that cannot (503); ``GET /metrics`` is for Prometheus. With ``acting`` there are
    the pages of links (``/act/TOKEN``) and the API under ``/api/v1``, described by ``GET /openapi.json``.
    """
    app = FastAPI(title="listener", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Guarded)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StoreError, _down)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz", tags=["health"])
    async def healthz() -> JSONResponse:
        """Whether the daemon's stages run."""
        problem = await alive()
        return JSONResponse({"status": problem or "ok"}, status_code=503 if problem else 200)

    @app.get("/readyz", tags=["health"])
    async def readyz() -> JSONResponse:
        """Whether it can do its whole job."""
        checks = {name: await check() for name, check in ready.items()}
        failed = any(problem is not None for problem in checks.values())
        return JSONResponse(
            {
                "status": "not ready" if failed else "ok",
                "checks": {name: problem or "ok" for name, problem in checks.items()},
            },
            status_code=503 if failed else 200,
        )

    if acting is not None:
        guard = Guard(acting)
        app.include_router(act.router(acting))
        app.include_router(alerts.router(acting, guard))
        app.include_router(silences.router(acting, guard))
    return app


async def _invalid(_request: Request, error: Exception) -> Response:
    """Say where and what, and never repeat what was sent: it may hold a secret in the wrong place."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{"loc": list(fault["loc"]), "msg": fault["msg"], "type": fault["type"]} for fault in faults]
    return JSONResponse({"detail": detail}, status_code=422)


async def _down(request: Request, _error: Exception) -> Response:
    """The database does not answer: whoever asked may try again."""
    if request.url.path.startswith("/act/"):
        t = tongue(language_of(request.headers.get("Accept-Language")))
        return error_page(t, Unusable.DOWN, status=503)
    return JSONResponse({"detail": "the database does not answer"}, status_code=503, headers={"Retry-After": "10"})
