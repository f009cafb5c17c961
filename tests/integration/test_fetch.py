"""The fetcher against a real server: conditional requests, statuses, retries, Retry-After."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest
from structlog.testing import capture_logs

from listener.domain import Accept, Page, Request, Validator
from listener.errors import AccessDenied, FetchError, Gone, RateLimited
from listener.fetch import Fetcher
from listener.fetch.wire import NoAnswerError
from tests.fetching import NOW, POLICY, Time, after, feed, fetcher, poll
from tests.misbehaving import Document, Misbehaving, misbehaving


@pytest.fixture
async def server() -> AsyncIterator[Misbehaving]:
    """The misbehaving server."""
    async with misbehaving() as running:
        yield running


# ------------------------------------------------------------------------------------------------- conditional requests


async def test_an_answer(server: Misbehaving) -> None:
    """What a plug-in gets, and what the server sees of us."""
    document = Document(body=b"<rss/>", headers=(("Content-Type", "application/rss+xml"), ("Set-Cookie", "id=1")))
    url = server.serve("/feed", document)
    async with fetcher() as fetch:
        found = await poll(fetch)(feed(url + "?a=1", params={"b": "2"}, headers={"X-Key": "k"}))
    headers = {"content-type": "application/rss+xml", "content-length": "6"}
    assert found == Page(url=url + "?a=1&b=2", status=200, headers=headers, body=b"<rss/>", fetched_at=NOW)
    asked = server.requests[0]
    assert asked.target == "/feed?a=1&b=2"
    assert asked.headers["user-agent"] == POLICY.user_agent
    assert asked.headers["accept-encoding"] == "gzip, deflate"
    assert asked.headers["accept"].startswith("application/atom+xml")
    assert asked.headers["x-key"] == "k"
    assert not {"if-none-match", "if-modified-since", "cookie", "authorization"} & asked.headers.keys()


@pytest.mark.parametrize(
    ("etag", "last_modified"),
    [
        ('W/"a,b \\ c"', "Sat, 21 Nov 2026 10:00:00 GMT"),
        ('"strong"', None),
        ("unquoted", None),
        ('"\xe9\xff"', None),
        (None, "yesterday, or so"),
    ],
)
async def test_validators_come_back_byte_for_byte(
    server: Misbehaving, etag: str | None, last_modified: str | None
) -> None:
    """Whatever they are: only the server can tell what they mean (RFC 9110, 8.8)."""
    url = server.serve("/feed", Document(body=b"<rss/>", etag=etag, last_modified=last_modified))
    async with fetcher() as fetch:
        first = poll(fetch)
        assert (await first(feed(url))).status == 200
        assert list(first.validators.values()) == [Validator(etag=etag, last_modified=last_modified)]
        assert first.refreshed_at == NOW
        second = poll(fetch, after(first))
        found = await second(feed(url))
    assert (found.status, found.body, found.not_modified) == (304, b"", True)
    assert second.validators == first.validators
    assert second.refreshed_at == first.refreshed_at
    assert server.requests[1].headers.get("if-none-match") == etag
    assert server.requests[1].headers.get("if-modified-since") == last_modified


async def test_a_new_answer_brings_a_new_validator(server: Misbehaving) -> None:
    """And one without any brings none: the old one is not kept."""
    url = server.serve("/feed", Document(body=b"1", etag='"1"'))
    async with fetcher() as fetch:
        first = poll(fetch)
        await first(feed(url))
        server.serve("/feed", Document(body=b"2", etag='"2"'))
        second = poll(fetch, after(first))
        assert (await second(feed(url))).body == b"2"
        assert list(second.validators.values()) == [Validator(etag='"2"')]
        server.serve("/feed", b"3")
        third = poll(fetch, after(second))
        assert (await third(feed(url))).body == b"3"
    assert third.validators == {}
    assert third.refreshed_at == NOW


async def test_validators_belong_to_the_whole_url(server: Misbehaving) -> None:
    """Another page of the same feed is another document."""
    url = server.serve("/feed", Document(body=b"1", etag='"1"'))
    async with fetcher() as fetch:
        first = poll(fetch)
        await first(feed(url, params={"page": "1"}))
        second = poll(fetch, after(first))
        await second(feed(url, params={"page": "2"}))
        await second(feed(url, params={"page": "1"}, conditional=False))
    assert ["if-none-match" in asked.headers for asked in server.requests] == [False, False, False]
    assert len(second.validators) == 1


async def test_a_day_after_the_last_full_fetch_everything_is_read_again(server: Misbehaving) -> None:
    """Some servers answer 304 for ever."""
    time = Time()
    async with fetcher(time) as fetch:
        first = poll(fetch)
        await first(feed(server.url("/always-304")))
        statuses = []
        checkpoint = after(first)
        for hours in (1, 23, 24, 25):
            time.at = hours * 3600.0
            visited = poll(fetch, checkpoint)
            statuses.append((await visited(feed(server.url("/always-304")))).status)
            checkpoint = after(visited)
    assert statuses == [304, 304, 200, 304]
    assert checkpoint.refreshed_at == NOW + timedelta(hours=24)


async def test_after_the_clock_was_set_back_everything_is_read_again(server: Misbehaving) -> None:
    """A last fetch in the future would be fresh for years."""
    async with fetcher() as fetch:
        first = poll(fetch)
        await first(feed(server.url("/always-304")))
        visited = poll(fetch, replace(after(first), refreshed_at=NOW + timedelta(days=400)))
        assert (await visited(feed(server.url("/always-304")))).status == 200
    assert visited.refreshed_at == NOW


async def test_a_304_that_nobody_asked_for_is_an_error(server: Misbehaving) -> None:
    """There is nothing that could be unchanged."""
    async with fetcher() as fetch:
        with pytest.raises(FetchError, match="no validator was sent"):
            await poll(fetch)(feed(server.url("/status?code=304")))


# ------------------------------------------------------------------------------------------------ statuses and retries


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/status?code=401", AccessDenied),
        ("/status?code=402", AccessDenied),
        ("/status?code=403", AccessDenied),
        ("/status?code=404", FetchError),
        ("/status?code=410", Gone),
        ("/status?code=451", FetchError),
        ("/status?code=206", FetchError),
        ("/status?code=300", FetchError),
    ],
)
async def test_statuses_that_end_the_poll(server: Misbehaving, target: str, error: type[Exception]) -> None:
    """At the first answer, as the error that tells the pipeline what to do."""
    async with fetcher() as fetch:
        with pytest.raises(error, match=r"127\.0\.0\.1") as caught:
            await poll(fetch)(feed(server.url(target)))
    assert type(caught.value) is error
    assert len(server.requests) == 1


async def test_no_content_is_an_answer(server: Misbehaving) -> None:
    """204 has no body, and that is fine."""
    async with fetcher() as fetch:
        found = await poll(fetch)(feed(server.url("/empty")))
    assert (found.status, found.body) == (204, b"")


@pytest.mark.parametrize("code", [408, 425, 500, 502, 503, 504])
async def test_passing_troubles_are_tried_again(server: Misbehaving, code: int) -> None:
    """With full jitter: half of 1 s, half of 2 s."""
    time = Time()
    with capture_logs() as logs:
        async with fetcher(time) as fetch:
            found = await poll(fetch)(feed(server.url(f"/flaky?code={code}&times=2")))
    assert found.body == b"at last"
    assert time.slept == [0.5, 1.0]
    assert [entry["event"] for entry in logs] == ["fetch.retried"] * 2


@pytest.mark.parametrize("target", ["/flaky?code=500&times=3", "/drop-first?times=3"])
async def test_three_attempts_a_poll(server: Misbehaving, target: str) -> None:
    """The rest is the next poll's, also when the troubles are spread over several pages."""
    async with fetcher() as fetch:
        with pytest.raises(FetchError):
            await poll(fetch)(feed(server.url(target)))
        assert len(server.requests) == 3
        server.requests.clear()
        visit = poll(fetch)
        await visit(feed(server.url("/flaky?code=500&times=1&page=1")))
        await visit(feed(server.url("/flaky?code=500&times=1&page=2")))
        with pytest.raises(FetchError):
            await visit(feed(server.url("/flaky?code=500&times=1&page=3")))
    assert len(server.requests) == 5


async def test_a_dropped_connection_is_tried_again(server: Misbehaving) -> None:
    """No status line came: nothing was answered."""
    async with fetcher() as fetch:
        assert (await poll(fetch)(feed(server.url("/drop-first?times=2")))).body == b"at last"


async def test_a_refused_connection_is_tried_again_and_named() -> None:
    """Nobody listens at that port."""
    async with misbehaving() as closed:
        url = closed.url("/")
    time = Time()
    async with fetcher(time) as fetch:
        with pytest.raises(NoAnswerError, match=r"127\.0\.0\.1: the connection failed \(Connection refused\)"):
            await poll(fetch)(feed(url))
    assert len(time.slept) == 2


@pytest.mark.parametrize("target", ["/flaky?code=500&times=1", "/drop-first?times=1"])
async def test_a_post_is_sent_once(server: Misbehaving, target: str) -> None:
    """Nobody knows what the server has done with it."""
    async with fetcher() as fetch:
        with pytest.raises(FetchError):
            await poll(fetch)(Request(url=server.url(target), accept=Accept.JSON, method="POST", body=b"{}"))
    assert [asked.body for asked in server.requests] == [b"{}"]


async def test_time_spent_waiting_for_answers_counts_into_the_budget(server: Misbehaving) -> None:
    """A server that takes seconds to fail is not asked three times in a row."""
    ticks = iter(range(0, 10_000, 6))
    policy = replace(POLICY)
    async with Fetcher(policy, monotonic=lambda: float(next(ticks)), draw=lambda: 0.0) as fetch:
        with pytest.raises(FetchError):
            await poll(fetch)(feed(server.url("/flaky?code=500&times=1")))
    assert len(server.requests) == 1


# --------------------------------------------------------------------------------------------------------- Retry-After


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_short_wait_is_waited(server: Misbehaving, code: int, form: str) -> None:
    """It fits the poll."""
    asked = "3" if form == "seconds" else format_datetime(NOW + timedelta(seconds=3), usegmt=True)
    time = Time()
    async with fetcher(time) as fetch:
        found = await poll(fetch)(feed(server.url("/flaky"), params={"code": str(code), "retry-after": asked}))
    assert found.body == b"at last"
    assert time.slept == [3.0]


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_long_wait_is_told_at_once(server: Misbehaving, code: int, form: str) -> None:
    """Nothing is held up; the source is rescheduled."""
    asked = "7200" if form == "seconds" else format_datetime(NOW + timedelta(hours=2), usegmt=True)
    time = Time()
    async with fetcher(time) as fetch:
        with pytest.raises(RateLimited) as caught:
            await poll(fetch)(feed(server.url("/status"), params={"code": str(code), "retry-after": asked}))
    assert caught.value.retry_after_secs == 7200.0
    assert time.slept == []


async def test_429_without_a_word_is_a_minute(server: Misbehaving) -> None:
    """Doubling it is the pipeline's business."""
    async with fetcher() as fetch:
        with pytest.raises(RateLimited) as caught:
            await poll(fetch)(feed(server.url("/status?code=429")))
    assert caught.value.retry_after_secs == 60.0
    assert len(server.requests) == 1


async def test_who_was_told_to_stay_away_does(server: Misbehaving) -> None:
    """Its neighbours at the same origin go on: they are told for themselves if it concerns them."""
    good = server.serve("/good", b"ok")
    async with fetcher() as fetch:
        with pytest.raises(RateLimited):
            await poll(fetch, source="forum")(feed(server.url("/status?code=429&retry-after=600")))
        asked = len(server.requests)
        with pytest.raises(RateLimited, match="left alone for another 600 s"):
            await poll(fetch, source="forum")(feed(good))
        assert len(server.requests) == asked
        assert (await poll(fetch, source="blog")(feed(good))).status == 200


async def test_an_empty_quota_is_not_overdrawn(server: Misbehaving) -> None:
    """The second page of a poll waits for the reset, or tells how long it would be."""
    for secs, path in (("4", "/few"), ("400", "/many")):
        server.serve(path, Document(body=b"1", headers=(("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", secs))))
    time = Time()
    async with fetcher(time) as fetch:
        visit = poll(fetch)
        await visit(feed(server.url("/few")))
        await visit(feed(server.url("/many")))
        assert time.slept == [4.0]
        with pytest.raises(RateLimited) as caught:
            await visit(feed(server.url("/few")))
    assert caught.value.retry_after_secs == 400.0
    assert len(server.requests) == 2
