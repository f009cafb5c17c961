"""What the units of work share."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from listener.alerts.rules import Rule
from listener.config import Brand
from listener.fetch import Fetcher
from listener.matching import Matcher
from listener.metrics import Metrics
from listener.protocols import Receiver
from listener.sentiment.scorer import ThreadedScorer
from listener.sources.base import BaseSource
from listener.store import Database


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that the units of work share. ``now`` is the clock: real time, or the mentions' own in a backtest."""

    database: Database
    metrics: Metrics
    fetcher: Fetcher
    sources: Mapping[str, BaseSource]
    brands: Mapping[str, Brand]
    matcher: Matcher
    identify: Callable[[str], str | None]
    scorer: ThreadedScorer
    rules: Mapping[str, Sequence[Rule]]  # by brand, with its own thresholds
    receivers: Mapping[str, Receiver]
    now: Callable[[], datetime]
    random: Callable[[], float] = random.random
    lease_secs: float = 60.0
    batch_mentions: int = 64
