"""What detection counts: one voice at a time, once, in the order in which it came."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Repeats(StrEnum):
    """What a voice repeats that was counted within a day before: it is shown, and weighs nothing as evidence."""

    AUTHOR = "author"
    CONVERSATION = "conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """A voice that has an assessment and was not counted yet.

    ``risk`` is the calibrated probability of a negative experience (0..1), ``negative`` whether it counts as one,
    ``polarity`` -1..1. ``author`` and ``conversation`` are keys, not names: equal for the same author or thread of one
    source, None when the site does not tell. ``topic`` is the first of the brand's topics that the text matches;
    ``doubtful`` that the model was in doubt about the risk: such a mention counts, and proves nothing alone.
    """

    mention: str
    source: str
    at: datetime
    risk: float
    negative: bool
    polarity: float
    lang: str | None = None
    topic: str | None = None
    author: str | None = None
    conversation: str | None = None
    reach: int | None = None
    repeats: Repeats | None = None
    doubtful: bool = False

    @property
    def weighs(self) -> bool:
        """Whether it is a voice of its own: one vote per author and per conversation a day."""
        return self.repeats is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote(Ballot):
    """A counted ballot: a row of the ledger, never changed afterwards, so that every decision can be replayed.

    ``position`` counts 1, 2, 3, ... within the brand. ``budget`` and ``deff`` (and the same for the rate of
    deterioration, where one is set) were in force when it was counted. ``news`` tells whether it was young enough to be
    evidence; an older one is history and teaches the baseline only.
    """

    position: int
    counted_at: datetime
    news: bool
    budget: float
    deff: float
    rate_budget: float | None = None
    rate_deff: float | None = None


class Sums(NamedTuple):
    """Votes added up over the stretch of time numbered ``slot``.

    ``n`` votes, ``x`` what the rule counts of them (risk or label), ``y`` their dissatisfaction, (1 - polarity) / 2.
    """

    slot: int
    n: float = 0.0
    negative: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    y: float = 0.0
    yy: float = 0.0

    def plus(self, other: "Sums") -> "Sums":
        """Both together, in this one's slot."""
        return Sums(
            self.slot,
            self.n + other.n,
            self.negative + other.negative,
            self.x + other.x,
            self.xx + other.xx,
            self.y + other.y,
            self.yy + other.yy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Six hours of a brand's votes, as they are kept; ``left_out`` when an alert fired then."""

    sums: Sums
    left_out: bool = False
