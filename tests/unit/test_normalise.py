"""What a site said comes out clean, capped, comparable and safe, whatever it was."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.domain import Mention, RawMention
from listener.normalise import (
    AUTHOR_CHARS,
    ID_CHARS,
    TEXT_CHARS,
    TITLE_CHARS,
    canonical_url,
    clean_line,
    clean_text,
    normalise,
    reduce_lang,
    safe_url,
    text_key,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def mention(identified: str | None = None, default_lang: str | None = None, **said: Any) -> Mention:
    """Normalise an item of which only ``said`` is special."""
    item = {"external_id": "1", "url": "https://example.ee/1", "text": "Väga hea teenindus"} | said
    raw = RawMention(**item)
    return normalise(raw, source="reviews", seen_at=NOW, identify=lambda _: identified, default_lang=default_lang)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("<p>Esimene</p><p>Teine</p>", "Esimene\nTeine"),
        ("<p>a\n   b</p>\n\n<p>c</p>", "a b\nc"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<ul><li>x</li><li>y</li></ul>after", "x\ny\nafter"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<b>bold</b>ly", "boldly"),
        ("Hello <script>alert(1)</script>world", "Hello world"),
        ("<style>p{}</style><p>x <template><i>no</i></template>y</p>", "x y"),
        ('so <img class="emoji" alt="😡" src="x.png"> bad', "so 😡 bad"),
        ('<p>photo <img alt="a cat" src="x.png"></p>', "photo"),
        ("<![CDATA[<p>in data</p>]]>", "in data"),
        ('cut off <a href="https://exa', "cut off"),
        ("<frameset><frame><p></frameset>", ""),
    ],
)
def test_html_becomes_what_a_reader_sees(raw: str, clean: str) -> None:
    """Blocks are lines, cells are words, and what is never shown is gone."""
    assert clean_text(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("AT&amp;T", "AT&T"),
        ("AT&amp;amp;T", "AT&T"),
        ("&lt;p&gt;Hi &amp;amp; bye&lt;/p&gt;", "Hi & bye"),
        ("&amp;lt;p&amp;gt;Hi&amp;lt;/p&amp;gt;", "Hi"),
        ("don&#39;t &#x2014; ever&hellip;", "don't — ever…"),
        ("see https://a.ee/?x=1&copy=2&reg=3", "see https://a.ee/?x=1&copy=2&reg=3"),
        ("&notanentity; stays", "&notanentity; stays"),
        ("<p>write &lt;b&gt; for bold</p>", "write <b> for bold"),
        ("half a surrogate &#xD800;", "half a surrogate \ufffd"),
    ],
)
def test_entities_are_read_as_often_as_sites_escape_them(raw: str, clean: str) -> None:
    """Feeds escape once, twice or thrice; addresses with an ampersand are not entities."""
    assert clean_text(raw) == clean


@pytest.mark.parametrize(
    "text",
    ["a < b and c > d", "I <3 Bolt", "5 > 3", "<mari@example.ee> kirjutas", "x <- y", "<b and c>", "lone <script> tag"],
)
def test_plain_text_with_angle_brackets_survives(text: str) -> None:
    """Only a known, well-formed tag makes a string HTML."""
    assert clean_text(text) == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Bo\u200blt Bo\u00adlt Bo\ufefflt", "Bolt Bolt Bolt"),
        ("safe\u202egnorw\u202c", "safegnorw"),
        ("tag\U000e0041\U000e0042s", "tags"),
        ("nul\x00 bell\x07 esc\x1b[0m", "nul bell esc[0m"),
        ("half \ud83d here", "half here"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥", "👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("la\u200ctin la\u200dtin", "latin latin"),
        ("cafe\u0301", "café"),
        ("a\r\n\r\n\r\n  b \t\u00a0 c\u2028d", "a\nb c\nd"),
    ],
)
def test_invisible_characters_go_and_meaningful_ones_stay(raw: str, clean: str) -> None:
    """What splits or reorders words unseen is removed; emoji and joining scripts keep their joiners."""
    assert clean_text(raw) == clean


def test_long_text_is_cut_between_words() -> None:
    """The cap does not cut a word in two."""
    text = clean_text("sõna " * TEXT_CHARS)
    assert len(text) <= TEXT_CHARS
    assert text.endswith("sõna")


def test_a_wall_of_letters_is_cut_anyway() -> None:
    """The cap holds where there is no word boundary."""
    assert len(clean_text("a" * (TEXT_CHARS + 1))) == TEXT_CHARS


@given(st.text(max_size=400))
def test_cleaning_never_fails_and_leaves_nothing_unstorable(raw: str) -> None:
    """Whatever comes in, UTF-8 without NUL and without empty lines comes out."""
    text = clean_text(raw)
    text.encode()  # no half surrogates
    assert "\x00" not in text
    assert "\n\n" not in text
    assert text == text.strip()


@given(st.lists(st.sampled_from(["<div>", "<b>", "</p>", "<a href=", "<!--", "&lt;", "&amp;", "x ", "<table>", "]]>"])))
def test_broken_markup_never_fails(pieces: list[str]) -> None:
    """No order of broken tags is an exception."""
    clean_text("".join(pieces))


@pytest.mark.parametrize("piece", ["<div>", "<", "<a ", "<p><b>", "&amp;", "<!--", "\u0301", "<a\n", "@a", "https://"])
@pytest.mark.timeout(5)
def test_hostile_repetition_is_bounded(piece: str) -> None:
    """A quadratic pattern would need minutes for these."""
    raw = piece * (1_000_000 // len(piece))
    assert len(clean_text(raw)) <= TEXT_CHARS
    text_key(raw[:100_000])


def test_a_line_has_no_newline() -> None:
    """Titles and authors are one line."""
    assert clean_line("<p>a</p><p>b</p>", TITLE_CHARS) == "a b"


# ---------------------------------------------------------------------------------------------------------------- urls


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("HTTPS://Www.Err.ee:443/a?utm_source=x#c", "https://www.err.ee/a?utm_source=x#c"),
        ("https://user:secret@example.ee/", "https://example.ee/"),
        ("  https://example.ee  ", "https://example.ee/"),
        ("https://õlu.ee/ää b", "https://xn--lu-bka.ee/%C3%A4%C3%A4%20b"),
        ("https://straße.de/", "https://xn--strae-oqa.de/"),
        ("https://example.ee/\"><script>'", "https://example.ee/%22%3E%3Cscript%3E%27"),
        ("https://example.ee/%7euser/%c3%a4%2f", "https://example.ee/~user/%C3%A4%2F"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://good.ee\\@evil.ee/", "http://evil.ee/"),
    ],
)
def test_addresses_are_made_safe(url: str, safe: str) -> None:
    """A safe address has an ASCII host, no user name and no quotes, and is a fixed point."""
    assert safe_url(url) == safe
    assert safe_url(safe) == safe


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "ftp://example.ee/",
        "//example.ee/x",
        "/relative",
        "",
        "https://",
        "https://exa mple.ee/",
        "https://-bad.ee/",
        "https://example.ee:99999/",
        "https://[::1",
        "https://" + "a" * 300 + ".ee/",
        "https://example.ee/" + "x" * 3000,
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """What a browser would run, or could not open, is a ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        safe_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.err.ee/123/lugu",
        "http://err.ee/123/lugu/",
        "https://m.err.ee/123/lugu",
        "https://ERR.ee:443/123/lugu#comments",
        "https://err.ee/123/lugu?utm_source=fb&utm_medium=x&fbclid=1&gclid=2&mc_eid=3&igshid=4",
        "https://err.ee/123/lugu/amp/",
        "https://err.ee/123/lugu?amp=1",
        "https://err.ee/123/lugu?outputType=amp",
        "https://www-err-ee.cdn.ampproject.org/c/s/www.err.ee/123/lugu",
        "https://www.google.com/amp/s/m.err.ee/123/lugu/amp",
    ],
)
def test_one_article_has_one_canonical_address(url: str) -> None:
    """Variants of one article join."""
    assert canonical_url(url) == "https://err.ee/123/lugu"


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://a.ee/?b=2&a=1&a=0", "https://a.ee/?a=0&a=1&b=2"),
        ("https://a.ee/x.amp.html", "https://a.ee/x.html"),
        ("https://a.ee:8443/", "https://a.ee:8443/"),
        ("http://a.ee:8080/", "http://a.ee:8080/"),
        ("https://m.ee/", "https://m.ee/"),
        ("https://www.ee/", "https://www.ee/"),
        ("https://mail.ee/amplifier", "https://mail.ee/amplifier"),
        ("https://a.ee/?id=amp&page=2", "https://a.ee/?id=amp&page=2"),
        ("https://õlu.ee/", "https://xn--lu-bka.ee/"),
        ("https://xn--lu-bka.ee/", "https://xn--lu-bka.ee/"),
        ("https://www.google.com/amp/s/not a host/x", "https://google.com/amp/s/not%20a%20host/x"),
    ],
)
def test_canonical_addresses_stay_conservative(url: str, canonical: str) -> None:
    """What may be another page stays another key."""
    assert canonical_url(url) == canonical


URLS = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["www.m.err.ee", "m.ee", "õlu.ee", "x.cdn.ampproject.org", "google.com", "127.0.0.1:8000"]),
    st.lists(
        st.sampled_from(["/", "/amp", ".amp", ".html", "/c/s/www.a.ee", "/amp/s/google.com", "%7e", "ä", "%"])
    ).map(lambda parts: "/" + "".join(parts)),
    st.sampled_from(["", "?", "?b&a=1", "?amp=1&utm_x=2&q=ä b%20", "?%"]),
    st.sampled_from(["", "#x"]),
)


@given(URLS)
def test_canonical_is_stable_and_safe_urls_join_alike(url: str) -> None:
    """Canonical twice is canonical once, before and after making safe."""
    canonical = canonical_url(url)
    assert canonical_url(canonical) == canonical
    assert canonical_url(safe_url(url)) == canonical


# ------------------------------------------------------------------------------------------------------------- mention


def test_an_item_becomes_a_mention() -> None:
    """Every field is cleaned into its place."""
    got = mention(
        "et",
        external_id=" abc ",
        url="http://www.example.ee/r/1?utm_source=x",
        title="<b>Hea</b>\nteenindus",
        text="<p>Soovitan!</p>",
        author="  Mari&nbsp;Maasikas ",
        published_at=datetime(2026, 11, 21, 13, 0, tzinfo=timezone(timedelta(hours=2))),
        rating=0.8,
        reach=12,
    )
    assert (got.source, got.external_id, got.author) == ("reviews", "abc", "Mari Maasikas")
    assert (got.title, got.text, got.lang) == ("Hea teenindus", "Soovitan!", "et")
    assert (got.url, got.canonical_url) == ("http://www.example.ee/r/1?utm_source=x", "https://example.ee/r/1")
    assert got.published_at == datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
    assert got.published_at.tzinfo is UTC
    assert (got.rating, got.reach, got.brands) == (0.8, 12, ())


@pytest.mark.parametrize(
    ("published_at", "kept"),
    [
        (None, None),
        (NOW + timedelta(minutes=5), NOW + timedelta(minutes=5)),
        (NOW + timedelta(minutes=6), NOW),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))), NOW),
        (datetime(1989, 12, 31, tzinfo=UTC), None),
        (datetime(1970, 1, 1, tzinfo=UTC), None),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), None),
    ],
)
def test_times_are_made_plausible(published_at: datetime | None, kept: datetime | None) -> None:
    """The future is clamped, the distant past unknown, and the extremes of datetime no crash."""
    assert mention(published_at=published_at).published_at == kept


def test_a_naive_clock_is_refused() -> None:
    """The caller must know its own time zone."""
    raw = RawMention(external_id="1", url="https://a.ee", text="x")
    with pytest.raises(ValueError, match="no time zone"):
        normalise(raw, source="s", seen_at=datetime(2026, 1, 1), identify=lambda _: None)


@pytest.mark.parametrize(
    ("identified", "declared", "default", "lang"),
    [
        ("et", "en-US", "ru", "et"),
        (None, "et-EE", "ru", "et"),
        (None, "und", "ru", "ru"),
        (None, None, "lv_LV", "lv"),
        (None, None, None, None),
    ],
)
def test_the_text_outweighs_the_site_and_the_site_the_default(
    identified: str | None, declared: str | None, default: str | None, lang: str | None
) -> None:
    """The identifier wins when it is sure."""
    assert mention(identified, default, lang=declared).lang == lang


@pytest.mark.parametrize(
    ("declared", "lang"),
    [("ET", "et"), ("zh-Hans-CN", "zh"), ("nb-NO", "no"), ("Estonian", None), ("", None), ("mul", None), ("e1", None)],
)
def test_declared_languages_are_reduced(declared: str, lang: str | None) -> None:
    """Regions and scripts go, and so does what is no code."""
    assert reduce_lang(declared) == lang


def test_what_has_nothing_readable_is_refused() -> None:
    """An item of one picture says nothing that could be scored."""
    with pytest.raises(ValueError, match="nothing readable"):
        mention(text="<img src=x>\u200b", title=None)


def test_lengths_are_capped() -> None:
    """Long ids are kept apart by a digest."""
    got = mention(external_id="x" * 5000, title="t " * 5000, author="a" * 5000)
    assert len(got.external_id) == ID_CHARS
    assert len(got.title) <= TITLE_CHARS
    assert len(got.author or "") == AUTHOR_CHARS
    assert got.external_id != mention(external_id="x" * 4999).external_id


@pytest.mark.parametrize("thread", ["t3_abc", " tag:a.ee,2026:\u200bpost  7\n", "x" * 5000, "\0y"])
def test_a_thread_is_known_by_the_id_of_the_item_that_starts_it(thread: str) -> None:
    """However the id had to be cleaned."""
    assert mention(conversation=thread).conversation == mention(external_id=thread).external_id


@pytest.mark.parametrize("thread", [None, "", " \n", "\u200b\u00ad"])
def test_an_empty_thread_is_none(thread: str | None) -> None:
    assert mention(conversation=thread).conversation is None


def test_which_thread_it_is_in_is_no_part_of_the_content() -> None:
    """A feed shows less of a thread as it grows: that edits nothing."""
    assert mention(conversation="a").content_hash == mention().content_hash


def test_an_invisible_id_is_refused() -> None:
    """An id must survive cleaning."""
    with pytest.raises(ValueError, match="external_id"):
        mention(external_id="\u200b")


def test_a_negative_reach_is_unknown() -> None:
    """Unknown is not zero, nor less."""
    assert mention(reach=-1).reach is None


# ----------------------------------------------------------------------------------------------------------- comparing


@pytest.mark.parametrize("change", [{"text": "muu"}, {"title": "muu"}, {"rating": 0.2}])
def test_an_edit_changes_the_hash(change: dict[str, Any]) -> None:
    """Text, title and rating are what was said."""
    base: dict[str, Any] = {"text": "sama", "title": "pealkiri", "rating": 0.4}
    assert mention(**base | change).content_hash != mention(**base).content_hash


@pytest.mark.parametrize("change", [{"url": "https://b.ee"}, {"reach": 5}, {"text": "<p>sama</p>"}, {"author": "x"}])
def test_what_is_no_edit_keeps_the_hash(change: dict[str, Any]) -> None:
    """Addresses, counts, markup and names are not."""
    assert mention(text="sama").content_hash == mention(**{"text": "sama"} | change).content_hash


def test_title_and_text_do_not_run_into_each_other() -> None:
    """Moving a letter between the fields is an edit."""
    assert mention(title="a", text="bc").content_hash != mention(title="ab", text="c").content_hash


@pytest.mark.parametrize(
    "text",
    [
        "bolt tõstis hindu jälle",
        "RT @mari: Bolt tõstis hindu jälle!!!",
        "Bolt tõstis hindu jälle… https://t.co/abc via @postimees",
        "  „Bolt” tõstis – hindu – JÄLLE 😡  @bolt",
        "Ｂｏｌｔ tõstis hindu jälle www.bolt.eu/x",
    ],
)
def test_texts_that_say_the_same_have_one_key(text: str) -> None:
    """Retweets, handles, links, case, width and punctuation do not make a voice of its own."""
    assert text_key(text) == text_key("Bolt tõstis hindu jälle.")


@pytest.mark.parametrize(("one", "other"), [("hea", "hää"), ("5 tärni", "4 tärni"), ("👍", "👎"), ("@a", "@b")])
def test_texts_that_say_something_else_have_other_keys(one: str, other: str) -> None:
    """A number, a diacritic or another emoji does."""
    assert text_key(one) != text_key(other)


def test_the_key_tells_how_much_was_said() -> None:
    """Dedupe reads the count of letters and digits from the key."""
    assert text_key("Väga hea!").partition(":")[0] == "7"
    assert text_key("👍👍").partition(":")[0] == "0"


def test_a_title_repeated_in_the_text_is_said_once() -> None:
    """Microblog feeds make a title of the text's beginning."""
    assert mention(title="Bolt hilineb", text="Bolt hilineb jälle").text_key == text_key("Bolt hilineb jälle")
