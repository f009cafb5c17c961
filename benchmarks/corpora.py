"""What other readers' expected JSON says of their own feeds, against what the ``feed`` source reads from them.

``python -m benchmarks.corpora [--json] [FOLDER]`` reads every document of gofeed's ``testdata`` and of rss-parser's
``test/input`` below FOLDER (default: ``$LISTENER_CORPORA``) and counts documents, items and fields. Titles, authors and
texts are compared as rendered, that is without markup and white space; ids, links and dates exactly.
"""

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urljoin

from listener.domain import Page
from listener.errors import ParseError
from listener.sources.feed import Feed
from listener.sources.reading.times import parse_time
from listener.sources.reading.xmlfeed import Entry

URL: Final = "http://feeds.example/feed"
FIELDS: Final = ("title", "link", "id", "author", "date", "text")

_ONE_LINK = "RSS has one link: of several we keep the first, gofeed the last"
_BROKEN_EXPECTATION = "the expected file has U+FFFD where the feed is Windows-1252 and does not say so"
_MOVED_WORDS = "rss-parser puts the words of mixed content before its elements; we keep their order"
JUSTIFIED: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("gofeed/testdata/parser/atom/entry_id_xml_base.xml", "id"): (
            "an Atom id is compared as it is written and never resolved (RFC 4287, 4.2.6.1)"
        ),
        ("gofeed/testdata/parser/rss/rdf_item_links.xml", "link"): _ONE_LINK,
        ("gofeed/testdata/parser/rss/rss_channel_item_links.xml", "link"): _ONE_LINK,
        ("gofeed/testdata/translator/rss/feed_item_links_-_rss_channel_item_links.xml", "link"): _ONE_LINK,
        ("rss-parser/test/input/uolNoticias.rss", "title"): _BROKEN_EXPECTATION,
        ("rss-parser/test/input/uolNoticias.rss", "text"): _BROKEN_EXPECTATION,
        ("rss-parser/test/input/reddit-atom.rss", "text"): _MOVED_WORDS,
        ("rss-parser/test/input/reddit-home.rss", "text"): _MOVED_WORDS,
        (
            "rss-parser/test/input/xml2js-options.rss",
            "text",
        ): "expected with an option that writes EMPTY for empty elements",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field of an item that is not what the other reader says."""

    document: str
    item: int
    field: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One document. ``items`` is None when it cannot be read, and ``problem`` says why."""

    document: str
    items: int | None
    mentions: int
    compared: Mapping[str, int]
    differences: tuple[Difference, ...]
    problem: str | None
    took_secs: float


def documents_of_gofeed(corpora: Path) -> list[Path]:
    """Every feed of gofeed's test data: what is not the expectation of another file."""
    files = sorted(path for path in (corpora / "gofeed" / "testdata").rglob("*") if path.suffix in {".xml", ".json"})
    return [
        path
        for path in files
        if path.suffix == ".xml" or not (path.stem.endswith("_expected") or path.with_suffix(".xml").exists())
    ]


def documents_of_rss_parser(corpora: Path) -> list[Path]:
    """Every feed of rss-parser's test input."""
    return sorted((corpora / "rss-parser" / "test" / "input").glob("*"))


def compare(document: Path, corpora: Path) -> Comparison:
    """Read the document and hold every field that its expectation states against what was read."""
    name = document.relative_to(corpora).as_posix()
    feed = Feed(name="corpora", url=URL)
    page = Page(url=URL, status=200, headers={}, body=document.read_bytes(), fetched_at=datetime.now(UTC))
    started = time.perf_counter()
    items: list[Entry | ValueError] | None = None
    mentions, problem = 0, None
    try:
        items = [entry for entry, _ in feed.items(page)]
        mentions = len(feed.parse(page).mentions)
    except ParseError as error:
        problem = str(error)
    took_secs = time.perf_counter() - started
    compared: Counter[str] = Counter()
    differences: list[Difference] = []
    expected = expected_items(document)
    if expected is not None and items is not None:
        if len(expected) != len(items):
            differences.append(
                Difference(document=name, item=0, field="count", expected=str(len(expected)), found=str(len(items)))
            )
        for number, (wanted, entry) in enumerate(zip(expected, items, strict=False)):
            found = fields_of(entry)
            for field, value in wanted.items():
                compared[field] += 1
                if same_form(field, value) != same_form(field, found.get(field)):
                    differences.append(
                        Difference(
                            document=name, item=number, field=field, expected=str(value), found=str(found.get(field))
                        )
                    )
    return Comparison(
        document=name,
        items=None if items is None else len(items),
        mentions=mentions,
        compared=compared,
        differences=tuple(differences),
        problem=problem,
        took_secs=took_secs,
    )


def unjustified(comparison: Comparison) -> list[Difference]:
    """The differences that JUSTIFIED does not explain."""
    return [found for found in comparison.differences if (found.document, found.field) not in JUSTIFIED]


def summary(comparisons: Iterable[Comparison]) -> dict[str, Any]:
    """The figures of some documents."""
    done = list(comparisons)
    fields: Counter[str] = Counter()
    different: Counter[str] = Counter()
    for comparison in done:
        fields.update(comparison.compared)
        different.update(found.field for found in comparison.differences)
    return {
        "documents": len(done),
        "documents_with_expectation": sum(1 for one in done if one.compared),
        "unreadable_documents": sum(1 for one in done if one.items is None),
        "items": sum(one.items or 0 for one in done),
        "mentions": sum(one.mentions for one in done),
        "fields_compared": dict(fields),
        "fields_equal": {name: count - different[name] for name, count in fields.items()},
        "justified_differences": sum(len(one.differences) - len(unjustified(one)) for one in done),
        "unjustified_differences": sum(len(unjustified(one)) for one in done),
        "slowest_secs": round(max((one.took_secs for one in done), default=0.0), 3),
        "total_secs": round(sum(one.took_secs for one in done), 3),
    }


def expected_items(document: Path) -> list[dict[str, Any]] | None:
    """What the other reader states about the items; None when it states nothing."""
    candidates = (
        document.with_name(f"{document.stem}_expected.json")
        if document.suffix == ".json"
        else document.with_suffix(".json"),
        document.parent.parent / "output" / f"{document.stem}.json",
    )
    path = next((candidate for candidate in candidates if candidate.exists() and candidate != document), None)
    if path is None:
        return None
    raw = path.read_bytes()
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1252")  # rss-parser keeps one expectation in the encoding of its feed
    stated = json.loads(text)
    stated = stated.get("feed", stated)
    return [dict(_stated(item)) for item in stated.get("items") or stated.get("entries") or ()]


def _stated(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of one expected item, in whichever of the shapes of the two projects it is."""
    guid, links, author = item.get("guid"), item.get("links") or (), item.get("creator") or item.get("author")
    if not author and item.get("authors"):
        author = item["authors"][0]
    if isinstance(author, Mapping):
        author = author.get("name") or author.get("email") or None
    link = item.get("link") or item.get("url")
    if not link and links and isinstance(links[0], Mapping):
        link = next((each.get("href") for each in links if each.get("rel", "alternate") == "alternate"), None)
    content = item.get("content:encoded") or item.get("content") or item.get("content_html")
    values = {
        "title": item.get("title"),
        "link": urljoin(URL, link) if link else None,
        "id": (guid.get("value") if isinstance(guid, Mapping) else guid) or item.get("id"),
        "author": author if isinstance(author, str) else None,
        "date": _time(item),
        "text": (content.get("value") if isinstance(content, Mapping) else content)
        or item.get("description")
        or item.get("summary"),
    }
    yield from ((field, value) for field, value in values.items() if value)


def _time(item: Mapping[str, Any]) -> datetime | None:
    keys = ("publishedParsed", "pubDateParsed", "isoDate", "date_published", "updatedParsed", "date_modified")
    stated = next((item[key] for key in keys if item.get(key)), None)
    return parse_time(stated) if stated else None


def fields_of(entry: Entry | ValueError) -> dict[str, Any]:
    """What was read of an entry, by the names of FIELDS; nothing where it could not be read."""
    if isinstance(entry, ValueError):
        return {}
    return {
        "title": entry.title,
        "link": entry.link,
        "id": entry.id,
        "author": entry.author,
        "date": entry.published_at or entry.updated_at,
        "text": entry.text,
    }


def same_form(field: str, value: Any) -> Any:
    """The value as it is compared: rendered for what people read, exact for the rest."""
    if isinstance(value, str) and field in {"title", "author", "text"}:
        return re.sub(r"\s+", "", unescape(re.sub(r"<[^<>]*>", "", unescape(value))))
    return value.strip() if isinstance(value, str) else value


def main() -> None:
    """Print the figures of both corpora, and every difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", default=os.environ.get("LISTENER_CORPORA", "../shared/corpora"), type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    corpora: Path = options.folder
    results = {
        "gofeed": [compare(path, corpora) for path in documents_of_gofeed(corpora)],
        "rss-parser": [compare(path, corpora) for path in documents_of_rss_parser(corpora)],
    }
    if options.json:
        print(json.dumps({name: summary(comparisons) for name, comparisons in results.items()}, indent=2))
        return
    for name, comparisons in results.items():
        print(name)
        for figure, value in summary(comparisons).items():
            print(f"  {figure}: {value}")
        for comparison in comparisons:
            if comparison.items is None:
                print(f"  unreadable {comparison.document}: {comparison.problem}")
            for field, count in Counter(found.field for found in comparison.differences).items():
                reason = JUSTIFIED.get((comparison.document, field), "NOT JUSTIFIED")
                print(f"  {count} x {field} of {comparison.document}: {reason}")


if __name__ == "__main__":
    main()
