"""A proof in words, in English and Estonian: short sentences, each only where the numbers carry it. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from listener.alerts.detection.decompose import UNKNOWN, Decomposition, Dimension, Part
from listener.alerts.detection.evidence import BUDGET_MAX
from listener.alerts.detection.proof import Proof

CHANGE_MIN = 0.03  # of the share: where less has changed there is nothing to explain
VOICES_MIN = 5  # what a group must have now to be named
MOST = 0.5  # of the change: what a cause must explain to be named
SLACK = 0.05  # how much less of the change than of the mentions (midpoint) a cause may explain
REASON = 0.75  # of a contribution: what mix or within must be to be given as its reason
FEW, MANY = 0.5, 0.25  # of the evidence by the three loudest authors: a few people make it, or many do
MANY_VOICES = 10  # authors whom the sites name
MARGIN = 0.02  # how much the budget must be exceeded to speak of it
YEARS_MAX = 10  # a few weeks of history cannot tell of rarer things, whatever the arithmetic says
MONTHS_PER_YEAR = 12

LANGUAGES = {
    "de": ("German", "saksakeelsetest"),
    "en": ("English", "inglisekeelsetest"),
    "et": ("Estonian", "eestikeelsetest"),
    "fi": ("Finnish", "soomekeelsetest"),
    "lt": ("Lithuanian", "leedukeelsetest"),
    "lv": ("Latvian", "lätikeelsetest"),
    "ru": ("Russian", "venekeelsetest"),
    "sv": ("Swedish", "rootsikeelsetest"),
}
GENITIVES = {2: "kahe", 3: "kolme", 4: "nelja", 5: "viie"}  # of numerals: "ilma kolme autorita"

Pair = tuple[str, str]  # the same sentence in English and Estonian


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The group that most of a rise comes from."""

    dimension: Dimension
    change: float
    part: Part


def sentences(proof: Proof) -> Mapping[str, tuple[str, ...]]:
    """What an alert may add to its text, by language (ISO 639-1), the most useful first; none without grounds.

    Where the rise comes from, on how many authors it hangs, what was not counted, how rare it is.
    """
    found = [_where(proof), _who(proof), _repeats(proof), _stricter(proof), _rarity(proof)]
    pairs = [pair for pair in found if pair is not None]
    return {"en": tuple(english for english, _ in pairs), "et": tuple(estonian for _, estonian in pairs)}


def cause(proof: Proof) -> Cause | None:
    """The group that most of the rise comes from; of several the one that explains more than its size would.

    It must be known, one of several, large enough to tell, and give hardly less of the rise than of the mentions.
    """
    dimensions: tuple[tuple[Dimension, Decomposition], ...] = (
        ("source", proof.source),
        ("topic", proof.topic),
        ("language", proof.language),
    )
    best, most = None, -SLACK
    for dimension, found in dimensions:
        if found.change is None or found.change < CHANGE_MIN or len(found.parts) == 1:
            continue
        part = max(found.parts, key=lambda one: one.contribution)
        beyond_size = part.contribution / found.change - (part.weight_before + part.weight_after) / 2
        enough = part.weight_after * proof.voices >= VOICES_MIN and part.contribution > MOST * found.change
        if part.key != UNKNOWN and enough and beyond_size > most:
            best, most = Cause(dimension=dimension, change=found.change, part=part), beyond_size
    return best


def _where(proof: Proof) -> Pair | None:
    found = cause(proof)
    if found is None:
        return _moved(proof.source)
    part, whole = found.part, round(100 * found.change)
    points = round(100 * part.contribution)
    english_group, estonian_group = _group(found)
    if points >= whole:
        english = f"The whole rise ({whole} points) comes from {english_group}"
        estonian = f"Kogu tõus ({whole} punkti) tuleb {estonian_group}"
    else:
        english = f"Most of the rise ({points} of {whole} points) comes from {english_group}"
        estonian = f"Suurem osa tõusust ({points} punkti {whole}-st) tuleb {estonian_group}"
    if part.mix >= REASON * part.contribution:
        now, usual = f"{part.weight_after:.0%}", f"{part.weight_before:.0%}"
        english += f": {now} of all mentions now, usually {usual}"
        estonian += f": praegu {now} kõigist mainimistest, tavaliselt {usual}"
    elif part.within >= REASON * part.contribution and part.mean_before is not None and part.mean_after is not None:
        now, usual = f"{_within(part.mean_after):.0%}", f"{_within(part.mean_before):.0%}"
        english += f": {now} negative there now, usually {usual}"
        estonian += f": praegu on seal negatiivseid {now}, tavaliselt {usual}"
    return f"{english}.", f"{estonian}."


def _within(share: float) -> float:
    """A share of few mentions, reckoned from their risks, may lie beyond what a share can be."""
    return min(max(share, 0.0), 1.0)


def _moved(found: Decomposition) -> Pair | None:
    """That people speak elsewhere, rather than differently: only where nearly all of the change is that."""
    if found.change is None or found.change < CHANGE_MIN:
        return None
    if found.mix < REASON * found.change or math.fsum(abs(part.within) for part in found.parts) > found.change / 2:
        return None
    points, whole = round(100 * min(found.mix, found.change)), round(100 * found.change)
    return (
        f"Most of the rise ({points} of {whole} points) comes from where people speak now, not from what they say.",
        f"Suurem osa tõusust ({points} punkti {whole}-st) tuleb sellest, kus praegu räägitakse, mitte sellest, mida.",
    )


def _group(found: Cause) -> Pair:
    key = found.part.key
    match found.dimension:
        case "source":
            return key, f"allikast {key}"
        case "topic":
            return f"the topic {key}", f"teemast {key}"
        case "language":
            english, estonian = LANGUAGES.get(key, (None, None))
            return (
                f"mentions in {english}" if english else f"mentions in the language {key}",
                f"{estonian} mainimistest" if estonian else f"mainimistest keeles {key}",
            )


def _who(proof: Proof) -> Pair | None:
    if not proof.by_evidence:
        return None
    if proof.broad:
        return (
            "It is broad: it would have fired without its five loudest authors too.",
            "Rahulolematus on laialdane: häire oleks tulnud ka ilma viie kõige häälekama autorita.",
        )
    if proof.loudest_share < FEW:
        return _many(proof)
    match proof.loudest:
        case None | 0:
            return None
        case 1:
            return (
                "Without its loudest author it would not have fired.",
                "Ilma kõige häälekama autorita ei oleks häiret tulnud.",
            )
        case few:
            return (
                f"Without the {few} loudest authors it would not have fired.",
                f"Ilma {GENITIVES[few]} kõige häälekama autorita ei oleks häiret tulnud.",
            )


def _many(proof: Proof) -> Pair | None:
    """That no few people make it: where enough speak for that to mean something."""
    if proof.authors < MANY_VOICES or proof.loudest_share > MANY:
        return None
    share = f"{math.ceil(100 * proof.loudest_share)}%"
    return (
        f"Many say it: the three loudest authors make up {share} of the evidence.",
        f"Seda ütlevad paljud: kolm kõige häälekamat autorit annavad tõenditest {share}.",
    )


def _repeats(proof: Proof) -> Pair | None:
    match proof.repeats:
        case 0:
            return None
        case 1:
            return (
                "One more mention repeats an author or a conversation and was not counted.",
                "Veel üks mainimine kordab sama autorit või vestlust ja seda ei arvestatud.",
            )
        case more:
            return (
                f"{more} more mentions repeat authors or conversations and were not counted.",
                f"Veel {more} mainimist kordavad samu autoreid või vestlusi ja neid ei arvestatud.",
            )


def _stricter(proof: Proof) -> Pair | None:
    allowed = proof.counterfactual.budget
    if not proof.by_evidence or allowed is None or not proof.budget + MARGIN <= allowed < BUDGET_MAX:
        return None
    # Rounded down: what is said must be true of the rounded figure too.
    figure, budget = f"{math.floor(100 * allowed)}%", f"{proof.budget:.0%}"
    return (
        f"It would have fired even with a budget of {figure}; the budget is {budget}.",
        f"Häire oleks tulnud ka siis, kui negatiivseid tohiks olla {figure}; praegu tohib {budget}.",
    )


def _rarity(proof: Proof) -> Pair | None:
    per_month = proof.counterfactual.false_alarms_per_month
    if not proof.by_evidence or per_month is None or per_month > 1:
        return None
    months = YEARS_MAX * MONTHS_PER_YEAR if per_month == 0 else min(YEARS_MAX * MONTHS_PER_YEAR, int(1 / per_month))
    years = months // MONTHS_PER_YEAR
    if years >= 2:  # noqa: PLR2004 -- below that, months are clearer
        english, estonian = f"{years} years", f"{years} aasta"
    elif months > 1:
        english, estonian = f"{months} months", f"{months} kuu"
    else:
        english, estonian = "a month", "kuu"
    return (
        f"If all were well, so much evidence would come at most once in {english} on average.",
        f"Kui kõik oleks korras, koguneks nii palju tõendeid keskmiselt ülimalt kord {estonian} jooksul.",
    )
