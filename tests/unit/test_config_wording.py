"""Faults are said for who writes the file: no regular expressions, no words of Python."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from listener.app import load_settings, schemas
from listener.config import Settings
from listener.config.references import unknown_rule
from listener.config.wording import PATTERNS, wanted
from listener.errors import ConfigError
from listener.knowledge.articles import FrontMatter

BASE = """
[brands.bolt]
names = ["Bolt"]
"""


def patterns(schema: Any) -> Iterator[str]:
    """Every regular expression of a JSON Schema, those for names of tables too."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        yield from schema.get("patternProperties", {})
        for value in schema.values():
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)


MODELS: list[type[BaseModel]] = [Settings, FrontMatter, *(one for kind in schemas().values() for one in kind.values())]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_regular_expression_has_words(model: type[BaseModel]) -> None:
    assert set(patterns(model.model_json_schema())) <= PATTERNS.keys()


def test_the_words_name_examples_that_the_expression_takes() -> None:
    for pattern, words in PATTERNS.items():
        for example in re.findall(r"https://\S+?(?=,)|\d\d:\d\d|\b(?:en|et)\b", words):
            assert re.search(pattern, example), (pattern, example)


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ('[http]\npublic_url = "alerts.example.com"', "http.public_url", "an address such as https://"),
        ('[digest]\nat = "8"', "digest.at", "a time of day as HH:MM"),
        ('[brands.bolt]\nnames = "Bolt"', "brands.bolt.names", 'should be a list, such as ["one", "two"]'),
        ("[brands.bolt]\nnames = []", "brands.bolt.names", "should have at least 1 entry"),
        ('[brands.bolt]\nnames = ["a"]\nlanguages = ["Estonian"]', "brands.bolt.languages[0]", "language by its"),
        ('[http]\nport = "many"', "http.port", "should be a whole number"),
        ('[service]\nshow_alerts = "perhaps"', "service.show_alerts", "should be true or false"),
        ("[service]\nlog_level = 7", "service.log_level", "should be 'debug', 'info'"),
        ('[knowledge]\nurl = "https://wiki.example/"', "knowledge.url", "has no {id}"),
        ("[http]\nport = 70000", "http.port", "should be less than or equal to 65535"),
        ("[scoring]\nlabels = 7", "scoring.labels", "should be a table"),
    ],
)
def test_a_fault_says_what_is_wanted(tmp_path: Path, text: str, path: str, said: str) -> None:
    file = tmp_path / "listener.toml"
    file.write_text(text if "[brands.bolt]" in text else BASE + text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    problems = {fault.path: fault.problem for fault in caught.value.faults}
    assert said in problems[path]
    assert not any(word in problems[path] for word in ("^", "tuple", "nput", "valid"))


def test_a_secret_that_is_too_short_has_too_few_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTENER_PEOPLE__MARI__TOKEN", "s3cret")
    file = tmp_path / "listener.toml"
    file.write_text(BASE + '[people.mari]\ntitle = "Mari"\n')
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    (fault,) = caught.value.faults
    assert (fault.path, fault.problem) == ("people.mari.token", "should have at least 16 characters")


def test_an_article_s_address_with_its_place_is_good(tmp_path: Path) -> None:
    file = tmp_path / "listener.toml"
    file.write_text(BASE + '[knowledge]\nurl = "https://wiki.example/{id}"\n')
    assert load_settings(file).knowledge.url == "https://wiki.example/{id}"


def test_other_kinds_keep_pydantics_words_without_its_beginning() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(complex).validate_python("x")
    (error,) = caught.value.errors()
    assert wanted(error).startswith("should be a valid")


@pytest.mark.parametrize(
    ("rule", "known", "said"),
    [
        ("drill", ("worse", "drill"), None),
        ("worze", ("worse", "drill"), "no such rule: did you mean 'worse'?"),
        ("x", ("worse", "drill"), "no such rule: use one of: drill, worse"),
    ],
)
def test_a_silence_is_of_a_rule_that_there_is(rule: str, known: tuple[str, ...], said: str | None) -> None:
    assert unknown_rule(rule, known) == said
