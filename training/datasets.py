"""The labelled texts: public sets by licence, and our own mentions; a row says only what its set was labelled for.

Public sets lie in a folder as ``TASK.SET.LANG.jsonl.gz`` with ``text``, ``label``, ``lang``, ``split``. Tier A permits
commercial use; B and C (research only, no licence stated) serve for analysis: weights that ship never learn from them.
"""

import gzip
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from training import readings
from training.heads import EMOTIONS, OUTPUTS, SENTIMENTS
from training.own import CALIBRATION, HELD_OUT, mentions

UNKNOWN = math.nan
TURNS = 3  # helpings of the public sets, other rows of the big ones in each: what training may have seen
SUFFIX = ".jsonl.gz"
VALENCE = "sentiment.ekt1-valence.et"  # the only Estonian set that people labelled
EKMAN = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
CEDR = ("anger", "fear", "joy", "sadness", "surprise")
UNPLEASANT = frozenset({"anger", "disgust", "fear", "sadness", "pessimism"})
PLEASANT = frozenset({"joy", "trust", "love", "optimism"})

# GoEmotions has finer labels; these lean to a side, the rest (surprise, realization, curiosity, confusion) do not.
GO_PLEASANT = frozenset(
    "admiration amusement approval caring desire excitement gratitude joy love optimism pride relief".split()  # noqa: SIM905 -- read as a list of words
)
GO_UNPLEASANT = frozenset(
    "anger annoyance disappointment disapproval disgust embarrassment fear grief nervousness remorse sadness".split()  # noqa: SIM905
)

# The intents of BANKING77 that can only be asked after something went wrong, and those that are plain questions.
BANK_TROUBLE = re.compile(
    r"not_working|not_recognised|wrong|charged_twice|failed|declined|not_updated|not_showing|swallowed|extra_charge|"
    r"compromised|reverted|not_received|unable|fee_charged|pin_blocked"
)
BANK_QUESTION = re.compile(
    r"age_limit|apple_pay|automatic_top_up|country_support|supported|disposable_card_limits|edit_personal|exchange_via|"
    r"fiat|getting_|get_|order_physical|top_up_limits|topping_up_by|top_up_by_card_charge|transfer_timing|"
    r"visa_or_mastercard|verify_my|card_about_to_expire|card_linking|exchange_rate$|change_pin|activate_my_card"
)

Targets = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A text and what is known of it: one target an output of ``heads.OUTPUTS``, NaN where nothing was labelled.

    ``weight`` says how much its labels are worth (1 by hand, less where they are derived).
    """

    text: str
    language: str
    origin: str
    targets: Targets
    weight: float = 1.0


def targets(**known: float) -> Targets:
    """All outputs, those in ``known`` (``_`` for ``/``) as said, the others unknown."""
    values = {name.replace("_", "/", 1): value for name, value in known.items()}
    return tuple(values.get(name, UNKNOWN) for name in OUTPUTS)


def sentiment(label: str) -> Targets:
    """The three outputs of a sentiment label; nothing for another (``mixed``)."""
    if label not in SENTIMENTS:
        return targets()
    return targets(**{f"sentiment_{name}": float(name == label) for name in SENTIMENTS})


def emotions(labels: Iterable[str], annotated: Iterable[str]) -> Targets:
    """The outputs of the emotions that a set was labelled for."""
    found = set(labels)
    return targets(**{f"emotions_{name}": float(name in found) for name in annotated})


def joined(first: Targets, second: Targets) -> Targets:
    """What either knows; ``first`` where both do."""
    return tuple(b if math.isnan(a) else a for a, b in zip(first, second, strict=True))


def leaning(labels: Iterable[str], pleasant: frozenset[str], unpleasant: frozenset[str]) -> str:
    """The sentiment that emotions allow to conclude: ``mixed`` when they point both ways or nowhere."""
    found = set(labels)
    sides = bool(found & pleasant), bool(found & unpleasant)
    if not found or found == {"neutral"}:
        return "neutral"
    return {(True, False): "positive", (False, True): "negative"}.get(sides, "mixed")


def read_sentiment(row: Mapping[str, Any]) -> Targets:
    """A row of a sentiment set."""
    return sentiment(row["label"])


def read_emotions(row: Mapping[str, Any], *, annotated: tuple[str, ...] = EMOTIONS) -> Targets:
    """A row of an emotion set, with the sentiment that follows."""
    side = leaning(row["label"], PLEASANT, UNPLEASANT)
    return joined(emotions(row["label"], annotated), sentiment(side))


def read_goemotions(row: Mapping[str, Any]) -> Targets:
    """A row of GoEmotions: Ekman's six, and the sentiment by the finer labels."""
    return joined(emotions(row["label"], EKMAN), sentiment(leaning(row["orig"], GO_PLEASANT, GO_UNPLEASANT)))


def read_aspects(row: Mapping[str, Any]) -> Targets:
    """A row with targets: its sentiment where all of them have the same."""
    sides = {term["polarity"] for term in row["label"]}
    return sentiment(sides.pop()) if len(sides) == 1 else targets()


def read_banking(row: Mapping[str, Any]) -> Targets:
    """A question to a bank: whether something must have gone wrong for it to be asked."""
    if BANK_TROUBLE.search(row["label"]):
        return targets(risk=1.0)
    return targets(risk=0.0) if BANK_QUESTION.search(row["label"]) else targets()


def read_churn(row: Mapping[str, Any]) -> Targets:
    """A tweet that does or does not say that its writer leaves."""
    return targets(loyalty_switch=float(row["label"] == "churn"))


def read_complaint(row: Mapping[str, Any]) -> Targets:
    """A row of a complaint set."""
    return targets(risk=float(row["label"]))


Read = Callable[[Mapping[str, Any]], Targets]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSet:
    """One file: how its rows are read, its tier, how many training rows are taken, what its labels are worth."""

    name: str
    read: Read
    tier: str = "A"
    take: int | None = None
    weight: float = 1.0


def _sets(
    names: str, read: Read, *, tier: str = "A", take: int | None = None, weight: float = 1.0
) -> Iterator[PublicSet]:
    for name in names.split():
        yield PublicSet(name=name, read=read, tier=tier, take=take, weight=weight)


_ekman = partial(read_emotions, annotated=EKMAN)

PUBLIC: tuple[PublicSet, ...] = (
    *_sets("sentiment.ekt1-valence.et sentiment.uci-sentences.en sentiment.vader-tweets.en", read_sentiment),
    *_sets("sentiment.opensentimentcorpus.ru sentiment.gurbich-manual.uk", read_sentiment),
    *_sets("sentiment.fntm.lv sentiment.ltec.lv sentiment.nicemanis.lv", read_sentiment),
    *_sets("sentiment.umsab.de sentiment.sb10k.de sentiment.potts.de sentiment.afrisenti-mz.pt", read_sentiment),
    *_sets("sentiment.vader-amazon.en", read_sentiment),
    *_sets("sentiment.vader-nyt.en sentiment.vader-movies.en", read_sentiment, take=2000, weight=0.5),
    *_sets("sentiment.mobasa.de", read_sentiment, take=1500),
    *_sets("sentiment.polemo2-med-sent.pl", read_sentiment, take=6000),
    *_sets("sentiment.kajava-subtitles.fi sentiment.kajava-subtitles.fr sentiment.kajava-subtitles.it", read_sentiment),
    *_sets("sentiment.kajava-subtitles.en", read_sentiment, take=2000),
    *_sets("sentiment.xed-derived.et", read_sentiment, weight=0.5),
    *_sets("sentiment.xed-derived.fi", read_sentiment, take=3000, weight=0.5),
    *_sets("sentiment.brighter-derived.sv sentiment.brighter-derived.uk", read_sentiment, weight=0.7),
    *_sets("emotion.goemotions.en", read_goemotions, take=12000),
    *_sets("emotion.cedr.ru", partial(read_emotions, annotated=CEDR)),
    *_sets("emotion.brighter.en", partial(read_emotions, annotated=CEDR)),
    *_sets("emotion.brighter.ru emotion.brighter.de emotion.brighter.sv emotion.brighter.uk", _ekman),
    *_sets("emotion.brighter.es emotion.brighter.pt", _ekman),
    *_sets("emotion.kajava-subtitles.fi emotion.kajava-subtitles.fr emotion.kajava-subtitles.it", read_emotions),
    *_sets("emotion.kajava-subtitles.en", read_emotions, take=2000),
    *_sets("emotion.xed.et emotion.xed.ru", read_emotions, weight=0.5),
    *_sets("emotion.xed.en emotion.xed.fi emotion.xed.es", read_emotions, take=5000, weight=0.5),
    *_sets("emotion.xed.de emotion.xed.sv emotion.xed.pl", read_emotions, take=2500, weight=0.5),
    *_sets("emotion.xed.fr emotion.xed.it emotion.xed.pt", read_emotions, take=2500, weight=0.5),
    *_sets("aspect.newsmtsc.en aspect.rusentne2023.ru", read_aspects, take=2000, weight=0.5),
    *_sets("intent.banking77.en", read_banking, take=3000, weight=0.7),
    *_sets("intent.swisscom-churn.en intent.swisscom-churn.de", read_churn),
    # Analysis only: the ceiling learns from these too.
    *_sets("sentiment.umsab.en sentiment.umsab.fr sentiment.umsab.es", read_sentiment, tier="B"),
    *_sets("sentiment.umsab.it sentiment.umsab.pt", read_sentiment, tier="B"),
    *_sets("sentiment.swe-sentiment.sv sentiment.multiemotions-it.it", read_sentiment, tier="B"),
    *_sets("sentiment.semeval2017-4a.en", read_sentiment, tier="B", take=6000),
    *_sets("emotion.semeval2018-ec.en emotion.multiemotions-it.it", read_emotions, tier="B"),
    *_sets("complaint.us-airline-derived.en", read_complaint, tier="B", take=3000),
    *_sets("complaint.preotiuc.en", read_complaint, tier="C"),
    *_sets("sentiment.sentirueval2016-banks.ru sentiment.romip2012-quotes.ru", read_sentiment, tier="C", take=3000),
    *_sets("sentiment.sentirueval2016-telecom.ru sentiment.viksna.lv", read_sentiment, tier="C", take=3000),
    *_sets("sentiment.germeval2017.de", read_sentiment, tier="C"),
)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def rows_of(folder: Path, chosen: PublicSet, split: str, turn: int = 0) -> list[Row]:
    """The rows of one set's ``split`` that say something; of the training rows ``take``, by hash.

    Each ``turn`` takes the next ones, and begins again at the first where they end.
    """
    with gzip.open(folder / f"{chosen.name}{SUFFIX}", "rt", encoding="utf-8") as lines:
        raw = [row for row in map(json.loads, lines) if row["split"] == split]
    found = [
        Row(text=row["text"], language=row["lang"], origin=chosen.name, targets=chosen.read(row), weight=chosen.weight)
        for row in raw
    ]
    known = sorted((row for row in found if not all(map(math.isnan, row.targets))), key=lambda row: _hash(row.text))
    if split != "train" or chosen.take is None:
        return known
    first = turn * chosen.take % max(1, len(known))
    return (known[first:] + known[:first])[: chosen.take]


def public(folder: Path, split: str, tiers: str = "A", *, turn: int = 0) -> list[Row]:
    """The rows of all sets of ``tiers``; a text that several sets of one language label becomes one training row.

    Sets of tier A must be there; of the others those that are. ``turn`` is as in ``rows_of``. Training rows also have
    what our readers agree on (``completed``).
    """
    wanted = [chosen for chosen in PUBLIC if chosen.tier in tiers]
    there = [chosen for chosen in wanted if chosen.tier == "A" or (folder / f"{chosen.name}{SUFFIX}").is_file()]
    found = [row for chosen in there for row in rows_of(folder, chosen, split, turn)]
    if split != "train":
        return found
    return list(map(completed, merged(found)))


def merged(rows: Iterable[Row]) -> list[Row]:
    """One row a text of a language, with all that is known of it; of two labels the first one's."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row.language, row.text.casefold()
        before = found.get(key)
        found[key] = row if before is None else replace(before, targets=joined(before.targets, row.targets))
    return list(found.values())


def was_read(row: Row) -> bool:
    """Whether our readers read the text."""
    return readings.name_of(row.text) in readings.known()


def completed(row: Row) -> Row:
    """The row with what two readers agree on besides, where the text was read; its set's own labels stand."""
    besides = readings.known().get(readings.name_of(row.text))
    return row if besides is None else replace(row, targets=joined(row.targets, besides))


def learnt(folder: Path) -> list[Row]:
    """The public rows that training may have seen, each once: those of all turns."""
    return merged(row for turn in range(TURNS) for row in public(folder, "train", turn=turn))


def half(text: str, parts: int = 2) -> int:
    """Which of ``parts`` a text falls into, by its hash: always the same one."""
    return _hash(text)[-1] % parts


def own(split: str, authors: str | None = None) -> list[Row]:
    """Our own mentions: one author's are ``val``, those of a few more ``calibration``, the others' ``train``.

    Calibration is not a share of what was learnt from: of its own authors a model is too sure. With ``authors`` only
    theirs.
    """
    parts = {HELD_OUT: "val", **dict.fromkeys(CALIBRATION, "calibration")}
    found = []
    for mention in mentions():
        if parts.get(mention.author, "train") != split or mention.author not in (authors or mention.author):
            continue
        known = readings.outputs(mention.settled)
        found.append(Row(text=mention.text, language=mention.language, origin="own", targets=known))
    return found
