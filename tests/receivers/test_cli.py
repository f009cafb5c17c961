"""``listener receivers``: what it lists, whom it tries out, and the exit code that scripts go by."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from listener.cli import receivers as cli
from listener.domain import Notification
from listener.errors import ConfigError, DeliveryError
from listener.store import Database
from tests.receivers.kinds import MARK, alertmanager, webhook


class Stand:
    """A receiver that takes everything, or nothing."""

    connected = True

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem
        self.taken: list[Notification] = []

    async def deliver(self, notification: Notification) -> None:
        if self.problem is not None:
            raise DeliveryError(self.problem, retryable=True)
        self.taken.append(notification)


@pytest.fixture
def stands(monkeypatch: pytest.MonkeyPatch) -> dict[str, Stand]:
    """The broker and two receivers, as the application would open them."""
    made = {"mqtt": Stand(), "hook": Stand(), "am": Stand()}
    settings = SimpleNamespace(
        mqtt=object(),
        receivers={"hook": {"type": "webhook"}, "am": {"type": "alertmanager"}},
        service=SimpleNamespace(instance="main"),
    )

    @asynccontextmanager
    async def opened(_settings: Any, _database: Any, names: Sequence[str]) -> AsyncIterator[dict[str, Stand]]:
        yield {name: made[name] for name in names}

    monkeypatch.setattr(cli, "load_settings", lambda _path: settings)
    monkeypatch.setattr(cli, "receivers_of", lambda _: {"hook": webhook("localhost"), "am": alertmanager("localhost")})
    monkeypatch.setattr(cli, "opened_receivers", opened)
    monkeypatch.setattr(cli, "database_of", lambda _: Database("sqlite:///:memory:"))
    return made


def call(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    result = CliRunner().invoke(cli.group, list(arguments))
    if isinstance(result.exception, ConfigError):
        raise result.exception
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return result.exit_code, lines, result.output


def test_all_are_tried_out_without_names(stands: dict[str, Stand]) -> None:
    code, lines, _ = call("test", "--json")
    assert code == 0
    assert [(one["receiver"], one["taken"], one["problem"]) for one in lines] == [
        ("mqtt", True, None),
        ("hook", True, None),
        ("am", True, None),
    ]
    (taken,) = stands["hook"].taken
    assert taken.payload["type"] == "test"
    assert set(taken.payload["text"]) == {"en", "et"}
    assert "hook" in taken.payload["text"]["en"]["title"]
    assert "main" in taken.payload["text"]["et"]["body"]


def test_only_the_named_are_tried_out_and_no_two_tests_are_the_same(stands: dict[str, Stand]) -> None:
    for _ in range(2):
        assert call("test", "hook", "hook", "--json")[0] == 0
    assert len({one.id for one in stands["hook"].taken}) == 2
    assert stands["mqtt"].taken == []


def test_one_that_fails_is_named_with_its_problem_and_the_command_fails(stands: dict[str, Stand]) -> None:
    stands["hook"].problem = "it answered HTTP 404 (Not Found)"
    code, lines, _ = call("test", "--json")
    assert code == 1
    assert [one["receiver"] for one in lines if not one["taken"]] == ["hook"]
    assert len(stands["am"].taken) == 1
    code, _, output = call("test", "hook")
    assert code == 1
    assert "failed" in output
    assert "404" in output


def test_a_name_that_is_none_is_told_with_those_that_are(stands: dict[str, Stand]) -> None:
    with pytest.raises(ConfigError) as caught:
        call("test", "hok")
    assert caught.value.faults[0].path == "receivers.hok"
    assert "mqtt, hook, am" in caught.value.faults[0].fix
    assert stands["hook"].taken == []


@pytest.mark.usefixtures("stands")
def test_the_list_says_who_groups_and_shows_no_secret() -> None:
    code, lines, output = call("list", "--json")
    assert code == 0
    assert [(one["receiver"], one["type"], one["bundled"]) for one in lines] == [
        ("mqtt", "mqtt", True),
        ("hook", "webhook", True),
        ("am", "alertmanager", False),
    ]
    table = call("list")[2]
    assert "itself" in table
    assert MARK not in output + table
