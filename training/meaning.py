"""What a text is about, read out of the lower layers of our own model: makes ``meaning.onnx`` beside its weights.

    python -m training.meaning [--texts 12500]      # a quarter of an hour on two cores

The finished model is taught to tell content from discontent, and its last layer says little else. Its lower layers
still hold what the encoder knew that it began as. One linear map on the means of ``LAYERS`` is fitted (ridge) so that
it says of our own mentions what multilingual-e5-small says of them: its sentence embedding, centred in each language
(all embeddings point the same way, and those of a language the same way again) and half whitened. The graph is
``model.onnx`` cut off above the highest of these layers, over the same weights; it notes their SHA-256, so that it is
never used with others.
"""

import argparse
import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from listener.errors import ScoringError
from listener.sentiment.bundled import BUNDLED, WEIGHTS, read_bundled
from listener.sentiment.bundled import GRAPH as WHOLE
from listener.sentiment.engine_onnx import session
from listener.sentiment.meaning import GRAPH, MADE_FOR
from listener.sentiment.reading import Reader, padded
from training import base, own

LAYERS = (3, 5, 7, 9)
WIDTH = 192  # the directions in which meanings differ most
RIDGE = 300.0
WHITE = 0.5  # how far directions in which all texts differ count less: 0 is not at all, 1 makes all alike
SHARES = {"et": 9, "en": 6, "ru": 6, "fi": 1, "lv": 1, "lt": 1, "de": 1}
BATCH = 32
TOKENS_MAX = 128

Array = NDArray[np.float32]


def texts(count: int) -> list[tuple[str, str]]:
    """About ``count`` of our own mentions with their languages, the same at every call, by ``SHARES``."""
    chosen = random.Random(5)
    found = []
    for lang, share in SHARES.items():
        said = [one.text for one in own.mentions() if one.language == lang]
        found += [(lang, text) for text in chosen.sample(said, min(len(said), count * share // sum(SHARES.values())))]
    return found


def taught(said: Sequence[str]) -> Array:
    """What multilingual-e5-small says of each text, [texts, 384], of length 1."""
    packed = base.Packed(base.weights_file())
    rows = np.arange(packed.rows)
    model = base.load(packed, rows)
    tokenizer = Tokenizer.from_file(str(base.tokenizer_file()))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS_MAX)
    ids = [tokenizer.encode(f"query: {text}").ids for text in said]
    found = np.zeros((len(said), packed.hidden), dtype=np.float32)
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    for start in range(0, len(order), BATCH):
        group = order[start : start + BATCH]
        length = len(ids[group[-1]])
        tokens = torch.tensor([ids[place] + [1] * (length - len(ids[place])) for place in group])
        mask = torch.tensor([[1.0] * len(ids[place]) + [0.0] * (length - len(ids[place])) for place in group])
        with torch.inference_mode():
            last = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        found[group] = ((last * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).numpy()
    return unit(found)


def unit(vectors: Array) -> Array:
    """The same directions, of length 1."""
    scaled: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def centred(vectors: Array, languages: Sequence[str]) -> Array:
    """Sentence embeddings without what all of a language have in common, half whitened, of length 1."""
    found, spoken = vectors.astype(np.float64), np.array(languages)
    for lang in set(languages):
        found[spoken == lang] -= found[spoken == lang].mean(axis=0)
    spread = np.cov(found.T)
    even = np.eye(len(spread)) * np.trace(spread) / len(spread)
    values, directions = np.linalg.eigh(WHITE * spread + (1 - WHITE) * even)
    return unit((found @ (directions * values**-0.5) @ directions.T).astype(np.float32))


def fitted(features: Array, wanted: Array) -> tuple[Array, Array]:
    """The ridge map from ``features`` [texts, f] to ``wanted`` [texts, hidden], in its ``WIDTH`` widest directions.

    A matrix [f, WIDTH] and what is added, [WIDTH].
    """
    mean = features.mean(axis=0)
    scale = features.std(axis=0) + 1e-6
    x = ((features - mean) / scale).astype(np.float64)
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += RIDGE
    weight = np.linalg.solve(gram, x.T @ (wanted - wanted.mean(axis=0))) / scale[:, None]
    said = (features - mean) @ weight
    values, directions = np.linalg.eigh(said.T @ said)
    turned = weight @ directions[:, np.argsort(-values)[:WIDTH]]
    return turned.astype(np.float32), (-mean @ turned).astype(np.float32)


def cut(layers: Sequence[int]) -> tuple[onnx.ModelProto, list[str]]:
    """``model.onnx`` with the mean of each of ``layers`` over the real tokens as further outputs, and their names."""
    model = onnx.load(str(BUNDLED / WHOLE), load_external_data=False)
    nodes = list(model.graph.node)
    tops = {
        int(node.input[1].split(".")[1]): node.output[0]
        for node in nodes
        if node.op_type == "LayerNormalization" and node.input[1].endswith("norm2.weight")
    }
    total = next(node for node in nodes if node.op_type == "MatMul" and node.input[1] == tops[max(tops)])
    squeezed = next(node for node in nodes if node.input[:1] == total.output[:1])
    divided = next(node for node in nodes if node.input[:1] == squeezed.output[:1])
    names = [f"layer.{layer}" for layer in layers]
    for layer, name in zip(layers, names, strict=True):
        nodes.append(helper.make_node("MatMul", [total.input[0], tops[layer]], [f"{name}.sum"]))
        nodes.append(helper.make_node("Squeeze", [f"{name}.sum", squeezed.input[1]], [f"{name}.flat"]))
        nodes.append(helper.make_node("Div", [f"{name}.flat", divided.input[1]], [name]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model, names


def written(model: onnx.ModelProto, outputs: Sequence[tuple[str, int]], file: Path) -> None:
    """Write what of the graph leads to ``outputs`` (names and widths), in the model's directory."""
    graph, wanted, kept = model.graph, {name for name, _ in outputs}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    del graph.node[:]
    graph.node.extend(_runnable(kept[::-1]))
    constants = [one for one in graph.initializer if one.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in outputs)
    file.write_bytes(model.SerializeToString(deterministic=True))


def _runnable(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes so that each comes after those that it reads."""
    made = {name for node in nodes for name in node.output}
    done: set[str] = set()
    left, found = list(nodes), []
    while left:
        ready = [node for node in left if all(name in done or name not in made for name in node.input)]
        found += ready
        done.update(name for node in ready for name in node.output)
        left = [node for node in left if node not in ready]
    return found


def features_of(said: Sequence[str], layers: Sequence[int]) -> tuple[list[int], Array]:
    """The means of ``layers`` side by side, of the texts that can be read: their places, [texts, layers * hidden]."""
    bundled = read_bundled()
    model, names = cut(layers)
    probe = BUNDLED / "probe.onnx"
    try:
        written(model, [(name, bundled.sizes.hidden) for name in names], probe)
        probing = session(probe)
    finally:
        probe.unlink(missing_ok=True)
    reader, windows = Reader(bundled), []
    for place, text in enumerate(said):
        try:
            windows.append((place, reader.windows([text])[0]))
        except ScoringError:
            continue
    order = sorted(windows, key=lambda one: len(one[1].ids))
    found = np.empty((len(order), len(names) * bundled.sizes.hidden), dtype=np.float32)
    for start in range(0, len(order), BATCH):
        group = order[start : start + BATCH]
        ids, mask = padded([window for _, window in group], len(group[-1][1].ids), bundled.sizes.pad)
        found[start : start + len(group)] = np.concatenate(probing.run(names, {"ids": ids, "mask": mask}), axis=1)
    return [place for place, _ in order], found


def write_meaning(weight: Array, offset: Array) -> Path:
    """Write ``meaning.onnx``: the cut graph, the map, and whose weights it belongs to."""
    model, names = cut(LAYERS)
    graph = model.graph
    half: Any = weight.astype(np.float16)
    graph.initializer.extend([numpy_helper.from_array(half, "map.half"), numpy_helper.from_array(offset, "map.offset")])
    # One product for each text: a matrix product's kernel depends on how many there are, and with it the last bit.
    axes = numpy_helper.from_array(np.array([1], dtype=np.int64), "map.axes")
    graph.initializer.append(axes)
    graph.node.extend(
        [
            helper.make_node("Cast", ["map.half"], ["map.weight"], to=TensorProto.FLOAT),
            helper.make_node("Concat", names, ["map.layers"], axis=-1),
            helper.make_node("Unsqueeze", ["map.layers", "map.axes"], ["map.rows"]),
            helper.make_node("MatMul", ["map.rows", "map.weight"], ["map.product"]),
            helper.make_node("Squeeze", ["map.product", "map.axes"], ["map.flat"]),
            helper.make_node("Add", ["map.flat", "map.offset"], ["meaning"]),
        ]
    )
    with (BUNDLED / WEIGHTS).open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    helper.set_model_props(model, {MADE_FOR: digest})
    written(model, [("meaning", weight.shape[1])], BUNDLED / GRAPH)
    return BUNDLED / GRAPH


def main() -> None:
    """Fit the map and write the graph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=12_500)
    said = texts(parser.parse_args().texts)
    places, features = features_of([text for _, text in said], LAYERS)
    targets = centred(taught([said[place][1] for place in places]), [said[place][0] for place in places])
    weight, offset = fitted(features, targets)
    file = write_meaning(weight, offset)
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB, fitted to {len(places)} mentions")


if __name__ == "__main__":
    main()
