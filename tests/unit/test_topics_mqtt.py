"""The layout of MQTT topics: what subscriptions see, and which topics are commands to us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from listener.alerts.mqtt.topics import Target, Topics, is_id, slug, subscriptions
from listener.domain import Severity, stable_id

ONE = Topics(prefix="listener/v1", instance="one")
ID = stable_id("alert", "acme")
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


def test_the_layout_is_fixed() -> None:
    assert [ONE.watchdog, ONE.test, ONE.actions] == [
        f"listener/v1/one/{one}" for one in ("watchdog", "test", "actions")
    ]
    assert ONE.bundle(Severity.WARNING) == "listener/v1/one/alert/warning"
    assert ONE.ack(ID, brand="acme") == f"listener/v1/brand/acme/alert/{ID}/ack"
    assert ONE.bundle_ack(ID) == f"listener/v1/one/alert/{ID}/ack"
    assert ONE.commands == ("listener/v1/brand/+/alert/+/ack", "listener/v1/one/alert/+/ack")


@pytest.mark.parametrize(
    "topic",
    [
        ONE.alert("acme", Severity.CRITICAL),
        ONE.state("acme"),
        ONE.bundle(Severity.WARNING),
        ONE.status,
        ONE.digest,
        ONE.watchdog,
        ONE.test,
        ONE.actions,
    ],
)
def test_a_subscriber_sees_what_is_said(topic: str) -> None:
    assert any(topic_matches_sub(one, topic) for one in subscriptions("listener/v1"))
    assert ONE.command_target(topic) is None


@given(brand=NAMES, instance=NAMES)
def test_what_is_said_and_what_is_asked_never_mix(brand: str, instance: str) -> None:
    """Whatever brands and daemons are called."""
    topics = Topics(prefix="listener/v1", instance=instance)
    commands = [topics.ack(ID, brand=brand), topics.bundle_ack(ID)]
    said = [topics.alert(brand, Severity.INFO), topics.state(brand), topics.bundle(Severity.INFO), topics.status]
    for command in commands:
        assert not any(topic_matches_sub(one, command) for one in subscriptions("listener/v1"))
        assert sum(topic_matches_sub(one, command) for one in topics.commands) == 1
        assert topics.command_target(command) is not None
    for topic in said:
        assert not any(topic_matches_sub(one, topic) for one in topics.commands)
        assert topics.command_target(topic) is None
    assert len({*commands, *said}) == 6


@pytest.mark.parametrize(
    ("topic", "target"),
    [
        (ONE.ack(ID, brand="acme"), Target(id=ID, brand_slug="acme")),
        (ONE.ack(ID, brand="A/B"), Target(id=ID, brand_slug=slug("A/B"))),
        (ONE.bundle_ack(ID), Target(id=ID, brand_slug=None)),
        (f"listener/v1/two/alert/{ID}/ack", None),
        (f"listener/v2/brand/acme/alert/{ID}/ack", None),
        (f"other/listener/v1/brand/acme/alert/{ID}/ack", None),
        (f"listener/v1/brand/acme/alert/{ID}/ack/more", None),
        (f"listener/v1/brand/acme/alert/{ID}", None),
        ("listener/v1/brand/acme/alert/critical/ack", None),
        (f"listener/v1/alert/{ID}/ack", None),
        ("", None),
    ],
)
def test_only_our_own_commands_are_read(topic: str, target: Target | None) -> None:
    assert ONE.command_target(topic) == target


@given(st.text())
def test_no_topic_raises(topic: str) -> None:
    assert ONE.command_target(topic) is None
    assert ONE.command_target(f"listener/v1/brand/acme/alert/{topic}/ack") is None or is_id(topic)


@pytest.mark.parametrize(("text", "is_one"), [(ID, True), (ID.upper(), False), (f"urn:uuid:{ID}", False), ("", False)])
def test_ids_look_like_ids(text: str, is_one: bool) -> None:
    assert is_id(text) is is_one
