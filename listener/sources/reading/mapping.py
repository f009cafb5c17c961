"""Where the fields of a mention stand in somebody else's record: the ``fields`` table of ``json_api`` and ``file``."""

import math
import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, Final, Self
from urllib.parse import quote

import jsonpath
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from listener.domain import RawMention
from listener.sources.reading.times import from_unix, in_utc, parse_time

_MODEL = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,15})?")
_NAMED_TYPES: Final = ("iso", "unix_s", "unix_ms", "rfc822")
_ENVIRONMENT = jsonpath.JSONPathEnvironment(strict=True)  # RFC 9535 and nothing else


@lru_cache(maxsize=512)
def compile_path(path: str) -> jsonpath.JSONPath | jsonpath.CompoundJSONPath:
    """The JSONPath (RFC 9535), compiled once. Raises ValueError when it is none."""
    try:
        return _ENVIRONMENT.compile(path)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{path!r} is not a JSONPath (RFC 9535): {error}") from error


def find_all(path: str, value: Any) -> list[Any]:
    """What the JSONPath selects in the value. Raises ValueError when evaluating fails."""
    try:
        return list(compile_path(path).findall(value))
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{path!r} cannot be evaluated: {error}") from error


def find_one(path: str, value: Any) -> Any:
    """What stands at ``path``, a dotted name (``user.name``) or a JSONPath that begins with ``$``; None if nothing."""
    if path.startswith("$"):
        return next(iter(find_all(path, value)), None)
    if isinstance(value, Mapping) and path in value:  # a column name may have dots of its own
        return value[path]
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def check_path(path: str) -> str:
    """The path if it can be used. Raises ValueError otherwise."""
    if path.startswith("$"):
        compile_path(path)
    elif not all(path.split(".")):
        raise ValueError(f"{path!r} is neither a dotted name nor a JSONPath that begins with $")
    return path


class At(BaseModel):
    """Where one field stands, and how to read it; a bare string is the path alone.

    ``path`` is a dotted name, a JSONPath that begins with ``$``, or (for ``url``) a template such as
    ``https://example.com/review/{id}``. ``type`` is for times: iso, rfc822, unix_s, unix_ms or a strptime format.
    ``max`` is the best rating there is, the worst being 0: ``{path = "stars", max = 5}``.
    """

    model_config = _MODEL

    path: str = Field(min_length=1)
    type: str | None = None
    max: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @field_validator("path")
    @classmethod
    def _path_is_one(cls, path: str) -> str:
        for part in _PLACEHOLDER.findall(path) if _is_template(path) else [path]:
            check_path(part)
        return path

    @field_validator("type")
    @classmethod
    def _type_is_one(cls, kind: str | None) -> str | None:
        if kind is not None and kind not in _NAMED_TYPES and "%" not in kind:
            raise ValueError(f"{kind!r} is not a type of time: {', '.join(_NAMED_TYPES)}, or a format such as %d.%m.%Y")
        return kind


class Fields(BaseModel):
    """Where the fields of a mention stand; what is not given is not read.

    ``conversation`` is the id of the thread. A record that leaves it empty starts one: its own id is what its replies
    have there.
    """

    model_config = _MODEL

    external_id: At | None = None
    url: At | None = None
    text: At | None = None
    title: At | None = None
    author: At | None = None
    published_at: At | None = None
    edited_at: At | None = None
    rating: At | None = None
    reach: At | None = None
    lang: At | None = None
    conversation: At | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.text is None and self.title is None:
            raise ValueError("give `text` or `title`: a mention without either says nothing")
        return self


def mention_of(fields: Fields, record: Any, *, zone: tzinfo, default_id: str | None = None) -> RawMention:
    """The mention in the record. Raises ValueError or TypeError when a mapped value is not of its kind."""
    if not isinstance(record, Mapping):
        raise TypeError(f"an item is an object, not {_kind(record)}")
    own_id = _string("external_id", fields.external_id, record)
    external_id = own_id or default_id
    if external_id is None:
        raise ValueError("external_id is missing")
    conversation = _string("conversation", fields.conversation, record)
    if conversation is None and fields.conversation is not None:
        conversation = own_id
    return RawMention(
        external_id=external_id,
        url=_url(fields.url, record),
        text=_string("text", fields.text, record) or "",
        title=_string("title", fields.title, record),
        author=_string("author", fields.author, record),
        published_at=_time("published_at", fields.published_at, record, zone),
        edited_at=_time("edited_at", fields.edited_at, record, zone),
        rating=_rating(fields.rating, record),
        reach=_reach(fields.reach, record),
        lang=_string("lang", fields.lang, record),
        conversation=conversation,
    )


def _is_template(path: str) -> bool:
    return not path.startswith("$") and "{" in path


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _at(at: At | None, record: Any) -> Any:
    """The value, None for one that is absent, null or blank."""
    value = find_one(at.path, record) if at else None
    return None if isinstance(value, str) and not value.strip() else value


def _string(name: str, at: At | None, record: Any) -> str | None:
    value = _at(at, record)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"{name} is a text, not {_kind(value)}")


def _url(at: At | None, record: Any) -> str:
    if at is None or not _is_template(at.path):
        return _string("url", at, record) or ""
    parts: dict[str, str | None] = {
        path: _string("url", At(path=path), record) for path in _PLACEHOLDER.findall(at.path)
    }
    if None in parts.values():
        return ""
    return _PLACEHOLDER.sub(lambda found: quote(parts[found.group(1)] or "", safe=""), at.path)


def _number(name: str, at: At | None, record: Any) -> float | None:
    """A finite number; a text may have a decimal comma."""
    value = _at(at, record)
    if value is None:
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value.strip().replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number, not {_kind(value)}")
    if not math.isfinite(value):
        raise ValueError(f"{name} is not finite")
    return value


def _rating(at: At | None, record: Any) -> float | None:
    value = _number("rating", at, record)
    if at is None or value is None:
        return None
    if at.max is None and value > 1:
        raise ValueError(f"rating {value:g} is not on 0..1: give the best one, as in rating = {{path = ..., max = 5}}")
    return value / (at.max or 1.0)


def _reach(at: At | None, record: Any) -> int | None:
    value = _number("reach", at, record)
    if value is None:
        return None
    if not 0 <= value < 2**63:  # what a database can hold
        raise ValueError("reach is not a number of people")
    return int(value)


def _time(name: str, at: At | None, record: Any, zone: tzinfo) -> datetime | None:
    if at is not None and at.type in {"unix_s", "unix_ms"}:
        number = _number(name, at, record)
        return None if number is None else from_unix(number / (1000 if at.type == "unix_ms" else 1))
    value = _at(at, record)
    if at is None or value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} is a text, not {_kind(value)}: for numbers give type = 'unix_s' or 'unix_ms'")
    try:
        if at.type is not None and "%" in at.type:
            return in_utc(datetime.strptime(value.strip(), at.type), zone)  # noqa: DTZ007 -- `zone` is for those without
        return parse_time(value, zone)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
