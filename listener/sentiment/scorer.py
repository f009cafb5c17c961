"""Scoring that survives: one bad text costs itself only, and a slow model does not hold up the daemon."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from listener.domain import Assessment
from listener.errors import ConfigError, Fault, ScoringError
from listener.protocols import Languages, Scorer
from listener.sentiment.bundled import Bundled, is_bundled, read_bundled
from listener.sentiment.directory import read_directory

if TYPE_CHECKING:
    from listener.sentiment.meaning import MeaningEncoder, Meanings

AGAIN_SECS = 60.0
GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # made by the drivers of NVIDIA, of AMD, and by Windows for WSL


def check_model(path: Path | None, labels: Mapping[str, str]) -> None:
    """Raise ConfigError for whatever can be seen to be wrong with the model without loading it; some 0.1 s."""
    if path is None or is_bundled(path):
        _bundled(path, labels)
    else:
        read_directory(path, labels)


def load_scorer(
    path: Path | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    device: str = "auto",
    threads: int = 1,
    tokens_per_batch: int | None = None,
) -> Scorer:
    """The model in ``path``, loaded: a Hugging Face directory or one in our own format; None is the one we bring.

    ``labels`` maps the labels of a Hugging Face model to ours. ``device`` is ``cpu``, ``cuda``, or ``auto``: a GPU
    where there is one. ``tokens_per_batch`` is the engine's own if None. Our own model takes a second on a processor;
    torch, for GPUs and for other models, takes several. Raises ConfigError when the model cannot be used: there is
    nothing that we would fall back to.
    """
    if path is None or is_bundled(path):
        return _load_bundled(_bundled(path, labels or {}), device, threads, tokens_per_batch)
    from listener.sentiment.engine_torch import TransformersScorer  # noqa: PLC0415 -- seconds, and 200 MB: only who scores

    return TransformersScorer(path, labels=labels, device=device, threads=threads, tokens_per_batch=tokens_per_batch)


def _bundled(path: Path | None, labels: Mapping[str, str]) -> Bundled:
    if labels:
        fix = "remove scoring.labels, or name the Hugging Face model that they belong to in scoring.model"
        raise ConfigError([Fault(path="scoring.labels", problem="this model's labels have their meaning", fix=fix)])
    return read_bundled(path)


def _load_bundled(bundled: Bundled, device: str, threads: int, tokens_per_batch: int | None) -> Scorer:
    if device == "cuda" or (device == "auto" and _may_have_gpu()):
        # As above: torch is imported only where a GPU may be worth it.
        from listener.sentiment.engine_bundled_torch import BundledTorchScorer  # noqa: PLC0415
        from listener.sentiment.engine_torch import device_named  # noqa: PLC0415

        chosen = device_named(device)
        if chosen.type == "cuda":
            return BundledTorchScorer(bundled, device=chosen, tokens_per_batch=tokens_per_batch)
    from listener.sentiment.engine_onnx import OnnxScorer  # noqa: PLC0415 -- 0.1 s and 40 MB: only who scores

    return OnnxScorer(bundled, threads=threads, tokens_per_batch=tokens_per_batch)


def _may_have_gpu() -> bool:
    """Whether it is worth asking torch for a GPU: a driver is there, and torch is not the build without GPUs."""
    return any(Path(file).exists() for file in GPU_FILES) and not version("torch").endswith("+cpu")


def score_safely(scorer: Scorer, texts: Sequence[str], languages: Languages = None) -> list[Assessment | ScoringError]:
    """One result a text, in order: a batch that fails is halved until the text that it fails on stands alone.

    ``languages`` is as in ``protocols.Scorer``.
    """
    if not texts:
        return []
    try:
        return [*scorer.score(texts, languages)]
    except ScoringError as error:
        if len(texts) == 1:
            return [error]
        middle = len(texts) // 2
        first, second = (None, None) if languages is None else (languages[:middle], languages[middle:])
        return [*score_safely(scorer, texts[:middle], first), *score_safely(scorer, texts[middle:], second)]


def _load_meaning() -> "MeaningEncoder":
    from listener.sentiment.meaning import load_meaning  # noqa: PLC0415 -- onnxruntime: only who asks for meanings

    return load_meaning()


class ThreadedScorer:
    """A model on one worker thread of its own: models are not for several threads, and the event loop must not wait.

    Made by ``on_thread``. The encoder for meanings lives on the same thread; it is loaded when it is first asked.
    """

    def __init__(
        self,
        scorer: Scorer,
        executor: ThreadPoolExecutor,
        load_encoder: "Callable[[], MeaningEncoder]" = _load_meaning,
    ) -> None:
        self._scorer = scorer
        self._executor = executor
        self._load_encoder = load_encoder
        self._encoder: MeaningEncoder | None = None
        self._broken: tuple[float, ConfigError] | None = None  # when it could not be loaded, and why

    async def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment | ScoringError]:
        """One result a text, in order; see ``score_safely``."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, score_safely, self._scorer, tuple(texts), languages
        )

    async def embed(self, texts: Sequence[str]) -> "Meanings":
        """What the texts are about, by the encoder that comes with listener, whatever model scores.

        Raises ConfigError when it cannot be loaded, ScoringError when it fails.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._embed, tuple(texts))

    def _embed(self, texts: Sequence[str]) -> "Meanings":
        if self._encoder is None:
            self._encoder = self._loaded()
        return self._encoder.embed(texts)

    def _loaded(self) -> "MeaningEncoder":
        """The encoder; one that could not be loaded is not tried again for a minute, since a failure takes a second."""
        if self._broken is not None and time.monotonic() - self._broken[0] < AGAIN_SECS:
            raise self._broken[1]
        try:
            return self._load_encoder()
        except ConfigError as error:
            self._broken = time.monotonic(), error
            raise


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
