"""From a network to the files that ship: quantised weights, the graph over them, calibration, and the figures."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from listener.sentiment import engine_onnx
from listener.sentiment.bundled import read_bundled
from listener.sentiment.engine_onnx import OnnxScorer
from tests.small_model import WORDS, calibration, reconfigure, save_small_model, small_network, small_tokenizer
from training import calibrate, datasets, evaluate, export, frozen, heads, make, network, own, reading
from training.datasets import Row, joined, sentiment, targets
from training.evaluate import Held, Reader
from training.heads import OUTPUTS, PLACES, SENTIMENTS

Array = NDArray[np.float64]
FILMS, FEELINGS = "sentiment.xed-derived.et", "emotion.goemotions.en"
SIDES, RISK = PLACES["sentiment"], OUTPUTS.index("risk")
TEXTS = [" ".join(WORDS[place % 19] for place in range(start, start + 1 + start % 23)) for start in range(40)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "own")


def row(text: str, *known: tuple[float, ...], origin: str = "own", language: str = "en") -> Row:
    found = targets()
    for one in known:
        found = joined(found, one)
    return Row(text=text, language=language, origin=origin, targets=found)


def softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Array = raised / raised.sum(axis=1, keepdims=True)
    return found


def sigmoid(logits: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-logits))
    return found


# ------------------------------------------------------------------------------------------------------ the export


def test_a_quantised_weight_is_at_most_half_a_step_off() -> None:
    weight = np.random.default_rng(1).normal(size=(40, 64)).astype(np.float32) * np.logspace(-6, 3, 40)[:, None]
    weight = np.vstack([weight, np.zeros((1, 64))]).astype(np.float32)
    levels, scale = export.quantised(weight)
    assert (str(levels.dtype), str(scale.dtype), scale.shape) == ("int8", "float32", (41,))
    assert (np.abs(levels[:40].astype(int)).max(axis=1) == 127).all()
    assert (np.abs(levels * scale[:, None] - weight) <= scale[:, None] * 0.5001).all()
    assert not levels[40].any()


def test_the_graph_points_at_the_bytes_of_the_weights(saved: Path) -> None:
    content, places = (saved / export.WEIGHTS).read_bytes(), export.places_in(saved / export.WEIGHTS)
    weights = load_file(saved / export.WEIGHTS)
    assert set(places) == set(weights)
    for name, (offset, length) in places.items():
        assert content[offset : offset + length] == weights[name].tobytes(), name
    matrices = {name for name in weights if weights[name].ndim == 2 and name.startswith("layers")}
    assert matrices
    assert {weights[name].dtype for name in matrices} == {np.dtype(np.int8)}


def test_the_checksums_are_over_what_is_there(tmp_path: Path) -> None:
    for name in (export.CONFIG, export.WEIGHTS, "NOTICE", "other"):
        (tmp_path / name).write_text(name)
    export.seal(tmp_path)
    found = dict(line.split("  ")[::-1] for line in (tmp_path / export.SUMS).read_text().splitlines())
    assert found == {
        name: hashlib.sha256(name.encode()).hexdigest() for name in (export.WEIGHTS, export.CONFIG, "NOTICE")
    }


def test_the_same_weights_make_the_same_files(saved: Path, tmp_path: Path) -> None:
    again = save_small_model(tmp_path / "again")
    assert {file.name: file.read_bytes() for file in again.iterdir()} == {
        file.name: file.read_bytes() for file in saved.iterdir()
    }


def test_the_graph_says_what_the_network_says(saved: Path) -> None:
    """Up to what bytes can tell: a few hundredths of the spread of each output."""
    net, exact = small_network(), np.zeros((len(TEXTS), len(OUTPUTS)), dtype=np.float32)
    pooled = np.zeros((len(TEXTS), net.encoder.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for places, ids, mask in reading.grouped(reading.encoded(small_tokenizer(), TEXTS)):
            exact[places] = net(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
            pooled[places] = net.pooled(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    said, embedded = reading.read(saved, TEXTS), reading.read(saved, TEXTS, "embedding")
    assert said.shape == exact.shape
    assert (np.abs(said - exact).mean(axis=0) < 0.08 * exact.std(axis=0)).all()
    assert np.abs(embedded - pooled).max() < 0.05 * pooled.std()


def test_what_a_text_gets_does_not_depend_on_others(saved: Path) -> None:
    together = reading.read(saved, TEXTS)
    assert np.array_equal(reading.read(saved, TEXTS[::-1])[::-1], together)
    assert np.array_equal(np.concatenate([reading.read(saved, [text]) for text in TEXTS[:12]]), together[:12])


@pytest.mark.parametrize("lengths", [[3], [8, 9, 1, 8], [*range(1, 190), 300]])
def test_texts_are_read_in_batches_of_one_length(lengths: list[int]) -> None:
    ids = [[7] * length for length in lengths]
    seen = []
    for places, block, mask in reading.grouped(ids):
        assert block.shape == mask.shape
        assert block.shape[1] % engine_onnx.STEP == 0
        assert block.size <= max(reading.TOKENS, block.shape[1])
        assert mask.sum(axis=1).tolist() == [lengths[place] for place in places]
        assert (block == np.where(mask, 7, 1)).all()
        seen += places
    assert sorted(seen) == list(range(len(lengths)))


# ----------------------------------------------------------------------------------------------------- calibration


def binary(scale: float, shift: float, count: int) -> tuple[Array, Array]:
    """Logits that are right once they are scaled and shifted, and what is true."""
    draw = np.random.default_rng(5)
    logits = draw.normal(scale=2.0, size=count)
    return logits, (draw.random(count) < sigmoid(logits * scale + shift)).astype(float)


@pytest.mark.parametrize(("scale", "shift"), [(0.5, -1.0), (1.0, 0.0), (2.0, 0.7)])
def test_a_known_scale_and_shift_are_found(scale: float, shift: float) -> None:
    logits, truth = binary(scale, shift, 20_000)
    found = calibrate.fit_binary(logits, truth, np.ones(20_000), (1.0, 0.0))
    assert found == pytest.approx((scale, shift), abs=0.08)


def test_few_texts_hardly_move_what_holds_for_all() -> None:
    logits, truth = binary(3.0, 2.0, 4)
    assert calibrate.fit_binary(logits, truth, np.ones(4), (1.0, 0.0)) == pytest.approx((1.0, 0.0), abs=0.25)


def sides(count: int) -> tuple[Array, Array]:
    """Logits that are twice too sure and shifted, and what is true."""
    draw = np.random.default_rng(6)
    logits = draw.normal(scale=3.0, size=(count, 3))
    shares = softmax(0.5 * logits + np.array([0.6, -0.4, 0.0])).cumsum(axis=1)
    return logits, np.eye(3)[(draw.random((count, 1)) > shares[:, :2]).sum(axis=1)]


def test_the_temperature_of_sentiment_is_found_and_makes_texts_likelier() -> None:
    logits, truth = sides(20_000)
    scale, shift = calibrate.fit_sentiment(logits, truth, np.ones(20_000), (1.0, np.zeros(3)))
    assert (scale, *shift) == pytest.approx((0.5, 0.6, -0.4, 0.0), abs=0.06)
    before, after = (-np.log((softmax(one) * truth).sum(axis=1)).mean() for one in (logits, logits * scale + shift))
    assert after < 0.9 * before


def test_probabilities_are_calibrated_by_language() -> None:
    logits = np.random.default_rng(7).normal(size=(3, len(OUTPUTS)))
    of = {"default": calibration(shift={"risk": 1.0}), "et": calibration(scale={"risk": 2.0})}
    said = calibrate.probabilities(logits, of, ["en", "et", "fi"])
    assert said[:, SIDES].sum(axis=1) == pytest.approx(np.ones(3))
    assert said[:, SIDES] == pytest.approx(softmax(logits[:, SIDES]))
    risk = logits[:, RISK]
    assert said[:, RISK] == pytest.approx(sigmoid(np.array([risk[0] + 1, 2 * risk[1], risk[2] + 1])))
    assert said[:, RISK + 1 :] == pytest.approx(sigmoid(logits[:, RISK + 1 :]))


@pytest.mark.parametrize("true", [20, 50, 77])
def test_as_many_texts_pass_as_are_true(true: int) -> None:
    draw = np.random.default_rng(true)
    said, truth = draw.permutation(100) / 100 + 0.005, draw.permutation(np.arange(100) < true).astype(float)
    edge = calibrate.threshold(said, truth, np.full(100, 3.0))
    assert (said >= edge).sum() == true


def test_a_threshold_is_never_extreme() -> None:
    said = np.linspace(0.01, 0.99, 99)
    assert calibrate.threshold(said, np.ones(99), np.ones(99)) == 0.15
    assert calibrate.threshold(said, (said > 0.95).astype(float), np.ones(99)) == 0.85


def mix() -> tuple[Array, list[Row]]:
    """Logits that are calibrated but for English; few Finnish texts; a public set that knows only sentiment."""
    draw = np.random.default_rng(8)
    rows, logits = [], draw.normal(scale=1.5, size=(1420, len(OUTPUTS)))
    languages = ["et"] * 500 + ["en"] * 500 + ["fi"] * 20 + ["et"] * 400
    for place, language in enumerate(languages):
        right = logits[place] * (0.4 if language == "en" else 1.0)
        side = sentiment(SENTIMENTS[draw.choice(3, p=softmax(right[None, SIDES])[0])])
        known = (right.size - 3) * [math.nan] if place >= 1020 else draw.random(right.size - 3) < sigmoid(right[3:])
        rows.append(
            Row(
                text=f"text {place}",
                language=language,
                origin="own" if place < 1020 else FILMS,
                targets=(*side[:3], *map(float, known)),
            )
        )
    return logits, rows


def test_calibration_finds_what_differs_and_its_labels_are_counted_right(tmp_path: Path) -> None:
    logits, rows = mix()
    decisions = calibrate.decide(logits, rows, [one.language for one in rows])
    found = decisions["calibration"]
    assert set(found) == {"default", "en", "et"}
    assert found["en"]["scale"][RISK] == pytest.approx(0.4, abs=0.15)
    assert found["et"]["scale"][RISK] == pytest.approx(1.0, abs=0.25)
    assert found["en"]["scale"][0] == pytest.approx(0.4, abs=0.15)
    ours = np.array([one.origin == "own" for one in rows])
    said = calibrate.probabilities(logits, found, [one.language for one in rows])
    truth = np.array([one.targets for one in rows])
    for name, edge in decisions["thresholds"].items():
        place = OUTPUTS.index(name)
        assert (said[ours, place] >= edge).sum() == pytest.approx(truth[ours, place].sum(), abs=4), name
    read = read_bundled(save_small_model(tmp_path / "own", **decisions)).decisions
    assert read.calibration("et").scale == tuple(found["et"]["scale"])
    assert read.calibration("fi").shift == tuple(found["default"]["shift"])
    assert read.thresholds == decisions["thresholds"]
    assert set(read.thresholds) == set(OUTPUTS[3:])


def test_texts_whose_language_nobody_can_tell_have_no_calibration_of_their_own() -> None:
    logits, rows = mix()
    untold = ["" if one.language == "en" else one.language for one in rows]
    assert set(calibrate.decide(logits, rows, untold)["calibration"]) == {"default", "et"}


def test_a_text_is_calibrated_as_what_the_daemon_takes_it_for() -> None:
    texts = ["Pakk jõudis kohale nädal aega hiljem ja oli lisaks veel katki", "Ok"]
    assert calibrate.spoken([row(text) for text in texts]) == ["et", ""]


# ----------------------------------------------------------------------------------------------------- the figures


def reader(said: Array, **thresholds: float) -> Reader:
    return Reader(name="any", said=said, thresholds=thresholds)


def test_a_set_of_two_sentiments_is_not_offered_the_third() -> None:
    said = np.zeros((3, len(OUTPUTS)))
    said[:, SIDES] = [[0.3, 0.6, 0.1], [0.1, 0.7, 0.2], [0.3, 0.4, 0.3]]
    two = np.array([sentiment(name) for name in ("negative", "positive", "negative")])
    assert evaluate.sides(two, said) == ([0, 2, 0], [0, 2, 0])
    three = np.array([sentiment(name) for name in ("negative", "positive", "neutral")])
    assert evaluate.sides(three, said) == ([0, 2, 1], [1, 1, 1])


def test_sentiment_and_outputs_are_measured_on_what_was_labelled() -> None:
    rows = [
        row("a", sentiment("negative"), targets(risk=1)),
        row("b", sentiment("positive"), targets(risk=0)),
        row("c"),
    ]
    held, said = Held(rows=rows), np.full((3, len(OUTPUTS)), 0.4)
    said[:, SIDES] = [[0.8, 0.1, 0.1], [0.6, 0.1, 0.3], [0, 1, 0]]
    everything = np.ones(3, dtype=bool)
    assert evaluate.sentiment_f1(held, reader(said), everything) == pytest.approx((100 / 3, 50))
    assert evaluate.binary_f1(held, reader(said, risk=0.4), everything, "risk") == pytest.approx((100 / 3, 200 / 3))
    assert evaluate.binary_f1(held, reader(said), everything, "risk") == pytest.approx((100 / 3, 0))


def test_each_emotion_has_the_threshold_that_suits_it_on_the_other_half() -> None:
    """Anger is told apart far below one half; joy not at all, so that all texts are said to be; fear is too rare."""
    rows, said = [], np.full((400, len(OUTPUTS)), 0.5)
    for place in range(400):
        truth = {"anger": place % 4 == 0, "joy": place % 3 == 0, "fear": place == 0}
        known = targets(**{f"emotions_{name}": float(true) for name, true in truth.items()})
        rows.append(row(f"text {place}", known, origin="emotion.x.en" if place < 300 else "emotion.y.en"))
        said[place, OUTPUTS.index("emotions/anger")] = 0.2 if truth["anger"] else 0.1
    measured = [place for place in range(300) if datasets.half(f"text {place}", 4) % 2 == 1]
    joy = sum(place % 3 == 0 for place in measured) / len(measured)
    found = evaluate.emotions_f1(Held(rows=rows), reader(said), "emotion.x.en")
    assert found == pytest.approx((100 + 100 * 2 * joy / (1 + joy)) / 2)


def test_no_set_outweighs_the_others_in_the_calibration_error() -> None:
    rows = [row(f"{place}", origin="x" if place % 2 else "own") for place in range(1000)]
    held, everything = Held(rows=rows), np.ones(1000, dtype=bool)
    kept = evaluate.capped(held, everything)
    assert kept[::2].all()
    assert kept[1::2].tolist() == [True] * calibrate.PER_SET + [False] * (500 - calibrate.PER_SET)
    late = everything.copy()
    late[:500] = False
    assert evaluate.capped(held, late).tolist() == late.tolist()


def test_calibration_error_is_measured_on_what_calibration_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own held-out mentions, and half of each set that calibration is fitted on; other tiers it never saw."""
    sets = tuple(datasets.PublicSet(name=tier, read=datasets.read_sentiment, tier=tier) for tier in "AB")
    monkeypatch.setattr(datasets, "PUBLIC", sets)
    texts = [f"text {place}" for place in range(50)]
    rows = [row(text, origin=origin) for origin in ("A", "B", "own") for text in texts]
    halves = [datasets.half(text) == 1 for text in texts]
    assert Held(rows=rows).unseen.tolist() == [*halves, *[False] * 50, *[True] * 50]


def test_errors_of_calibration_by_hand() -> None:
    """Four texts of certainty 0.9, one right; the risk of all is said to be 0.3 and one has it."""
    sides = ("negative", "neutral", "positive", "neutral")
    rows = [row(side, sentiment(side), targets(risk=side == "negative")) for side in sides]
    said = np.full((4, len(OUTPUTS)), 0.3)
    said[:, SIDES] = [0.9, 0.05, 0.05]
    held, everything = Held(rows=rows), np.ones(4, dtype=bool)
    assert evaluate.error(*evaluate.sentiment_sure(held, reader(said), everything)) == pytest.approx(65)
    assert evaluate.error(*evaluate.risk_sure(held, reader(said), everything)) == pytest.approx(5)


def test_few_texts_err_by_chance_and_many_hardly() -> None:
    """One text of certainty 0.5 is always 50 points off."""
    assert evaluate.error_by_chance(np.full(1, 0.5)) == pytest.approx((50, 50))
    few, many = (evaluate.error_by_chance(np.linspace(0.3, 1, count), draws=50) for count in (100, 10_000))
    assert many[0] < 2 < few[0] < few[1] < 20


def test_the_sentiment_that_a_set_does_not_know_is_no_error_of_calibration() -> None:
    """Without the neutral the said are 0.75 and 0.25, and three in four are right."""
    rows = [row("a", sentiment("negative"), origin=FILMS) for _ in range(3)] + [
        row("b", sentiment("positive"), origin=FILMS)
    ]
    said = np.full((4, len(OUTPUTS)), 0.3)
    said[:, SIDES] = [0.3, 0.6, 0.1]
    held, everything = Held(rows=rows), np.ones(4, dtype=bool)
    assert evaluate.error(*evaluate.sentiment_sure(held, reader(said), everything)) == pytest.approx(0)
    assert said[:, SIDES].tolist() == [[0.3, 0.6, 0.1]] * 4


def test_every_line_of_the_table_is_a_number() -> None:
    logits, rows = mix()
    emotional = [row(f"text {place}", targets(emotions_joy=float(place % 2)), origin=FEELINGS) for place in range(60)]
    held = Held(rows=[*rows, *emotional])
    said = calibrate.probabilities(
        np.concatenate([logits, logits[:60]]), export.identity(), [row.language for row in held.rows]
    )
    table = {name: (count, measure(reader(said))) for name, count, _, measure in evaluate.lines(held)}
    assert table["own et: sentiment"][0] == 500
    assert table[FILMS][0] == 400
    assert {FEELINGS, "own fi: wish", "ECE risk et, times 100", "ECE sentiment en, times 100"} <= set(table)
    assert "ECE risk fi, times 100" not in table
    absent = {name for name, (count, _) in table.items() if count == 0}
    assert all(0 <= value <= 100 for name, (_, value) in table.items() if name not in absent)


def test_a_set_of_two_sentiments_has_no_say_on_where_the_third_begins() -> None:
    sides = ["negative", "positive"] * 20
    rows = [row("film", joined(sentiment(side), targets(risk=0)), origin=FILMS) for side in sides]
    rows += [row("mention", sentiment(side)) for side in heads.SENTIMENTS * 3]
    rows += [row("no sentiment", targets(risk=1), origin=FEELINGS)]
    truth = np.array([one.targets for one in rows])
    found = calibrate.three_sided(rows, truth)
    assert np.isnan(found[:40, SIDES]).all()
    assert (found[:40, RISK] == 0).all()
    assert np.array_equal(found[40:], truth[40:], equal_nan=True)
    assert not np.isnan(truth[:40, SIDES]).any()


def test_an_author_who_wrote_more_complaints_than_there_are_weighs_less_on_them() -> None:
    """Six of eight mentions tell of trouble where usually one in four does; then a share of 0.25 passes."""
    risks = [1.0] * 6 + [0.0] * 2
    rows = [row(f"{place}", joined(sentiment("negative"), targets(risk=risk))) for place, risk in enumerate(risks)]
    rows.append(row("film", targets(risk=1), origin=FILMS))
    truth = np.array([one.targets for one in rows])
    found = calibrate.weights(rows, truth, {"risk": 0.25})
    weighed = found[:8, RISK]
    assert weighed[:6].sum() / weighed.sum() == pytest.approx(0.25)
    assert weighed.sum() == pytest.approx(8)
    assert found[8, RISK] == rows[8].weight
    assert (found[:8, SIDES] == 1).all()
    assert np.array_equal(calibrate.weights(rows, truth, {}), np.ones((9, len(OUTPUTS))))


def test_usual_shares_are_those_of_the_authors_near_to_the_guidelines() -> None:
    shares = calibrate.usual_shares()
    assert list(shares) == list(OUTPUTS)
    assert sum(shares[f"sentiment/{side}"] for side in heads.SENTIMENTS) == pytest.approx(1)
    told = [mention.settled.experience for mention in own.mentions() if mention.author in own.USUAL]
    assert shares["risk"] == pytest.approx(sum(told) / len(told))


def test_what_is_measured_is_what_the_daemon_says(saved: Path, tmp_path: Path) -> None:
    folder = save_small_model(tmp_path / "own", calibration={"default": calibration(scale={"risk": 0.7})})
    held = Held(rows=[row(text) for text in TEXTS])
    found = evaluate.reader_of("ships", folder, held)
    heard = OnnxScorer(read_bundled(folder)).score(TEXTS)
    assert found.said[:, RISK] == pytest.approx(np.array([one.risk for one in heard]), abs=1e-6)
    assert found.said[:, 0] == pytest.approx(np.array([one.probabilities.negative for one in heard]), abs=1e-6)
    assert found.thresholds == json.loads((saved / export.CONFIG).read_text())["thresholds"]


def test_logits_are_read_once_for_the_same_weights(tmp_path: Path) -> None:
    folder = save_small_model(tmp_path / "own")
    held = Held(rows=[row(text) for text in TEXTS[:5]])
    logits = evaluate.kept_logits(folder, held)
    graph = (folder / export.GRAPH).read_bytes()
    (folder / export.GRAPH).unlink()
    reconfigure(folder, thresholds={})
    assert np.array_equal(evaluate.kept_logits(folder, held), logits)
    (folder / export.GRAPH).write_bytes(graph)
    fewer = Held(rows=held.rows[:3])
    assert np.array_equal(evaluate.kept_logits(folder, fewer), logits[:3])
    other = Held(rows=[row(TEXTS[9]), *held.rows[1:3]])
    assert not np.array_equal(evaluate.kept_logits(folder, other)[0], logits[0])


def test_what_the_frozen_encoder_said_of_other_rows_is_refused(tmp_path: Path) -> None:
    rows = [row(text) for text in TEXTS[:3]]
    said = np.full((3, len(OUTPUTS)), 0.25)
    np.savez(tmp_path / "frozen.npz", said=said, digest=frozen.digest_of(rows))
    assert np.array_equal(evaluate.frozen_reader(tmp_path / "frozen.npz", Held(rows=rows)).said, said)
    with pytest.raises(SystemExit, match="run training"):
        evaluate.frozen_reader(tmp_path / "frozen.npz", Held(rows=rows[::-1]))


def test_labels_of_two_readers_can_be_compared() -> None:
    said = np.full((2, len(OUTPUTS)), 0.1)
    said[0, SIDES], said[1, SIDES], said[1, RISK] = [0.2, 0.2, 0.6], [0.5, 0.3, 0.2], 0.5
    found = evaluate.labelled(reader(said))
    assert found.shape == (2, len(OUTPUTS) - 2)
    assert found[:, 0].tolist() == [2, 0]
    assert found[:, 1].tolist() == [0, 1]
    assert found[:, 2:].sum() == 0


def test_the_frozen_encoder_learns_every_output_from_what_is_labelled() -> None:
    """Two texts in three label sentiment, the others all the rest; one feature tells each apart."""
    draw = np.random.default_rng(9)
    rows, features = [], draw.normal(size=(300, len(OUTPUTS)))
    for place, one in enumerate(features):
        side = sentiment(SENTIMENTS[int(one[SIDES].argmax())])
        rest = (*[math.nan] * 3, *(one[3:] > 0).astype(float))
        rows.append(row(f"{place}", side if place % 3 else rest))
    said = frozen.regressed(features, rows, features)
    assert said[:, SIDES].sum(axis=1) == pytest.approx(np.ones(300))
    assert (said[:, SIDES].argmax(axis=1) == features[:, SIDES].argmax(axis=1)).mean() > 0.9
    assert ((said[:, 3:] > 0.5) == (features[:, 3:] > 0)).mean() > 0.9


@pytest.mark.parametrize(("start", "name"), [(None, "seed-3"), (Path("model"), "further-3")])
def test_what_is_made_is_not_made_again(
    start: Path | None, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = tmp_path / name
    for file in (network.WEIGHTS, frozen.FILE, "figures.md", "model/NOTICE"):
        (trained / file).parent.mkdir(parents=True, exist_ok=True)
        (trained / file).write_text("made")
    assert make.make(tmp_path / "data", tmp_path, 3, start) == trained / "model"
    assert capsys.readouterr().out == ""


def test_the_frozen_encoder_reads_each_text_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before comes from the file, and every text gets its own vector, in the order asked for."""
    read: list[str] = []

    def reading_of(folder: Path, texts: list[str], output: str) -> NDArray[np.float32]:
        read.extend(texts)
        return reading.read(folder, texts, output)

    monkeypatch.setattr(frozen, "read", reading_of)
    save_small_model(tmp_path / frozen.MODEL)
    first = frozen.vectors(tmp_path, TEXTS[:4])
    again = frozen.vectors(tmp_path, [TEXTS[5], *TEXTS[3::-1], TEXTS[3]])
    assert read == [*TEXTS[:4], TEXTS[5]]
    assert (again[1:5] == first[::-1]).all()
    assert (again[5] == first[3]).all()
    assert first == pytest.approx(reading.read(tmp_path / frozen.MODEL, TEXTS[:4], "embedding"), abs=1e-2)
