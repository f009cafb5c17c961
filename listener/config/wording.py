"""What is wrong with a value, in words for who writes the file rather than for who wrote the schema. Pure."""

from collections.abc import Mapping
from typing import Any

# What is wanted of a text, by the regular expression that checks it: nobody should have to read those.
PATTERNS: Mapping[str, str] = {
    r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$": "should be a name of lower-case letters, digits and _, a letter first",
    r"^[a-z0-9][a-z0-9_-]{0,79}$": "should be a name of lower-case letters, digits, - and _, at most 80 of them",
    r"^[a-z]{2}$": "should be a language by its two letters (ISO 639-1), such as en or et",
    r"^[a-z]{2,3}$": "should be a language by its letters (ISO 639-1), such as en or et",
    r"^https?://": "should be an address that begins with http:// or https://",
    r"^https?://[^?#\s]+$": "should be an address such as https://alerts.example.com, without ?, # and spaces",
    r"^\d\d:\d\d$": "should be a time of day as HH:MM, such as 07:30",
    r"^([01]\d|2[0-3]):[0-5]\d$": "should be a time of day as HH:MM, such as 07:30",
}
_LIST = 'should be a list, such as ["one", "two"]'
_TABLE = "should be a table, such as { name = value }"
_WHOLE = "should be a whole number"
_NUMBER = "should be a number"
_SWITCH = "should be true or false"
_KINDS: Mapping[str, str] = {
    "tuple_type": _LIST,
    "list_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "string_type": "should be a text (a string between quotes)",
    "path_type": "should be a path as a text between quotes",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
}


def wanted(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors wants of the value, without the value, which may be a secret."""
    kind, context = error["type"], error.get("ctx") or {}
    if kind in _KINDS:
        return _KINDS[kind]
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], f"should look like the regular expression {context['pattern']}")
    if kind.startswith("datetime_"):
        return "should be a time, such as 2026-12-24T20:00:00"
    if kind in {"too_short", "string_too_short"}:
        return f"should have at least {_amount(error, context['min_length'])}"
    if kind in {"too_long", "string_too_long"}:
        return f"should have at most {_amount(error, context['max_length'])}"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _amount(error: Mapping[str, Any], count: int) -> str:
    # pydantic counts a secret's characters as the items of a "Value".
    text = error["type"].startswith("string_") or (error.get("ctx") or {}).get("field_type") == "Value"
    one = "character" if text else "entry"
    many = "characters" if text else "entries"
    return f"{count} {one if count == 1 else many}"
