"""The layout of our MQTT topics: low cardinality, one writer each, no text from outside in a level.

``PREFIX`` is ``listener/v1`` unless configured::

    PREFIX/<instance>/status                       retained: online, offline (the broker says so when we vanish)
    PREFIX/<instance>/heartbeat                    every minute
    PREFIX/<instance>/watchdog                     all is well: alarm when it does not come
    PREFIX/<instance>/digest                       once a day, and what was held back or missed
    PREFIX/<instance>/test                         somebody tries the receiver out
    PREFIX/<instance>/actions                      what people did about alerts
    PREFIX/<instance>/alert/<severity>             one message about several alerts
    PREFIX/<instance>/alert/<bundle_id>/ack        what people send to us about all of them
    PREFIX/brand/<slug>/state                      retained: how the brand stands now
    PREFIX/brand/<slug>/alert/<severity>           events of one alert
    PREFIX/brand/<slug>/alert/<alert_id>/ack       what people send to us about it

Events are never retained: a late subscriber must not be woken for history.
"""

import hashlib
import re
import unicodedata
import uuid
from dataclasses import dataclass

from listener.domain import Severity

UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
DIGEST_LIKE = re.compile(r"(^|-)[0-9a-f]{8}$")
SLUG_CHARS = 64
BRAND = "brand"  # the level that no instance may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The topics of one daemon. ``prefix`` is taken as it is; ``instance`` becomes one level."""

    prefix: str
    instance: str

    @property
    def own(self) -> str:
        """The levels under which only this daemon writes."""
        level = slug(self.instance)
        return f"{self.prefix}/{_marked(level, self.instance) if level == BRAND else level}"

    @property
    def status(self) -> str:
        """Whether the daemon is there."""
        return f"{self.own}/status"

    @property
    def heartbeat(self) -> str:
        """A sign of life for those who would rather alarm on silence."""
        return f"{self.own}/heartbeat"

    @property
    def watchdog(self) -> str:
        """A sign that alerts are looked for and told of."""
        return f"{self.own}/watchdog"

    @property
    def digest(self) -> str:
        """What is told once a day, and what is told late."""
        return f"{self.own}/digest"

    @property
    def test(self) -> str:
        """Where a test of the receiver goes."""
        return f"{self.own}/test"

    @property
    def actions(self) -> str:
        """What became of the actions of people."""
        return f"{self.own}/actions"

    def bundle(self, severity: Severity) -> str:
        """Where one message about several alerts goes."""
        return f"{self.own}/alert/{severity.value}"

    def state(self, brand: str) -> str:
        """How a brand stands now."""
        return f"{self.prefix}/{BRAND}/{slug(brand)}/state"

    @property
    def states(self) -> str:
        """The filter for all states, of other daemons too."""
        return f"{self.prefix}/{BRAND}/+/state"

    def alert(self, brand: str, severity: Severity) -> str:
        """Where the alerts of a brand go."""
        return f"{self.prefix}/{BRAND}/{slug(brand)}/alert/{severity.value}"

    def ack(self, alert_id: str, *, brand: str) -> str:
        """Where a command about an alert goes."""
        return f"{self.prefix}/{BRAND}/{slug(brand)}/alert/{alert_id}/ack"

    def bundle_ack(self, bundle_id: str) -> str:
        """Where a command about all alerts of a bundle goes."""
        return f"{self.own}/alert/{bundle_id}/ack"

    @property
    def commands(self) -> tuple[str, str]:
        """The filters for what people send."""
        return f"{self.prefix}/{BRAND}/+/alert/+/ack", self.bundle_ack("+")

    def command_target(self, topic: str) -> "Target | None":
        """Whom a command on ``topic`` is about; None when the topic is none of ours or names no id of ours."""
        level, _, rest = topic.removeprefix(f"{self.prefix}/").partition("/")
        if not topic.startswith(f"{self.prefix}/"):
            return None
        brand: str | None = None
        if level == BRAND:
            brand, _, rest = rest.partition("/")
        elif f"{self.prefix}/{level}" != self.own:
            return None
        match rest.split("/"):
            case ["alert", named, "ack"] if is_id(named):
                return Target(id=named, brand_slug=brand)
            case _:
                return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An alert's id, or a bundle's, which has no brand."""

    id: str
    brand_slug: str | None


def is_id(text: str) -> bool:
    """Whether it looks like an id of ours: a UUID in its usual form."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def slug(name: str) -> str:
    """``name`` as one topic level of letters, digits, ``_`` and ``-``; different names give different slugs.

    A name that is already such a level stays as it is, unless it ends like our digests. Any other is folded to ASCII
    and carries eight hex digits of its SHA-256, so that "A/B" and "A+B" do not share a topic. The dot is left out since
    RabbitMQ reads it as a slash.
    """
    if name and len(name) <= SLUG_CHARS and not UNSAFE.search(name) and not DIGEST_LIKE.search(name):
        return name
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    return _marked(UNSAFE.sub("-", folded)[:SLUG_CHARS].strip("-"), name)


def _marked(readable: str, name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable}-{digest}" if readable else digest


def subscriptions(prefix: str) -> tuple[str, ...]:
    """The filters that see, under ``prefix``, all alerts and bundles, all states, and what daemons say of themselves.

    None of them matches a command (which is one level deeper) or a heartbeat.
    """
    own = ("status", "digest", "watchdog", "test", "actions", "alert/+")
    return (f"{prefix}/brand/+/alert/+", f"{prefix}/brand/+/state", *(f"{prefix}/+/{level}" for level in own))
