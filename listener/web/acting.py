"""What the ways in over HTTP share: who may act, on what, and how to learn what became of it."""

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from listener.alerts.oncall.links import Signer
from listener.config.oncall import Person
from listener.domain import Action, Alert
from listener.store import Database, actions, alerts, responses
from listener.store.actions import Handled

WAIT_SECS = 2.0
LOOK_SECS = 0.05  # between two looks at what became of an action


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """What it takes to act over HTTP.

    ``people`` are those of the configuration by name, ``titles`` the brands' names for people, ``rules`` the names that
    alerts may have (empty: not checked); ``clock`` gives now; ``wake`` is called when there is something new to do.
    ``wait_secs`` is how long a request waits for the outcome.
    """

    database: Database
    people: Mapping[str, Person]
    signer: Signer
    clock: Callable[[], datetime]
    wake: Callable[[], None] = lambda: None
    titles: Mapping[str, str] = field(default_factory=dict)
    rules: Collection[str] = ()
    wait_secs: float = WAIT_SECS

    def title(self, brand: str) -> str:
        """The brand's name for people."""
        return self.titles.get(brand, brand)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an action is about: one alert, or all that a bundle names; ``left_out`` counts what was not read."""

    id: str
    alerts: tuple[Alert, ...]
    bundle: bool = False
    left_out: int = 0


def is_id(text: str) -> bool:
    """Whether it can be the id of anything here: a UUID as we write it."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


async def subject(database: Database, target: str, *, most: int | None = None) -> Subject | None:
    """The alert or the bundle with this id, or None. Of a bundle ``most`` alerts are read, ``left_out`` are not."""
    if not is_id(target):
        return None
    found = await alerts.one(database, target)
    if found is not None:
        return Subject(id=target, alerts=(found,))
    async with database.reading() as connection:
        named = list(dict.fromkeys(alert_id for alert_id, _ in await responses.members(connection, target)))
    if not named:
        return None
    members = [await alerts.one(database, one) for one in named[:most]]
    return Subject(
        id=target,
        alerts=tuple(one for one in members if one is not None),
        bundle=True,
        left_out=len(named) - len(named[:most]),
    )


async def submit(acting: Acting, action: Action) -> tuple[Handled, bool]:
    """Keep an action, wait a moment for what becomes of it, and tell that, and whether the action is new."""
    new = await actions.put(acting.database, action)
    acting.wake()
    return await settled(acting, action.id) or Handled(action=action), new


async def settled(acting: Acting, action_id: str) -> Handled | None:
    """What became of an action, or how it stands when ``wait_secs`` are over; None when there is none."""
    loop = asyncio.get_running_loop()
    until = loop.time() + acting.wait_secs
    while True:
        found = await actions.by_id(acting.database, action_id)
        if found is None or found.outcome is not None or loop.time() >= until:
            return found
        await asyncio.sleep(LOOK_SECS)
