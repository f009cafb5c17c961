"""Signals and alerts for tests; ``changes`` replaces what a test turns."""

from datetime import UTC, datetime, timedelta
from typing import Any

from listener.domain import Alert, AlertState, Condition, Severity, Signal

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def signal(**changes: Any) -> Signal:
    """A breach with all its numbers."""
    values: dict[str, Any] = {
        "brand": "acme",
        "rule": "share",
        "condition": Condition.BREACHED,
        "severity": Severity.CRITICAL,
        "reason": "36 of 60 mentions are negative",
        "observed": 0.6,
        "expected": 0.2,
        "low": 0.44,
        "high": 0.75,
        "mentions": 60,
        "perception": -48.0,
        "perception_before": 12.0,
        "window_start_at": NOW - timedelta(hours=1),
        "window_end_at": NOW,
    }
    return Signal(**{**values, **changes})


def alert(**changes: Any) -> Alert:
    """A critical alert that has just begun."""
    brand = changes.get("brand", "acme")
    values: dict[str, Any] = {
        "brand": brand,
        "rule": "share",
        "severity": Severity.CRITICAL,
        "state": AlertState.FIRING,
        "started_at": NOW,
        "updated_at": NOW,
        "signal": signal(brand=brand),
    }
    return Alert(**{**values, **changes})
