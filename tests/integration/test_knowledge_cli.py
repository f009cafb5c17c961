"""``listener knowledge``: checked, matched with the real encoder, learnt and approved."""

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

import listener.cli.knowledge  # noqa: F401 -- adds the commands
from listener.cli import main

ARTICLES = Path(__file__).parents[2] / "config" / "knowledge"
CONFIG = """
[database]
url = "sqlite:///listener.db"
auto_upgrade = true

[brands.kiirkott]
names = ["Kiirkott"]

[sources.news]
type = "feed"
url = "http://127.0.0.1:1/feed.xml"

[knowledge]
folder = "{folder}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    code: int
    out: str
    err: str


Call = Callable[..., Done]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers, root.level, structlog.get_config())
    yield
    root.handlers, root.level = before[0], before[1]
    structlog.configure(**before[2])


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Call ``listener knowledge`` with arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, folder: Path = ARTICLES) -> Done:
        (tmp_path / "listener.toml").write_text(CONFIG.format(folder=folder))
        monkeypatch.setattr(sys, "argv", ["listener", "knowledge", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        else:
            code = 0
        printed = capsys.readouterr()
        return Done(code=code, out=" ".join(printed.out.split()), err=" ".join(printed.err.split()))

    return run


def test_check_lists_the_articles(call: Call) -> None:
    done = call("check")
    assert done.code == 0
    assert "late-parcel" in done.out
    assert "en et" in done.out


def test_check_tells_every_fault_and_exits_with_2(call: Call, tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "bad.en.md").write_text("nothing")
    (tmp_path / "kb" / "good.en.md").write_text("---\ntitle: It is late\n---\n")
    done = call("check", "--json", folder=tmp_path / "kb")
    assert done.code == 2
    assert '"id": "good"' in done.out
    assert "has no front matter" in done.err


@pytest.mark.parametrize(
    ("text", "article", "lang"),
    [
        ("My parcel has been lost for two weeks and nobody knows where it is", "late-parcel", "en"),
        ("Äpp jookseb kokku ja ei lase sisse logida", "app-trouble", "et"),
        ("Когда вернут деньги за возврат? Месяц жду", "refund", "en"),
    ],
)
def test_match_shows_what_would_be_brought_along_and_why(call: Call, text: str, article: str, lang: str) -> None:
    done = call("match", text, "--json")
    assert done.code == 0
    assert f'{{"id": "{article}", "lang": "{lang}"' in done.out
    assert "the mention speaks of" in done.out


def test_match_says_when_nothing_fits(call: Call) -> None:
    done = call("match", "The choir sang beautifully in the park on Sunday")
    assert (done.code, done.out) == (0, "No article fits.")


def test_match_of_what_cannot_be_read_is_a_clear_failure(call: Call) -> None:
    done = call("match", "12345")
    assert done.code == 1
    assert "knows too few words" in done.err


def test_approve_moves_a_draft(call: Call, tmp_path: Path) -> None:
    draft = tmp_path / "kb" / "drafts" / "late.en.md"
    draft.parent.mkdir(parents=True)
    draft.write_text("---\ntitle: It is late\n---\nSay sorry.\n")
    done = call("approve", draft, folder=tmp_path / "kb")
    assert done.code == 0
    assert "status: approved" in (tmp_path / "kb" / "late.en.md").read_text()
    assert not draft.exists()
    assert "it has no examples, and will hardly be found" in done.err
    better = tmp_path / "kb" / "drafts" / "lost.en.md"
    better.write_text("---\ntitle: It is lost\nexamples: [Where is it]\n---\nSay sorry.\n")
    done = call("approve", better, folder=tmp_path / "kb")
    assert (done.code, done.err) == (0, "")
    broken = tmp_path / "kb" / "broken.en.md"
    broken.write_text("nothing")
    assert call("approve", broken, folder=tmp_path / "kb").code == 2


def test_a_day_that_is_none_is_answered_with_an_example(call: Call, tmp_path: Path) -> None:
    done = call("learn", "--since", "yesterday", folder=tmp_path)
    assert done.code == 2
    assert "2026-12-24" in done.err
    assert "%" not in done.err


def test_before_the_first_run_there_is_nothing_to_learn_from(call: Call, tmp_path: Path) -> None:
    done = call("learn", "--since", "2026-12-24", folder=tmp_path)
    assert (done.code, "`listener run` makes it" in done.err) == (1, True)
    assert not (tmp_path / "listener.db").exists()


def test_without_a_folder_the_commands_say_what_to_add(call: Call, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(CONFIG.split("[knowledge]", maxsplit=1)[0])
    done = call("check", "-c", other)
    assert done.code == 2
    assert "[knowledge]" in done.err
