"""The feed source beyond its recorded pages: what it asks, how long it pauses, hostile and broken documents."""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr, ValidationError

from listener.domain import Accept, Page, RawMention
from listener.errors import ParseError
from listener.sources.base import ITEMS_MAX
from listener.sources.feed import Feed
from listener.sources.reading import xmlfeed

URL = "https://a.example/blog/feed.xml"
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def answer(body: bytes | str, headers: Mapping[str, str] | None = None) -> Page:
    raw = body.encode() if isinstance(body, str) else body
    return Page(url=URL, status=200, headers=headers or {}, body=raw, fetched_at=NOW)


def read(body: bytes | str, headers: Mapping[str, str] | None = None) -> tuple[RawMention, ...]:
    return Feed(name="a", url=URL).parse(answer(body, headers)).mentions


def rss(items: str, prolog: str = "") -> str:
    return f'{prolog}<rss version="2.0"><channel><title>c</title>{items}</channel></rss>'


def item(inner: str, number: int = 1) -> str:
    return f"<item><guid isPermaLink='false'>{number}</guid>{inner}</item>"


def test_the_request() -> None:
    request = Feed(name="a", url=URL).request(NOW)
    assert (request.url, request.accept, request.method, request.headers) == (URL, Accept.FEED, "GET", {})


def test_a_login_is_sent_as_basic_and_needs_both_halves() -> None:
    feed = Feed(name="a", url=URL, username="ann", password=SecretStr("õ:s"))
    assert feed.request(None).headers == {"authorization": "Basic YW5uOsO1OnM="}
    with pytest.raises(ValidationError, match="give both"):
        Feed(name="a", url=URL, username="ann")


@pytest.mark.parametrize("url", ["ftp://a.example/", "file:///etc/passwd", "a.example", ""])
def test_only_http_is_a_feed_address(url: str) -> None:
    with pytest.raises(ValidationError):
        Feed(name="a", url=url)


@pytest.mark.parametrize(
    ("body", "headers", "secs"),
    [
        (rss("<ttl>60</ttl>"), {}, 3600),
        (rss("<ttl>1</ttl>"), {}, 600),
        (rss("<ttl>999999</ttl>"), {}, 86400),
        (rss("<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>2</sy:updateFrequency>"), {}, 1800),
        (rss("<sy:updatePeriod>weekly</sy:updatePeriod><sy:updateFrequency>0</sy:updateFrequency>"), {}, 86400),
        (rss(""), {"cache-control": "public, max-age=1200"}, 1200),
        (rss("<ttl>30</ttl>"), {"cache-control": "max-age=1200"}, 1800),
        (rss(""), {"cache-control": "s-maxage=7200, no-cache"}, None),
        (rss("<ttl>soon</ttl>"), {}, None),
    ],
)
def test_how_long_the_site_asks_to_be_left_alone(body: str, headers: dict[str, str], secs: float | None) -> None:
    assert Feed(name="a", url=URL, interval_secs=600).pause_secs(answer(body, headers)) == secs


def test_the_charset_of_the_response_counts() -> None:
    body = rss(item("<title>Jõe äär</title>")).encode("iso-8859-15")
    assert read(body, {"content-type": "text/xml; charset=iso-8859-15"})[0].title == "Jõe äär"


@pytest.mark.parametrize(
    "prolog",
    [
        "",
        "\n\n  <?xml version='1.0'?>\n",
        "<?xml version='1.0'?><?xml-stylesheet href='a.xsl'?><!-- <rss> -->",
        '<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://a.example/rss-0.91.dtd">',
        "<!DOCTYPE rss [ <!ELEMENT rss ANY> ]>",
        "Warning: mysql_connect() in /www/feed.php on line 3 <br/>\n",
        "\ufeff",
    ],
)
def test_what_may_stand_before_a_feed(prolog: str) -> None:
    assert [one.title for one in read(rss(item("<title>A</title>"), prolog))] == ["A"]


def test_entities_that_stand_for_characters_are_read() -> None:
    prolog = """<!DOCTYPE rss [<!ENTITY firma "O&#220;"> <!ENTITY lt2 '&#60;'>]>"""
    body = rss(item("<title>Voltra &firma; &nbsp;&eacute; AT&T &foo; &amp; A&B; 1 &lt2; 2</title>"), prolog)
    assert read(body)[0].title == "Voltra OÜ \xa0é AT&T &foo; & A&B; 1 < 2"


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY a PUBLIC "x" "http://a.example/">',
        '<!ENTITY % p SYSTEM "http://a.example/x.dtd"> %p;',
        f'<!ENTITY a "{"x" * 10_000}">',
    ],
)
def test_entities_that_expand_or_fetch_are_refused(declared: str) -> None:
    body = rss(item("<title>&a;&b;</title>"), f"<?xml version='1.0'?>\n<!DOCTYPE rss [{declared}]>")
    with pytest.raises(ParseError, match="entities"):
        read(body)


def test_an_article_about_entities_is_no_bomb() -> None:
    text = '<![CDATA[How <!DOCTYPE x [<!ENTITY a "&b;">]> works &amp; why &nbsp;]]>'
    assert "&nbsp;" in read(rss(item(f"<title>XML</title><description>{text}</description>")))[0].text


def test_a_shared_guid_does_not_make_two_items_one() -> None:
    """Some systems put the site's address into every guid."""
    items = "".join(f"<item><guid>https://a.example/</guid><title>{name}</title></item>" for name in "AB")
    assert len({one.external_id for one in read(rss(items))}) == 2


def test_of_too_many_items_the_newest_are_kept() -> None:
    start = 1_600_000_000
    items = "".join(
        item(f"<title>t</title><pubDate>{datetime.fromtimestamp(start + number, UTC).isoformat()}</pubDate>", number)
        for number in range(ITEMS_MAX + 5)
    )
    parsed = Feed(name="a", url=URL).parse(answer(rss(items)))
    assert len(parsed.mentions) == ITEMS_MAX
    assert {one.external_id for one in parsed.mentions}.isdisjoint({"0", "1", "2", "3", "4"})
    assert len(parsed.rejected) == 1


def test_a_cut_document_gives_what_was_whole() -> None:
    body = rss(item("<title>A</title>", 1) + item("<title>B</title>", 2))
    assert read(body[: body.index("B</title>")])[0].title == "A"


def test_undeclared_prefixes_are_understood() -> None:
    body = rss(item("<content:encoded><![CDATA[<p>Whole</p>]]></content:encoded><dc:creator>Ann</dc:creator>"))
    assert (read(body)[0].text, read(body)[0].author) == ("<p>Whole</p>", "Ann")


def test_a_video_is_what_its_media_group_says() -> None:
    body = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/"><entry><id>v1</id>'
        "<title>Unboxing</title><media:group><media:description>It broke.</media:description></media:group></entry>"
        "</feed>"
    )
    assert read(body)[0].text == "It broke."


THREADED = 'xmlns="http://www.w3.org/2005/Atom" xmlns:thr="http://purl.org/syndication/thread/1.0"'


def atom(*entries: tuple[str, str | None], declared: str = THREADED) -> str:
    """A feed of entries by id and what they reply to."""
    replies = {
        ref: "" if ref is None else f'<thr:in-reply-to ref="{ref}" href="https://a.example/"/>' for _, ref in entries
    }
    inner = "".join(f"<entry><id>{name}</id><title>t</title>{replies[ref]}</entry>" for name, ref in entries)
    return f"<feed {declared}>{inner}</feed>"


@pytest.mark.parametrize(
    ("entries", "conversations"),
    [
        ([("a", None), ("b", "a"), ("c", "a"), ("d", None)], ["a", "a", "a", "d"]),
        ([("c", "b"), ("b", "a"), ("a", None), ("d", "c")], ["a", "a", "a", "a"]),
        ([("b", "elsewhere"), ("c", "b")], ["elsewhere", "elsewhere"]),
        ([("a", None)], ["a"]),
        ([("a", "a"), ("b", " a ")], ["a", "a"]),
        ([("a", "b"), ("b", "a"), ("c", "b")], ["b", "b", "b"]),
        ([("a", ""), ("b", "a")], ["a", "a"]),
    ],
    ids=["two threads", "replies to replies", "started elsewhere", "no reply yet", "to itself", "a ring", "to nothing"],
)
def test_an_entry_and_its_replies_are_one_conversation(
    entries: list[tuple[str, str | None]], conversations: list[str]
) -> None:
    assert [one.conversation for one in read(atom(*entries))] == conversations


@pytest.mark.parametrize(
    "declared",
    ["", 'xmlns="http://www.w3.org/2005/Atom"', THREADED.replace("http://purl", "https://purl").replace("1.0", "1.0/")],
    ids=["no namespace", "undeclared prefix", "misspelt namespace"],
)
def test_replies_are_understood_however_their_namespace_is_declared(declared: str) -> None:
    assert [one.conversation for one in read(atom(("b", "a"), ("a", None), declared=declared))] == ["a", "a"]


def test_an_id_that_entries_share_names_no_thread() -> None:
    """Or all that such a feed says would count as one voice."""
    shared = read(atom(("site", None), ("site", None), ("b", "site"), ("c", "b"), ("d", "other")))
    assert [one.conversation for one in shared] == [None, None, None, None, "other"]


def test_rss_comments_are_a_page_and_tell_no_thread() -> None:
    inner = (
        "<title>t</title><comments>https://a.example/1#comments</comments><link>https://a.example/1#comment-2</link>"
    )
    assert read(rss(item(inner)))[0].conversation is None


def test_rss_with_the_extension_tells_its_threads() -> None:
    body = rss(item("<title>a</title>", 1) + item('<title>b</title><thr:in-reply-to ref="1"/>', 2))
    assert [one.conversation for one in read(body)] == ["1", "1"]


def test_what_feedparser_mends_tells_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmlfeed, "_feed_part", lambda _text: None)
    odd = "<entry><id>tag:c</id><title>t</title><thr:in-reply-to>tag:a</thr:in-reply-to></entry></feed>"
    body = atom(("tag:b", "tag:a"), ("tag:a", None)).replace("</feed>", odd)
    assert [one.conversation for one in read(body)] == ["tag:a", "tag:a", "tag:c"]


def test_an_empty_feed_is_no_error() -> None:
    assert read(rss("")) == ()
    assert read('{"version": "https://jsonfeed.org/version/1", "items": []}') == ()


def test_what_is_broken_beyond_xml_is_left_to_feedparser() -> None:
    assert read("<rss><channel><item><title>A</title><link>https://a.example/1</item>")[0].title == "A"


@pytest.mark.parametrize(
    "body",
    ["", "   ", "plain text", "/etc/passwd", "https://a.example/other.xml", "<html><body>Blocked</body></html>",
     '{"items": {}}', "{", "[1]", "<rss", "<?xml version='1.0'?>", "\x00\x01\x02", "<" * 50_000, "<a>" * 20_000],
)  # fmt: skip
def test_what_is_no_feed_is_a_parse_error_or_empty(body: str) -> None:
    """The name of a file or an address is neither opened nor fetched."""
    try:
        mentions = read(body)
    except ParseError:
        return
    assert mentions == ()


@pytest.mark.parametrize(
    "body",
    [
        rss("<item>" * 30_000),
        rss("<item/>" * 200_000),
        rss(item("<title>" + "&" * 500_000 + "</title>")),
        rss(item("<title>" + "<![CDATA[" * 50_000 + "</title>")),
        "<!--" * 100_000,
        "<!DOCTYPE rss [" + "<!ELEMENT a ANY>" * 50_000,
        "<!DOCTYPE rss [" + "] " * 200_000,
        rss(item("<description>" + "<b>" * 50_000 + "</description>")),
        rss(item("<author>" + "a@" * 100_000 + "</author><title>t</title>")),
        rss(item("<author>" + "(" * 100_000 + "</author><title>t</title>")),
        rss(item("<link>" + "http://[" * 20_000 + "</link><title>t</title>")),
        atom(*((str(number), str(number + 1)) for number in range(20_000))),
    ],
    ids=["nested items", "empty items", "ampersands", "cdata", "comments", "elements", "brackets", "markup", "at",
         "open", "brackets in links", "replies to replies"],
)  # fmt: skip
@pytest.mark.timeout(30)
def test_hostile_documents_take_no_time(body: str) -> None:
    started = time.perf_counter()
    with suppress(ParseError):
        read(body)
    assert time.perf_counter() - started < 8
