"""How often settings would page when all is well, and how soon when it is not: looks over resampled histories. Pure.

Settings that differ only in what they ask of the evidence and of the number of mentions share their looks: what is
counted is the same, and each is asked whether it would page. Nothing fires meanwhile, so that pages of one setting do
not change what another sees; pages with less than a day between them are one.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from listener.aggregate import FINE_SECS
from listener.alerts.detection import standing as standings
from listener.alerts.detection import volume
from listener.alerts.detection.detect import detect
from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.standing import Fleet, Standing
from listener.alerts.detection.sums import tick_of
from listener.backtest.replay import Follower, Heard
from listener.backtest.resample import Days, drawn, worsened
from listener.domain import Repeats, Severity
from listener.pipeline.look import Look

BASE_DAYS = 29  # what is usual is learned from before a stretch begins
TRIAL_DAYS = 7  # trouble that is not found by then is not found
TRIALS_EVERY_DAYS = 5
TRIALS_MAX = 24
TIMES = (2.0, 3.0)
IDLE = timedelta(hours=1)  # the longest between two looks
ONE_PAGE = timedelta(days=1)
BEGIN = date(2024, 1, 1)  # a Monday; the year means nothing


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Setting:
    """What is tried."""

    budget_ratio: float
    volume_warning: float
    volume_critical: float
    false_alarms_per_month: float

    def of(self, rule: Deterioration) -> Deterioration:
        """The rule with this setting."""
        return rule.model_copy(update={name: getattr(self, name) for name in type(self).__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Trouble of ``times`` as many complaints: after how long and how many mentions it was found; None if never."""

    times: float
    hours: float | None
    mentions: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is simulated: ``stretches`` of ``days`` each, looked at every ``tick_secs``."""

    stretches: int
    days: int
    tick_secs: int = FINE_SECS


@dataclass(slots=True)
class Tally:
    """What was seen of one setting."""

    pages: int
    trials: list[Trial]


class Panel:
    """Settings that count alike (one ``budget_ratio``); each says at a look whether it would page."""

    def __init__(self, rule: Deterioration, settings: Sequence[Setting]) -> None:
        self.loosest = rule.model_copy(
            update={
                "budget_ratio": settings[0].budget_ratio,
                "false_alarms_per_month": max(one.false_alarms_per_month for one in settings),
                "volume_warning": min(one.volume_warning for one in settings),
                "volume_critical": min(one.volume_critical for one in settings),
            }
        )
        by_volume: dict[tuple[float, float], list[Setting]] = {}
        for one in sorted(settings, key=lambda each: -each.false_alarms_per_month):
            by_volume.setdefault((one.volume_warning, one.volume_critical), []).append(one)
        self._ladders = [[(one, one.of(rule)) for one in ladder] for ladder in by_volume.values()]

    def paging(self, standing: Standing, now: datetime, found: Look | None = None) -> list[Setting]:
        """Those that would page; a stricter promise never does where a looser one does not."""
        if found is not None and found.signal.severity is not Severity.CRITICAL:
            return []
        paging = []
        for ladder in self._ladders:
            for setting, rule in ladder:
                signal = detect(rule, brand="", standing=standing, now=now)
                if signal.severity is not Severity.CRITICAL:
                    break
                paging.append(setting)
        return paging


def simulate(
    rule: Deterioration,
    settings: Sequence[Setting],
    days: Days,
    *,
    fleet: Fleet,
    effort: Effort,
    seed: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[Setting, Tally]:
    """All settings on the same resampled stretches: pages when all is well, and trials of trouble."""
    ratios = sorted({one.budget_ratio for one in settings})
    tallies = {one: Tally(pages=0, trials=[]) for one in settings}
    done, total = 0, len(ratios) * effort.stretches
    for stretch in range(effort.stretches):
        rng = random.Random(f"{seed}/{stretch}")  # noqa: S311 -- no secret, and the same every time
        heard = drawn(days, rng, BEGIN, BASE_DAYS + effort.days + TRIAL_DAYS)
        starts = _starts(effort, stretch)
        for ratio in ratios:
            panel = Panel(rule, [one for one in settings if one.budget_ratio == ratio])
            _stretch(panel, heard, days, fleet=fleet, effort=effort, starts=starts, tallies=tallies)
            done += 1
            if on_progress is not None:
                on_progress(done, total)
    return tallies


def _starts(effort: Effort, stretch: int) -> list[datetime]:
    """When trouble begins in the trials of a stretch: at all hours of the day."""
    begin = datetime.combine(BEGIN, time(), UTC) + timedelta(BASE_DAYS)
    each = min(math.ceil(effort.days / TRIALS_EVERY_DAYS), max(1, TRIALS_MAX // effort.stretches))
    return [
        begin + timedelta(days=number * effort.days / each, hours=(5 + 7 * (number + stretch)) % 24)
        for number in range(each)
    ]


def _stretch(
    panel: Panel,
    heard: Sequence[Heard],
    days: Days,
    *,
    fleet: Fleet,
    effort: Effort,
    starts: Sequence[datetime],
    tallies: dict[Setting, Tally],
) -> None:
    begin = datetime.combine(BEGIN, time(), UTC) + timedelta(BASE_DAYS)
    end = begin + timedelta(effort.days)
    follower, coming = primed(panel.loosest, heard, begin, fleet)
    paged: dict[Setting, datetime] = {}
    waiting = sorted(starts)

    def look(now: datetime, found: Look, rest: int) -> bool:
        for one in panel.paging(found.standing, now, found):
            if one not in paged or now - paged[one] >= ONE_PAGE:
                tallies[one].pages += 1
            paged[one] = now
        while waiting and waiting[0] <= now:
            waiting.pop(0)
            for times in TIMES:
                rng = random.Random(f"{now.isoformat()}/{times}")  # noqa: S311
                bad = worsened(
                    [one for one in coming[rest:] if one.at <= now + timedelta(TRIAL_DAYS)], days, rng, times
                )
                _trial(panel, follower.copy(now), bad, now, times, fleet=fleet, effort=effort, tallies=tallies)
        return True

    walk(follower, coming, begin, end, fleet=fleet, tick_secs=effort.tick_secs, on_look=look)


def _trial(
    panel: Panel,
    follower: Follower,
    heard: Sequence[Heard],
    begin: datetime,
    times: float,
    *,
    fleet: Fleet,
    effort: Effort,
    tallies: dict[Setting, Tally],
) -> None:
    """How soon each setting pages; one that pages already when the trouble begins tells nothing, and has no trial."""
    already = set(panel.paging(follower.standing, begin)) if follower.standing is not None else set()
    left = {one for one in tallies if one.budget_ratio == panel.loosest.budget_ratio} - already
    spoken = 0

    def look(now: datetime, found: Look, _rest: int) -> bool:
        nonlocal spoken
        spoken += sum(vote.weighs for vote in found.counted.votes)
        for one in panel.paging(found.standing, now, found):
            if one in left:
                left.remove(one)
                hours = (now - begin).total_seconds() / 3600
                tallies[one].trials.append(Trial(times=times, hours=hours, mentions=spoken))
        return bool(left)

    walk(follower, heard, begin, begin + timedelta(TRIAL_DAYS), fleet=fleet, tick_secs=effort.tick_secs, on_look=look)
    for one in left:
        tallies[one].trials.append(Trial(times=times, hours=None, mentions=None))


def primed(
    rule: Deterioration, heard: Sequence[Heard], begin: datetime, fleet: Fleet
) -> tuple[Follower, Sequence[Heard]]:
    """A brand that has learned from what was heard before ``begin``, without evidence; and what comes afterwards."""
    count = next((index for index, one in enumerate(heard) if one.at > begin), len(heard))
    follower = Follower("", [rule], alerting=False)
    found, _ = follower.look(begin, [one.ballot for one in heard[:count]], fleet)
    standing = standings.restarted(found.standing)
    negative: dict[int, int] = {}
    for vote in found.counted.votes:
        if vote.negative and vote.repeats is not Repeats.AUTHOR:
            negative[tick_of(vote.at)] = negative.get(tick_of(vote.at), 0) + 1
    oldest = min(negative, default=tick_of(begin))
    taught = volume.observe(
        volume.observe(volume.start(), oldest, {}), tick_of(begin), negative, settle_ticks=rule.settle_secs // FINE_SECS
    )
    follower.standing = replace(standing, volume=taught)
    return follower, heard[count:]


def walk(
    follower: Follower,
    heard: Sequence[Heard],
    begin: datetime,
    end: datetime,
    *,
    fleet: Fleet,
    tick_secs: int,
    on_look: Callable[[datetime, Look, int], bool],
) -> None:
    """Look at each tick in which something is heard, and at least once an hour, while ``on_look`` says to go on.

    ``on_look`` is given the index of what is not heard yet.
    """
    now, index = begin, 0
    step = timedelta(seconds=tick_secs)
    while now < end:
        wait = IDLE
        if index < len(heard):
            wait = min(wait, max(step, math.ceil((heard[index].at - now) / step) * step))
        now += wait
        start = index
        while index < len(heard) and heard[index].at <= now:
            index += 1
        found, _ = follower.look(now, [one.ballot for one in heard[start:index]], fleet)
        if not on_look(now, found, index):
            return
