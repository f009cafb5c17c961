"""The schema of the configuration file. Options are nouns with their unit; None means "not set"."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from listener.config.mqtt import MqttOptions
from listener.config.oncall import (
    Escalation,
    KnowledgeOptions,
    Maintenance,
    Options,
    Person,
    QuietHours,
    Route,
    Schedule,
    Slug,
    StormOptions,
    WatchdogOptions,
    Zone,
)

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class BrandName(Options):
    """One spelling of a brand's name."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    exact: Annotated[
        bool, Field(description="Match this spelling only: case and accents count, and no case endings are tried.")
    ] = False


class Thresholds(Options):
    """What is too much for one brand; what is not set here is the rule's."""

    budget: Annotated[
        Share | None,
        Field(description="Share of negative experiences that is allowed, 0..1; learned from history if not set."),
    ] = None
    points_per_hour: Annotated[
        float | None, Field(gt=0.0, le=200.0, description="Perception may not fall faster than so many points an hour.")
    ] = None
    points_per_day: Annotated[
        float | None, Field(gt=0.0, le=200.0, description="... and not faster than so many points a day.")
    ] = None
    false_alarms_per_month: Annotated[
        float | None, Field(ge=0.001, le=100.0, description="How many times a month chance may wake somebody.")
    ] = None


class Brand(Options):
    """What we watch for."""

    names: Annotated[
        tuple[str | BrandName, ...],
        Field(min_length=1, description='Spellings: "Bolt", or { name = "Wise", exact = true }. The first is shown.'),
    ]
    exclusions: Annotated[
        tuple[str, ...], Field(description="Words or phrases; a mention with one of them is not about the brand.")
    ] = ()
    query: Annotated[
        str | None,
        Field(description='Narrows the names: `(taxi OR kuller) NOT lang:de`. AND, OR, NOT, "phrase", NEAR/n, fields.'),
    ] = None
    languages: Annotated[
        tuple[Language, ...],
        Field(description="ISO 639-1 codes; mentions in other languages are left out. Empty: all."),
    ] = ()
    topics: Annotated[
        dict[Slug, str],
        Field(
            description="What mentions are about, each a query like `query`; the first that matches counts: "
            '{ delivery = "kuller OR courier", app = "äpp OR app" }.'
        ),
    ] = {}  # noqa: RUF012 -- pydantic copies it
    competitors: Annotated[tuple[Slug, ...], Field(description="Other brands of this file to compare with.")] = ()
    alerts: Annotated[bool, Field(description="Whether rules watch this brand; false for a competitor.")] = True
    thresholds: Annotated[Thresholds, Field(description="What is too much for this brand.")] = Thresholds()

    @property
    def title(self) -> str:
        """The name to show to people."""
        first = self.names[0]
        return first if isinstance(first, str) else first.name


class ServiceOptions(Options):
    """The daemon itself."""

    instance: Annotated[Slug, Field(description="Name of this daemon in MQTT topics and client id.")] = "listener"
    log_format: Annotated[Literal["console", "json"], Field(description="How log lines are written.")] = "console"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="What is logged.")] = "info"
    tick_secs: Annotated[float, Field(gt=0, le=3600, description="Seconds between two looks of the rules.")] = 60.0
    show_alerts: Annotated[
        bool, Field(description="Print alerts in the terminal, as they are read back from the broker.")
    ] = False


class DatabaseOptions(Options):
    """Where everything is kept."""

    url: Annotated[
        str, Field(description="`sqlite:///path` (relative to this file) or `postgresql://user@host/name`.")
    ] = "sqlite:///listener.db"
    password: Annotated[SecretStr | None, Field(description="Password for PostgreSQL.")] = None
    auto_upgrade: Annotated[bool, Field(description="Upgrade an older database at start without being asked.")] = False


class ScoringOptions(Options):
    """The model that reads the mentions."""

    model: Annotated[
        Path | None,
        Field(
            description="The model's directory: Hugging Face sequence classification (config, tokenizer, safetensors), "
            "or one in listener's own format. If not set, the model that comes with listener."
        ),
    ] = None
    labels: Annotated[
        dict[str, str],
        Field(
            description="What a Hugging Face model's labels mean, where their names do not tell: "
            '{ LABEL_0 = "negative" }.'
        ),
    ] = {}  # noqa: RUF012 -- pydantic copies it
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Field(description="Where the model runs; auto takes a GPU where there is one.")
    ] = "auto"
    threads: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="CPU threads of the model: batches at a time for listener's own, torch's threads for another.",
        ),
    ] = 1
    tokens_per_batch: Annotated[
        int | None,
        Field(
            ge=64,
            le=262144,
            description="Tokens in one batch, padding included. If not set, what suits the model: 256 for listener's "
            "own (16384 on a GPU), 512 for a Hugging Face one.",
        ),
    ] = None
    batch_mentions: Annotated[
        int, Field(ge=1, le=4096, description="Mentions claimed from the database at a time.")
    ] = 64
    lease_secs: Annotated[
        float, Field(ge=10, le=3600, description="Seconds after which the claim of a dead daemon is given back.")
    ] = 60.0


class HttpOptions(Options):
    """Metrics, health, and answers to alerts over HTTP."""

    host: Annotated[str, Field(description="Address to listen on; keep it inside.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port; 0 takes a free one and logs it.")] = 9464
    public_url: Annotated[
        str | None,
        StringConstraints(pattern=r"^https?://[^?#\s]+$"),
        Field(description="Where people reach it; notifications carry links to act with when it is set."),
    ] = None


class FetchOptions(Options):
    """Manners towards the sites that we poll."""

    contact: Annotated[
        str | None, Field(description="Address or URL in the User-Agent, so that a site's operator can reach you.")
    ] = None
    allow_private_hosts: Annotated[
        tuple[str, ...],
        Field(
            description="Hosts, addresses or networks inside your network that sources may poll; others are refused."
        ),
    ] = ()
    host_interval_secs: Annotated[
        float, Field(ge=0, le=60, description="Least seconds between two requests to one host; pages keep at least 2.")
    ] = 0.5
    connect_secs: Annotated[float, Field(gt=0, le=60, description="Seconds for a connection.")] = 10.0
    read_secs: Annotated[float, Field(gt=0, le=120, description="Seconds without a byte.")] = 20.0
    total_secs: Annotated[float, Field(gt=0, le=300, description="Seconds for one request, redirects included.")] = 60.0


class DigestOptions(Options):
    """Once a day: brands whose perception falls too slowly to wake anybody, and the alerts that fire."""

    enabled: Annotated[bool, Field(description="Whether it is made and sent.")] = True
    at: Annotated[
        str,
        StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"),
        Field(description="Time of day, HH:MM; one that the clock skips in spring comes when it has."),
    ] = "08:00"
    timezone: Zone = "UTC"
    alpha: Annotated[
        float, Field(gt=0.0, le=0.5, description="Share of the named brands that may be there by chance.")
    ] = 0.1


class DemoOptions(Options):
    """The local site of the demonstration."""

    port: Annotated[int, Field(ge=0, le=65535, description="Port of the site on loopback.")] = 8765
    speed: Annotated[float, Field(gt=0, le=1000, description="How many times faster than written the story runs.")] = (
        1.0
    )


class Settings(BaseSettings):
    """The whole file. Environment variables (``LISTENER_HTTP__PORT``) win over it.

    ``sources``, ``rules`` and ``receivers`` stay tables here: their schema is the plug-in that ``type`` names, checked
    by ``load``.
    """

    model_config = SettingsConfigDict(
        env_prefix="LISTENER_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    service: ServiceOptions = ServiceOptions()
    database: DatabaseOptions = DatabaseOptions()
    scoring: ScoringOptions = ScoringOptions()
    http: HttpOptions = HttpOptions()
    fetch: FetchOptions = FetchOptions()
    mqtt: MqttOptions | None = None
    digest: DigestOptions = DigestOptions()
    storm: StormOptions = StormOptions()
    watchdog: WatchdogOptions | None = None
    knowledge: KnowledgeOptions = KnowledgeOptions()
    demo: DemoOptions | None = None
    brands: dict[Slug, Brand] = {}
    sources: dict[Slug, dict[str, Any]] = {}
    rules: dict[Slug, dict[str, Any]] = {}
    receivers: dict[Slug, dict[str, Any]] = {}
    people: dict[Slug, Person] = {}
    routes: dict[Slug, Route] = {}
    escalations: dict[Slug, Escalation] = {}
    schedules: dict[Slug, Schedule] = {}
    quiet_hours: dict[Slug, QuietHours] = {}
    maintenance: dict[Slug, Maintenance] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file; no .env file is read behind the operator's back."""
        return env_settings, init_settings
