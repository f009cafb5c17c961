"""The composition root: settings in, a wired application out. The only place that knows all the parts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import structlog
from pydantic import ValidationError
from rich.console import Console
from rich.panel import Panel

from listener import __version__
from listener.alerts.console import show
from listener.alerts.detection.rules import DEFAULT_RULES, RULE_TYPES, Deterioration, Rule
from listener.alerts.mqtt.broker import EmbeddedBroker
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.mqtt.watch import watch
from listener.alerts.wire.payload import StatePayload
from listener.config import Settings, load
from listener.config.load import Schemas, plugged
from listener.demo.site import DemoSite
from listener.demo.story import load_story
from listener.errors import ConfigError, Fault, QueryError, StoreError
from listener.fetch import Fetcher, FetchPolicy
from listener.matching import Matcher, Spelling, compile_brand, parse
from listener.matching.topics import Topics
from listener.metrics import Metrics
from listener.pipeline import Parts
from listener.protocols import Receiver, Scorer
from listener.sentiment.language import identify
from listener.sentiment.scorer import load_scorer, on_thread
from listener.sources.base import BaseSource
from listener.sources.registry import known_types
from listener.store import Database, migrate
from listener.store.database import driver_url
from listener.web import Check

log = structlog.get_logger()


def schemas() -> Schemas:
    """The plug-in types whose options the configuration may hold."""
    return {"sources": known_types(), "rules": RULE_TYPES, "receivers": {}}


def load_settings(path: Path) -> Settings:
    """Read the configuration and check it as the daemon would, short of opening anything. Raises ConfigError."""
    settings = load(path, schemas())
    builders: tuple[Callable[[Settings], object], ...] = (database_of, matcher_of, topics_of, policy_of, thresholds_of)
    faults: list[Fault] = []
    for build in builders:
        try:
            build(settings)
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return settings


def utc_now() -> datetime:
    """The clock of the daemon."""
    return datetime.now(UTC)


def database_of(settings: Settings) -> Database:
    """The database that the settings name; nothing is opened yet. Raises ConfigError."""
    try:
        url = driver_url(settings.database.url)
    except ValueError as error:
        fix = "use sqlite:///path or postgresql://user@host/name"
        raise ConfigError([Fault(path="database.url", problem=str(error), fix=fix)]) from None
    if settings.database.password is not None:
        url = url.set(password=settings.database.password.get_secret_value())
    return Database(url)


def sources_of(settings: Settings) -> dict[str, BaseSource]:
    """The configured sources by name."""
    return cast("dict[str, BaseSource]", plugged(settings, "sources", schemas()))


def rules_of(settings: Settings) -> list[Rule]:
    """The configured rules; without any, all of them with their defaults.

    Raises ConfigError when there are two of one type: a brand has one budget, and its alerts must not compete.
    """
    rules = cast("dict[str, Rule]", plugged(settings, "rules", schemas()))
    seen: dict[str, str] = {}
    faults = []
    for name, rule in rules.items():
        if rule.type in seen:
            problem = f"is a second rule of type {rule.type!r}, beside {seen[rule.type]!r}"
            fix = "keep one; what differs between brands belongs in [brands.NAME.thresholds]"
            faults.append(Fault(path=f"rules.{name}", problem=problem, fix=fix))
        seen.setdefault(rule.type, name)
    if faults:
        raise ConfigError(faults)
    return list(rules.values()) or list(DEFAULT_RULES)


def thresholds_of(settings: Settings) -> dict[str, list[Rule]]:
    """Every rule with each brand's own thresholds, by brand. Raises ConfigError when they do not fit together."""
    watched = sum(brand.alerts for brand in settings.brands.values())
    rules = [rule.shared(watched) if isinstance(rule, Deterioration) else rule for rule in rules_of(settings)]
    fitted: dict[str, list[Rule]] = {}
    faults = []
    for name, brand in settings.brands.items():
        try:
            fitted[name] = [rule.for_brand(dict(brand.thresholds)) for rule in rules]
        except ValueError as error:
            problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            fix = "correct it, or leave it to the rule"
            faults.append(Fault(path=f"brands.{name}.thresholds", problem=problem, fix=fix))
    if faults:
        raise ConfigError(faults)
    return fitted


def matcher_of(settings: Settings) -> Matcher:
    """What finds the brands in a mention. Raises ConfigError when a query cannot be parsed."""
    brands = []
    faults = []
    for name, brand in settings.brands.items():
        try:
            brands.append(
                compile_brand(
                    name,
                    names=[
                        one if isinstance(one, str) else Spelling(text=one.name, exact=one.exact) for one in brand.names
                    ],
                    exclusions=brand.exclusions,
                    query=brand.query,
                    languages=brand.languages,
                )
            )
        except QueryError as error:
            path, fix = f"brands.{name}.query", "correct the query; docs/configuration.md has its grammar"
            faults.append(Fault(path=path, problem=str(error), fix=fix))
    if faults:
        raise ConfigError(faults)
    return Matcher(brands)


def topics_of(settings: Settings) -> Topics:
    """What finds the topics of a brand's mentions. Raises ConfigError when a query cannot be parsed."""
    faults = []
    for name, brand in settings.brands.items():
        for topic, query in brand.topics.items():
            try:
                parse(query)
            except QueryError as error:
                path, fix = f"brands.{name}.topics.{topic}", "correct the query; docs/configuration.md has its grammar"
                faults.append(Fault(path=path, problem=str(error), fix=fix))
    if faults:
        raise ConfigError(faults)
    return Topics({name: brand.topics for name, brand in settings.brands.items()})


def policy_of(settings: Settings) -> FetchPolicy:
    """Our manners towards the sites that we poll. Raises ConfigError."""
    options = settings.fetch
    contact = f" (+{options.contact})" if options.contact else ""
    try:
        return FetchPolicy(
            user_agent=f"listener/{__version__}{contact}",
            connect_secs=options.connect_secs,
            read_secs=options.read_secs,
            total_secs=options.total_secs,
            host_interval_secs=options.host_interval_secs,
            allow_private_hosts=frozenset(options.allow_private_hosts),
        )
    except ValueError as error:
        path, fix = "fetch", "contact is ASCII; allow_private_hosts are host names, addresses or networks"
        raise ConfigError([Fault(path=path, problem=str(error), fix=fix)]) from None


def scorer_of(settings: Settings) -> Scorer:
    """The model that the settings name, or our own, loaded. Raises ConfigError when it cannot be used."""
    options = settings.scoring
    return load_scorer(
        options.model,
        labels=options.labels,
        device=options.device,
        threads=options.threads,
        tokens_per_batch=options.tokens_per_batch,
    )


def require_work(settings: Settings) -> None:
    """Raise ConfigError when there is nothing to listen for, or nowhere to listen."""
    lacking = [name for name in ("brands", "sources") if not getattr(settings, name)]
    if lacking:
        raise ConfigError(
            [Fault(path=name, problem="none is configured", fix=f"add a table [{name}.NAME]") for name in lacking]
        )


@dataclass(kw_only=True)
class App:
    """Everything that one daemon is made of."""

    settings: Settings
    database: Database
    metrics: Metrics
    parts: Parts
    mqtt: MqttReceiver | None

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
        policy_of(settings),
    )
    topics = topics_of(settings)
    metrics = Metrics()
    metrics.build(settings.scoring.model.name if settings.scoring.model else "bundled")
    async with contextlib.AsyncExitStack() as stack:
        scorer = await stack.enter_async_context(on_thread(lambda: scorer_of(settings)))
        database = database_of(settings)
        stack.push_async_callback(database.close)
        await migrate.prepare(database, auto_upgrade=settings.database.auto_upgrade)
        mqtt = await _mqtt(settings, stack)
        metrics.mqtt_connected.set_function(lambda: float(mqtt is not None and mqtt.connected))
        if settings.demo is not None:
            site = DemoSite(load_story(), started_at=utc_now(), port=settings.demo.port, speed=settings.demo.speed)
            await stack.enter_async_context(site)
        fetcher = await stack.enter_async_context(Fetcher(policy))
        receivers: dict[str, Receiver] = {} if mqtt is None else {"mqtt": mqtt}
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
            now=utc_now,
            lease_secs=settings.scoring.lease_secs,
            batch_mentions=settings.scoring.batch_mentions,
        )
        yield App(settings=settings, database=database, metrics=metrics, parts=parts, mqtt=mqtt)


async def _mqtt(settings: Settings, stack: contextlib.AsyncExitStack) -> MqttReceiver | None:
    """The connection to the broker, and the broker itself where it is ours."""
    options = settings.mqtt
    if options is None:
        log.warning("mqtt.missing", fix="add a table [mqtt]: without it alerts are kept but nobody is told")
        return None
    if options.broker == "embedded":
        await stack.enter_async_context(EmbeddedBroker(options.host, options.port))
    receiver = await stack.enter_async_context(
        MqttReceiver(options, instance=settings.service.instance, version=__version__)
    )
    if settings.service.show_alerts:
        console = Console()
        watching = watch(options, on_event=lambda event: show(console, event, now=utc_now()))
        stack.callback(asyncio.create_task(watching, name="watch").cancel)
    return receiver
