"""What a look of all rules has found until now, and how one brand that crashes costs no other."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from listener.alerts.detection.detect import next_look
from listener.alerts.detection.standing import Standing
from listener.alerts.wire.payload import StatePayload
from listener.domain import Alert
from listener.errors import StoreError
from listener.pipeline.parts import Parts

log = structlog.get_logger()


class NothingLookedAt(Exception):
    """No brand can be looked at: the rules do not look, and whoever watches them is to notice."""


@dataclass(slots=True, kw_only=True)
class Found:
    """The alerts that people are told of, and how the brands stand that were looked at.

    ``put_off`` are the brands that wait for the next one: they crashed, or another daemon was first.
    """

    parts: Parts
    now: datetime
    told: list[Alert] = field(default_factory=list)
    states: list[StatePayload] = field(default_factory=list)
    put_off: set[str] = field(default_factory=set)

    @contextlib.contextmanager
    def alone(self, brand: str) -> Iterator[None]:
        """What crashes in here costs this brand only: it is looked at again next time. A failing store goes through."""
        try:
            yield
        except StoreError:
            raise
        except Exception:
            self.parts.metrics.unit_failures.labels(stage="evaluate").inc()
            self.parts.trouble.brands.add(brand)
            self.put_off.add(brand)
            self.parts.agenda.put(brand, self.now)
            log.exception("brand.crashed", brand=brand)

    def kept(self, brand: str, version: int, standing: Standing) -> None:
        """The look at a brand is committed, which stands so."""
        self.parts.trouble.brands.discard(brand)
        self.parts.agenda.put(brand, next_look(standing, self.now))
        self.parts.standings.put(brand, version, standing)

    def lost(self, brand: str) -> None:
        """Another daemon was first with a brand: what it has decided is read at the next look."""
        self.parts.metrics.conflicts.inc()
        self.put_off.add(brand)
        self.parts.agenda.put(brand, self.now)
