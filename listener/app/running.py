"""The application while it runs: every part opened, wired, and closed again in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import structlog
from rich.console import Console
from rich.panel import Panel

from listener import __version__
from listener.alerts.console import show
from listener.alerts.mqtt.broker import EmbeddedBroker
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.mqtt.watch import watch
from listener.alerts.oncall.calendar import Calendar
from listener.alerts.receivers.base import Resender
from listener.alerts.wire.oncall import ActionPayload
from listener.alerts.wire.payload import StatePayload
from listener.app.settings import (
    MQTT,
    database_of,
    fetch_policy_of,
    limits_of,
    matcher_of,
    policy_of_settings,
    require_work,
    scorer_of,
    sources_of,
    thresholds_of,
    topics_of,
    utc_now,
)
from listener.app.telling import Answers, Reach, Taken, Wake, acting_of, opened_others, signer_of
from listener.config import Settings
from listener.demo.site import DemoSite
from listener.demo.story import load_story
from listener.errors import StoreError
from listener.fetch import Fetcher
from listener.metrics import Metrics
from listener.pipeline import Parts
from listener.pipeline.advise import Adviser
from listener.protocols import Receiver
from listener.sentiment.language import identify
from listener.sentiment.scorer import on_thread
from listener.store import Database, migrate
from listener.web import Check
from listener.web.acting import Acting

log = structlog.get_logger()


@dataclass(kw_only=True)
class App:
    """Everything that one daemon is made of."""

    settings: Settings
    database: Database
    metrics: Metrics
    parts: Parts
    mqtt: MqttReceiver | None
    acting: Acting
    resenders: Mapping[str, Resender]
    calendars: dict[str, Calendar]
    wake: Wake

    def checks(self) -> dict[str, Check]:
        """What must be well for the daemon to do its whole job."""

        async def database() -> str | None:
            try:
                await self.database.ping()
            except StoreError as error:
                return str(error)
            return None

        async def mqtt() -> str | None:
            return None if self.mqtt is None or self.mqtt.connected else "the broker is not connected"

        return {"database": database, "mqtt": mqtt}

    async def settle(self) -> None:
        """Wait until the broker is connected, as long as one answer may take; without it what is due stays due."""
        if self.mqtt is not None and self.settings.mqtt is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.mqtt.wait_connected(), self.settings.mqtt.timeout_secs)

    def publish_states(self, states: Sequence[StatePayload]) -> None:
        """Tell the broker how these brands stand now."""
        if self.mqtt is not None:
            self.mqtt.publish_states({state.brand: state for state in states})

    def publish_actions(self, actions: Sequence[ActionPayload]) -> None:
        """Tell the broker what people did."""
        if self.mqtt is not None:
            for action in actions:
                self.mqtt.publish_action(action)

    def announce(self, address: str) -> None:
        """Tell a person at a terminal where to look."""
        if not self.settings.service.show_alerts:
            return
        options = self.settings.mqtt
        broker = f"mqtt://{options.host}:{options.port}" if options else "none: alerts stay in the database"
        lines = [f"metrics  {address}/metrics", f"broker   {broker}"]
        if options:
            lines.append(f"topics   {options.topic_prefix}/#")
        if self.settings.demo is not None:
            lines.append(f"site     http://127.0.0.1:{self.settings.demo.port}/")
        Console(stderr=True).print(Panel("\n".join(lines), title="listener", title_align="left", expand=False))


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[App]:
    """The application, with its database ready, its model loaded and its connections up, until the block ends.

    Raises ConfigError and StoreError with what to do about it.
    """
    require_work(settings)
    sources, rules, matcher, policy = (
        sources_of(settings),
        thresholds_of(settings),
        matcher_of(settings),
        policy_of_settings(settings),
    )
    fetching = fetch_policy_of(settings)
    topics = topics_of(settings)
    metrics = Metrics()
    metrics.build(settings.scoring.model.name if settings.scoring.model else "bundled")
    async with contextlib.AsyncExitStack() as stack:
        scorer = await stack.enter_async_context(on_thread(lambda: scorer_of(settings)))
        database = database_of(settings)
        stack.push_async_callback(database.close)
        await migrate.prepare(database, auto_upgrade=settings.database.auto_upgrade)
        wake = Wake()
        mqtt = await _mqtt(settings, stack, metrics, database, wake)
        metrics.mqtt_connected.set_function(lambda: float(mqtt is not None and mqtt.connected))
        if settings.demo is not None:
            site = DemoSite(load_story(), started_at=utc_now(), port=settings.demo.port, speed=settings.demo.speed)
            await stack.enter_async_context(site)
        fetcher = await stack.enter_async_context(Fetcher(fetching))
        others = await stack.enter_async_context(opened_others(settings, database))
        receivers: dict[str, Receiver] = {**({} if mqtt is None else {MQTT: mqtt}), **others}
        signer = await signer_of(database)
        adviser = Adviser(settings.knowledge, scorer)
        # The first alert must not wait for the articles to be read.
        stack.callback(asyncio.create_task(adviser.warm(), name="warm").cancel)
        calendars: dict[str, Calendar] = {}
        reach = Reach(policy, calendars, on_gap=lambda name: metrics.calls_unreachable.labels(name=name).inc())
        parts = Parts(
            database=database,
            metrics=metrics,
            fetcher=fetcher,
            sources=sources,
            brands=settings.brands,
            matcher=matcher,
            topics=topics,
            identify=identify,
            scorer=scorer,
            rules=rules,
            receivers=receivers,
            policy=policy,
            limits=limits_of(settings),
            reach=reach,
            answer=Answers(settings, policy, signer),
            links=settings.http.public_url is not None,
            adviser=adviser,
            now=utc_now,
            lease_secs=settings.scoring.lease_secs,
            batch_mentions=settings.scoring.batch_mentions,
        )
        yield App(
            settings=settings,
            database=database,
            metrics=metrics,
            parts=parts,
            mqtt=mqtt,
            acting=acting_of(settings, database, signer, wake),
            resenders={name: one for name, one in others.items() if isinstance(one, Resender)},
            calendars=calendars,
            wake=wake,
        )


async def _mqtt(
    settings: Settings, stack: contextlib.AsyncExitStack, metrics: Metrics, database: Database, wake: Wake
) -> MqttReceiver | None:
    """The connection to the broker, and the broker itself where it is ours."""
    options = settings.mqtt
    if options is None:
        log.warning("mqtt.missing", fix="add a table [mqtt]: without it alerts are kept but nobody is told")
        return None
    if options.broker == "embedded":
        await stack.enter_async_context(EmbeddedBroker(options.host, options.port))
    receiver = await stack.enter_async_context(
        MqttReceiver(
            options,
            instance=settings.service.instance,
            version=__version__,
            brands={name: brand.title for name, brand in settings.brands.items()},
            on_action=Taken(database, wake),
            on_refused=lambda kind: metrics.publish_rejected.labels(kind=kind).inc(),
            on_command_dropped=lambda reason: metrics.commands_refused.labels(reason=reason).inc(),
            on_crash=lambda: metrics.unit_failures.labels(stage="mqtt").inc(),
        )
    )
    if settings.service.show_alerts:
        console = Console()
        watching = watch(options, on_event=lambda event: show(console, event, now=utc_now()))
        stack.callback(asyncio.create_task(watching, name="watch").cancel)
    return receiver
