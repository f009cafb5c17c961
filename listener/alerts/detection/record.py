"""What is kept of a decision so that it can be shown, and made again from the ledger to the last bit. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from listener.alerts.detection import standing as standings
from listener.alerts.detection import sums
from listener.alerts.detection.detect import detect
from listener.alerts.detection.market import Market
from listener.alerts.detection.proof import Proof
from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.standing import Origin
from listener.domain import Signal, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One decision of the rule ``deterioration``, and ``signal``, what it found.

    ``rule`` are its options, ``standing`` how the brand stood (as JSON values), ``origin`` where to begin to fold the
    evidence again: after that position, up to the signal's. ``firing`` tells whether an alert fired already,
    ``blind`` whether sources failed then.
    """

    decided_at: datetime
    signal: Signal
    rule: dict[str, Any]
    standing: dict[str, Any]
    origin: Origin
    proof: Proof | None = None
    market: Market | None = None
    firing: bool = False
    blind: bool = False


RECENT = timedelta(hours=26)  # what the sums of a standing reach back
SIGNAL = TypeAdapter(Signal)
RECORD = TypeAdapter(Record)  # reads and writes it as JSON values, exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was done again: what it was, what was kept, what came out, and whether they are equal."""

    what: str
    kept: str
    again: str

    @property
    def same(self) -> bool:
        """To the last bit."""
        return self.kept == self.again


def check(record: Record, votes: Sequence[Vote], recent: Sequence[Vote]) -> tuple[Check, ...]:
    """Decide again from the ledger: every figure must come out as it was kept.

    ``votes`` are those after the record's origin, ``recent`` those that were said from ``RECENT`` before the decision
    on; both up to ``record.signal.position``, in order. The evidence is folded from the origin, the last hours are
    added up, and the rule judges again.
    """
    rule, signal = Deterioration.model_validate(record.rule), record.signal
    kept = standings.from_json(record.standing)
    wealth, wealth_rate = standings.folded(record.origin, votes, rule)
    ticks, hours = sums.last_hours(recent, rule, kept.tick)
    again = detect(
        rule,
        brand=signal.brand,
        standing=replace(kept, wealth=wealth, wealth_rate=wealth_rate, ticks=ticks, hours=hours),
        now=record.decided_at,
        firing=record.firing,
        blind=record.blind,
    )
    last = votes[-1].position if votes else record.origin.position
    return (
        Check(what="votes", kept=str(kept.position), again=str(last)),
        Check(what="evidence", kept=repr(kept.wealth), again=repr(wealth)),
        Check(what="evidence of the rate", kept=repr(kept.wealth_rate), again=repr(wealth_rate)),
        Check(what="the last two hours", kept=repr(kept.ticks), again=repr(ticks)),
        Check(what="the last day", kept=repr(kept.hours), again=repr(hours)),
        Check(what="decision", kept=_text(signal), again=_text(again)),
    )


def _text(signal: Signal) -> str:
    """All of it, floats to the last bit; times compare by the instant, not by how their zone is written."""
    return SIGNAL.dump_json(signal).decode()
