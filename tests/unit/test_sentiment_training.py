"""How the network is put together and learns: base encoder, vocabulary, loss, order of rows, resuming."""

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from tests.small_model import HIDDEN, MARK, save_small_model, small_network, small_tokenizer
from training import base, datasets, network, train, vocabulary
from training.datasets import Row, joined, sentiment, targets
from training.heads import OUTPUTS, PLACES
from training.train import Learner, Stage

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost a network of this size more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ----------------------------------------------------------------------------------------------- the base encoder


def test_a_block_of_four_bit_weights_is_decoded_by_hand() -> None:
    """Byte j holds weight j in its low half and weight j + 16 in its high half, each 8 too large, times the scale."""
    block = np.frombuffer(np.float16(-0.5).tobytes() + bytes([0x80 + j for j in range(16)]), np.uint8)
    weights = base.unpack_q4(np.stack([block, block]))
    assert weights.shape == (2, 32)
    assert weights[1, :16].tolist() == [-0.5 * (j - 8) for j in range(16)]
    assert weights[1, 16:].tolist() == [0.0] * 16


def test_a_file_in_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"E5S2" + bytes(100))
    with pytest.raises(ValueError, match="not an E5S1 file of version 1"):
        base.Packed(tmp_path / "weights.bin")


@pytest.mark.parametrize(
    "piece", ["▁tere", "õhtul", "Привет", "ґ", "straße", "2024", "€", "😀", "❤️", "👍🏽", "!?", "ș"]
)
def test_pieces_of_our_scripts_stay(piece: str) -> None:
    assert base.keeps(piece)


@pytest.mark.parametrize("piece", ["日本", "▁مرحبا", "שלום", "ελ", "नम", "aの"])
def test_pieces_of_other_scripts_go(piece: str) -> None:
    assert not base.keeps(piece)


def test_trimming_keeps_order_scores_and_special_tokens() -> None:
    pieces = [
        ["<s>", 0.0],
        ["<unk>", 0.0],
        ["本", -1.0],
        ["a", -2.0],
        ["ж", -3.0],
        ["q", -4.0],
        ["<mask>", 0.0],
    ]
    control = [{"id": place} for place in (0, 1, 6)]
    spec: dict[str, Any] = {"added_tokens": control, "model": {"unk_id": 1, "vocab": pieces}}
    trimmed, rows = base.trim(spec, {4, 3})
    assert rows.tolist() == [0, 1, 3, 4, 6]
    assert trimmed["model"] == {"unk_id": 1, "vocab": [pieces[row] for row in rows]}
    assert [token["id"] for token in trimmed["added_tokens"]] == [0, 1, 4]
    assert [token["id"] for token in spec["added_tokens"]] == [0, 1, 6]


def test_training_is_never_imported_by_the_daemon() -> None:
    """It needs packages that no installation has."""
    package = Path(base.__file__).parents[1] / "listener"
    importers = [
        file.name
        for file in package.rglob("*.py")
        if any(
            line.lstrip().startswith(("import training", "from training"))
            for line in file.read_text("utf-8").splitlines()
        )
    ]
    assert importers == []


# ---------------------------------------------------------------------------------------------------- vocabulary


@pytest.mark.parametrize("piece", [MARK, "a", MARK + "õ", "ж", "7", "€", "!", "😀"])
def test_single_characters_always_stay(piece: str) -> None:
    assert vocabulary.is_single(piece)


@pytest.mark.parametrize("piece", ["ab", MARK + "pakk", "本", "λ", "\u200d"])
def test_other_pieces_must_be_seen(piece: str) -> None:
    assert not vocabulary.is_single(piece)


def test_words_are_looked_for_as_they_stand_in_texts() -> None:
    assert vocabulary.spellings(["õhtu", "заказ"]) == ["õhtu", "Õhtu", "заказ", "Заказ"]


def test_a_piece_that_training_texts_hold_twice_stays_and_all_else_falls_into_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vocabulary, "LANGUAGES", ())
    spec: dict[str, Any] = json.loads(small_tokenizer().to_str())
    chosen = vocabulary.choose(spec, ["pakk oli", "pakk заказ заказ"])
    kept = {spec["model"]["vocab"][place][0] for place in chosen}
    assert {MARK + "pakk", MARK + "заказ", "<s>", "<unk>", "a", "ж", "@", "😀"} <= kept
    assert MARK + "oli" not in kept
    trimmed, _ = base.trim(spec, chosen)
    tokens = Tokenizer.from_str(json.dumps(trimmed)).encode("pakk oli").tokens
    assert tokens == ["<s>", MARK + "pakk", MARK, "o", "l", "i", "</s>"]
    assert vocabulary.coverage(spec, chosen, ["pakk pakk pakk oli"]) == 0.75


# ------------------------------------------------------------------------------------------------ network and loss


def test_texts_are_padded_at_their_end() -> None:
    ids, mask = network.padded([[0, 5, 2], [0, 2]])
    assert ids.tolist() == [[0, 5, 2], [0, 2, 1]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_padding_does_not_change_what_a_text_gets() -> None:
    net, texts = small_network(), [[0, 9, 8, 2], [0, *range(5, 25), 2]]
    with torch.inference_mode():
        together = net(*network.padded(texts))
        alone = torch.cat([net(*network.padded([text])) for text in texts])
    assert together.shape == (2, len(OUTPUTS))
    assert together.numpy() == pytest.approx(alone.numpy(), abs=1e-5)


def truth(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows)


def test_the_loss_of_one_row_by_hand() -> None:
    """Positive, a negative experience, anger without joy, a wish; nothing known of loyalty. The row counts 0.7."""
    logits = torch.zeros(1, len(OUTPUTS))
    logits[0, PLACES["sentiment"]] = torch.tensor([1.0, 0.0, -1.0])
    for name, value in {"risk": 0.5, "emotions/anger": 2.0, "emotions/joy": 1.0, "wish": -3.0}.items():
        logits[0, OUTPUTS.index(name)] = value
    known = joined(sentiment("positive"), targets(risk=1, emotions_anger=1, emotions_joy=0, wish=1))
    total = math.log(math.e + 1 + 1 / math.e)
    smooth = (0.05 / 3, 0.05 / 3, 0.95 + 0.05 / 3)
    sides = -sum(share * (logit - total) for share, logit in zip(smooth, (1.0, 0.0, -1.0), strict=True))
    risk = math.log1p(math.exp(-0.5))
    emotions = (math.log1p(math.exp(-2.0)) + math.log1p(math.exp(1.0))) / 2
    wish = math.log1p(math.exp(3.0))
    found = network.loss_of(logits, truth(known), torch.tensor([0.7]))
    assert found.item() == pytest.approx(0.7 * (sides + risk + emotions + 0.5 * wish), rel=1e-5)


def test_what_is_not_labelled_teaches_nothing() -> None:
    torch.manual_seed(3)
    logits = torch.randn(2, len(OUTPUTS), requires_grad=True)
    network.loss_of(logits, truth(targets(risk=1, emotions_fear=0), targets()), torch.ones(2)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    taught = {OUTPUTS[place] for place in logits.grad[0].nonzero().flatten().tolist()}
    assert taught == {"risk", "emotions/fear"}
    assert not logits.grad[1].any()


def test_an_unlabelled_row_counts_among_the_rows() -> None:
    """The loss is a mean over the batch: two processes share one, and each must count its rows alike."""
    torch.manual_seed(4)
    logits, one = torch.randn(2, len(OUTPUTS)), targets(wish=1)
    alone = network.loss_of(logits[:1], truth(one), torch.ones(1))
    both = network.loss_of(logits, truth(one, targets()), torch.ones(2))
    assert both.item() == pytest.approx(alone.item() / 2)


# -------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("count", [0, 1, train.BATCH, 50 * train.BATCH, 50 * train.BATCH + 1, 7001])
def test_batches_take_every_row_once(count: int) -> None:
    lengths = random.Random(1).choices(range(3, 128), k=count)
    groups = train.batches(lengths, random.Random(2))
    assert sorted(place for group in groups for place in group) == list(range(count))
    assert max(map(len, groups), default=0) <= train.BATCH
    assert groups == train.batches(lengths, random.Random(2))


def test_a_batch_holds_rows_of_like_length_and_the_stretches_keep_their_order() -> None:
    stretch = 50 * train.BATCH
    lengths = random.Random(1).choices(range(100), k=2 * stretch)
    groups = train.batches(lengths, random.Random(2))
    spread = [max(lengths[place] for place in group) - min(lengths[place] for place in group) for group in groups]
    assert max(spread) < 10
    assert {place // stretch for group in groups[:50] for place in group} == {0}


def test_the_rate_rises_then_falls_to_the_floor() -> None:
    stage = Stage(name="any", rows=(), rate=2.0, floor=0.3)
    rates = [train.rate_at(step, 1000, stage) for step in range(1000)]
    assert rates[0] == pytest.approx(2.0 / 60)
    assert rates[29] == pytest.approx(1.0)
    assert max(rates) == rates[60] == 2.0
    assert rates[530] == pytest.approx((2.0 + 0.6) / 2)
    assert rates[999] == pytest.approx(0.6, abs=0.002)
    assert train.rate_at(0, 1, stage) == 2.0


def test_progress_is_told_every_twentieth_step_by_the_first_process(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = train.Progress(0), train.Progress(1)
    for step in range(2 * train.REPORT_EVERY):
        for one in (first, second):
            one.add(float(step >= train.REPORT_EVERY), 100, f"step {step}")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" tokens")[0].rsplit(" ", 1)[0] for line in lines] == [
        "step 19 loss 0.000",
        "step 39 loss 1.000",
    ]


def row(text: str, side: str, risk: float) -> Row:
    known = joined(sentiment(side), targets(risk=risk))
    return Row(text=text, language="et", origin="own", targets=known)


ROWS = (
    row("pakk oli hea", "positive", 0),
    row("pakk oli halb", "negative", 1),
    row("заказ отлично", "positive", 0),
    row("заказ плохо", "negative", 1),
    row("the parcel was great", "positive", 0),
    row("the parcel was broken", "negative", 1),
)


def learner(*, dropout: bool = True) -> Learner:
    return Learner.made(small_network().train(mode=dropout), CPU)


def taught(one: Learner, steps: range) -> list[float]:
    """The losses of ``steps``, each with the dropout of its number."""
    ids, losses = train.encoded(small_tokenizer(), ROWS), []
    for step in steps:
        torch.manual_seed(step)
        losses.append(one.step(ids, ROWS, 1e-3, 1))
        one.average()
    return losses


def same(one: Learner, other: Learner) -> bool:
    first, second = one.state(), other.state()
    return all(
        torch.equal(first[part][name], second[part][name]) for part in ("weights", "mean") for name in first[part]
    )


def test_texts_are_read_as_the_daemon_reads_them() -> None:
    tokenizer = small_tokenizer()
    long = row("pakk " * 500, "neutral", 0)
    short, other, cut = train.encoded(tokenizer, [row("@mari pakk", "neutral", 0), row("@jaan  pakk", "", 0), long])
    assert short == other
    assert len(cut) == train.MAX_TOKENS
    assert len(tokenizer.encode(long.text).ids) > train.MAX_TOKENS


def test_the_network_learns_and_its_word_embeddings_stay() -> None:
    one, before = learner(), small_network().state_dict()
    losses = taught(one, range(40))
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    after = one.net.state_dict()
    frozen = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in frozen if "embeddings" not in name} == set()
    assert "encoder.embeddings.word_embeddings.weight" in frozen
    assert "encoder.embeddings.word_embeddings.weight" not in one.mean


def test_the_mean_of_the_weights_follows_them_slowly() -> None:
    one = learner()
    name = "heads.bias"
    before = one.mean[name].clone()
    taught(one, range(1))
    assert torch.allclose(one.mean[name], 0.99 * before + 0.01 * one.net.heads.bias, atol=1e-6)


def test_a_run_that_goes_on_from_a_checkpoint_ends_the_same_to_the_last_bit(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    whole, fresh = learner(), learner()
    assert train.resumed(fresh, file) == 0
    taught(whole, range(3))
    train.keep(file, {"step": 3, "learner": whole.state()})
    taught(whole, range(3, 6))
    taught(fresh, range(10, 12))  # what it had learnt before is overwritten
    assert train.resumed(fresh, file) == 3
    assert not same(whole, fresh)
    taught(fresh, range(3, 6))
    assert same(whole, fresh)
    assert list(tmp_path.iterdir()) == [file]


def test_a_checkpoint_of_other_rows_is_refused(tmp_path: Path) -> None:
    """After a kill and a change of the data its steps would not be the same ones."""
    plan = [Stage(name="own", rows=ROWS, rate=1e-3, floor=0.0)]
    other = [Stage(name="own", rows=(*ROWS[1:], ROWS[0]), rate=1e-3, floor=0.0)]
    assert len({train.named(plan, 1), train.named(other, 1), train.named(plan, 2), train.named(plan * 2, 1)}) == 4
    file = tmp_path / "checkpoint.pt"
    first = Learner.made(small_network(), CPU, train.named(plan, 1))
    train.keep(file, {"step": 3, "learner": first.state()})
    assert train.resumed(first, file) == 3
    with pytest.raises(SystemExit, match="other rows"):
        train.resumed(Learner.made(small_network(), CPU, train.named(other, 1)), file)


def test_a_stage_writes_checkpoints_and_takes_up_where_the_last_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage of six steps behind one of ten; the checkpoint of its fourth is the last that is written."""
    monkeypatch.setattr(train, "SAVE_EVERY", 7)
    stage, groups = Stage(name="own", rows=ROWS, rate=1e-3, floor=0.0), [[0, 1], [2, 3], [4, 5]] * 2

    def learn(one: Learner, skip: int) -> None:
        settings = {"at": 10, "rank": 0, "shares": 1, "out": tmp_path}
        train.learn(one, stage, small_tokenizer(), groups, skip=skip, **settings)  # type: ignore[arg-type]

    whole, resumed = learner(dropout=False), learner(dropout=False)
    learn(whole, 0)
    done = train.resumed(resumed, tmp_path / "checkpoint.pt")
    assert done == 14
    learn(resumed, done - 10)
    assert same(whole, resumed)


def test_heads_start_from_nothing_and_learn_faster() -> None:
    one = learner()
    body, heads = one.optimizer.param_groups
    assert (body["scale"], heads["scale"]) == (1.0, train.HEAD_RATE)
    assert [tuple(weight.shape) for weight in heads["params"]] == [(len(OUTPUTS), HIDDEN), (len(OUTPUTS),)]
    taught(one, range(1))
    assert heads["lr"] == pytest.approx(10 * body["lr"])


def test_rows_are_only_reordered() -> None:
    mixed = train.shuffled(ROWS * 5, random.Random(1))
    assert mixed != list(ROWS * 5)
    assert sorted(one.text for one in mixed) == sorted(one.text for one in ROWS * 5)


def public_row(text: str, turn: int) -> Row:
    return Row(text=text, language="en", origin=f"sentiment.turn{turn}.en", targets=sentiment("neutral"))


def test_what_was_read_comes_each_time_and_the_other_public_rows_as_they_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = [public_row(f"public {place}", 0) for place in range(30)]
    read = {row.text for row in public[:5]}
    monkeypatch.setattr(datasets, "own", lambda split: list(ROWS) if split == "train" else [])
    monkeypatch.setattr(datasets, "learnt", lambda _folder: public)
    monkeypatch.setattr(datasets, "was_read", lambda row: row.text in read)
    mixed = train.with_ours(tmp_path, 1)
    beside = round(train.PUBLIC_SHARE * len(ROWS))
    size = len(ROWS) + len(read) + beside
    parts = [mixed[start : start + size] for start in range(0, len(mixed), size)]
    assert len(parts) == train.OWN_EPOCHS
    drawn = [{row.text for row in part if row.origin != "own"} - read for part in parts]
    assert all(read <= {row.text for row in part} for part in parts)
    assert {len(some) for some in drawn} == {beside}
    assert len(set().union(*drawn)) > beside
    assert sorted(row.text for row in parts[0] if row.origin == "own") == sorted(row.text for row in ROWS)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_second_time_other_rows_come_and_the_table_of_sets_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(datasets, "public", lambda _folder, _split, *, turn=0: [public_row(f"text {turn}", turn)])
    first, second = train.stage_public(tmp_path, seed), train.stage_again(tmp_path, seed)
    assert {row.text for row in first.rows}.isdisjoint(row.text for row in second.rows)
    known = {row.text for row in datasets.learnt(tmp_path)}
    assert {row.text for row in (*first.rows, *second.rows)} <= known


def test_stages_are_named_as_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "public", lambda _folder, _split, *, turn=0: [public_row("text", turn)])
    assert [make(tmp_path, 1).name for make in train.STAGES.values()] == list(train.STAGES)


def test_training_goes_on_from_a_model_that_ships(tmp_path: Path) -> None:
    """Its int8 weights become floats again: each within half a step of what was exported, its tokenizer the same."""
    net, tokenizer = train.begun(save_small_model(tmp_path / "model"))
    before, after = small_network().state_dict(), net.state_dict()
    assert set(before) == set(after)
    for name, weight in before.items():
        step = weight.abs().amax(dim=-1, keepdim=True) / 127 if weight.ndim == 2 else torch.zeros(1)
        assert bool(((after[name] - weight).abs() <= step / 2 + 1e-6).all()), name
    assert tokenizer.encode("pakk oli hea").ids == small_tokenizer().encode("pakk oli hea").ids
