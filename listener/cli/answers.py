"""``listener alerts ack``, ``assign``, ``snooze``, ``resolve``, ``silence``, ``note``: to answer from a terminal."""

import asyncio
import getpass
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from listener.alerts.oncall.respond import SILENCE_MINUTES, SNOOZE_MINUTES
from listener.alerts.wire.oncall import COMMENT_CHARS_MAX
from listener.app import load_settings, utc_now
from listener.cli.alerts import IdArgument, flat, group, only
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, JsonOption, err, opened_database, out, print_json
from listener.config import Settings
from listener.domain import Act, Action, Outcome, Via
from listener.errors import ConfigError, Fault
from listener.store import Database, actions, responses
from listener.store import alerts as store
from listener.store.actions import Handled

LOOK_SECS = 0.1  # between two looks at what became of it
MINUTES_MAX = 60 * 24 * 30

ByOption = Annotated[
    str | None, typer.Option("--by", help="Who you are; the name that you are logged in with, if not given.")
]
WaitOption = Annotated[
    float, typer.Option("--wait-secs", min=0, max=600, help="How long to wait for the daemon to do it.")
]
CauseOption = Annotated[str | None, typer.Option("--cause", help="What it was.")]
HelpedOption = Annotated[str | None, typer.Option("--helped", help="What helped.")]
WAIT_SECS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an answer is about: an alert, or a message about several, as it stood at ``seq``."""

    target: str
    seq: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What all these commands take."""

    settings: Settings
    subject: Subject
    by: str
    wait_secs: float
    json: bool


@group.command()
def ack(
    alert_id: IdArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    wait_secs: WaitOption = WAIT_SECS,
    json_: JsonOption = False,
) -> None:
    """Say that you are on it: nobody is asked again, unless it becomes worse."""
    _do(_ask(alert_id, config, by, wait_secs, json=json_), Act.ACK)


@group.command()
def assign(
    alert_id: IdArgument,
    person: Annotated[str, typer.Argument(help="Whose it is now: a name under \\[people].")],
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    wait_secs: WaitOption = WAIT_SECS,
    json_: JsonOption = False,
) -> None:
    """Give it to somebody: it counts as acked."""
    ask = _ask(alert_id, config, by, wait_secs, json=json_)
    if ask.settings.people and person not in ask.settings.people:
        known = ", ".join(ask.settings.people)
        raise ConfigError([Fault(path=f"people.{person}", problem="no such person", fix=f"there are: {known}")])
    _do(ask, Act.ASSIGN, assignee=person)


@group.command()
def snooze(
    alert_id: IdArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    minutes: Annotated[float, typer.Option(min=1, max=MINUTES_MAX, help="How long.")] = SNOOZE_MINUTES,
    by: ByOption = None,
    wait_secs: WaitOption = WAIT_SECS,
    json_: JsonOption = False,
) -> None:
    """Ask nobody again for a while; if it still fires then, it reminds."""
    _do(_ask(alert_id, config, by, wait_secs, json=json_), Act.SNOOZE, minutes=minutes)


@group.command()
def resolve(
    alert_id: IdArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    cause: CauseOption = None,
    helped: HelpedOption = None,
    by: ByOption = None,
    wait_secs: WaitOption = WAIT_SECS,
    json_: JsonOption = False,
) -> None:
    """End it: it is dealt with. Asks for the cause and what helped, at a terminal; both may be left empty."""
    ask = _ask(alert_id, config, by, wait_secs, json=json_)
    if sys.stdin.isatty():
        out.print(ask.subject.title, markup=False, highlight=False)
        cause = typer.prompt("What was the cause?", default="", show_default=False) if cause is None else cause
        helped = typer.prompt("What helped?", default="", show_default=False) if helped is None else helped
    _do(ask, Act.RESOLVE, comment=cause, helped=helped)


@group.command()
def silence(
    alert_id: IdArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    minutes: Annotated[float, typer.Option(min=1, max=MINUTES_MAX, help="How long.")] = SILENCE_MINUTES,
    comment: Annotated[str | None, typer.Option(help="Why.")] = None,
    by: ByOption = None,
    wait_secs: WaitOption = WAIT_SECS,
    json_: JsonOption = False,
) -> None:
    """Tell nobody of alerts of its brand and rule for a while (more: `listener silences add`)."""
    _do(_ask(alert_id, config, by, wait_secs, json=json_), Act.SILENCE, minutes=minutes, comment=comment)


@group.command()
def note(
    alert_id: IdArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    cause: CauseOption = None,
    helped: HelpedOption = None,
    by: ByOption = None,
    wait_secs: WaitOption = WAIT_SECS,
    json_: JsonOption = False,
) -> None:
    """Keep the cause and what helped with an alert, also after its end: the next one like it will bring it along."""
    if not (cause or helped):
        raise typer.BadParameter("say at least one of them", param_hint="--cause, --helped")
    _do(_ask(alert_id, config, by, wait_secs, json=json_), Act.NOTE, comment=cause, helped=helped)


def _ask(start: str, config: Path, by: str | None, wait_secs: float, *, json: bool) -> Ask:
    """Find the alert. Raises ConfigError."""
    settings = load_settings(config)
    subject = asyncio.run(_found(settings, start))
    return Ask(settings=settings, subject=subject, by=by or getpass.getuser(), wait_secs=wait_secs, json=json)


def _do(
    ask: Ask,
    act: Act,
    *,
    minutes: float | None = None,
    assignee: str | None = None,
    comment: str | None = None,
    helped: str | None = None,
) -> None:
    """Ask for it, and print what became of it; exit 1 when it is refused."""
    action = Action(
        id=str(uuid.uuid4()),
        target=ask.subject.target,
        act=act,
        seq=ask.subject.seq,
        by=ask.by,
        via=Via.CLI,
        at=utc_now(),
        minutes=minutes,
        assignee=assignee,
        comment=_text(comment),
        helped=_text(helped),
    )
    handled = asyncio.run(_submitted(ask, action))
    if ask.json:
        print_json(flat(handled))
    elif handled.outcome is None:
        err.print("queued: the daemon is not running, or is busy; it will be done when it runs", highlight=False)
    else:
        (err if handled.outcome is Outcome.REFUSED else out).print(
            f"{handled.outcome.value}: {handled.explanation}", markup=False, highlight=False
        )
    if handled.outcome is Outcome.REFUSED:
        raise typer.Exit(1)


def _text(text: str | None) -> str | None:
    return (text or "").strip()[:COMMENT_CHARS_MAX] or None


async def _submitted(ask: Ask, action: Action) -> Handled:
    async with opened_database(ask.settings) as database:
        await actions.put(database, action)
        return await settled(database, action, wait_secs=ask.wait_secs)


async def settled(database: Database, action: Action, *, wait_secs: float) -> Handled:
    """What became of an action, or how it stands after ``wait_secs``."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_secs
    while True:
        found = await actions.by_id(database, action.id)
        if (found is not None and found.outcome is not None) or loop.time() >= until:
            return found or Handled(action=action)
        await asyncio.sleep(LOOK_SECS)


async def _found(settings: Settings, start: str) -> Subject:
    """The alert with this id, or the message about several that has it."""
    async with opened_database(settings) as database:
        found = await store.by_id(database, start)
        bundles = [] if found else await responses.bundle_ids(database, start)
        if len(bundles) == 1:
            return Subject(target=bundles[0], seq=1, title="all that the message names")
        alert = only(found, start)
        return Subject(target=alert.id, seq=alert.seq, title=f"{alert.brand}, {alert.rule}: {alert.signal.reason}")
