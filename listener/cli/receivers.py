"""``listener receivers``: where alerts go, and whether they get there."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.wire.findings import Words
from listener.alerts.wire.oncall import TestPayload
from listener.alerts.wire.payload import as_json
from listener.alerts.words.oncall_texts import test_words
from listener.app import MQTT, database_of, load_settings, opened_receivers, receivers_of, utc_now
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, JsonOption, app, print_json, print_table
from listener.config import Settings
from listener.domain import SEVERAL, Notification, Reason, Severity, stable_id
from listener.errors import ConfigError, DeliveryError, Fault
from listener.protocols import Receiver

EXIT_FAILED = 1

group = typer.Typer(help="Where alerts go.", no_args_is_help=True)
app.add_typer(group, name="receivers")


@group.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG, json_: JsonOption = False) -> None:
    """List the configured receivers; nothing is sent."""
    rows = _rows(load_settings(config))
    if json_:
        for row in rows:
            print_json(row)
        return
    print_table(
        ["receiver", "type", "language", "bundles", "repeats"],
        [
            (
                row["receiver"],
                row["type"],
                row["language"],
                "listener" if row["bundled"] else "itself",
                "listener" if row["repeated"] else "itself",
            )
            for row in rows
        ],
    )


@group.command("test")
def try_out(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Receivers; none: all.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json_: JsonOption = False,
) -> None:
    """Send a message that says that it is a test to each receiver; exit 1 when one does not take it."""
    settings = load_settings(config)
    known = [row["receiver"] for row in _rows(settings)]
    wanted = list(dict.fromkeys(names or known))
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        there = ", ".join(known) or "none"
        fix = f"there are: {there}" if known else "add a table [mqtt] or [receivers.NAME]"
        raise ConfigError(
            [Fault(path=f"receivers.{name}", problem="no such receiver", fix=fix) for name in unknown]
            or [Fault(path="receivers", problem="none is configured", fix=fix)]
        )
    results = asyncio.run(_try_all(settings, wanted))
    if json_:
        for result in results:
            print_json(result)
    else:
        print_table(
            ["receiver", "result", "secs", "problem"],
            [
                (one["receiver"], "taken" if one["taken"] else "failed", f"{one['secs']:.2f}", one["problem"])
                for one in results
            ],
            whole=("receiver", "result", "secs"),
            prose=("problem",),
        )
    if not all(one["taken"] for one in results):
        raise typer.Exit(EXIT_FAILED)


def _rows(settings: Settings) -> list[dict[str, Any]]:
    broker = (
        [{"receiver": MQTT, "type": MQTT, "language": "en, et", "bundled": True, "repeated": True}]
        if settings.mqtt is not None
        else []
    )
    return broker + [
        {
            "receiver": name,
            "type": settings.receivers[name]["type"],
            "language": receiver.language,
            "bundled": receiver.bundled,
            "repeated": receiver.repeated,
        }
        for name, receiver in receivers_of(settings).items()
    ]


async def _try_all(settings: Settings, names: Sequence[str]) -> list[dict[str, Any]]:
    """All at once, so that one that does not answer holds up none of the others."""
    database = database_of(settings)
    try:
        async with opened_receivers(settings, database, names) as receivers:
            return list(await asyncio.gather(*(_try(settings, name, receivers[name]) for name in names)))
    finally:
        await database.close()


async def _try(settings: Settings, name: str, receiver: Receiver) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    started = loop.time()
    problem = None
    try:
        if isinstance(receiver, MqttReceiver) and settings.mqtt is not None:
            async with asyncio.timeout(settings.mqtt.timeout_secs):
                await receiver.wait_connected()
        await receiver.deliver(notification(name, settings.service.instance))
    except DeliveryError as error:
        problem = str(error)
    except TimeoutError:
        why = receiver.problem if isinstance(receiver, MqttReceiver) else None
        why = why or "no answer; check the table [mqtt], and that it runs"
        problem = f"the broker is not connected: {why}"
    return {"receiver": name, "taken": problem is None, "secs": round(loop.time() - started, 3), "problem": problem}


def notification(receiver: str, instance: str) -> Notification:
    """The message that says that it is a test; no two are the same, so that none is dropped as known."""
    now = utc_now()
    payload = TestPayload(
        instance=instance,
        receiver=receiver,
        at=now,
        text={
            language: Words(title=text.title, body=text.body)
            for language, text in test_words(receiver, instance).items()
        },
    )
    return Notification(
        alert_id=stable_id("test", receiver, now.isoformat()),
        seq=1,
        brand=SEVERAL,
        severity=Severity.INFO,
        receiver=receiver,
        reason=Reason.TEST,
        payload=as_json(payload),
        decided_at=now,
        due_at=now,
    )
