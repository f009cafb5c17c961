"""The fetcher's manners against a real server: one request at a time, gaps, robots.txt, redirects, cookies."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from listener.domain import Accept, Request
from listener.errors import AccessDenied, FetchError, RateLimited
from tests.fetching import Time, after, feed, fetcher, page, poll
from tests.misbehaving import Document, Misbehaving, misbehaving


@pytest.fixture
async def server() -> AsyncIterator[Misbehaving]:
    """The misbehaving server."""
    async with misbehaving() as running:
        yield running


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
        assert (found.body, found.url) == (b"the end", server.url("/chain?left=0&secs=0"))
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
