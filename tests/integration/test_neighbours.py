"""Sources that hang, lie or say 429 do not hold up their neighbours: whole polls, real HTTP, a real database."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from listener.domain import Assessment, Verdict
from listener.fetch import Fetcher
from listener.matching import Matcher, compile_brand
from listener.metrics import Metrics
from listener.pipeline import Parts, poll
from listener.protocols import Languages
from listener.sentiment.scorer import on_thread
from listener.sources.json_api import JsonApi
from listener.store import Database
from tests.fetching import POLICY
from tests.mentions import NOW
from tests.misbehaving import misbehaving

REVIEWS = json.dumps([{"id": number, "text": f"Bolt ride number {number}"} for number in range(50)]).encode()


class Silent:
    """No model is asked here."""

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        raise AssertionError(texts)


@asynccontextmanager
async def parts(database: Database, urls: dict[str, str]) -> AsyncIterator[Parts]:
    """Sources at these addresses."""
    sources = {
        name: JsonApi.model_validate({"name": name, "url": url, "fields": {"external_id": "id", "text": "text"}})
        for name, url in urls.items()
    }
    async with Fetcher(POLICY) as fetcher, on_thread(Silent) as scorer:
        yield Parts(
            database=database,
            metrics=Metrics(),
            fetcher=fetcher,
            sources=sources,
            brands={},
            matcher=Matcher([compile_brand("bolt", ["Bolt"])]),
            identify=lambda _: "en",
            scorer=scorer,
            rules={},
            receivers={},
            now=lambda: NOW,
        )


@pytest.mark.parametrize("same_origin", [True, False], ids=["same host", "other host"])
@pytest.mark.parametrize("bad", ["/hang", "/slow-loris", "/endless", "/status?code=429&retry-after=600", "/drop"])
async def test_a_bad_source_does_not_hold_up_its_neighbour(database: Database, bad: str, same_origin: bool) -> None:
    """The neighbour ends its poll, whatever the bad one is still doing."""
    async with misbehaving() as server:
        server.serve("/reviews", REVIEWS)
        port = server.port if same_origin else await server.listen()
        urls = {"bad": server.url(bad), "good": f"http://127.0.0.1:{port}/reviews"}
        async with parts(database, urls) as running:
            troubled = asyncio.create_task(poll(running, "bad"))
            await server.until_asked(1)
            async with asyncio.timeout(10):
                report = await poll(running, "good")
            troubled.cancel()
            await asyncio.gather(troubled, return_exceptions=True)
    assert report.verdicts == {Verdict.NEW: 50}


async def test_fifty_sources_that_hang_do_not_use_anything_up(database: Database) -> None:
    """Each at an origin of its own, all at once: no pool, thread or lock is shared that they could exhaust."""
    async with misbehaving() as server:
        server.serve("/reviews", REVIEWS)
        ports = [await server.listen() for _ in range(50)]
        urls = {f"hang{port}": f"http://127.0.0.1:{port}/hang" for port in ports}
        async with parts(database, {**urls, "good": server.url("/reviews")}) as running:
            hanging = [asyncio.create_task(poll(running, name)) for name in urls]
            await server.until_asked(50)
            async with asyncio.timeout(10):
                assert (await poll(running, "good")).outcome == "ok"
            assert not any(task.done() for task in hanging)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_hostile_body_costs_its_own_poll_only(database: Database) -> None:
    """A bomb, a cut-off body and a page in place of JSON: each is one clear outcome."""
    async with misbehaving() as server:
        server.serve("/page", b"<!doctype html><title>Log in</title>")
        urls = {"bomb": "/double-gzip-bomb", "cut": "/partial", "page": "/page", "lies": "/bad-length"}
        async with parts(database, {name: server.url(path) for name, path in urls.items()}) as running:
            reports = await asyncio.gather(*(poll(running, name) for name in urls))
    outcomes = {report.source: report.outcome for report in reports}
    assert outcomes["page"] == "unreadable"
    assert outcomes["bomb"] == outcomes["cut"] == "failed"
