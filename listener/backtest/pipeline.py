"""The same pipeline, driven by the mentions' own times instead of the clock: what would have been alerted, and when.

Mentions are stored and scored first, since neither depends on the time; then the rules look once a tick, seeing only
the windows that had ended by then. Nothing is simulated: it is the daemon's own store, windows, rules and alerts.
"""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

from listener.aggregate import FINE_SECS, window_start
from listener.alerts.detection.rules import Rule
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.backtest.history import SOURCE, History, stored
from listener.backtest.replay import AFTER, Heard
from listener.domain import Frozen, Notification
from listener.fetch import Fetcher, FetchPolicy
from listener.matching import Matcher
from listener.metrics import Metrics
from listener.pipeline import Parts, deliver, evaluate, refresh, score, tell
from listener.sentiment.scorer import ThreadedScorer
from listener.store import Database, mentions, migrate
from listener.store.sources import SourceState

STORE_AT_A_TIME = 500
SCORE_AT_A_TIME = 512


# What the rules decided is wanted, each by itself and once.
EVERYTHING = Policy(receivers={SOURCE: ReceiverKind(bundled=False, repeated=False)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a backtest runs: ``on_alert`` is called with each alert's payload as it would have gone out.

    Without ``looks`` the mentions are stored and scored only: what was heard can be replayed in memory.
    """

    history: History
    rules: Sequence[Rule]
    scorer: Callable[[], AbstractAsyncContextManager[ThreadedScorer]]
    on_alert: Callable[[Frozen], None]
    on_progress: Callable[[str, int, int], None]
    tick_secs: int = FINE_SECS
    looks: bool = True


class Collector:
    """The receiver of a backtest: hands the payload on."""

    def __init__(self, on_alert: Callable[[Frozen], None]) -> None:
        self._on_alert = on_alert

    connected = True

    async def deliver(self, notification: Notification) -> None:
        """Take it; nothing can fail."""
        self._on_alert(notification.payload)


async def run(plan: Plan) -> dict[str, list[Heard]]:
    """Run the history through the pipeline, in a database of its own that is thrown away; what was heard, by brand."""
    with tempfile.TemporaryDirectory(prefix="listener-backtest-") as folder:
        database = Database(f"sqlite:///{folder}/listener.db", durable=False)
        try:
            await migrate.upgrade(database)
            async with plan.scorer() as scorer:
                await _replay(plan, database, scorer)
            return {brand: await stored(database, brand, late=False) for brand in plan.history.brands}
        finally:
            await database.close()


async def _replay(plan: Plan, database: Database, scorer: ThreadedScorer) -> None:
    history = plan.history
    clock = [history.mentions[0].at]
    parts = Parts(
        database=database,
        metrics=Metrics(),
        fetcher=Fetcher(FetchPolicy(user_agent="listener")),
        sources={},
        brands=history.brands,
        matcher=Matcher([]),
        identify=lambda _text: None,
        scorer=scorer,
        rules={
            name: [rule.for_brand(dict(brand.thresholds)) for rule in plan.rules]
            for name, brand in history.brands.items()
        },
        receivers={SOURCE: Collector(plan.on_alert)},
        policy=EVERYTHING,
        now=lambda: clock[0],
        batch_mentions=SCORE_AT_A_TIME,
    )
    total = len(history.mentions)
    for start in range(0, total, STORE_AT_A_TIME):
        some = history.mentions[start : start + STORE_AT_A_TIME]
        await mentions.save_poll(database, some, SourceState(name=SOURCE, fingerprint=SOURCE), now=some[-1].at)
        plan.on_progress("stored", start + len(some), total)
    scored = 0
    while count := await score(parts):
        scored += count
        plan.on_progress("scored", scored, total)
    while await refresh(parts):
        pass
    if not plan.looks:
        return
    first = window_start(history.mentions[0].at, FINE_SECS)
    last = history.mentions[-1].at + AFTER
    ticks = int((last - first).total_seconds() // plan.tick_secs)
    for tick in range(1, ticks + 1):
        clock[0] = first + timedelta(seconds=tick * plan.tick_secs)
        evaluation = await evaluate(parts)
        if evaluation.told:
            await tell(parts)
            while await deliver(parts, SOURCE):
                pass
        plan.on_progress("evaluated", tick, ticks)
