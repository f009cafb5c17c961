"""JSON from strangers: strict, bounded in depth, and with an error that says what came instead."""

import json
from typing import Any

from listener.errors import ParseError

DEPTH_MAX = 100
_DIGITS_MAX = 40  # no id, count or time is longer; Python refuses the whole document at 4300 digits
_PAGE_BYTES = 256 * 1024


def loads(body: bytes) -> Any:
    """The value in ``body`` (UTF-8, 16 or 32, RFC 8259). Raises ParseError for all else, NaN and depth > 100 included.

    An integer of more than 40 digits stays a string, so that one absurd item does not spoil the others.
    """
    start = body[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise ParseError("the answer is empty where JSON was expected")
    if start.startswith(b"<"):
        raise ParseError("HTML or XML was served where JSON was expected", page=body[:_PAGE_BYTES])
    try:
        text = body.decode(json.detect_encoding(body))
        value = json.loads(text, parse_constant=_refuse, parse_int=_bounded_int)
    except RecursionError as error:
        raise ParseError(f"the JSON is nested deeper than {DEPTH_MAX} levels", page=body[:_PAGE_BYTES]) from error
    except ValueError as error:
        raise ParseError(f"the answer is not JSON: {error}", page=body[:_PAGE_BYTES]) from error
    if _deeper_than(value, DEPTH_MAX):
        raise ParseError(f"the JSON is nested deeper than {DEPTH_MAX} levels", page=body[:_PAGE_BYTES])
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _bounded_int(digits: str) -> int | str:
    return int(digits) if len(digits) <= _DIGITS_MAX else digits


def _deeper_than(value: Any, limit: int) -> bool:
    """Whether containers are nested more than ``limit`` deep; breadth first, so that it cannot overflow the stack."""
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
