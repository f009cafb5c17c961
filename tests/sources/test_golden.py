"""Every built-in source type is held to one contract by its recorded pages; a new type brings pages, not tests."""

import random

import pytest
from pydantic import SecretStr, ValidationError

from listener.errors import ConfigError, ParseError
from listener.sources import offline
from listener.sources.base import BaseSource
from listener.sources.registry import BUILT_IN
from tests.sources.golden import Recorded, recorded

PAGES = recorded()
SECRET = "correct-horse-battery"
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_every_type_has_a_recorded_page() -> None:
    """A type without a page is not held to anything."""
    assert {page.type for page in PAGES} == set(BUILT_IN)


@each_page
def test_golden(page: Recorded) -> None:
    """The page still says what its golden file says, byte for byte (``python -m tests.sources.golden`` renews it)."""
    assert page.written(page.source().parse(page.answer())).decode() == page.golden.read_text("utf-8")


@each_page
def test_reading_twice_says_the_same(page: Recorded) -> None:
    source = page.source()
    assert source.parse(page.answer()) == source.parse(page.answer())


@each_page
def test_order_does_not_matter(page: Recorded) -> None:
    """What a mention is cannot depend on where in the page it stands."""
    source = page.source()
    items = list(source.items(page.answer()))
    shuffled = list(items)
    random.Random(7).shuffle(shuffled)
    assert set(source.read(shuffled).mentions) == set(source.read(items).mentions)


@each_page
def test_a_bad_item_spoils_no_other(page: Recorded) -> None:
    source = page.source()
    items = list(source.items(page.answer()))
    good, spoilt = source.read(items), source.read([object(), *items, object()])
    assert spoilt.mentions == good.mentions
    assert len(spoilt.rejected) == len(good.rejected) + 2


@each_page
def test_only_bad_items_mean_that_the_site_has_changed(page: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    source = page.source()
    monkeypatch.setattr(type(source), "items", lambda _self, _page: [object(), object()])
    with pytest.raises(ParseError, match="none of 2 items") as caught:
        source.parse(page.answer())
    assert page.answer().body.startswith(caught.value.page)
    assert caught.value.page


@each_page
def test_a_page_that_cannot_be_split_is_a_parse_error(page: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(_self: BaseSource, _page: object) -> list[object]:
        raise KeyError("reviews")

    source = page.source()
    monkeypatch.setattr(type(source), "items", changed)
    with pytest.raises(ParseError, match="'reviews' is missing"):
        source.parse(page.answer())


@each_page
def test_options_are_frozen_and_spelt_right(page: Recorded) -> None:
    source = page.source()
    with pytest.raises(ValidationError, match="frozen"):
        source.interval_secs = 7  # type: ignore[misc]  # refusing it is the point
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(source).model_validate({**source.model_dump(by_alias=True), "intervall_secs": 7})


@each_page
def test_secrets_are_never_printed(page: Recorded) -> None:
    """Neither by repr, nor as JSON, nor by the error about another option."""
    source = page.source()
    secrets = [name for name, field in type(source).model_fields.items() if "SecretStr" in str(field.annotation)]
    if not secrets:
        return
    given = {**source.model_dump(by_alias=True), "username": "ann", "auth_name": "X-Key"}
    known = {field.alias or name for name, field in type(source).model_fields.items()}
    given = {name: value for name, value in given.items() if name in known} | dict.fromkeys(secrets, SecretStr(SECRET))
    built = type(source).model_validate(given)
    assert SECRET not in f"{built!r}{built}{built.model_dump_json()}"
    with pytest.raises(ValidationError) as caught:
        type(source).model_validate({**given, **dict.fromkeys(secrets, SECRET), "interval_secs": SECRET})
    assert SECRET not in str(caught.value)


def test_reading_offline_names_the_option_that_lacks() -> None:
    """``listener read json_api FILE`` cannot guess the mapping, and says so."""
    with pytest.raises(ConfigError) as caught:
        offline.read("json_api", b"[]")
    assert [fault.path for fault in caught.value.faults] == ["fields"]
