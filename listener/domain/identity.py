"""Ids and times: what all values of the domain share."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

NAMESPACE = uuid.UUID(
    "6f0b8f0e-5d0c-5b1e-9a55-1a57e4e20001"
)  # of all ids here: equal input, equal id, on every machine

Frozen = Mapping[str, Any]
EMPTY: Frozen = MappingProxyType({})


def stable_id(*parts: str) -> str:
    """The same id for the same parts, so that every step can be repeated safely (UUID version 5, RFC 9562)."""
    return str(uuid.uuid5(NAMESPACE, "\n".join(parts)))


def require_aware(name: str, value: datetime | None) -> None:
    """Refuse a naive time: which hour a review was written in decides which window it counts in."""
    if value is not None and value.tzinfo is None:
        raise ValueError(f"{name} has no time zone: {value.isoformat()}")
