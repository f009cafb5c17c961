"""Every name in the tables around alerts is there, and every fault says what to do."""

from typing import Any

import pytest

from listener.config import Settings
from listener.config.references import reference_faults

RECEIVERS = ("mqtt", "chat", "mari_phone")
GOOD: dict[str, Any] = {
    "brands": {"bolt": {"names": ["Bolt"]}, "wolt": {"names": ["Wolt"]}},
    "people": {
        "mari": {"title": "Mari", "receivers": ["mari_phone"]},
        "jaan": {"title": "Jaan", "receivers": ["chat"]},
    },
    "routes": {"pages": {"receivers": ["mqtt"], "severities": ["critical"], "brands": ["bolt"]}},
    "escalations": {
        "pages": {"steps": [{"to": ["night", "mari"]}, {"to": ["chat"], "after_minutes": 15}], "brands": ["bolt"]},
        "rest": {"severities": ["critical", "warning"]},
    },
    "schedules": {"night": {"timezone": "UTC", "people": ["mari", "jaan"], "start": "2026-01-05T09:00:00"}},
    "quiet_hours": {"night": {"timezone": "UTC", "start": "22:00", "end": "07:00", "brands": ["wolt"]}},
    "maintenance": {
        "release": {"timezone": "UTC", "start": "2026-12-01T22:00", "end": "2026-12-01T23:00", "brands": ["bolt"]}
    },
    "watchdog": {"receivers": ["mqtt"]},
}


def faults(**changes: Any) -> list[tuple[str, str]]:
    """The path and advice of each fault of the good configuration with other tables."""
    return [(fault.path, fault.advice) for fault in reference_faults(Settings(**GOOD | changes), RECEIVERS)]


def test_a_good_configuration_has_no_faults() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("changes", "path", "advice"),
    [
        (
            {"routes": {"all": {"receivers": ["mqqt"]}}},
            "routes.all.receivers",
            "'mqqt' is not a receiver of this file; did you mean 'mqtt'?",
        ),
        (
            {"routes": {"all": {"receivers": ["mqtt"], "brands": ["bold"]}}},
            "routes.all.brands",
            "'bold' is not a brand of this file; did you mean 'bolt'?",
        ),
        ({"escalations": {"all": {"brands": ["x"]}}}, "escalations.all.brands", "use one of: bolt, wolt"),
        (
            {"quiet_hours": {"n": GOOD["quiet_hours"]["night"] | {"brands": ["x"]}}},
            "quiet_hours.n.brands",
            "'x' is not a brand",
        ),
        (
            {"maintenance": {"m": GOOD["maintenance"]["release"] | {"brands": ["x"]}}},
            "maintenance.m.brands",
            "'x' is not a brand",
        ),
        (
            {"people": GOOD["people"] | {"kati": {"title": "Kati", "receivers": ["mari_fone"]}}},
            "people.kati.receivers",
            "did you mean 'mari_phone'?",
        ),
        (
            {"escalations": {"all": {"steps": [{"to": ["chat"]}, {"to": ["nihgt"]}]}}},
            "escalations.all.steps[1].to",
            "'nihgt' is not a receiver, person or schedule of this file; did you mean 'night'?",
        ),
        (
            {"schedules": {"night": GOOD["schedules"]["night"] | {"people": ["mari", "jan"]}}},
            "schedules.night.people",
            "'jan' is not a person of this file; did you mean 'jaan'?",
        ),
        (
            {"schedules": {"night": {"timezone": "UTC", "calendar_file": "oncall.ics", "fallback": "boss"}}},
            "schedules.night.fallback",
            "'boss' is not a person of this file; use one of: jaan, mari",
        ),
        ({"watchdog": {"receivers": ["dms"]}}, "watchdog.receivers", "'dms' is not a receiver of this file"),
        (
            {"people": GOOD["people"] | {"chat": {"title": "Chat", "receivers": ["chat"]}}},
            "people.chat",
            "is called like receivers.chat: a step to 'chat' could be either; give it another name",
        ),
        (
            {"schedules": GOOD["schedules"] | {"mari": GOOD["schedules"]["night"]}},
            "schedules.mari",
            "is called like people.mari",
        ),
        (
            {"people": GOOD["people"] | {"jaan": {"title": "Jaan"}}},
            "escalations.pages.steps[0].to",
            "'night' may be 'jaan', who has no receivers and cannot be reached; set people.jaan.receivers",
        ),
        (
            {"people": {}, "escalations": {}, "schedules": {"n": {"timezone": "UTC", "calendar_file": "oncall.ics"}}},
            "schedules.n",
            "its calendar can name nobody",
        ),
    ],
)
def test_a_name_that_is_not_there_or_not_clear_is_a_fault(changes: dict[str, Any], path: str, advice: str) -> None:
    (found,) = faults(**changes)
    assert found[0] == path
    assert advice in found[1]


@pytest.mark.parametrize(
    ("tables", "shadowed"),
    [
        ([{}, {}], ["e1"]),
        ([{}, {"brands": ["bolt"]}], ["e1"]),
        ([{"brands": ["bolt"]}, {}], []),
        ([{"brands": ["bolt"]}, {"brands": ["bolt", "wolt"]}], []),
        ([{"brands": ["bolt"]}, {"brands": ["wolt"]}, {"brands": ["bolt", "wolt"]}], ["e2"]),
        ([{"severities": []}, {"severities": ["warning"]}], ["e1"]),
        ([{"severities": ["critical"]}, {"severities": ["warning"]}, {"severities": ["info"]}, {}], ["e3"]),
        ([{"severities": ["critical"]}, {"severities": []}], []),
    ],
)
def test_an_escalation_that_can_never_be_the_first_to_match_is_a_fault(
    tables: list[dict[str, Any]], shadowed: list[str]
) -> None:
    found = faults(escalations={f"e{index}": table for index, table in enumerate(tables)})
    assert [path for path, _ in found] == [f"escalations.{name}" for name in shadowed]
    assert all("already match all its alerts" in advice for _, advice in found)
