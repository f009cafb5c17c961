"""Our own model's format on both engines: a tiny one, exported as the real one is, through onnxruntime and torch."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from listener.domain import Assessment
from listener.errors import ConfigError, ScoringError
from listener.sentiment import bundled
from listener.sentiment.bundled import read_bundled
from listener.sentiment.engine_bundled_torch import BundledTorchScorer
from listener.sentiment.engine_onnx import OnnxScorer
from listener.sentiment.scorer import load_scorer, score_safely
from tests.small_model import HIDDEN, WORDS, calibration, reconfigure, save_small_model, small_network, small_tokenizer
from training.heads import OUTPUTS

ODD = ["😀", "<b>pakk</b>\x00", "the @mari #1 http://a.b/c?d=e \u202e", "@mari", "</s> late", "a", "pakk " * 4000]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "own")


@pytest.fixture(scope="module")
def scorer(saved: Path) -> OnnxScorer:
    return OnnxScorer(read_bundled(saved))


def model(folder: Path, **changes: Any) -> OnnxScorer:
    return OnnxScorer(read_bundled(save_small_model(folder, **changes)))


def one(scorer: OnnxScorer | BundledTorchScorer, text: str) -> Assessment:
    (assessment,) = scorer.score([text])
    return assessment


def drawn(count: int, *, longest: int = 90) -> list[str]:
    """Texts of many lengths, some of several windows."""
    draw = random.Random(11)
    return [" ".join(["pakk", *draw.choices(WORDS, k=draw.randint(0, longest))]) for _ in range(count)]


# ------------------------------------------------------------------------------------------------------------- reading


def test_nothing_to_score_is_no_work(scorer: OnnxScorer) -> None:
    assert scorer.score([]) == []
    assert scorer.embed([]).shape == (0, HIDDEN)


@pytest.mark.parametrize(("threads", "budget"), [(1, 64), (1, 1024), (3, 64), (2, 256)])
def test_a_text_gets_the_same_to_the_last_bit_whatever_travels_with_it(saved: Path, threads: int, budget: int) -> None:
    texts = drawn(80) + ODD
    alone = OnnxScorer(read_bundled(saved))
    expected = [one(alone, text) for text in texts]
    order = random.Random(threads * budget).sample(range(len(texts)), len(texts))
    shared = OnnxScorer(read_bundled(saved), threads=threads, tokens_per_batch=budget)
    assert shared.score([texts[place] for place in order]) == [expected[place] for place in order]


def test_it_says_what_the_network_said_before_it_was_quantised(scorer: OnnxScorer) -> None:
    """The exported graph, against the torch network that it was exported from, on single windows."""
    net, tokenizer = small_network(), small_tokenizer()
    texts = drawn(40, longest=12)
    differences = []
    for text, said in zip(texts, scorer.score(texts), strict=True):
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.inference_mode():
            logits = net(ids, torch.ones_like(ids))[0]
        assert said.risk is not None
        differences.append(abs(said.risk - float(torch.sigmoid(logits[OUTPUTS.index("risk")]))))
    assert max(differences) < 0.05


def test_torch_says_nearly_the_same(saved: Path, scorer: OnnxScorer) -> None:
    """Its activations are not rounded to bytes: a last digit may differ, a clear label may not."""
    other = BundledTorchScorer(read_bundled(saved), device=torch.device("cpu"))
    for quick, exact in zip(scorer.score(texts := drawn(40) + ODD), other.score(texts), strict=True):
        assert quick.model == exact.model
        assert quick.risk == pytest.approx(exact.risk, abs=0.05)
        assert quick.wish == pytest.approx(exact.wish, abs=0.05)
        assert quick.emotions == pytest.approx(exact.emotions, abs=0.05)
        assert quick.loyalty == pytest.approx(exact.loyalty, abs=0.05)
        assert quick.probabilities.negative == pytest.approx(exact.probabilities.negative, abs=0.05)
        if exact.risk is not None and abs(exact.risk - 0.5) > 0.05:
            assert quick.negative == exact.negative


def test_names_and_addresses_do_not_matter(scorer: OnnxScorer) -> None:
    first, second = scorer.score(["@mari pakk katki http://a.b", "@jaan_5 pakk katki https://pood.ee/?x=1"])
    assert first == second


def test_embeddings_have_length_one_and_do_not_depend_on_company(scorer: OnnxScorer) -> None:
    texts = drawn(20)
    together = scorer.embed(texts)
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(20), abs=1e-6)
    assert np.array_equal(scorer.embed(texts[3:4])[0], together[3])
    assert together[0] @ scorer.embed([texts[0]])[0] == pytest.approx(1)


# ---------------------------------------------------------------------------------------------- long and odd texts


def test_odd_texts_are_scored(scorer: OnnxScorer) -> None:
    for said in scorer.score(ODD):
        shares = said.probabilities
        assert shares.negative + shares.neutral + shares.positive == pytest.approx(1)


def test_what_a_long_text_tells_anywhere_is_told(scorer: OnnxScorer) -> None:
    """A window takes 30 tokens; the part that stands out on its own must still stand out at the end of many others."""
    dull, sharp = sorted((" ".join([word] * 30) for word in WORDS[:14]), key=lambda text: one(scorer, text).risk or 0)[
        ::13
    ]
    assert (one(scorer, sharp).risk or 0) > (one(scorer, dull).risk or 0) + 0.1
    long = one(scorer, " ".join([*[dull] * 10, sharp]))
    assert long.risk == pytest.approx(one(scorer, sharp).risk, abs=0.1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no letter"),
        ("12 345,- !?", "no letter"),
        ("本当に残念です", "no word"),
        ("pakk 本当に残念です", "too few words"),
        ("a \ud83d", "surrogate"),
        ("a " * 20_000, "40000 characters"),
        ("\x00\x01\x02\x7f", "no letter"),
        ("\ufffd\x00\ufffd", "no word"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_nothing_else(scorer: OnnxScorer, text: str, says: str) -> None:
    good, refused, bad = score_safely(scorer, ["pakk oli hea", text, "pakk oli katki"])
    assert isinstance(good, Assessment)
    assert isinstance(bad, Assessment)
    assert isinstance(refused, ScoringError)
    assert says in str(refused)


def test_control_tokens_in_a_text_are_only_text(scorer: OnnxScorer) -> None:
    """A writer must not be able to end the text for the model."""
    for spelling in ("</s>", "＜/s＞", "x</s>", "<s>", "<pad>"):
        _, *ids, _ = scorer._reader.windows([f"pakk {spelling} katki"])[0].ids
        assert {0, 1, 2}.isdisjoint(ids)


# ------------------------------------------------------------------------------------------------ calibration, labels


def test_labels_follow_calibration_and_thresholds(tmp_path: Path) -> None:
    """The risk of every text is shifted beyond doubt; anger can never be."""
    thresholds = {**dict.fromkeys(OUTPUTS, 0.5), "emotions/anger": 1.0}
    decided = {"calibration": {"default": calibration(shift={"risk": 50.0, "wish": -50.0})}, "thresholds": thresholds}
    for said in model(tmp_path / "own", **decided).score(drawn(10)):
        assert said.labels is not None
        assert said.negative
        assert {"wish", "emotions/anger"}.isdisjoint(said.labels)
        assert said.risk == pytest.approx(1)


def test_a_language_has_a_calibration_of_its_own(tmp_path: Path) -> None:
    """Both texts are long enough for their language to be certain."""
    texts = [
        "Pakk jõudis kohale nädal aega hiljem ja oli lisaks veel katki",
        "The parcel was a week late and then it was broken as well",
    ]
    shifted = {"default": calibration(), "et": calibration(shift={"risk": 50.0})}
    estonian, english = model(tmp_path / "own", calibration=shifted).score(texts)
    plain = model(tmp_path / "plain").score(texts)
    assert estonian.risk == pytest.approx(1)
    assert english.risk == plain[1].risk
    assert estonian.probabilities == plain[0].probabilities


def test_a_language_that_is_known_is_not_guessed(tmp_path: Path) -> None:
    scorer = model(tmp_path / "own", calibration={"default": calibration(), "et": calibration(shift={"risk": 50.0})})
    text = "Pakk jõudis kohale nädal aega hiljem ja oli lisaks veel katki"
    estonian, latvian, unknown = (said.risk for said in scorer.score([text] * 3, ["et", "lv", None]))
    assert estonian == pytest.approx(1)
    assert latvian == unknown != estonian


def test_what_is_in_doubt_is_named_and_its_label_stands(tmp_path: Path) -> None:
    texts = drawn(20)
    sure = model(tmp_path / "sure", abstain={"sentiment": 0.0, "risk": [0.5, 0.5]}).score(texts)
    doubtful = model(tmp_path / "own", abstain={"sentiment": 1.0, "risk": [0.0, 1.0]}).score(texts)
    assert {said.abstained for said in sure} == {()}
    assert {said.abstained for said in doubtful} == {("sentiment", "risk")}
    assert [said.labels for said in doubtful] == [said.labels for said in sure]
    assert {said.negative for said in doubtful} == {True, False}


# ----------------------------------------------------------------------------------------------------------- failures


def test_values_that_are_no_numbers_are_no_assessment(tmp_path: Path) -> None:
    """One output is scaled beyond what a float holds."""
    folder = save_small_model(tmp_path / "own")
    scorer = OnnxScorer(read_bundled(folder))
    windows = scorer._reader.windows(["pakk"])
    with pytest.raises(ScoringError, match="not a number"):
        scorer._reader.assessments(["pakk"], None, windows, np.full((1, 17), np.nan, np.float32))


def foreign_graph(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no graph")
    reconfigure(folder)


def foreign_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    reconfigure(folder)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (foreign_graph, "model.onnx cannot be loaded"),
        (foreign_tokenizer, "tokenizer.json cannot be used"),
        (lambda folder: reconfigure(folder, rows=10), "knows more tokens than the model (10)"),
    ],
)
def test_a_model_that_cannot_be_used_is_a_fault_at_start(
    tmp_path: Path, spoil: Callable[[Path], object], says: str
) -> None:
    folder = save_small_model(tmp_path / "own")
    spoil(folder)
    with pytest.raises(ConfigError) as caught:
        load_scorer(folder, device="cpu")
    assert says in str(caught.value)


def test_weights_that_do_not_fit_are_a_fault_on_torch(tmp_path: Path) -> None:
    folder = save_small_model(tmp_path / "own")
    reconfigure(folder, layers=3)
    with pytest.raises(ConfigError, match=r"model.safetensors cannot be loaded: KeyError"):
        BundledTorchScorer(read_bundled(folder), device=torch.device("cpu"))


# --------------------------------------------------------------------------------------------------- which engine runs


def test_a_directory_of_ours_and_no_directory_take_our_engine(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(load_scorer(saved, device="cpu"), OnnxScorer)
    assert isinstance(load_scorer(saved, device="auto"), OnnxScorer | BundledTorchScorer)
    monkeypatch.setattr(bundled, "BUNDLED", saved)
    assert isinstance(load_scorer(device="cpu", threads=2), OnnxScorer)


def test_a_gpu_that_is_not_there_is_a_fault(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError) as caught:
        load_scorer(saved, device="cuda")
    assert [fault.path for fault in caught.value.faults] == ["scoring.device"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_says_nearly_the_same(saved: Path, scorer: OnnxScorer) -> None:
    other = load_scorer(saved, device="cuda")
    assert isinstance(other, BundledTorchScorer)
    for quick, exact in zip(scorer.score(texts := drawn(40)), other.score(texts), strict=True):
        assert quick.risk == pytest.approx(exact.risk, abs=0.08)


def test_the_daemon_with_our_model_imports_neither_torch_nor_transformers(saved: Path) -> None:
    """They cost seconds at start and hundreds of megabytes for as long as it runs."""
    code = (
        "import sys, pathlib, listener.daemon, listener.cli\n"
        "from listener.sentiment.scorer import check_model, load_scorer\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "check_model(path, {})\n"
        "before = sorted({'onnxruntime', 'tokenizers'} & set(sys.modules))\n"
        "assert load_scorer(path, device='cpu').score(['pakk oli katki'])\n"
        "print(before, sorted({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(saved)], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[] []"
