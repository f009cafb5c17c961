"""The flow, one unit of work per arrow: poll, score, refresh, evaluate, deliver.

Each unit reads what the stage before committed, decides with pure functions, and commits once. None hands memory to the
next, so any of them can be killed at any instruction and simply runs again.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from pydantic import SecretStr

from listener.aggregate import COARSE_SECS, FINE_SECS, window_start
from listener.alerts.detect import detect
from listener.alerts.lifecycle import Transition, advance
from listener.alerts.notify import notifications
from listener.alerts.payload import StatePayload, alert_payload, as_json, state_payload
from listener.alerts.rules import Rule
from listener.config import Brand
from listener.domain import (
    Alert,
    AlertState,
    Checkpoint,
    Condition,
    Evidence,
    Mention,
    Notification,
    PollResult,
    RawMention,
    Reason,
    Severity,
    Signal,
    Verdict,
    stable_id,
)
from listener.errors import AccessDenied, DeliveryError, Gone, ListenerError, ParseError, RateLimited, SourceError
from listener.fetch import Fetcher
from listener.fetch.backoff import pause_after
from listener.matching import Matcher
from listener.metrics import Metrics
from listener.normalise import normalise
from listener.protocols import Receiver
from listener.sentiment.scorer import ThreadedScorer
from listener.sources.base import BaseSource
from listener.store import Database, alerts, mentions, scoring, sources, windows
from listener.store.sources import SourceState

log = structlog.get_logger()

EVIDENCE = 3  # mentions that an alert shows
DELIVER_LEASE_SECS = 30.0  # longer than a receiver may take; then the notification is due again
RETRY_SECS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # between attempts of one notification; the last one repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class PollReport:
    """How one poll went: ``outcome`` is ok, not_modified, paused, gone, rate_limited, denied, unreadable or failed."""

    source: str
    outcome: str
    verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    unmatched: int = 0
    rejected: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Raw mentions made ready to store: those that match a brand, how many do not, and why some could not be read."""

    mentions: tuple[Mention, ...]
    unmatched: int
    rejected: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One look of all rules at all brands: the alerts that people are told of, and how every watched brand stands."""

    told: tuple[Alert, ...]
    states: tuple[StatePayload, ...]


@dataclass(kw_only=True)
class Pipeline:
    """The parts that the units of work share. ``now`` is the clock: real time, or the mentions' own in a backtest."""

    database: Database
    metrics: Metrics
    fetcher: Fetcher
    sources: Mapping[str, BaseSource]
    brands: Mapping[str, Brand]
    matcher: Matcher
    identify: Callable[[str], str | None]
    scorer: ThreadedScorer
    rules: Sequence[Rule]
    receivers: Mapping[str, Receiver]
    now: Callable[[], datetime]
    random: Callable[[], float] = random.random
    lease_secs: float = 300.0
    batch_mentions: int = 64
    page_kept: Callable[[str, bytes], None] = lambda _source, _page: None

    # -------------------------------------------------------------------------------------------------------- poll

    async def poll(self, name: str) -> PollReport:
        """Visit one source and store what is new, together with how far it was read."""
        source = self.sources[name]
        now = self.now()
        started = time.perf_counter()
        state = await sources.state(self.database, name, fingerprint(source))
        if state.gone or (state.paused_until_at is not None and state.paused_until_at > now):
            report = PollReport(source=name, outcome="gone" if state.gone else "paused")
        else:
            report = await self._visit(source, state, now)
            self.metrics.poll_seconds.labels(source=name).observe(time.perf_counter() - started)
        self.metrics.polls.labels(source=name, outcome=report.outcome).inc()
        return report

    async def _visit(self, source: BaseSource, state: SourceState, now: datetime) -> PollReport:
        fetch = self.fetcher.for_source(source.name, state.checkpoint, now=now, keyed=has_secrets(source))
        try:
            result = await source.poll(fetch, state.checkpoint)
        except SourceError as error:
            return await self._failed(source, state, error, now)
        checkpoint = replace(result.checkpoint, validators=fetch.validators, refreshed_at=fetch.refreshed_at)
        if result.failure is not None:
            # Part of the poll was read: keep it, and read the rest, with this part again, next time.
            checkpoint = state.checkpoint
        prepared = await asyncio.to_thread(
            prepare, source, result.mentions, matcher=self.matcher, identify=self.identify, now=now
        )
        after = self._state_after(source, state, result, checkpoint, now)
        verdicts = await mentions.save_poll(self.database, prepared.mentions, after, now=now)
        rejected = len(result.rejected) + len(prepared.rejected)
        self._count(source.name, verdicts, prepared.unmatched, rejected)
        if result.failure is not None:
            report = await self._failed(source, state, result.failure, now)
            return replace(report, verdicts=verdicts, unmatched=prepared.unmatched, rejected=rejected)
        if state.failing_since_at is not None:
            log.info("source.recovered", source=source.name, failing_since=state.failing_since_at.isoformat())
        self.metrics.source_success.labels(source=source.name).set(now.timestamp())
        outcome = "not_modified" if result.not_modified else "ok"
        log.info(
            "source.polled",
            source=source.name,
            outcome=outcome,
            rejected=rejected,
            unmatched=prepared.unmatched,
            **{verdict.value: count for verdict, count in verdicts.items() if count},
        )
        return PollReport(
            source=source.name, outcome=outcome, verdicts=verdicts, unmatched=prepared.unmatched, rejected=rejected
        )

    def _state_after(
        self, source: BaseSource, state: SourceState, result: PollResult, checkpoint: Checkpoint, now: datetime
    ) -> SourceState:
        asked = (
            result.pause_secs if result.pause_secs is not None and result.pause_secs > source.interval_secs else None
        )
        return SourceState(
            name=source.name,
            fingerprint=state.fingerprint,
            checkpoint=checkpoint,
            polled_at=now,
            succeeded_at=now,
            # A site that says "not before" is not asked before; half a second of slack keeps the next regular poll.
            paused_until_at=now + timedelta(seconds=asked - 0.5) if asked is not None else None,
        )

    async def _failed(self, source: BaseSource, state: SourceState, error: SourceError, now: datetime) -> PollReport:
        """Remember that a poll failed, and leave the source alone for as long as its failures call for."""
        outcome = _outcome(error)
        if isinstance(error, RateLimited):  # obeyed, and not a failure of the source
            pause = now + timedelta(seconds=error.retry_after_secs)
            after = replace(state, polled_at=now, paused_until_at=pause, error=str(error))
        else:
            failures = state.failures + 1
            after = replace(
                state,
                polled_at=now,
                failures=failures,
                failing_since_at=state.failing_since_at or now,
                paused_until_at=pause_after(
                    failures, now=now, interval_secs=source.interval_secs, random=self.random
                ).until,
                error=str(error),
                gone=isinstance(error, Gone),
            )
            if failures == 1:  # once for the failure, once for the recovery
                log.warning("source.failed", source=source.name, outcome=outcome, error=str(error))
        if isinstance(error, ParseError) and error.page:
            await asyncio.to_thread(self.page_kept, source.name, error.page)
        await sources.save(self.database, after)
        return PollReport(source=source.name, outcome=outcome, error=str(error))

    def _count(self, source: str, verdicts: Mapping[Verdict, int], unmatched: int, rejected: int) -> None:
        for verdict, count in verdicts.items():
            self.metrics.mentions.labels(source=source, verdict=verdict.value).inc(count)
        self.metrics.items_unmatched.labels(source=source).inc(unmatched)
        self.metrics.items_rejected.labels(source=source).inc(rejected)

    # ------------------------------------------------------------------------------------------------------- score

    async def score(self) -> int:
        """Score one claimed batch; how many mentions it held."""
        claims = await scoring.claim(
            self.database, now=self.now(), lease_secs=self.lease_secs, limit=self.batch_mentions
        )
        if not claims:
            self.metrics.scoring_backlog.set(0)
            return 0
        with self.metrics.scoring_seconds.time():
            results = await self.scorer.score([claim.text for claim in claims])
        scored = [
            scoring.Scored(claim=claim, problem=str(result))
            if isinstance(result, ListenerError)
            else scoring.Scored(claim=claim, assessment=result)
            for claim, result in zip(claims, results, strict=True)
        ]
        await scoring.save(self.database, scored, now=self.now())
        failed = sum(one.assessment is None for one in scored)
        self.metrics.scored.labels(outcome="ok").inc(len(scored) - failed)
        self.metrics.scored.labels(outcome="unscorable").inc(failed)
        self.metrics.scoring_backlog.set(await scoring.backlog(self.database))
        log.debug("mentions.scored", count=len(scored), unscorable=failed)
        return len(claims)

    async def refresh(self) -> int:
        """Compute changed windows anew; how many brands changed."""
        return len(await windows.refresh(self.database))

    # ---------------------------------------------------------------------------------------------------- evaluate

    async def evaluate(self) -> Evaluation:
        """Let every rule look at every watched brand once, and keep what changed with the notifications it makes due."""
        now = self.now()
        latest = await alerts.latest(self.database)
        told: list[Alert] = []
        states: list[StatePayload] = []
        for name, brand in self.brands.items():
            if not brand.alerts:
                continue
            signals = [await self._look(rule, name, brand, now) for rule in self.rules]
            current: list[Alert] = []
            for rule, signal in zip(self.rules, signals, strict=True):
                before = latest.get(stable_id("fingerprint", name, rule.name))
                transition = await self._advance(rule, signal, before, brand.title, now)
                if transition.alert is not None:
                    current.append(transition.alert)
                if transition.alert is not None and transition.reason is not None:
                    told.append(transition.alert)
            if signals:
                states.append(state_payload(name, title=brand.title, alerts=current, signal=signals[0], now=now))
            self._count_firing(name, current)
        self.metrics.evaluated.set(now.timestamp())
        return Evaluation(told=tuple(told), states=tuple(states))

    async def _look(self, rule: Rule, name: str, brand: Brand, now: datetime) -> Signal:
        limits = {key: value for key, value in brand.thresholds if key in type(rule).model_fields and value is not None}
        chosen = rule.model_copy(update=limits)
        recent_from_at = window_start(now, FINE_SECS) - timedelta(seconds=chosen.window_secs)
        recent = await windows.read(self.database, name, start_at=recent_from_at, end_at=now)
        baseline_from_at = now - timedelta(seconds=chosen.baseline_secs)
        baseline = await windows.read(self.database, name, start_at=baseline_from_at, end_at=now, size_secs=COARSE_SECS)
        signal = detect(
            chosen,
            brand=name,
            recent=recent,
            baseline=baseline,
            usual_share=brand.thresholds.usual_negative_share,
            now=now,
        )
        for gauge, value in (
            (self.metrics.negative_share, signal.observed),
            (self.metrics.usual_share, signal.expected),
            (self.metrics.perception, signal.perception),
        ):
            gauge.labels(brand=name).set(float("nan") if value is None else value)
        self.metrics.volume.labels(brand=name).set(signal.mentions)
        return signal

    async def _advance(self, rule: Rule, signal: Signal, before: Alert | None, title: str, now: datetime) -> Transition:
        proof: list[Evidence] = []
        if signal.condition is Condition.BREACHED:
            proof = await alerts.evidence(
                self.database,
                signal.brand,
                start_at=signal.window_start_at,
                end_at=signal.window_end_at,
                limit=EVIDENCE,
            )
        transition = advance(
            before,
            signal,
            now,
            resolve_after_secs=rule.resolve_after_secs,
            evidence=[one.id for one in proof],
        )
        alert, reason = transition.alert, transition.reason
        if alert is None or alert == before:
            return transition
        body = {} if reason is None else as_json(alert_payload(alert, reason, title=title, evidence=proof, now=now))
        due = notifications(transition, receivers=tuple(self.receivers), payload=body, now=now)
        if not await alerts.save_decision(self.database, alert, due):
            # Another daemon on this database decided first; its decision is read at the next look.
            return Transition(alert=before, reason=None, explanation="another daemon decided first")
        if reason is not None:
            log.warning(
                f"alert.{'resolved' if reason is Reason.RESOLVED else 'fired' if reason is Reason.FIRST else 'worsened'}",
                alert=alert.id,
                brand=alert.brand,
                rule=alert.rule,
                severity=alert.severity.value,
                seq=alert.seq,
                explanation=transition.explanation,
            )
        return transition

    def _count_firing(self, brand: str, current: Sequence[Alert]) -> None:
        for severity in Severity:
            count = sum(alert.state is AlertState.FIRING and alert.severity is severity for alert in current)
            self.metrics.alerts_firing.labels(brand=brand, severity=severity.value).set(count)

    # ----------------------------------------------------------------------------------------------------- deliver

    async def deliver(self, receiver_name: str) -> int:
        """Hand over what is due to one receiver, in order per brand; how many were taken."""
        receiver = self.receivers[receiver_name]
        due = await alerts.due(self.database, receiver_name, now=self.now(), lease_secs=DELIVER_LEASE_SECS, limit=100)
        taken = 0
        waiting: set[str] = set()  # brands whose earlier notification failed: what is told of a brand is told in order
        for notification in due:
            if notification.brand in waiting:
                continue
            try:
                await receiver.deliver(notification)
            except DeliveryError as error:
                waiting.add(notification.brand)
                await self._undelivered(notification, error)
            else:
                await alerts.sent(self.database, notification, now=self.now())
                self.metrics.notifications.labels(receiver=receiver_name, outcome="sent").inc()
                log.info(
                    "notification.sent",
                    receiver=receiver_name,
                    alert=notification.alert_id,
                    brand=notification.brand,
                    reason=notification.reason.value,
                    seq=notification.seq,
                )
                taken += 1
        depth, oldest = await alerts.outbox_depth(self.database)
        self.metrics.outbox_depth.set(depth)
        self.metrics.outbox_age.set((self.now() - oldest).total_seconds() if oldest else 0.0)
        return taken

    async def _undelivered(self, notification: Notification, error: DeliveryError) -> None:
        labels = {"receiver": notification.receiver, "alert": notification.alert_id, "error": str(error)}
        if not error.retryable:
            await alerts.dead(self.database, notification, now=self.now(), error=str(error))
            self.metrics.notifications.labels(receiver=notification.receiver, outcome="dead").inc()
            log.error("notification.died", **labels)
            return
        wait = RETRY_SECS[min(notification.attempt, len(RETRY_SECS) - 1)]
        await alerts.again(self.database, notification, due_at=self.now() + timedelta(seconds=wait), error=str(error))
        self.metrics.notifications.labels(receiver=notification.receiver, outcome="retry").inc()
        if notification.attempt == 0:
            log.warning("notification.delayed", **labels)


def prepare(
    source: BaseSource,
    raw_mentions: Sequence[RawMention],
    *,
    matcher: Matcher,
    identify: Callable[[str], str | None],
    now: datetime,
) -> Prepared:
    """Clean raw mentions, identify their language and match brands. Pure, and slow for many: run it on a thread."""
    kept: list[Mention] = []
    rejected: list[str] = []
    unmatched = 0
    for raw in raw_mentions:
        try:
            mention = normalise(raw, source=source.name, seen_at=now, identify=identify, default_lang=source.lang)
        except ValueError as error:
            rejected.append(str(error))
            continue
        brands = source.brands or matcher.brands_of(mention)
        if brands:
            kept.append(replace(mention, brands=tuple(brands)))
        else:
            unmatched += 1
    return Prepared(mentions=tuple(kept), unmatched=unmatched, rejected=tuple(rejected))


def fingerprint(source: BaseSource) -> str:
    """The same for the same configuration of a source; secrets are in it only as stars."""
    return stable_id("source", source.model_dump_json())


def has_secrets(source: BaseSource) -> bool:
    """Whether we come with credentials: then a used-up quota is ours alone."""
    return any(isinstance(value, SecretStr) for _, value in source)


def _outcome(error: SourceError) -> str:
    outcomes = {RateLimited: "rate_limited", Gone: "gone", AccessDenied: "denied", ParseError: "unreadable"}
    return outcomes.get(type(error), "failed")
