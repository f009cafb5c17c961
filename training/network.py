"""The network: the shared encoder, the mean of its last layer over the text's tokens, one linear map for all heads."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import BertModel

from training import base
from training.heads import HEADS, OUTPUTS, PLACES

DROPOUT = 0.1
SMOOTHING = 0.05  # of the sentiment labels: annotators disagree more often than once in twenty
HEAD_WEIGHT = {"sentiment": 1.0, "risk": 1.0, "emotions": 1.0, "loyalty": 2.0, "wish": 0.5}
WEIGHTS, TOKENIZER = "network.safetensors", "tokenizer.json"


class Network(nn.Module):
    """Logits [batch, 17] in the order of ``heads.OUTPUTS`` from token ids and mask [batch, tokens]."""

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(DROPOUT)
        self.heads = nn.Linear(encoder.config.hidden_size, len(OUTPUTS))
        nn.init.normal_(self.heads.weight, std=0.02)
        nn.init.zeros_(self.heads.bias)
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
            encoder.embeddings.get_submodule(name).requires_grad_(requires_grad=False)

    def pooled(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The mean of the last layer over the real tokens, [batch, hidden], float32."""
        last = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weight = mask[..., None].float()
        mean: torch.Tensor = (last * weight).sum(1) / weight.sum(1)
        return mean

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The logits."""
        logits: torch.Tensor = self.heads(self.dropout(self.pooled(ids, mask)))
        return logits


def loss_of(logits: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The mean loss over the rows: a head counts only where its row is labelled, NaN in ``truth`` [batch, 17] is not.

    Cross entropy for sentiment, binary cross entropy for the others, averaged over the outputs that a row labels;
    ``weight`` [batch] is what a row's labels are worth.
    """
    total = logits.new_zeros(len(logits))
    for head, place in PLACES.items():
        said, wanted = logits[:, place].float(), truth[:, place]
        known = ~torch.isnan(wanted)
        wanted = torch.nan_to_num(wanted)
        if head == "sentiment":
            smooth = wanted * (1 - SMOOTHING) + SMOOTHING / len(HEADS[head])
            each = -(smooth * torch.log_softmax(said, dim=1)).sum(1) * known.all(1)
        else:
            binary = nn.functional.binary_cross_entropy_with_logits(said, wanted, reduction="none")
            each = (binary * known).sum(1) / known.sum(1).clamp(min=1)
        total = total + HEAD_WEIGHT[head] * each
    return (total * weight).mean()


def fresh(kept: set[int]) -> tuple[Network, Tokenizer]:
    """The untrained network on the base encoder, with the vocabulary rows ``kept``, and its tokenizer."""
    spec, rows = base.trim(base.full_tokenizer(), kept)
    encoder = base.load(base.Packed(base.weights_file()), rows)
    return Network(encoder), Tokenizer.from_str(json.dumps(spec))


def save(network: Network, tokenizer: Tokenizer, folder: Path) -> None:
    """Write weights (float32) and tokenizer to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
    (folder / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})  # last: where it is, the run is finished


def load(folder: Path) -> tuple[Network, Tokenizer]:
    """What ``save`` wrote."""
    state = load_file(folder / WEIGHTS)
    packed = base.Packed(base.weights_file())
    encoder = BertModel(
        base.config(packed, len(state["encoder.embeddings.word_embeddings.weight"])), add_pooling_layer=False
    )
    network = Network(encoder)
    network.load_state_dict(state, strict=True)
    network.train(mode=False)
    return network, Tokenizer.from_file(str(folder / TOKENIZER))


def padded(texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [batch, tokens] padded at the end, and the mask of real tokens."""
    lengths = torch.tensor([len(text) for text in texts])
    ids = nn.utils.rnn.pad_sequence([torch.tensor(text) for text in texts], batch_first=True, padding_value=1)
    return ids, (torch.arange(ids.shape[1])[None, :] < lengths[:, None]).long()
