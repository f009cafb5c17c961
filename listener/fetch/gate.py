"""Politeness at one origin: one request at a time, a gap between them, and what the server asked for.

Every origin has a gate of its own and nothing is shared between gates, so that a host that hangs delays nobody else. At
the same origin a request that hangs gives its turn up after ``STUCK_SECS``, and what a server asks of one source holds
that source alone: its neighbours are told for themselves if it concerns them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from listener.errors import RateLimited
from listener.fetch.backoff import LONGEST_THROTTLE_SECS
from listener.fetch.redirects import Origin

KEPT_GATES = 512
STUCK_SECS = 0.75  # a request that takes longer does not keep the next one waiting


@dataclass(slots=True)
class _Gate:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # first come, first served
    queue: int = 0
    ended: float = float("-inf")
    holds: dict[str, float] = field(default_factory=dict)

    def held_until(self, holder: str) -> float:
        return self.holds.get(holder, self.ended)


class _Turn:
    """A lock that is held for the block, or for less once ``give_up_after`` is called."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._timer: asyncio.TimerHandle | None = None
        self._held = False

    async def __aenter__(self) -> Self:
        await self._lock.acquire()
        self._held = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._release()

    def give_up_after(self, secs: float) -> None:
        """Let the next one in after ``secs``, whatever this one is still doing."""
        self._timer = asyncio.get_running_loop().call_later(secs, self._release)

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()


class Gates:
    """The gates of all origins. Times are those of ``monotonic``, in seconds."""

    def __init__(
        self, *, monotonic: Callable[[], float], sleep: Callable[[float], Awaitable[object]], patience_secs: float
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._patience_secs = patience_secs
        self._gates: dict[Origin, _Gate] = {}

    @asynccontextmanager
    async def turn(self, origin: Origin, *, interval_secs: float, holder: str) -> AsyncIterator[None]:
        """Wait for our turn at ``origin`` and keep it for the block, or for ``STUCK_SECS`` if that takes longer.

        Raises RateLimited when the server asked ``holder`` to stay away for longer than our patience.
        """
        gate = self._gate(origin)
        gate.queue += 1
        try:
            self._refuse_if_held(origin, gate, holder)
            async with _Turn(gate.turn) as turn:
                self._refuse_if_held(origin, gate, holder)
                wait = max(gate.ended + interval_secs, gate.held_until(holder)) - self._monotonic()
                if wait > 0:
                    await self._sleep(wait)
                turn.give_up_after(STUCK_SECS)
                try:
                    yield
                finally:
                    gate.ended = self._monotonic()
        finally:
            gate.queue -= 1

    def hold(self, origin: Origin, holder: str, secs: float) -> None:
        """Leave ``origin`` alone for ``secs``, at most an hour; longer waits are kept with the source."""
        gate = self._gate(origin)
        until = self._monotonic() + min(secs, LONGEST_THROTTLE_SECS)
        gate.holds[holder] = max(until, gate.holds.get(holder, until))

    def _refuse_if_held(self, origin: Origin, gate: _Gate, holder: str) -> None:
        wait = gate.held_until(holder) - self._monotonic()
        if wait > self._patience_secs:
            message = f"{origin[1]}: asked to be left alone for another {wait:.0f} s"
            raise RateLimited(message, retry_after_secs=wait)

    def _gate(self, origin: Origin) -> _Gate:
        if origin not in self._gates:
            if len(self._gates) >= KEPT_GATES:
                self._forget()
            self._gates[origin] = _Gate()
        return self._gates[origin]

    def _forget(self) -> None:
        """Drop the gates that constrain nobody any more: redirects must not fill the memory."""
        old = self._monotonic() - 2 * LONGEST_THROTTLE_SECS  # longer than any interval and any hold
        self._gates = {
            origin: gate
            for origin, gate in self._gates.items()
            if gate.queue or gate.ended > old or any(until > old for until in gate.holds.values())
        }
