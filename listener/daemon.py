"""The running service: the scheduler says when to poll, stages drain what was committed, a signal ends it in order."""

import asyncio
import contextlib
import hashlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from listener.alerts.receivers.base import Resender
from listener.app import App
from listener.errors import StoreError
from listener.pipeline import act, deliver, end_drills, evaluate, make_digest, poll, refresh, score, tell
from listener.pipeline.calendars import (
    Copy,
    calendars_of,
    fetch_calendar,
    recall_calendars,
    refresh_calendars,
    store_calendars,
)
from listener.pipeline.deliver import Memory
from listener.pipeline.resend import resend
from listener.pipeline.watchdog import bark
from listener.serving import serving
from listener.store.sources import states
from listener.web import application

log = structlog.get_logger()

IDLE_SECS = 1.0  # how long a stage with nothing to do waits, unless it is woken
STORE_FAILURES = 10  # units in a row that the database may fail before the supervisor is to restart us
START_SPREAD_SECS = 30.0  # first polls are spread over this, so that a start is no stampede
STOP_SECS = 10.0
CALENDAR_SECS = 30.0  # how exactly the times of calendars are kept
DIGEST_SECS = 60.0  # how exactly the time of the digest is kept


class StoreDown(StoreError):
    """The database has not answered for too long: exit 1, the supervisor restarts us."""


@dataclass(kw_only=True)
class Stage:
    """A loop around one unit of work: as long as there is work it goes on, then it waits to be woken."""

    name: str
    unit: Callable[[], Awaitable[int]]
    idle_secs: float = IDLE_SECS
    then: "Stage | None" = None  # who has work once this stage did some
    failures: int = 0  # StoreErrors in a row
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    on_failure: Callable[[str], None] = lambda _stage: None

    async def run(self) -> None:
        """Work until cancelled. Raises StoreDown when the database stays away."""
        while True:
            self.wake.clear()
            if await self.once():
                if self.then is not None:
                    self.then.wake.set()
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), self.idle_secs)

    async def once(self) -> int:
        """One unit; how much it did. A bug in it is logged and ends this unit only."""
        try:
            done = await self.unit()
        except StoreError as error:
            self.failures += 1
            self.on_failure(self.name)
            log.warning("store.failed", stage=self.name, error=str(error), failures=self.failures)
            if self.failures >= STORE_FAILURES:
                raise StoreDown(f"{self.name}: the database failed {self.failures} times in a row: {error}") from error
            return 0
        except Exception:
            self.on_failure(self.name)
            log.exception("unit.crashed", stage=self.name)
            return 0
        self.failures = 0
        return done


class Daemon:
    """One listener: its stages, its scheduler, its HTTP side."""

    def __init__(self, app: App) -> None:
        self.app = app
        parts = app.parts
        self.memories = {name: Memory() for name in parts.receivers}
        self.deliveries = [
            self._stage(f"deliver_{name}", lambda name=name, memory=memory: deliver(parts, name, memory))  # type: ignore[misc]
            for name, memory in self.memories.items()
        ]
        self.telling = self._stage("tell", self._tell)
        self.acting = self._stage("act", self._act)
        self.evaluation = self._stage("evaluate", self._evaluate, idle_secs=app.settings.service.tick_secs)
        self.refreshing = self._stage("refresh", lambda: refresh(parts))
        self.scoring = self._stage("score", lambda: score(parts), then=self.refreshing)
        self.digest = self._stage("digest", self._make_digest, idle_secs=DIGEST_SECS)
        self.watching: Stage | None = None
        self.stages = [
            self.scoring,
            self.refreshing,
            self.evaluation,
            self.acting,
            self.telling,
            self.digest,
            *self.deliveries,
            *self._beside(),
        ]
        app.wake.heard = self.acting.wake.set
        self.evaluated_at: datetime | None = None
        self.told_at: datetime | None = None
        self.calendars: dict[str, Copy] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def _stage(
        self, name: str, unit: Callable[[], Awaitable[int]], *, idle_secs: float = IDLE_SECS, then: Stage | None = None
    ) -> Stage:
        metrics = self.app.metrics
        return Stage(
            name=name,
            unit=unit,
            idle_secs=idle_secs,
            then=then,
            on_failure=lambda stage: metrics.unit_failures.labels(stage=stage).inc(),
        )

    def _beside(self) -> Iterator[Stage]:
        """What runs only where it is configured."""
        app = self.app
        for name, receiver in app.resenders.items():
            again = self._stage(f"resend_{name}", lambda name=name, to=receiver: self._resend(name, to))  # type: ignore[misc]
            again.idle_secs = receiver.interval_secs
            yield again
        if app.settings.watchdog is not None:
            every_secs = app.settings.watchdog.every_minutes * 60
            self.watching = self._stage("watchdog", self._bark, idle_secs=every_secs)
            yield self.watching
        if any(schedule.start is None for schedule in app.settings.schedules.values()):
            yield self._stage("calendars", self._read_calendars, idle_secs=CALENDAR_SECS)

    async def _evaluate(self) -> int:
        evaluation = await evaluate(self.app.parts)
        if self.evaluated_at is None:
            self._wake_watching()
        self.evaluated_at = self.app.parts.now()
        self.app.publish_states(evaluation.states)
        if evaluation.told:
            self.telling.wake.set()
        return 0  # the rules look once a tick, however much they found

    async def _tell(self) -> int:
        if await tell(self.app.parts):
            self._wake_deliveries()
        if self.told_at is None:
            self._wake_watching()
        self.told_at = self.app.parts.now()
        return 0

    async def _act(self) -> int:
        done = await act(self.app.parts)
        ended = await end_drills(self.app.parts)
        if done or ended:
            self.app.publish_actions(done)
            self.telling.wake.set()
            self.evaluation.wake.set()  # who is on it is part of the brand's state
        return 0

    async def _bark(self) -> int:
        settings = self.app.settings
        if settings.watchdog is not None:
            tick_secs = settings.service.tick_secs
            instance = settings.service.instance
            if await bark(
                self.app.parts,
                settings.watchdog,
                instance=instance,
                evaluated_at=self.evaluated_at,
                told_at=self.told_at,
                tick_secs=tick_secs,
            ):
                self._wake_deliveries()
        return 0

    async def _resend(self, name: str, receiver: Resender) -> int:
        await resend(self.app.parts, name, receiver)
        return 0

    async def _recall_calendars(self) -> int:
        parts = self.app.parts
        self._know(await recall_calendars(parts.database, parts.policy, parts.now()))
        return 0

    async def _read_calendars(self) -> int:
        parts = self.app.parts
        self._know(await refresh_calendars(fetch_calendar, parts.policy, self.calendars, parts.now()))
        self._know(await store_calendars(parts.database, parts.policy, self.calendars))
        return 0

    def _know(self, copies: dict[str, Copy]) -> None:
        self.calendars = copies
        self.app.calendars.update(calendars_of(copies))

    async def _make_digest(self) -> int:
        made = await make_digest(self.app.parts, self.app.settings.digest)
        if made:
            self._wake_deliveries()
        return 0

    def _wake_watching(self) -> None:
        """The first sign waits for the first look, and until it was first decided who is told."""
        if self.watching is not None:
            self.watching.wake.set()

    def _wake_deliveries(self) -> None:
        for memory in self.memories.values():
            memory.woken = True
        for delivery in self.deliveries:
            delivery.wake.set()

    async def _poll(self, name: str) -> None:
        stage = self._stage(f"poll_{name}", lambda: self._poll_unit(name))
        with contextlib.suppress(asyncio.CancelledError):  # a stop in the middle is no error of the scheduler's job
            await stage.once()

    async def _poll_unit(self, name: str) -> int:
        report = await poll(self.app.parts, name)
        if any(report.verdicts.values()):
            self.scoring.wake.set()
            self.refreshing.wake.set()
        return 0

    async def once(self) -> None:
        """Poll every source once, then do all the work that follows from it, and return."""
        await self._stage("calendars", self._recall_calendars).once()
        await asyncio.gather(
            self._stage("calendars", self._read_calendars).once(),
            *(self._poll(name) for name, source in self.app.parts.sources.items() if source.enabled),
        )
        for stage in (self.scoring, self.refreshing):
            while await stage.once():
                pass
        await self.app.settle()
        await self.acting.once()
        await self.evaluation.once()
        await self.telling.once()
        for memory in self.memories.values():
            memory.tried = set()  # else a receiver that is away could be tried without end
        for stage in self.deliveries:
            while await stage.once():
                pass

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM. Raises StoreDown when the database stays away."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        http = self.app.settings.http
        web = application(self.app.metrics.registry, alive=self._alive, ready=self.app.checks(), acting=self.app.acting)
        await self._remember()
        # Before anybody is told: a calendar's server may be away, or let us wait. A bug in it is no reason to stop.
        await self._stage("calendars", self._recall_calendars).once()
        async with serving(lambda _address: web, http.host, http.port) as address, self._scheduled(), self._staged():
            log.info("daemon.started", instance=self.app.settings.service.instance, metrics=f"{address}/metrics")
            self.app.announce(address)
            stopping = asyncio.create_task(stop.wait(), name="stop")
            done, _ = await asyncio.wait([stopping, *self.tasks], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            for task in done - {stopping}:
                task.result()  # a stage ends only by raising: hand it on
        log.info("daemon.stopped")

    async def _remember(self) -> None:
        """Start the gauges of the sources where they stood: a restart is no success, and some may never have one."""
        known = await states(self.app.database)
        for name in self.app.parts.sources:
            succeeded_at = known[name].succeeded_at if name in known else None
            since_at = succeeded_at or self.app.parts.now()
            self.app.metrics.source_success.labels(source=name).set(since_at.timestamp())

    async def _alive(self) -> str | None:
        ended = [task.get_name() for task in self.tasks if task.done()]
        if self.app.mqtt is not None and self.app.mqtt.ended is not None:
            return f"the connection {self.app.mqtt.ended} has ended"
        return f"stage {ended[0]} has ended" if ended else None

    @contextlib.asynccontextmanager
    async def _staged(self) -> AsyncIterator[None]:
        self.tasks = [asyncio.create_task(stage.run(), name=stage.name) for stage in self.stages]
        try:
            yield
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.wait(self.tasks, timeout=STOP_SECS)

    @contextlib.asynccontextmanager
    async def _scheduled(self) -> AsyncIterator[None]:
        scheduler = AsyncIOScheduler(timezone=UTC)
        for name, source in self.app.parts.sources.items():
            if source.enabled:
                scheduler.add_job(
                    self._poll,
                    "interval",
                    args=[name],
                    id=name,
                    seconds=source.interval_secs,
                    jitter=max(1, source.interval_secs // 10),
                    max_instances=1,
                    coalesce=True,
                    misfire_grace_time=None,
                    next_run_time=datetime.now(UTC) + spread(name, source.interval_secs),
                )
        scheduler.start()
        try:
            yield
        finally:
            scheduler.shutdown(wait=False)


def spread(name: str, interval_secs: float) -> timedelta:
    """How long after the start a source is first polled: the same for one name, short for a short interval."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
    return timedelta(seconds=share * min(START_SPREAD_SECS, interval_secs / 4))
