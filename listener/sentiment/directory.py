"""What lies in a model directory, read without the model's libraries: cheap enough for ``listener check-config``."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listener.errors import ConfigError, Fault
from listener.sentiment.labels import Heads, read_heads

CONFIG = "config.json"
WEIGHTS, SHARDS = "model.safetensors", "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "vocab.txt")  # any fast tokenizer; the word list of an older BERT
REVISED = (CONFIG, SHARDS, *TOKENIZERS, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
TO_SAFETENSORS = (
    'convert it where you trust the file: python -c "from transformers import AutoModelForSequenceClassification as M; '
    "M.from_pretrained('OLD').save_pretrained('NEW')\", then copy the tokenizer's files"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDirectory:
    """A Hugging Face sequence-classification directory that we can read; ``labels`` is as configured."""

    path: Path
    labels: Mapping[str, str]
    heads: Heads
    weights: tuple[Path, ...]

    def name(self) -> str:
        """``name@revision``: the folder's name, and 12 hex digits over all files that decide what the model says.

        The mapping of labels belongs to them. Reads the weights once, without holding them.
        """
        digest = hashlib.sha256(json.dumps(sorted(self.labels.items())).encode())
        for file in (*self.weights, *(self.path / name for name in REVISED)):
            if file.is_file():
                with file.open("rb") as opened:
                    digest.update(file.name.encode() + hashlib.file_digest(opened, "sha256").digest())
        return f"{self.path.absolute().name}@{digest.hexdigest()[:12]}"


def read_directory(path: Path, labels: Mapping[str, str]) -> ModelDirectory:
    """Check the directory ``path`` and give its outputs their heads.

    Raises ConfigError: no such directory, no classifier, weights as pickle (which run code when loaded), no tokenizer,
    labels without a meaning.
    """
    if not path.is_dir():
        raise ConfigError(
            [_fault(f"{path} is not a directory", f"name a folder with {CONFIG}, {WEIGHTS}, {TOKENIZERS[0]}")]
        )
    config = _config(path / CONFIG)
    faults = []
    if not any(str(name).endswith("ForSequenceClassification") for name in config.get("architectures") or ()):
        problem = f"{path} is not a sequence classifier: its architectures are {config.get('architectures')}"
        faults.append(_fault(problem, "name a model with an architecture ...ForSequenceClassification"))
    weights = _weights(path, faults)
    if not any((path / name).is_file() for name in TOKENIZERS):
        fix = "save it there: AutoTokenizer.from_pretrained('MODEL').save_pretrained('DIRECTORY')"
        faults.append(_fault(f"{path} has no {' or '.join(TOKENIZERS)}", fix))
    if faults:
        raise ConfigError(faults)
    return ModelDirectory(path=path, labels=dict(labels), heads=read_heads(_id2label(config), labels), weights=weights)


def _fault(problem: str, fix: str) -> Fault:
    return Fault(path="scoring.model", problem=problem, fix=fix)


def _json(file: Path) -> dict[str, Any]:
    """The JSON object in ``file``; ConfigError when there is none."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError([_fault(f"{file} cannot be read: {error}", "name a complete model directory")]) from error
    if not isinstance(content, dict):
        raise ConfigError([_fault(f"{file} does not hold a JSON object", "name a complete model directory")])
    return content


def _config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ConfigError([_fault(f"{file.parent} has no {CONFIG}", "name the folder that save_pretrained wrote")])
    return _json(file)


def _id2label(config: Mapping[str, Any]) -> dict[int, str]:
    """The outputs' names; Hugging Face's defaults where the configuration has none."""
    named = config.get("id2label")
    if not isinstance(named, dict):
        return {place: f"LABEL_{place}" for place in range(2)}
    try:
        return {int(place): str(label) for place, label in named.items()}
    except ValueError as error:
        raise ConfigError([_fault(f"id2label in {CONFIG} has a key that is no number", "correct it")]) from error


def _weights(path: Path, faults: list[Fault]) -> tuple[Path, ...]:
    """The weight files: one, or the shards that an index lists; a fault where there are none."""
    if (path / WEIGHTS).is_file():
        return (path / WEIGHTS,)
    if (path / SHARDS).is_file():
        shards = _json(path / SHARDS).get("weight_map")
        names = sorted({Path(str(name)).name for name in shards.values()}) if isinstance(shards, dict) else []
        missing = [name for name in names if not (path / name).is_file()]
        if names and not missing:
            return tuple(path / name for name in names)
        faults.append(_fault(f"{path / SHARDS} names shards that are not there: {missing}", "copy the whole model"))
        return ()
    pickled = sorted(file.name for pattern in PICKLES for file in path.glob(pattern))
    if pickled:
        problem = f"{path} has its weights as pickle ({', '.join(pickled)}), which can run code when it is loaded"
        faults.append(_fault(problem, TO_SAFETENSORS))
    else:
        faults.append(_fault(f"{path} has no {WEIGHTS}", "copy the weights there"))
    return ()
