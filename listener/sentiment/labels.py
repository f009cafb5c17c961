"""What a model's outputs mean: its label names mapped to our heads, and its logits read as an assessment. Pure.

A model names its outputs in ``id2label`` of its config.json. We read these names, in any case:

- ``negative``, ``neutral``, ``positive`` (also ``neg``, ``neu``, ``pos``), and ``1 star`` ... ``5 stars`` (1-2
  negative, 3 neutral, 4-5 positive). Several outputs may mean one sentiment: their probabilities add up. A model
  without neutral gives it probability 0.
- a model with several heads prefixes them: ``sentiment/negative``, ``emotions/anger`` (one of ``EMOTIONS``),
  ``loyalty/warn`` (one of ``LOYALTY``), and has the single outputs ``risk`` and ``wish``.

Names that say nothing (``LABEL_0``) or other words are mapped to these names by the operator. The outputs of sentiment
are softmaxed among themselves, each other output is a sigmoid of its own. A head that the model lacks stays None.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from listener.domain import Assessment, Probabilities, Sentiment
from listener.errors import ConfigError, Fault
from listener.sentiment.batching import weighted_mean

EMOTIONS = ("anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust")  # Plutchik 1980
LOYALTY = ("repurchase", "recommend", "switch", "warn")
NAMES = {spelling: label for label in Sentiment for spelling in (label.value, label.value[:3])}
STARS = re.compile(r"([1-5]) stars?")
STARS_MEAN = (Sentiment.NEGATIVE, Sentiment.NEGATIVE, Sentiment.NEUTRAL, Sentiment.POSITIVE, Sentiment.POSITIVE)
KNOWN = "negative, neutral, positive, '1 star'..'5 stars', sentiment/*, emotions/*, loyalty/*, risk or wish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Which output (its place among the logits) belongs to which head."""

    sentiment: Mapping[Sentiment, tuple[int, ...]]
    emotions: Mapping[str, int]
    loyalty: Mapping[str, int]
    risk: int | None
    wish: int | None


def sentiment_named(name: str) -> Sentiment | None:
    """The sentiment that a label's name says, or None."""
    stars = STARS.fullmatch(name)
    return STARS_MEAN[int(stars[1]) - 1] if stars else NAMES.get(name)


def read_heads(id2label: Mapping[int, str], labels: Mapping[str, str]) -> Heads:
    """Give each output of a model its head; ``labels`` (``scoring.labels``) maps the model's own names to ours.

    Raises ConfigError with every name that means nothing, and when negative or positive is missing.
    """
    faults = [
        Fault(path=f"scoring.labels.{name}", problem="the model has no such label", fix=f"it has {_list(id2label)}")
        for name in labels
        if name not in id2label.values()
    ]
    sentiment: dict[Sentiment, list[int]] = {}
    groups: dict[str, dict[str, int]] = {"emotions": {}, "loyalty": {}, "risk": {}, "wish": {}}
    members = {"emotions": EMOTIONS, "loyalty": LOYALTY, "risk": ("",), "wish": ("",)}
    for place, own_name in sorted(id2label.items()):
        name = labels.get(own_name, own_name).strip().lower()
        head, _, member = name.partition("/")
        meant = sentiment_named(member if head == "sentiment" else name)
        if meant is not None:
            sentiment.setdefault(meant, []).append(place)
        elif member in members.get(head, ()) and member not in groups[head]:
            groups[head][member] = place
        else:
            faults.append(_unknown(own_name, name))
    missing = [label.value for label in (Sentiment.NEGATIVE, Sentiment.POSITIVE) if label not in sentiment]
    if missing and not faults:
        problem = f"none of the model's labels ({_list(id2label)}) means {' or '.join(missing)}"
        faults.append(Fault(path="scoring.model", problem=problem, fix="name a model that was trained for sentiment"))
    if faults:
        raise ConfigError(faults)
    return Heads(
        sentiment={label: tuple(places) for label, places in sentiment.items()},
        emotions=groups["emotions"],
        loyalty=groups["loyalty"],
        risk=groups["risk"].get(""),
        wish=groups["wish"].get(""),
    )


def _list(id2label: Mapping[int, str]) -> str:
    return ", ".join(repr(id2label[place]) for place in sorted(id2label))


def _unknown(own_name: str, name: str) -> Fault:
    said = f"the label {own_name!r}" if own_name.strip().lower() == name else f"{name!r}, for the label {own_name!r},"
    return Fault(
        path=f"scoring.labels.{own_name}",
        problem=f"{said} has no meaning here, or it was given twice",
        fix=f"map it in scoring.labels to one of: {KNOWN}",
    )


def read_logits(logits: Sequence[float], heads: Heads, *, model: str) -> Assessment:
    """The assessment that one text's (finite) logits make."""
    places = [place for group in heads.sentiment.values() for place in group]
    top = max(logits[place] for place in places)
    weights = {place: math.exp(logits[place] - top) for place in places}
    total = sum(weights.values())
    share = {label: sum(weights[place] for place in group) / total for label, group in heads.sentiment.items()}
    return Assessment(
        probabilities=Probabilities(**{label.value: share.get(label, 0.0) for label in Sentiment}),
        model=model,
        risk=None if heads.risk is None else sigmoid(logits[heads.risk]),
        emotions={name: sigmoid(logits[place]) for name, place in heads.emotions.items()} or None,
        loyalty={name: sigmoid(logits[place]) for name, place in heads.loyalty.items()} or None,
        wish=None if heads.wish is None else sigmoid(logits[heads.wish]),
    )


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow."""
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


def pool(parts: Sequence[Assessment], tokens: Sequence[int]) -> Assessment:
    """One assessment of a long text from those of its windows, which have no labels yet.

    The sentiment is that of the whole: the mean of the probabilities, weighted by tokens. Risk, emotions, loyalty and
    wish are the highest of any window: what is told anywhere in a text is told.
    """
    if len(parts) == 1:
        return parts[0]
    shares = {
        label.value: weighted_mean([getattr(part.probabilities, label.value) for part in parts], tokens)
        for label in Sentiment
    }
    return Assessment(
        probabilities=Probabilities(**shares),
        model=parts[0].model,
        risk=_highest([part.risk for part in parts]),
        emotions=_highest_each([part.emotions for part in parts]),
        loyalty=_highest_each([part.loyalty for part in parts]),
        wish=_highest([part.wish for part in parts]),
    )


def _highest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _highest_each(values: Sequence[Mapping[str, float] | None]) -> Mapping[str, float] | None:
    present = [value for value in values if value is not None]
    return {name: max(value[name] for value in present) for name in present[0]} if present else None
