"""The demo's model, built from the packages as ``make run`` builds it, reads three languages on the real base."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from listener.domain import Sentiment
from listener.protocols import Scorer
from listener.sentiment.scorer import load_scorer
from training import base, demo_model
from training.demo_data import LABELS, own

NEGATIVE, NEUTRAL, POSITIVE = Sentiment.NEGATIVE, Sentiment.NEUTRAL, Sentiment.POSITIVE


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, by this run."""
    out = tmp_path_factory.mktemp("demo") / "demo-model"
    assert demo_model.build(out)
    return out


@pytest.fixture(scope="module")
def scorer(built: Path) -> Scorer:
    """The built model, loaded as the daemon loads it."""
    return load_scorer(built, device="cpu")


def test_a_second_build_does_nothing(built: Path) -> None:
    """``make run`` builds each time, and must not cost ten seconds each time."""
    before = (built / "model.safetensors").stat().st_mtime_ns
    assert not demo_model.build(built)
    assert (built / "model.safetensors").stat().st_mtime_ns == before


PLAIN = {
    "Teenindus oli ülbe ja tellimus jõudis nädal aega hiljem, täielik pettumus.": NEGATIVE,
    "Suurepärane teenindus, kõik toimis kiiresti, aitäh!": POSITIVE,
    "Pood on avatud esmaspäevast reedeni kella üheksast kuueni.": NEUTRAL,
    "Terrible support, they lost my parcel and never answered.": NEGATIVE,
    "Fantastic staff, quick delivery, I love it.": POSITIVE,
    "The office is on the third floor, next to the lift.": NEUTRAL,
    "Отвратительное обслуживание, деньги не вернули, больше не приду.": NEGATIVE,
    "Прекрасный сервис, всё быстро и вежливо, спасибо!": POSITIVE,
    "Магазин работает с девяти до шести по будням.": NEUTRAL,
}


def test_plain_customer_talk_is_mostly_read_right_in_three_languages(scorer: Scorer) -> None:
    """Sentences of no training set: a model that lost its head or its base gets three of nine; this one eight."""
    said = scorer.score(list(PLAIN))
    assert sum(one.sentiment is meant for one, meant in zip(said, PLAIN.values(), strict=True)) >= 7


def test_held_out_customer_talk_is_mostly_read_right(scorer: Scorer) -> None:
    """The second pass of our own sentences, on which nothing was trained; the floor lies below what was measured."""
    rows = own(2)
    said = scorer.score([row.text for row in rows])
    right = sum(LABELS[row.label] == assessment.sentiment for row, assessment in zip(rows, said, strict=True))
    assert right / len(rows) > 0.7


def test_the_base_is_what_the_reference_engine_computes() -> None:
    """The decoded, trimmed encoder against the engine that the weights come with."""
    assert base.verify() >= base.COSINE_FLOOR


def test_the_trimmed_tokenizer_splits_our_languages_as_before() -> None:
    """The same pieces, under new numbers that lead to the original rows."""
    spec = base.full_tokenizer()
    trimmed, rows = base.trim(spec)
    before, after = Tokenizer.from_str(json.dumps(spec)), Tokenizer.from_str(json.dumps(trimmed))
    for text in (*base.SENTENCES, *(row.text for row in own(1))):
        assert rows[after.encode(text).ids].tolist() == before.encode(text).ids
