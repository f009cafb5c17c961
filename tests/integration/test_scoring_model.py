"""The whole path from text to assessment, through torch and a real, small BERT saved as Hugging Face saves it."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import RobertaConfig, RobertaForSequenceClassification

from listener.domain import Assessment, Sentiment
from listener.errors import ConfigError, ScoringError
from listener.protocols import Scorer
from listener.sentiment.labels import EMOTIONS, LOYALTY
from listener.sentiment.scorer import load_scorer, on_thread, score_safely
from tests.small_bert import NEGATIVE, PLAIN, POSITIVE, save_small_bert, small_tokenizer

BAD, GOOD, PLAIN_TEXT = "the parcel was late and broken", "pakk oli kiire ja hea", "заказ is a parcel"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_bert(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def scorer(saved: Path) -> Scorer:
    return load_scorer(saved, device="cpu")


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def one(scorer: Scorer, text: str) -> Assessment:
    (assessment,) = scorer.score([text])
    return assessment


def faults(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_scorer(folder, device="cpu")
    assert {fault.path for fault in caught.value.faults} == {"scoring.model"}
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------------- reading


def test_words_of_three_languages_move_a_real_model(scorer: Scorer) -> None:
    said = [assessment.sentiment for assessment in scorer.score([BAD, GOOD, PLAIN_TEXT, "ужасно", "спасибо"])]
    assert said == [
        Sentiment.NEGATIVE,
        Sentiment.POSITIVE,
        Sentiment.NEUTRAL,
        Sentiment.NEGATIVE,
        Sentiment.POSITIVE,
    ]


def test_an_assessment_names_its_model_and_revision(scorer: Scorer, saved: Path, model: Path) -> None:
    name, _, revision = one(scorer, BAD).model.partition("@")
    assert name == saved.name
    assert len(revision) == 12
    assert one(load_scorer(model, device="cpu"), BAD).model == f"model@{revision}"


def test_nothing_to_score_is_no_work(scorer: Scorer) -> None:
    assert scorer.score([]) == []


def test_results_come_in_the_order_of_the_texts_whatever_the_batches(saved: Path) -> None:
    """Lengths and sentiments are shuffled, and the budget makes many batches."""
    draw = random.Random(3)
    texts = [" ".join(draw.choices((*PLAIN, *NEGATIVE, *POSITIVE), k=draw.randint(1, 150))) for _ in range(60)]
    scorer = load_scorer(saved, device="cpu", tokens_per_batch=128)
    together = scorer.score(texts)
    for text, assessment in zip(texts, together, strict=True):
        alone = one(scorer, text)
        assert assessment.probabilities.negative == pytest.approx(alone.probabilities.negative, abs=1e-5)
        assert assessment.probabilities.positive == pytest.approx(alone.probabilities.positive, abs=1e-5)
    assert len({round(assessment.polarity, 3) for assessment in together}) > 20


def test_batch_mates_do_not_change_a_result(scorer: Scorer) -> None:
    alone = one(scorer, BAD).polarity
    mates = [GOOD, " ".join([*POSITIVE] * 8), "a", PLAIN_TEXT]
    assert scorer.score([*mates, BAD])[-1].polarity == pytest.approx(alone, abs=1e-6)


# ------------------------------------------------------------------------------------------------ long and odd texts


def test_a_long_text_is_read_to_its_end(scorer: Scorer) -> None:
    """The model takes 64 tokens; only the last of 300 words is bad, and it must still be seen."""
    long_ago = " ".join(["the parcel"] * 150)
    plain, bad = one(scorer, long_ago), one(scorer, f"{long_ago} broken broken broken broken broken")
    assert bad.probabilities.negative > plain.probabilities.negative + 0.005


def test_windows_are_averaged_by_their_tokens(scorer: Scorer) -> None:
    """A text that is bad in all windows is as bad as in one; half bad lies between."""
    bad = one(scorer, " ".join(["broken"] * 400)).probabilities.negative
    half = one(scorer, " ".join(["broken"] * 200 + ["great"] * 200)).probabilities.negative
    good = one(scorer, " ".join(["great"] * 400)).probabilities.negative
    assert bad == pytest.approx(one(scorer, " ".join(["broken"] * 62)).probabilities.negative, abs=0.01)
    assert half == pytest.approx((bad + good) / 2, abs=0.1)


def test_the_longest_mention_is_scored(scorer: Scorer) -> None:
    assert one(scorer, ("katki " * 4000)[:20_000]).sentiment is Sentiment.NEGATIVE


@pytest.mark.parametrize("text", ["😀", "<b>pakk</b>\x00", "the @user #1 http://a.b/c?d=e \u202e"])
def test_odd_texts_are_scored(scorer: Scorer, text: str) -> None:
    assert sum(vars_of(one(scorer, text))) == pytest.approx(1)


def vars_of(assessment: Assessment) -> tuple[float, float, float]:
    shares = assessment.probabilities
    return shares.negative, shares.neutral, shares.positive


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no letter"),
        (" \n\t", "no letter"),
        ("12 345,- !?", "no letter"),
        ("本当に残念です", "knows no word"),
        ("a \ud83d", "surrogate"),
        ("a " * 20_000, "40000 characters"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_nothing_else(scorer: Scorer, text: str, says: str) -> None:
    good, refused, bad = score_safely(scorer, [GOOD, text, BAD])
    assert isinstance(good, Assessment)
    assert isinstance(bad, Assessment)
    assert isinstance(refused, ScoringError)
    assert says in str(refused)


def test_control_tokens_in_a_text_are_only_text(scorer: Scorer) -> None:
    """A writer must not be able to end the text for the model: the token's spelling is three unknown words."""
    assert one(scorer, "[SEP] katki").polarity == pytest.approx(one(scorer, "( zz ) katki").polarity, abs=1e-6)


# --------------------------------------------------------------------------------------------------------------- heads


def test_a_model_with_all_heads_fills_them(tmp_path: Path) -> None:
    labels = [
        *(f"sentiment/{label}" for label in Sentiment),
        "risk",
        *(f"emotions/{name}" for name in EMOTIONS),
        *(f"loyalty/{name}" for name in LOYALTY),
        "wish",
    ]
    scorer = load_scorer(save_small_bert(tmp_path / "heads", labels), device="cpu")
    bad, good = scorer.score([BAD, GOOD])
    assert bad.risk is not None
    assert good.risk is not None
    assert bad.risk > good.risk
    assert bad.negative
    assert bad.emotions == pytest.approx(dict.fromkeys(EMOTIONS, 0.5))
    assert bad.loyalty == pytest.approx(dict.fromkeys(LOYALTY, 0.5))
    assert bad.wish == pytest.approx(0.5)


def test_unnamed_labels_work_through_a_mapping(tmp_path: Path) -> None:
    """Hugging Face writes no names when they are its own defaults."""
    folder = save_small_bert(tmp_path / "unnamed", ["LABEL_0", "LABEL_1"])
    with pytest.raises(ConfigError, match="LABEL_0"):
        load_scorer(folder, device="cpu")
    scorer = load_scorer(folder, device="cpu", labels={"LABEL_0": "negative", "LABEL_1": "positive"})
    assert one(scorer, BAD).probabilities.neutral == 0.0


# ----------------------------------------------------------------------------------------------------------- failures


def test_values_that_are_no_numbers_are_no_assessment(scorer: Scorer, model: Path) -> None:
    """One embedding row is spoilt: only texts with that word fail, and their batch-mates do not."""
    spoil_weights(model, row="broken")
    good, refused, neutral = score_safely(load_scorer(model, device="cpu"), [GOOD, BAD, PLAIN_TEXT])
    assert isinstance(refused, ScoringError)
    assert "not a number" in str(refused)
    assert isinstance(good, Assessment)
    assert good.polarity == pytest.approx(one(scorer, GOOD).polarity, abs=1e-6)
    assert isinstance(neutral, Assessment)


def spoil_weights(folder: Path, *, row: str) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["bert.embeddings.word_embeddings.weight"][small_tokenizer().convert_tokens_to_ids(row)] = torch.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_what_torch_raises_is_a_scoring_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory is a RuntimeError in torch; batches of one text fit, larger ones do not."""
    scorer = load_scorer(model, device="cpu")
    embedding = torch.nn.functional.embedding

    def small_only(ids: torch.Tensor, *rest: object, **named: object) -> object:
        if ids.dim() == 2 and ids.shape[0] > 1:
            raise torch.OutOfMemoryError("too large")
        return embedding(ids, *rest, **named)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(torch.nn.functional, "embedding", small_only)
    with pytest.raises(ScoringError, match="OutOfMemoryError"):
        scorer.score([BAD, GOOD])
    assert all(isinstance(result, Assessment) for result in score_safely(scorer, [BAD, GOOD, PLAIN_TEXT]))


def without_unknown(folder: Path) -> None:
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["model"]["unk_token"] = "[NONE]"
    (folder / "tokenizer.json").write_text(json.dumps(spec))


def test_a_tokenizer_that_fails_on_a_text_costs_that_text(model: Path) -> None:
    without_unknown(model)
    good, refused = score_safely(load_scorer(model, device="cpu"), [GOOD, "zzz"])
    assert isinstance(good, Assessment)
    assert isinstance(refused, ScoringError)
    assert "tokenizer" in str(refused)


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:300])


def configured(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return change


def headless(folder: Path) -> None:
    """Weights of an encoder under the configuration of a classifier: its head would be random."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def large_tokenizer(folder: Path) -> None:
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["model"]["vocab"]["further"] = len(spec["model"]["vocab"])
    (folder / "tokenizer.json").write_text(json.dumps(spec))


def unpadded(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut, "cannot be loaded: SafetensorError"),
        (configured(hidden_size=20), "cannot be loaded"),
        (configured(hidden_size="many"), "cannot be loaded"),
        (configured(model_type="unheard-of"), "cannot be loaded"),
        (configured(num_hidden_layers=2), "lacks weights"),
        (headless, "lacks weights (classifier.bias, classifier.weight"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot be loaded"),
        (large_tokenizer, "knows more tokens than the model"),
        (unpadded, "padding token"),
    ],
)
def test_a_model_that_cannot_be_used_is_a_fault_at_start(
    model: Path, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(model)
    assert says in faults(model)


def test_code_in_a_model_directory_is_not_run(model: Path) -> None:
    (model / "evil.py").write_text("raise SystemExit('ran')")
    configured(model_type="evil", auto_map={"AutoConfig": "evil.C", "AutoModelForSequenceClassification": "evil.M"})(
        model
    )
    assert "cannot be loaded" in faults(model)


def test_a_gpu_that_is_not_there_is_a_fault(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError) as caught:
        load_scorer(saved, device="cuda")
    assert [fault.path for fault in caught.value.faults] == ["scoring.device"]


def test_roberta_does_not_use_the_first_rows_of_its_positions(tmp_path: Path) -> None:
    """Its positions start after the padding index: 66 rows hold 64 tokens, and a 65th would be out of range."""
    tokenizer = small_tokenizer()
    tokenizer.model_max_length = 10_000
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=66,
        pad_token_id=1,
        id2label={0: "NEG", 1: "NEU", 2: "POS"},
    )
    RobertaForSequenceClassification(config).save_pretrained(tmp_path / "roberta")
    tokenizer.save_pretrained(tmp_path / "roberta")
    assert sum(vars_of(one(load_scorer(tmp_path / "roberta", device="cpu"), "the parcel " * 200))) == pytest.approx(1)


async def test_a_real_model_scores_from_its_thread(saved: Path) -> None:
    async with on_thread(lambda: load_scorer(saved, device="cpu")) as scorer:
        bad, refused, good = await scorer.score([BAD, "...", GOOD])
    assert isinstance(bad, Assessment)
    assert isinstance(good, Assessment)
    assert (bad.sentiment, good.sentiment) == (Sentiment.NEGATIVE, Sentiment.POSITIVE)
    assert isinstance(refused, ScoringError)
