"""Train the demo's head on cached outputs of the frozen lower layers, and measure the model that a build makes.

The lower layers run once over every text; the upper ones learn low-rank updates, the pooler and the classifier in full.
About 15 minutes of one processor core.

    python -m training.demo_train train --data DIR     # makes demo_head.safetensors anew
    python -m training.demo_train eval --data DIR      # accuracy and macro-F1 of each validation set

DIR holds ``TASK.SET.LANG.jsonl.gz`` with ``text``, ``label``, ``split``.
"""

import argparse
import json
import math
import random
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn.utils import parametrize
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForSequenceClassification

from listener.sentiment.batching import batches
from training import base, demo_data
from training.demo_data import LABELS
from training.demo_model import HEAD, build

SEED = 11
FROZEN_LAYERS = 8
RANK = 16
EPOCHS = 3
BATCH = 32
MAX_TOKENS = 128
DROPOUT = 0.1
SMOOTHING = 0.05
ADAPTER_RATE, HEAD_RATE = 5e-4, 5e-4
ADAPTED = tuple(name for name in base.LAYER_NAMES.values() if not name.endswith("LayerNorm"))

Hidden = NDArray[np.float16]


class LowRank(nn.Module):
    """W + B A, where only A (rank x in) and B (out x rank) learn; B starts at zero."""

    def __init__(self, out_size: int, in_size: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(RANK, in_size) / RANK)
        self.b = nn.Parameter(torch.zeros(out_size, RANK))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The updated weight."""
        return weight + self.b @ self.a


class Upper(nn.Module):
    """The layers above the frozen ones, pooler and classifier, exactly as BertForSequenceClassification has them."""

    def __init__(self, model: BertForSequenceClassification) -> None:
        super().__init__()
        if model.bert.pooler is None:
            raise ValueError("the model has no pooler")
        self.layers = nn.ModuleList(model.bert.encoder.layer[FROZEN_LAYERS:]).requires_grad_(requires_grad=False)
        self.pooler, self.classifier = model.bert.pooler, model.classifier
        self.dropout = nn.Dropout(DROPOUT)
        self.updates: dict[str, LowRank] = {}  # by the name of the weight in the whole model
        for number, layer in enumerate(self.layers, FROZEN_LAYERS):
            for name in ADAPTED:
                linear = layer.get_submodule(name)
                update = LowRank(*linear.get_parameter("weight").shape)
                parametrize.register_parametrization(linear, "weight", update)
                self.updates[f"bert.encoder.layer.{number}.{name}.weight"] = update

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits [batch, 3] of hidden states [batch, tokens, hidden]; ``mask`` is True at real tokens."""
        bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)[:, None, None, :]
        for layer in self.layers:
            hidden = layer(hidden, bias)
        logits: torch.Tensor = self.classifier(self.dropout(self.pooler(hidden)))
        return logits

    def head(self) -> dict[str, torch.Tensor]:
        """What the build adds to the base, by its names in the whole model."""
        found: dict[str, torch.Tensor] = {}
        for name, update in self.updates.items():
            found |= {f"{name}.a": update.a, f"{name}.b": update.b}
        found |= {f"bert.pooler.{name}": weight for name, weight in self.pooler.named_parameters()}
        found |= {f"classifier.{name}": weight for name, weight in self.classifier.named_parameters()}
        return {name: weight.detach().half().contiguous() for name, weight in found.items()}


def fresh() -> tuple[BertForSequenceClassification, Tokenizer]:
    """The base with a new pooler and classifier, and its tokenizer."""
    packed = base.Packed(base.weights_file())
    spec, rows = base.trim(base.full_tokenizer())
    settings = base.config(packed, len(rows))
    settings.num_labels = len(LABELS)
    settings._attn_implementation = "sdpa"  # noqa: SLF001 -- transformers' own way to set it before loading
    model = BertForSequenceClassification(settings)
    model.bert.load_state_dict(base.state(packed, rows), strict=False)
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    tokenizer.enable_truncation(MAX_TOKENS)
    model.train(mode=False)
    return model, tokenizer


def padded(texts: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The texts in one tensor [batch, tokens, ...], padded at the end, and the mask of real tokens."""
    lengths = torch.tensor([len(text) for text in texts])
    together = nn.utils.rnn.pad_sequence(list(texts), batch_first=True, padding_value=1)
    return together, torch.arange(int(lengths.max()))[None, :] < lengths[:, None]


def lower(model: BertForSequenceClassification, ids: Sequence[Sequence[int]]) -> list[Hidden]:
    """What the frozen layers say of each text, [tokens, hidden] each; a text that occurs again is read once."""
    encoder = model.bert.encoder
    layers, encoder.layer = encoder.layer, encoder.layer[:FROZEN_LAYERS]
    distinct = list(dict.fromkeys(map(tuple, ids)))
    found: dict[tuple[int, ...], Hidden] = {}
    with torch.inference_mode():
        for chosen in batches([len(text) for text in distinct], 1024):
            tokens, mask = padded([torch.tensor(distinct[place]) for place in chosen])
            hidden = model.bert(input_ids=tokens, attention_mask=mask.long()).last_hidden_state.half().numpy()
            found |= {distinct[place]: hidden[at, : len(distinct[place])] for at, place in enumerate(chosen)}
    encoder.layer = layers
    return [found[tuple(text)] for text in ids]


def shuffled(lengths: Sequence[int], draw: random.Random) -> list[list[int]]:
    """Batches of like length, in random order, other ones each time."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place] * draw.uniform(0.9, 1.1))
    groups = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    draw.shuffle(groups)
    return groups


def train(folder: Path) -> None:
    """Learn from the rows in ``folder`` and write ``demo_head.safetensors``."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model, tokenizer = fresh()
    rows = demo_data.train(folder)
    hidden = lower(model, [encoding.ids for encoding in tokenizer.encode_batch([row.text for row in rows])])
    labels = torch.tensor([row.label for row in rows])
    print(f"{len(rows)} texts, {sum(map(len, hidden))} tokens", flush=True)
    upper = Upper(model).train()
    adapters = [weight for weight in upper.layers.parameters() if weight.requires_grad]
    heads = [*upper.pooler.parameters(), *upper.classifier.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": adapters, "lr": ADAPTER_RATE}, {"params": heads, "lr": HEAD_RATE}], weight_decay=0.01
    )
    steps = EPOCHS * math.ceil(len(rows) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [ADAPTER_RATE, HEAD_RATE], steps, pct_start=0.06)
    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    draw = random.Random(SEED)
    for epoch in range(EPOCHS):
        total = 0.0
        for chosen in shuffled([len(text) for text in hidden], draw):
            together, mask = padded([torch.from_numpy(hidden[place]).float() for place in chosen])
            loss = loss_of(upper(together, mask), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(adapters + heads, 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        print(f"epoch {epoch + 1}: mean loss {total / len(rows):.4f}", flush=True)
    save_file(upper.head(), HEAD)


def macro_f1(truth: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """The mean F1 over the labels that occur in ``truth``."""
    scores = []
    for label in np.unique(truth):
        hits = np.sum((truth == label) & (said == label))
        scores.append(2 * hits / (np.sum(truth == label) + np.sum(said == label)))
    return float(np.mean(scores))


def evaluate(folder: Path) -> None:
    """Build the model and print, for each validation set: rows, accuracy, macro-F1."""
    torch.set_num_threads(1)
    rows = demo_data.val(folder)
    with tempfile.TemporaryDirectory() as out:
        build(Path(out))
        said = predict(Path(out), [row.text for row in rows])
    by_origin: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, label in zip(rows, said, strict=True):
        by_origin[row.origin].append((row.label, label))
    print(f"{'set':36} {'rows':>5} {'accuracy':>8} {'macro-F1':>8}")
    for origin, pairs in by_origin.items():
        truth, answers = np.array(pairs).T
        print(f"{origin:36} {len(pairs):5} {np.mean(truth == answers):8.3f} {macro_f1(truth, answers):8.3f}")


def predict(path: Path, texts: Sequence[str]) -> list[int]:
    """The most probable label of each text."""
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(path, local_files_only=True, dtype=torch.float32).eval()
    ids = tokenizer(list(texts), truncation=True)["input_ids"]
    said: dict[int, int] = {}
    with torch.inference_mode():
        for chosen in batches([len(text) for text in ids], 1024):
            tokens, mask = padded([torch.tensor(ids[place]) for place in chosen])
            best = model(input_ids=tokens, attention_mask=mask.long()).logits.argmax(dim=1).tolist()
            said |= dict(zip(chosen, best, strict=True))
    return [said[place] for place in range(len(ids))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("train", train), ("eval", evaluate)):
        command = commands.add_parser(name)
        command.add_argument("--data", type=Path, required=True)
        command.set_defaults(run=run)
    arguments = parser.parse_args()
    arguments.run(arguments.data)
