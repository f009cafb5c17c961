"""Which silences the API takes."""

from types import SimpleNamespace

import pytest
from fastapi import HTTPException

from listener.web.silences import _silence
from listener.web.views import SilenceBody
from tests.alerting import NOW

ACTING = SimpleNamespace(titles={}, rules=("deterioration", "drill"), clock=lambda: NOW)


@pytest.mark.parametrize(
    "times",
    [
        {"starts_at": "9999-12-31T23:00:00Z", "minutes": 600},
        {"starts_at": "9999-12-31T23:00:00-14:00", "minutes": 1},
        {"starts_at": "9999-12-31T22:00:00-14:00", "ends_at": "9999-12-31T23:00:00-14:00"},
        {"starts_at": "0001-01-01T00:00:00+14:00", "ends_at": "9999-12-31T23:00:00-14:00"},
        {"ends_at": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_times_at_the_end_of_all_times_are_refused(times: dict[str, object]) -> None:
    """No sum of them can be told, let alone kept: 422, not 500."""
    with pytest.raises(HTTPException) as refused:
        _silence(ACTING, SilenceBody.model_validate({"brand": "bolt", **times}), "mari")  # type: ignore[arg-type]
    assert refused.value.status_code == 422


def test_a_start_long_ago_is_now() -> None:
    body = SilenceBody.model_validate({"brand": "bolt", "starts_at": "0001-01-01T00:00:00+14:00", "minutes": 10})
    assert _silence(ACTING, body, "mari").starts_at == NOW  # type: ignore[arg-type]


def test_a_rule_that_no_alert_has_is_refused() -> None:
    """It would mute nothing, and nobody would notice."""
    with pytest.raises(HTTPException, match="did you mean 'deterioration'"):
        _silence(ACTING, SilenceBody(rule="deteriorration", minutes=10), "mari")  # type: ignore[arg-type]
    assert _silence(ACTING, SilenceBody(rule="drill", minutes=10), "mari").rule == "drill"  # type: ignore[arg-type]
