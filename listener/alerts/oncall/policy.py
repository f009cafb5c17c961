"""Who is told of an alert, who is asked next, and whether anything holds it back. Pure: all comes in as arguments."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from listener.alerts.oncall import schedule as rota
from listener.alerts.oncall.calendar import Calendar
from listener.alerts.oncall.hours import maintenance_until_at, quiet_until_at
from listener.config import Settings
from listener.config.oncall import Escalation, Maintenance, Person, QuietHours, Route, Schedule
from listener.domain import Hold, Severity, Silence

Calendars = Mapping[str, Calendar]  # by schedule: the last good copies of those that have a calendar
NO_CALENDARS: Calendars = {}

CHAIN = 100  # holds one right after the other that are followed to their common end


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverKind:
    """What a receiver can do with what it is told: see ``bundled`` and ``repeated`` of the receivers."""

    bundled: bool = True
    repeated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Who is on call for one schedule at one moment, until others are at ``until_at``.

    ``people`` is empty where nobody is: a gap. ``fallback`` says that the calendar names nobody.
    """

    people: tuple[str, ...]
    until_at: datetime | None
    fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One row of a plan: who is told, so many minutes after the alert was first told, and by which name of a step.

    ``people`` are those on call behind ``names``, and ``gaps`` the schedules of ``names`` for which nobody is.
    """

    after_minutes: float
    names: tuple[str, ...]
    receivers: tuple[str, ...]
    people: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The tables of the configuration around alerts, with the questions that are asked of them."""

    receivers: Mapping[str, ReceiverKind] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    escalations: Mapping[str, Escalation] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    quiet_hours: Mapping[str, QuietHours] = field(default_factory=dict)
    maintenance: Mapping[str, Maintenance] = field(default_factory=dict)

    def kind(self, receiver: str) -> ReceiverKind:
        """What ``receiver`` can do with what it is told; one that is gone from the configuration can do all."""
        return self.receivers.get(receiver, ReceiverKind())

    def told(self, brand: str, severity: Severity) -> tuple[str, ...]:
        """The receivers of all routes that match, in order, each once; all receivers where there are no routes."""
        if not self.routes:
            return tuple(self.receivers)
        matching = [route for route in self.routes.values() if _about(route, brand, severity)]
        return _once(name for route in matching for name in route.receivers)

    def escalation(self, brand: str, severity: Severity) -> Escalation | None:
        """The first that matches: what happens until somebody answers. None: nobody needs to.

        Where none is configured at all, pages are repeated as ``Escalation()`` says.
        """
        candidates = self.escalations.values() if self.escalations else [Escalation()]
        return next((one for one in candidates if _about(one, brand, severity)), None)

    def reach(self, names: Iterable[str], at: datetime, calendars: Calendars = NO_CALENDARS) -> tuple[str, ...]:
        """The receivers behind receivers, people and schedules at ``at``, in order, each once.

        A schedule for which nobody is on call adds none: ask ``gaps``, and say so.
        """
        return _once(
            receiver
            for name in names
            for receiver in (
                (name,)
                if name in self.receivers
                else (one for person in self._people(name, at, calendars) for one in self.people[person].receivers)
            )
        )

    def gaps(self, names: Iterable[str], at: datetime, calendars: Calendars = NO_CALENDARS) -> tuple[str, ...]:
        """The people and schedules of ``names`` behind whom there is no receiver at ``at``: nobody on call, or no way.

        What is told to them alone reaches nobody.
        """
        return _once(name for name in names if not self.reach((name,), at, calendars))

    def duty(self, name: str, at: datetime, calendars: Calendars = NO_CALENDARS) -> Duty:
        """Who is on call for the schedule ``name`` at ``at``.

        A calendar that names nobody, or of which there is no copy yet, leaves it to the fallback.
        """
        schedule, calendar = self.schedules[name], calendars.get(name)
        if schedule.start is not None:
            until_at: datetime | None = rota.handover_at(schedule, at)
        else:
            until_at = None if calendar is None else calendar.changes_at(at)
        people, fallback = self._on_call(name, at, calendars)
        return Duty(people=people, until_at=until_at, fallback=fallback)

    def _on_call(self, name: str, at: datetime, calendars: Calendars) -> tuple[tuple[str, ...], bool]:
        """Who is on call for a schedule, and whether the calendar names nobody. Until when is dear, and asked apart."""
        schedule, calendar = self.schedules[name], calendars.get(name)
        if schedule.start is not None:
            return (rota.on_call(schedule, at),), False
        people = () if calendar is None else calendar.on_call(at)
        people = tuple(person for person in people if person in self.people)
        fallback = () if schedule.fallback is None else (schedule.fallback,)
        return (people, False) if people else (fallback, True)

    def _people(self, name: str, at: datetime, calendars: Calendars) -> tuple[str, ...]:
        if name in self.people:
            return (name,)
        if name in self.schedules:
            return tuple(one for one in self._on_call(name, at, calendars)[0] if one in self.people)
        return ()

    def candidates(self, schedule: str) -> dict[str, str]:
        """The titles by slug of those whom the calendar of ``schedule`` may name: its people, or else all."""
        wanted = self.schedules[schedule].people or tuple(self.people)
        return {slug: self.people[slug].title for slug in wanted if slug in self.people}

    def person_of(self, name: str) -> str | None:
        """Who ``name`` is: a person, or the only one who is reached by that receiver; None: nobody in particular."""
        if name in self.people:
            return name
        owners = [slug for slug, person in self.people.items() if name in person.receivers]
        return owners[0] if len(owners) == 1 else None

    def hold(
        self, brand: str, rule: str, severity: Severity, at: datetime, silences: Sequence[Silence] = ()
    ) -> Hold | None:
        """Why nobody is told of such an alert at ``at``: a silence, before maintenance, before quiet hours."""
        found = self._hold(brand, rule, severity, at, silences)
        return found[0] if found is not None else None

    def hold_ends_at(
        self, brand: str, rule: str, severity: Severity, at: datetime, silences: Sequence[Silence] = ()
    ) -> datetime | None:
        """When nothing of all this holds it back any more, or None when nothing does at ``at``."""
        ends_at = None
        for _ in range(CHAIN):
            found = self._hold(brand, rule, severity, ends_at or at, silences)
            if found is None:
                break
            ends_at = found[1]
        return ends_at

    def _hold(
        self, brand: str, rule: str, severity: Severity, at: datetime, silences: Sequence[Silence]
    ) -> tuple[Hold, datetime] | None:
        """What holds it at ``at``, and until when."""
        muted = [one.ends_at for one in silences if one.matches(brand=brand, rule=rule, severity=severity, at=at)]
        if muted:
            return Hold.SILENCE, max(muted)
        windows = (maintenance_until_at(w, at) for w in self.maintenance.values() if _about(w, brand, severity))
        if (until_at := _latest(windows)) is not None:
            return Hold.MAINTENANCE, until_at
        nights = (quiet_until_at(hours, at) for hours in self.quiet_hours.values() if _about(hours, brand, severity))
        if (until_at := _latest(nights)) is not None:
            return Hold.QUIET_HOURS, until_at
        return None

    def plan(
        self, brand: str, severity: Severity, at: datetime, calendars: Calendars = NO_CALENDARS
    ) -> tuple[Told, ...]:
        """Who would be told of an alert told first at ``at`` that nobody answers, until the repeats begin."""
        first = self.told(brand, severity)
        rows = [Told(after_minutes=0.0, names=first, receivers=first)]
        chosen = self.escalation(brand, severity)
        for step in chosen.steps if chosen is not None else ():
            then = at + timedelta(minutes=step.after_minutes)
            rows.append(
                Told(
                    after_minutes=step.after_minutes,
                    names=step.to,
                    receivers=self.reach(step.to, then, calendars),
                    people=_once(person for name in step.to for person in self._people(name, then, calendars)),
                    gaps=self.gaps(step.to, then, calendars),
                )
            )
        return tuple(rows)


NOBODY = Policy()  # without receivers nobody is told of anything


def policy_of(settings: Settings, receivers: Mapping[str, ReceiverKind]) -> Policy:
    """The policy that the settings describe, over these receivers in their order."""
    return Policy(
        receivers=dict(receivers),
        routes=settings.routes,
        escalations=settings.escalations,
        people=settings.people,
        schedules=settings.schedules,
        quiet_hours=settings.quiet_hours,
        maintenance=settings.maintenance,
    )


def _about(table: Route | Escalation | QuietHours | Maintenance, brand: str, severity: Severity) -> bool:
    """Whether a table is about such an alert; what it leaves empty matches all."""
    return (not table.severities or severity in table.severities) and (not table.brands or brand in table.brands)


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _latest(ends: Iterable[datetime | None]) -> datetime | None:
    return max((one for one in ends if one is not None), default=None)
