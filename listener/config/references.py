"""What the tables around alerts say of each other and of the rest of the file: every name must be there. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Protocol

from listener.config.load import suggestion
from listener.config.models import Settings
from listener.config.oncall import ALL_SEVERITIES, Escalation
from listener.domain import Severity
from listener.errors import Fault


class _AboutAlerts(Protocol):
    @property
    def brands(self) -> tuple[str, ...]: ...


def reference_faults(settings: Settings, receiver_names: Collection[str]) -> list[Fault]:
    """Everything that names what is not there, or what cannot be told apart.

    ``receiver_names`` are those of ``[receivers.NAME]``, and ``mqtt`` where there is a broker.
    """
    return [
        *_brands(settings),
        *_receivers(settings, receiver_names),
        *_people(settings),
        *_steps(settings, receiver_names),
        *_used_twice(settings, receiver_names),
        *_shadowed(settings.escalations),
    ]


def unknown_rule(rule: str, known: Collection[str]) -> str | None:
    """What is wrong with a silence for ``rule``, where alerts come from the rules ``known``; None when nothing is.

    A silence of a rule that no alert has would mute nothing, and nobody would notice.
    """
    return None if rule in known else f"no such rule: {suggestion(rule, sorted(known))}"


def _unknown(path: str, names: Iterable[str], known: Collection[str], what: str) -> Iterator[Fault]:
    for name in dict.fromkeys(names):
        if name not in known:
            yield Fault(path=path, problem=f"{name!r} is not {what} of this file", fix=suggestion(name, sorted(known)))


def _brands(settings: Settings) -> Iterator[Fault]:
    tables: Mapping[str, Mapping[str, _AboutAlerts]] = {
        "routes": settings.routes,
        "escalations": settings.escalations,
        "quiet_hours": settings.quiet_hours,
        "maintenance": settings.maintenance,
    }
    for kind, named in tables.items():
        for name, table in named.items():
            yield from _unknown(f"{kind}.{name}.brands", table.brands, settings.brands, "a brand")


def _receivers(settings: Settings, known: Collection[str]) -> Iterator[Fault]:
    for name, route in settings.routes.items():
        yield from _unknown(f"routes.{name}.receivers", route.receivers, known, "a receiver")
    for name, person in settings.people.items():
        yield from _unknown(f"people.{name}.receivers", person.receivers, known, "a receiver")
    if settings.watchdog is not None:
        yield from _unknown("watchdog.receivers", settings.watchdog.receivers, known, "a receiver")


def _people(settings: Settings) -> Iterator[Fault]:
    for name, schedule in settings.schedules.items():
        yield from _unknown(f"schedules.{name}.people", schedule.people, settings.people, "a person")
        fallback = () if schedule.fallback is None else (schedule.fallback,)
        yield from _unknown(f"schedules.{name}.fallback", fallback, settings.people, "a person")
        if schedule.start is None and not settings.people:
            fix = "add a table [people.NAME] for everybody who may be on call"
            yield Fault(path=f"schedules.{name}", problem="its calendar can name nobody: there are no people", fix=fix)


def _steps(settings: Settings, receivers: Collection[str]) -> Iterator[Fault]:
    known = {*receivers, *settings.people, *settings.schedules}
    for name, escalation in settings.escalations.items():
        for index, step in enumerate(escalation.steps):
            path = f"escalations.{name}.steps[{index}].to"
            yield from _unknown(path, step.to, known, "a receiver, person or schedule")
            for to in dict.fromkeys(step.to):
                for person in _behind(settings, to):
                    if person in settings.people and not settings.people[person].receivers:
                        problem = f"{to!r} may be {person!r}, who has no receivers and cannot be reached"
                        fix = f"set people.{person}.receivers"
                        yield Fault(path=path, problem=problem, fix=fix)


def _behind(settings: Settings, name: str) -> Sequence[str]:
    """The people that a step to ``name`` turns to, as far as the file names them."""
    if name not in settings.schedules:
        return (name,)
    schedule = settings.schedules[name]
    fallback = () if schedule.fallback is None else (schedule.fallback,)
    return tuple(dict.fromkeys([*schedule.people, *fallback]))


def _used_twice(settings: Settings, receivers: Collection[str]) -> Iterator[Fault]:
    kinds = {"receivers": set(receivers), "people": set(settings.people), "schedules": set(settings.schedules)}
    for (first, ones), (second, others) in combinations(kinds.items(), 2):
        for name in sorted(ones & others):
            yield Fault(
                path=f"{second}.{name}",
                problem=f"is called like {first}.{name}: a step to {name!r} could be either",
                fix="give it another name",
            )


def _shadowed(escalations: Mapping[str, Escalation]) -> Iterator[Fault]:
    """The first that matches counts: one whose alerts all match an earlier one is never used."""
    earlier: list[tuple[str, Escalation]] = []
    for name, escalation in escalations.items():
        # Several earlier ones together may cover it as well: one for each severity is common.
        left = {severity for severity in _severities(escalation) if not _covers(earlier, severity, escalation.brands)}
        if not left:
            before = ", ".join(f"escalations.{other}" for other, one in earlier if _overlap(one, escalation))
            fix = "put it before them, or take it out: the first that matches counts"
            problem = f"is never used: {before} already match all its alerts"
            yield Fault(path=f"escalations.{name}", problem=problem, fix=fix)
        earlier.append((name, escalation))


def _severities(escalation: Escalation) -> tuple[Severity, ...]:
    return escalation.severities or ALL_SEVERITIES


def _covers(earlier: Sequence[tuple[str, Escalation]], severity: Severity, brands: Sequence[str]) -> bool:
    about = [one.brands for _, one in earlier if severity in _severities(one)]
    if () in about:
        return True
    return bool(brands) and set(brands) <= {brand for some in about for brand in some}


def _overlap(one: Escalation, other: Escalation) -> bool:
    brands = not one.brands or not other.brands or set(one.brands) & set(other.brands)
    return bool(brands) and bool(set(_severities(one)) & set(_severities(other)))
