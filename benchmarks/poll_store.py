"""Mentions per second through poll and store, on SQLite and PostgreSQL, at 1, 10 and 100 times the rows.

``python -m benchmarks.poll_store [--mentions N] [--rows N] [--postgres URL] [--json]``: a service answers
with pages of 250 reviews; the real pipeline polls it, normalises, identifies languages, matches, dedupes and stores.
The stored rows before the poll grow tenfold from line to line: the cost of one more mention must not.
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from fastapi import FastAPI

from benchmarks.machine import machine
from listener.config import Brand
from listener.domain import RawMention
from listener.fetch import Fetcher, FetchPolicy
from listener.log import configure
from listener.matching import Matcher, compile_brand
from listener.metrics import Metrics
from listener.normalise import normalise
from listener.pipeline import Parts, poll
from listener.sentiment.language import identify
from listener.serving import serving
from listener.sources.json_api import JsonApi
from listener.store import Database, mentions, migrate
from listener.store.sources import SourceState

PAGE = 250
START = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS = """
    pakk kuller hilines tund väga hea kiire aeglane parcel late driver kind price app crashed refund thanks again
    посылка опоздала водитель вежливый спасибо цена приложение возврат никогда больше рекомендую
"""
WORDS = _WORDS.split()


def text(number: int) -> str:
    """A text of its own for every number, with the brand in one of its cases."""
    words = [WORDS[(number * 7 + step * step * 13 + number // (step + 1)) % len(WORDS)] for step in range(14)]
    return f"{' '.join(words[:7])} {('Bolt', 'Bolti', 'Boldist')[number % 3]} {' '.join(words[7:])} {number}"


def service(first: int, count: int) -> FastAPI:
    """The reviews ``first`` to ``first + count``, in pages."""
    app = FastAPI()

    @app.get("/reviews")
    async def reviews(page: int = 1) -> dict[str, Any]:
        start = first + (page - 1) * PAGE
        numbers = range(start, min(start + PAGE, first + count))
        return {
            "reviews": [
                {
                    "id": number,
                    "text": text(number),
                    "author": f"author{number % 997}",
                    "created": (START + timedelta(seconds=60 * number)).isoformat(),
                }
                for number in numbers
            ],
            "next": page + 1 if numbers.stop < first + count else None,
        }

    return app


def source(url: str) -> JsonApi:
    """The service as a source."""
    return JsonApi.model_validate(
        {
            "name": "reviews",
            "url": f"{url}/reviews",
            "items": "$.reviews[*]",
            "paging": {"kind": "cursor", "param": "page", "path": "$.next", "max_pages": 100},
            "fields": {"external_id": "id", "text": "text", "author": "author", "published_at": "created"},
        }
    )


async def preload(database: Database, rows: int) -> None:
    """Store ``rows`` older mentions, as earlier polls of another source would have."""
    for start in range(0, rows, 2000):
        found = []
        for number in range(start, min(start + 2000, rows)):
            at = START - timedelta(seconds=60 * (rows - number))
            raw = RawMention(external_id=str(number), url="", text=text(10_000_000 + number), published_at=at)
            one = normalise(raw, source="history", seen_at=START, identify=lambda _: "et")
            found.append(replace(one, brands=("bolt",)))
        await mentions.save_poll(database, found, SourceState(name="history", fingerprint="f"), now=START)


async def measure(database: Database, count: int) -> dict[str, float]:
    """One poll of ``count`` new mentions."""
    async with (
        serving(lambda _: service(0, count), "127.0.0.1", 0) as url,
        Fetcher(
            FetchPolicy(user_agent="benchmark", host_interval_secs=0, allow_private_hosts=frozenset({"127.0.0.1"}))
        ) as fetcher,
    ):
        parts = Parts(
            database=database,
            metrics=Metrics(),
            fetcher=fetcher,
            sources={"reviews": source(url)},
            brands={"bolt": Brand(names=("Bolt",))},
            matcher=Matcher([compile_brand("bolt", ["Bolt"])]),
            identify=identify,
            scorer=None,  # type: ignore[arg-type]  # nothing is scored here
            rules={},
            receivers={},
            now=lambda: START + timedelta(days=365),
        )
        identify("laadi mudel enne mõõtmist")
        wall, cpu = time.perf_counter(), time.process_time()
        report = await poll(parts, "reviews")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        stored = sum(report.verdicts.values())
        if stored != count:
            raise SystemExit(f"stored {stored} of {count}: {report}")
    return {
        "mentions_per_s": count / wall,
        "wall_ms_per_mention": 1e3 * wall / count,
        "cpu_ms_per_mention": 1e3 * cpu / count,
    }


@contextlib.asynccontextmanager
async def fresh(kind: str, postgres: str) -> AsyncIterator[Database]:
    """An empty, migrated database."""
    name = f"listener_bench_{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            url = f"sqlite:///{folder}/listener.db"
        else:
            connection = await asyncpg.connect(postgres)
            await connection.execute(f"CREATE DATABASE {name}")
            url = f"{postgres.rsplit('/', 1)[0]}/{name}"
        database = Database(url)
        try:
            await migrate.upgrade(database)
            yield database
        finally:
            await database.close()
            if kind != "sqlite":
                await connection.execute(f"DROP DATABASE {name}")
                await connection.close()


async def main(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All lines of the table."""
    lines: list[dict[str, Any]] = []
    for kind in ("sqlite", "postgresql"):
        for factor in (1, 10, 100):
            async with fresh(kind, options.postgres) as database:
                await preload(database, options.rows * factor)
                figures = await measure(database, options.mentions)
            lines.append({"database": kind, "stored_before": options.rows * factor, **figures})
            if not options.json:
                print(
                    f"{kind:11} {options.rows * factor:9,} rows before: {figures['mentions_per_s']:7.0f} mentions/s, "
                    f"{figures['wall_ms_per_mention']:.3f} ms each ({figures['cpu_ms_per_mention']:.3f} ms CPU of ours)"
                )
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mentions", type=int, default=2000, help="new mentions in the measured poll")
    parser.add_argument("--rows", type=int, default=2000, help="rows stored before, at factor 1")
    parser.add_argument("--postgres", default="postgresql://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    configure("console", "error")
    if not arguments.json:
        print(machine())
    table = asyncio.run(main(arguments))
    if arguments.json:
        print(json.dumps({"machine": machine(), "lines": table}))
