"""What the units of work share."""

import asyncio
import heapq
import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from listener.alerts.detection.rules import Rule
from listener.alerts.detection.standing import Standing
from listener.alerts.oncall.policy import NOBODY, Policy
from listener.alerts.oncall.say import Target
from listener.alerts.oncall.storm import Limits
from listener.alerts.wire.findings import AnswerFindings
from listener.config import Brand
from listener.fetch import Fetcher
from listener.matching import Matcher
from listener.matching.topics import NO_TOPICS, Topics
from listener.metrics import Metrics
from listener.pipeline.advise import Adviser
from listener.protocols import Receiver
from listener.sentiment.scorer import ThreadedScorer
from listener.sources.base import BaseSource
from listener.store import Database


class Agenda:
    """When each brand is to be looked at again though nothing new is said of it: only *when*, never what.

    Every brand is due at the start; what is lost with the process is looked at once more.
    """

    def __init__(self) -> None:
        self._due_at: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._now: set[str] = set()

    def begin(self, brand: str) -> None:
        """Look at ``brand`` at once."""
        self._now.add(brand)

    def put(self, brand: str, at: datetime) -> None:
        """Look at ``brand`` at ``at`` at the latest."""
        self._now.discard(brand)
        self._due_at[brand] = at
        heapq.heappush(self._heap, (at, brand))

    def due(self, now: datetime) -> set[str]:
        """The brands whose time has come; they stay due until they are put again."""
        found = set(self._now)
        while self._heap and self._heap[0][0] <= now:
            at, brand = heapq.heappop(self._heap)
            if self._due_at.get(brand) == at:  # else it was put anew since
                self._now.add(brand)
                found.add(brand)
        return found


class Standings:
    """How brands stood when they were last read or kept: saves reading it again while its version is the same."""

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._known: OrderedDict[str, tuple[int, Standing]] = OrderedDict()

    def get(self, brand: str, version: int) -> Standing | None:
        """The standing of ``brand`` at ``version``, if it is known."""
        known = self._known.get(brand)
        return known[1] if known is not None and known[0] == version else None

    def put(self, brand: str, version: int, standing: Standing) -> None:
        """Remember it; of too many the one that was put first is forgotten."""
        self._known[brand] = version, standing
        self._known.move_to_end(brand)
        if len(self._known) > self._size:
            self._known.popitem(last=False)


DEFAULT_LIMITS = Limits(burst=5, per_hour=10.0, update=timedelta(minutes=5))


@dataclass(kw_only=True)
class Telling:
    """When what is held was last looked at; at the start it is looked at once."""

    held_at: datetime | None = None


@dataclass(kw_only=True)
class Trouble:
    """What crashes: the brands whose last look did, and how often each waiting action did."""

    brands: set[str] = field(default_factory=set)
    actions: Counter[str] = field(default_factory=Counter)


@dataclass(kw_only=True)
class Watching:
    """Since when this process looks, and when it has ended alerts since it watches their brand or rule no more."""

    since_at: datetime | None = None
    ended: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that the units of work share. ``now`` is the clock: real time, or the mentions' own in a backtest.

    ``reach`` gives the receivers behind names (receivers, people, schedules) at a time; ``answer`` how to answer what
    a message says.
    """

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
    topics: Topics = NO_TOPICS
    policy: Policy = NOBODY
    limits: Limits = DEFAULT_LIMITS
    reach: Callable[[Sequence[str], datetime], tuple[str, ...]] = lambda names, _at: tuple(names)
    answer: Callable[[Target, datetime], AnswerFindings | None] = lambda _target, _at: None
    links: bool = False  # whether messages bring links to answer
    adviser: Adviser | None = None
    random: Callable[[], float] = random.random
    lease_secs: float = 60.0
    batch_mentions: int = 64
    agenda: Agenda = field(default_factory=Agenda)
    standings: Standings = field(default_factory=Standings)
    telling: Telling = field(default_factory=Telling)
    trouble: Trouble = field(default_factory=Trouble)
    watching: Watching = field(default_factory=Watching)
    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while the rules look, and while it is told

    @cached_property
    def titles(self) -> dict[str, str]:
        """The brands' names for people."""
        return {name: brand.title for name, brand in self.brands.items()}

    def title(self, brand: str) -> str:
        """A brand's name for people; one that is followed no more goes by its own."""
        return self.brands[brand].title if brand in self.brands else brand

    def watches(self, brand: str, rule: str) -> bool:
        """Whether anybody is to be told of what this rule finds of this brand."""
        known = self.brands.get(brand)
        return known is not None and known.alerts and any(one.name == rule for one in self.rules.get(brand, ()))

    def __post_init__(self) -> None:
        for brand in self.brands:
            self.agenda.begin(brand)
