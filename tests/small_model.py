"""A tiny model in our own format, exported as the real one is: random weights, a vocabulary of a few words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from training import export
from training.heads import OUTPUTS
from training.network import Network

WORDS = tuple(
    "the parcel was late broken great kind fast pakk oli hea halb katki заказ плохо отлично # 1 [ ] . ! ,".split()  # noqa: SIM905 -- read as a list of words
)
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
MARK = "\u2581"  # SentencePiece's space
HIDDEN, LAYERS, POSITIONS = 32, 2, 64
WINDOW = 32


def small_tokenizer() -> Tokenizer:
    """Unigram over ``WORDS`` and single letters, as the real tokenizer is built."""
    letters = [chr(code) for start, end in (("a", "z"), ("а", "я")) for code in range(ord(start), ord(end) + 1)]
    pieces = [*SPECIAL, MARK, *(MARK + word for word in WORDS), *letters, "@", "😀"]
    unigram = Tokenizer(models.Unigram([(piece, -float(place) / 100) for place, piece in enumerate(pieces)], unk_id=3))
    unigram.normalizer = normalizers.Lowercase()
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    unigram.add_special_tokens(list(SPECIAL))
    return unigram


def small_network() -> Network:
    """Random weights, the same each time, large enough that texts differ."""
    tokenizer = small_tokenizer()
    torch.manual_seed(7)
    encoder = BertModel(
        BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            intermediate_size=2 * HIDDEN,
            max_position_embeddings=POSITIONS,
            pad_token_id=1,
        ),
        add_pooling_layer=False,
    )
    net = Network(encoder)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
        net.heads.weight.normal_(std=0.4)
    return net.train(mode=False)


def save_small_model(folder: Path, **decisions: Any) -> Path:
    """Write the directory and return it; ``decisions`` replace parts of config.json."""
    net = small_network()
    export.export(net.state_dict(), export.shape_of(net), small_tokenizer(), folder)
    reconfigure(folder, window=WINDOW, **decisions)
    return folder


def reconfigure(folder: Path, **changes: Any) -> None:
    """Change keys of config.json, None removes one, and seal the directory again."""
    file = folder / "config.json"
    config = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    export.seal(folder)


def calibration(**values: Mapping[str, float]) -> dict[str, Any]:
    """A calibration with the ``scale`` and ``shift`` of some outputs set, the others left as they are."""
    neutral = {"scale": 1.0, "shift": 0.0}
    return {key: [values.get(key, {}).get(name, usual) for name in OUTPUTS] for key, usual in neutral.items()}
