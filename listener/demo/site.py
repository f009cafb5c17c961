"""The demo's site: a real Atom feed, a real JSON review API and the pages they link to, served on loopback.

What can be read depends on the time alone, so the site keeps no state and any number of polls sees the same story.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Annotated, Any, Self

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from pydantic import AwareDatetime

from listener.demo.pages import atom, conditional, front_page, item_page, review
from listener.demo.story import Item, Row, visible
from listener.serving import serving

FEED_ENTRIES_MAX = 200
REVIEWS_PER_PAGE = 50


def utc_now() -> datetime:
    """The time on the wall."""
    return datetime.now(UTC)


class DemoSite:
    """The site, served while the ``async with`` block runs.

    ``started_at`` is when the story starts, ``speed`` how many of its seconds pass in one. ``host`` is an IPv4 address;
    ``port`` 0 takes a free one; ``url`` is the address that was bound. Entering raises ConfigError when it is taken.
    """

    def __init__(
        self,
        story: Sequence[Row],
        *,
        started_at: datetime,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._story = story
        self._started_at = started_at
        self._speed = speed
        self._now = now
        self._address = (host, port)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        site = serving(lambda url: application(self.items, url=url), *self._address)
        self.url = await self._stack.enter_async_context(site)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def items(self) -> list[Item]:
        """What the site shows now, the newest date first."""
        return visible(self._story, self._started_at, self._now(), speed=self._speed)


def application(items: Callable[[], list[Item]], *, url: str) -> FastAPI:
    """The site as an ASGI application that links to itself as ``url``; it answers 400 to what it cannot read."""
    app = FastAPI(title="Kiirkott, the story", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(RequestValidationError, _refuse)

    def shown(place: str) -> list[Item]:
        return [item for item in items() if item.row.place == place]

    def page(place: str, item_id: str) -> HTMLResponse:
        found = next((item for item in shown(place) if item.row.id == item_id), None)
        if found is None:
            raise HTTPException(404, "nobody has written this")
        return HTMLResponse(item_page(found))

    @app.get("/")
    async def front() -> HTMLResponse:
        return HTMLResponse(front_page(items()))

    @app.get("/robots.txt")
    async def robots() -> PlainTextResponse:
        return PlainTextResponse("User-agent: *\nAllow: /\n")

    @app.get("/feed.xml")
    async def feed(request: Request) -> Response:
        entries = shown("feed")[:FEED_ENTRIES_MAX]
        return conditional(request, atom(entries, url=url), "application/atom+xml; charset=utf-8", entries)

    @app.get("/api/reviews")
    async def reviews(
        request: Request,
        since: AwareDatetime | None = None,
        page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    ) -> Response:
        found = [item for item in shown("reviews") if since is None or item.changed_at >= since]
        start = (page - 1) * REVIEWS_PER_PAGE
        chosen = found[start : start + REVIEWS_PER_PAGE]
        answer: dict[str, Any] = {
            "reviews": [review(item, url=url) for item in chosen],
            "total": len(found),
            "next_page": page + 1 if start + REVIEWS_PER_PAGE < len(found) else None,
        }
        return conditional(request, JSONResponse(answer).body, "application/json", found)

    @app.get("/post/{item_id}")
    async def post_page(item_id: str) -> HTMLResponse:
        return page("feed", item_id)

    @app.get("/review/{item_id}")
    async def review_page(item_id: str) -> HTMLResponse:
        return page("reviews", item_id)

    return app


async def _refuse(_: Request, error: Exception) -> Response:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    message = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in faults)
    return JSONResponse({"error": "bad_request", "message": message}, status_code=400)
