"""The volume channel: do many more arrive than usual, on several time scales at once?

Numbers of negative mentions in, per tick of five minutes; a score out. In windows of 15 minutes, 1 hour and 3 hours,
the excess over what is expected is divided by how large such excesses have been for this brand in the last weeks,
bursts included; the score is the geometric mean of the three, times a constant. So it means the same for a small and a
large brand, needs a burst that all three scales see, and is not impressed by what this brand does every other day.

Pure and incremental: the whole memory of a brand is one `Volume`. docs/detection.md has the formulas and the figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import accumulate
from math import cbrt, sqrt
from typing import Any

TICK_SECS = 300
TICKS_PER_HOUR = 12
TICKS_PER_DAY = 288
WINDOWS = (3, 12, 36)  # ticks: 15 min, 1 h, 3 h
MEMORY_TICKS = max(WINDOWS)
LEARNING_TICKS = TICKS_PER_DAY  # no score before so many ticks are settled
SILENCE_TICKS_MAX = 28 * TICKS_PER_DAY  # a longer silence teaches no more
LATE_TICKS_MAX = TICKS_PER_HOUR  # how far back a burst whose mentions come late is still news
PRIOR = 6.0  # ticks of average flow, and mentions: what an hour of the day must outweigh to differ from the others
WINSOR_SDS = 3.0  # a burst teaches the baseline no more than so many standard deviations
LEVEL_KEEP = 0.5 ** (1 / TICKS_PER_DAY)  # half-life 1 day
SCALE_KEEP = 0.5 ** (1 / (28 * TICKS_PER_DAY))  # half-life 28 days
PROFILE_KEEP = 0.5 ** (1 / (7 * TICKS_PER_HOUR))  # 7 days: an hour of the day has 12 ticks a day
SMALL = 4.0  # added to the variance of chance (Poisson): a quiet brand needs about ten at once for a page
GAIN = 4 / 3  # makes 6 a ticket and 7 a page
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """All that is known of one brand's counts. Sums and weights decay.

    Ticks before ``settled`` have taught the baseline; those from there to ``now_tick`` are open, and what was counted
    in them so far is in ``open`` as (tick, count), ascending. ``counts`` and ``expected`` hold the last settled ticks,
    the newest last.
    """

    begun: bool
    now_tick: int
    settled: int
    taught: int  # ticks settled
    silent: int  # ticks settled since the last count, up to SILENCE_TICKS_MAX
    level_sum: float  # of counts
    level_weight: float  # of the daily profile
    spread_sum: float  # of (count - expected)^2 - expected: variance beyond Poisson's
    spread_weight: float  # of expected^2
    scale_weight: float
    scale_sums: tuple[float, ...]  # for each window: its excess squared
    hour_sums: tuple[float, ...]  # for each hour of the day (UTC): counts ...
    hour_weights: tuple[float, ...]  # ... and the level at the time
    counts: tuple[int, ...]
    expected: tuple[float, ...]
    open: tuple[tuple[int, int], ...]


_START = Volume(
    begun=False,
    now_tick=0,
    settled=0,
    taught=0,
    silent=0,
    level_sum=0.0,
    level_weight=0.0,
    spread_sum=0.0,
    spread_weight=0.0,
    scale_weight=0.0,
    scale_sums=(0.0,) * len(WINDOWS),
    hour_sums=(0.0,) * 24,
    hour_weights=(0.0,) * 24,
    counts=(0,) * MEMORY_TICKS,
    expected=(0.0,) * MEMORY_TICKS,
    open=(),
)


def start() -> Volume:
    """Nothing known: time begins with the first call of `observe`, at the first tick that is not settled then."""
    return _START


def observe(state: Volume, now_tick: int, counts: Mapping[int, int], *, settle_ticks: int = 0) -> Volume:
    """Add ``counts`` (tick: how many more) and move time on to ``now_tick``, the newest tick.

    Ticks before ``now_tick - settle_ticks`` settle: they teach the baseline once, and whatever is counted for them
    later is ignored. A tick without a count was silent, also while nobody called. After 28 silent days silence teaches
    no more, so that a gap of any length costs a bounded time. Numbers below 1 are ignored; a tick after the newest
    counts as the newest (nothing is said in the future). A ``now_tick`` before the state's means that no time passed.

    How calls are split up changes nothing, provided that the same counts were there when their ticks settled. To learn
    from history, begin with ``observe(start(), oldest_tick, {})``.
    """
    now = max(now_tick, state.now_tick) if state.begun else now_tick
    begin = state.settled if state.begun else now - settle_ticks
    until = max(begin, now - settle_ticks)
    pending = dict(state.open)
    for tick, more in counts.items():
        if tick >= begin and more > 0:
            at = min(tick, now)
            pending[at] = pending.get(at, 0) + more

    silent, taught = state.silent, state.taught
    level_sum, level_weight = state.level_sum, state.level_weight
    spread_sum, spread_weight = state.spread_sum, state.spread_weight
    scale_sums, scale_weight = state.scale_sums, state.scale_weight
    hour_sums, hour_weights = list(state.hour_sums), list(state.hour_weights)
    past, expected = state.counts, state.expected
    tick = begin
    while tick < until:
        value = pending.pop(tick, 0)
        if value:
            silent = 0
        elif silent < SILENCE_TICKS_MAX:
            silent += 1
        else:
            tick = min((open_tick for open_tick in pending if open_tick < until), default=until)
            continue
        hour = tick // TICKS_PER_HOUR % 24
        level = level_sum / level_weight if level_weight else float(value)
        prior = PRIOR * (level + 1.0)
        profile = (hour_sums[hour] + prior) / (hour_weights[hour] + prior)
        usual = level * profile
        past = (*past[1:], value)
        expected = (*expected[1:], usual)
        short = sum(past[-3:]) - sum(expected[-3:])
        middle = sum(past[-12:]) - sum(expected[-12:])
        long = sum(past) - sum(expected)
        scale_sums = (
            scale_sums[0] * SCALE_KEEP + short * short,
            scale_sums[1] * SCALE_KEEP + middle * middle,
            scale_sums[2] * SCALE_KEEP + long * long,
        )
        scale_weight = scale_weight * SCALE_KEEP + 1.0
        over = max(0.0, spread_sum / spread_weight) if spread_weight else 0.0
        learned = min(float(value), usual + WINSOR_SDS * sqrt(usual + over * usual * usual) + 1.0)
        level_sum = level_sum * LEVEL_KEEP + learned
        level_weight = level_weight * LEVEL_KEEP + profile
        spread_sum = spread_sum * LEVEL_KEEP + (learned - usual) * (learned - usual) - usual
        spread_weight = spread_weight * LEVEL_KEEP + usual * usual
        hour_sums[hour] = hour_sums[hour] * PROFILE_KEEP + learned
        hour_weights[hour] = hour_weights[hour] * PROFILE_KEEP + level
        taught += 1
        tick += 1
    return Volume(
        begun=True,
        now_tick=now,
        settled=until,
        taught=taught,
        silent=silent,
        level_sum=level_sum,
        level_weight=level_weight,
        spread_sum=spread_sum,
        spread_weight=spread_weight,
        scale_weight=scale_weight,
        scale_sums=scale_sums,
        hour_sums=tuple(hour_sums),
        hour_weights=tuple(hour_weights),
        counts=past,
        expected=expected,
        open=tuple(sorted(pending.items())),
    )


def score(state: Volume) -> float | None:
    """How unusual the newest tick and what led to it are: 6 is worth a ticket, 7 a page. None in the first day.

    Where mentions come late, the newest tick may always look empty: the highest score of all open ticks of the last
    hour is taken (with ``settle_ticks=0``, only the newest is open). 0 unless all windows hold more than usual. More
    counts in open ticks never lower it.
    """
    if state.taught < LEARNING_TICKS:
        return None
    if not state.open and not any(state.counts[-WINDOWS[0] :]):
        return 0.0  # silence: most brands, most of the time
    counts, expected = _recent(state)
    said = (0, *accumulate(counts))
    usual = (0.0, *accumulate(expected))
    scales = [scale_sum / state.scale_weight for scale_sum in state.scale_sums]
    ticks = min(state.now_tick - state.settled + 1, LATE_TICKS_MAX)
    highest = 0.0
    for end in range(len(said) - ticks, len(said)):
        product = 1.0
        for window, scale in zip(WINDOWS, scales, strict=True):
            due = usual[end] - usual[end - window]
            more = said[end] - said[end - window] - due
            if more <= 0:
                break
            product *= more / sqrt(max(scale, due + SMALL))
        else:
            highest = max(highest, product)
    return GAIN * cbrt(highest)


def excess(state: Volume) -> tuple[float, float]:
    """How many were counted in the 3 hours up to the newest tick, and how many are usual: for the words of an alert."""
    ticks = range(max(state.settled, state.now_tick - MEMORY_TICKS + 1), state.now_tick + 1)
    settled = MEMORY_TICKS - len(ticks)
    seen = sum(state.counts[-settled:]) if settled else 0
    usual = sum(state.expected[-settled:]) if settled else 0.0
    for hour in {tick // TICKS_PER_HOUR for tick in ticks}:
        within = min(ticks[-1] + 1, (hour + 1) * TICKS_PER_HOUR) - max(ticks[0], hour * TICKS_PER_HOUR)
        usual += within * _usual(state, hour % 24)
    return float(seen + sum(count for tick, count in state.open if tick >= ticks[0])), usual


def _recent(state: Volume) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Counts and expectations, the newest tick last, of at least 3 hours up to every open tick of the last hour.

    Open ticks are judged by the baseline of the last settled one.
    """
    counts = dict(state.open)
    ticks = range(max(state.settled, state.now_tick - MEMORY_TICKS - LATE_TICKS_MAX + 2), state.now_tick + 1)
    newest = [counts.get(tick, 0) for tick in ticks]
    by_hour = {hour: _usual(state, hour) for hour in {tick // TICKS_PER_HOUR % 24 for tick in ticks}}
    usual = [by_hour[tick // TICKS_PER_HOUR % 24] for tick in ticks]
    return (*state.counts, *newest), (*state.expected, *usual)


def _usual(state: Volume, hour: int) -> float:
    """The expected count of a tick of this hour of the day that is not settled."""
    level = state.level_sum / state.level_weight if state.level_weight else 0.0
    prior = PRIOR * (level + 1.0)
    return level * ((state.hour_sums[hour] + prior) / (state.hour_weights[hour] + prior))


def as_json(state: Volume) -> dict[str, Any]:
    """The state for JSON; `from_json` makes exactly the same state of it."""
    return {"format": FORMAT} | {field.name: getattr(state, field.name) for field in fields(state)}


def from_json(document: Mapping[str, Any]) -> Volume:
    """Read what `as_json` wrote. Raises ValueError for anything else, and for what another version wrote."""
    values = dict(document)
    if values.pop("format", None) != FORMAT or values.keys() != {field.name for field in fields(Volume)}:
        raise ValueError("not the state of a volume channel of this version")
    for name, value in values.items():
        if isinstance(value, list | tuple):
            values[name] = tuple(tuple(each) if isinstance(each, list) else each for each in value)
        default = getattr(_START, name)
        if isinstance(default, tuple) != isinstance(values[name], tuple):
            raise ValueError(f"{name} is {value!r}")
        if isinstance(default, tuple) and name != "open" and len(values[name]) != len(default):
            raise ValueError(f"{name} has {len(values[name])} values, not {len(default)}")
    return Volume(**values)
