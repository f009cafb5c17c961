"""The seams where other people's code plugs in, one method each."""

from collections.abc import Sequence
from typing import Protocol

from listener.domain import Assessment, Notification, Page, Request

Languages = Sequence[str | None] | None


class Fetch(Protocol):
    """The polite HTTP client as one source sees it."""

    async def __call__(self, request: Request) -> Page:
        """Answer the request, or raise FetchError, RateLimited or AccessDenied."""
        ...


class Scorer(Protocol):
    """A model. Synchronous: the caller puts it on a thread."""

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        """One assessment a text, in order. Raises ScoringError when the batch cannot be scored.

        ``languages`` has each text's language (ISO 639-1), None for one that is not known; without them a model to
        which they matter finds them out.
        """
        ...


class Receiver(Protocol):
    """Where alerts go."""

    @property
    def connected(self) -> bool:
        """Whether trying makes sense now; while it does not, what is due waits and no attempt is counted."""
        ...

    async def deliver(self, notification: Notification) -> None:
        """Return once the receiver has taken it; raise DeliveryError otherwise."""
        ...
