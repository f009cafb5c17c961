"""The HTTP side with a stand-in for the stage that handles actions, and a clock that the test moves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import httpx2
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from listener.alerts.oncall.links import Signer
from listener.config.oncall import Person
from listener.domain import Act, Action, Alert, AlertState, Event, Outcome, Reason, Resolution
from listener.store import Database, actions, alerts, events
from listener.web import Acting, application
from tests.alerting import NOW

TOKENS = {"mari": "mari-token-0123456789", "jaan": "jaan-token-0123456789"}
PEOPLE = {
    name: Person(title=name.title(), receivers=("mqtt",), token=SecretStr(token)) for name, token in TOKENS.items()
} | {"phone": Person(title="The phone")}
SIGNER = Signer(bytes(range(32)))


async def _well() -> str | None:
    return None


@dataclass(kw_only=True)
class Desk:
    """A client, what it talks to, and the stage behind it."""

    database: Database
    client: httpx2.AsyncClient
    clock: list[datetime]
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    refuse: bool = False

    def link(self, alert_id: str, act: Act, *, seq: int = 1, by: str = "mari", minutes: float | None = None) -> str:
        """The path of a link."""
        return "/act/" + SIGNER.token(alert_id, seq, act, by, NOW + timedelta(days=7), minutes)

    async def history(self, alert_id: str) -> list[actions.Handled]:
        return await actions.of(self.database, alert_id)

    async def stage(self) -> None:
        """Handle what waits whenever woken: a resolve ends the alert."""
        while True:
            await self.woken.wait()
            self.woken.clear()
            for action in await actions.waiting(self.database, limit=100):
                await self._handle(action)

    async def _handle(self, action: Action) -> None:
        outcome = Outcome.REFUSED if self.refuse else Outcome.DONE
        async with self.database.writing() as connection:
            explanation = "it has become worse" if self.refuse else f"{action.act} by {action.by}"
            await actions.handled(connection, action.id, outcome=outcome, explanation=explanation, now=self.clock[0])
            if action.act is Act.RESOLVE and not self.refuse:
                (alert,) = await alerts.by_id(self.database, action.target)
                over = replace(
                    alert,
                    state=AlertState.RESOLVED,
                    ended_at=self.clock[0],
                    resolution=Resolution.MANUAL,
                    seq=alert.seq + 1,
                )
                await alerts.write(connection, self.database.dialect, over)


@contextlib.asynccontextmanager
async def desk(
    database: Database,
    *,
    people: dict[str, Person] | None = None,
    titles: dict[str, str] | None = None,
    working: bool = True,
    wait_secs: float = 10.0,
) -> AsyncIterator[Desk]:
    """A desk; without ``working`` nobody handles anything."""
    clock = [NOW]
    woken = asyncio.Event()
    acting = Acting(
        database=database,
        people=PEOPLE if people is None else people,
        signer=SIGNER,
        clock=lambda: clock[0],
        wake=woken.set,
        titles=titles or {"acme": "Acme"},
        wait_secs=wait_secs if working else 0.0,
    )
    app = application(CollectorRegistry(), alive=_well, ready={}, acting=acting)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://listener.example") as client:
        found = Desk(database=database, client=client, clock=clock, woken=woken)
        stage = asyncio.create_task(found.stage()) if working else None
        try:
            yield found
        finally:
            if stage is not None:
                stage.cancel()
                await asyncio.wait([stage])


def bearer(person: str = "mari") -> dict[str, str]:
    """The header of a person."""
    return {"Authorization": f"Bearer {TOKENS[person]}"}


async def kept(database: Database, alert: Alert, *, title: str = "CRITICAL: Acme", estonian: str = "") -> Alert:
    """An alert with the event that tells of it."""
    text = {"en": {"title": title, "body": "..."}, "et": {"title": estonian or title, "body": "..."}}
    event = Event(
        alert_id=alert.id,
        seq=alert.seq,
        brand=alert.brand,
        rule=alert.rule,
        severity=alert.severity,
        reason=Reason.FIRST,
        state=AlertState.FIRING,
        payload={"type": "alert", "text": text},
        decided_at=NOW,
    )
    async with database.writing() as connection:
        await alerts.write(connection, database.dialect, alert)
        await events.write(connection, database.dialect, [event])
    return alert


Question = Callable[[Desk], Awaitable[httpx2.Response]]
