"""Visit one source, and store what is new together with how far it was read."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from listener.domain import Checkpoint, Mention, PollResult, RawMention, Verdict, stable_id
from listener.errors import AccessDenied, Gone, ParseError, RateLimited, SourceError
from listener.fetch.backoff import pause_after
from listener.matching import Matcher
from listener.matching.topics import NO_TOPICS, Topics
from listener.normalise import normalise
from listener.pipeline.parts import Parts
from listener.sources.base import BaseSource
from listener.store import mentions, sources
from listener.store.sources import SourceState

log = structlog.get_logger()


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


async def poll(parts: Parts, name: str) -> PollReport:
    """Visit one source and store what is new, together with how far it was read."""
    source = parts.sources[name]
    now = parts.now()
    started = time.perf_counter()
    state = await sources.state(parts.database, name, fingerprint(source))
    if state.gone or (state.paused_until_at is not None and state.paused_until_at > now):
        report = PollReport(source=name, outcome="gone" if state.gone else "paused")
    else:
        report = await _visit(parts, source, state, now)
        parts.metrics.poll_seconds.labels(source=name).observe(time.perf_counter() - started)
    parts.metrics.polls.labels(source=name, outcome=report.outcome).inc()
    return report


async def _visit(parts: Parts, source: BaseSource, state: SourceState, now: datetime) -> PollReport:
    fetch = parts.fetcher.for_source(source.name, state.checkpoint, now=now)
    try:
        result = await source.poll(fetch, state.checkpoint)
    except SourceError as error:
        return await _failed(parts, source, state, error, now)
    checkpoint = replace(result.checkpoint, validators=fetch.validators, refreshed_at=fetch.refreshed_at)
    if result.failure is not None:
        # Part of the poll was read: keep it, and read the rest, with this part again, next time.
        checkpoint = state.checkpoint
    prepared = await asyncio.to_thread(
        prepare,
        source,
        result.mentions,
        matcher=parts.matcher,
        topics=parts.topics,
        identify=parts.identify,
        now=now,
    )
    after = _state_after(source, state, result, checkpoint, now)
    verdicts = await mentions.save_poll(parts.database, prepared.mentions, after, now=now)
    rejected = len(result.rejected) + len(prepared.rejected)
    _count(parts, source.name, verdicts, prepared.unmatched, rejected)
    if result.failure is not None:
        report = await _failed(parts, source, state, result.failure, now)
        return replace(report, verdicts=verdicts, unmatched=prepared.unmatched, rejected=rejected)
    for old, new in fetch.moved_to.items():
        log.info("source.moved", source=source.name, was=old, now=new)
    if state.failing_since_at is not None:
        log.info("source.recovered", source=source.name, failing_since=state.failing_since_at.isoformat())
    parts.metrics.source_success.labels(source=source.name).set(now.timestamp())
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
    source: BaseSource, state: SourceState, result: PollResult, checkpoint: Checkpoint, now: datetime
) -> SourceState:
    asked = result.pause_secs if result.pause_secs is not None and result.pause_secs > source.interval_secs else None
    return SourceState(
        name=source.name,
        fingerprint=state.fingerprint,
        checkpoint=checkpoint,
        polled_at=now,
        succeeded_at=now,
        # A site that says "not before" is not asked before; half a second of slack keeps the next regular poll.
        paused_until_at=now + timedelta(seconds=asked - 0.5) if asked is not None else None,
    )


async def _failed(
    parts: Parts, source: BaseSource, state: SourceState, error: SourceError, now: datetime
) -> PollReport:
    """Remember that a poll failed, and leave the source alone for as long as its failures call for."""
    outcome = _outcome(error)
    if isinstance(error, RateLimited):  # obeyed, and not a failure of the source
        pause = now + timedelta(seconds=error.retry_after_secs)
        after = replace(state, polled_at=now, paused_until_at=pause, error=str(error))
        log.info("source.limited", source=source.name, retry_after_secs=round(error.retry_after_secs))
    else:
        failures = state.failures + 1
        after = replace(
            state,
            polled_at=now,
            failures=failures,
            failing_since_at=state.failing_since_at or now,
            paused_until_at=pause_after(
                failures, now=now, interval_secs=source.interval_secs, random=parts.random
            ).until,
            error=str(error),
            gone=isinstance(error, Gone),
            page=error.page if isinstance(error, ParseError) and error.page else None,
        )
        if failures == 1:  # once for the failure, once for the recovery
            log.warning("source.failed", source=source.name, outcome=outcome, error=str(error))
    await sources.save(parts.database, after)
    return PollReport(source=source.name, outcome=outcome, error=str(error))


def _count(parts: Parts, source: str, verdicts: Mapping[Verdict, int], unmatched: int, rejected: int) -> None:
    for verdict, count in verdicts.items():
        parts.metrics.mentions.labels(source=source, verdict=verdict.value).inc(count)
    parts.metrics.items_unmatched.labels(source=source).inc(unmatched)
    parts.metrics.items_rejected.labels(source=source).inc(rejected)


def prepare(
    source: BaseSource,
    raw_mentions: Sequence[RawMention],
    *,
    matcher: Matcher,
    identify: Callable[[str], str | None],
    now: datetime,
    topics: Topics = NO_TOPICS,
) -> Prepared:
    """Clean raw mentions, identify their language, match brands and their topics.

    Pure, and slow for many: run it on a thread.
    """
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
            kept.append(replace(mention, brands=tuple(brands), topics=topics.of(mention, brands)))
        else:
            unmatched += 1
    return Prepared(mentions=tuple(kept), unmatched=unmatched, rejected=tuple(rejected))


def fingerprint(source: BaseSource) -> str:
    """The same for the same configuration of a source; secrets are in it only as stars."""
    return stable_id("source", source.model_dump_json())


def _outcome(error: SourceError) -> str:
    outcomes = {RateLimited: "rate_limited", Gone: "gone", AccessDenied: "denied", ParseError: "unreadable"}
    return outcomes.get(type(error), "failed")
