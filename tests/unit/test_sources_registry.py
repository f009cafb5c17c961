"""Source types are found by name; a broken package is a fault of the configuration, never a crash."""

from importlib.metadata import EntryPoint

import pytest

from listener import plugins
from listener.errors import ConfigError
from listener.sources import registry
from listener.sources.feed import Feed
from listener.sources.json_api import JsonApi


def register(monkeypatch: pytest.MonkeyPatch, **plug_ins: str) -> None:
    found = [EntryPoint(name=name, value=value, group=registry.GROUP) for name, value in plug_ins.items()]
    monkeypatch.setattr(plugins, "entry_points", lambda *, group: found if group == registry.GROUP else [])


def test_built_in_types_are_there_from_a_source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)
    assert registry.source_type("feed") is Feed
    assert set(registry.known_types()) == {"feed", "json_api", "file"}


def test_an_unknown_type_gets_a_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, forum="somewhere:Forum")
    with pytest.raises(ConfigError, match="did you mean 'json_api'") as caught:
        registry.source_type("json-api")
    assert "feed, file, forum, json_api" in caught.value.faults[0].fix


def test_a_plug_in_of_another_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, forum="listener.sources.json_api:JsonApi", feed="nowhere:Feed")
    assert registry.source_type("forum") is JsonApi
    assert registry.known_types()["feed"] is Feed


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no_such_module_here:Forum", "ModuleNotFoundError"),
        ("listener.sources.feed:NoSuchName", "AttributeError"),
        ("listener.sources.base:Parsed", "is not a BaseSource"),
    ],
)
def test_a_broken_plug_in_is_a_fault(monkeypatch: pytest.MonkeyPatch, value: str, problem: str) -> None:
    register(monkeypatch, forum=value)
    with pytest.raises(ConfigError, match=problem):
        registry.source_type("forum")
    with pytest.raises(ConfigError, match=problem):
        registry.known_types()
    assert registry.type_names() == ["feed", "file", "forum", "json_api"]
