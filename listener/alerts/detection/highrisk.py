"""One mention that may do harm by itself: what it says is bad, and many people see it. Pure.

Its weight is risk x reach: of so many people, how many see somebody's negative experience, by expectation (``risk`` is
a calibrated probability; ``reach`` counts people who may see it, not those who did). It fires from ``weight_min`` on.
An author of great reach fires below that too, once the model finds a negative experience more likely than not.

Nothing fires without a known reach, where the mention does not count as negative, or where the model is in doubt: such
a mention counts in the shares and proves nothing alone. A repeated voice may fire: who is seen by many is seen again.
Copies never arrive here, and the caller passes news only, each mention once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from listener.domain import Severity
from listener.domain.votes import Ballot

CRITICAL_WEIGHTS = 10  # times weight_min


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mention that fires. ``weight`` is in people; ``great`` tells that its author's reach alone is enough."""

    ballot: Ballot
    weight: float
    great: bool
    severity: Severity
    reason: str


def weigh(ballot: Ballot, *, weight_min: float, reach_great: int, risk_min: float = 0.5) -> Finding | None:
    """What one mention is worth alone; None when it does not fire.

    ``weight_min`` and ``reach_great`` are in people; ``risk_min`` (0..1) is asked of an author of great reach only, for
    the weight has the risk in it. Critical is a great reach, and a weight of ten times ``weight_min``.
    """
    if ballot.reach is None or not ballot.negative or ballot.doubtful:
        return None
    weight = ballot.risk * ballot.reach
    great = ballot.reach >= reach_great and ballot.risk >= risk_min
    if weight < weight_min and not great:
        return None
    critical = great or weight >= CRITICAL_WEIGHTS * weight_min
    why = [f"One mention at {ballot.source}, risk {ballot.risk:.2f}, may be seen by {ballot.reach:,} people"]
    if great:
        why.append(f"a great reach begins at {reach_great:,}")
    compare = "reaches" if weight >= weight_min else "is below"
    why.append(f"its weight of {weight:,.0f} (risk x reach) {compare} the limit of {weight_min:,.0f}")
    return Finding(
        ballot=ballot,
        weight=weight,
        great=great,
        severity=Severity.CRITICAL if critical else Severity.WARNING,
        reason="; ".join(why) + ".",
    )


def judge(ballots: Iterable[Ballot], *, weight_min: float, reach_great: int, risk_min: float = 0.5) -> Finding | None:
    """The heaviest of all that fire: a critical one before any warning; of equals the earlier, then the lower id."""
    found = (weigh(ballot, weight_min=weight_min, reach_great=reach_great, risk_min=risk_min) for ballot in ballots)
    return min(
        (one for one in found if one is not None),
        key=lambda one: (-one.severity.rank, -one.weight, one.ballot.at, one.ballot.mention),
        default=None,
    )
