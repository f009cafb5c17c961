"""What a broker is to retain for us, and what it has of that: it converges, whatever the broker forgets or refuses."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from listener.alerts.mqtt.topics import Topics, slug
from listener.alerts.wire.payload import SCHEMA, StatePayload, as_json, same_news

STATE_BYTES_MAX = 64 * 1024  # ours are a few kilobytes
RETRY_FIRST_SECS = 30.0
RETRY_MAX_SECS = 300.0

Kind = Literal["status", "state", "discovery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What one topic retains; nothing when ``content`` is None."""

    kind: Kind
    content: BaseModel | Mapping[str, Any] | None

    @property
    def body(self) -> bytes:
        """As it goes over the wire."""
        if self.content is None:
            return b""
        return encode(as_json(self.content) if isinstance(self.content, BaseModel) else self.content)

    def same_as(self, other: "Document") -> bool:
        """Whether it says the same."""
        if isinstance(self.content, StatePayload) and isinstance(other.content, StatePayload):
            return same_news(self.content, other.content)
        return self.content == other.content


class Shelf:
    """The documents by topic: what is wanted, what the broker has, what is still to be told. Knows no connection."""

    def __init__(self) -> None:
        self._wanted: dict[str, Document] = {}
        self._told: dict[str, Document | None] = {}  # None: the broker may have anything
        self._untold: dict[str, Kind] = {}  # in order
        self._refused: dict[str, Kind] = {}
        self._taken: set[str] = set()  # on their way
        self._retries = 0

    @property
    def settled(self) -> bool:
        """Whether the broker has all that is wanted and nothing else of ours, as far as it has told us."""
        return not self._untold and not self._taken and not self._refused

    @property
    def refused(self) -> bool:
        """Whether there is something to try again after ``retry_secs``."""
        return bool(self._refused)

    @property
    def retry_secs(self) -> float:
        """How long to leave a broker alone that refuses: longer each time."""
        return min(RETRY_MAX_SECS, RETRY_FIRST_SECS * 2.0 ** min(self._retries, 10))

    def put(self, topic: str, document: Document) -> None:
        """Want ``document`` retained."""
        self._wanted[topic] = document
        self._untold[topic] = document.kind

    def clear(self, topic: str, kind: Kind) -> None:
        """Want nothing retained on ``topic``."""
        self._wanted.pop(topic, None)
        self._untold[topic] = kind

    def wants(self, topic: str) -> bool:
        """Whether something is to be retained there."""
        return topic in self._wanted

    def again(self, topic: str) -> None:
        """Tell it once more, whatever the broker has."""
        if topic in self._wanted:
            self._told[topic] = None
            self._untold[topic] = self._wanted[topic].kind

    def forget(self) -> None:
        """A new connection may lead to a broker that forgot everything: all is to be told."""
        untold = self._untold | self._refused
        self._told = dict.fromkeys(self._told)
        self._refused.clear()
        self._retries = 0
        self._untold = {topic: document.kind for topic, document in self._wanted.items()}
        self._untold |= {topic: kind for topic, kind in untold.items() if topic not in self._wanted}

    def retry(self) -> None:
        """Try again what was refused."""
        self._untold |= self._refused
        self._refused.clear()
        self._retries += 1

    def take(self, count: int) -> list[tuple[str, Document]]:
        """The next documents to tell, at most ``count``; each must come back by ``told``, ``lost`` or ``denied``."""
        taken: list[tuple[str, Document]] = []
        while self._untold and len(taken) < count:
            topic = next(iter(self._untold))
            kind = self._untold.pop(topic)
            document = self._wanted.get(topic) or Document(kind=kind, content=None)
            told = self._told.get(topic)
            if told is None or not told.same_as(document):
                taken.append(self._on_its_way(topic, document))
        return taken

    def take_one(self, topic: str) -> list[tuple[str, Document]]:
        """The same for one topic alone, if something is to be told there."""
        if self._untold.pop(topic, None) is None:
            return []
        return [self._on_its_way(topic, self._wanted[topic])]

    def _on_its_way(self, topic: str, document: Document) -> tuple[str, Document]:
        self._told[topic] = None
        self._taken.add(topic)
        return topic, document

    def told(self, topic: str, document: Document) -> None:
        """The broker has it."""
        self._taken.discard(topic)
        self._refused.pop(topic, None)
        if document.content is None:
            self._told.pop(topic, None)
        else:
            self._told[topic] = document

    def lost(self, topic: str, document: Document) -> None:
        """It was on the way when the connection was lost."""
        self._taken.discard(topic)
        self._untold.setdefault(topic, document.kind)

    def denied(self, topic: str, document: Document) -> None:
        """The broker does not take it, this time."""
        self._taken.discard(topic)
        self._refused[topic] = document.kind


def is_stray(topic: str, body: bytes, *, topics: Topics, brands: Collection[str]) -> bool:
    """Whether ``body``, retained on ``topic``, is a state by this daemon of a brand that it does not have.

    Whatever others wrote, and what cannot be read, is not ours to take away.
    """
    content = readable(body) if len(body) <= STATE_BYTES_MAX else None
    if content is None or (content.get("schema"), content.get("type")) != (SCHEMA, "state"):
        return False
    brand = content.get("brand")
    return (
        content.get("instance") == topics.instance
        and isinstance(brand, str)
        and topic == topics.state(brand)
        and slug(brand) not in {slug(known) for known in brands}
    )


def readable(body: bytes) -> dict[str, Any] | None:
    """The JSON object in ``body``; None when there is none."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def encode(values: Mapping[str, Any]) -> bytes:
    """JSON as it goes over the wire."""
    return json.dumps(dict(values), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
