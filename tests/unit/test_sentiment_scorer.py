"""One bad text costs itself only, a wrong configuration is said at once, and the loop goes on while a model works."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.domain import Assessment, Probabilities
from listener.errors import ConfigError, Fault, ScoringError
from listener.protocols import Languages
from listener.sentiment import bundled
from listener.sentiment.scorer import check_model, load_scorer, on_thread, score_safely


def said_of(text: str) -> Assessment:
    return Assessment(probabilities=Probabilities(negative=0.0, neutral=1.0, positive=0.0), model=f"{text}@1")


class Choosy:
    """A model that fails on any batch with ``bad`` in it; counts the batches it was given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.languages: list[Languages] = []

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        self.sizes.append(len(texts))
        self.languages.append(languages)
        if "bad" in texts:
            raise ScoringError("the model failed")
        return [said_of(text) for text in texts]


def test_a_good_batch_is_scored_in_one_go() -> None:
    scorer = Choosy()
    assert score_safely(scorer, ["a", "b", "c"]) == [said_of("a"), said_of("b"), said_of("c")]
    assert scorer.sizes == [3]


@given(st.lists(st.sampled_from(["good", "bad"]), max_size=40))
def test_only_bad_texts_are_marked_and_order_stays(texts: list[str]) -> None:
    results = score_safely(Choosy(), texts)
    assert len(results) == len(texts)
    for text, result in zip(texts, results, strict=True):
        assert isinstance(result, ScoringError) if text == "bad" else result == said_of(text)


def test_halving_isolates_one_bad_text_in_few_batches() -> None:
    scorer = Choosy()
    score_safely(scorer, ["good"] * 63 + ["bad"])
    assert scorer.sizes == [64, 32, 32, 16, 16, 8, 8, 4, 4, 2, 2, 1, 1]


def test_halves_keep_their_languages() -> None:
    scorer = Choosy()
    score_safely(scorer, ["good", "bad", "good"], ["et", None, "en"])
    assert scorer.languages == [["et", None, "en"], ["et"], [None, "en"], [None], ["en"]]


def test_a_bug_is_not_taken_for_a_bad_text() -> None:
    class Broken:
        def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
            raise KeyError(texts[0])

    with pytest.raises(KeyError):
        score_safely(Broken(), ["a", "b"])


def test_without_the_model_that_we_bring_there_is_no_fallback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path / "none")
    for check in (lambda: load_scorer(None), lambda: check_model(None, {})):
        with pytest.raises(ConfigError) as caught:
            check()
        assert [fault.path for fault in caught.value.faults] == ["scoring.model"]


def test_a_missing_directory_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a directory"):
        check_model(tmp_path / "nowhere", {})


async def test_the_loop_goes_on_while_the_model_works() -> None:
    """The model waits for a thing that only the loop can do: were it on the loop's thread, neither would end."""
    release = threading.Event()

    class Slow(Choosy):
        def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
            assert release.wait(10)
            return super().score(texts, languages)

    async with on_thread(Slow) as scorer:
        waiting = asyncio.create_task(scorer.score(["a", "bad"]))
        await asyncio.sleep(0)
        release.set()
        first, second = await waiting
    assert first == said_of("a")
    assert isinstance(second, ScoringError)


async def test_a_model_lives_on_one_thread_from_loading_on() -> None:
    threads: set[int] = set()

    class Watched(Choosy):
        def __init__(self) -> None:
            super().__init__()
            threads.add(threading.get_ident())

        def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
            threads.add(threading.get_ident())
            return super().score(texts, languages)

    async with on_thread(Watched) as scorer:
        await asyncio.gather(*(scorer.score(["a"]) for _ in range(5)))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_closed_scorer_leaves_no_thread() -> None:
    async with on_thread(Choosy) as scorer:
        await scorer.score(["a"])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scorer")]
    with pytest.raises(RuntimeError):
        await scorer.score(["a"])


async def test_what_loading_raises_is_raised_to_the_caller_and_leaves_no_thread() -> None:
    def load() -> Choosy:
        raise ConfigError([Fault(path="scoring.model", problem="bad", fix="mend it")])

    with pytest.raises(ConfigError, match="mend it"):
        async with on_thread(load):
            pytest.fail("a scorer that could not be loaded was used")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scorer")]
