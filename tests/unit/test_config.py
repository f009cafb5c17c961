"""The configuration file: what is read, and that every fault names its place and its fix without showing a secret."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from listener.alerts.detection.rules import DEFAULT_RULES, RULE_TYPES, Deterioration
from listener.app import load_settings, rules_of, thresholds_of
from listener.config import Thresholds, load
from listener.config.load import Schemas, plugged
from listener.errors import ConfigError


class Site(BaseModel):
    """A plug-in as the loader sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    url: str
    interval_secs: int = 600
    token: SecretStr | None = None
    headers: dict[str, str] = {}
    path: Path | None = None
    brands: tuple[str, ...] = ()


SCHEMAS: Schemas = {"sources": {"site": Site}, "rules": dict(RULE_TYPES)}

GOOD = """
[service]
instance = "tallinn"

[brands.bolt]
names = ["Bolt", { name = "BOLT", exact = true }]
competitors = ["wolt"]

[brands.wolt]
names = ["Wolt"]
alerts = false

[sources.reviews]
type = "site"
url = "https://example.com/reviews"
brands = ["bolt"]

[brands.bolt.thresholds]
budget = 0.3
points_per_hour = 25
points_per_day = 10
false_alarms_per_month = 2

[rules.deterioration]
type = "deterioration"
resolve_after_secs = 3600

[rules.blind]
type = "blind"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "listener.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(tmp_path: Path, text: str) -> dict[str, str]:
    """What is wrong, by path."""
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), SCHEMAS)
    return {fault.path: f"{fault.problem}; {fault.fix}" for fault in caught.value.faults}


def test_a_good_file_is_read(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD), SCHEMAS)
    assert settings.service.instance == "tallinn"
    assert settings.brands["bolt"].title == "Bolt"
    assert plugged(settings, "sources", SCHEMAS)["reviews"].url == "https://example.com/reviews"
    assert plugged(settings, "rules", SCHEMAS)["deterioration"].resolve_after_secs == 3600
    assert settings.brands["wolt"].thresholds == Thresholds()
    own = settings.brands["bolt"].thresholds
    assert (own.budget, own.points_per_hour, own.points_per_day, own.false_alarms_per_month) == (0.3, 25.0, 10.0, 2.0)


def test_topics_keep_the_order_of_the_file(tmp_path: Path) -> None:
    """The first that matches counts."""
    topics = '[brands.bolt.topics]\nwait = "oota OR ooda"\ndelivery = "kuller"\napp = "äpp OR app"\n'
    settings = load(write(tmp_path, GOOD.replace("[brands.wolt]", f"{topics}[brands.wolt]")), SCHEMAS)
    assert list(settings.brands["bolt"].topics) == ["wait", "delivery", "app"]
    assert settings.brands["wolt"].topics == {}


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    text = (
        GOOD + '\n[sources.log]\ntype = "site"\nurl = "x"\npath = "mentions.jsonl"\n[database]\nurl = "sqlite:///a.db"'
    )
    settings = load(write(tmp_path, text), SCHEMAS)
    assert plugged(settings, "sources", SCHEMAS)["log"].path == tmp_path / "mentions.jsonl"
    assert settings.database.url == f"sqlite:///{tmp_path}/a.db"


def test_the_environment_wins_and_fills_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"LISTENER_HTTP__PORT": "9999", "LISTENER_SOURCES__REVIEWS__TOKEN": "s3cret"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load(write(tmp_path, GOOD), SCHEMAS)
    assert settings.http.port == 9999
    token = plugged(settings, "sources", SCHEMAS)["reviews"].token
    assert token.get_secret_value() == "s3cret"


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    text = GOOD.replace('type = "site"', 'type = "site"\ntoken_file = "token"')
    settings = load(write(tmp_path, text), SCHEMAS)
    assert plugged(settings, "sources", SCHEMAS)["reviews"].token.get_secret_value() == "s3cret"


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        (('names = ["Wolt"]', 'name = ["Wolt"]'), "brands.wolt.name", "did you mean 'names'?"),
        (("[service]", "[servise]"), "servise", "did you mean 'service'?"),
        (('type = "site"', 'type = "sight"'), "sources.reviews.type", "did you mean 'site'?"),
        (('type = "site"\n', ""), "sources.reviews.type", "no type given"),
        (('url = "https://example.com/reviews"', "urll = 1"), "sources.reviews.urll", "did you mean 'url'?"),
        (('url = "https://example.com/reviews"\n', ""), "sources.reviews.url", "is missing"),
        (
            ("resolve_after_secs = 3600", "resolve_after = 3600"),
            "rules.deterioration.resolve_after",
            "'resolve_after_secs'",
        ),
        (
            ("resolve_after_secs = 3600", "resolve_after_secs = 1"),
            "rules.deterioration.resolve_after_secs",
            "greater than or equal to 60",
        ),
        (
            ("resolve_after_secs = 3600", "volume_critical = 5\nvolume_warning = 6"),
            "rules.deterioration",
            "critical would come before warning",
        ),
        (('type = "blind"', 'type = "negative_share"'), "rules.blind.type", "deterioration"),
        (("budget = 0.3", "budget = 1.0"), "brands.bolt.thresholds.budget", "less than 1"),
        (("budget = 0.3", "budgett = 0.3"), "brands.bolt.thresholds.budgett", "did you mean 'budget'?"),
        (("points_per_hour = 25", "points_per_hour = 0"), "brands.bolt.thresholds.points_per_hour", "greater than 0"),
        (("points_per_day = 10", "points_per_day = 201"), "brands.bolt.thresholds.points_per_day", "200"),
        (
            ("false_alarms_per_month = 2", "false_alarms_per_month = 0"),
            "brands.bolt.thresholds.false_alarms_per_month",
            "0.001",
        ),
        (('competitors = ["wolt"]', 'competitors = ["volt"]'), "brands.bolt.competitors", "[brands.volt]"),
        (('brands = ["bolt"]', 'brands = ["bolb"]'), "sources.reviews.brands", "did you mean 'bolt'?"),
        (('instance = "tallinn"', 'instance = "Tal/#"'), "service.instance", "lower-case letters"),
        (
            ("[brands.wolt]", '[brands.bolt.topics]\nKuller-EE = "kuller"\n[brands.wolt]'),
            "brands.bolt.topics.Kuller-EE",
            "lower-case letters",
        ),
        (("[brands.wolt]", "[brands.bolt.topics]\napp = 7\n[brands.wolt]"), "brands.bolt.topics.app", "string"),
        (("[brands.wolt]", "[brands.Wolt-EE]"), "brands.Wolt-EE", "lower-case letters"),
        (('url = "https://', 'url = "https://me:pw@'), "sources.reviews.url", "a secret in clear inside a URL"),
        (('/reviews"', '/reviews?api_key=abc"'), "sources.reviews.url", "a secret in clear inside a URL"),
        (
            ('type = "site"', 'type = "site"\ntoken = "abc"'),
            "sources.reviews.token",
            "LISTENER_SOURCES__REVIEWS__TOKEN",
        ),
        (('type = "site"', 'type = "site"\ntoken_file = "no"'), "sources.reviews.token_file", "cannot be read"),
        (
            ('type = "site"', 'type = "site"\nheaders = { X-Api-Key = "abc" }'),
            "sources.reviews.headers.X-Api-Key",
            "a secret in clear",
        ),
        (
            ("[service]", '[mqtt]\nusername = "u"\npassword = "p"\n[service]'),
            "mqtt.password",
            "LISTENER_MQTT__PASSWORD",
        ),
        (("[service]", "[http]\nport = 70000\n[service]"), "http.port", "65535"),
        (("[service]", '[database]\nurl = "postgresql://u:p@h/d"\n[service]'), "database.url", "inside a URL"),
    ],
)
def test_each_fault_names_place_and_fix(tmp_path: Path, change: tuple[str, str], path: str, says: str) -> None:
    assert change[0] in GOOD
    found = faults(tmp_path, GOOD.replace(*change))
    assert says in found[path]


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('type = "site"', 'type = "sight"').replace('names = ["Wolt"]', "").replace("3600", "1")
    assert set(faults(tmp_path, text)) == {
        "sources.reviews.type",
        "brands.wolt.names",
        "rules.deterioration.resolve_after_secs",
    }


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    assert "line 3" in next(iter(faults(tmp_path, "\n[service]\ninstance = \n").values()))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="listener init"):
        load(tmp_path / "none.toml", SCHEMAS)


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("LISTENER_HTP__PORT", "'http'"),
        ("LISTENER_HTTP__PROT", "'port'"),
        ("LISTENER_SOURCES__REVUES__TOKEN", "'sources__reviews'"),
        ("LISTENER_SOURCES__REVIEWS__TOKN", "'token'"),
        ("LISTENER_MQTT__PASWORD", "'password'"),
    ],
)
def test_a_misspelt_variable_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, says: str
) -> None:
    monkeypatch.setenv(variable, "x")
    assert says in faults(tmp_path, GOOD)[variable]


def test_known_variables_are_no_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LISTENER_CONFIG", "LISTENER_REQUIRE_SERVICES", "LISTENER_MQTT__TLS__CA_FILE"):
        monkeypatch.setenv(name, "x")
    assert load(write(tmp_path, GOOD), SCHEMAS).brands


def test_no_fault_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTENER_SOURCES__REVIEWS__INTERVAL_SECS", "hunter2")
    text = GOOD.replace('type = "site"', 'type = "site"\ntoken = "hunter2"')
    assert "hunter2" not in str(faults(tmp_path, text))


# ------------------------------------------------------------------------------------------------------------- rules

RULES = """
[brands.bolt]
names = ["Bolt"]
[brands.bolt.thresholds]
budget = 0.3
points_per_day = 10

[brands.wolt]
names = ["Wolt"]

[rules.worse]
type = "deterioration"
budget = 0.2
false_alarms_per_month = 3
"""


def test_a_brands_own_thresholds_fit_its_rules(tmp_path: Path) -> None:
    fitted = thresholds_of(load_settings(write(tmp_path, RULES)))
    bolt, wolt = (next(one for one in fitted[name] if isinstance(one, Deterioration)) for name in ("bolt", "wolt"))
    assert (bolt.name, bolt.budget, bolt.points_per_day, bolt.false_alarms_per_month) == ("worse", 0.3, 10.0, 3.0)
    assert (wolt.name, wolt.budget, wolt.points_per_day) == ("worse", 0.2, None)


def test_without_rules_there_are_all_with_their_defaults(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, RULES.split("[rules.worse]", maxsplit=1)[0]))
    assert rules_of(settings) == list(DEFAULT_RULES)
    assert [rule.type for rule in DEFAULT_RULES] == ["deterioration", "high_risk", "blind"]


def test_two_rules_of_a_type_are_a_fault(tmp_path: Path) -> None:
    """A brand has one budget, and its alerts must not compete."""
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, RULES + '[rules.again]\ntype = "deterioration"\n'))
    (fault,) = caught.value.faults
    assert fault.path == "rules.again"
    assert fault.problem == "is a second rule of type 'deterioration', beside 'worse'"
    assert "[brands.NAME.thresholds]" in fault.fix
