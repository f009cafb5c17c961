"""The backtest's replay in memory against the daemon's own units over a database."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select

from listener.alerts.detection.rules import DEFAULT_RULES
from listener.backtest import Event, Heard, Track, replay, stored
from listener.config import Brand
from listener.domain import Alert, Assessment, Mention, Notification, Probabilities
from listener.fetch import Fetcher, FetchPolicy
from listener.matching import Matcher
from listener.metrics import Metrics
from listener.pipeline import Parts, evaluate, refresh, score
from listener.pipeline.look import Look
from listener.protocols import Languages
from listener.sentiment.scorer import on_thread
from listener.store import Database
from listener.store import mentions as store
from listener.store.sources import SourceState
from listener.tables import vote
from tests.backtesting import START, history
from tests.mentions import mention

TICK = timedelta(minutes=15)


class Reading:
    """A model that finds in each text what was written there for it."""

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        return [self._said(one) for one in texts]

    def _said(self, one: str) -> Assessment:
        risk = float(one.rsplit(maxsplit=1)[-1])
        negative = risk >= 0.5
        probabilities = Probabilities(negative=0.9 * negative, neutral=0.1, positive=0.9 * (not negative))
        return Assessment(probabilities=probabilities, risk=risk, model="written@1")


def written(heard: Sequence[Heard], brand: str) -> list[Mention]:
    """The mentions of which these would be the ballots."""
    return [
        replace(
            mention(
                f"{brand}-{one.ballot.mention}",
                f"{brand} {one.ballot.mention} {one.ballot.risk!r}",
                at=one.at,
                author=one.ballot.author,
                brands=(brand,),
                reach=900_000 if one.ballot.mention == "2-3" else None,
            ),
            conversation=one.ballot.conversation,
        )
        for one in heard
    ]


async def daemon(
    database: Database, said: Sequence[Mention], brands: Sequence[str], *, days: float, tick: timedelta = TICK
) -> list[Alert]:
    """What the daemon's own units tell, looked at every ``tick``: the alerts as they were told, in order."""
    told: list[Alert] = []

    class Receiver:
        connected = True

        async def deliver(self, notification: Notification) -> None:
            raise AssertionError(notification)

    async with on_thread(Reading) as scorer:
        clock = [START]
        parts = Parts(
            database=database,
            metrics=Metrics(),
            fetcher=Fetcher(FetchPolicy(user_agent="listener")),
            sources={},
            brands={name: Brand(names=(name,)) for name in brands},
            matcher=Matcher([]),
            identify=lambda _text: "en",
            scorer=scorer,
            rules=dict.fromkeys(brands, DEFAULT_RULES),
            receivers={"nobody": Receiver()},
            now=lambda: clock[0],
            batch_mentions=512,
        )
        await store.save_poll(database, list(said), SourceState(name="forum", fingerprint="f"), now=said[-1].at)
        while await score(parts):
            pass
        while await refresh(parts):
            pass
        first = min(one.at for one in said)
        clock[0] = first.replace(minute=first.minute // 5 * 5, second=0, microsecond=0)
        end = clock[0] + timedelta(days=days)
        while clock[0] < end:
            clock[0] += tick
            told += (await evaluate(parts)).told
    return told


def kept(alert: Alert) -> tuple[object, ...]:
    """What must be the same to the last bit."""
    return (
        alert.id,
        alert.brand,
        alert.rule,
        alert.severity,
        alert.state,
        alert.seq,
        alert.started_at,
        alert.updated_at,
        alert.ended_at,
        alert.calm_since_at,
        alert.resolution,
        alert.reopened,
        alert.signal,
    )


async def test_a_replay_in_memory_tells_what_the_daemon_tells_to_the_last_bit(database: Database) -> None:
    """Two brands, with voices that repeat themselves, trouble in one, and one mention of great reach."""
    made = {"acme": history(5, 60, bad=range(3, 4)), "bolt": history(5, 12, share=0.3, seed=2)}
    said = sorted(
        (one for brand, heard in made.items() for one in written(heard, brand)), key=lambda one: (one.at, one.id)
    )
    told = await daemon(database, said, ["acme", "bolt"], days=5.9)
    heard = {brand: await stored(database, brand, late=False) for brand in made}
    assert sum(map(len, heard.values())) == len(said)
    events = replay(
        [Track(brand=brand, rules=DEFAULT_RULES, heard=heard[brand]) for brand in made],
        tick_secs=int(TICK.total_seconds()),
    )
    assert [kept(event.alert) for event in events] == [kept(alert) for alert in told]
    assert {event.alert.rule for event in events} >= {"deterioration", "high_risk"}
    assert len(events) >= 4
    counted = await _ledger(database)
    again = _votes(heard, events)
    assert counted["repeats"] > 0
    assert again == counted


async def _ledger(database: Database) -> Mapping[str, int]:
    async with database.reading() as connection:
        rows = [row.repeats for row in await connection.execute(select(vote.c.repeats))]
    return {"votes": len(rows), "repeats": sum(one is not None for one in rows)}


def _votes(heard: Mapping[str, Sequence[Heard]], events: Sequence[Event]) -> Mapping[str, int]:
    found = {"votes": 0, "repeats": 0}
    tracks = [Track(brand=brand, rules=DEFAULT_RULES, heard=said) for brand, said in heard.items()]

    def note(_now: datetime, look: Look) -> None:
        votes = look.counted.votes
        found["votes"] += len(votes)
        found["repeats"] += sum(not one.weighs for one in votes)

    assert len(replay(tracks, tick_secs=int(TICK.total_seconds()), on_look=note)) == len(events)
    return found


async def test_what_waits_to_be_counted_is_heard_when_it_was_said(database: Database) -> None:
    """Half was counted, half waits: nothing is lost, nothing is heard twice, and what was late stays late."""
    heard = history(4, 30)
    said = written(heard, "acme")
    await daemon(database, said, ["acme"], days=2)
    known = await stored(database, "acme")
    assert {one.ballot.mention for one in known} == {one.id for one in said}
    assert len(known) == len(said)
    assert [one.at for one in known] == sorted(one.at for one in known)
    early, late = START + timedelta(days=2), START + timedelta(days=3)
    assert all(TICK > one.at - one.ballot.at >= timedelta(0) for one in known)
    assert all(one.at == one.ballot.at for one in known if one.at > late)
    assert any(one.at > one.ballot.at for one in known if one.at < early)
    part = await stored(database, "acme", since_at=early, until_at=late)
    assert part == [one for one in known if one.ballot.at >= early and one.at <= late]
    assert await stored(database, "nobody") == []
