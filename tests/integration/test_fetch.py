"""The fetcher against a real server: conditional requests, statuses, retries, politeness, robots.txt, redirects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener.domain import Accept, Checkpoint, Page, Request, Validator
from listener.errors import AccessDenied, FetchError, Gone, RateLimited
from listener.fetch import Fetcher, FetchPolicy, SourceFetch
from listener.fetch.wire import NoAnswerError
from tests.misbehaving import Document, Misbehaving, misbehaving

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
POLICY = FetchPolicy(
    user_agent="listener/test (+https://listener.test)",
    host_interval_secs=0.0,
    page_interval_secs=0.0,
    allow_private_hosts=frozenset({"127.0.0.1", "localhost"}),
)


@dataclass
class Time:
    """A clock that jumps when somebody sleeps."""

    at: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """The date."""
        return NOW + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        """The seconds."""
        return self.at

    async def sleep(self, secs: float) -> None:
        """Let the time pass at once."""
        self.slept.append(secs)
        self.at += secs
        await asyncio.sleep(0)


@asynccontextmanager
async def fetcher(time: Time | None = None, **policy: Any) -> AsyncIterator[Fetcher]:
    """A fetcher that waits for nothing and draws a half."""
    time = time or Time()
    opened = Fetcher(
        replace(POLICY, **policy), now=time.now, monotonic=time.monotonic, sleep=time.sleep, draw=lambda: 0.5
    )
    async with opened:
        yield opened


def poll(fetch: Fetcher, checkpoint: Checkpoint | None = None, source: str = "blog", **options: Any) -> SourceFetch:
    """One poll of a source."""
    return fetch.for_source(source, checkpoint or Checkpoint(), now=fetch.now(), **options)


def feed(url: str, **fields: Any) -> Request:
    """A request for a feed."""
    return Request(url=url, accept=Accept.FEED, **fields)


def page(url: str) -> Request:
    """A request for a page."""
    return Request(url=url, accept=Accept.PAGE)


@pytest.fixture
async def server() -> AsyncIterator[Misbehaving]:
    """The misbehaving server."""
    async with misbehaving() as running:
        yield running


def after(fetched: SourceFetch) -> Checkpoint:
    """What the pipeline stores after a poll."""
    return Checkpoint(validators=fetched.validators, refreshed_at=fetched.refreshed_at)


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


async def test_an_origin_that_asked_for_peace_is_left_alone_by_all(server: Misbehaving) -> None:
    """Except by sources with a key of their own, whose quota is theirs; and other origins never hear of it."""
    good = server.serve("/good", b"ok")
    other = f"http://127.0.0.1:{await server.listen()}/good"
    async with fetcher() as fetch:
        with pytest.raises(RateLimited):
            await poll(fetch, source="keyed", keyed=True)(feed(server.url("/status?code=429&retry-after=600")))
        assert (await poll(fetch, source="blog")(feed(good))).status == 200
        with pytest.raises(RateLimited):
            await poll(fetch, source="blog")(feed(server.url("/status?code=429&retry-after=600")))
        asked = len(server.requests)
        with pytest.raises(RateLimited, match="left alone for another 600 s"):
            await poll(fetch, source="forum")(feed(good))
        assert len(server.requests) == asked
        assert (await poll(fetch, source="forum")(feed(other))).status == 200


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


# ------------------------------------------------------------------------------------------- politeness and robots.txt


async def test_the_gap_between_requests(server: Misbehaving) -> None:
    """Pages get more of it than feeds."""
    time = Time()
    url = server.serve("/x", b"x")
    async with fetcher(time, host_interval_secs=1.0, page_interval_secs=2.0) as fetch:
        for request in (feed(url), feed(url), page(url)):
            await poll(fetch)(request)
    assert time.slept == [1.0, 2.0, 2.0]  # feed, robots.txt, page


async def test_one_request_at_a_time(server: Misbehaving) -> None:
    """Twenty sources at one origin share one connection."""
    url = server.serve("/x", b"x")
    async with fetcher() as fetch:
        await asyncio.gather(*(poll(fetch, source=f"s{n}")(feed(f"{url}?n={n}")) for n in range(20)))
    assert [asked.options["n"] for asked in server.requests] == [str(n) for n in range(20)]


async def test_pages_ask_robots_txt_first(server: Misbehaving) -> None:
    """Once for all sources at the origin, and a forbidden page is never asked for."""
    server.serve("/robots.txt", b"User-agent: *\nDisallow: /private\nCrawl-delay: 9")
    server.serve("/public", b"hello")
    time = Time()
    async with fetcher(time) as fetch:
        with pytest.raises(AccessDenied, match=r"127\.0\.0\.1: robots\.txt"):
            await poll(fetch)(page(server.url("/private?x=1")))
        found = await asyncio.gather(*(poll(fetch, source=str(n))(page(server.url("/public"))) for n in range(2)))
        assert [answer.body for answer in found] == [b"hello"] * 2
        assert (await poll(fetch)(feed(server.url("/public")))).body == b"hello"
    assert [asked.path for asked in server.requests] == ["/robots.txt", "/public", "/public", "/public"]
    assert time.slept == [9.0, 9.0]


async def test_feeds_and_apis_are_meant_for_programs(server: Misbehaving) -> None:
    """robots.txt is about pages."""
    server.serve("/robots.txt", b"User-agent: *\nDisallow: /")
    url = server.serve("/api", b"[]")
    async with fetcher() as fetch:
        for accept in (Accept.FEED, Accept.JSON):
            assert (await poll(fetch)(Request(url=url, accept=accept))).status == 200


async def test_a_redirect_to_a_forbidden_page(server: Misbehaving) -> None:
    """Is as forbidden."""
    server.serve("/robots.txt", b"User-agent: *\nDisallow: /private")
    async with fetcher() as fetch:
        with pytest.raises(AccessDenied, match="robots"):
            await poll(fetch)(page(server.url("/redirect?to=/private")))
    assert server.asked("/private") == []


async def test_robots_txt_that_cannot_be_had(server: Misbehaving) -> None:
    """Nothing may be fetched; that is a failure of the host, not a refusal."""
    server.serve("/robots.txt", Document(body=b"", status=500))
    url = server.serve("/x", b"x")
    async with fetcher() as fetch:
        with pytest.raises(FetchError, match=r"robots\.txt cannot be had \(status 500\)"):
            await poll(fetch)(page(url))
    assert server.asked("/x") == []


async def test_robots_txt_that_finds_us_too_fast(server: Misbehaving) -> None:
    """429 for robots.txt is 429."""
    server.serve("/robots.txt", Document(body=b"", status=429, headers=(("Retry-After", "600"),)))
    async with fetcher() as fetch:
        with pytest.raises(RateLimited) as caught:
            await poll(fetch)(page(server.url("/x")))
    assert caught.value.retry_after_secs == 600.0


# ----------------------------------------------------------------------------------------------------------- redirects


async def test_redirects_are_followed_and_permanent_ones_told(server: Misbehaving) -> None:
    """Five at most; what is asked for moved for good, and the log may say where to, without the query."""
    async with fetcher() as fetch:
        visit = poll(fetch)
        found = await visit(feed(server.url("/chain?left=5")))
        assert (found.body, found.url) == (b"the end", server.url("/chain?left=0"))
        assert visit.moved_to == {server.url("/chain"): server.url("/chain")}
        with pytest.raises(FetchError, match="more than 5 redirects"):
            await visit(feed(server.url("/chain?left=6")))


async def test_a_permanent_redirect_behind_a_temporary_one_moves_nothing(server: Misbehaving) -> None:
    """Tomorrow the first may lead elsewhere."""
    async with fetcher() as fetch:
        visit = poll(fetch)
        await visit(feed(server.url("/redirect"), params={"status": "302", "to": "/chain?left=1"}))
        assert visit.moved_to == {}
        await visit(feed(server.url("/redirect"), params={"status": "308", "to": "/chain?left=0"}))
        assert visit.moved_to == {server.url("/redirect"): server.url("/chain")}


async def test_validators_belong_to_where_the_document_is(server: Misbehaving) -> None:
    """A redirect that leads elsewhere tomorrow cannot make another document look unchanged."""
    server.serve("/a", Document(body=b"a", etag='"same"'))
    server.serve("/b", Document(body=b"b", etag='"same"'))
    async with fetcher() as fetch:
        server.serve("/latest", Document(body=b"", status=302, headers=(("Location", "/a"),)))
        first = poll(fetch)
        assert (await first(feed(server.url("/latest")))).body == b"a"
        second = poll(fetch, after(first))
        assert (await second(feed(server.url("/latest")))).not_modified
        server.serve("/latest", Document(body=b"", status=302, headers=(("Location", "/b"),)))
        assert (await poll(fetch, after(second))(feed(server.url("/latest")))).body == b"b"


async def test_credentials_stay_at_their_origin(server: Misbehaving) -> None:
    """Another port is another origin; the same one keeps them."""
    other = await server.listen()
    server.serve("/end", b"ok")
    secrets = {"Authorization": "Bearer t0ken", "Cookie": "id=t0ken", "X-Api-Key": "t0ken"}
    async with fetcher() as fetch:
        target = f"http://127.0.0.1:{other}/end"
        await poll(fetch)(feed(server.url("/redirect"), params={"to": target}, headers=secrets))
        await poll(fetch)(feed(server.url("/redirect"), params={"to": "/end"}, headers=secrets))
    away, home = server.asked("/end")
    assert (away.port, home.port) == (other, server.port)
    assert "t0ken" not in str(away.headers)
    assert home.headers["x-api-key"] == "t0ken"


async def test_cookies_are_not_kept(server: Misbehaving) -> None:
    """A source is not to be recognised by what it was given."""
    url = server.serve("/x", Document(body=b"x", headers=(("Set-Cookie", "id=1; Path=/"),)))
    async with fetcher() as fetch:
        for _ in range(2):
            found = await poll(fetch)(feed(url))
    assert "set-cookie" not in found.headers
    assert all("cookie" not in asked.headers for asked in server.requests)


async def test_a_loop_is_noticed(server: Misbehaving) -> None:
    """Before the limit of redirects is."""
    async with fetcher() as fetch:
        with pytest.raises(FetchError, match="loop"):
            await poll(fetch)(feed(server.url("/loop")))
    assert len(server.requests) == 2


async def test_two_sites_that_redirect_to_each_other_do_not_block_each_other(server: Misbehaving) -> None:
    """A turn is given back before the next one is asked for."""
    server.serve("/end", b"ok")
    ports = (server.port, await server.listen())
    async with fetcher() as fetch, asyncio.timeout(10):
        found = await asyncio.gather(
            *(
                poll(fetch, source=f"{n}")(
                    feed(
                        f"http://127.0.0.1:{ports[n % 2]}/redirect",
                        params={"to": f"http://127.0.0.1:{ports[1 - n % 2]}/end"},
                    )
                )
                for n in range(10)
            )
        )
    assert [answer.body for answer in found] == [b"ok"] * 10
