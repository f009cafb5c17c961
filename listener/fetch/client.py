"""The polite HTTP client: what a source may ask for, and what the pipeline stores after a poll."""

import asyncio
import base64
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Self

import httpx2
import structlog

from listener.domain import Accept, Checkpoint, Page, Request, Validator
from listener.errors import FetchError, SourceError
from listener.fetch import network, outcome, redirects, robots
from listener.fetch.gate import Gates
from listener.fetch.policy import FetchPolicy
from listener.fetch.redirects import Hop
from listener.fetch.wire import Answer, NoAnswerError, Reading, Wire

log = structlog.get_logger(__name__)

ACCEPT = {
    Accept.FEED: "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5",
    Accept.JSON: "application/json, */*;q=0.5",
    Accept.PAGE: "text/html, application/xhtml+xml;q=0.9, */*;q=0.5",
}
# A plug-in may not speak for us: these are ours, or belong to the connection.
OURS = frozenset(
    {
        *("user-agent", "host", "accept-encoding", "if-none-match", "if-modified-since", "content-length"),
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "range"),
    }
)

ROBOTS = "robots.txt"  # who asks for it: no source is called that


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Stopwatch:
    """Counts the seconds spent on the wire, not those in a queue."""

    monotonic: Callable[[], float]
    secs: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count while the block runs."""
        started = self.monotonic()
        try:
            yield
        finally:
            self.secs += self.monotonic() - started


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """How one request is made: ``accept`` None reads a robots.txt, which is not asked for permission itself."""

    first: Hop
    accept: Accept | None
    holder: str
    watch: Stopwatch
    validators: Mapping[str, Validator] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The answer at the end of the redirects; ``moved_to`` is where the permanent ones at the start lead."""

    answer: Answer
    moved_to: httpx2.URL | None


class Fetcher:
    """The polite HTTP client of the daemon; an async context manager, of which there is one.

    Time and chance are parameters so that tests need no waiting: ``now`` tells the time, ``monotonic`` and ``sleep``
    measure and pass seconds, ``draw`` draws from [0, 1), ``resolve`` looks names up.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        *,
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
        resolve: network.Resolve = network.resolve,
    ) -> None:
        self.policy = policy
        self.now = now
        self.monotonic = monotonic
        self.sleep = sleep
        self.draw = draw
        self.gates = Gates(monotonic=monotonic, sleep=sleep, patience_secs=policy.retry_budget_secs)
        self._wire = Wire(policy, network.VettedTransport(network.VettedBackend(policy.allowed, resolve)))
        self._robots = robots.Robots(self._read_robots, monotonic=monotonic)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.aclose()

    def for_source(self, source: str, checkpoint: Checkpoint, *, now: datetime) -> "SourceFetch":
        """The client as one source sees it during one poll that starts at ``now``."""
        return SourceFetch(self, source, checkpoint, now=now)

    async def visit(self, visit: Visit) -> Arrival:
        """Follow ``visit`` to its end, waiting for each origin's turn; the status is the caller's to judge."""
        hop, seen = visit.first, set[tuple[str, str]]()
        moved_to: httpx2.URL | None = None
        permanent = True
        for _ in range(self.policy.max_redirects + 1):
            redirects.check(hop.url, self.policy)
            if (hop.method, str(hop.url)) in seen:
                raise FetchError(f"{hop.host}: the redirects go round in a loop")
            seen.add((hop.method, str(hop.url)))
            answer = await self._ask(hop, visit)
            if answer.status not in outcome.REDIRECTS:
                return Arrival(answer=answer, moved_to=moved_to)
            permanent = permanent and answer.status in outcome.PERMANENT_REDIRECTS
            location = answer.headers.get("location")
            hop = redirects.next_hop(hop, status=answer.status, location=location, policy=self.policy)
            moved_to = hop.url if permanent else moved_to
        raise FetchError(f"{visit.first.host}: more than {self.policy.max_redirects} redirects")

    async def _ask(self, hop: Hop, visit: Visit) -> Answer:
        delay_secs = await self._robots.permit(hop.url, hop.origin) if visit.accept is Accept.PAGE else 0.0
        interval_secs = self.policy.interval_secs(visit.accept or Accept.PAGE, delay_secs)
        async with self.gates.turn(hop.origin, interval_secs=interval_secs, holder=visit.holder):
            reading = Reading(
                accept="text/plain, */*;q=0.5" if visit.accept is None else ACCEPT[visit.accept],
                limit=robots.MOST_BYTES if visit.accept is None else self.policy.body_bytes(visit.accept),
                left_secs=self.policy.total_secs - visit.watch.secs,
                cut=visit.accept is None,
                validator=visit.validators.get(redirects.key_of(hop.url)) if hop.method in outcome.IDEMPOTENT else None,
            )
            with visit.watch.running():
                return await self._wire.exchange(hop, reading)

    async def _read_robots(self, url: httpx2.URL) -> tuple[int, bytes]:
        visit = Visit(first=Hop(url=url), accept=None, holder=ROBOTS, watch=Stopwatch(self.monotonic))
        answer = (await self.visit(visit)).answer
        if answer.status == httpx2.codes.TOO_MANY_REQUESTS:
            decision = self.judge(answer, ROBOTS)
            if decision.error is not None:
                raise decision.error
        return answer.status, answer.body

    def judge(self, answer: Answer, holder: str) -> outcome.Outcome:
        """Decide on ``answer``, and note what the server asks of ``holder``."""
        decision = outcome.judge(
            host=answer.hop.host,
            method=answer.hop.method,
            status=answer.status,
            headers=answer.headers,
            conditional=answer.conditional,
            now=self.now(),
        )
        if decision.hold_secs is not None:
            self.gates.hold(answer.hop.origin, holder, decision.hold_secs)
        return decision


class SourceFetch:
    """``protocols.Fetch`` for one source and one poll; afterwards it knows what to store.

    Store ``validators`` and ``refreshed_at`` only together with what was read: after a ParseError the old ones stay, or
    a 304 would hide what was never read.
    """

    def __init__(self, fetcher: Fetcher, source: str, checkpoint: Checkpoint, *, now: datetime) -> None:
        self._fetcher = fetcher
        self._source = source
        self._started_at = now
        self._stored = checkpoint.validators if _is_fresh(checkpoint.refreshed_at, now, fetcher.policy) else None
        self._retries_left = fetcher.policy.max_attempts - 1
        self._budget_secs = fetcher.policy.retry_budget_secs
        self._validators: dict[str, Validator] = {}
        self._refreshed_at = checkpoint.refreshed_at
        self._moved_to: dict[str, str] = {}

    @property
    def validators(self) -> Mapping[str, Validator]:
        """What to ask with next time, by a hash of the URL: new ones of full answers, the old ones of 304 answers.

        Those of URLs that this poll did not ask for are gone, so that changing URLs do not pile up.
        """
        return MappingProxyType(self._validators)

    @property
    def refreshed_at(self) -> datetime | None:
        """When the source was last read without validators."""
        return self._refreshed_at

    @property
    def moved_to(self) -> Mapping[str, str]:
        """Permanent redirects (301, 308), from what was asked for to where it is now: for the log, without queries."""
        return MappingProxyType(self._moved_to)

    async def __call__(self, request: Request) -> Page:
        """Answer the request, following redirects and retrying within the poll's budget.

        Raises FetchError (Gone after 410), RateLimited when the server asks for more patience than a poll has, and
        AccessDenied after 401, 402 and 403 and where robots.txt forbids a page.
        """
        hop = hop_of(request)
        conditional = request.conditional and hop.method in outcome.IDEMPOTENT
        attempt = 0
        while True:
            attempt += 1
            visit = Visit(
                first=hop,
                accept=request.accept,
                holder=self._source,
                watch=Stopwatch(self._fetcher.monotonic),
                validators=(self._stored or {}) if conditional else {},
            )
            asked_secs = None
            try:
                arrival = await self._fetcher.visit(visit)
            except NoAnswerError as failure:
                if hop.method not in outcome.IDEMPOTENT:
                    raise
                error: SourceError = failure
            else:
                decision = self._fetcher.judge(arrival.answer, self._source)
                if decision.error is None:
                    return self._keep(hop, arrival, conditional=conditional)
                if not decision.retry:
                    raise decision.error
                error, asked_secs = decision.error, decision.wait_secs
            self._budget_secs -= visit.watch.secs
            await self._wait_or_raise(error, asked_secs, attempt=attempt, host=hop.host)

    async def _wait_or_raise(self, error: SourceError, asked_secs: float | None, *, attempt: int, host: str) -> None:
        wait = outcome.retry_wait(
            asked_secs,
            retries_left=self._retries_left,
            budget_secs=self._budget_secs,
            attempt=attempt,
            random=self._fetcher.draw,
        )
        if wait is None:
            raise error
        self._retries_left -= 1
        self._budget_secs -= wait
        log.info("fetch.retried", source=self._source, host=host, attempt=attempt, wait_secs=wait, reason=str(error))
        await self._fetcher.sleep(wait)

    def _keep(self, first: Hop, arrival: Arrival, *, conditional: bool) -> Page:
        answer = arrival.answer
        page = Page(
            url=str(answer.hop.url),
            status=answer.status,
            headers=MappingProxyType(answer.headers),
            body=answer.body,
            fetched_at=self._fetcher.now(),
        )
        if arrival.moved_to is not None:
            self._moved_to[redirects.shown(first.url)] = redirects.shown(arrival.moved_to)
        key = redirects.key_of(answer.hop.url)
        if page.not_modified and self._stored is not None:
            self._validators[key] = self._stored[key]
        elif conditional:
            if answer.validator is not None:
                self._validators[key] = answer.validator
            if self._stored is None:
                self._refreshed_at = self._started_at
        return page


def hop_of(request: Request) -> Hop:
    """The first hop of a request: its parameters in the URL, its userinfo in a header. Raises FetchError."""
    url = redirects.parse_url(request.url)
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower() not in OURS}
    if url.userinfo:
        credentials = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()  # RFC 7617
        headers.setdefault("authorization", f"Basic {credentials}")
    url = url.copy_with(username=None, password=None, fragment=None)
    if request.params:
        url = url.copy_merge_params(dict(request.params))
    return Hop(url=url, method=request.method.upper(), headers=headers, body=request.body)


def _is_fresh(refreshed_at: datetime | None, now: datetime, policy: FetchPolicy) -> bool:
    """Whether stored validators may be used; not after a clock was set back, either."""
    return refreshed_at is not None and 0.0 <= (now - refreshed_at).total_seconds() < policy.refresh_secs
