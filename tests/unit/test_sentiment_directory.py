"""What is seen to be wrong with a model directory before any of it is loaded."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from listener.errors import ConfigError
from listener.sentiment.directory import read_directory

CONFIG: dict[str, Any] = {
    "architectures": ["BertForSequenceClassification"],
    "id2label": {"0": "negative", "1": "neutral", "2": "positive"},
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory that looks whole from outside."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def rewrite(folder: Path, **changes: object) -> None:
    """Change keys of config.json; None removes one."""
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))


def faults(folder: Path, labels: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read_directory(folder, labels or {})
    return str(caught.value)


def test_a_whole_directory_is_accepted(model: Path) -> None:
    directory = read_directory(model, {})
    assert directory.weights == (model / "model.safetensors",)
    assert len(directory.heads.sentiment) == 3


def test_an_older_bert_with_a_word_list_is_accepted(model: Path) -> None:
    (model / "tokenizer.json").rename(model / "vocab.txt")
    assert read_directory(model, {}).weights


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def shard_gone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model-1.safetensors").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (pickled, "as pickle (pytorch_model.bin)"),
        (shard_gone, "model-2.safetensors"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json or vocab.txt"),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff{"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "JSON object"),
        (lambda folder: rewrite(folder, architectures=["BertModel"]), "not a sequence classifier"),
        (lambda folder: rewrite(folder, architectures=None), "not a sequence classifier"),
        (lambda folder: rewrite(folder, id2label=None), "LABEL_0"),
        (lambda folder: rewrite(folder, id2label={"a": "negative"}), "no number"),
    ],
)
def test_a_spoilt_directory_is_a_fault_that_says_so(model: Path, spoil: Callable[[Path], object], says: str) -> None:
    spoil(model)
    assert says in faults(model)


def test_a_pickle_is_refused_with_the_way_to_convert_it(model: Path) -> None:
    pickled(model)
    assert "save_pretrained('NEW')" in faults(model)


def test_several_faults_are_said_at_once(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "tokenizer.json").unlink()
    with pytest.raises(ConfigError) as caught:
        read_directory(model, {})
    assert len(caught.value.faults) == 2


def test_shards_are_found_by_their_index(model: Path) -> None:
    shard_gone(model)
    (model / "model-2.safetensors").write_bytes(b"")
    assert [file.name for file in read_directory(model, {}).weights] == ["model-1.safetensors", "model-2.safetensors"]


def test_shards_outside_the_directory_are_not_read(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model.parent / "secret").write_bytes(b"")
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../secret"}}))
    assert "names shards that are not there: ['secret']" in faults(model)


def test_the_name_carries_a_revision_of_what_decides_the_answers(model: Path) -> None:
    """Weights, configuration, tokenizer and the mapping of labels each change it; a read-me does not."""
    names = [read_directory(model, {}).name()]
    assert names[0].startswith("model@")
    assert len(names[0]) == len("model@") + 12
    (model / "README.md").write_text("notes")
    assert read_directory(model, {}).name() == names[0]
    names.append(read_directory(model, {"neutral": "positive"}).name())
    (model / "model.safetensors").write_bytes(b"others")
    names.append(read_directory(model, {}).name())
    (model / "tokenizer.json").write_text("{ }")
    names.append(read_directory(model, {}).name())
    rewrite(model, hidden_size=16)
    names.append(read_directory(model, {}).name())
    assert len(set(names)) == 5


def test_checking_a_model_does_not_import_its_libraries() -> None:
    """They cost seconds and hundreds of megabytes, which ``listener --help`` and ``check-config`` must not pay."""
    code = (
        "import sys, listener.sentiment.scorer, listener.sentiment.output;"
        "print(sorted({'torch', 'transformers', 'numpy', 'tokenizers'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
