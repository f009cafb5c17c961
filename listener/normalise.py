"""Clean what a site said: HTML to text, safe and canonical addresses, sane times, a language, hashes to compare by.

Everything that comes in is hostile until it has passed here: every length is capped, every pattern runs in linear time.
"""

import hashlib
import html
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.entities import html5
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import idna
from selectolax.lexbor import LexborHTMLParser

from listener.domain import Mention, RawMention, require_aware

TEXT_CHARS = 20_000  # of a mention's text; a longer one is cut at a word boundary
TITLE_CHARS = 500
AUTHOR_CHARS = 200
ID_CHARS = 256  # of an external id; a longer one keeps its head and gets a digest
URL_CHARS = 2_048
MARKUP_CHARS = 200_000  # of HTML that are looked at
MARKUP_TAGS = 5_000  # likewise: parsing 100 000 nested elements takes 20 s, 5 000 take 0.04 s
FUTURE = timedelta(minutes=5)  # how far a site's clock may run ahead of ours
EARLIEST_AT = datetime(1990, 1, 1, tzinfo=UTC)  # nobody reviewed anything on the web before


def normalise(
    raw: RawMention,
    *,
    source: str,
    seen_at: datetime,
    identify: Callable[[str], str | None],
    default_lang: str | None = None,
) -> Mention:
    """The mention that ``raw`` tells of, with ``brands`` still empty.

    ``identify`` names a text's language, or None when unsure: then the site's word counts, then ``default_lang``. A
    time more than five minutes ahead becomes ``seen_at``, one before 1990 is unknown; an address that cannot be
    followed is left out. Raises ValueError when nothing readable is left, so that the caller counts the item as
    rejected.
    """
    require_aware("seen_at", seen_at)
    seen_at = seen_at.astimezone(UTC)
    title, text = clean_line(raw.title or "", TITLE_CHARS), clean_text(raw.text)
    if not title and not text:
        raise ValueError(f"item {raw.external_id[:80]!r} has nothing readable in its text and title")
    external_id = _clean_id(raw.external_id)
    if not external_id:
        raise ValueError("external_id is empty")
    url = _link(raw.url)
    return Mention(
        source=source,
        external_id=external_id,
        url=url,
        canonical_url=canonical_url(url) if url else "",
        title=title,
        text=text,
        author=clean_line(raw.author or "", AUTHOR_CHARS) or None,
        lang=identify(f"{title}\n{text}") or reduce_lang(raw.lang) or reduce_lang(default_lang),
        published_at=_plausible(raw.published_at, seen_at),
        seen_at=seen_at,
        rating=raw.rating,
        reach=raw.reach if raw.reach is not None and raw.reach >= 0 else None,
        content_hash=_digest(title, text, "" if raw.rating is None else f"{raw.rating:.4f}"),
        text_key=text_key(text if title in text else f"{title}\n{text}"),
        conversation=_clean_id(raw.conversation or "") or None,  # as external ids are: one may be the other
    )


# ---------------------------------------------------------------------------------------------------------------- text

_TAGS = """a abbr address article aside audio b big blockquote body br center cite code dd del details div dl dt em
    embed figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label li
    link main mark meta nav object ol p picture pre q s section small source span strike strong sub summary sup svg
    table tbody td tfoot th thead time tr tt u ul video wbr"""
# What makes a string HTML: a known tag that is closed, or has an attribute. "a < b and c > d" and "I <3 it" are text;
# so is a <script> that never ends, which would swallow all that a person wrote after it.
_TAG = re.compile(r"<(/?[a-z][a-z0-9]{0,9})(?:\s*/?>|\s+[\w:-]{1,40}\s*=)", re.IGNORECASE)
_HTML_TAGS = frozenset([*_TAGS.split(), *(f"/{tag}" for tag in _TAGS.split()), "/script", "/style", "/template"])
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")  # "?a=1&copy=2" has none
_ESCAPED_TIMES = 2  # as a whole; seen in feeds: "&amp;lt;p&amp;gt;"

_UNSEEN = "script, style, template, noscript, iframe, svg, math, select, audio, video, canvas, object"
_LINES = (
    "address, article, aside, blockquote, br, center, dd, details, div, dl, dt, figcaption, figure, footer, form,"
    " h1, h2, h3, h4, h5, h6, header, hr, li, main, nav, ol, p, pre, section, summary, table, tr, ul"
)
_CELLS = "td, th"
_BREAK = "\x1e"  # stands for a line's end until the white space of the HTML source is collapsed; removed from input

_SOURCE_SPACE = re.compile(r"[ \t\r\n\f]+")

# Control characters but tab and newline, soft hyphens, zero-width spaces, joiners and marks, bidi controls, the byte
# order mark, half surrogates, and the two blocks of invisible "tag" and "variation" characters that smuggle text.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# Joiners mean something inside emoji (ZWJ only) and in the joining scripts from Arabic to Khmer and Mongolian.
_SCRIPTS = "\u0600-\u07ff\u08a0-\u0eff\u1000-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc"
_EMOJI = "\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_JOINERS = re.compile(
    f"(?<![{_SCRIPTS}])\u200c|\u200c(?![{_SCRIPTS}])|(?<![{_SCRIPTS}{_EMOJI}])\u200d|\u200d(?![{_SCRIPTS}{_EMOJI}])"
)
_NEWLINES = re.compile(r"[\r\n\v\f\x85\u2028\u2029]+")


def clean_text(raw: str, chars: int = TEXT_CHARS) -> str:
    """Plain text of at most ``chars`` characters: no markup, no control characters, NFC, one newline a paragraph.

    A string is taken for HTML when it shows a known tag, as it is or escaped once or twice as a whole. Tags that are
    escaped inside HTML are what the author wrote, and stay.
    """
    text = raw[:MARKUP_CHARS]
    for _ in range(_ESCAPED_TIMES + 1):
        if any(tag[1].lower() in _HTML_TAGS for tag in _TAG.finditer(text)):
            text = _visible(text)
            break
        text = _unescape(_CDATA.sub("", text))
    # Cut twice: normalising is for what is kept, and it can lengthen the text a little.
    text = _JOINERS.sub("", _INVISIBLE.sub("", _unescape(text)))[: 2 * chars]
    lines = (" ".join(line.split()) for line in _NEWLINES.split(unicodedata.normalize("NFC", text)))
    return _cut("\n".join(line for line in lines if line), chars)


def clean_line(raw: str, chars: int) -> str:
    """Like ``clean_text``, on one line."""
    return _cut(clean_text(raw, chars).replace("\n", " "), chars)


def _visible(markup: str) -> str:
    """What a reader of the page would see, block elements on lines of their own."""
    markup = _INVISIBLE.sub("", _CDATA.sub("", markup))
    if markup.count("<") > MARKUP_TAGS:
        markup = "<".join(markup.split("<", MARKUP_TAGS)[:MARKUP_TAGS])
    body = LexborHTMLParser(markup).body
    if body is None:  # a frameset
        return ""
    for node in body.css(_UNSEEN):
        node.decompose()
    for node in body.css("img[alt][class*=emoji], img[alt][class*=smiley]"):  # how forums write their emoji
        node.insert_before(node.attributes["alt"] or "")
    for selector, mark in ((_LINES, _BREAK), (_CELLS, " ")):
        for node in body.css(selector):
            node.insert_before(mark)
            node.insert_after(mark)
    return _SOURCE_SPACE.sub(" ", body.text()).replace(_BREAK, "\n")


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda entity: _entity(entity[0]), text)


def _entity(entity: str) -> str:
    """Its character; unlike html.unescape alone, "&notes;" is not taken for "&not" and "es;"."""
    return html.unescape(entity) if entity[1] == "#" else html5.get(entity[1:], entity)


def _cut(text: str, chars: int) -> str:
    """The first ``chars`` characters, without a word cut in two."""
    if len(text) <= chars:
        return text
    head = text[:chars]
    if not text[chars].isspace():
        end = max(head.rfind(" "), head.rfind("\n"))
        head = head[:end] if end > chars // 2 else head  # scripts without spaces, and walls of letters
    return head.rstrip()


def _clean_id(given: str) -> str:
    """A site's id on one line; empty when nothing of it can be seen."""
    cleaned = " ".join(_INVISIBLE.sub("", given).split())
    if len(cleaned) <= ID_CHARS:
        return cleaned
    digest = _digest(cleaned)
    return f"{cleaned[: ID_CHARS - len(digest) - 1]}#{digest}"


# ------------------------------------------------------------------------------------------------------------- address

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?")
_PORTS = {"http": 80, "https": 443}
_SAFE = "%/:@!$&()*+,;=~-._"  # left as they are in a path; quotes, brackets and white space are percent-encoded
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")

_TRACKING = re.compile(
    r"[gd]clid|[gw]braid|gclsrc|fbclid|msclkid|yclid|twclid|ttclid|li_fat_id|igsh|igshid|mkt_tok|vero_id|wt_mc|xtor|s_cid"
    r"|cmpid|ref_src|ref_url|spm|_ga|_gl|(?:pk|at)_(?:campaign|kwd|source|medium)|(?:utm|mtm|hsa|oly|mc)_\w+|_hs\w+",
    re.IGNORECASE,
)
_AMP_QUERY = {("amp", ""), ("amp", "1"), ("amp", "true"), ("outputtype", "amp")}
_AMP_PATH = re.compile(r"(?:/amp|\.amp(\.html)?)$")
# x.cdn.ampproject.org/c/s/HOST/…, google.com/amp/s/HOST/…
_AMP_CACHE = re.compile(r"/(?:[acv]|amp)/(?:s/)?(?=[a-z0-9][a-z0-9.-]{0,200}\.[a-z]{2,20}(?:/|$))", re.IGNORECASE)
_VARIANT_HOSTS = ("www.", "m.", "mobile.", "amp.")


def _link(url: str) -> str:
    """``url`` made safe; empty where there is none that a person could follow: what was said counts all the same."""
    try:
        return safe_url(url)
    except ValueError:
        return ""


def safe_url(url: str) -> str:
    """``url`` as it may be shown and followed: http(s), host in ASCII (IDNA 2008), no user name, no raw quotes.

    Raises ValueError for any other scheme, a missing or malformed host, a bad port, or more than 2048 characters.
    """
    parts = _split(url)
    query, fragment = (quote(_decoded(part), safe=_SAFE + "?") for part in (parts.query, parts.fragment))
    return f"{parts.scheme}://{_authority(parts)}{_path(parts)}{query and '?'}{query}{fragment and '#'}{fragment}"


def canonical_url(url: str) -> str:
    """The key that joins one article seen through different sources; not an address to follow.

    ``https`` for ``http``, no default port, no ``www.``/``m.``/``mobile.``/``amp.``, no AMP cache, suffix or parameter,
    no tracking parameters (``utm_*``, click ids, …), the query sorted, no fragment, no trailing slash. Twice is once.
    Raises ValueError where ``safe_url`` does.
    """
    parts = _split(url)
    cache = _AMP_CACHE.match(parts.path)
    host = parts.hostname or ""
    if cache and (host.endswith(".ampproject.org") or host in {"google.com", "www.google.com"}):
        return canonical_url(f"https://{parts.path[cache.end() :]}{parts.query and '?'}{parts.query}")
    authority = _authority(parts)
    while authority.startswith(_VARIANT_HOSTS) and authority.count(".") > 1:
        authority = authority.partition(".")[2]
    scheme = "https" if parts.port in {None, _PORTS[parts.scheme]} else parts.scheme
    path, longer = _path(parts).rstrip("/"), ""
    while path != longer:
        longer, path = path, _AMP_PATH.sub(r"\1", path).rstrip("/")
    pairs = sorted(
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not _TRACKING.fullmatch(name) and (name.lower(), value.lower()) not in _AMP_QUERY
    )
    query = urlencode(pairs)
    return f"{scheme}://{authority}{path or '/'}{query and '?'}{query}"


def _split(url: str) -> SplitResult:
    url = url.strip()
    if len(url) > URL_CHARS:
        raise ValueError(f"the address is longer than {URL_CHARS} characters")
    parts = urlsplit(_INVISIBLE.sub("", url))
    if parts.scheme not in _PORTS:  # urlsplit has lower-cased it
        raise ValueError(f"the address is not http or https: {parts.scheme[:20]!r}")
    return parts


def _authority(parts: SplitResult) -> str:
    """Host in ASCII, and the port unless it is the scheme's own; raises ValueError when either is malformed."""
    host = (parts.hostname or "").removesuffix(".")
    if ":" in host:
        host = f"[{host}]"  # IPv6: urlsplit has checked it
    else:
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode("ascii")
        if not _HOST.fullmatch(host):
            raise ValueError("the address has no valid host")
    return host if parts.port in {None, _PORTS[parts.scheme]} else f"{host}:{parts.port}"


def _path(parts: SplitResult) -> str:
    """The path with percent-encoding in one form (RFC 3986, 6.2.2)."""
    return quote(_decoded(parts.path), safe=_SAFE) or "/"


def _decoded(part: str) -> str:
    """Percent-encoded octets in upper case, or decoded where they need not be encoded."""

    def one(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if _UNRESERVED.fullmatch(char) else match[0].upper()

    return _PERCENT.sub(one, part)


# -------------------------------------------------------------------------------------------- time, language, comparing

_LANG = re.compile(r"[a-z]{2,3}")
_LANG_ALIASES = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "ji": "yi", "est": "et", "eng": "en", "rus": "ru"}
_NO_LANG = {"und", "mul", "zxx", "mis", "xx"}

_RETOLD = re.compile(r"\brt\s{0,3}@\w{1,100}:?|\bvia\s{1,3}@\w{1,100}|(?:https?://|www\.)\S{1,2048}|@\w{1,100}")


def reduce_lang(declared: str | None) -> str | None:
    """``et-EE``, ``et_EE`` and ``ET`` to ``et``; None for what is not a language code or says that none is known."""
    code = re.split(r"[-_]", (declared or "").strip().lower(), maxsplit=1)[0]
    return _LANG_ALIASES.get(code, code) if _LANG.fullmatch(code) and code not in _NO_LANG else None


def text_key(text: str) -> str:
    """Equal for texts that say the same: ``<count of letters and digits>:<their digest>``.

    Compared are letters and digits only, NFKC and casefolded, without "RT @x:", "via @x", handles and addresses. A text
    without any (emoji only) has the count 0, and its digest is over the text itself.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(filter(str.isalnum, _RETOLD.sub(" ", folded)))
    return f"{len(kept)}:{_digest(kept or folded)}"


def _digest(*parts: str) -> str:
    """32 hexadecimal digits of SHA-256, enough that no two texts ever meet."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def _plausible(published_at: datetime | None, seen_at: datetime) -> datetime | None:
    if published_at is None or published_at < EARLIEST_AT:
        return None
    return seen_at if published_at > seen_at + FUTURE else published_at.astimezone(UTC)
