"""docs/mqtt.md: its examples are valid, every kind of message has one, and its commands and topics are ours."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from paho.mqtt.client import topic_matches_sub

from listener.alerts.mqtt.topics import Topics, subscriptions
from listener.alerts.wire import schemas
from listener.alerts.wire.oncall import Command

TEXT = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text("utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
COMMANDS = re.findall(r"-m '(\{.*?\})'", TEXT)
TOPIC = re.compile(r"`(listener/v1/<[^`]+|listener/v1/brand/[^`]+)`")
SAMPLES = {
    "<instance>": "one",
    "<slug>": "acme",
    "<severity>": "critical",
    "<alert_id>": "aad8b7c8-bff7-5e69-82fa-7d4105de51a5",
    "<bundle_id>": "aad8b7c8-bff7-5e69-82fa-7d4105de51a5",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.get("type", "command")))
def test_an_example_is_valid(example: dict[str, object]) -> None:
    kind = str(example.get("type", "command"))
    Draft202012Validator(schemas.load(kind)).validate(example)
    schemas.MODELS[kind].model_validate(example)


def test_every_kind_has_an_example() -> None:
    assert {str(example.get("type", "command")) for example in EXAMPLES} == set(schemas.MODELS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_to_copy_is_valid(command: str) -> None:
    Command.model_validate_json(command, strict=True)


def test_there_are_commands_to_copy() -> None:
    assert len(COMMANDS) >= 3


def test_every_topic_is_one_that_is_said_or_heard() -> None:
    topics = Topics(prefix="listener/v1", instance="one")
    named = {found.removesuffix("`") for found in TOPIC.findall(TEXT)}
    assert len(named) >= 11
    filters = (*subscriptions("listener/v1"), *topics.commands, topics.heartbeat)
    for topic in named:
        concrete = topic
        for placeholder, value in SAMPLES.items():
            concrete = concrete.replace(placeholder, value)
        assert any(topic_matches_sub(one, concrete) for one in filters), topic
