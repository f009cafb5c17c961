"""The layout of our MQTT topics: low cardinality, one writer each, no text from outside in a level.

``PREFIX`` is ``listener/v1`` unless configured::

    PREFIX/<instance>/status                  retained: online, offline (the broker says offline when we vanish)
    PREFIX/<instance>/heartbeat               every minute, not retained
    PREFIX/<instance>/digest                  once a day, not retained: what changes too slowly to wake anybody
    PREFIX/brand/<slug>/state                 retained: how the brand stands now
    PREFIX/brand/<slug>/alert/<severity>      events, never retained: a late subscriber must not be woken for history
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from listener.domain import Severity

UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
DIGEST_LIKE = re.compile(r"(^|-)[0-9a-f]{8}$")
SLUG_CHARS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The topics of one daemon. ``prefix`` is taken as it is; ``instance`` becomes one level."""

    prefix: str
    instance: str

    @property
    def status(self) -> str:
        """Whether the daemon is there."""
        return f"{self.prefix}/{slug(self.instance)}/status"

    @property
    def heartbeat(self) -> str:
        """A sign of life for those who would rather alarm on silence."""
        return f"{self.prefix}/{slug(self.instance)}/heartbeat"

    @property
    def digest(self) -> str:
        """What is told once a day."""
        return f"{self.prefix}/{slug(self.instance)}/digest"

    def state(self, brand: str) -> str:
        """How a brand stands now."""
        return f"{self.prefix}/brand/{slug(brand)}/state"

    def alert(self, brand: str, severity: Severity) -> str:
        """Where the alerts of a brand go."""
        return f"{self.prefix}/brand/{slug(brand)}/alert/{severity.value}"


def slug(name: str) -> str:
    """``name`` as one topic level of letters, digits, ``_`` and ``-``; different names give different slugs.

    A name that is already such a level stays as it is, unless it ends like our digests. Any other is folded to ASCII
    and carries eight hex digits of its SHA-256, so that "A/B" and "A+B" do not share a topic. The dot is left out since
    RabbitMQ reads it as a slash.
    """
    if name and len(name) <= SLUG_CHARS and not UNSAFE.search(name) and not DIGEST_LIKE.search(name):
        return name
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    readable = UNSAFE.sub("-", folded)[:SLUG_CHARS].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable}-{digest}" if readable else digest


def subscriptions(prefix: str) -> tuple[str, ...]:
    """The filters that see all alerts, all states, and every daemon's status and digest under ``prefix``."""
    return f"{prefix}/brand/+/alert/+", f"{prefix}/brand/+/state", f"{prefix}/+/status", f"{prefix}/+/digest"
