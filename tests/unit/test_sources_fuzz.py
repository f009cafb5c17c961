"""Mutated documents and arbitrary JSON never raise anything but ParseError, and what is read can be stored."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from listener.domain import Page
from listener.errors import ParseError
from listener.sources.base import BaseSource
from listener.sources.reading.jsontext import loads
from tests.sources.golden import Recorded, recorded

PAGES = recorded()
TOKENS = [
    *(
        b"<",
        b">",
        b"&",
        b"]]>",
        b"<![CDATA[",
        b"<!--",
        b"<item>",
        b"</item>",
        b"<entry>",
        b"xmlns='x'",
        b"<!DOCTYPE a [",
    ),
    *(b"&#0;", b"&#x110000;", b"http://[", b"<feed xmlns='http://www.w3.org/2005/Atom' xml:base='http://['>"),
    *(
        b'"',
        b"{",
        b"[",
        b"null",
        b"1e999",
        b"NaN",
        b"\\ud800",
        b"-1",
        b"9" * 50,
        b"\n",
        b",",
        b";",
        b"\x00",
        b"\xff\xfe",
    ),
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Recorded, bytes]:
    """A recorded page with bytes cut out, doubled, or put in."""
    page = draw(st.sampled_from(PAGES))
    body = page.page.read_bytes()
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 60)))
        middle = draw(st.sampled_from(TOKENS) | st.binary(max_size=6) | st.just(body[start:end] * 2))
        body = body[:start] + middle + body[end:]
    return page, body


def check(source: BaseSource, page: Page) -> None:
    try:
        parsed = source.parse(page)
    except ParseError:
        return
    for mention in parsed.mentions:
        written = f"{mention.external_id}{mention.url}{mention.text}{mention.title}{mention.author}".encode()
        assert b"\0" not in written
        assert mention.url == "" or mention.url.startswith(("http://", "https://"))


@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_pages(case: tuple[Recorded, bytes]) -> None:
    recorded_page, body = case
    page = recorded_page.answer()
    changed = Page(url=page.url, status=200, headers={}, body=body, fetched_at=datetime(2026, 11, 21, tzinfo=UTC))
    check(recorded_page.source(), changed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "url", "text", "items", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=2000)
@given(st.lists(JSON, max_size=4))
@pytest.mark.parametrize("name", ["feed.json", "json_api"])
def test_arbitrary_items(name: str, items: list[Any]) -> None:
    """In the place where the source looks for its items."""
    recorded_page = next(page for page in PAGES if page.name == name)
    document = loads(recorded_page.page.read_bytes())
    (document if name == "feed.json" else document["data"])["items" if name == "feed.json" else "reviews"] = items
    page = recorded_page.answer()
    changed = Page(url=page.url, status=200, headers={}, body=json.dumps(document).encode(), fetched_at=page.fetched_at)
    check(recorded_page.source(), changed)
