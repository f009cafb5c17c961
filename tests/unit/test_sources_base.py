"""The template that polls: paging, checkpoint, overlap, failures half-way, bounds."""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from listener.domain import Accept, Checkpoint, Page, PollResult, RawMention, Request, Validator
from listener.errors import FetchError, ParseError, SourceError
from listener.sources import base
from listener.sources.base import ITEMS_MAX, HttpSource
from listener.sources.reading.jsontext import loads
from listener.sources.reading.times import parse_time

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEFORE = Checkpoint(
    since_at=NOW - timedelta(days=1), validators={"https://a.example/": Validator(etag='"1"')}, refreshed_at=NOW
)


class Numbered(HttpSource):
    """A source whose pages are ``?page=1`` and so on, and whose items are (id, time) pairs."""

    pages: int = 3
    ordered: bool = False

    @property
    def newest_first(self) -> bool:
        return self.ordered

    def request(self, since: datetime | None) -> Request:
        params = {"page": "1", "since": since.isoformat() if since else ""}
        return Request(url="https://a.example/", accept=Accept.JSON, params=params)

    def items(self, page: Page) -> Iterable[Any]:
        return loads(page.body)["items"]  # type: ignore[no-any-return]  # JSON

    def mention(self, item: Any) -> RawMention:
        return RawMention(external_id=item[0], url="https://a.example/x", text="t", published_at=parse_time(item[1]))

    def next_request(self, page: Page, request: Request) -> Request | None:
        number = int(request.params["page"]) + 1
        if loads(page.body).get("last"):
            return None
        return replace(request, params={**request.params, "page": str(number)})


class Served:
    """A fetcher that answers with what it was given, in order, and remembers the requests."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.requests = list(answers), list[Request]()

    async def __call__(self, request: Request) -> Page:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, SourceError):
            raise answer
        if isinstance(answer, int):
            return Page(url=request.url, status=answer, headers={}, body=b"", fetched_at=NOW)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return Page(url=request.url, status=200, headers={}, body=body, fetched_at=NOW)


def page(*items: tuple[str, str], last: bool = False) -> dict[str, object]:
    return {"items": items, "last": last}


def ids(result: PollResult) -> list[str]:
    return [mention.external_id for mention in result.mentions]


async def poll(*answers: object, checkpoint: Checkpoint = BEFORE, **options: Any) -> tuple[PollResult, list[Request]]:
    fetch = Served(*answers)
    return await Numbered(name="a", **options).poll(fetch, checkpoint), fetch.requests


async def test_all_pages_are_read_and_the_checkpoint_moves_to_the_newest_time() -> None:
    result, requests = await poll(
        page(("1", "2026-11-21T10:00Z"), ("2", "2026-11-21T11:00Z")), page(("3", "2026-11-21T09:00Z"), last=True)
    )
    assert ids(result) == ["1", "2", "3"]
    assert result.checkpoint == replace(BEFORE, since_at=datetime(2026, 11, 21, 11, tzinfo=UTC))
    assert [request.params["page"] for request in requests] == ["1", "2"]
    assert [request.conditional for request in requests] == [True, False]


async def test_since_overlaps_the_poll_before_by_two_intervals() -> None:
    _, requests = await poll(page(("1", "2026-11-21T10:00Z"), last=True), interval_secs=600)
    assert requests[0].params["since"] == "2026-11-20T11:40:00+00:00"


async def test_the_first_poll_asks_without_since() -> None:
    _, requests = await poll(page(last=True), checkpoint=Checkpoint())
    assert requests[0].params["since"] == ""


async def test_a_date_in_the_future_does_not_move_the_checkpoint() -> None:
    result, _ = await poll(page(("1", "2027-11-21T10:00Z"), last=True))
    assert result.checkpoint == BEFORE


async def test_the_checkpoint_never_moves_back() -> None:
    result, _ = await poll(page(("1", "2020-11-21T10:00Z"), last=True))
    assert result.checkpoint == BEFORE


async def test_a_failure_on_a_later_page_keeps_what_was_read_and_the_old_checkpoint() -> None:
    failure = FetchError("503")
    result, _ = await poll(page(("1", "2026-11-21T10:00Z")), failure)
    assert (ids(result), result.failure, result.checkpoint) == (["1"], failure, BEFORE)


async def test_a_later_page_that_cannot_be_read_is_such_a_failure() -> None:
    result, _ = await poll(page(("1", "2026-11-21T10:00Z")), b"<html>blocked</html>")
    assert isinstance(result.failure, ParseError)
    assert ids(result) == ["1"]


async def test_a_failure_on_the_first_page_is_raised() -> None:
    with pytest.raises(FetchError):
        await poll(FetchError("no route"))


async def test_not_modified_changes_nothing() -> None:
    result, _ = await poll(304)
    assert result == PollResult(mentions=(), checkpoint=BEFORE, not_modified=True)


async def test_a_server_that_repeats_its_first_page_is_left() -> None:
    same = page(("1", "2026-11-21T10:00Z"))
    result, requests = await poll(same, same, same)
    assert ids(result) == ["1"]
    assert len(requests) == 2


async def test_no_more_than_ten_pages_are_read() -> None:
    pages = [page((str(number), "2026-11-21T10:00Z")) for number in range(20)]
    result, requests = await poll(*pages)
    assert len(result.mentions) == len(requests) == 10
    assert result.failure is None


@pytest.mark.parametrize(("ordered", "asked"), [(True, 1), (False, 2)])
async def test_an_old_page_is_the_last_one_only_where_the_order_is_promised(ordered: bool, asked: int) -> None:
    old = page(("1", "2026-11-01T10:00Z"))
    _, requests = await poll(old, page(("2", "2026-11-21T10:00Z"), last=True), ordered=ordered)
    assert len(requests) == asked


async def test_an_item_on_two_pages_counts_once() -> None:
    result, _ = await poll(
        page(("1", "2026-11-21T10:00Z"), ("2", "2026-11-21T10:00Z")), page(("2", "2026-11-21T10:00Z"), last=True)
    )
    assert ids(result) == ["1", "2"]


async def test_a_bad_item_is_rejected_with_its_place() -> None:
    result, _ = await poll(page(("1", "2026-11-21T10:00Z"), ("2", "yesterday"), last=True))
    assert ids(result) == ["1"]
    assert [(one.position, "time" in one.problem or "format" in one.problem) for one in result.rejected] == [(1, True)]


async def test_a_page_with_too_many_items_is_cut_and_says_so() -> None:
    items = [(str(number), "2026-11-21T10:00Z") for number in range(ITEMS_MAX + 3)]
    result, _ = await poll(page(*items, last=True))
    assert len(result.mentions) == ITEMS_MAX
    assert [one.problem for one in result.rejected] == ["3 more items than one page may have (2000)"]


async def test_a_page_that_takes_too_long_is_a_parse_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop is not blocked meanwhile: the time limit itself runs on it."""
    released: list[bool] = []

    def slow(self: Numbered, page: Page) -> Sequence[Any]:  # noqa: ARG001 -- the hook's signature
        while not released:
            time.sleep(0.005)
        return []

    monkeypatch.setattr(Numbered, "items", slow)
    monkeypatch.setattr(base, "PARSE_SECS", 0.05)
    try:
        with pytest.raises(ParseError, match="took longer"):
            await poll(page(last=True))
    finally:
        released.append(True)
        await asyncio.sleep(0)


def test_a_mention_is_cut_to_what_we_store() -> None:
    class Huge(Numbered):
        def mention(self, item: Any) -> RawMention:
            return RawMention(
                external_id="i" * 5000,
                url=str(item),
                text="t\0\ud800" * 50_000,
                author="a\0",
                lang="et-EE",
                title="x" * 9999,
                conversation="x" * 9999 + "\0",
            )

    one, two = Huge(name="a").read(["javascript:alert(1)", "https://a.example/" + "x" * 3000]).mentions
    assert one.external_id.startswith("sha256:")
    assert (one.conversation or "").startswith("sha256:")
    assert (one.url, two.url) == ("", "")
    assert len(one.text) <= 100_000
    assert "\0" not in one.text
    one.text.encode()
    assert (one.author, one.lang, len(one.title or "")) == ("a", "et", 2000)


def test_an_exception_that_is_no_items_fault_is_a_bug_and_crashes() -> None:
    class Buggy(Numbered):
        def mention(self, item: Any) -> RawMention:
            raise NotImplementedError

    with pytest.raises(NotImplementedError):
        Buggy(name="a").read([1])
