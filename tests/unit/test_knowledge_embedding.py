"""The encoder for meanings: loaded when first asked, on the model's thread, and a bad text costs itself only."""

import hashlib
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from listener.domain import Assessment
from listener.errors import ConfigError, Fault
from listener.protocols import Languages
from listener.sentiment import bundled
from listener.sentiment.bundled import BUNDLED, read_bundled
from listener.sentiment.meaning import GRAPH, MeaningEncoder, Meanings, load_meaning
from listener.sentiment.scorer import ThreadedScorer, on_thread


class Silent:
    """A model that notes its thread."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def encoder() -> MeaningEncoder:
    return load_meaning()


async def test_the_encoder_is_loaded_once_when_asked_on_the_models_thread() -> None:
    loaded: list[int] = []
    models: list[Silent] = []

    class Encoder:
        def __init__(self) -> None:
            loaded.append(threading.get_ident())

        def embed(self, texts: Sequence[str]) -> Meanings:
            assert threading.get_ident() == loaded[0]
            return Meanings(model="m", vectors=(None,) * len(texts))

    def load() -> Silent:
        models.append(Silent())
        return models[0]

    async with on_thread(load) as opened:
        scorer = ThreadedScorer(models[0], opened._executor, lambda: cast("MeaningEncoder", Encoder()))
        assert loaded == []
        await scorer.embed(["a"])
        assert len((await scorer.embed(["a", "b"])).vectors) == 2
    assert loaded == [models[0].thread]


async def test_an_encoder_that_cannot_be_loaded_is_told_and_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def load() -> MeaningEncoder:
        tried.append(1)
        raise ConfigError([Fault(path="knowledge", problem="gone", fix="install")])

    async with on_thread(Silent) as opened:
        scorer = ThreadedScorer(Silent(), opened._executor, load)
        for _ in range(2):
            with pytest.raises(ConfigError, match="install"):
                await scorer.embed(["a"])
        assert len(tried) == 1
        monkeypatch.setattr("listener.sentiment.scorer.AGAIN_SECS", 0.0)
        with pytest.raises(ConfigError, match="install"):
            await scorer.embed(["a"])
    assert len(tried) == 2


def test_texts_are_vectors_of_length_one_and_a_bad_one_costs_itself_only(encoder: MeaningEncoder) -> None:
    read = encoder.embed(["Pakk on kadunud", "12345", "My parcel is lost", ""])
    assert [vector is None for vector in read.vectors] == [False, True, False, True]
    for vector in read.vectors:
        assert vector is None or np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert encoder.embed([]).vectors == ()


def test_a_text_gets_the_same_vector_whatever_its_batch_mates(encoder: MeaningEncoder) -> None:
    texts = ["Pakk on kadunud", "My parcel is lost", "Деньги списали дважды", "x" * 400, "The bill is wrong " * 60]
    together = encoder.embed(texts)
    for text, vector in zip(texts, together.vectors, strict=True):
        (alone,) = encoder.embed([text]).vectors
        assert (alone is None) == (vector is None)
        assert alone is None or vector is None or alone.tobytes() == vector.tobytes()


@pytest.mark.parametrize(
    ("text", "same", "other"),
    [
        ("Pakk on teel kaduma läinud", "My parcel got lost on the way", "Teenindaja oli väga ebaviisakas"),
        ("The app crashes at login", "Приложение вылетает при входе", "The soup was cold"),
        ("Деньги списали дважды", "Raha võeti kontolt kaks korda", "Грубый кассир"),
    ],
)
def test_what_means_the_same_is_nearer_than_what_feels_the_same(
    encoder: MeaningEncoder, text: str, same: str, other: str
) -> None:
    one, near, far = (vector for vector in encoder.embed([text, same, other]).vectors if vector is not None)
    assert float(one @ near) > float(one @ far) + 0.1


def copied(folder: Path) -> Path:
    for file in BUNDLED.iterdir():
        shutil.copy(file, folder / file.name)
    return folder


def test_the_map_is_never_used_with_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(tmp_path)
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    fresh = f"{hashlib.sha256(data).hexdigest()}  model.safetensors"
    (folder / "SHA256SUMS").write_text("\n".join(fresh if one.endswith("model.safetensors") else one for one in sums))
    monkeypatch.setattr(bundled, "BUNDLED", folder)
    with pytest.raises(ConfigError, match=r"other weights; run `python -m training\.meaning`"):
        load_meaning()


def test_a_model_without_the_graph_says_so(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / GRAPH).unlink()
    with pytest.raises(ConfigError, match=r"meaning\.onnx cannot be loaded"):
        MeaningEncoder(read_bundled(folder))
