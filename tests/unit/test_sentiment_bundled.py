"""A directory of our own model: what is whole, what is damaged, what does not fit together."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from listener.errors import ConfigError
from listener.sentiment import bundled
from listener.sentiment.bundled import is_bundled, read_bundled
from listener.sentiment.scorer import check_model
from tests.small_model import HIDDEN, POSITIONS, WINDOW, calibration, reconfigure, save_small_model
from training.heads import OUTPUTS


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "own")


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def faults(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_bundled(folder)
    assert {fault.path for fault in caught.value.faults} == {"scoring.model"}
    return str(caught.value)


def test_a_whole_directory_is_read(model: Path) -> None:
    found = read_bundled(model)
    assert (found.sizes.hidden, found.sizes.positions, found.window, found.outputs) == (HIDDEN, POSITIONS, WINDOW, 17)
    assert (found.heads.risk, found.heads.wish) == (OUTPUTS.index("risk"), OUTPUTS.index("wish"))
    name, _, revision = found.name.partition("@")
    assert (name, len(revision)) == ("listener-small", 12)


def test_the_revision_follows_what_decides(model: Path) -> None:
    before = read_bundled(model).name
    (model / "README.md").write_text("a model card")
    reconfigure(model)
    assert read_bundled(model).name == before
    reconfigure(model, calibration={"default": calibration(shift={"risk": 0.5})})
    assert read_bundled(model).name != before


def test_our_own_format_is_told_from_others(model: Path, tmp_path: Path) -> None:
    assert is_bundled(model)
    reconfigure(model, format="listener/2")
    assert is_bundled(model)
    (model / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    assert not is_bundled(model)
    (model / "config.json").write_bytes(b"\xff")
    assert not is_bundled(model)
    assert not is_bundled(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "model.onnx", "model.safetensors", "tokenizer.json", "SHA256SUMS"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    assert f"lacks {name}" in faults(model)


@pytest.mark.parametrize("name", ["config.json", "model.onnx", "model.safetensors", "tokenizer.json"])
def test_one_changed_byte_is_noticed(model: Path, name: str) -> None:
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if name != "config.json" else content + b" ")
    assert f"{name} is damaged" in faults(model)


def test_checksums_that_leave_a_file_out_are_a_fault(model: Path) -> None:
    lines = (model / "SHA256SUMS").read_text().splitlines()
    (model / "SHA256SUMS").write_text("\n".join(line for line in lines if not line.endswith("model.onnx")))
    assert "does not name model.onnx" in faults(model)


def test_checksums_that_are_none_are_a_fault(model: Path) -> None:
    (model / "SHA256SUMS").write_text("nonsense\n")
    assert "SHA256SUMS cannot be read" in faults(model)


def spoilt(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: reconfigure(folder, **changes)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoilt(format="listener/2"), "reads 'listener/1'"),
        (spoilt(window=None), "window: Field required"),
        (spoilt(window=POSITIONS + 8), "more than the 64 positions"),
        (spoilt(calibration={}), "no default"),
        (spoilt(calibration={"default": {"scale": [1.0], "shift": [0.0]}}), "17 values"),
        (spoilt(calibration={"default": calibration(scale={"risk": None})}), "has a null"),  # type: ignore[dict-item]
        (spoilt(calibration={"default": calibration(shift={"risk": float("inf")})}), "finite"),
        (spoilt(thresholds={"risk": 0.5}), "thresholds lack emotions/anger"),
        (spoilt(thresholds={"risk": 1.5}), "thresholds.risk"),
        (spoilt(abstain={"sentiment": 0.4, "risk": [0.5]}), "abstain.risk"),
        (spoilt(outputs=["sentiment/negative", "hunger"]), "2 values"),
        (lambda folder: (folder / "config.json").write_text("[]"), "valid"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
    ],
)
def test_a_configuration_that_does_not_fit_is_a_fault(model: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(model)
    assert says in faults(model)


def test_an_output_that_we_do_not_know_is_a_fault(model: Path) -> None:
    reconfigure(model, outputs=[*OUTPUTS[:-1], "hunger"], thresholds=dict.fromkeys((*OUTPUTS, "hunger"), 0.5))
    with pytest.raises(ConfigError, match="hunger"):
        read_bundled(model)


def test_a_language_takes_what_it_lacks_from_the_default(model: Path) -> None:
    own = calibration(shift={"risk": 1.5})
    own["scale"][OUTPUTS.index("wish")] = None
    reconfigure(
        model,
        calibration={"default": calibration(scale={"wish": 0.25}), "et": own},
        thresholds=dict.fromkeys(OUTPUTS, 0.5),
    )
    estonian = read_bundled(model).decisions.calibration("et")
    assert estonian.shift[OUTPUTS.index("risk")] == 1.5
    assert estonian.scale[OUTPUTS.index("wish")] == 0.25


def test_check_config_sees_damage_without_loading_the_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both a directory that is named and the one that comes with listener."""
    check_model(model, {})
    monkeypatch.setattr(bundled, "BUNDLED", model)
    check_model(None, {})
    (model / "model.onnx").write_bytes(b"")
    for path in (model, None):
        with pytest.raises(ConfigError, match="damaged"):
            check_model(path, {})


def test_without_its_weights_listener_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout may lack them."""
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path / "model")
    with pytest.raises(ConfigError, match=r"scoring.model"):
        check_model(None, {})


def test_labels_are_not_mapped_for_our_own_model(model: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_model(model, {"LABEL_0": "negative"})
    assert [fault.path for fault in caught.value.faults] == ["scoring.labels"]


def test_the_configuration_is_what_the_exporter_writes(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    assert tuple(config["outputs"]) == OUTPUTS
