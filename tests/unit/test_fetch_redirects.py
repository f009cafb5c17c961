"""Redirects: where they may lead, and what goes along."""

import httpx2
import pytest

from listener.domain import Accept, Request
from listener.errors import FetchError
from listener.fetch.client import hop_of
from listener.fetch.policy import FetchPolicy
from listener.fetch.redirects import Hop, check, key_of, next_hop, parse_url, shown

POLICY = FetchPolicy(user_agent="listener/test", allow_private_hosts=frozenset({"intranet.corp"}))
SECRETS = {"authorization": "Bearer t0ken", "cookie": "id=t0ken", "x-api-key": "t0ken", "x-anything": "t0ken"}


def hop(url: str, method: str = "GET", body: bytes | None = None) -> Hop:
    """A request with all kinds of credentials."""
    return Hop(url=httpx2.URL(url), method=method, headers=SECRETS, body=body)


def follow(start: Hop, location: str | None, status: int = 302) -> Hop:
    """The next hop."""
    return next_hop(start, status=status, location=location, policy=POLICY)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "https://a.test/b"),
        ("b?x=1", "https://a.test/dir/b?x=1"),
        ("//b.test/c", "https://b.test/c"),
        ("https://b.test:443/c#part", "https://b.test/c"),
        ("https://user:pass@b.test/c", "https://b.test/c"),
        ("?page=2", "https://a.test/dir/a?page=2"),
    ],
)
def test_targets_are_resolved(location: str, url: str) -> None:
    """RFC 3986, without fragment and userinfo."""
    assert str(follow(hop("https://a.test/dir/a"), location).url) == url


@pytest.mark.parametrize(
    "target",
    ["https://b.test/", "https://a.test.evil.test/", "https://sub.a.test/", "http://a.test:80/x"],
)
def test_another_origin_gets_no_header_of_the_plug_in(target: str) -> None:
    """Whatever the header is called: there is no list of names that could be incomplete."""
    assert follow(hop("http://a.test:443/" if target.startswith("http:") else "https://a.test/"), target).headers == {}


@pytest.mark.parametrize(
    ("start", "target"), [("https://a.test/", "/b"), ("http://a.test/", "https://a.test/b"), ("http://a.test/", "/b")]
)
def test_the_same_origin_keeps_them(start: str, target: str) -> None:
    """Also when it moves to https on the usual port, where they are safer than before."""
    assert follow(hop(start), target).headers == SECRETS


@pytest.mark.parametrize(
    ("start", "location", "why"),
    [
        ("https://a.test/", "http://a.test/", "https to http"),
        ("https://a.test/", "ftp://a.test/", "only http and https"),
        ("https://a.test/", "file:///etc/passwd", "without a valid host"),
        ("https://a.test/", "javascript:alert(1)", "without a valid host"),
        ("https://a.test/", "https://a.test:22/", "port 22"),
        ("https://a.test/", "https://intranet.corp/", "may be private"),
        ("https://a.test/", None, "without a target"),
        ("https://a.test/", "", "without a target"),
        ("https://a.test/", "https://[::1/", "(cannot be read|valid host)"),
        ("https://a.test/", "https://a%20b/", "valid host"),
        ("https://a.test/", "https://b.test:99999/", "no port"),
        ("https://a.test/", "https://" + "a" * 70000 + "/", "cannot be read"),
    ],
)
def test_where_a_redirect_may_not_lead(start: str, location: str | None, why: str) -> None:
    """Each refusal says why, and repeats nothing of the target that could be a secret."""
    with pytest.raises(FetchError, match=why):
        follow(hop(start), location)


def test_an_allowed_host_may_redirect_to_itself_on_any_port() -> None:
    """The operator named it."""
    assert follow(hop("http://intranet.corp:8080/"), "http://intranet.corp:9090/x").url.port == 9090


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (303, "HEAD", "HEAD"),
        (302, "GET", "GET"),
    ],
)
def test_methods(status: int, method: str, then: str) -> None:
    """RFC 9110, 15.4: the body goes along only where the method does."""
    target = follow(hop("https://a.test/", method, b"body"), "/b", status)
    assert target.method == then
    if method == "POST":
        assert (target.body is None) is (then == "GET")


def test_a_post_is_not_carried_to_another_origin() -> None:
    """Its body may hold credentials."""
    with pytest.raises(FetchError, match="POST to another origin"):
        follow(hop("https://a.test/", "POST", b"key=t0ken"), "https://b.test/", 307)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.test/",
        "http://a_b.test:80/",
        "http://[2001:db8::1]:443/",
        "http://õ.test/",
        "http://intranet.corp:1/",
    ],
)
def test_addresses_that_may_be_fetched(url: str) -> None:
    """The web's ports, and any port of a listed host."""
    check(parse_url(url), POLICY)


@pytest.mark.parametrize(
    "url",
    ["ftp://a.test/", "a.test/x", "", "http://", "http://a.test:8080/", "http://intranet.corp:0/", "gopher://a.test/"],
)
def test_addresses_that_may_not(url: str) -> None:
    """Refused before anything is looked up."""
    with pytest.raises(FetchError):
        check(parse_url(url), POLICY)


@pytest.mark.parametrize("url", ["http://t0ken@[::1/", "http://a.test:t0ken/", "http://\x00t0ken/"])
def test_an_unreadable_address_is_not_repeated(url: str) -> None:
    """It may hold a secret."""
    with pytest.raises(FetchError) as caught:
        parse_url(url)
    assert "t0ken" not in str(caught.value)


def test_validators_belong_to_the_url_with_its_parameters() -> None:
    """Another parameter is another document; the name in the database tells nothing."""
    request = Request(url="https://a.test/feed?key=t0ken", accept=Accept.FEED)
    paged = Request(url=request.url, accept=Accept.FEED, params={"page": "2"})
    first, second = key_of(hop_of(request).url), key_of(hop_of(paged).url)
    assert first != second
    assert "t0ken" not in first + second
    assert key_of(httpx2.URL("https://a.test/feed?key=t0ken#part")) == first


def test_the_first_hop() -> None:
    """Userinfo becomes a header, parameters join the query, and a plug-in cannot speak for the client."""
    request = Request(
        url="https://user:p%40ss@a.test/x?a=1&b=%20#part",
        accept=Accept.JSON,
        params={"b": "2", "c": "õ"},
        headers={"X-Key": "k", "User-Agent": "Mozilla/5.0", "Accept-Encoding": "br", "Host": "evil.test"},
        method="get",
    )
    first = hop_of(request)
    assert str(first.url) == "https://a.test/x?a=1&b=2&c=%C3%B5"
    assert first.headers == {"x-key": "k", "authorization": "Basic dXNlcjpwQHNz"}
    assert first.method == "GET"


def test_a_url_without_parameters_is_sent_as_written() -> None:
    """Servers sign and compare the very bytes of a query."""
    url = "https://a.test/x?b=%20a+b&b=2&empty=&c"
    assert str(hop_of(Request(url=url, accept=Accept.JSON)).url) == url


def test_what_logs_may_show() -> None:
    """Neither userinfo nor query."""
    assert shown(httpx2.URL("https://user:t0ken@a.test/feed?key=t0ken#t0ken")) == "https://a.test/feed"
