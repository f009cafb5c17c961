"""The demo's site over real HTTP: a feed and an API as strangers serve them, changing with the time alone."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import feedparser
import httpx2
import pytest

from listener.demo.site import FEED_ENTRIES_MAX, REVIEWS_PER_PAGE, DemoSite
from listener.demo.story import load_story
from listener.errors import ConfigError

STORY = load_story()
STARTED_AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
ATOM = {"a": "http://www.w3.org/2005/Atom"}


class Clock:
    """The time, as the test sets it."""

    def __init__(self) -> None:
        self.now = STARTED_AT

    def __call__(self) -> datetime:
        """Now."""
        return self.now

    def set(self, secs: float) -> None:
        """So many seconds after the start."""
        self.now = STARTED_AT + timedelta(seconds=secs)


@pytest.fixture
def clock() -> Clock:
    """At the start of the story."""
    return Clock()


@pytest.fixture
async def site(clock: Clock) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the running site."""
    async with (
        DemoSite(STORY, started_at=STARTED_AT, now=clock) as running,
        httpx2.AsyncClient(base_url=running.url, trust_env=False) as client,
    ):
        yield client


async def read_reviews(client: httpx2.AsyncClient, **params: str) -> list[dict[str, Any]]:
    """All reviews, page by page."""
    reviews: list[dict[str, Any]] = []
    page: int | None = 1
    while page:
        answer = (await client.get("/api/reviews", params={**params, "page": str(page)})).raise_for_status().json()
        assert len(answer["reviews"]) <= REVIEWS_PER_PAGE
        reviews += answer["reviews"]
        page = answer["next_page"]
    assert len(reviews) == answer["total"]
    return reviews


async def test_the_feed_is_atom_with_all_that_a_reader_wants(site: httpx2.AsyncClient, clock: Clock) -> None:
    """Ids, links, authors, dates and content, for what can be seen and nothing else."""
    answer = await site.get("/feed.xml")
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    entries = ET.fromstring(answer.content).findall("a:entry", ATOM)  # noqa: S314 -- our own site
    posts = [row for row in STORY if row.place == "feed" and row.at_hours is not None and row.appears_secs is None]
    assert len(entries) == len(posts)
    newest, last = entries[0], max(posts, key=lambda row: row.at_hours or 0)
    assert newest.findtext("a:author/a:name", None, ATOM) == last.author
    assert last.text.split(maxsplit=1)[0] in (newest.findtext("a:content", None, ATOM) or "")
    for entry in entries:
        assert datetime.fromisoformat(entry.findtext("a:published", "", ATOM)) <= clock.now
        assert entry.findtext("a:id", "", ATOM).startswith("tag:kiirkott.example,2026:p")


async def test_a_feed_parser_reads_it(site: httpx2.AsyncClient, clock: Clock) -> None:
    """The newest entries only, however long the story gets; links lead to pages."""
    clock.set(119.9)
    parsed = feedparser.parse((await site.get("/feed.xml")).content)
    assert len(parsed.entries) == FEED_ENTRIES_MAX
    link = parsed.entries[0]["link"]
    page = (await site.get(link)).raise_for_status()
    assert parsed.entries[0]["author"] in page.text


async def test_an_unchanged_feed_is_not_sent_again(site: httpx2.AsyncClient, clock: Clock) -> None:
    """Until a post appears: both validators stand, then both change."""
    clock.set(2)
    first = await site.get("/feed.xml")
    validators = {"if-none-match": first.headers["etag"], "if-modified-since": first.headers["last-modified"]}
    clock.set(3)
    for name, value in validators.items():
        again = await site.get("/feed.xml", headers={name: value})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    clock.set(5.5)
    for name, value in validators.items():
        assert (await site.get("/feed.xml", headers={name: value})).status_code == 200
    changed = await site.get("/feed.xml", headers=validators)
    assert changed.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"other"', "if-modified-since": "Mon, 02 Mar 2099 12:00:00 GMT"}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-modified-since": "Mon, 02 Mar 2026 12:00:00 -0000"}, 200),
        ({"if-modified-since": "Mon, 02 Mar 2026 11:59:00 GMT"}, 304),
    ],
)
async def test_conditions_are_read_as_rfc_9110_says(
    site: httpx2.AsyncClient, headers: dict[str, str], status: int
) -> None:
    """If-None-Match rules; a date that is none is no condition."""
    assert (await site.get("/feed.xml", headers=headers)).status_code == status


async def test_a_weak_and_a_listed_etag_match(site: httpx2.AsyncClient) -> None:
    """If-None-Match compares weakly (RFC 9110, 13.1.2), and may list several."""
    etag = (await site.get("/api/reviews")).headers["etag"]
    assert (await site.get("/api/reviews", headers={"if-none-match": f'"x", W/{etag}'})).status_code == 304


async def test_reviews_come_in_pages(site: httpx2.AsyncClient, clock: Clock) -> None:
    """Every review once, newest first, without the writer's labels."""
    clock.set(120)
    reviews = await read_reviews(site)
    assert {review["id"] for review in reviews} == {row.id for row in STORY if row.place == "reviews"}
    dates = [review["created_at"] for review in reviews]
    assert dates == sorted(dates, reverse=True)
    known = {"id", "url", "title", "text", "rating", "author", "created_at", "updated_at", "language"}
    assert all(set(review) in (known, known - {"language"}) for review in reviews)
    assert 0 < sum("language" not in review for review in reviews) < len(reviews)
    assert {review["rating"] for review in reviews} == {1, 2, 3, 4, 5}


async def test_since_leaves_out_what_has_not_changed(site: httpx2.AsyncClient, clock: Clock) -> None:
    """What appeared late is new, whatever its date says."""
    clock.set(120)
    since = STARTED_AT + timedelta(seconds=36)
    reviews = await read_reviews(site, since=f"{since:%Y-%m-%dT%H:%M:%SZ}")
    expected = {row.id for row in STORY if row.place == "reviews" and (row.appears_secs or row.at_secs or 0) >= 36}
    assert {review["id"] for review in reviews} == expected
    assert any(datetime.fromisoformat(review["created_at"]) < since for review in reviews)


async def test_a_page_after_the_last_is_empty(site: httpx2.AsyncClient) -> None:
    """As most APIs do it."""
    answer = (await site.get("/api/reviews", params={"page": "9999"})).json()
    assert (answer["reviews"], answer["next_page"]) == ([], None)


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=two", "page=99999999999999999999", "since=yesterday", "since=2026-03-02T12:00:00"],
)
async def test_a_bad_question_is_answered_with_the_reason(site: httpx2.AsyncClient, query: str) -> None:
    """400 and a message that names the parameter."""
    answer = await site.get(f"/api/reviews?{query}")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(query.split("=", maxsplit=1)[0])


async def test_an_edit_changes_the_page_and_the_feed(site: httpx2.AsyncClient, clock: Clock) -> None:
    """Same id, new text, new time."""
    row = next(row for row in STORY if row.edits and row.place == "feed")
    texts = []
    for secs in (row.edits[0].at_secs - 1, row.edits[0].at_secs):
        clock.set(secs)
        entries = ET.fromstring((await site.get("/feed.xml")).content).findall("a:entry", ATOM)  # noqa: S314 -- ours
        entry = next(entry for entry in entries if entry.findtext("a:id", "", ATOM).endswith(f":{row.id}"))
        same_date = entry.findtext("a:updated", "", ATOM) == entry.findtext("a:published", "", ATOM)
        texts.append(
            (entry.findtext("a:content", "", ATOM), same_date, "edited" in (await site.get(f"/post/{row.id}")).text)
        )
    assert [flags for _, *flags in texts] == [[True, False], [False, True]]
    assert texts[0][0] != texts[1][0]


async def test_people_can_open_what_the_links_name(site: httpx2.AsyncClient, clock: Clock) -> None:
    """Clean HTML for what is visible, 404 for what is not there or not yet."""
    clock.set(0)
    review = next(row for row in STORY if row.place == "reviews")
    page = await site.get(f"/review/{review.id}")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert f'<html lang="{review.lang}">' in page.text
    assert "★" in page.text
    unwritten = next(row for row in STORY if row.place == "feed" and row.at_secs)
    for path in (
        f"/post/{unwritten.id}",
        f"/post/{review.id}",
        "/review/r0",
        "/review/..%2f..%2fetc%2fpasswd",
        "/nowhere",
    ):
        assert (await site.get(path)).status_code == 404, path


async def test_a_text_with_markup_is_text(clock: Clock) -> None:
    """What people write never becomes markup, in the page or in the feed."""
    post = next(row for row in STORY if row.place == "feed" and row.at_hours is not None)
    hostile = post.model_copy(update={"text": "<script>alert(1)</script> & more", "author": "<b>", "title": "a < b"})
    async with DemoSite([hostile], started_at=STARTED_AT, now=clock) as running, httpx2.AsyncClient() as client:
        page = (await client.get(f"{running.url}/post/{hostile.id}")).text
        feed = (await client.get(f"{running.url}/feed.xml")).content
    assert not re.search(r"<(script|b)>", page)
    content = ET.fromstring(feed).findtext("a:entry/a:content", None, ATOM)  # noqa: S314 -- our own site
    assert content == "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; more</p>"


async def test_says_what_it_is_and_whom_it_lets_in(site: httpx2.AsyncClient) -> None:
    """A front page that says that all is invented, and a robots.txt that allows it."""
    assert "invented" in (await site.get("/")).text
    assert "Allow: /" in (await site.get("/robots.txt")).text


async def test_survives_many_polls_at_once(site: httpx2.AsyncClient) -> None:
    """A hundred at a time get the same answer."""
    answers = await asyncio.gather(*(site.get("/feed.xml") for _ in range(100)))
    assert {(answer.status_code, answer.headers["etag"]) for answer in answers} == {(200, answers[0].headers["etag"])}


async def test_a_taken_port_is_an_error_and_a_left_site_frees_it(clock: Clock) -> None:
    """The caller can say so, and start again."""
    async with DemoSite(STORY, started_at=STARTED_AT, now=clock) as running:
        port = int(running.url.rpartition(":")[2])
        with pytest.raises(ConfigError, match="in use"):
            await DemoSite(STORY, started_at=STARTED_AT, port=port, now=clock).__aenter__()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


async def test_the_speed_runs_the_same_story_faster(clock: Clock) -> None:
    """At speed 10 twelve seconds show it all."""
    clock.set(12)
    async with DemoSite(STORY, started_at=STARTED_AT, speed=10, now=clock) as running, httpx2.AsyncClient() as client:
        answer = (await client.get(f"{running.url}/api/reviews")).json()
    assert answer["total"] == sum(row.place == "reviews" for row in STORY)
