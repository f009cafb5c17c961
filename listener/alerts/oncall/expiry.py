"""How long a message is news. After that it would mislead: it is told in a digest instead."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from listener.domain import Severity

EXPIRY_SECS: Mapping[Severity, int] = MappingProxyType(
    {Severity.INFO: 4 * 3600, Severity.WARNING: 4 * 3600, Severity.CRITICAL: 24 * 3600}
)


def expires_at(severity: Severity, decided_at: datetime) -> datetime:
    """From when on nobody is to be told of it any more."""
    return decided_at + timedelta(seconds=EXPIRY_SECS[severity])
