"""The languages that people are told in: sentences from the catalogues, and numbers, times and lists. Pure.

The code says each sentence once, in English, through ``Tongue.say``, ``word`` or ``many``; other languages come from
``locale/<language>/LC_MESSAGES/listener.po`` (GNU gettext), compiled by ``python -m listener.alerts.words.catalogue``.
A new language is one such file, and one entry in ``LANGUAGES``.
"""

import gettext
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

DOMAIN = "listener"
LOCALE = Path(__file__).with_name("locale")
SOURCE = "en"  # what the code speaks: it has no catalogue
TITLE_CHARS_MAX = 120
NAME_CHARS_MAX = 80  # of a brand or a person, in a sentence
BREAKS = re.compile(r"[ \t-\r\x1c-\x1f\x85\u2028\u2029]+")  # not the spaces that do not break
NARROW = "\u202f"  # no break, thin: between thousands
ODDS_MAX = 1_000_000_000.0
MINUTES_PER_HOUR = 60
DAY_HOURS = 24
LONG_HOURS = 48  # longer is told in days


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a language writes numbers: what stands before decimals, and between thousands."""

    decimal: str
    thousands: str = NARROW


LANGUAGES: Mapping[str, Style] = MappingProxyType({"en": Style(decimal="."), "et": Style(decimal=",")})
"""By code (ISO 639-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A headline of a few words, and a few sentences."""

    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tongue:
    """One language. Placeholders in messages are named and take text: ``{share}``."""

    code: str
    style: Style
    catalogue: gettext.NullTranslations

    def say(self, message: str, /, **values: str) -> str:
        """``message`` in this language."""
        return self.catalogue.gettext(message).format(**values)

    def word(self, context: str, message: str, /, **values: str) -> str:
        """A word or a part of a sentence, which only its ``context`` makes clear."""
        return self.catalogue.pgettext(context, message).format(**values)

    def many(self, one: str, more: str, count: int, /, **values: str) -> str:
        """The form for ``count``, which is also the placeholder ``{count}``."""
        return self.catalogue.ngettext(one, more, count).format(count=self.number(count), **values)

    def number(self, value: float, *, decimals: int = 0) -> str:
        """With the thousands and the decimals set apart: "1 500,5"."""
        whole, _, fraction = f"{value:,.{decimals}f}".partition(".")
        whole = whole.replace(",", self.style.thousands)
        return f"{whole}{self.style.decimal}{fraction}" if fraction else whole

    def few(self, value: float) -> str:
        """With one decimal where it is small and not whole."""
        small = value < 10 and round(value, 1) != round(value)  # noqa: PLR2004 -- beyond, decimals tell nothing
        return self.number(value, decimals=1 if small else 0)

    def odds(self, logarithm: float) -> str:
        """What ``logarithm`` (natural) is that of, a billion at most."""
        return self.number(min(math.exp(min(logarithm, 50.0)), ODDS_MAX))

    def listed(self, names: Sequence[str]) -> str:
        """Names with an "and" before the last: "A, B and C"; nothing for none."""
        if len(names) < 2:  # noqa: PLR2004 -- nothing to join
            return "".join(names)
        return self.word("a list", "{most} and {last}", most=", ".join(names[:-1]), last=names[-1])

    def month(self, number: int) -> str:
        """The short name of a month, 1 to 12."""
        return (
            self.word("month", "Jan"),
            self.word("month", "Feb"),
            self.word("month", "Mar"),
            self.word("month", "Apr"),
            self.word("month", "May"),
            self.word("month", "Jun"),
            self.word("month", "Jul"),
            self.word("month", "Aug"),
            self.word("month", "Sep"),
            self.word("month", "Oct"),
            self.word("month", "Nov"),
            self.word("month", "Dec"),
        )[number - 1]

    def day(self, at: datetime, *, zone: tzinfo = UTC, year: bool = False) -> str:
        """The day in ``zone``, and its year if asked for: "2 Mar 2026"."""
        here = at.astimezone(zone)
        day = self.word("date", "{day} {month}", day=str(here.day), month=self.month(here.month))
        return f"{day} {here.year}" if year else day

    def clock(self, at: datetime, *, now: datetime) -> str:
        """The time in UTC, and the day where it is not that of ``now``: "23:40 UTC on 1 Mar"."""
        at, now = at.astimezone(UTC), now.astimezone(UTC)
        face = f"{at:%H:%M}"
        if at.date() == now.date():
            return self.word("time", "{time} UTC", time=face)
        day = self.day(at, year=at.year != now.year)
        return self.word("time", "{time} UTC on {day}", time=face, day=day)

    def lasting(self, passed: timedelta) -> str:
        """How long it is, to the minute, at least one: "80 h 5 min", "2 h"."""
        hours, minutes = divmod(max(1, round(passed.total_seconds() / 60)), MINUTES_PER_HOUR)
        if not hours:
            return self.word("duration", "{minutes} min", minutes=str(minutes))
        if not minutes:
            return self.word("duration", "{hours} h", hours=str(hours))
        return self.word("duration", "{hours} h {minutes} min", hours=str(hours), minutes=str(minutes))


@lru_cache
def tongue(code: str) -> Tongue:
    """The language ``code`` (ISO 639-1); what has no entry in ``LANGUAGES`` is told in English.

    A language without its compiled catalogue is FileNotFoundError.
    """
    if code not in LANGUAGES or code == SOURCE:
        return Tongue(code=SOURCE, style=LANGUAGES[SOURCE], catalogue=gettext.NullTranslations())
    catalogue = gettext.translation(DOMAIN, str(LOCALE), languages=[code])
    return Tongue(code=code, style=LANGUAGES[code], catalogue=catalogue)


def in_each(compose: Callable[[Tongue], Text]) -> Mapping[str, Text]:
    """What ``compose`` says, by language (ISO 639-1)."""
    return {code: compose(tongue(code)) for code in LANGUAGES}


def known(value: float | None) -> float | None:
    """``value`` if it is a number that can be told."""
    return value if value is not None and math.isfinite(value) else None


def percent(share: float) -> str:
    """A share (0..1) in whole per cent."""
    return f"{share:.0%}"


def clean(text: str) -> str:
    """``text`` without control and formatting characters, which could turn the reading order or drive a terminal."""
    return "".join(char for char in text if not unicodedata.category(char).startswith("C"))


def short(text: str, chars: int = NAME_CHARS_MAX) -> str:
    """``text``, which others wrote, clean, on one line, and cut to so many characters."""
    line = clean(BREAKS.sub(" ", text)).strip()
    return line if len(line) <= chars else line[: max(0, chars - 1)].rstrip() + "…"


def headline(compose: Callable[[str], str], name: str) -> str:
    """``compose`` of ``name``, of which so much is left out that it fits."""
    name = short(name)
    over = len(compose(name)) - TITLE_CHARS_MAX
    return short(compose(name if over <= 0 else short(name, max(1, len(name) - over))), TITLE_CHARS_MAX)


def joined(sentences: Sequence[str]) -> str:
    """Sentences, of which some may be empty, as one text."""
    return " ".join(sentence for sentence in sentences if sentence)
