"""Options of delivery: who is told of what, in which order, when not, and how often (tables around alerts)."""

from datetime import datetime, time
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from listener.config.zones import ZoneName
from listener.domain import Severity

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=64)]
Minutes = Annotated[float, Field(gt=0.0, le=60 * 24 * 30)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_SEVERITIES = tuple(Severity)


def _clock(value: str) -> str:
    """A time of day, or the end of the day."""
    if value != "24:00":
        time.fromisoformat(value)
    return value


Zone = Annotated[ZoneName, Field(description="IANA time zone, e.g. Europe/Tallinn.")]
Clock = Annotated[str, StringConstraints(pattern=r"^\d\d:\d\d$"), AfterValidator(_clock)]


class Options(BaseModel):
    """Base of every table: unknown options are faults, and no value is ever printed in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Person(Options):
    """Somebody who is told of alerts and acts on them."""

    title: Annotated[str, Field(min_length=1, max_length=100, description="The name for people.")]
    receivers: Annotated[tuple[Slug, ...], Field(description="How they are reached when it is their turn.")] = ()
    token: Annotated[
        SecretStr | None, Field(min_length=16, description="Bearer token with which they act over HTTP.")
    ] = None


class Route(Options):
    """Who is told of which alerts. All routes that match count; without any, every receiver is told of everything."""

    receivers: Annotated[tuple[Slug, ...], Field(min_length=1, description="Receivers; `mqtt` is the broker.")]
    severities: Annotated[tuple[Severity, ...], Field(description="Only alerts so severe; empty: all.")] = ()
    brands: Annotated[tuple[Slug, ...], Field(description="Only alerts of these brands; empty: all.")] = ()


class Step(Options):
    """One step of the chain."""

    to: Annotated[tuple[Slug, ...], Field(min_length=1, description="Receivers, people or schedules.")]
    after_minutes: Annotated[float, Field(ge=0.0, le=60 * 24, description="After the newest event was told.")] = 0.0


class Escalation(Options):
    """What happens until somebody answers: steps one after the other, then repeats."""

    severities: Annotated[tuple[Severity, ...], Field(description="Alerts so severe need an answer.")] = (
        Severity.CRITICAL,
    )
    brands: Annotated[tuple[Slug, ...], Field(description="Only alerts of these brands; empty: all.")] = ()
    steps: Annotated[tuple[Step, ...], Field(description="In order: { to = ['night'], after_minutes = 15 }.")] = ()
    repeat_minutes: Annotated[Minutes, Field(description="After the last step, everybody again so often.")] = 30.0
    repeats_max: Annotated[int, Field(ge=0, le=100, description="So many times; the last one says that it is.")] = 8
    ack_minutes: Annotated[
        Minutes | None,
        Field(
            description="How long an ack lasts: what still fires then is told again to all who were told, and the "
            "chain goes on where it stopped."
        ),
    ] = 24 * 60.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        after = [step.after_minutes for step in self.steps]
        if after != sorted(after):
            raise ValueError("the steps are not in the order of after_minutes")
        return self


class Schedule(Options):
    """Who is on call when: people who take turns, or an iCalendar whose events name them."""

    timezone: Zone
    people: Annotated[tuple[Slug, ...], Field(description="In the order of their turns.")] = ()
    start: Annotated[
        datetime | None, Field(description="When the first one's first turn begins, local: 2026-01-05T09:00:00.")
    ] = None
    turn_days: Annotated[int, Field(ge=1, le=366, description="How long a turn is, in days of the calendar.")] = 7
    calendar: Annotated[
        SecretStr | None,
        Field(description="Address of an iCalendar: an event whose title holds a person's name is their turn."),
    ] = None
    calendar_file: Annotated[Path | None, Field(description="The same as a file.")] = None
    calendar_minutes: Annotated[Minutes, Field(description="How often it is read.")] = 15.0
    fallback: Annotated[Slug | None, Field(description="Who is on call when the calendar names nobody.")] = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.start is not None and self.start.tzinfo is not None:
            raise ValueError("start is local to timezone: leave the offset out")
        if (self.calendar is not None) + (self.calendar_file is not None) + (self.start is not None) != 1:
            raise ValueError("give either people with start, or calendar")
        if self.start is not None and not self.people:
            raise ValueError("a rota needs people")
        return self


class QuietHours(Options):
    """Hours in which nobody is told of what can wait; it comes as one digest when they end."""

    timezone: Zone
    start: Annotated[Clock, Field(description="HH:MM; later than end means over midnight.")]
    end: Annotated[Clock, Field(description="HH:MM, not included; 24:00 is the end of the day.")]
    days: Annotated[tuple[Weekday, ...], Field(min_length=1, description="The days on which they begin.")] = WEEKDAYS
    severities: Annotated[
        tuple[Severity, ...], Field(min_length=1, description="What waits; a page only if it is named here.")
    ] = (Severity.INFO, Severity.WARNING)
    brands: Annotated[tuple[Slug, ...], Field(description="Only alerts of these brands; empty: all.")] = ()

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.start == "24:00":
            raise ValueError("start is 00:00 of the next day, not 24:00")
        if self.start == self.end:
            raise ValueError("start and end are the same: the whole day is 00:00 to 24:00")
        if (self.start, self.end) == ("00:00", "24:00") and set(self.days) == set(WEEKDAYS):
            raise ValueError("these hours never end: what nobody is to be told of is left out of the routes instead")
        return self


class Maintenance(Options):
    """One stretch of time in which nobody is told: a release, a planned outage. It is told as a digest afterwards."""

    timezone: Zone
    start: Annotated[datetime, Field(description="Local: 2026-12-01T22:00:00.")]
    end: Annotated[datetime, Field(description="Local, not included.")]
    severities: Annotated[tuple[Severity, ...], Field(min_length=1, description="What waits.")] = ALL_SEVERITIES
    brands: Annotated[tuple[Slug, ...], Field(description="Only alerts of these brands; empty: all.")] = ()

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.start.tzinfo is not None or self.end.tzinfo is not None:
            raise ValueError("start and end are local to timezone: leave the offset out")
        if self.end <= self.start:
            raise ValueError("end is not after start")
        return self


class StormOptions(Options):
    """How many messages of each kind go out at most before the rest is folded into one that names them all."""

    burst: Annotated[int, Field(ge=1, le=10_000, description="At once, worst first.")] = 5
    per_hour: Annotated[float, Field(gt=0.0, le=100_000.0, description="... and so many an hour in the long run.")] = (
        10.0
    )
    update_minutes: Annotated[Minutes, Field(description="Least time between two messages that name the rest.")] = 5.0


class WatchdogOptions(Options):
    """A message that all is well, through the whole chain, for somebody outside who alarms on its absence."""

    receivers: Annotated[tuple[Slug, ...], Field(min_length=1, description="Where it goes.")]
    every_minutes: Annotated[Minutes, Field(description="How often.")] = 5.0


class KnowledgeOptions(Options):
    """What to answer: articles that alerts bring along."""

    folder: Annotated[Path | None, Field(description="Folder of Markdown files; none: no articles.")] = None
    url: Annotated[
        str | None, Field(description="Where people read an article, with {id}: https://wiki.example/{id}.")
    ] = None
    articles_max: Annotated[int, Field(ge=0, le=10, description="At most so many with one alert.")] = 3
    past_max: Annotated[int, Field(ge=0, le=10, description="At most so many similar past alerts.")] = 3

    @field_validator("url")
    @classmethod
    def _names_the_article(cls, url: str | None) -> str | None:
        """Without its place for the id every article would lead to the same page."""
        if url is not None and "{id}" not in url:
            raise ValueError("has no {id}, the place of the article's name: https://wiki.example/{id}")
        return url
