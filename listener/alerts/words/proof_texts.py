"""A proof in words: short sentences, each only where the numbers carry it. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from listener.alerts.detection.decompose import UNKNOWN, Decomposition, Dimension, Part
from listener.alerts.detection.evidence import BUDGET_MAX
from listener.alerts.detection.proof import Proof
from listener.alerts.words.languages import LANGUAGES, Tongue, percent, short, tongue

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The group that most of a rise comes from."""

    dimension: Dimension
    change: float
    part: Part


def sentences(proof: Proof) -> Mapping[str, tuple[str, ...]]:
    """What an alert may add to its text, by language (ISO 639-1), the most useful first; none without grounds.

    Where the rise comes from, on how many authors it hangs, how rare it is, what was not counted, how strict we are.
    """
    return {code: _sentences(tongue(code), proof) for code in LANGUAGES}


def _sentences(t: Tongue, proof: Proof) -> tuple[str, ...]:
    found = (_where(t, proof), _who(t, proof), _rarity(t, proof), _repeats(t, proof), _stricter(t, proof))
    return tuple(sentence for sentence in found if sentence is not None)


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


def _where(t: Tongue, proof: Proof) -> str | None:
    found = cause(proof)
    if found is None:
        return _moved(t, proof.source)
    part, whole = found.part, round(100 * found.change)
    points, group = round(100 * part.contribution), _group(t, found)
    if points >= whole:
        said = t.many(
            "The whole rise ({count} point) comes from {group}",
            "The whole rise ({count} points) comes from {group}",
            whole,
            group=group,
        )
    else:
        said = t.many(
            "Most of the rise ({points} of {count} point) comes from {group}",
            "Most of the rise ({points} of {count} points) comes from {group}",
            whole,
            points=str(points),
            group=group,
        )
    if part.mix >= REASON * part.contribution:
        now, usual = percent(part.weight_after), percent(part.weight_before)
        return t.say("{said}: {now} of all mentions now, usually {usual}.", said=said, now=now, usual=usual)
    if part.within >= REASON * part.contribution and part.mean_before is not None and part.mean_after is not None:
        now, usual = percent(_within(part.mean_after)), percent(_within(part.mean_before))
        return t.say("{said}: {now} negative there now, usually {usual}.", said=said, now=now, usual=usual)
    return f"{said}."


def _within(share: float) -> float:
    """A share of few mentions, reckoned from their risks, may lie beyond what a share can be."""
    return min(max(share, 0.0), 1.0)


def _moved(t: Tongue, found: Decomposition) -> str | None:
    """That people speak elsewhere, rather than differently: only where nearly all of the change is that."""
    if found.change is None or found.change < CHANGE_MIN:
        return None
    if found.mix < REASON * found.change or math.fsum(abs(part.within) for part in found.parts) > found.change / 2:
        return None
    points, whole = round(100 * min(found.mix, found.change)), round(100 * found.change)
    return t.many(
        "Most of the rise ({points} of {count} point) comes from where people speak now, not from what they say.",
        "Most of the rise ({points} of {count} points) comes from where people speak now, not from what they say.",
        whole,
        points=str(points),
    )


def _group(t: Tongue, found: Cause) -> str:
    """As it stands after "comes from"."""
    key = short(found.part.key)
    match found.dimension:
        case "source":
            return t.word("comes from", "{source}", source=key)
        case "topic":
            return t.word("comes from", "the topic {topic}", topic=key)
        case "language":
            return _spoken(t, key)


def _spoken(t: Tongue, code: str) -> str:  # noqa: PLR0911 -- one for each language that we know the name of
    """Mentions in a language, as they stand after "comes from"."""
    match code:
        case "de":
            return t.word("comes from", "mentions in German")
        case "en":
            return t.word("comes from", "mentions in English")
        case "et":
            return t.word("comes from", "mentions in Estonian")
        case "fi":
            return t.word("comes from", "mentions in Finnish")
        case "lt":
            return t.word("comes from", "mentions in Lithuanian")
        case "lv":
            return t.word("comes from", "mentions in Latvian")
        case "ru":
            return t.word("comes from", "mentions in Russian")
        case "sv":
            return t.word("comes from", "mentions in Swedish")
        case _:
            return t.word("comes from", "mentions in the language {code}", code=code)


def _who(t: Tongue, proof: Proof) -> str | None:
    if not proof.by_evidence:
        return None
    if proof.broad:
        return t.say("It is broad: it would have fired without its five loudest authors too.")
    if proof.loudest_share < FEW:
        return _many(t, proof)
    if not proof.loudest:
        return None
    return t.many(
        "Without its loudest author it would not have fired.",
        "Without the {count} loudest authors it would not have fired.",
        proof.loudest,
    )


def _many(t: Tongue, proof: Proof) -> str | None:
    """That no few people make it: where enough speak for that to mean something."""
    if proof.authors < MANY_VOICES or proof.loudest_share > MANY:
        return None
    # Rounded up: what is said must be true of the rounded figure too.
    share = percent(math.ceil(100 * proof.loudest_share) / 100)
    return t.say("Many say it: the three loudest authors make up {share} of the evidence.", share=share)


def _repeats(t: Tongue, proof: Proof) -> str | None:
    if not proof.repeats:
        return None
    return t.many(
        "One more mention repeats an author or a conversation and was not counted.",
        "{count} more mentions repeat authors or conversations and were not counted.",
        proof.repeats,
    )


def _stricter(t: Tongue, proof: Proof) -> str | None:
    allowed = proof.counterfactual.budget
    if not proof.by_evidence or allowed is None or not proof.budget + MARGIN <= allowed < BUDGET_MAX:
        return None
    # Rounded down: what is said must be true of the rounded figure too.
    return t.say(
        "It would have fired even with a budget of {figure}; the budget is {budget}.",
        figure=percent(math.floor(100 * allowed) / 100),
        budget=percent(proof.budget),
    )


def _rarity(t: Tongue, proof: Proof) -> str | None:
    per_month = proof.counterfactual.false_alarms_per_month
    if not proof.by_evidence or per_month is None or per_month > 1:
        return None
    months = YEARS_MAX * MONTHS_PER_YEAR if per_month == 0 else min(YEARS_MAX * MONTHS_PER_YEAR, int(1 / per_month))
    years = months // MONTHS_PER_YEAR
    if years >= 2:  # noqa: PLR2004 -- below that, months are clearer
        return t.many(
            "If all were well, so much evidence would come at most once in a year on average.",
            "If all were well, so much evidence would come at most once in {count} years on average.",
            years,
        )
    return t.many(
        "If all were well, so much evidence would come at most once in a month on average.",
        "If all were well, so much evidence would come at most once in {count} months on average.",
        months,
    )
