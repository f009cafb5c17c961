"""The json_api source: how it asks, who it says it is, how it turns pages, and what it makes of wrong answers."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from listener.domain import Checkpoint, Page, Request
from listener.errors import ParseError
from listener.sources.json_api import JsonApi
from listener.sources.reading.mapping import Fields

URL = "https://api.example/v1/reviews"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIELDS = {"external_id": "id", "text": "text"}


def source(**options: Any) -> JsonApi:
    return JsonApi.model_validate({"name": "a", "url": URL, "fields": FIELDS, **options})


def answer(document: object, *, url: str = URL, headers: Mapping[str, str] | None = None) -> Page:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Page(url=url, status=200, headers=headers or {}, body=body, fetched_at=NOW)


def items(*numbers: int) -> list[dict[str, object]]:
    return [{"id": number, "text": "t"} for number in numbers]


# ----------------------------------------------------------------------------------------------------------- requests


def test_the_request() -> None:
    request = source(params={"lang": "et", "limit": 5}, headers={"X-App": "a"}).request(None)
    assert (request.url, request.method, request.params) == (URL, "GET", {"lang": "et", "limit": "5"})
    assert request.headers == {"x-app": "a"}


def test_a_body_is_posted_as_json_and_not_conditionally() -> None:
    request = source(method="POST", body={"q": "Jõe"}).request(None)
    assert request.body is not None
    assert json.loads(request.body) == {"q": "Jõe"}
    assert (request.headers, request.conditional) == ({"content-type": "application/json"}, False)


@pytest.mark.parametrize(
    ("auth", "name", "headers", "params"),
    [
        ("bearer", None, {"authorization": "Bearer s3"}, {}),
        ("header", "X-Api-Key", {"x-api-key": "s3"}, {}),
        ("query", "key", {}, {"key": "s3"}),
        ("basic", "ann", {"authorization": "Basic YW5uOnMz"}, {}),
    ],
)
def test_where_the_token_goes(auth: str, name: str | None, headers: dict[str, str], params: dict[str, str]) -> None:
    request = source(auth=auth, auth_name=name, token=SecretStr("s3")).request(None)
    assert (request.headers, request.params) == (headers, params)


@pytest.mark.parametrize(
    ("how", "value"),
    [("iso", "2026-11-21T12:00:00Z"), ("unix_s", "1795262400"), ("unix_ms", "1795262400000")],
)
def test_since(how: str, value: str) -> None:
    asking = source(since={"param": "after", "format": how})
    assert asking.request(NOW).params == {"after": value}
    assert asking.request(None).params == {}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"fields": {"text": "text"}}, "give `external_id`"),
        ({"fields": {"external_id": "id"}}, "give `text` or `title`"),
        ({"fields": {**FIELDS, "txet": "x"}}, "Extra inputs"),
        ({"fields": {**FIELDS, "author": "$.a["}}, "is not a JSONPath"),
        ({"fields": {**FIELDS, "author": "a..b"}}, "neither a dotted name"),
        ({"fields": {**FIELDS, "published_at": {"path": "at", "type": "epoch"}}}, "is not a type of time"),
        ({"items": "$.["}, "is not a JSONPath"),
        ({"timezone": "Tallinn"}, "IANA"),
        ({"headers": {"Authorization": "x"}}, "use `token`"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "printable"),
        ({"token": "s", "auth": "header"}, "needs `auth_name`"),
        ({"token": "s", "auth": "basic"}, "needs `auth_name`"),
        ({"body": {}}, "method = 'POST'"),
        ({"paging": {"kind": "page"}}, "needs `param`"),
        ({"paging": {"kind": "cursor", "param": "c"}}, "needs `path`"),
        ({"paging": {"kind": "offset", "param": "o", "size_param": "n"}}, "needs `size`"),
        ({"paging": {"kind": "pages"}}, "Input should be"),
        ({"url": "file:///etc/passwd"}, "pattern"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        source(**options)


# -------------------------------------------------------------------------------------------------------------- items


@pytest.mark.parametrize(
    ("path", "document", "count"),
    [
        ("$[*]", items(1, 2), 2),
        ("$", items(1, 2), 2),
        ("$.data", {"data": items(1, 2)}, 2),
        ("$.data[*]", {"data": []}, 0),
        ("$.data[*]", {"data": None}, 0),
        ("$.data", {"data": []}, 0),
        ("$.data", {"data": None}, 0),
        ("$[*]", [], 0),
        ("$..review", {"a": {"review": {"id": 1, "text": "t"}}}, 1),
        ("$.data[?@.text]", {"data": [{"id": 1}, {"id": 2, "text": "t"}]}, 1),
        ("$.data[?@.text]", {"data": [{"id": 1}]}, 0),
    ],
)
def test_where_the_items_are(path: str, document: object, count: int) -> None:
    assert len(source(items=path).parse(answer(document)).mentions) == count


@pytest.mark.parametrize("document", [{}, {"reviews": []}, {"data": "none"}, [], "text", 1, None])
def test_a_path_that_finds_nothing_is_named(document: object) -> None:
    with pytest.raises(ParseError, match=r"`items` \(\$\.data\[\*\]\) finds nothing"):
        source(items="$.data[*]").parse(answer(document))


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"<html>Please log in</html>", "HTML or XML was served where JSON was expected"),
        (b"", "empty"),
        ({"error": "invalid key"}, "none of 1 items"),
        (b'[{"id": 1, "text": NaN}]', "NaN"),
    ],
)
def test_other_answers_are_parse_errors(document: object, problem: str) -> None:
    with pytest.raises(ParseError, match=problem):
        source().parse(answer(document))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ({"published_at": "x"}, 1795262400, "give type = 'unix_s'"),
        ({"published_at": {"path": "x", "type": "unix_s"}}, True, "is a number, not bool"),
        ({"published_at": {"path": "x", "type": "unix_s"}}, 1795262400000, "is not a mention's|is no time"),
        ({"published_at": {"path": "x", "type": "unix_ms"}}, "9" * 5000, "is a number, not str"),
        ({"published_at": {"path": "x", "type": "unix_s"}}, 1e308, "no time"),
        ({"published_at": {"path": "x", "type": "%d.%m.%Y"}}, "2026-11-20", "does not match"),
        ({"published_at": "x"}, "soon", "published_at"),
        ({"rating": "x"}, 4, "give the best one"),
        ({"rating": {"path": "x", "max": 5}}, "four", "is a number"),
        ({"rating": {"path": "x", "max": 5}}, -1, "not on 0..1"),
        ({"rating": {"path": "x", "max": 5}}, True, "not bool"),
        ({"reach": "x"}, -5, "number of people"),
        ({"reach": "x"}, 2**63, "number of people"),
        ({"reach": "x"}, [1], "is a number, not list"),
        ({"author": "x"}, {"name": "Ann"}, "is a text, not dict"),
        ({"title": "x"}, False, "is a text, not bool"),
        ({"conversation": "x"}, ["t1"], "conversation is a text, not list"),
    ],
)
def test_a_value_of_the_wrong_kind_rejects_its_item(field: dict[str, Any], value: object, problem: str) -> None:
    document = [{"id": 1, "text": "t", "x": value}, *items(2)]
    parsed = source(fields={**FIELDS, **field}).parse(answer(document))
    assert [one.external_id for one in parsed.mentions] == ["2"]
    assert [one.position for one in parsed.rejected] == [0]
    with pytest.raises(ParseError, match=problem):
        source(fields={**FIELDS, **field}).parse(answer(document[:1]))


@pytest.mark.parametrize("value", [None, "", "  "])
def test_null_and_blank_values_are_absent(value: object) -> None:
    names = ("url", "author", "title", "published_at", "rating", "reach", "lang")
    fields = {**FIELDS, **dict.fromkeys(names, "x")}
    (mention,) = source(fields=fields).parse(answer([{"id": 1, "text": "t", "x": value}])).mentions
    assert [getattr(mention, name) for name in names] == ["", None, None, None, None, None, None]


def test_a_thread_that_is_mapped_and_empty_is_started_by_the_item() -> None:
    document = [{"id": 1, "text": "t"}, {"id": 2, "text": "t", "of": {"thread": 1}}, {"id": 3, "text": "t", "of": None}]
    parsed = source(fields={**FIELDS, "conversation": "of.thread"}).parse(answer(document))
    assert [one.conversation for one in parsed.mentions] == ["1", "1", "3"]
    assert [one.conversation for one in source().parse(answer(document)).mentions] == [None, None, None]


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("link", "https://api.example/r/7"),
        ("https://site.example/{id}/{user.name}", "https://site.example/7/Ann%2F%C3%95"),
        ("https://site.example/{missing}", ""),
    ],
)
def test_links(path: str, url: str) -> None:
    record = {"id": 7, "text": "t", "link": "/r/7", "user": {"name": "Ann/Õ"}}
    assert source(fields={**FIELDS, "url": path}).parse(answer([record])).mentions[0].url == url


def test_times_without_a_zone_are_in_the_configured_one() -> None:
    fields = {**FIELDS, "published_at": "at"}
    record = {"id": 7, "text": "t", "at": "2026-11-20 12:00"}
    parsed = source(fields=fields, timezone="Europe/Tallinn").parse(answer([record]))
    assert parsed.mentions[0].published_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


# ------------------------------------------------------------------------------------------------------------- paging


def following(paging: dict[str, Any], page: Page, **options: Any) -> Request | None:
    asking = source(paging=paging, **options)
    return asking.next_request(page, asking.request(None))


def test_pages_are_counted() -> None:
    paging = {"kind": "page", "param": "p", "size_param": "n", "size": 2}
    assert source(paging=paging).request(None).params == {"p": "1", "n": "2"}
    turned = following(paging, answer(items(1, 2)))
    assert turned is not None
    assert turned.params == {"p": "2", "n": "2"}
    assert following(paging, answer(items(1))) is None
    assert following({"kind": "page", "param": "p", "start": 0}, answer([])) is None


def test_offsets_are_counted_in_items() -> None:
    turned = following({"kind": "offset", "param": "o"}, answer(items(1, 2, 3)))
    assert turned is not None
    assert turned.params == {"o": "3"}


@pytest.mark.parametrize(
    ("cursor", "sent"), [("abc", "abc"), (17, "17"), (0, "0"), (None, None), ("", None), (False, None), ([], None)]
)
def test_cursors_are_sent_back(cursor: object, sent: str | None) -> None:
    page = answer({"next": cursor, "data": items(1)})
    turned = following({"kind": "cursor", "param": "c", "path": "next"}, page, items="$.data[*]")
    assert (turned.params["c"] if turned else None) == sent


def test_a_cursor_that_stays_is_the_end() -> None:
    asking = source(paging={"kind": "cursor", "param": "c", "path": "next"}, items="$.data[*]")
    page = answer({"next": "abc", "data": items(1)})
    turned = asking.next_request(page, asking.request(None))
    assert turned is not None
    assert asking.next_request(page, turned) is None


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("/v1/reviews?p=2", "https://api.example/v1/reviews?p=2"),
        ("?p=2", f"{URL}?p=2"),
        ("https://api.example/x", "https://api.example/x"),
        (None, None),
        ("", None),
    ],
)
def test_addresses_are_followed(address: str | None, url: str | None) -> None:
    page = answer({"next": address, "data": items(1)})
    turned = following({"kind": "next_url", "path": "next"}, page, params={"q": "x"}, token="s3", items="$.data")
    assert (turned and turned.url) == url
    if turned is not None:
        assert (turned.params, turned.headers) == ({}, {"authorization": "Bearer s3"})


@pytest.mark.parametrize(
    "address",
    ["https://evil.example/x", "http://api.example/x", "//evil.example/x", "https://api.example:8443/x", "file:///etc/passwd",
     "https://api.example@evil.example/", ["x"], {"url": "x"}, 7],
)  # fmt: skip
async def test_addresses_elsewhere_are_not_followed(address: object) -> None:
    """Nor is the checkpoint moved past what was not read."""
    asking = source(paging={"kind": "next_url", "path": "next"}, items="$.data", token="s3")
    asked: list[Request] = []

    async def fetch(request: Request) -> Page:
        asked.append(request)
        return answer({"next": address, "data": items(1)})

    with pytest.raises(ParseError):
        await asking.poll(fetch, Checkpoint())
    assert len(asked) == 1


def test_another_host_that_is_allowed_does_not_see_the_token() -> None:
    page = answer({"next": "https://cdn.example/2", "data": items(1)})
    paging = {"kind": "next_url", "path": "next", "other_hosts": True}
    turned = following(paging, page, token="s3", items="$.data")
    assert turned is not None
    assert (turned.url, turned.headers) == ("https://cdn.example/2", {})


@pytest.mark.parametrize(
    ("header", "url"),
    [
        (f'<{URL}?p=1>; rel="prev", <{URL}?p=3>; rel="next"', f"{URL}?p=3"),
        (f"<{URL}?a=1,2>; title=x; rel=next", f"{URL}?a=1,2"),
        (f'<{URL}?p=3>; rel="last next"', f"{URL}?p=3"),
        (f'<{URL}?p=3>; rel="nextish"', None),
        (f'<{URL}?p=3>; title="rel=next"', None),
        ("<" * 5000, None),
        ("", None),
    ],
)
def test_link_headers_are_followed(header: str, url: str | None) -> None:
    turned = following({"kind": "link_header"}, answer(items(1), headers={"link": header}))
    assert (turned and turned.url) == url


async def test_a_poll_turns_pages_until_the_last() -> None:
    asking = source(paging={"kind": "page", "param": "p", "size": 2})
    pages = {"1": items(1, 2), "2": items(3, 4), "3": items(5)}

    async def fetch(request: Request) -> Page:
        return answer(pages[request.params["p"]])

    result = await asking.poll(fetch, Checkpoint())
    assert [one.external_id for one in result.mentions] == ["1", "2", "3", "4", "5"]


def test_fields_of_files_need_no_id() -> None:
    assert Fields.model_validate({"text": "body"}).external_id is None
