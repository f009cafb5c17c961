"""robots.txt: RFC 9309, delays, and files made to hurt."""

import time
from collections.abc import Iterator

import httpx2
import pytest

from listener.errors import AccessDenied, FetchError, RateLimited
from listener.fetch.redirects import Hop
from listener.fetch.robots import (
    FRESH_SECS,
    GIVEN_UP_SECS,
    KEPT_FILES,
    MOST_BYTES,
    UNREACHABLE_SECS,
    Robots,
    Rules,
    parse,
)

URL = httpx2.URL("https://site.test/private/page?x=1")
FORBID = b"User-agent: *\nDisallow: /private/"


def allowed(text: str, path: str) -> bool:
    """Whether a robots.txt with this text lets us fetch the path."""
    return parse(text.encode()).allow(httpx2.URL(f"https://site.test{path}"))


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("", "/a", True),
        ("User-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow:", "/a", True),
        ("User-agent: *\nDisallow: /\nAllow: /a", "/a/b", True),
        ("User-agent: *\nAllow: /a\nDisallow: /a", "/a", True),
        ("User-agent: *\nDisallow: /a*b$", "/a/x/b", False),
        ("User-agent: *\nDisallow: /a*b$", "/a/x/bc", True),
        ("User-agent: *\nDisallow: /*?", "/a?x=1", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: listener\nAllow: /", "/a", True),
        ("User-agent: LISTENER/2.0\nDisallow: /", "/a", False),
        ("User-agent: otherbot\nUser-agent: listener\nDisallow: /", "/a", False),
        ("User-agent: otherbot\nDisallow: /", "/a", True),
        ("User-agent: list\nDisallow: /", "/a", True),
        ("User-agent: listener-images\nDisallow: /", "/a", True),
        ("User-agent: *\nDisallow: /\nUser-agent: otherbot\nAllow: /", "/a", False),
        ("User-agent: otherbot\nAllow: /\nUser-agent: *\nDisallow: /", "/a", False),
        ("user agent : * # all\ndisallow: /", "/a", False),
        ("\ufeffUser-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow: /", "/robots.txt", True),
        ("<html>not found</html>", "/a", True),
    ],
)
def test_rules(text: str, path: str, expected: bool) -> None:
    """RFC 9309, 2.2: the longest match wins, Allow wins ties, groups are chosen by our whole name."""
    assert allowed(text, path) is expected


@pytest.mark.parametrize(
    ("text", "secs"),
    [
        ("User-agent: *\nCrawl-delay: 7", 7.0),
        ("User-agent: *\nCrawl-delay: 0.5", 0.5),
        ("User-agent: *\nCrawl-delay: 86400", 60.0),
        ("User-agent: *\nCrawl-delay: soon", 0.0),
        ("User-agent: *\nRequest-rate: 1/10", 10.0),
        ("User-agent: *\nRequest-rate: 2/10\nCrawl-delay: 3", 5.0),
        ("User-agent: otherbot\nCrawl-delay: 7", 0.0),
        ("", 0.0),
    ],
)
def test_delays(text: str, secs: float) -> None:
    """Honoured up to a minute, since a day between two pages is a no in disguise."""
    assert parse(text.encode()).delay_secs == secs


def test_half_a_megabyte_counts() -> None:
    """RFC 9309, 2.5: at least 500 KiB are read."""
    filler = b"# filler\n" * 5000
    assert not parse(filler + FORBID).allow(URL)
    assert parse(b"#" * MOST_BYTES + b"\n" + FORBID).allow(URL)


@pytest.mark.parametrize(
    "body",
    [
        b"\n".join(b"User-agent: bot%d" % n for n in range(8000)) + b"\nDisallow: /x" * 20000,
        b"User-agent: *\n" + b"\n".join(b"Disallow: /*a%d*b$" % n for n in range(20000)),
        b"User-agent: *\nDisallow: /" + b"*a" * 200_000,
    ],
    ids=["many groups", "many wildcards", "one long pattern"],
)
def test_hostile_files_cost_little(body: bytes) -> None:
    """The first of these took Protego 30 s and gigabytes; a bound far above what they take now."""
    started = time.process_time()
    parse(body).allow(httpx2.URL("https://site.test/" + "a" * 2000))
    assert time.process_time() - started < 5.0


class Site:
    """A site whose robots.txt answers what it is told, and a clock."""

    def __init__(self, *answers: tuple[int, bytes] | Exception) -> None:
        self.answers: Iterator[tuple[int, bytes] | Exception] = iter(answers)
        self.reads: list[str] = []
        self.at = 0.0
        self.robots = Robots(self.read, monotonic=lambda: self.at)

    async def read(self, url: httpx2.URL) -> tuple[int, bytes]:
        """Give the next answer."""
        self.reads.append(str(url))
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def permit(self, url: httpx2.URL = URL) -> float:
        """Ask for permission."""
        return await self.robots.permit(url, Hop(url=url).origin)


async def test_it_is_read_once_a_day() -> None:
    """From the root of the origin, without the page's query."""
    site = Site((200, b"User-agent: *\nCrawl-delay: 3"), (200, FORBID))
    assert await site.permit() == 3.0
    site.at = FRESH_SECS - 1
    assert await site.permit() == 3.0
    site.at = FRESH_SECS
    with pytest.raises(AccessDenied, match=r"site\.test: robots\.txt"):
        await site.permit()
    assert site.reads == ["https://site.test/robots.txt"] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 304])
async def test_a_file_that_is_not_there_allows_everything(status: int) -> None:
    """RFC 9309, 2.3.1.3."""
    assert await Site((status, b"")).permit() == 0.0


@pytest.mark.parametrize("answer", [(500, b""), (503, FORBID), FetchError("site.test: silent for 20 s")])
async def test_a_file_that_cannot_be_had_forbids_everything(answer: tuple[int, bytes] | Exception) -> None:
    """RFC 9309, 2.3.1.4; tried again after ten minutes, not a day."""
    site = Site(answer, (404, b""))
    with pytest.raises(FetchError, match=r"robots\.txt cannot be had"):
        await site.permit()
    with pytest.raises(FetchError, match=r"robots\.txt cannot be had"):
        await site.permit()
    assert len(site.reads) == 1
    site.at = UNREACHABLE_SECS
    assert await site.permit() == 0.0


async def test_an_earlier_copy_serves_while_it_cannot_be_had() -> None:
    """RFC 9309, 2.4: only then is a copy used for more than a day."""
    site = Site((200, FORBID), (500, b""))
    with pytest.raises(AccessDenied):
        await site.permit()
    site.at = FRESH_SECS
    with pytest.raises(AccessDenied):
        await site.permit()
    assert await site.permit(httpx2.URL("https://site.test/public")) == 0.0


async def test_after_a_month_it_counts_as_not_there() -> None:
    """RFC 9309, 2.3.1.4."""
    site = Site((500, b""), (500, b""))
    with pytest.raises(FetchError):
        await site.permit()
    site.at = GIVEN_UP_SECS
    assert await site.permit() == 0.0


async def test_a_server_that_finds_us_too_fast_is_obeyed() -> None:
    """429 is no absent file: nothing is concluded from it."""
    site = Site(RateLimited("site.test: 429", retry_after_secs=60), (200, FORBID))
    with pytest.raises(RateLimited):
        await site.permit()
    with pytest.raises(AccessDenied):
        await site.permit()


async def test_the_memory_is_bounded() -> None:
    """Redirects through ever new hosts forget the oldest files."""
    site = Site(*[(404, b"")] * (KEPT_FILES + 2))
    for number in range(KEPT_FILES + 1):
        await site.permit(httpx2.URL(f"https://site{number}.test/"))
    await site.permit(httpx2.URL("https://site0.test/"))
    assert len(site.reads) == KEPT_FILES + 2


def test_no_file_at_all() -> None:
    """Without rules everything is allowed."""
    assert Rules().allow(URL)
    assert Rules().delay_secs == 0.0
