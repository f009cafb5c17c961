"""Our own model on a GPU: the same int8 weights as for processors, made floats again, through torch and transformers.

Importing this module costs seconds and some 200 MB: only ``scorer.load_scorer`` does it, where there is a GPU.
"""

import os

# Read when transformers is imported: nothing is ever downloaded, and there is nothing to warn of.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import BertConfig, BertModel

from listener.domain import Assessment
from listener.errors import ConfigError, Fault, ScoringError
from listener.protocols import Languages
from listener.sentiment.batching import batches
from listener.sentiment.bundled import WEIGHTS, Bundled, Sizes
from listener.sentiment.reading import Floats, Reader, padded

TOKENS_PER_BATCH = 16_384  # a GPU works on thousands of tokens at a time

Tensors = Mapping[str, torch.Tensor]


class BundledTorchScorer:
    """The verified model directory ``bundled`` on ``device``; implements ``protocols.Scorer``. Not for several threads.

    Activations stay floats here (bfloat16 on a GPU, float32 on a processor), so probabilities differ in the second
    digit from those of ``OnnxScorer``, which the calibration was fitted on, and in the last ones with the batch-mates.
    ``encoder`` is the BertModel, ``heads`` the linear map on the mean of its last layer over the real tokens.
    Raises ConfigError when the weights cannot be loaded.
    """

    def __init__(self, bundled: Bundled, *, device: torch.device, tokens_per_batch: int | None = None) -> None:
        self._pad = bundled.sizes.pad
        self._outputs = bundled.outputs
        self._device = device
        self._budget = tokens_per_batch or TOKENS_PER_BATCH
        self._reader = Reader(bundled)
        try:
            weights = load_file(bundled.path / WEIGHTS)
            self.encoder = _encoder(weights, bundled.sizes)
            self.heads = _heads(weights)
        except Exception as error:  # safetensors raises bare Exception, torch RuntimeError, a missing name KeyError
            problem = f"{bundled.path / WEIGHTS} cannot be loaded: {type(error).__name__}: {str(error)[:300]}"
            fix = "copy the whole directory again"
            raise ConfigError([Fault(path="scoring.model", problem=problem, fix=fix)]) from error
        modules: tuple[nn.Module, ...] = (self.encoder, self.heads)
        for module in modules:
            module.to(device)

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        """One assessment a text, in order; ``languages`` is as in ``protocols.Scorer``.

        Raises ScoringError when a text cannot be judged (see ``Reader.windows``) or when the model fails.
        """
        windows = self._reader.windows(texts)
        logits = np.empty((len(windows), self._outputs), dtype=np.float32)
        lengths = [len(window.ids) for window in windows]
        for group in batches(lengths, self._budget):
            ids, mask = padded([windows[place] for place in group], lengths[group[0]], self._pad)
            try:
                logits[group] = self._logits(torch.from_numpy(ids), torch.from_numpy(mask))
            except (RuntimeError, ValueError, MemoryError) as error:  # out of memory is a RuntimeError in torch
                raise ScoringError(f"the model failed on {len(group)} texts: {type(error).__name__}") from error
        return self._reader.assessments(texts, languages, windows, logits)

    def _logits(self, ids: torch.Tensor, mask: torch.Tensor) -> Floats:
        ids, mask = ids.to(self._device), mask.to(self._device)
        with torch.inference_mode():
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
                last = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            weight = mask[..., None].float()
            mean = (last.float() * weight).sum(1) / weight.sum(1)
            logits: Floats = self.heads(mean).cpu().numpy()
        return logits


def _encoder(weights: Tensors, sizes: Sizes) -> BertModel:
    """The encoder in float32 from the names that ``training/export.py`` gives."""
    config = BertConfig(
        vocab_size=sizes.rows,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.types,
        layer_norm_eps=sizes.eps,
        pad_token_id=sizes.pad,
    )
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(_state(weights, sizes), strict=True)
    encoder.train(mode=False)
    return encoder


def _state(weights: Tensors, sizes: Sizes) -> dict[str, torch.Tensor]:
    """All weights of the encoder, by BertModel's names."""
    state = {
        "embeddings.word_embeddings.weight": weights["embeddings.word.weight"].float()
        * weights["embeddings.word.scale"],
        "embeddings.position_embeddings.weight": weights["embeddings.position.weight"],
        "embeddings.token_type_embeddings.weight": weights["embeddings.token_type.weight"],
    }
    norms = {"embeddings.LayerNorm": "embeddings.norm"}
    for number in range(sizes.layers):
        ours, theirs = f"layers.{number}", f"encoder.layer.{number}"
        qkv, bias = _linear(weights, f"{ours}.qkv")
        for part, weight, offset in zip(("query", "key", "value"), qkv.chunk(3), bias.chunk(3), strict=True):
            state[f"{theirs}.attention.self.{part}.weight"] = weight
            state[f"{theirs}.attention.self.{part}.bias"] = offset
        for target, source in {
            "attention.output.dense": "out",
            "intermediate.dense": "up",
            "output.dense": "down",
        }.items():
            state[f"{theirs}.{target}.weight"], state[f"{theirs}.{target}.bias"] = _linear(weights, f"{ours}.{source}")
        norms |= {
            f"{theirs}.attention.output.LayerNorm": f"{ours}.norm1",
            f"{theirs}.output.LayerNorm": f"{ours}.norm2",
        }
    for target, source in norms.items():
        state[f"{target}.weight"], state[f"{target}.bias"] = weights[f"{source}.weight"], weights[f"{source}.bias"]
    return state


def _linear(weights: Tensors, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A linear map as torch has it, [out, in] and [out]: int8 levels [in, out] times one scale an output."""
    return (weights[f"{name}.weight"].float() * weights[f"{name}.scale"]).T, weights[f"{name}.bias"]


def _heads(weights: Tensors) -> nn.Linear:
    count, hidden = weights["heads.weight"].shape
    heads = nn.Linear(hidden, count)
    heads.load_state_dict({"weight": weights["heads.weight"], "bias": weights["heads.bias"]})
    return heads
