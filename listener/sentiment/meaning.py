"""What a text is about, as a vector: the lower layers of our own model, read out for meaning instead of for sentiment.

The model was taught to tell content from discontent, so the vectors of its last layer lie by mood: two complaints about
anything are near each other. ``meaning.onnx`` (made by ``training.meaning``) is the same network over the same weights
up to the layer where the mood takes over, with a linear map on its layers' means that was fitted to
multilingual-e5-small, the encoder that the model began as: texts about the same thing are near each other in any of
its languages.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from listener.errors import ConfigError, Fault, ScoringError
from listener.sentiment.batching import even_batches
from listener.sentiment.bundled import WEIGHTS, Bundled, read_bundled
from listener.sentiment.engine_onnx import session
from listener.sentiment.reading import Floats, Reader, mean_embeddings, padded
from listener.sentiment.windows import Window

GRAPH = "meaning.onnx"
MADE_FOR = "weights"  # the graph's own note of the SHA-256 of the weights that its map was fitted to
TOKENS_PER_BATCH = 256
STEP = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanings:
    """What texts are about: one vector of length 1 a text, [width], None for one that cannot be read.

    Only vectors of one ``model`` can be compared.
    """

    model: str
    vectors: tuple[Floats | None, ...]


class MeaningEncoder:
    """The graph for meaning of the verified model directory ``bundled``. Not for several threads.

    What a text gets is the same to the last bit whatever its batch-mates. Raises ConfigError when the graph cannot be
    loaded or was made for other weights.
    """

    def __init__(self, bundled: Bundled) -> None:
        self._pad = bundled.sizes.pad
        self._reader = Reader(bundled)
        self._session = session(bundled.path / GRAPH, fix="install listener again")
        self._width: int = self._session.get_outputs()[0].shape[1]
        self.name = f"{bundled.name}/{_digest(bundled.path / GRAPH)[:12]}"
        made_for = self._session.get_modelmeta().custom_metadata_map.get(MADE_FOR)
        if made_for != _digest(bundled.path / WEIGHTS):
            raise _fault(f"{bundled.path / GRAPH} was made for other weights", "run `python -m training.meaning`")

    def embed(self, texts: Sequence[str]) -> Meanings:
        """One vector a text, in order. Raises ScoringError when the model fails."""
        read: list[int] = []
        windows: list[Window] = []
        for place, text in enumerate(texts):
            try:
                found = self._reader.windows([text])
            except ScoringError:  # it costs itself only
                continue
            windows += [Window(text=len(read), ids=window.ids) for window in found]
            read.append(place)
        vectors: list[Floats | None] = [None] * len(texts)
        if read:
            for place, vector in zip(read, mean_embeddings(len(read), windows, self._run(windows)), strict=True):
                vectors[place] = vector
        return Meanings(model=self.name, vectors=tuple(vectors))

    def _run(self, windows: Sequence[Window]) -> Floats:
        lengths = [-len(window.ids) // STEP * -STEP for window in windows]
        found = np.empty((len(windows), self._width), dtype=np.float32)
        for group in even_batches(lengths, TOKENS_PER_BATCH):
            ids, mask = padded([windows[place] for place in group], lengths[group[0]], self._pad)
            try:
                (found[group],) = self._session.run(["meaning"], {"ids": ids, "mask": mask})
            except Exception as error:  # onnxruntime's exceptions have no base of their own
                raise ScoringError(f"the model failed on {len(group)} texts: {type(error).__name__}") from error
        return found


def load_meaning() -> MeaningEncoder:
    """The encoder that comes with listener, whatever model scores; a second, and some 60 MB. Raises ConfigError."""
    return MeaningEncoder(read_bundled(None))


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _fault(problem: str, fix: str) -> ConfigError:
    return ConfigError([Fault(path="knowledge", problem=problem, fix=fix)])
