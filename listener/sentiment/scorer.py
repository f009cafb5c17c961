"""Scoring that survives: one bad text costs itself only, and a slow model does not hold up the daemon."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from listener.domain import Assessment
from listener.errors import ConfigError, Fault, ScoringError
from listener.protocols import Scorer
from listener.sentiment.directory import read_directory

NO_MODEL = Fault(
    path="scoring.model",
    problem="no model is named, and a mention cannot be judged without one",
    fix="name the folder of a Hugging Face sequence classifier (config.json, tokenizer.json, model.safetensors)",
)


def check_model(path: Path | None, labels: Mapping[str, str]) -> None:
    """Raise ConfigError for whatever can be seen to be wrong with the model without loading it; milliseconds."""
    if path is None:
        raise ConfigError([NO_MODEL])
    read_directory(path, labels)


def load_scorer(
    path: Path | None,
    *,
    labels: Mapping[str, str] | None = None,
    device: str = "auto",
    threads: int = 1,
    tokens_per_batch: int = 512,
) -> Scorer:
    """The model in ``path``, loaded; arguments as in ``TransformersScorer``. Takes seconds.

    Raises ConfigError when there is no model or it cannot be used: there is nothing that we would fall back to.
    """
    if path is None:
        raise ConfigError([NO_MODEL])
    from listener.sentiment.engine_torch import TransformersScorer  # noqa: PLC0415 -- seconds, and 200 MB: only who scores

    return TransformersScorer(path, labels=labels, device=device, threads=threads, tokens_per_batch=tokens_per_batch)


def score_safely(scorer: Scorer, texts: Sequence[str]) -> list[Assessment | ScoringError]:
    """One result a text, in order: a batch that fails is halved until the text that it fails on stands alone."""
    if not texts:
        return []
    try:
        return [*scorer.score(texts)]
    except ScoringError as error:
        if len(texts) == 1:
            return [error]
        middle = len(texts) // 2
        return [*score_safely(scorer, texts[:middle]), *score_safely(scorer, texts[middle:])]


class ThreadedScorer:
    """A model on one worker thread of its own: models are not for several threads, and the event loop must not wait.

    Made by ``on_thread``.
    """

    def __init__(self, scorer: Scorer, executor: ThreadPoolExecutor) -> None:
        self._scorer = scorer
        self._executor = executor

    async def score(self, texts: Sequence[str]) -> list[Assessment | ScoringError]:
        """One result a text, in order; see ``score_safely``."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, score_safely, self._scorer, tuple(texts)
        )


@asynccontextmanager
async def on_thread(load: Callable[[], Scorer]) -> AsyncIterator[ThreadedScorer]:
    """Load a model on a worker thread (what ``load`` raises is raised here) and keep it there until the block ends.

    At the end a batch that runs is waited for, and those that wait are cancelled.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="scorer")
    try:
        scorer = await asyncio.get_running_loop().run_in_executor(executor, load)
        yield ThreadedScorer(scorer, executor)
    finally:
        await asyncio.to_thread(executor.shutdown, cancel_futures=True)
