"""``listener silences``: timed, attributed mutes by matchers; they mute delivery, never detection."""

import asyncio
import getpass
import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from listener.app import database_of, load_settings, utc_now
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, JsonOption, app, out, print_json, print_table
from listener.config import Settings
from listener.domain import Severity, Silence
from listener.errors import ConfigError, Fault
from listener.store import silences as store

group = typer.Typer(help="Silences: whom to leave alone about what, for a while.", no_args_is_help=True)
app.add_typer(group, name="silences")

MINUTES_MAX = 60 * 24 * 30
ByOption = Annotated[
    str | None, typer.Option("--by", help="Who you are; the name that you are logged in with, if not given.")
]
TIME_HELP = "ISO 8601: 2026-12-24T20:00, in this computer's time zone unless it has an offset (+02:00, Z)."


@group.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG,
    active: Annotated[bool, typer.Option("--active", help="Only those that mute now.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the last to end first.")] = 50,
    json_: JsonOption = False,
) -> None:
    """List silences, the ones that end last first."""
    now = utc_now()
    found = asyncio.run(_recent(load_settings(config), limit))
    if active:
        found = [one for one in found if one.starts_at <= now < one.ends_at]
    if json_:
        for one in found:
            print_json({**asdict(one), "active": one.starts_at <= now < one.ends_at})
        return
    print_table(
        ["id", "state", "starts", "ends", "brand", "rule", "severity", "by", "comment"],
        [
            (
                one.id[:8],
                "over" if one.ends_at <= now else "waits" if one.starts_at > now else "mutes",
                _local(one.starts_at),
                _local(one.ends_at),
                one.brand or "all",
                one.rule or "all",
                one.severity.value if one.severity else "all",
                one.created_by,
                one.comment,
            )
            for one in found
        ],
    )


@group.command()
def add(
    config: ConfigOption = DEFAULT_CONFIG,
    brand: Annotated[str | None, typer.Option(help="Only alerts of this brand.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only alerts of this rule.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only alerts so severe.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything; instead of a matcher.")] = False,
    minutes: Annotated[float | None, typer.Option(min=1, max=MINUTES_MAX, help="How long.")] = None,
    until: Annotated[str | None, typer.Option(help=f"... or until when. {TIME_HELP}")] = None,
    starts: Annotated[str | None, typer.Option("--from", help=f"From when, if not from now. {TIME_HELP}")] = None,
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    by: ByOption = None,
    json_: JsonOption = False,
) -> None:
    """Mute what matches. Everything goes on to be kept and listed, and is told as a digest when it ends."""
    settings = load_settings(config)
    if all_ != (brand is None and rule is None and severity is None):
        raise typer.BadParameter("give --brand, --rule or --severity, or only --all", param_hint="--all")
    if brand is not None and brand not in settings.brands:
        known = ", ".join(settings.brands)
        raise ConfigError([Fault(path=f"brands.{brand}", problem="no such brand", fix=f"there are: {known}")])
    starts_at, ends_at = _span(utc_now(), starts, until, minutes)
    made = Silence(
        id=str(uuid.uuid4()),
        starts_at=starts_at,
        ends_at=ends_at,
        created_by=by or getpass.getuser(),
        comment=comment,
        brand=brand,
        rule=rule,
        severity=severity,
    )
    asyncio.run(_put(settings, made))
    if json_:
        print_json(asdict(made))
    else:
        out.print(f"{made.id[:8]}: {_local(starts_at)} until {_local(ends_at)}", markup=False, highlight=False)


@group.command()
def end(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="The silence's id, or enough of its beginning.")],
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    json_: JsonOption = False,
) -> None:
    """End a silence now; what it held back is told."""
    ended = asyncio.run(_end(load_settings(config), silence_id, by or getpass.getuser()))
    if json_:
        print_json(asdict(ended))
    else:
        out.print(f"{ended.id[:8]}: ended {_local(ended.ends_at)}", markup=False, highlight=False)


def _span(now: datetime, starts: str | None, until: str | None, minutes: float | None) -> tuple[datetime, datetime]:
    """From when until when. Raises BadParameter."""
    if (until is None) == (minutes is None):
        raise typer.BadParameter("give either --minutes or --until", param_hint="--minutes, --until")
    starts_at = now if starts is None else max(now, _time(starts, "--from"))
    ends_at = starts_at + timedelta(minutes=minutes or 0) if until is None else _time(until, "--until")
    if ends_at <= starts_at:
        raise typer.BadParameter(f"{_local(ends_at)} is over already", param_hint="--until")
    if ends_at - starts_at > timedelta(minutes=MINUTES_MAX):
        raise typer.BadParameter("a silence is 30 days long at most", param_hint="--until")
    return starts_at, ends_at


def _time(text: str, option: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time such as 2026-12-24T20:00+02:00", param_hint=option) from None


def _local(at: datetime) -> str:
    """In this computer's time zone, which is said."""
    here = at.astimezone()
    return f"{here:%Y-%m-%d %H:%M} {here:%z}"


def _only(found: list[Silence], start: str) -> Silence:
    if len(found) == 1:
        return found[0]
    problem, fix = "no silence has this id", "see `listener silences list`"
    if found:
        problem = f"{len(found)} silences have ids that begin like this"
        fix = f"take one of {', '.join(one.id for one in found)}"
    raise ConfigError([Fault(path=f"silence {start}", problem=problem, fix=fix)])


async def _recent(settings: Settings, limit: int) -> list[Silence]:
    database = database_of(settings)
    try:
        return await store.recent(database, limit=limit)
    finally:
        await database.close()


async def _put(settings: Settings, silence: Silence) -> None:
    database = database_of(settings)
    try:
        await store.put(database, silence)
    finally:
        await database.close()


async def _end(settings: Settings, start: str, by: str) -> Silence:
    database = database_of(settings)
    try:
        found = _only(await store.by_id(database, start), start)
        ended = await store.end(database, found.id, now=utc_now(), by=by)
    finally:
        await database.close()
    if ended is None:
        fix = f"it ended {_local(found.ends_at)}"
        raise ConfigError([Fault(path=f"silence {start}", problem="is over already", fix=fix)])
    return ended
