"""From trained weights to the directory that ships: int8 in safetensors, and an ONNX graph over the same bytes.

Every linear map is quantised to int8 with one scale an output channel; its input as it runs, with one scale
a token, so that what a text gets does not depend on its neighbours in the batch (onnxruntime's dynamic quantisation
takes one scale a batch). The big tensors of ``model.onnx`` are external data that lie in
``model.safetensors``: one set of weights for every engine.

    python -m training.export --run RUN --out DIR
"""

import argparse
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from training import network
from training.heads import OUTPUTS

WEIGHTS, GRAPH, TOKENIZER, CONFIG, SUMS = (
    "model.safetensors",
    "model.onnx",
    "tokenizer.json",
    "config.json",
    "SHA256SUMS",
)
SUMMED = (WEIGHTS, GRAPH, TOKENIZER, CONFIG, "README.md", "NOTICE")
FORMAT, NAME = "listener/1", "listener-small"
WINDOW = 192  # tokens; nearly all mentions are shorter, and training saw at most 128
OPSET = 21
IR_VERSION = 10
LEVELS = 127
ZERO_POINT = 128  # activations are unsigned bytes: the fast kernels take unsigned by signed

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of the encoder."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    rows: int
    positions: int
    types: int
    eps: float
    pad: int = 1


def quantised(weight: Array) -> tuple[Array, Array]:
    """Rows of ``weight`` [out, in] as int8 with one float32 scale each."""
    scale = np.maximum(np.abs(weight).max(axis=1), 1e-12).astype(np.float32) / LEVELS
    return np.clip(np.rint(weight / scale[:, None]), -LEVELS, LEVELS).astype(np.int8), scale


def packed(state: Mapping[str, torch.Tensor], shape: Shape) -> dict[str, Array]:
    """The tensors that ship, from the network's state: matrices as [in, out]; query, key and value as one."""
    weights = {name.removeprefix("encoder."): value.float().numpy() for name, value in state.items()}
    found: dict[str, Array] = {"heads.weight": weights["heads.weight"], "heads.bias": weights["heads.bias"]}

    def linear(name: str, weight: Array, bias: Array) -> None:
        levels, scale = quantised(weight)
        found[f"{name}.weight"] = np.ascontiguousarray(levels.T)
        found[f"{name}.scale"], found[f"{name}.bias"] = scale, bias

    embedding, scale = quantised(weights["embeddings.word_embeddings.weight"])
    found["embeddings.word.weight"], found["embeddings.word.scale"] = embedding, scale[:, None]
    for part in ("position", "token_type"):
        found[f"embeddings.{part}.weight"] = weights[f"embeddings.{part}_embeddings.weight"]
    norms = {"embeddings.norm": "embeddings.LayerNorm"}
    for number in range(shape.layers):
        old, new = f"encoder.layer.{number}", f"layers.{number}"
        parts = [f"{old}.attention.self.{part}" for part in ("query", "key", "value")]
        linear(
            f"{new}.qkv",
            np.concatenate([weights[f"{part}.weight"] for part in parts]),
            np.concatenate([weights[f"{part}.bias"] for part in parts]),
        )
        maps = {"attention.output.dense": "out", "intermediate.dense": "up", "output.dense": "down"}
        for source, target in maps.items():
            linear(f"{new}.{target}", weights[f"{old}.{source}.weight"], weights[f"{old}.{source}.bias"])
        norms |= {f"{new}.norm1": f"{old}.attention.output.LayerNorm", f"{new}.norm2": f"{old}.output.LayerNorm"}
    for target, source in norms.items():
        found[f"{target}.weight"], found[f"{target}.bias"] = weights[f"{source}.weight"], weights[f"{source}.bias"]
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


class Graph:
    """An ONNX graph in the making: operations are added as methods are called, each returns its output's name."""

    def __init__(self, weights: Mapping[str, Array], places: Mapping[str, tuple[int, int]]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._count = 0
        for name, value in weights.items():
            tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(value.dtype), dims=value.shape)
            tensor.data_location = TensorProto.EXTERNAL
            offset, length = places[name]
            for key, said in (("location", WEIGHTS), ("offset", str(offset)), ("length", str(length))):
                tensor.external_data.add(key=key, value=said)
            self.constants[name] = tensor

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """One operation; its output's name, or a list of them."""
        self._count += 1
        names = [f"{kind}.{self._count}.{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: Any) -> str:
        """A small constant, once for each value."""
        array = np.array(value, dtype=dtype)
        name = f"constant.{array.dtype}.{array.tolist()}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def number(self, value: float) -> str:
        """A float32 constant."""
        return self.constant(value, np.float32)

    def axes(self, *values: int) -> str:
        """An int64 list."""
        return self.constant(list(values), np.int64)

    def quantise(self, x: str) -> tuple[str, str]:
        """``x`` [..., features] as unsigned bytes around ``ZERO_POINT``, and the scale of each token [..., 1]."""
        top = self.add("ReduceMax", self.add("Abs", x), self.axes(-1), keepdims=1)
        scale = self.add("Max", self.add("Mul", top, self.number(1 / LEVELS)), self.number(1e-9))
        scaled = self.add("Mul", x, self.add("Reciprocal", scale))
        rounded = self.add("Add", scaled, self.number(ZERO_POINT + 0.5))  # the cast cuts off
        return self.add("Cast", rounded, to=TensorProto.UINT8), scale

    def linear(self, name: str, x: tuple[str, str]) -> str:
        """The map ``name`` of a quantised input, in float32."""
        zero = self.constant(ZERO_POINT, np.uint8)
        product = self.add("MatMulInteger", x[0], f"{name}.weight", zero)
        scaled = self.add("Mul", self.add("Cast", product, to=TensorProto.FLOAT), f"{name}.scale")
        return str(self.add("Add", self.add("Mul", scaled, x[1]), f"{name}.bias"))

    def norm(self, name: str, x: str, eps: float) -> str:
        """Layer normalisation."""
        return str(self.add("LayerNormalization", x, f"{name}.weight", f"{name}.bias", axis=-1, epsilon=eps))


def attention(graph: Graph, number: int, x: str, bias: str, shape: Shape) -> str:
    """Multi-head self-attention of ``x`` [n, t, hidden] in float32, before its output map."""
    together = graph.linear(f"layers.{number}.qkv", graph.quantise(x))
    width = shape.hidden // shape.heads
    by_head = graph.add("Reshape", together, graph.axes(0, 0, 3 * shape.heads, width))
    turned = graph.add("Transpose", by_head, perm=[0, 2, 1, 3])
    query, key, value = graph.add("Split", turned, outputs=3, axis=1, num_outputs=3)
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
    scaled = graph.add("Add", graph.add("Mul", scores, graph.number(width**-0.5)), bias)
    mixed = graph.add("MatMul", graph.add("Softmax", scaled, axis=-1), value)
    return str(graph.add("Reshape", graph.add("Transpose", mixed, perm=[0, 2, 1, 3]), graph.axes(0, 0, shape.hidden)))


def body(graph: Graph, shape: Shape) -> None:
    """The whole network, from ``ids`` and ``mask`` to ``logits`` and ``embedding``."""
    words = graph.add("Cast", graph.add("Gather", "embeddings.word.weight", "ids"), to=TensorProto.FLOAT)
    x = graph.add("Mul", words, graph.add("Gather", "embeddings.word.scale", "ids"))  # [n, t, 1]: the scale of each row
    length = graph.add("Gather", graph.add("Shape", "ids"), graph.constant(1, np.int64))
    places = graph.add("Range", graph.constant(0, np.int64), length, graph.constant(1, np.int64))
    x = graph.add("Add", x, graph.add("Gather", "embeddings.position.weight", places))
    x = graph.add("Add", x, graph.add("Gather", "embeddings.token_type.weight", graph.constant(0, np.int64)))
    x = graph.norm("embeddings.norm", x, shape.eps)
    real = graph.add("Cast", "mask", to=TensorProto.FLOAT)
    hidden = graph.add("Mul", graph.add("Sub", real, graph.number(1.0)), graph.number(1e9))
    bias = graph.add("Unsqueeze", hidden, graph.axes(1, 2))
    for number in range(shape.layers):
        mixed = attention(graph, number, x, bias, shape)
        x = graph.add("Add", x, graph.linear(f"layers.{number}.out", graph.quantise(mixed)))
        x = graph.norm(f"layers.{number}.norm1", x, shape.eps)
        wide = graph.add("Gelu", graph.linear(f"layers.{number}.up", graph.quantise(x)))
        x = graph.add("Add", x, graph.linear(f"layers.{number}.down", graph.quantise(wide)))
        x = graph.norm(f"layers.{number}.norm2", x, shape.eps)
    # A product for each text, since a sum over the middle axis adds up in another order where there is one text only.
    total = graph.add("Squeeze", graph.add("MatMul", graph.add("Unsqueeze", real, graph.axes(1)), x), graph.axes(1))
    mean = graph.add("Div", total, graph.add("ReduceSum", real, graph.axes(1), keepdims=1))
    # Not a matrix product: its kernel depends on how many texts there are, and with it the last bit.
    each = graph.add("Mul", graph.add("Unsqueeze", mean, graph.axes(1)), "heads.weight")
    summed = graph.add("ReduceSum", each, graph.axes(-1), keepdims=0)
    graph.nodes.append(helper.make_node("Add", [summed, "heads.bias"], ["logits"]))
    graph.nodes.append(helper.make_node("Identity", [mean], ["embedding"]))


def places_in(file: Path) -> dict[str, tuple[int, int]]:
    """Where each tensor's bytes lie in a safetensors file: offset and length."""
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(length))
    start = 8 + length
    edges = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
    return {name: (start + begin, end - begin) for name, (begin, end) in edges.items()}


def write_graph(weights: Mapping[str, Array], shape: Shape, out: Path) -> None:
    """Write ``model.onnx`` beside the weights that it refers to."""
    graph = Graph(weights, places_in(out / WEIGHTS))
    body(graph, shape)
    tokens = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in ("ids", "mask")]
    sizes = {"logits": len(OUTPUTS), "embedding": shape.hidden}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["texts", size]) for name, size in sizes.items()]
    made = helper.make_graph(graph.nodes, NAME, tokens, outputs, list(graph.constants.values()))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    (out / GRAPH).write_bytes(model.SerializeToString(deterministic=True))


def identity() -> dict[str, Any]:
    """A calibration that changes nothing."""
    return {"default": {"scale": [1.0] * len(OUTPUTS), "shift": [0.0] * len(OUTPUTS)}}


def write_config(shape: Shape, out: Path, decisions: Mapping[str, Any]) -> None:
    """Write ``config.json``: sizes, outputs, and how the logits become probabilities and labels."""
    settings = {"format": FORMAT, "name": NAME, "outputs": OUTPUTS, **asdict(shape), "window": WINDOW, **decisions}
    (out / CONFIG).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def uncalibrated() -> dict[str, Any]:
    """Calibration, thresholds and the bands of doubt before any is measured."""
    thresholds = {name: 0.5 for name in OUTPUTS if not name.startswith("sentiment/")}
    return {"calibration": identity(), "thresholds": thresholds, "abstain": {"sentiment": 0.0, "risk": [0.5, 0.5]}}


def seal(out: Path) -> None:
    """Write ``SHA256SUMS`` over what is there."""
    lines = [
        f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}" for name in SUMMED if (out / name).is_file()
    ]
    (out / SUMS).write_text("\n".join(lines) + "\n")


def export(
    state: Mapping[str, torch.Tensor],
    shape: Shape,
    tokenizer: Tokenizer,
    out: Path,
    decisions: Mapping[str, Any] | None = None,
) -> None:
    """Write the whole directory from a network's state (names as in ``network.Network``)."""
    out.mkdir(parents=True, exist_ok=True)
    weights = packed(state, shape)
    save_file(weights, out / WEIGHTS)
    (out / WEIGHTS).chmod(0o644)  # safetensors writes for its owner alone
    write_graph(weights, shape, out)
    spec = json.loads(tokenizer.to_str())
    compact = json.dumps({**spec, "truncation": None, "padding": None}, ensure_ascii=False, separators=(",", ":"))
    (out / TOKENIZER).write_text(compact, encoding="utf-8")
    write_config(shape, out, decisions or uncalibrated())
    seal(out)


def shape_of(net: network.Network) -> Shape:
    """The sizes of a network."""
    settings = net.encoder.config
    return Shape(
        hidden=settings.hidden_size,
        layers=settings.num_hidden_layers,
        heads=settings.num_attention_heads,
        intermediate=settings.intermediate_size,
        rows=settings.vocab_size,
        positions=settings.max_position_embeddings,
        types=settings.type_vocab_size,
        eps=settings.layer_norm_eps,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Export a trained network, not yet calibrated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args(arguments)
    net, tokenizer = network.load(said.run)
    export(net.state_dict(), shape_of(net), tokenizer, said.out)


if __name__ == "__main__":
    main()
