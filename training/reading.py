"""What a model directory (``export``) says of texts, uncalibrated: what calibration and the figures start from."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from listener.sentiment.batching import even_batches
from listener.sentiment.engine_onnx import STEP, session
from listener.sentiment.prepare import prepared
from listener.sentiment.reading import padded
from listener.sentiment.windows import Window
from training import export, network

TOKENS = 256  # a batch
PAD = 1  # the id of <pad>
THREADS = 2

Array = NDArray[np.float32]


def encoded(tokenizer: Tokenizer, texts: Sequence[str], window: int = export.WINDOW) -> list[list[int]]:
    """Token ids of each text, prepared as the daemon does; cut to one window, which hardly any exceeds."""
    tokenizer.enable_truncation(window)
    return [encoding.ids for encoding in tokenizer.encode_batch([prepared(text) for text in texts])]


def grouped(ids: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], NDArray[np.int64], NDArray[np.int64]]]:
    """Places, ids and masks of batches of one padded length each."""
    windows = [Window(text=place, ids=tuple(one)) for place, one in enumerate(ids)]
    lengths = [-(-len(one) // STEP) * STEP for one in ids]
    for places in even_batches(lengths, TOKENS):
        yield places, *padded([windows[place] for place in places], lengths[places[0]], PAD)


def read(folder: Path, texts: Sequence[str], output: str = "logits") -> Array:
    """``output`` (``logits`` or ``embedding``) of the int8 model in ``folder`` for each text."""
    model = session(folder / export.GRAPH)  # as the daemon loads it: what is measured is what it says
    ids = encoded(Tokenizer.from_file(str(folder / export.TOKENIZER)), texts)

    def one(batch: tuple[list[int], NDArray[np.int64], NDArray[np.int64]]) -> tuple[list[int], Array]:
        places, block, mask = batch
        return places, model.run([output], {"ids": block, "mask": mask})[0]

    rows: dict[int, Array] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for places, found in pool.map(one, grouped(ids)):
            rows |= dict(zip(places, found, strict=True))
    return np.stack([rows[place] for place in range(len(ids))])


def read_exactly(run: Path, texts: Sequence[str]) -> Array:
    """The logits of the trained network in float32, through torch: what int8 is compared with."""
    net, tokenizer = network.load(run)
    rows: dict[int, Array] = {}
    with torch.inference_mode():
        for places, block, mask in grouped(encoded(tokenizer, texts)):
            found = net(torch.from_numpy(block), torch.from_numpy(mask)).numpy()
            rows |= dict(zip(places, found, strict=True))
    return np.stack([rows[place] for place in range(len(texts))])
