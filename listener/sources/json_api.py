"""Any HTTP service that answers with a list in JSON, mapped in the configuration instead of in code.

Options: ``url``, ``method``, ``params``, ``headers`` and ``body`` say how to ask; ``token`` and ``auth`` who asks;
``items`` where the list is (JSONPath, RFC 9535) and ``fields`` where its parts are; ``paging`` how to turn the page;
``since`` which parameter narrows the question to what is new. For example::

    [sources.reviews]
    type = "json_api"
    url = "https://api.example.com/v1/reviews"
    auth = "bearer"                      # token: LISTENER_SOURCES__REVIEWS__TOKEN
    items = "$.data.reviews[*]"
    since = {param = "updated_after", format = "unix_s"}
    paging = {kind = "cursor", param = "cursor", path = "$.meta.next"}
    [sources.reviews.fields]
    external_id = "id"
    url = "https://example.com/reviews/{id}"
    text = "body"
    author = "customer.name"
    published_at = {path = "created", type = "unix_ms"}
    rating = {path = "stars", max = 5}
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from listener.config.zones import ZoneName, zone_of
from listener.domain import Accept, Page, RawMention, Request
from listener.errors import ParseError
from listener.sources.base import HttpSource
from listener.sources.reading.jsontext import loads
from listener.sources.reading.mapping import (
    Fields,
    check_path,
    compile_path,
    find_all,
    find_one,
    mention_of,
)

_MODEL = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_LAST_SELECTOR = re.compile(r"(?P<parent>.*?)\[(?:\*|\?.*)\]", re.DOTALL)
_NEXT_LINK = re.compile(r"<([^<>]{1,2000})>((?:\s*;\s*[\w*-]+(?:\s*=\s*(?:\"[^\"]*\"|[^\s;,\"]+))?)*)")  # RFC 8288, 3
_REL_NEXT = re.compile(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\"|next)(?=\s*(?:;|$))", re.IGNORECASE)


class Paging(BaseModel):
    """How to ask for the page after this one.

    ``page``: ``param`` counts pages from ``start`` (1). ``offset``: ``param`` counts items from ``start`` (0).
    ``cursor``: ``param`` takes what the answer has at ``path``. ``next_url``: the answer has the address at ``path``.
    ``link_header``: RFC 8288. ``size`` items are asked for with ``size_param``.
    """

    model_config = _MODEL

    kind: Literal["none", "page", "offset", "cursor", "next_url", "link_header"] = "none"
    param: str | None = None
    path: str | None = None
    start: int | None = Field(default=None, ge=0)
    size_param: str | None = None
    size: int | None = Field(default=None, ge=1)
    max_pages: int = Field(default=10, ge=1, le=100)
    newest_first: bool = False
    other_hosts: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind in {"page", "offset", "cursor"} and not self.param:
            raise ValueError(f"paging of kind {self.kind!r} needs `param`, the name of the parameter")
        if self.kind in {"cursor", "next_url"}:
            if not self.path:
                raise ValueError(f"paging of kind {self.kind!r} needs `path`, where the answer says what comes next")
            check_path(self.path)
        if self.size_param is not None and self.size is None:
            raise ValueError("`size_param` needs `size`")
        return self

    @property
    def first(self) -> int:
        """Of the first page, or of the first item."""
        return self.start if self.start is not None else int(self.kind == "page")


class Since(BaseModel):
    """The parameter that asks for what is new, and how it writes a time."""

    model_config = _MODEL

    param: str = Field(min_length=1)
    format: Literal["iso", "unix_s", "unix_ms"] = "iso"

    def of(self, moment: datetime) -> str:
        """The time as the site reads it."""
        if self.format == "iso":
            return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return str(int(moment.timestamp() * (1000 if self.format == "unix_ms" else 1)))


class ItemFields(Fields):
    """Where the fields stand in an item; ``external_id`` is mandatory."""

    @model_validator(mode="after")
    def _has_identity(self) -> Self:
        if self.external_id is None:
            raise ValueError("give `external_id`: what tells one item from another")
        return self


class JsonApi(HttpSource):
    """Poll one JSON service."""

    url: str = Field(pattern=r"^https?://", description="Address of the list.")
    method: Literal["GET", "POST"] = Field(default="GET", description="How to ask.")
    params: Mapping[str, str | int | float] = Field(default_factory=dict, description="Query parameters.")
    headers: Mapping[str, str] = Field(default_factory=dict, description="Headers, none of them secret.")
    body: Any = Field(default=None, description="JSON to send with POST.")
    auth: Literal["bearer", "header", "query", "basic"] = Field(default="bearer", description="How to show the token.")
    auth_name: str | None = Field(default=None, description="Header, parameter or user name that goes with it.")
    token: SecretStr | None = Field(default=None, description="What we are known by there.")
    items_path: str = Field(default="$[*]", alias="items", description="Where the items are (JSONPath, RFC 9535).")
    fields: ItemFields = Field(description="Where the parts of a mention stand in an item.")
    paging: Paging = Field(default=Paging(), description="How to ask for the next page.")
    since: Since | None = Field(default=None, description="The parameter that asks for what is new.")
    timezone: ZoneName = Field(default="UTC", description="IANA time zone of times that name none.")

    @field_validator("items_path")
    @classmethod
    def _items_is_a_path(cls, path: str) -> str:
        compile_path(path)
        return path

    @field_validator("headers")
    @classmethod
    def _headers_are_plain(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in headers.items():
            if name.lower() in _SECRET_HEADERS:
                raise ValueError(f"{name} is a secret: use `token` with `auth`, not `headers`")
            if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
                raise ValueError(f"{name!r} is not a header of one printable line")
        return headers

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        if self.token is not None and self.auth != "bearer" and not self.auth_name:
            what = "the user's name" if self.auth == "basic" else f"the name of the {self.auth} parameter"
            raise ValueError(f"auth = {self.auth!r} needs `auth_name`, {what}")
        if self.body is not None and self.method == "GET":
            raise ValueError("a `body` is sent with method = 'POST'")
        return self

    @property
    def max_pages(self) -> int:
        """As configured; one where nothing says how to turn the page."""
        return 1 if self.paging.kind == "none" else self.paging.max_pages

    @property
    def newest_first(self) -> bool:
        """As configured."""
        return self.paging.newest_first

    def request(self, since: datetime | None) -> Request:
        """Ask for the first page."""
        params = {name: str(value) for name, value in self.params.items()}
        if self.since is not None and since is not None:
            params[self.since.param] = self.since.of(since)
        if self.paging.kind in {"page", "offset"} and self.paging.param:
            params[self.paging.param] = str(self.paging.first)
        if self.paging.size_param is not None:
            params[self.paging.size_param] = str(self.paging.size)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = None
        if self.body is not None:
            body = json.dumps(self.body, allow_nan=False).encode()
            headers.setdefault("content-type", "application/json")
        request = Request(
            url=self.url,
            accept=Accept.JSON,
            method=self.method,
            params=params,
            headers=headers,
            body=body,
            conditional=self.method == "GET",
        )
        return self._with_token(request)

    def items(self, page: Page) -> Iterable[Any]:
        """What ``items`` selects; a single list stands for its elements.

        Selecting nothing is an error, unless it is plain that the list is there and empty.
        """
        document = loads(page.body)
        found = find_all(self.items_path, document)
        if len(found) == 1 and isinstance(found[0], list):
            return found[0]
        if found == [None]:
            return []  # some services say null for an empty list
        if not found and not self._is_empty(document):
            raise ParseError(f"the site has changed: `items` ({self.items_path}) finds nothing in its answer")
        return found

    def mention(self, item: Any) -> RawMention:
        """Read one item by ``fields``; a relative link is the service's own."""
        raw = mention_of(self.fields, item, zone=zone_of(self.timezone))
        return replace(raw, url=urljoin(self.url, raw.url)) if raw.url else raw

    def next_request(self, page: Page, request: Request) -> Request | None:
        """Turn the page as ``paging`` says; None where the answer is the last, or says the same as before."""
        paging = self.paging
        if paging.kind == "none":
            return None
        if paging.kind == "link_header":
            return self._follow(page, request, _next_link(page.headers.get("link", "")))
        document = loads(page.body)
        if paging.kind == "next_url":
            return self._follow(page, request, find_one(paging.path or "", document))
        param = paging.param or ""
        if paging.kind == "cursor":
            following = _cursor(find_one(paging.path or "", document))
        else:
            following = self._counted(len(list(self.items(page))), int(request.params[param]))
        if following is None or following == request.params.get(param):
            return None
        return replace(request, params={**request.params, param: following})

    def _counted(self, count: int, current: int) -> str | None:
        """The number of the next page, or of its first item, after one with ``count`` items; None after a short one."""
        if count == 0 or (self.paging.size is not None and count < self.paging.size):
            return None
        return str(current + (1 if self.paging.kind == "page" else count))

    def _is_empty(self, document: Any) -> bool:
        """Whether what ``items`` selects from is there: a container without anything to select, or null."""
        last = _LAST_SELECTOR.fullmatch(self.items_path)
        if last is None:
            return document in ([], {})
        parents = find_all(last["parent"], document)
        return any(parent is None or isinstance(parent, list | dict) for parent in parents)

    def _with_token(self, request: Request) -> Request:
        """The request with the secret where the service wants it."""
        if self.token is None:
            return request
        secret, name = self.token.get_secret_value(), self.auth_name or ""
        match self.auth:
            case "query":
                return replace(request, params={**request.params, name: secret})
            case "header":
                header, value = name.lower(), secret
            case "basic":
                login = base64.b64encode(f"{name}:{secret}".encode()).decode("ascii")
                header, value = "authorization", f"Basic {login}"
            case "bearer":
                header, value = "authorization", f"Bearer {secret}"
        return replace(request, headers={**request.headers, header: value})

    def _follow(self, page: Page, request: Request, address: Any) -> Request | None:
        """Ask at the address in the answer: on the same host unless others are allowed, and with TLS if we had it.

        Another host is not shown the token.
        """
        if not address:
            return None
        if not isinstance(address, str):
            raise TypeError("the address of the next page is not a text")
        url = urljoin(page.url, address)
        here, there = urlsplit(page.url), urlsplit(url)
        if there.scheme not in {"http", "https"} or (here.scheme == "https" and there.scheme == "http"):
            raise ParseError("the address of the next page is not http(s)")
        if there.netloc == here.netloc:
            return None if url == request.url else self._with_token(replace(request, url=url, params={}))
        if not self.paging.other_hosts:
            raise ParseError(f"the next page is on another host ({there.hostname}): see `paging.other_hosts`")
        return Request(url=url, accept=Accept.JSON)


def _cursor(value: Any) -> str | None:
    """What to send back; null, false and the empty text say that there is no more."""
    return str(value) or None if isinstance(value, str | int) and not isinstance(value, bool) else None


def _next_link(header: str) -> str | None:
    """The target of the first link with rel=next in a Link header (RFC 8288)."""
    return next((found[1] for found in _NEXT_LINK.finditer(header[:8192]) if _REL_NEXT.search(found[2])), None)
