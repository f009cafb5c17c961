"""``listener eval``: models on labelled texts, for people and for programs."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_cli import Listener, listener
from tests.small_bert import save_small_bert
from tests.small_model import save_small_model

__all__ = ["listener"]  # a fixture

ROWS = [
    {"text": "the parcel is broken and late", "sentiment": "negative", "experience": 1, "lang": "en"},
    {"text": "the parcel was great and fast", "sentiment": "positive", "experience": 0, "lang": "en"},
    {"text": "pakk oli katki", "sentiment": "negative", "experience": 1, "emotions": ["anger"], "language": "et"},
    {"text": "pakk on e", "sentiment": "neutral", "language": "et"},
    {"text": "…", "sentiment": "neutral", "language": "et"},
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_bert(tmp_path_factory.mktemp("model"), ["negative", "neutral", "positive", "risk"])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "own")


def test_figures_by_language_for_several_models(listener: Listener, rows: Path, model: Path, own: Path) -> None:
    done = listener("eval", rows, "--model", model, "--model", own, "--json")
    assert done.code == 0
    (reports,) = done.lines
    found: Any = reports[str(model)]
    assert (found["rows"], found["refused"]) == (5, 1)
    assert set(found["languages"]) == {"all", "en", "et"}
    assert found["languages"]["all"]["sentiment"]["accuracy"] == 1.0
    assert found["languages"]["all"]["risk"]["n"] == 3
    assert "emotions/anger" not in found["languages"]["all"]
    assert "emotions/anger" in reports[str(own)]["languages"]["et"]  # type: ignore[index]


def test_people_see_tables_and_a_plot(listener: Listener, rows: Path, model: Path) -> None:
    done = listener("eval", rows, "--model", model)
    assert done.code == 0
    seen = " ".join(done.out.split())
    for what in ("macro-F1", "ECE", "Brier", "1 could not be judged", "true \\ said", "█"):
        assert what in seen, what
    for language in ("all", "en", "et"):
        assert f", {language}, sentiment: how sure it is" in seen


def test_a_bad_row_is_named(listener: Listener, tmp_path: Path, model: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "sentiment": "good"}\n')
    done = listener("eval", "rows.jsonl", "--model", model)
    assert (done.code, done.out) == (1, "")
    assert "line 1: `sentiment` is 'good'" in done.err


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_vader_is_the_floor_for_english(listener: Listener, rows: Path, model: Path) -> None:
    pytest.importorskip("vaderSentiment")
    (reports,) = listener("eval", rows, "--model", model, "--vader", "--json").lines
    found: Any = reports["vader"]
    assert found["rows"] == 2
    assert set(found["languages"]) == {"en"}  # a row of all would be of other texts than the model's beside it


def test_without_vader_it_says_how_to_install_it(
    listener: Listener, rows: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("vaderSentiment"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    done = listener("eval", rows, "--model", model, "--vader")
    assert done.code == 2
    assert "pip install 'listener[eval]'" in done.err


def test_labels_without_a_meaning_get_one(
    listener: Listener, tmp_path_factory: pytest.TempPathFactory, rows: Path, own: Path
) -> None:
    """They belong to the Hugging Face model; ours beside it has its own."""
    strange = save_small_bert(tmp_path_factory.mktemp("strange"), ["L_NEG", "L_NEU", "L_POS"])
    labels = [part for pair in ("L_NEG=negative", "L_NEU=neutral", "L_POS=positive") for part in ("--label", pair)]
    done = listener("eval", rows, "--model", strange, "--model", own, *labels, "--json")
    assert done.code == 0
    (reports,) = done.lines
    found: Any = reports[str(strange)]
    assert found["languages"]["all"]["sentiment"]["accuracy"] == 1.0
    scored = listener("score", "the parcel was late", "--model", strange, *labels, "--json")
    said: Any = scored.lines[0]["assessment"]
    assert said["sentiment"] == "negative"


@pytest.mark.parametrize("label", ["negative", "=negative", "L_NEG="])
def test_a_label_that_is_no_pair_is_refused(listener: Listener, rows: Path, model: Path, label: str) -> None:
    done = listener("eval", rows, "--model", model, "--label", label)
    assert done.code == 2
    assert "NAME=MEANING" in " ".join(done.err.replace("│", " ").split())


def test_labels_need_the_one_model_that_they_belong_to(
    listener: Listener, tmp_path: Path, rows: Path, model: Path, own: Path
) -> None:
    """Ours has its own; of two others nobody could tell whose they are."""
    history = tmp_path / "history.jsonl"
    history.write_text('{"text": "late", "brand": "b", "published_at": "2026-01-01T00:00:00Z"}')
    for arguments in (
        ("score", "late"),
        ("score", "late", "--model", own),
        ("eval", rows),
        ("eval", rows, "--model", model, "--model", model.parent),
        ("backtest", "-i", history),
    ):
        done = listener(*arguments, "--label", "L_NEG=negative")
        assert done.code == 2
        assert "one Hugging Face --model" in " ".join(done.err.replace("│", " ").split()), arguments
