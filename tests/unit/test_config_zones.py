"""Time zones in the configuration."""

from typing import Any

import pytest
from pydantic import ValidationError

from listener.config import Settings

TURN = {"people": ["mari"], "start": "2026-01-05T09:00:00"}
NIGHT = {"start": "22:00", "end": "07:00"}
RELEASE = {"start": "2026-12-01T22:00", "end": "2026-12-01T23:00"}


@pytest.mark.parametrize("name", ["Europe/Talinn", "Tallinn", "EET+2", "../passwd", ""])
@pytest.mark.parametrize(
    "table",
    [{"schedules": {"night": TURN}}, {"quiet_hours": {"night": NIGHT}}, {"maintenance": {"night": RELEASE}}],
    ids=["schedules", "quiet_hours", "maintenance"],
)
def test_a_misspelt_time_zone_is_a_fault_of_its_table(table: dict[str, dict[str, dict[str, Any]]], name: str) -> None:
    (kind, entries) = next(iter(table.items()))
    with pytest.raises(ValidationError, match="such as Europe/Tallinn") as caught:
        Settings.model_validate({kind: {"night": entries["night"] | {"timezone": name}}})
    assert {error["loc"] for error in caught.value.errors()} == {(kind, "night", "timezone")}


def test_the_digest_names_its_zone() -> None:
    with pytest.raises(ValidationError, match="such as Europe/Tallinn"):
        Settings.model_validate({"digest": {"timezone": "Europe/Talinn"}})
