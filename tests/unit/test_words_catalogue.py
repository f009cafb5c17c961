"""The catalogues: complete, compiled, and all that the words are made of."""

import gettext
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from listener.alerts.words import catalogue, languages

TRANSLATED = sorted(set(languages.LANGUAGES) - {languages.SOURCE})
RUN = "run: python -m listener.alerts.words.catalogue"


def small(message: str | tuple[str, ...], string: str | tuple[str, ...], *, fuzzy: bool = False) -> Catalog:
    """A catalogue of one message."""
    found = Catalog(locale="et")
    found.add(message, string, flags=["fuzzy"] if fuzzy else [])
    return found


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_sentence_of_the_code_is_translated(code: str) -> None:
    """No new one, none that is gone, none unchecked, the same placeholders."""
    now = catalogue.read(code)
    known = {(message.id, message.context) for message in now if message.id}
    assert known == {(message.id, message.context) for message in catalogue.template() if message.id}, RUN
    assert catalogue.faults(now) == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_what_the_daemon_reads_is_what_people_translated(code: str) -> None:
    shipped = gettext.GNUTranslations(BytesIO(catalogue.mo_path(code).read_bytes()))
    compiled = gettext.GNUTranslations(BytesIO(catalogue.as_mo(catalogue.read(code))))
    content = [{key: text for key, text in vars(one)["_catalog"].items() if key} for one in (shipped, compiled)]
    assert content[0] == content[1], RUN
    assert shipped.info()["plural-forms"] == compiled.info()["plural-forms"]


@pytest.mark.parametrize("code", TRANSLATED)
def test_bringing_it_up_to_date_changes_nothing(code: str) -> None:
    assert catalogue.as_po(catalogue.updated(code)) == catalogue.po_path(code).read_bytes(), RUN


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (small("Hello {name}", ""), "not translated: Hello {name}"),
        (small("Hello {name}", "Tere {name}", fuzzy=True), "to be checked (fuzzy): Hello {name}"),
        (small("Hello {name}", "Tere {nimi}"), "other placeholders than in the code: Tere {nimi}"),
        (small(("{count} day of {brand}", "{count} days of {brand}"), ("{brand}: päev", "{count} päeva")), "päeva"),
        (small(("{count} day", "{count} days"), ("päev",)), "2 plural forms are needed: {count} day"),
    ],
)
def test_a_fault_is_named(wrong: Catalog, fault: str) -> None:
    assert [fault in found for found in catalogue.faults(wrong)] == [True]


def test_a_sentence_that_the_code_no_longer_says_is_a_fault() -> None:
    gone = small("Hello", "Tere")
    gone.update(Catalog(locale="et"))
    assert catalogue.faults(gone) == ["not in the code any more: Hello"]


def test_a_form_for_one_need_not_name_the_number() -> None:
    assert catalogue.faults(small(("a day", "{count} days"), ("päev", "{count} päeva"))) == []


@pytest.fixture
def finnish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A third language: one entry, nothing else."""
    shutil.copytree(languages.LOCALE, tmp_path / "locale")
    entries = {**languages.LANGUAGES, "fi": languages.Style(decimal=",")}
    for module in (languages, catalogue):
        monkeypatch.setattr(module, "LANGUAGES", entries)
        monkeypatch.setattr(module, "LOCALE", tmp_path / "locale")
    languages.tongue.cache_clear()
    yield tmp_path / "locale/fi/LC_MESSAGES/listener.po"
    languages.tongue.cache_clear()


def test_a_new_language_gets_its_file_and_what_is_to_be_done(finnish: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.main() == 1
    said = capsys.readouterr().out
    assert "fi: not translated: Start with the first." in said
    assert "et: not translated" not in said
    text = finnish.read_text("utf-8")
    untranslated = 'msgid "Start with the first."\nmsgstr ""'
    assert untranslated in text
    finnish.write_text(text.replace(untranslated, untranslated.replace('""', '"Aloita ensimmäisestä."')), "utf-8")
    catalogue.main()
    capsys.readouterr()
    assert languages.tongue("fi").say("Start with the first.") == "Aloita ensimmäisestä."
    assert languages.tongue("fi").say("There is nothing to do.") == "There is nothing to do."
    assert languages.tongue("fi").number(1234.5, decimals=1) == "1\u202f234,5"
