"""The words and the ticks of an alert's chart, in English and Estonian, for picture and terminal alike. Pure."""

import math
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from listener.alerts.drawing.chart import DAY, HOUR, MINUTE, Chart

Language = Literal["en", "et"]

STEPS_SECS = (
    *(MINUTE * minutes for minutes in (10, 15, 30)),
    *(HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(DAY * days for days in (1, 2, 3, 7, 14, 28, 91, 182, 364)),
)
DECADES_PLAIN = 4  # larger odds are written as powers of ten
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What stands on a chart. ``months`` are short; ``summary`` takes the percentages of now, usual and budget."""

    share: str
    mentions: str
    negative: str
    evidence: str
    usual: str
    budget: str
    warning: str
    critical: str
    began: str
    decided: str
    summary: str
    silent: str
    months: tuple[str, ...]


WORDS: dict[Language, Words] = {
    "en": Words(
        share="Negative mentions",
        mentions="Mentions per {width}",
        negative="negative",
        evidence="Evidence that it is not chance",
        usual="usual",
        budget="budget",
        warning="warning",
        critical="critical",
        began="began",
        decided="alert",
        summary="{now} negative now, {usual} is usual, {budget} is the budget",
        silent="{usual} negative is usual, {budget} is the budget",
        months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ),
    "et": Words(
        share="Negatiivsed mainimised",
        mentions="Mainimisi {width} kohta",
        negative="negatiivsed",
        evidence="Tõendid, et see ei ole juhus",
        usual="tavaline",
        budget="lubatud",
        warning="hoiatus",
        critical="kriitiline",
        began="algas",
        decided="häire",
        summary="praegu on negatiivseid {now}, tavaliselt {usual}, lubatud on {budget}",
        silent="negatiivseid on tavaliselt {usual}, lubatud on {budget}",
        months=(
            *("jaan", "veebr", "märts", "apr", "mai", "juuni"),
            *("juuli", "aug", "sept", "okt", "nov", "dets"),
        ),
    ),
}


def summary(chart: Chart, language: Language) -> str:
    """The three numbers that matter, in one line."""
    words, usual, budget = WORDS[language], percent(chart.usual), percent(chart.budget)
    if chart.share is None:
        return words.silent.format(usual=usual, budget=budget)
    return words.summary.format(now=percent(chart.share), usual=usual, budget=budget)


def mentions(chart: Chart, language: Language) -> str:
    """What the bars count: mentions in so much time."""
    for unit_secs, english, estonian in (
        (DAY, "day", "ööpäeva"),
        (HOUR, "hour", "tunni"),
        (MINUTE, "minute", "minuti"),
    ):
        count = chart.width_secs // unit_secs
        if count:
            unit = estonian if language == "et" else english if count == 1 else f"{english}s"
            return WORDS[language].mentions.format(width=unit if count == 1 else f"{count} {unit}")
    return WORDS[language].mentions.format(width=f"{chart.width_secs} s")


def percent(share: float) -> str:
    """A share (0..1) in whole per cent."""
    return f"{share:.0%}"


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
    here = at.astimezone(zone)
    point = "." if language == "et" else ""
    return f"{here.day}{point} {WORDS[language].months[here.month - 1]}" + (f" {here.year}" if year else "")


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


def clean(text: str) -> str:
    """``text`` without control and formatting characters, which could turn the reading order or drive a terminal."""
    return "".join(char for char in text if not unicodedata.category(char).startswith("C"))
