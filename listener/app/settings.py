"""From the settings to the parts, one by one; nothing is opened here. Each raises ConfigError with every fault."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from listener import __version__
from listener.alerts.detection.rules import DEFAULT_RULES, RULE_TYPES, Deterioration, Rule
from listener.alerts.oncall.policy import Policy, ReceiverKind, policy_of
from listener.alerts.oncall.storm import Limits
from listener.alerts.receivers.base import BaseReceiver
from listener.alerts.receivers.registry import known_receivers
from listener.config import Settings, load
from listener.config.load import Schemas, plugged
from listener.config.references import reference_faults
from listener.errors import ConfigError, Fault, QueryError
from listener.fetch import FetchPolicy
from listener.matching import Matcher, Spelling, compile_brand, parse
from listener.matching.topics import Topics
from listener.protocols import Scorer
from listener.sentiment.scorer import load_scorer
from listener.sources.base import BaseSource
from listener.sources.registry import known_types
from listener.store import Database
from listener.store.database import driver_url

MQTT = "mqtt"  # the name of the broker among the receivers


def schemas() -> Schemas:
    """The plug-in types whose options the configuration may hold."""
    return {"sources": known_types(), "rules": RULE_TYPES, "receivers": known_receivers()}


def load_settings(path: Path) -> Settings:
    """Read the configuration and check it as the daemon would, short of opening anything. Raises ConfigError."""
    settings = load(path, schemas())
    builders: tuple[Callable[[Settings], object], ...] = (
        database_of,
        matcher_of,
        topics_of,
        fetch_policy_of,
        thresholds_of,
    )
    faults: list[Fault] = reference_faults(settings, receiver_kinds(settings))
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


def receivers_of(settings: Settings) -> dict[str, BaseReceiver]:
    """The configured receivers by name; the broker is not among them."""
    return cast("dict[str, BaseReceiver]", plugged(settings, "receivers", schemas()))


def receiver_kinds(settings: Settings) -> dict[str, ReceiverKind]:
    """What every receiver can do, the broker's first."""
    kinds = {} if settings.mqtt is None else {MQTT: ReceiverKind()}
    for name, receiver in receivers_of(settings).items():
        kinds[name] = ReceiverKind(bundled=receiver.bundled, repeated=receiver.repeated)
    return kinds


def policy_of_settings(settings: Settings) -> Policy:
    """Who is told of what: the tables around alerts, over the receivers that there are."""
    return policy_of(settings, receiver_kinds(settings))


def limits_of(settings: Settings) -> Limits:
    """How many messages go out before the rest is folded into one."""
    storm = settings.storm
    return Limits(burst=storm.burst, per_hour=storm.per_hour, update=timedelta(minutes=storm.update_minutes))


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


def fetch_policy_of(settings: Settings) -> FetchPolicy:
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
