"""Why the feed reader is our own: fields that each reader gets wrong in gofeed's documents, and megabytes a second.

``python -m benchmarks.readers [--json] [FOLDER]``: fastfeedparser, feedparser and ours read every XML document of
gofeed's ``testdata`` whose expected JSON states fields, compared as in ``benchmarks.corpora``; the speed is over the
real feeds of rss-parser's ``test/input``, each read once after a first time.
"""

import argparse
import json
import os
import time
from calendar import timegm
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastfeedparser
import feedparser

from benchmarks.corpora import (
    URL,
    documents_of_gofeed,
    documents_of_rss_parser,
    expected_items,
    fields_of,
    same_form,
)
from benchmarks.machine import machine
from listener.domain import Page
from listener.errors import ParseError
from listener.sources.feed import Feed
from listener.sources.reading.times import parse_time

Fields = Mapping[str, Any]


def ours(body: bytes) -> list[Fields]:
    """What the ``feed`` source reads."""
    page = Page(url=URL, status=200, headers={}, body=body, fetched_at=datetime.now(UTC))
    return [fields_of(entry) for entry, _ in Feed(name="readers", url=URL).items(page)]


def by_feedparser(body: bytes) -> list[Fields]:
    """What feedparser 6 reads."""
    headers = {"content-location": URL}
    return [
        {
            "title": entry.get("title"),
            "link": entry.get("link"),
            "id": entry.get("id"),
            "author": entry.get("author"),
            "date": _moment(entry.get("published_parsed") or entry.get("updated_parsed")),
            "text": (entry.get("content") or [{}])[0].get("value") or entry.get("summary"),
        }
        for entry in feedparser.parse(body, response_headers=headers).entries
    ]


def by_fastfeedparser(body: bytes) -> list[Fields]:
    """What fastfeedparser reads."""
    return [
        {
            "title": entry.get("title"),
            "link": entry.get("link"),
            "id": entry.get("id"),
            "author": entry.get("author"),
            "date": parse_time(stated) if (stated := entry.get("published") or entry.get("updated")) else None,
            "text": (entry.get("content") or [{}])[0].get("value") or entry.get("description"),
        }
        for entry in fastfeedparser.parse(body).entries
    ]


READERS: dict[str, Callable[[bytes], list[Fields]]] = {
    "fastfeedparser": by_fastfeedparser,
    "feedparser": by_feedparser,
    "ours": ours,
}


def _moment(parsed: Any) -> datetime | None:
    return datetime.fromtimestamp(timegm(parsed), tz=UTC) if parsed else None


def read(name: str, body: bytes) -> list[Fields]:
    """What a reader makes of a document; nothing where it refuses it."""
    try:
        return READERS[name](body)
    except (ParseError, ValueError, LookupError, TypeError, AttributeError):
        return []


def wrong(name: str, documents: Sequence[Path]) -> tuple[int, Counter[str]]:
    """How many stated fields were compared, and how many of each the reader got wrong."""
    compared, missed = 0, Counter[str]()
    for document in documents:
        items = read(name, document.read_bytes())
        for number, wanted in enumerate(expected_items(document) or []):
            found = items[number] if number < len(items) else {}
            for field, value in wanted.items():
                compared += 1
                missed[field] += same_form(field, value) != same_form(field, found.get(field))
    return compared, missed


def speed(name: str, documents: Sequence[Path]) -> float:
    """Megabytes a second over whole feeds."""
    bodies = [document.read_bytes() for document in documents]
    for body in bodies:
        read(name, body)
    started = time.perf_counter()
    for body in bodies:
        read(name, body)
    return sum(map(len, bodies)) / 1e6 / (time.perf_counter() - started)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=os.environ.get("LISTENER_CORPORA", "../shared/corpora"), type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tests = [path for path in documents_of_gofeed(options.folder) if path.suffix == ".xml"]
    feeds = documents_of_rss_parser(options.folder)
    results = {}
    for reader in READERS:
        fields, missed = wrong(reader, tests)
        rate = round(speed(reader, feeds), 1)
        results[reader] = {"compared": fields, "wrong": missed.total(), "by_field": dict(missed), "mb_per_s": rate}
    if options.json:
        print(json.dumps({"machine": machine(), **results}))
    else:
        print(machine())
        for reader, figures in results.items():
            print(f"{reader:15} {figures}")
