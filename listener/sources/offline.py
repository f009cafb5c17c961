"""Saved bytes through a source's parser, without a network: for ``listener read``, fixtures and imports."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from listener.domain import Page
from listener.errors import ConfigError, Fault
from listener.sources.base import BaseSource, Parsed
from listener.sources.registry import source_type

UNKNOWN_URL: Final = "https://unknown.invalid/"  # RFC 6761, 6.4: links relative to it are plainly unresolved


def build(type_name: str, body: bytes, *, url: str | None, options: Mapping[str, Any]) -> BaseSource:
    """The source of this type, with what options it needs to read ``body``. Raises ConfigError naming what lacks."""
    kind = source_type(type_name)
    given: dict[str, Any] = {"name": type_name, **options}
    if "url" in kind.model_fields:
        given.setdefault("url", url or UNKNOWN_URL)
    if type_name == "file":
        given.setdefault("path", "-")
        given.setdefault("format", "jsonl" if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "csv")
    try:
        return kind(**given)
    except ValidationError as error:
        raise ConfigError(
            [
                Fault(
                    path=".".join(str(part) for part in problem["loc"]) or type_name,
                    problem=problem["msg"],
                    fix=f"give it as an option of {type_name}",
                )
                for problem in error.errors(include_url=False, include_context=False, include_input=False)
            ]
        ) from error


def read(type_name: str, body: bytes, *, url: str | None = None, options: Mapping[str, Any] | None = None) -> Parsed:
    """What ``body``, the bytes of a page at ``url`` or of a file, says to the source type.

    Raises ConfigError when the type needs more options, ParseError when it cannot read the bytes.
    """
    source = build(type_name, body, url=url, options=options or {})
    page = Page(url=url or UNKNOWN_URL, status=200, headers={}, body=body, fetched_at=datetime.now(UTC))
    return source.parse(page)
