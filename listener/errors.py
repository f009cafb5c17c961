"""Errors as data: what each class means, and so what the daemon does about it.

A source may fail for a year without touching its neighbours: every expected failure is one of these classes, caught at
the edge of its unit of work. An exception of any other class is a bug: it is logged with its trace and ends that unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ListenerError(Exception):
    """Base of all expected failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with the configuration: where it is, what is wrong, and what to do.

    ``path`` is the TOML path (``sources.err.url``) or the name of the environment variable.
    """

    path: str
    problem: str
    fix: str

    @property
    def advice(self) -> str:
        """What is wrong, and what to do."""
        return f"{self.problem}; {self.fix}"

    def __str__(self) -> str:
        return f"{self.path}: {self.advice}"


class ConfigError(ListenerError):
    """The configuration or a plug-in is wrong: exit 2 at start, never raised at run time."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class QueryError(ListenerError):
    """A brand's query cannot be parsed; ``column`` counts characters from 1."""

    def __init__(self, problem: str, *, column: int) -> None:
        super().__init__(f"column {column}: {problem}")
        self.problem = problem
        self.column = column


class SourceError(ListenerError):
    """A poll failed in a way that the source is to blame for."""


class FetchError(SourceError):
    """No usable answer came (time-out, 5xx, DNS, a refused address): back off and try at a later poll."""


class Gone(FetchError):
    """The server says 410: the source is switched off until its configuration changes."""


class RateLimited(SourceError):
    """We are too fast: obey. Not a failure of the source."""

    def __init__(self, message: str, *, retry_after_secs: float) -> None:
        super().__init__(message)
        self.retry_after_secs = retry_after_secs


class AccessDenied(SourceError):
    """401, 402, 403, a page for bots, or robots.txt: an operator must look at it."""


class ParseError(SourceError):
    """The answer is not what the plug-in reads: the site has changed. ``page`` is kept (capped) for the fixture."""

    def __init__(self, message: str, *, page: bytes = b"") -> None:
        super().__init__(message)
        self.page = page


class ScoringError(ListenerError):
    """The model failed on a batch: halve it; a single mention that fails is marked."""


class StoreError(ListenerError):
    """The database does not answer: retry the unit, exit 1 when it stays so."""


class DeliveryError(ListenerError):
    """A receiver refused a notification; ``retryable`` says whether trying again can help.

    ``retry_after_secs`` is how long the receiver asks to be left alone; None when it does not say.
    """

    def __init__(self, message: str, *, retryable: bool, retry_after_secs: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_secs = retry_after_secs
