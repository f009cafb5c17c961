"""What the network learns from: outputs, our own mentions, public sets and their licences."""

import gzip
import hashlib
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from listener.domain import Sentiment
from listener.sentiment import labels
from training import calibrate, card, datasets, heads, own, readings
from training.datasets import PUBLIC, PublicSet, joined, leaning, read_sentiment, targets
from training.heads import OUTPUTS, PLACES

CODE = re.compile(r"[n0p]\|[01]\|(-|[aidfjsut]{1,8})\|(-|[brsw]{1,4})\|[01]")
KINDS = {"review", "post", "forum", "comment", "appreview", "headline", "question", "reply", "chat", "article"}
FEWEST = {
    "et": 2500,
    **dict.fromkeys(("en", "ru"), 1000),
    **dict.fromkeys(("fi", "lv", "lt", "de", "sv", "uk", "pl"), 400),
    **dict.fromkeys(("fr", "es", "it", "pt"), 200),
}
NAMED = (("x", 3), ("y", None), ("z", 8))  # sets of twelve rows, and how many are taken a turn


def known(found: Iterable[float]) -> dict[str, float]:
    return {name: value for name, value in zip(OUTPUTS, found, strict=True) if not math.isnan(value)}


# ---------------------------------------------------------------------------------------------------------- outputs


def test_the_outputs_are_those_that_the_daemon_reads() -> None:
    assert tuple(label.value for label in Sentiment) == heads.SENTIMENTS
    assert (heads.EMOTIONS, heads.LOYALTY) == (labels.EMOTIONS, labels.LOYALTY)
    read = labels.read_heads(dict(enumerate(OUTPUTS)), {})
    places = {head: list(range(len(OUTPUTS))[place]) for head, place in PLACES.items()}
    assert [place for label in Sentiment for place in read.sentiment[label]] == places["sentiment"]
    assert [read.emotions[name] for name in heads.EMOTIONS] == places["emotions"]
    assert [read.loyalty[name] for name in heads.LOYALTY] == places["loyalty"]
    assert ([read.risk], [read.wish]) == (places["risk"], places["wish"])
    assert [place for head in heads.HEADS for place in places[head]] == list(range(17))


# ------------------------------------------------------------------------------------------------- our own mentions


@pytest.fixture(scope="module")
def mentions() -> list[own.Mention]:
    return list(own.mentions())


def test_every_row_is_written_by_the_guidelines() -> None:
    for file in sorted(own.FOLDER.glob("*.jsonl")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            row, where = json.loads(line), f"{file.name}, line {number}"
            assert set(row) == {"text", "industry", "kind", "labels", "passes"}, where
            assert all(CODE.fullmatch(code) for code in (row["labels"], *row["passes"])), where
            assert row["text"].strip() == row["text"], where
            assert row["text"], where
            assert "|" not in row["text"], where
            assert row["kind"] in KINDS, where


def test_every_language_has_enough_mentions(mentions: list[own.Mention]) -> None:
    counts = Counter(mention.language for mention in mentions)
    assert set(counts) == set(FEWEST)
    assert {language: counts[language] for language in counts if counts[language] < FEWEST[language]} == {}


def test_many_industries_and_every_label_occur(mentions: list[own.Mention]) -> None:
    industries = Counter(mention.industry for mention in mentions)
    assert sum(count >= 50 for count in industries.values()) >= 15
    said = [own.views(mention.settled) for mention in mentions]
    sides = Counter(str(one["sentiment"]) for one in said)
    assert min(sides[name] for name in heads.SENTIMENTS) > 0.15 * len(mentions)
    assert all(sum(map(bool, (one[name] for one in said))) > 0.03 * len(said) for name in said[0])


def test_both_readers_labelled_every_mention(mentions: list[own.Mention]) -> None:
    assert {len(mention.passes) for mention in mentions} == {2}


def test_an_author_is_held_out(mentions: list[own.Mention]) -> None:
    counts = Counter(mention.language for mention in mentions if mention.author == own.HELD_OUT)
    assert all(counts[language] >= 50 for language in FEWEST)


def test_no_text_comes_twice(mentions: list[own.Mention]) -> None:
    assert [text for text, count in Counter(one.text.casefold() for one in mentions).items() if count > 1] == []


@pytest.mark.parametrize("language", FEWEST)
def test_no_two_texts_of_a_language_are_nearly_the_same(mentions: list[own.Mention], language: str) -> None:
    texts = [mention.text for mention in mentions if mention.language == language]
    assert [(texts[first], texts[second]) for first, second in own.similar(texts)] == []


def test_no_frame_is_used_again_and_again(mentions: list[own.Mention]) -> None:
    assert own.frames([mention.text for mention in mentions]) == {}


def test_a_code_is_read() -> None:
    assert own.parse("n|1|as|sw|0") == own.Labels(
        sentiment="negative",
        experience=True,
        emotions=frozenset({"anger", "sadness"}),
        loyalty=frozenset({"switch", "warn"}),
        wish=False,
    )
    plain = own.parse("0|0|-|-|1")
    assert (plain.sentiment, plain.emotions, plain.loyalty, plain.wish) == ("neutral", frozenset(), frozenset(), True)


@pytest.mark.parametrize("code", ["x|0|-|-|0", "n|0|q|-|0", "n|0|-|q|0"])
def test_a_letter_that_means_nothing_is_an_error(code: str) -> None:
    with pytest.raises(KeyError):
        own.parse(code)


@pytest.mark.parametrize("code", ["n|0|-|-", "n|0|-|-|0|text"])
def test_too_few_or_too_many_labels_are_an_error(code: str) -> None:
    with pytest.raises(ValueError, match="values to unpack"):
        own.parse(code)


@pytest.mark.parametrize(
    ("first", "second", "kappa"),
    [
        ([1, 1, 0, 0], [1, 0, 0, 0], 0.5),  # three of four agree, two would by chance
        ([1, 0, 2], [1, 0, 2], 1.0),
        ([1, 0], [0, 1], -1.0),
        ([1, 1, 0, 0], [1, 0, 1, 0], 0.0),
        (["a"] * 45 + ["b"] * 15 + ["a"] * 25 + ["b"] * 15, ["a"] * 60 + ["b"] * 40, 0.1304),
    ],
)
def test_agreement_beyond_chance(first: list[object], second: list[object], kappa: float) -> None:
    assert own.kappa(first, second) == pytest.approx(kappa, abs=1e-4)


def test_agreement_on_one_thing_only_says_nothing() -> None:
    assert math.isnan(own.kappa([0, 0], [0, 0]))


def test_texts_that_share_most_letters_are_similar() -> None:
    """``abcdefgh`` has four runs of five; of those, ``abcdefg`` has three: 3 of 4."""
    texts = ["abcdefgh", "Something else entirely", "ABC defg!", "abcdxxxx"]
    assert own.similar(texts) == [(0, 2)]
    assert own.similar(texts, limit=0.75) == []
    assert own.similar(["hm", "Hm.", "no"]) == [(0, 1)]


def test_a_frame_stands_in_more_than_two_texts() -> None:
    texts = [f"{word}, I have been a customer of {word}" for word in ("one", "two", "three")]
    assert own.frames(texts[:2]) == {}
    assert own.frames(texts) == {"i have been a customer of": 3}
    assert own.frames([texts[0] * 3]) == {}


def test_every_mention_is_learnt_from_or_held_back(mentions: list[own.Mention]) -> None:
    parts = {part: datasets.own(part) for part in ("train", "calibration", "val")}
    texts = {part: {row.text for row in rows} for part, rows in parts.items()}
    assert sum(map(len, parts.values())) == len(mentions)
    assert len(set.union(*texts.values())) == len(mentions)
    assert texts["val"] == {mention.text for mention in mentions if mention.author == own.HELD_OUT}
    assert texts["calibration"] == {mention.text for mention in mentions if mention.author in own.CALIBRATION}
    assert {row.language for row in parts["train"]} == {row.language for row in parts["calibration"]} == set(FEWEST)


def test_a_mention_of_ours_has_a_target_for_every_output(mentions: list[own.Mention]) -> None:
    by_text = {mention.text: mention.settled for mention in mentions}
    for row in datasets.own("val"):
        said, found = by_text[row.text], known(row.targets)
        true = {name for name, value in found.items() if value == 1}
        flags = {name for name, flag in {"risk": said.experience, "wish": said.wish}.items() if flag}
        emotions, loyalty = ({f"{head}/{name}" for name in getattr(said, head)} for head in ("emotions", "loyalty"))
        assert true == {f"sentiment/{said.sentiment}", *flags, *emotions, *loyalty}
        assert set(found) == set(OUTPUTS)
        assert (row.origin, row.weight) == ("own", 1.0)


# ------------------------------------------------------------------------------------------- what a public row says


def test_what_a_set_was_not_labelled_for_is_unknown() -> None:
    assert known(targets(risk=1, loyalty_switch=0, emotions_joy=1)) == {
        "risk": 1,
        "loyalty/switch": 0,
        "emotions/joy": 1,
    }
    assert known(targets()) == {}


def test_two_labels_join_and_the_first_holds() -> None:
    assert known(joined(targets(risk=1, wish=0), targets(risk=0, emotions_joy=1))) == {
        "risk": 1,
        "wish": 0,
        "emotions/joy": 1,
    }


@pytest.mark.parametrize(
    ("emotions", "side"),
    [
        ([], "neutral"),
        (["neutral"], "neutral"),
        (["joy"], "positive"),
        (["trust", "anticipation"], "positive"),
        (["anger", "surprise"], "negative"),
        (["joy", "fear"], "mixed"),
        (["surprise"], "mixed"),
        (["neutral", "disgust"], "negative"),
    ],
)
def test_emotions_lean_to_a_side_only_where_they_agree(emotions: list[str], side: str) -> None:
    assert leaning(emotions, datasets.PLEASANT, datasets.UNPLEASANT) == side


def side(name: str) -> dict[str, float]:
    return {f"sentiment/{one}": float(one == name) for one in heads.SENTIMENTS}


def felt(*true: str, of: tuple[str, ...]) -> dict[str, float]:
    return {f"emotions/{name}": float(name in true) for name in of}


@pytest.mark.parametrize(
    ("read", "row", "says"),
    [
        (read_sentiment, {"label": "neutral"}, side("neutral")),
        (read_sentiment, {"label": "mixed"}, {}),
        (datasets.read_emotions, {"label": ["joy"]}, {**felt("joy", of=heads.EMOTIONS), **side("positive")}),
        (datasets.read_emotions, {"label": ["joy", "anger"]}, felt("joy", "anger", of=heads.EMOTIONS)),
        (datasets.read_emotions, {"label": ["love"]}, {**felt(of=heads.EMOTIONS), **side("positive")}),
        (
            datasets.read_goemotions,
            {"label": ["joy"], "orig": ["gratitude", "surprise"]},
            {**felt("joy", of=datasets.EKMAN), **side("positive")},
        ),
        (datasets.read_goemotions, {"label": ["surprise"], "orig": ["curiosity"]}, felt("surprise", of=datasets.EKMAN)),
        (
            datasets.read_goemotions,
            {"label": [], "orig": ["neutral"]},
            {**felt(of=datasets.EKMAN), **side("neutral")},
        ),
        (datasets.read_aspects, {"label": [{"polarity": "negative"}, {"polarity": "negative"}]}, side("negative")),
        (datasets.read_aspects, {"label": [{"polarity": "negative"}, {"polarity": "neutral"}]}, {}),
        (datasets.read_aspects, {"label": []}, {}),
        (datasets.read_banking, {"label": "card_payment_wrong_exchange_rate"}, {"risk": 1}),
        (datasets.read_banking, {"label": "Refund_not_showing_up"}, {"risk": 1}),
        (datasets.read_banking, {"label": "exchange_rate"}, {"risk": 0}),
        (datasets.read_banking, {"label": "getting_spare_card"}, {"risk": 0}),
        (datasets.read_banking, {"label": "card_arrival"}, {}),
        (datasets.read_churn, {"label": "churn"}, {"loyalty/switch": 1}),
        (datasets.read_churn, {"label": "none"}, {"loyalty/switch": 0}),
        (datasets.read_complaint, {"label": 1}, {"risk": 1}),
    ],
)
def test_a_row_says_only_what_its_set_was_labelled_for(
    read: datasets.Read, row: dict[str, Any], says: dict[str, float]
) -> None:
    assert known(read(row)) == says


# ------------------------------------------------------------------------------------------------------ public sets


def write(folder: Path, name: str, *rows: tuple[str, Any], split: str = "train", lang: str = "en") -> None:
    with gzip.open(folder / f"{name}.jsonl.gz", "at", encoding="utf-8") as lines:
        for text, label in rows:
            lines.write(json.dumps({"text": text, "label": label, "lang": lang, "split": split}) + "\n")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_of_a_large_set_the_first_by_hash_are_learnt_from(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(30)]
    write(tmp_path, "sentiment.x.en", *((text, "positive") for text in texts), ("neither", "mixed"))
    write(tmp_path, "sentiment.x.en", *((f"held {number}", "neutral") for number in range(9)), split="val")
    chosen = PublicSet(name="sentiment.x.en", read=read_sentiment, take=5, weight=0.5)
    rows = datasets.rows_of(tmp_path, chosen, "train")
    assert [row.text for row in rows] == sorted(texts, key=digest)[:5]
    assert {(row.weight, row.origin, row.language) for row in rows} == {(0.5, "sentiment.x.en", "en")}
    assert len(datasets.rows_of(tmp_path, chosen, "val")) == 9


def test_each_turn_takes_the_next_rows_and_begins_again_at_the_end(tmp_path: Path) -> None:
    texts = sorted((f"text {number}" for number in range(12)), key=digest)
    write(tmp_path, "sentiment.x.en", *((text, "positive") for text in texts))
    chosen = PublicSet(name="sentiment.x.en", read=read_sentiment, take=5)
    turns = [[row.text for row in datasets.rows_of(tmp_path, chosen, "train", turn)] for turn in range(3)]
    assert turns == [texts[:5], texts[5:10], [*texts[10:], *texts[:3]]]
    whole = PublicSet(name="sentiment.x.en", read=read_sentiment)
    assert [row.text for row in datasets.rows_of(tmp_path, whole, "train", 1)] == texts


def test_what_was_learnt_from_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sorted((f"text {number}" for number in range(12)), key=digest)
    sets = tuple(PublicSet(name=f"sentiment.{name}.en", read=read_sentiment, take=take) for name, take in NAMED)
    for chosen in sets:
        write(tmp_path, chosen.name, *((f"{chosen.name} {text}", "positive") for text in texts))
    monkeypatch.setattr(datasets, "PUBLIC", sets)
    counts = Counter(row.origin for row in datasets.learnt(tmp_path))
    assert counts == {"sentiment.x.en": 9, "sentiment.y.en": 12, "sentiment.z.en": 12}


def test_a_text_keeps_what_another_set_said_of_it_in_another_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the set of emotions two rows a turn are taken, so that the first comes in the first turn alone."""
    texts = sorted((f"text {number}" for number in range(6)), key=digest)
    write(tmp_path, "emotion.x.en", *((text, ["joy"]) for text in texts))
    write(tmp_path, "sentiment.y.en", *((text, "neutral") for text in texts))
    sets = (
        PublicSet(name="emotion.x.en", read=datasets.read_emotions, take=2),
        PublicSet(name="sentiment.y.en", read=read_sentiment),
    )
    monkeypatch.setattr(datasets, "PUBLIC", sets)
    found = datasets.learnt(tmp_path)
    assert sorted(row.text for row in found) == sorted(texts)
    assert all(known(row.targets)["emotions/joy"] == 1 for row in found)


def test_a_text_that_two_sets_label_becomes_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = {"sentiment.x.en": ("en", "Hello"), "emotion.x.en": ("en", "hello"), "sentiment.x.de": ("de", "Hello")}
    for name, (lang, text) in sets.items():
        label = ["joy"] if name.startswith("emotion") else "neutral"
        write(tmp_path, name, (text, label), lang=lang)
        write(tmp_path, name, (text, label), lang=lang, split="val")
    monkeypatch.setattr(
        datasets,
        "PUBLIC",
        (
            PublicSet(name="sentiment.x.en", read=read_sentiment),
            PublicSet(name="emotion.x.en", read=datasets.read_emotions),
            PublicSet(name="sentiment.x.de", read=read_sentiment),
        ),
    )
    both, german = datasets.public(tmp_path, "train")
    assert (both.text, both.origin, german.language) == ("Hello", "sentiment.x.en", "de")
    assert known(both.targets) == {**side("neutral"), **felt("joy", of=heads.EMOTIONS)}
    assert known(german.targets) == side("neutral")
    assert len(datasets.public(tmp_path, "val")) == 3


# ------------------------------------------------------------------------------------ what readers said of public texts


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readers differ on the sentiment, the anger and the switch of one text, and on nothing else."""
    row = {"text": readings.name_of("Nunca más"), "passes": ["n|1|as|sw|0", "0|1|s|w|0"]}
    (tmp_path / "es.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    found = readings.known.__wrapped__(tmp_path)
    monkeypatch.setattr(readings, "known", lambda: found)


@pytest.mark.usefixtures("read")
def test_only_what_two_readers_agree_on_counts() -> None:
    (found,) = readings.known().values()
    assert known(found) == {
        "risk": 1,
        **{f"emotions/{name}": float(name == "sadness") for name in heads.EMOTIONS if name != "anger"},
        **{f"loyalty/{name}": float(name == "warn") for name in heads.LOYALTY if name != "switch"},
        "wish": 0,
    }


@pytest.mark.usefixtures("read")
def test_a_training_row_has_what_readers_agree_on_and_its_sets_labels_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in ("train", "val"):
        write(tmp_path, "emotion.x.es", ("Nunca más", ["joy"]), ("otra", []), lang="es", split=split)
    monkeypatch.setattr(datasets, "PUBLIC", (PublicSet(name="emotion.x.es", read=datasets.read_emotions),))
    own_labels = {**felt("joy", of=heads.EMOTIONS), **side("positive")}
    rows = {row.text: known(row.targets) for row in datasets.public(tmp_path, "train")}
    assert rows["Nunca más"] == {
        **own_labels,
        "risk": 1,
        **{f"loyalty/{name}": float(name == "warn") for name in heads.LOYALTY if name != "switch"},
        "wish": 0,
    }
    assert "risk" not in rows["otra"]
    held = {row.text: known(row.targets) for row in datasets.public(tmp_path, "val")}
    assert held["Nunca más"] == own_labels
    monkeypatch.setattr(datasets, "half", lambda _text: 0)
    fitted = {row.text: known(row.targets) for row in calibrate.rows(tmp_path)}
    assert fitted["Nunca más"] == rows["Nunca más"]


def test_every_reading_is_by_two_readers_and_of_one_text() -> None:
    names = Counter[str]()
    for file in sorted(readings.FOLDER.glob("*.jsonl")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            row, where = json.loads(line), f"{file.name}, line {number}"
            assert set(row) == {"text", "passes"}, where
            assert re.fullmatch(r"[0-9a-f]{16}", row["text"]), where
            assert len(row["passes"]) == 2, where
            assert all(CODE.fullmatch(code) for code in row["passes"]), where
            names[row["text"]] += 1
    assert len(names) > 10_000
    assert max(names.values()) == 1


def test_weights_that_ship_learn_from_tier_a_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tier in "ABC":
        write(tmp_path, tier, (f"text {tier}", "positive"))
    sets = tuple(PublicSet(name=tier, read=read_sentiment, tier=tier) for tier in "ABC")
    monkeypatch.setattr(datasets, "PUBLIC", sets)

    def texts(*tiers: str) -> list[str]:
        return [row.text for row in datasets.public(tmp_path, "train", *tiers)]

    assert texts() == texts("A") == ["text A"]
    assert texts("ABC") == ["text A", "text B", "text C"]
    (tmp_path / "B.jsonl.gz").unlink()
    assert texts("ABC") == ["text A", "text C"]
    (tmp_path / "A.jsonl.gz").unlink()
    with pytest.raises(FileNotFoundError):
        texts()


def test_the_halves_of_a_set_are_always_the_same() -> None:
    halves = [datasets.half(f"text {number}") for number in range(400)]
    assert halves == [int(digest(f"text {number}")[-2:], 16) % 2 for number in range(400)]
    assert 150 < sum(halves) < 250


def test_sets_are_named_once_and_by_task_set_and_language() -> None:
    names = [chosen.name for chosen in PUBLIC]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"(sentiment|emotion|aspect|intent|complaint)\.[\w-]+\.[a-z]{2}", name) for name in names)
    assert {chosen.tier for chosen in PUBLIC} == set("ABC")


def test_every_set_that_ships_has_its_source_and_licence() -> None:
    sources = tomllib.loads(card.SOURCES.read_text("utf-8"))
    assert set(sources) == {chosen.name.split(".")[1] for chosen in PUBLIC if chosen.tier == "A"}
    for said in sources.values():
        assert set(said) == {"what", "cite", "licence"}
        assert not re.search(r"\bNC\b|non-?commercial|research only", said["licence"], re.IGNORECASE)


def test_the_card_says_what_was_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "sentiment.sb10k.de", ("gut", "positive"), ("schlecht", "negative"), lang="de")
    monkeypatch.setattr(datasets, "PUBLIC", (PublicSet(name="sentiment.sb10k.de", read=read_sentiment),))
    text = card.card(tmp_path, 61_234, "| the figures |\n")
    _, front, body = text.split("---\n", 2)
    assert set(yaml.safe_load(front)["language"]) == set(FEWEST)
    assert "| sb10k | German tweets | 2 | CC BY 4.0 |" in body
    assert "61,234" in body
    assert "| the figures |" in body
    assert "{" not in body
    assert "an earlier round" not in body
    assert "an earlier round" in card.card(tmp_path, 61_234, "", further=True)
