"""One vote per author, and per conversation, in 24 hours: which voices only repeat one that was counted. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from listener.domain.votes import Ballot, Repeats

REPEAT = timedelta(hours=24)  # one vote per author, and per conversation, in so long

Spoken = dict[tuple[Repeats, str], list[datetime]]  # when an author, and a conversation, had their votes


def key_of(one: Ballot, what: Repeats) -> str | None:
    """The author or the conversation, as far as the site tells."""
    return one.author if what is Repeats.AUTHOR else one.conversation


def repeated(ballots: Iterable[Ballot], spoken: Spoken) -> dict[str, Repeats]:
    """Which of these (of one brand) repeat a voice that had a vote within a day, by mention.

    ``spoken`` are the votes that were counted before; those that count now are added to it.
    """
    found: dict[str, Repeats] = {}
    for one in sorted(ballots, key=lambda ballot: (ballot.at, ballot.mention)):
        keys = [(what, key) for what in Repeats if (key := key_of(one, what)) is not None]
        again = [what for what, key in keys if _near(spoken.get((what, key), ()), one.at)]
        if again:
            found[one.mention] = again[0]
            continue
        for each in keys:
            spoken.setdefault(each, []).append(one.at)
    return found


def repeated_by_brand(
    found: Iterable[tuple[str, Ballot]], spoken: Mapping[str, Spoken]
) -> dict[tuple[str, str], Repeats]:
    """The same for ballots of several brands, by (brand, mention)."""
    by_brand: dict[str, list[Ballot]] = {}
    for brand, one in found:
        by_brand.setdefault(brand, []).append(one)
    return {
        (brand, mention): kind
        for brand, ballots in by_brand.items()
        for mention, kind in repeated(ballots, spoken.get(brand, {})).items()
    }


def _near(times: Iterable[datetime], at: datetime) -> bool:
    return any(abs(at - other) < REPEAT for other in times)
