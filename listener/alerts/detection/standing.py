"""How a brand stands: all that detection remembers of it, and how new votes change that. Pure.

The state is small and of bounded size, whatever the brand's history: the cost of a look depends on the votes that are
new, not on those that are stored. It is kept with the decision it led to, in one transaction, so that a restart neither
forgets nor repeats.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from listener.alerts.detection import budget, evidence, sums, volume
from listener.alerts.detection.budget import BLOCK_TICKS, TICK_SECS, Allowance, Block, Usual
from listener.alerts.detection.evidence import Wealth
from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.sums import HOUR_TICKS, KEPT_TICKS, moment, tick_of, x_of, y_of
from listener.alerts.detection.volume import Volume
from listener.domain import Ballot, Past, Repeats, Sums, Vote

NEWS_SECS = 86400  # an older mention is history when it comes: it teaches what is usual
RECENT_VOTES = 30
ORIGIN_TICKS, ORIGINS_MAX = 288, 15  # one a day, for two weeks
LEARNED_MENTIONS = 30  # older than a day: with fewer, what is usual is assumed, and shares alert nobody
YOUNG_MENTIONS = 500  # with fewer behind it, what is usual is learned anew whenever history comes in
SOURCES_DECAY = 0.5 ** (1 / 28)  # of the votes by source, per block: a half-life of a week
FLEET_DISSATISFACTION = 0.5  # (1 - polarity) / 2 where nothing is known: neither content nor not


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is usual for all brands together: the means of x and y, and the design effect."""

    x: float = budget.FLEET_SHARE
    y: float = FLEET_DISSATISFACTION
    deff: float = budget.FLEET_DEFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the evidence stood after the vote at ``position``: from here on it can be folded again."""

    position: int
    wealth: Wealth
    wealth_rate: Wealth | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What detection knows of one brand under one rule.

    ``tick`` is the last one looked at, ``position`` the last vote counted. ``origins`` are where the
    evidence stood before, one a day, as far back as the present onset. ``usual`` and ``usual_rate`` were learned in
    ``block``. ``ticks`` and ``hours`` hold the sums
    of the last two hours and the last day, ``recent`` the newest votes as (Unix time, x), newest last. ``sources`` says
    who brought how much. ``spoke`` is the Unix time of the newest vote.
    """

    config: str
    tick: int
    position: int
    origins: tuple[Origin, ...]
    block: int
    usual: Usual
    usual_rate: Usual
    wealth: Wealth
    wealth_rate: Wealth | None
    ticks: tuple[Sums, ...]
    hours: tuple[Sums, ...]
    recent: tuple[tuple[float, float], ...]
    volume: Volume
    sources: tuple[tuple[str, float], ...]
    spoke: float | None

    def over_hours(self, hours: int) -> Sums:
        """The votes of the last ``hours``: 1 or 2 to the tick, 24 to the hour."""
        if hours * HOUR_TICKS <= KEPT_TICKS:
            first, kept = self.tick - hours * HOUR_TICKS, self.ticks
        else:
            first, kept = self.tick // HOUR_TICKS - hours, self.hours
        return sums.total([one for one in kept if one[0] > first])  # by its place: read faster than by its name

    def latest(self, now: datetime) -> tuple[int, float]:
        """How many of the newest votes are recent (see ``budget.recent_votes``), and their mean x."""
        stamp = now.timestamp()
        newest = self.recent[::-1]
        count = budget.recent_votes([stamp - at for at, _ in newest])
        return count, math.fsum([x for _, x in newest[:count]]) / count if count else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What counting made: the new standing, the ledger's new rows, and what to add to the blocks they fall into."""

    standing: Standing
    votes: tuple[Vote, ...]
    added: tuple[Past, ...]


def fingerprint(rule: Deterioration) -> str:
    """What of a rule the evidence depends on: with another one it begins anew."""
    parts = [rule.budget, rule.budget_ratio, rule.budget_points, rule.points_per_hour, rule.points_per_day]
    return f"{rule.counts}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"


def needs_past(standing: Standing | None, ballots: Sequence[Ballot], *, rule: Deterioration, now: datetime) -> bool:
    """Whether ``count`` has to be given the past: what is usual is learned every six hours, and as history comes in."""
    if standing is None or standing.config != fingerprint(rule) or standing.block < tick_of(now) // BLOCK_TICKS:
        return True
    return standing.usual.count < YOUNG_MENTIONS and any(not _is_news(one, now) for one in ballots)


def count(
    standing: Standing | None,
    ballots: Sequence[Ballot],
    *,
    rule: Deterioration,
    now: datetime,
    fleet: Fleet,
    past: Sequence[Past] | None,
    firing_from_at: datetime | None = None,
    frozen: bool = False,
    blind: bool = False,
) -> Counted:
    """Count ``ballots`` (of one brand, in any order) at ``now``.

    ``past`` are the blocks of 29 days, needed where ``needs_past`` says so. ``firing_from_at`` is the onset of the
    alert that pages, if one does: what is said from then on does not become usual. While ``frozen`` nothing is learned:
    an alert is over when the brand is within the budget that it was judged by, not when the budget has grown. While
    ``blind`` the number of mentions is not followed, since silence means nothing then.
    """
    ballots = sorted(ballots, key=lambda one: (one.at, one.mention))
    tick, block = tick_of(now), tick_of(now) // BLOCK_TICKS
    news = [one for one in ballots if _is_news(one, now)]
    history = [one for one in ballots if not _is_news(one, now)] if len(news) < len(ballots) else []
    added = sums.blocks(ballots, rule, firing_from_at, block)
    if standing is not None and tick < standing.tick:
        tick, block = standing.tick, standing.block  # a clock set back: no time has passed
    if standing is None or (past is not None and (not frozen or standing.config != fingerprint(rule))):
        known = sums.joined(past or (), sums.blocks(history, rule, firing_from_at, block))
        standing = _learned(standing, known, rule=rule, tick=tick, block=block, fleet=fleet)
    votes = _votes(standing, news, now, news=True, first=len(history))
    if history:
        votes = _votes(standing, history, now, news=False) + votes
    counted = [vote for vote in votes if vote.news and vote.weighs]
    state = _volume(standing, news, tick, rule, blind=blind)
    return Counted(
        standing=replace(
            standing,
            tick=tick,
            origins=_origins(standing, tick),
            position=standing.position + len(votes),
            wealth=_bet(standing.wealth, standing.usual, tick, [x_of(vote, rule) for vote in counted]),
            wealth_rate=standing.wealth_rate
            and _bet(standing.wealth_rate, standing.usual_rate, tick, [y_of(vote) for vote in counted]),
            ticks=sums.ticks(standing.ticks, counted, rule, tick),
            hours=sums.hours(standing.hours, counted, rule, tick),
            recent=_newest(standing.recent, counted, rule),
            volume=state,
            sources=_by_source(standing.sources, votes),
            spoke=max([standing.spoke or -math.inf, *(v.at.timestamp() for v in votes)]) if votes else standing.spoke,
        ),
        votes=tuple(votes),
        added=added,
    )


def knows(standing: Standing, rule: Deterioration) -> bool:
    """Whether the brand's budget is set, or learned from enough mentions of its own."""
    return rule.budget is not None or standing.usual.count >= LEARNED_MENTIONS


def restarted(standing: Standing) -> Standing:
    """The same with no evidence: after the end of an alert it has to be gathered anew."""
    wealth = evidence.start(standing.tick)
    rate = None if standing.wealth_rate is None else wealth
    origin = Origin(position=standing.position, wealth=wealth, wealth_rate=rate)
    return replace(standing, wealth=wealth, wealth_rate=rate, origins=(origin,))


def origin_of(standing: Standing, onset_tick: int) -> Origin:
    """The latest place from which the evidence can be folded again and that lies before ``onset_tick``, if one does."""
    before = [one for one in standing.origins if one.wealth.tick < onset_tick]
    return before[-1] if before else standing.origins[0]


def folded(origin: Origin, votes: Sequence[Vote], rule: Deterioration) -> tuple[Wealth, Wealth | None]:
    """The evidence after ``votes`` (from ``origin`` on, in order), by the budgets in force then: to the last bit."""
    wealth, wealth_rate = origin.wealth, origin.wealth_rate
    for vote in votes:
        if not (vote.news and vote.weighs):
            continue
        tick = tick_of(vote.counted_at)
        wealth = evidence.add(wealth, evidence.bets(vote.budget, vote.deff), tick, [(x_of(vote, rule), 1.0)])
        if wealth_rate is not None and vote.rate_budget is not None and vote.rate_deff is not None:
            bet = evidence.bets(vote.rate_budget, vote.rate_deff)
            wealth_rate = evidence.add(wealth_rate, bet, tick, [(y_of(vote), 1.0)])
    return wealth, wealth_rate


def evidence_of(standing: Standing) -> float:
    """Ln of the evidence: the mean over the streams."""
    return evidence.log_mean([evidence.evidence(one) for one in streams_of(standing)])


def streams_of(standing: Standing) -> list[Wealth]:
    """The bettors on the share, and those on the fall of perception where it has a limit."""
    return [one for one in (standing.wealth, standing.wealth_rate) if one is not None]


def volume_score(standing: Standing) -> float | None:
    """How unusual the number of negative mentions is; None in the first day."""
    return volume.score(standing.volume)


def perception(dissatisfaction: float) -> float:
    """-100..100."""
    return 100.0 * (1.0 - 2.0 * dissatisfaction)


def as_json(standing: Standing) -> dict[str, Any]:
    """The standing as JSON values, exactly; what it is made of stands as lists of its fields in order."""
    document = {name: getattr(standing, name) for name in Standing.__dataclass_fields__}
    document["usual"], document["usual_rate"] = _fields(standing.usual), _fields(standing.usual_rate)
    document["wealth"], document["wealth_rate"] = _listed(standing.wealth), _listed(standing.wealth_rate)
    document["origins"] = [[one.position, _listed(one.wealth), _listed(one.wealth_rate)] for one in standing.origins]
    document["volume"] = volume.as_json(standing.volume)
    return document


def from_json(document: Mapping[str, Any]) -> Standing:
    """The standing that ``as_json`` wrote."""
    values = dict(document)
    for name in ("usual", "usual_rate"):
        values[name] = Usual(**dict(zip(Usual.__dataclass_fields__, values[name], strict=True)))
    values["wealth"], values["wealth_rate"] = _wealth(values["wealth"]), _maybe_wealth(values["wealth_rate"])
    values["origins"] = tuple(
        Origin(position=position, wealth=_wealth(wealth), wealth_rate=_maybe_wealth(rate))
        for position, wealth, rate in values["origins"]
    )
    for name in ("ticks", "hours"):
        values[name] = tuple(Sums(*one) for one in values[name])
    for name in ("recent", "sources"):
        values[name] = tuple(tuple(one) for one in values[name])
    values["volume"] = volume.from_json(values["volume"])
    return Standing(**values)


def _fields(value: Usual | Wealth) -> list[Any]:
    return [getattr(value, name) for name in value.__dataclass_fields__]


def _listed(wealth: Wealth | None) -> list[Any] | None:
    return None if wealth is None else _fields(wealth)


def _wealth(values: Sequence[Any]) -> Wealth:
    tick, *rest = values
    return Wealth(tick, *(tuple(one) for one in rest))


def _maybe_wealth(values: Sequence[Any] | None) -> Wealth | None:
    return None if values is None else _wealth(values)


def _is_news(ballot: Ballot, now: datetime) -> bool:
    return (now - ballot.at).total_seconds() < NEWS_SECS


def _learned(
    before: Standing | None,
    known: Sequence[Past],
    *,
    rule: Deterioration,
    tick: int,
    block: int,
    fleet: Fleet,
) -> Standing:
    """The standing with what is usual learned anew; a new one, or one without evidence, where there was none."""
    allowance = Allowance(
        ratio=rule.budget_ratio,
        points=rule.budget_points,
        budget=rule.budget,
        calibrated=rule.counts == "risk",
    )
    risk = [Block(one.sums.slot, one.sums.n, one.sums.x, one.sums.xx, one.left_out) for one in known]
    dissatisfaction = [Block(one.sums.slot, one.sums.n, one.sums.y, one.sums.yy, one.left_out) for one in known]
    fall = rule.fall_allowed
    usual = budget.usual(risk, now_block=block, fleet_mean=fleet.x, allowance=allowance, fleet_deff=fleet.deff)
    usual_rate = budget.usual(
        dissatisfaction, now_block=block, fleet_mean=fleet.y, allowance=Allowance(ratio=1.0, points=fall or 0.0)
    )
    config = fingerprint(rule)
    if before is not None and before.config == config:
        passed = max(0, block - before.block)
        faded = tuple((name, count * SOURCES_DECAY**passed) for name, count in before.sources)
        learned = replace(before, usual=usual, usual_rate=usual_rate, block=block, sources=faded)
        # What was gathered against a budget that was only assumed is no evidence against the one that is known.
        return restarted(learned) if knows(learned, rule) and not knows(before, rule) else learned
    position = 0 if before is None else before.position
    wealth = evidence.start(tick)
    rate = None if fall is None else wealth
    alike = before is not None and before.config.startswith(f"{rule.counts}-")  # the sums are of the same x
    return Standing(
        config=config,
        tick=tick,
        position=position,
        origins=(Origin(position=position, wealth=wealth, wealth_rate=rate),),
        block=block,
        usual=usual,
        usual_rate=usual_rate,
        wealth=wealth,
        wealth_rate=rate,
        ticks=before.ticks if alike and before is not None else (),
        hours=before.hours if alike and before is not None else (),
        recent=before.recent if alike and before is not None else (),
        # From now on: history comes in piece by piece, and what has not come yet would be taken for silence.
        volume=volume.observe(volume.start(), tick, {}) if before is None else before.volume,
        sources=() if before is None else before.sources,
        spoke=None if before is None else before.spoke,
    )


def _votes(standing: Standing, ballots: Sequence[Ballot], now: datetime, *, news: bool, first: int = 0) -> list[Vote]:
    rate = None if standing.wealth_rate is None else standing.usual_rate
    counted_at = max(now, moment(standing.tick))  # a clock set back: no time has passed
    return [
        Vote(
            mention=one.mention,
            source=one.source,
            at=one.at,
            risk=one.risk,
            negative=one.negative,
            polarity=one.polarity,
            lang=one.lang,
            topic=one.topic,
            author=one.author,
            conversation=one.conversation,
            reach=one.reach,
            repeats=one.repeats,
            doubtful=one.doubtful,
            position=standing.position + first + number,
            counted_at=counted_at,
            news=news,
            budget=standing.usual.budget,
            deff=standing.usual.deff,
            rate_budget=None if rate is None else rate.budget,
            rate_deff=None if rate is None else rate.deff,
        )
        for number, one in enumerate(ballots, start=1)
    ]


def _bet(wealth: Wealth, usual: Usual, tick: int, values: Sequence[float]) -> Wealth:
    if not values:
        return wealth  # nobody bets in a tick in which nobody speaks
    return evidence.add(wealth, evidence.bets(usual.budget, usual.deff), tick, [(value, 1.0) for value in values])


def _origins(standing: Standing, tick: int) -> tuple[Origin, ...]:
    """One more a day; those before the present onset are needed no more, but for the last of them."""
    newest = standing.origins[-1]
    if tick - newest.wealth.tick < ORIGIN_TICKS or standing.position == newest.position:
        return standing.origins
    onset = min(evidence.onset(one) for one in (standing.wealth, standing.wealth_rate) if one is not None)
    kept = [one for one in standing.origins if one.wealth.tick >= onset]
    before = [one for one in standing.origins if one.wealth.tick < onset][-1:]
    here = Origin(position=standing.position, wealth=standing.wealth, wealth_rate=standing.wealth_rate)
    return (*before, *kept, here)[-ORIGINS_MAX:]


def _newest(
    recent: tuple[tuple[float, float], ...], votes: Sequence[Vote], rule: Deterioration
) -> tuple[tuple[float, float], ...]:
    if not votes:
        return recent
    return tuple(sorted([*recent, *((vote.at.timestamp(), x_of(vote, rule)) for vote in votes)])[-RECENT_VOTES:])


def _by_source(sources: tuple[tuple[str, float], ...], votes: Sequence[Vote]) -> tuple[tuple[str, float], ...]:
    counts = dict(sources)
    for vote in votes:
        counts[vote.source] = counts.get(vote.source, 0.0) + 1.0
    return tuple(sorted(counts.items()))


def _volume(standing: Standing, news: Sequence[Ballot], tick: int, rule: Deterioration, *, blind: bool) -> Volume:
    """Negative mentions by five minutes; of one author only one a day, of one conversation all."""
    if blind or not rule.volume:
        return standing.volume
    counts: dict[int, int] = {}
    for one in news:
        if one.negative and one.repeats is not Repeats.AUTHOR:
            index = tick_of(one.at)
            counts[index] = counts.get(index, 0) + 1
    return volume.observe(standing.volume, tick, counts, settle_ticks=rule.settle_secs // TICK_SECS)
