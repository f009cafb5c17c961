"""How the demo's model is put together: decoding, trimming, merging, drawing training rows, and our own sentences."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from training import base, demo_model
from training.demo_data import LABELS, OWN, Row, draw, own, sentiment_of


def test_a_block_of_four_bit_weights_is_decoded_by_hand() -> None:
    """Byte j holds weight j in its low half and weight j + 16 in its high half, each 8 too large, times the scale."""
    block = np.frombuffer(np.float16(-0.5).tobytes() + bytes([0x80 + j for j in range(16)]), np.uint8)
    weights = base.unpack_q4(np.stack([block, block]))
    assert weights.shape == (2, 32)
    assert weights[1, :16].tolist() == [-0.5 * (j - 8) for j in range(16)]
    assert weights[1, 16:].tolist() == [0.0] * 16


@pytest.mark.parametrize(
    "piece", ["▁tere", "õhtul", "Привет", "ґ", "straße", "2024", "€", "😀", "❤️", "👍🏽", "!?", "ș"]
)
def test_pieces_of_our_scripts_stay(piece: str) -> None:
    assert base.keeps(piece)


@pytest.mark.parametrize("piece", ["日本", "▁مرحبا", "שלום", "ελ", "नम", "aの"])
def test_pieces_of_other_scripts_go(piece: str) -> None:
    assert not base.keeps(piece)


def test_trimming_keeps_order_scores_and_special_tokens() -> None:
    vocabulary = [["<s>", 0.0], ["<unk>", 0.0], ["本", -1.0], ["a", -2.0], ["ж", -3.0], ["<mask>", 0.0]]
    spec = {"added_tokens": [{"id": place} for place in (0, 1, 5)], "model": {"unk_id": 1, "vocab": vocabulary}}
    trimmed, rows = base.trim(spec)
    assert rows.tolist() == [0, 1, 3, 4, 5]
    assert trimmed["model"] == {"unk_id": 1, "vocab": [vocabulary[row] for row in rows]}
    assert [token["id"] for token in trimmed["added_tokens"]] == [0, 1, 4]


def test_low_rank_updates_are_added_and_own_tensors_are_taken() -> None:
    weight, a, b = torch.ones(2, 3), torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[1.0], [-1.0]])
    head = {"bert.x.weight.a": a, "bert.x.weight.b": b, "classifier.bias": torch.ones(3).half()}
    merged = demo_model.merge({"x.weight": weight, "y.bias": torch.zeros(1)}, head)
    assert merged["bert.x.weight"].tolist() == [[2.0, 1.0, 3.0], [0.0, 1.0, -1.0]]
    assert merged["classifier.bias"].dtype is torch.float32
    assert set(merged) == {"bert.x.weight", "bert.y.bias", "classifier.bias"}


def test_a_build_counts_as_complete_only_byte_for_byte(tmp_path: Path) -> None:
    made_of = {"head": "1"}
    assert not demo_model.complete(tmp_path, made_of)
    (tmp_path / "model").write_bytes(b"weights")
    stamp = {"inputs": made_of, "files": {"model": demo_model.checksum(tmp_path / "model")}}
    (tmp_path / demo_model.STAMP).write_text(json.dumps(stamp))
    assert demo_model.complete(tmp_path, made_of)
    assert not demo_model.complete(tmp_path, {"head": "2"})
    (tmp_path / "model").write_bytes(b"cut")
    assert not demo_model.complete(tmp_path, made_of)
    (tmp_path / "model").unlink()
    assert not demo_model.complete(tmp_path, made_of)


def test_a_draw_is_even_over_labels_and_always_the_same() -> None:
    rows = [
        Row(text=f"{label} {place}", label=label, origin="x")
        for label, size in enumerate((5, 100, 40))
        for place in range(size)
    ]
    drawn = draw(rows, 65)
    assert Counter(row.label for row in drawn) == {0: 5, 1: 30, 2: 30}
    assert draw(reversed(rows), 65) == drawn


@pytest.mark.parametrize(
    ("label", "sentiment"),
    [
        ("positive", "positive"),
        ([], "neutral"),
        (["joy", "surprise"], "positive"),
        (["anger"], "negative"),
        (["joy", "sadness"], None),
        (["surprise"], None),
    ],
)
def test_emotions_amount_to_a_sentiment_only_where_they_agree(label: str | list[str], sentiment: str | None) -> None:
    assert sentiment_of(label) == sentiment


def test_our_own_sentences_are_balanced_distinct_and_in_two_passes() -> None:
    lines = [json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines()]
    assert len(lines) >= 250
    assert len({line["text"].casefold() for line in lines}) == len(lines)
    shares = Counter((line["lang"], line["label"]) for line in lines)
    assert set(shares) == {(lang, label) for lang in ("et", "en", "ru") for label in LABELS}
    assert min(shares.values()) > 0.25 * len(lines) / 3
    assert len(own(1)) > len(own(2)) > 60


def test_training_is_never_imported_by_the_daemon() -> None:
    """It needs packages that only the demo installs."""
    package = Path(base.__file__).parents[1] / "listener"
    importers = [
        file.name
        for file in package.rglob("*.py")
        if any(line.lstrip().startswith(("import training", "from training")) for line in file.read_text().splitlines())
    ]
    assert importers == []
