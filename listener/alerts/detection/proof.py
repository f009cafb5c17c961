"""Why an alert fired, so that anybody can check it: its evidence again, vote by vote, and what it hangs on. Pure.

Everything here follows from rows of the ledger (`Vote`), which never change. The evidence is folded by the same
functions, from the same floats, in the same order as when it was decided, so it comes out the same to the last bit.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter

from listener.alerts.detection import evidence
from listener.alerts.detection.budget import TICK_SECS, Usual, share
from listener.alerts.detection.decompose import Decomposition, Dimension, Group, decompose, groups_of, x_of
from listener.alerts.detection.evidence import Wealth
from listener.alerts.detection.standing import Origin
from listener.alerts.detection.sums import y_of
from listener.domain import Vote

AUTHORS_MAX = 5  # the loudest so many may be left out to see what an alert hangs on
LOUDEST = 3  # authors whose part is told
TOP = 5  # mentions that are shown
BUDGET_STEPS = 1000  # the counterfactual budget is found to a tenth of a percentage point
EVIDENCE_MIN = math.log(10)  # no limit is lower (see evidence.needed)

AuthorKey = tuple[str, str]  # (source, author)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Where the evidence stood after the votes of one tick, or after the last vote, at ``position``.

    ``evidence`` is a natural logarithm. ``wealth`` is that of the bettors on the share of negative mentions,
    ``wealth_rate`` of those on the fall of perception, None where no such limit is set.
    """

    tick: int
    position: int
    counted_at: datetime
    evidence: float
    wealth: Wealth
    wealth_rate: Wealth | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one vote added to the evidence: ``gain`` in natural logarithms, negative when it spoke against it.

    ``x`` (0..1) is what was bet on, ``share`` the part of all that was gained; both gain and share are 0 for a vote
    that only repeats.
    """

    mention: str
    source: str
    position: int
    x: float
    gain: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """How much stricter we could have been: with these figures it would still just have fired.

    ``budget`` is the largest budget share (0..1, to 0.001; at most 0.98), ``false_alarms_per_month`` the smallest
    budget of false alarms. None: it did not fire by its evidence at all.
    """

    budget: float | None
    false_alarms_per_month: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All that an alert proves of itself.

    ``first_position`` and ``last_position`` are the votes it rests on, ``replay_key`` the digest of those rows and of
    the ``evidence`` that they gave (ln; it fires at ``limit``). ``since_at`` is the onset; ``voices`` (each counted
    once), ``repeats`` of them, and distinct ``authors`` are of the time since then, and so is ``anonymous``: voices
    whose author the site does not tell. ``loudest`` is without how many authors it would not have fired: 0 when it did
    not fire by its evidence, None when leaving out five is not enough; when an alert has just fired few are enough,
    whoever they are, so ``loudest_share`` says what part (0..1) of all that was gained the three loudest authors added.
    ``broad``: it would have fired even without
    the five loudest authors and without every vote whose author is not known. ``budget`` is the last in force.
    """

    first_position: int
    last_position: int
    replay_key: str
    evidence: float
    limit: float
    budget: float
    since_at: datetime
    voices: int
    repeats: int
    authors: int
    anonymous: int
    loudest: int | None
    loudest_share: float
    broad: bool
    source: Decomposition
    language: Decomposition
    topic: Decomposition
    top: tuple[Contribution, ...]
    counterfactual: Counterfactual

    @property
    def by_evidence(self) -> bool:
        """Whether the evidence alone was enough to fire."""
        return self.evidence >= self.limit


def prove(
    votes: Sequence[Vote],
    *,
    before: Mapping[Dimension, Sequence[Group]],
    since_at: datetime,
    limit: float,
    ticks_per_month: float,
    use_risk: bool,
    usual: Usual | None = None,
    origin: Origin | None = None,
) -> Proof:
    """The proof of an alert from its votes, by position, from where the evidence restarted to the last one counted.

    ``before`` are the sums of the usual time, ``since_at`` is the onset, ``limit`` ln A. With ``usual`` all shares and
    budgets are true shares, as `budget.share` has them, else means of x. Raises ValueError without votes. It folds the
    votes about twenty times: about a second for 20,000 of them.
    """
    if not votes:
        raise ValueError("an alert without votes has no proof")
    looks = replay(votes, use_risk=use_risk, origin=origin)
    judged = [vote for vote in votes if vote.news and vote.counted_at >= since_at]
    voices = [vote for vote in judged if vote.weighs]
    without = without_authors(votes, limit=limit, use_risk=use_risk, origin=origin)
    known = [vote for vote in votes if vote.author is not None]
    closest = counterfactual(votes, limit=limit, ticks_per_month=ticks_per_month, use_risk=use_risk, origin=origin)

    def change(dimension: Dimension) -> Decomposition:
        after = groups_of(judged, dimension, use_risk=use_risk)
        return decompose(_scaled(before.get(dimension, ()), usual), _scaled(after, usual))

    return Proof(
        first_position=votes[0].position,
        last_position=votes[-1].position,
        replay_key=replay_key(votes, use_risk=use_risk, origin=origin),
        evidence=looks[-1].evidence if looks else 0.0,
        limit=limit,
        budget=_share(votes[-1].budget, usual),
        since_at=since_at,
        voices=len(voices),
        repeats=len(judged) - len(voices),
        authors=len({_author(vote) for vote in voices if vote.author is not None}),
        anonymous=sum(vote.author is None for vote in voices),
        loudest=None if without is None else len(without),
        loudest_share=_loudest_share(judged, looks[-1], use_risk=use_risk) if looks else 0.0,
        broad=without_authors(known, limit=limit, use_risk=use_risk, origin=origin) is None,
        source=change("source"),
        language=change("language"),
        topic=change("topic"),
        top=tuple(contributions(votes, since_at=since_at, use_risk=use_risk, origin=origin)[:TOP]),
        counterfactual=replace(closest, budget=None if closest.budget is None else _share(closest.budget, usual)),
    )


def _share(mean: float, usual: Usual | None) -> float:
    return mean if usual is None else share(mean, usual)


def _scaled(groups: Iterable[Group], usual: Usual | None) -> list[Group]:
    """The groups with their means of x as shares: a straight line, so that parts add up as before."""
    if usual is None:
        return list(groups)
    return [
        replace(one, total=one.count * usual.mean + (one.total - one.count * usual.mean) / usual.sharpness)
        for one in groups
    ]


def replay(votes: Sequence[Vote], *, use_risk: bool, origin: Origin | None = None) -> list[Look]:
    """The path of the evidence, one look for each tick in which somebody spoke, as the daemon folded it.

    ``votes`` come by position; those up to ``origin``, where the evidence stood before, are passed over (by default
    there was none). The last look is after the last vote, wherever in its tick that was. Bets are on x = risk
    (``use_risk``) or negative, and, where a vote has a ``rate_budget``, also on dissatisfaction (1 - polarity) / 2; the
    evidence is then the mean of both.
    """
    return _fold(votes, use_risk=use_risk, origin=origin)


def replay_key(votes: Sequence[Vote], *, use_risk: bool, origin: Origin | None = None) -> str:
    """A digest (64 bits, hexadecimal) of ``origin``, of what decides in ``votes``, and of the evidence, exactly."""
    digest = hashlib.sha256(repr(origin).encode())
    for vote in votes:
        x, y = x_of(vote, use_risk=use_risk), y_of(vote)
        row = (vote.position, vote.mention, int(vote.counted_at.timestamp()), vote.news, vote.weighs, x, y)
        digest.update(repr((*row, vote.budget, vote.deff, vote.rate_budget, vote.rate_deff)).encode())
    looks = _fold(votes, use_risk=use_risk, origin=origin)
    digest.update((looks[-1].evidence if looks else 0.0).hex().encode())
    return digest.hexdigest()[:16]


def together(wealth: Wealth, wealth_rate: Wealth | None) -> float:
    """The evidence (ln) of one stream or both."""
    share = evidence.evidence(wealth)
    return share if wealth_rate is None else evidence.log_mean([share, evidence.evidence(wealth_rate)])


def onset_at(look: Look) -> datetime:
    """When the trouble began, as the stream tells it that has more evidence: the start of that tick."""
    return datetime.fromtimestamp(evidence.onset(_ahead(look)) * TICK_SECS, tz=UTC)


def without_authors(
    votes: Sequence[Vote], *, limit: float, use_risk: bool, origin: Origin | None = None
) -> tuple[AuthorKey, ...] | None:
    """The authors without whose votes the evidence stays below ``limit``, the loudest first; None if five are too few.

    They are found greedily: leave out the author whose votes added most, fold again, and so on. Empty: it does not
    reach the limit with all of them. A vote without an author cannot be left out. What repeats a vote that is left out
    stays a repeat; it does not come to count in its stead.
    """
    left_out: list[AuthorKey] = []
    rest = list(votes)
    while True:
        looks = _fold(rest, use_risk=use_risk, origin=origin)
        highest = max(looks, key=lambda look: look.evidence, default=None)
        if highest is None or highest.evidence < limit:
            return tuple(left_out)
        loudest = _loudest(rest, highest, use_risk=use_risk)
        if loudest is None or len(left_out) == AUTHORS_MAX:
            return None
        left_out.append(loudest)
        rest = [vote for vote in rest if vote.author is None or _author(vote) != loudest]


def counterfactual(
    votes: Sequence[Vote], *, limit: float, ticks_per_month: float, use_risk: bool, origin: Origin | None = None
) -> Counterfactual:
    """How much larger the budget, and how much smaller the budget of false alarms, with the alert still firing.

    The budget is one for all votes, whenever they were counted; the more is allowed, the less evidence there is, so it
    is found by bisection. A limit on the fall of perception stays as it was, and so does what stood at ``origin``.
    """

    def peak(budget: float | None) -> float:
        looks = _fold(votes, use_risk=use_risk, origin=origin, budget=budget)
        return max((look.evidence for look in looks), default=0.0)

    highest = peak(None)
    enough = highest >= max(limit, EVIDENCE_MIN) and ticks_per_month > 0
    alarms = math.exp(math.log(ticks_per_month) - highest) if enough else None
    if highest < limit:
        return Counterfactual(budget=None, false_alarms_per_month=alarms)
    low, high = 0, round(evidence.BUDGET_MAX * BUDGET_STEPS) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if peak(middle / BUDGET_STEPS) >= limit:
            low = middle
        else:
            high = middle
    return Counterfactual(budget=low / BUDGET_STEPS if low else None, false_alarms_per_month=alarms)


def contributions(
    votes: Sequence[Vote], *, since_at: datetime, use_risk: bool, origin: Origin | None = None
) -> list[Contribution]:
    """The votes counted since ``since_at`` by how much each added to the evidence, the largest first.

    The gain is that of the one bettor who gained most, so that gains add up to his. Ties come by position. Votes that
    were history when they came are left out.
    """
    looks = _fold(votes, use_risk=use_risk, origin=origin)
    if not looks:
        return []
    judged = [vote for vote in votes if vote.news and vote.counted_at >= since_at]
    gained = _gains(judged, looks[-1], use_risk=use_risk)
    total = math.fsum(gain for gain, _ in gained if gain > 0)
    found = [
        Contribution(
            mention=vote.mention,
            source=vote.source,
            position=vote.position,
            x=x,
            gain=gain,
            share=gain / total if total else 0.0,
        )
        for vote, (gain, x) in zip(judged, gained, strict=True)
    ]
    return sorted(found, key=lambda one: (-one.gain, one.position))


def _fold(votes: Iterable[Vote], *, use_risk: bool, origin: Origin | None, budget: float | None = None) -> list[Look]:
    """See `replay`; with ``budget`` all votes had that one."""
    wealth, wealth_rate = (None, None) if origin is None else (origin.wealth, origin.wealth_rate)
    tick = 0 if wealth is None else wealth.tick
    bettors: list[tuple[int, Vote]] = []
    for vote in votes:
        if vote.news and vote.weighs and (origin is None or vote.position > origin.position):
            tick = max(tick, int(vote.counted_at.timestamp()) // TICK_SECS)  # a clock set back: no time has passed
            bettors.append((tick, vote))
    looks = []
    for now, several in groupby(bettors, key=itemgetter(0)):
        batch = [vote for _, vote in several]
        wealth = _bet(
            wealth or evidence.start(now),
            now,
            [(vote.budget if budget is None else budget, vote.deff, x_of(vote, use_risk=use_risk)) for vote in batch],
        )
        rated = [
            (vote.rate_budget, vote.rate_deff or 1.0, y_of(vote)) for vote in batch if vote.rate_budget is not None
        ]
        if rated:
            wealth_rate = _bet(wealth_rate or evidence.start(now), now, rated)
        looks.append(
            Look(
                tick=now,
                position=batch[-1].position,
                counted_at=batch[-1].counted_at,
                evidence=together(wealth, wealth_rate),
                wealth=wealth,
                wealth_rate=wealth_rate,
            )
        )
    return looks


def _bet(wealth: Wealth, tick: int, values: Iterable[tuple[float, float, float]]) -> Wealth:
    """Bet on (budget, deff, x) in their order. How they are split into calls makes no difference to the result."""
    for (budget, deff), run in groupby(values, key=itemgetter(0, 1)):
        wealth = evidence.add(wealth, evidence.bets(budget, deff), tick, [(x, 1.0) for _, _, x in run])
    return wealth


def _gains(votes: Iterable[Vote], look: Look, *, use_risk: bool) -> list[tuple[float, float]]:
    """For each vote what it added to the bettor who leads at ``look`` (ln), and its x."""
    wealth = _ahead(look)
    best = [lead + step for lead, step in zip(wealth.lead, wealth.opened, strict=True)]
    leader = best.index(max(best))
    rated = wealth is look.wealth_rate
    gains: dict[tuple[float, float, float], float] = {}
    found = []
    for vote in votes:
        budget, deff = (vote.rate_budget, vote.rate_deff or 1.0) if rated else (vote.budget, vote.deff)
        x = y_of(vote) if rated else x_of(vote, use_risk=use_risk)
        if budget is None or not vote.weighs or not vote.news:
            found.append((0.0, x))
            continue
        if (budget, deff, x) not in gains:
            alone = evidence.add(evidence.start(0), evidence.bets(budget, deff), 0, [(x, 1.0)])
            gains[budget, deff, x] = alone.opened[leader]
        found.append((gains[budget, deff, x], x))
    return found


def _loudest(votes: Sequence[Vote], look: Look, *, use_risk: bool) -> AuthorKey | None:
    """The author whose votes from the onset to ``look`` added most; None when nobody's did."""
    onset = evidence.onset(_ahead(look)) * TICK_SECS
    named = [
        vote
        for vote in votes
        if vote.author is not None and vote.position <= look.position and vote.counted_at.timestamp() >= onset
    ]
    sums: dict[AuthorKey, float] = {}
    for vote, (gain, _) in zip(named, _gains(named, look, use_risk=use_risk), strict=True):
        sums[_author(vote)] = sums.get(_author(vote), 0.0) + gain
    loudest = min(sums, key=lambda key: (-sums[key], key), default=None)
    return loudest if loudest is not None and sums[loudest] > 0 else None


def _loudest_share(votes: Sequence[Vote], look: Look, *, use_risk: bool) -> float:
    """What part of all that was gained the three loudest authors added; votes without an author are their own."""
    sums: dict[tuple[str, str, int], float] = {}
    for vote, (gain, _) in zip(votes, _gains(votes, look, use_risk=use_risk), strict=True):
        if gain > 0:
            key = (*_author(vote), 0 if vote.author is not None else vote.position)
            sums[key] = sums.get(key, 0.0) + gain
    total = math.fsum(sums.values())
    return math.fsum(sorted(sums.values())[-LOUDEST:]) / total if total else 0.0


def _ahead(look: Look) -> Wealth:
    """The stream that has more evidence."""
    rate = look.wealth_rate
    return rate if rate is not None and evidence.evidence(rate) > evidence.evidence(look.wealth) else look.wealth


def _author(vote: Vote) -> AuthorKey:
    return vote.source, vote.author or ""
