"""The composition root: settings in, a wired application out. The only place that knows all the parts."""

from listener.app.running import App, opened
from listener.app.settings import (
    MQTT,
    database_of,
    fetch_policy_of,
    load_settings,
    matcher_of,
    policy_of_settings,
    receivers_of,
    require_work,
    rules_of,
    schemas,
    scorer_of,
    sources_of,
    thresholds_of,
    topics_of,
    utc_now,
)
from listener.app.telling import opened_receivers

__all__ = [
    "MQTT",
    "App",
    "database_of",
    "fetch_policy_of",
    "load_settings",
    "matcher_of",
    "opened",
    "opened_receivers",
    "policy_of_settings",
    "receivers_of",
    "require_work",
    "rules_of",
    "schemas",
    "scorer_of",
    "sources_of",
    "thresholds_of",
    "topics_of",
    "utc_now",
]
