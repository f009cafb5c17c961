"""The words and the ticks of an alert's chart, in every language, for picture and terminal alike. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType

from listener.alerts.drawing.chart import DAY, HOUR, MINUTE, Chart
from listener.alerts.words.languages import LANGUAGES, Tongue, clean, percent, tongue

__all__ = ["WORDS", "Language", "Words", "clean", "clock", "day", "days", "mentions", "moment", "number", "odds"]
__all__ += ["percent", "summary", "ticks"]

Language = str  # a key of LANGUAGES

STEPS_SECS = (
    *(MINUTE * minutes for minutes in (10, 15, 30)),
    *(HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(DAY * days for days in (1, 2, 3, 7, 14, 28, 91, 182, 364)),
)
DECADES_PLAIN = 4  # larger odds are written as powers of ten
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What stands on a chart."""

    share: str
    negative: str
    evidence: str
    usual: str
    budget: str
    warning: str
    critical: str
    began: str
    decided: str


def _words(t: Tongue) -> Words:
    return Words(
        share=t.word("chart", "Negative mentions"),
        negative=t.word("chart", "negative"),
        evidence=t.word("chart", "Evidence that it is not chance"),
        usual=t.word("chart", "usual"),
        budget=t.word("chart", "budget"),
        warning=t.word("chart", "warning"),
        critical=t.word("chart", "critical"),
        began=t.word("chart", "began"),
        decided=t.word("chart", "alert"),
    )


WORDS: Mapping[Language, Words] = MappingProxyType({code: _words(tongue(code)) for code in LANGUAGES})


def summary(chart: Chart, language: Language) -> str:
    """The three numbers that matter, in one line."""
    t, usual, budget = tongue(language), percent(chart.usual), percent(chart.budget)
    if chart.share is None:
        return t.say("{usual} negative is usual, {budget} is the budget", usual=usual, budget=budget)
    return t.say(
        "{now} negative now, {usual} is usual, {budget} is the budget",
        now=percent(chart.share),
        usual=usual,
        budget=budget,
    )


def mentions(chart: Chart, language: Language) -> str:
    """What the bars count: mentions in so much time."""
    t, secs = tongue(language), chart.width_secs
    if secs >= DAY:
        return t.many("Mentions per day", "Mentions per {count} days", secs // DAY)
    if secs >= HOUR:
        return t.many("Mentions per hour", "Mentions per {count} hours", secs // HOUR)
    if secs >= MINUTE:
        return t.many("Mentions per minute", "Mentions per {count} minutes", secs // MINUTE)
    return t.many("Mentions per second", "Mentions per {count} seconds", secs)


def odds(evidence: float) -> str:
    """Evidence (ln) as odds, rounded to one digit: "3 000 : 1", "2·10⁶ : 1"."""
    return f"{number(evidence)} : 1"


def number(evidence: float) -> str:
    """What ``evidence`` is the logarithm (ln) of, at least 1, rounded to one digit: "3 000", "2·10⁶"."""
    decade = max(0.0, evidence) / math.log(10)
    power = math.floor(decade)
    digit = round(10 ** (decade - power))
    if digit == 10:  # noqa: PLR2004 -- 9.6 is nearer to 10
        power, digit = power + 1, 1
    if power <= DECADES_PLAIN:
        return f"{digit * 10**power:,}".replace(",", " ")
    return f"{digit}·10".removeprefix("1·") + str(power).translate(SUPERSCRIPTS)


def clock(at: datetime, zone: tzinfo) -> str:
    """The time with its zone."""
    return f"{at.astimezone(zone):%H:%M %Z}"


def moment(at: datetime, chart: Chart, language: Language, zone: tzinfo) -> str:
    """The time with its zone, and the day where it is not that of the decision."""
    same = at.astimezone(zone).date() == chart.decided_at.astimezone(zone).date()
    return clock(at, zone) if same else f"{day(at, language, zone)} {clock(at, zone)}"


def day(at: datetime, language: Language, zone: tzinfo, *, year: bool = False) -> str:
    """The day, and its year if asked for."""
    return tongue(language).day(at, zone=zone, year=year)


def days(chart: Chart, language: Language, zone: tzinfo) -> str:
    """The days that the chart shows, and the zone of its times."""
    first, last = chart.start_at.astimezone(zone), chart.decided_at.astimezone(zone)
    until = f"{day(last, language, zone, year=True)}, {last:%Z}"
    if first.date() == last.date():
        return until
    return f"{day(first, language, zone, year=first.year != last.year)} – {until}"  # noqa: RUF001


def ticks(chart: Chart, language: Language, zone: tzinfo, *, most: int) -> list[tuple[datetime, str]]:
    """At most ``most`` + 1 round times on the clocks of the zone, with labels: where a day begins its name.

    ``most`` is met up to chart lengths of 364 days a tick.
    """
    span = (chart.end_at - chart.start_at).total_seconds()
    step = next((secs for secs in STEPS_SECS if span <= secs * most), STEPS_SECS[-1])
    # Reckoned on the clock's face, so that they stay round when summer time begins.
    face = chart.start_at.astimezone(zone).replace(tzinfo=None)
    at = face.replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    while (real := at.replace(tzinfo=zone)) <= chart.end_at:
        if real >= chart.start_at:
            midnight = at.hour == at.minute == 0
            found.append((real, day(real, language, zone) if midnight else f"{at:%H:%M}"))
        at += timedelta(seconds=step)
    return found
