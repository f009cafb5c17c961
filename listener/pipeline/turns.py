"""Whose turn it is in the outbox of one receiver. Pure."""

import heapq
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import datetime

from listener.domain import SEVERAL
from listener.store.outbox import Waiting


class Turns:
    """What waits for one receiver, message by message: of those whose turn it is, what has been due longest.

    A message waits until every earlier one of its brand is closed, and every earlier one that names an alert of its
    own: an alert for a bundle that named it, a bundle for what was told of the alerts that it names. So what fails
    again and again holds up what belongs to it, and nothing else: with each attempt it goes to the end of the queue.
    """

    def __init__(self, waiting: Sequence[Waiting]) -> None:
        self._subjects = {one.row: _subjects(one) for one in waiting}
        self._due_at = {one.row: one.due_at for one in waiting}
        self._queues: defaultdict[str, deque[int]] = defaultdict(deque)
        for one in waiting:
            for subject in self._subjects[one.row]:
                self._queues[subject].append(one.row)
        self._ready: list[tuple[datetime, int]] = []
        for one in waiting:
            self._offer(one.row)

    def take(self, now: datetime) -> int | None:
        """The row of the next message, once; None when there is none whose turn it is and that is due."""
        if not self._ready or self._ready[0][0] > now:
            return None
        return heapq.heappop(self._ready)[1]

    def next_at(self) -> datetime | None:
        """When the next one is due of those whose turn it is and that were not taken; None when there is none."""
        return self._ready[0][0] if self._ready else None

    def closed(self, row: int) -> None:
        """One that was taken will not be tried again: what waited for it may have its turn."""
        following: set[int] = set()
        for subject in self._subjects[row]:
            queue = self._queues[subject]
            queue.popleft()
            following.update([queue[0]] if queue else ())
        for one in following:
            self._offer(one)

    def _offer(self, row: int) -> None:
        if all(self._queues[subject][0] == row for subject in self._subjects[row]):
            heapq.heappush(self._ready, (self._due_at[row], row))


def _subjects(one: Waiting) -> tuple[str, ...]:
    """What it is about: messages that share any of it are told in order."""
    return one.alerts if one.brand == SEVERAL else (f"brand {one.brand}", *one.alerts)
