"""What a status means for the poll: use it, follow it, try again, or stop with the right error. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from listener.errors import AccessDenied, FetchError, Gone, RateLimited, SourceError
from listener.fetch import backoff

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PERMANENT_REDIRECTS = frozenset({301, 308})
TRANSIENT = frozenset({408, 425, 500, 502, 503, 504})
DENIED = frozenset({401, 402, 403})
IDEMPOTENT = frozenset({"GET", "HEAD"})  # of the methods that plug-ins use, those that may be sent twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The decision on one answer: without ``error`` it is used.

    With ``retry`` it is asked for again while that fits the poll, and ``error`` is raised when it does not.
    ``wait_secs`` is what the server asked for (None: it did not), ``hold_secs`` how long to leave its origin alone.
    """

    error: SourceError | None = None
    retry: bool = False
    wait_secs: float | None = None
    hold_secs: float | None = None


def judge(
    *, host: str, method: str, status: int, headers: Mapping[str, str], conditional: bool, now: datetime
) -> Outcome:
    """Decide on an answer that is no redirect.

    ``conditional`` says whether validators were sent; header names are lower case.
    """
    asked = backoff.retry_after_secs(headers.get("retry-after"), now=now)
    throttle = backoff.throttle_secs(headers, now=now)
    whole = 200 <= status < 300 and status != HTTPStatus.PARTIAL_CONTENT  # noqa: PLR2004 -- RFC 9110, 15.3
    if whole or (conditional and status == HTTPStatus.NOT_MODIFIED):
        return Outcome(hold_secs=throttle)
    message = f"{host}: {_named(status)}"
    retryable = method in IDEMPOTENT
    limited = (
        status == HTTPStatus.TOO_MANY_REQUESTS
        or (status == HTTPStatus.SERVICE_UNAVAILABLE and asked is not None)
        # GitHub answers 403 where others answer 429: with an empty quota it is no refusal of the person.
        or (status == HTTPStatus.FORBIDDEN and throttle is not None)
    )
    if limited:
        wait = asked if asked is not None else throttle
        secs = backoff.DEFAULT_RETRY_AFTER_SECS if wait is None else wait
        return Outcome(
            error=RateLimited(f"{message}, asks to wait {secs:.0f} s", retry_after_secs=secs),
            retry=retryable and wait is not None,
            wait_secs=wait,
            hold_secs=secs,
        )
    return Outcome(error=_error(status, message), retry=retryable and status in TRANSIENT)


def retry_wait(
    asked_secs: float | None, *, retries_left: int, budget_secs: float, attempt: int, random: Callable[[], float]
) -> float | None:
    """How long to wait before trying again in this poll; None when it is the next poll's turn.

    ``budget_secs`` is what is left for failed attempts and waits. A wait that the server asked for is never cut short.
    """
    if retries_left <= 0:
        return None
    wait = max(backoff.retry_wait_secs(attempt, random=random), asked_secs or 0.0)
    return wait if wait <= budget_secs else None


def _error(status: int, message: str) -> SourceError:
    if status == HTTPStatus.GONE:
        return Gone(f"{message}: it will not come back")
    if status in DENIED:
        return AccessDenied(message)
    if status == HTTPStatus.NOT_MODIFIED:
        return FetchError(f"{message}, although no validator was sent")
    return FetchError(message)


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"status {status}"
