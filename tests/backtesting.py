"""Made-up histories of votes: seeds decide."""

import random
from datetime import UTC, datetime, timedelta

from listener.backtest import Heard
from listener.domain import Ballot

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday


def ballot(name: str, at: datetime, *, negative: bool = False, **changes: object) -> Ballot:
    """A voice that is sure of itself."""
    values: dict[str, object] = {
        "mention": name,
        "source": "forum",
        "at": at,
        "risk": 0.9 if negative else 0.05,
        "negative": negative,
        "polarity": -0.8 if negative else 0.5,
    }
    return Ballot(**{**values, **changes})  # type: ignore[arg-type]


def history(
    days: int, per_day: int, share: float = 0.15, *, bad: range = range(0), bad_share: float = 0.7, seed: int = 1
) -> list[Heard]:
    """So many votes a day between 6 and 23 o'clock; on days in ``bad`` more of them are complaints."""
    rng = random.Random(seed)
    found = []
    for day in range(days):
        for number in range(per_day):
            at = START + timedelta(days=day, seconds=rng.randrange(6 * 3600, 23 * 3600))
            negative = rng.random() < (bad_share if day in bad else share)
            risk = rng.uniform(0.6, 1.0) if negative else rng.uniform(0.0, 0.2)
            one = ballot(
                f"{day}-{number}",
                at,
                negative=negative,
                risk=risk,
                author=f"a{rng.randrange(5 * per_day)}",
                conversation=f"c{day}-{rng.randrange(5 * per_day)}",
            )
            found.append(Heard(at, one))
    return sorted(found, key=lambda one: (one.at, one.ballot.mention))
