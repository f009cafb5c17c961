"""What a broker is to retain converges, whatever happens on the way; and whose leftovers are ours."""

import json
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from listener.alerts.mqtt.retained import RETRY_FIRST_SECS, RETRY_MAX_SECS, STATE_BYTES_MAX, Document, Shelf, is_stray
from listener.alerts.mqtt.topics import Topics
from listener.alerts.wire.payload import as_json
from tests.mqtt_messages import state_payload

TOPICS = Topics(prefix="listener/v1", instance="one")
NAMES = st.sampled_from(["a", "b", "c"])


class Converges(RuleBasedStateMachine):
    """A shelf and a broker that loses, refuses, and forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.broker: dict[str, bytes] = {}
        self.wanted: dict[str, bytes] = {}
        self.way: list[tuple[str, Document]] = []

    @rule(topic=NAMES, content=st.integers(0, 2))
    def put(self, topic: str, content: int) -> None:
        """Somebody wants something retained."""
        document = Document(kind="state", content={"n": content})
        self.shelf.put(topic, document)
        self.wanted[topic] = document.body

    @rule(topic=NAMES)
    def clear(self, topic: str) -> None:
        """Somebody wants nothing retained."""
        self.shelf.clear(topic, "state")
        self.wanted.pop(topic, None)

    @rule(topic=NAMES)
    def again(self, topic: str) -> None:
        """Somebody missed it."""
        self.shelf.again(topic)

    @rule(count=st.integers(1, 3))
    def take(self, count: int) -> None:
        """Documents go out, once those before are dealt with."""
        if not self.way:
            self.way = self.shelf.take(count)

    @rule(arrives=st.booleans())
    def told(self, arrives: bool) -> None:
        """The next document arrives, or the connection is lost, with or without it."""
        if self.way:
            topic, document = self.way.pop(0)
            self.keep(topic, document)
            if arrives:
                self.shelf.told(topic, document)
            else:
                self.shelf.lost(topic, document)
                self.reconnected()

    @rule()
    def denied(self) -> None:
        """The broker refuses the next document."""
        if self.way:
            self.shelf.denied(*self.way.pop(0))

    @rule()
    def retry(self) -> None:
        """Time passes."""
        self.shelf.retry()

    @rule()
    def forgotten(self) -> None:
        """The broker comes back without anything."""
        self.broker.clear()
        self.reconnected()

    def reconnected(self) -> None:
        """What was on the way is lost."""
        for topic, document in self.way:
            self.shelf.lost(topic, document)
        self.way = []
        self.shelf.forget()

    def keep(self, topic: str, document: Document) -> None:
        """As a broker does."""
        if document.body:
            self.broker[topic] = document.body
        else:
            self.broker.pop(topic, None)

    @invariant()
    def it_is_settled_only_when_the_broker_has_what_is_wanted(self) -> None:
        """And never claims it before."""
        if self.shelf.settled:
            assert self.broker == self.wanted

    def teardown(self) -> None:
        """From wherever it is, it converges."""
        for topic, document in self.way:
            self.keep(topic, document)
            self.shelf.told(topic, document)
        self.shelf.retry()
        while taken := self.shelf.take(2):
            for topic, document in taken:
                self.keep(topic, document)
                self.shelf.told(topic, document)
        assert self.broker == self.wanted
        assert self.shelf.settled


TestConverges = Converges.TestCase


def test_a_refusing_broker_is_left_alone_for_longer_each_time() -> None:
    shelf = Shelf()
    pauses = []
    for _ in range(6):
        pauses.append(shelf.retry_secs)
        shelf.retry()
    assert pauses[:3] == [RETRY_FIRST_SECS, 2 * RETRY_FIRST_SECS, 4 * RETRY_FIRST_SECS]
    assert pauses[-1] == RETRY_MAX_SECS


def test_the_same_news_are_not_told_twice() -> None:
    """When it was looked at is no news."""
    shelf, state = Shelf(), state_payload()
    shelf.put("t", Document(kind="state", content=state))
    ((topic, document),) = shelf.take(10)
    shelf.told(topic, document)
    shelf.put("t", Document(kind="state", content=state.model_copy(update={"decided_at": state.decided_at.max})))
    assert shelf.take(10) == []
    shelf.put("t", Document(kind="state", content=state.model_copy(update={"acked_by": "mari"})))
    assert len(shelf.take(10)) == 1


def left(**changes: Any) -> bytes:
    """A retained state of ours."""
    return json.dumps({**as_json(state_payload()), **changes}).encode()


@pytest.mark.parametrize(
    ("topic", "body", "brands", "stray"),
    [
        (TOPICS.state("acme"), left(), ["bolt"], True),
        (TOPICS.state("acme"), left(), ["acme"], False),
        (TOPICS.state("acme"), left(instance="two"), ["bolt"], False),
        (TOPICS.state("acme"), left(instance=""), ["bolt"], False),
        (TOPICS.state("acme"), left(schema="listener/v2"), ["bolt"], False),
        (TOPICS.state("acme"), left(type="alert"), ["bolt"], False),
        (TOPICS.state("acme"), left(brand="other"), ["bolt"], False),
        (TOPICS.state("acme"), left(brand=7), ["bolt"], False),
        (TOPICS.state("acme"), left(title="x" * STATE_BYTES_MAX), ["bolt"], False),
        (TOPICS.state("acme"), b"\xff", ["bolt"], False),
        (TOPICS.state("acme"), b"[" * 60_000, ["bolt"], False),
        (TOPICS.state("acme"), b"[]", ["bolt"], False),
        (TOPICS.state("A/B"), left(brand="A/B"), ["bolt"], True),
    ],
)
def test_only_our_own_leftovers_are_cleared(topic: str, body: bytes, brands: list[str], stray: bool) -> None:
    assert is_stray(topic, body, topics=TOPICS, brands=brands) is stray
