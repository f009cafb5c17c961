"""The model that comes with listener, with its real weights: where a checkout has them."""

import json
import random
import subprocess
import sys

import pytest
import torch

from listener.domain import Assessment
from listener.sentiment.bundled import read_bundled
from listener.sentiment.engine_bundled_torch import BundledTorchScorer
from listener.sentiment.engine_onnx import OnnxScorer
from listener.sentiment.explain import probability
from listener.sentiment.scorer import check_model, load_scorer
from tests.bundled_golden import GOLDEN, documents, texts

CLEAR = 0.3  # a lead that rounding activations to bytes cannot turn
NEAR = 0.03  # what that rounding moves a probability by, on average
DIGITS = 1.5e-2  # other processors add up floats in another order, and may round an activation to the next byte


@pytest.fixture(scope="module")
def scorer() -> OnnxScorer:
    found = load_scorer(device="cpu")
    assert isinstance(found, OnnxScorer)
    return found


@pytest.fixture(scope="module")
def said(scorer: OnnxScorer) -> list[Assessment]:
    return scorer.score(texts())


def test_it_is_whole() -> None:
    check_model(None, {})


def test_every_assessment_has_all_heads_and_labels(said: list[Assessment]) -> None:
    for one in said:
        assert one.labels is not None
        assert None not in {one.risk, one.wish}
        assert one.emotions is not None
        assert one.loyalty is not None
        assert (len(one.emotions), len(one.loyalty)) == (8, 4)


@pytest.mark.parametrize(("threads", "budget"), [(1, 1024), (2, 256)])
def test_a_text_gets_the_same_to_the_last_bit_whatever_travels_with_it(
    said: list[Assessment], threads: int, budget: int
) -> None:
    shared = OnnxScorer(read_bundled(), threads=threads, tokens_per_batch=budget)
    order = random.Random(budget).sample(range(len(said)), len(said))
    assert shared.score([texts()[place] for place in order]) == [said[place] for place in order]
    assert shared.score(texts()[:1]) == said[:1]


def test_torch_says_nearly_the_same(said: list[Assessment]) -> None:
    other = BundledTorchScorer(read_bundled(), device=torch.device("cpu"))
    pairs = list(zip(said, other.score(texts()), strict=True))
    for quick, exact in pairs:
        ranked = sorted((exact.probabilities.negative, exact.probabilities.neutral, exact.probabilities.positive))
        if ranked[-1] - ranked[-2] > CLEAR:
            assert quick.sentiment is exact.sentiment
    for output in ("risk", "wish", "sentiment/negative", "emotions/anger", "loyalty/warn"):
        moved = [abs(probability(quick, output) - probability(exact, output)) for quick, exact in pairs]
        assert sum(moved) / len(moved) < NEAR, output


def test_what_it_says_is_what_was_kept() -> None:
    kept = [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]
    for now, then in zip(documents(), kept, strict=True):
        assert (now["text"], now["sentiment"], now["labels"]) == (then["text"], then["sentiment"], then["labels"])
        assert now["abstained"] == then["abstained"]
        for shares in ("probabilities", "emotions", "loyalty"):
            assert now[shares] == pytest.approx(then[shares], abs=DIGITS)
        assert (now["risk"], now["wish"]) == pytest.approx((then["risk"], then["wish"]), abs=DIGITS)


def test_it_fits_into_the_wheel_with_a_vocabulary_for_its_languages() -> None:
    bundled = read_bundled()
    assert sum(file.stat().st_size for file in bundled.path.iterdir()) < 60e6
    assert 72_000 <= bundled.sizes.rows <= 89_000


def test_listener_scores_without_any_configuration(tmp_path_factory: pytest.TempPathFactory) -> None:
    """And neither torch nor transformers is imported for it."""
    code = (
        "import sys, listener.cli\n"
        "sys.argv = ['listener', 'score', '--json']\n"
        "try:\n    listener.cli.main()\n"
        "finally:\n    assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="pakk oli katki\n",
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path_factory.mktemp("empty"),
    )
    assert json.loads(done.stdout)["assessment"]["model"].startswith("listener-small@")
