"""What the commands say of themselves: nothing in brackets is eaten as markup."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from rich.markup import render

from listener.cli import app
from tests.integration.test_cli import Listener, listener

__all__ = ["listener"]  # a fixture
MARKUP = re.compile(r"(?<!\\)\[[a-z/#@]")  # as rich reads it


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_no_help_loses_words(path: tuple[str, ...]) -> None:
    command = ALL[path]
    texts = [command.help, command.short_help, *(getattr(one, "help", None) for one in command.params)]
    for text in filter(None, texts):
        assert MARKUP.search(text) is None, text
        assert render(text).plain == text.replace("\\[", "["), text


@pytest.mark.parametrize(
    ("command", "said"), [(("alerts", "simulate"), "under [brands]"), (("alerts", "assign"), "under [people]")]
)
def test_the_tables_that_are_meant_are_named(listener: Listener, command: tuple[str, ...], said: str) -> None:
    done = listener(*command, "--help")
    assert said in " ".join(re.sub("[│|]", " ", done.out).split())
