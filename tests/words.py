"""Members of bundles, for tests of words."""

from datetime import timedelta
from typing import Any

from listener.alerts.wire.oncall import BundleMember
from tests.alerting import NOW


def member(number: int, **changes: Any) -> BundleMember:
    """A critical alert of a brand of its own that fires since so many minutes and one."""
    values: dict[str, Any] = {
        "alert_id": f"{number:08}",
        "seq": 1,
        "brand": f"brand{number}",
        "title": f"Brand{number}",
        "rule": "deterioration",
        "severity": "critical",
        "reason": "first",
        "state": "firing",
        "started_at": NOW - timedelta(minutes=number + 1),
        "observed": 0.6,
        "expected": 0.2,
    }
    return BundleMember(**{**values, **changes})
