"""How long one look at 10,000 brands takes: deciding alone, and a whole tick over the database.

``python -m benchmarks.fleet [--brands 10000] [--json]``. *Deciding* counts one new vote of every brand and lets the
rules judge, in memory, on one core. *A tick* is the daemon's own `evaluate` on SQLite: read what waits, read how those
brands stand, decide, keep it. Brands have a month behind them; stored votes are added to show that they cost nothing.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.machine import machine
from listener.alerts.detection import standing as standings
from listener.alerts.detection.rules import DEFAULT_RULES, Deterioration
from listener.alerts.detection.standing import Fleet, Standing
from listener.config import Brand
from listener.domain import Assessment, Ballot, Mention, Past, Probabilities, Sums, Vote
from listener.fetch import Fetcher, FetchPolicy
from listener.log import configure
from listener.matching import Matcher
from listener.metrics import Metrics
from listener.pipeline import Parts, evaluate, score
from listener.pipeline.look import Case, look
from listener.protocols import Languages
from listener.sentiment.scorer import on_thread
from listener.store import Database, mentions, migrate, votes
from listener.store.sources import SourceState
from listener.store.votes import Change, Kept

NOW = datetime(2026, 3, 2, 9, 3, tzinfo=UTC)
PER_DAY = 50
RULE = DEFAULT_RULES[0]


def ballot(rng: random.Random, at: datetime, number: int) -> Ballot:
    """A vote as a calm brand has it."""
    negative = rng.random() < 0.15
    risk = rng.uniform(0.6, 0.99) if negative else rng.uniform(0.01, 0.3)
    return Ballot(
        mention=f"{number:036d}",
        source=rng.choice(("news", "reviews", "forum")),
        at=at,
        risk=risk,
        negative=negative,
        polarity=0.4 - risk,
        lang="et",
        author=f"{rng.getrandbits(64):016x}",
    )


def aged(rng: random.Random) -> Standing:
    """A brand that has been followed for a month, and was last looked at one tick ago."""
    assert isinstance(RULE, Deterioration)
    slot = int(NOW.timestamp()) // 21600
    past = [Past(sums=Sums(slot - back, 12.5, 2.0, 2.5, 1.2, 5.0, 2.4)) for back in range(4, 117)]
    standing = None
    for hour in range(24, 0, -1):
        at = NOW - timedelta(hours=hour)
        some = [ballot(rng, at - timedelta(minutes=rng.randrange(60)), rng.getrandbits(32)) for _ in range(2)]
        needed = standings.needs_past(standing, some, rule=RULE, now=at)
        standing = standings.count(
            standing, some, rule=RULE, now=at, fleet=Fleet(), past=past if needed else None
        ).standing
    before = NOW - timedelta(minutes=5)
    return standings.count(standing, [], rule=RULE, now=before, fleet=Fleet(), past=None).standing


def deciding(brands: int) -> float:
    """Seconds to count one new vote of every brand and to judge, all rules."""
    rng = random.Random(1)
    kept = [aged(rng) for _ in range(min(brands, 200))]
    cases = [
        Case(
            brand=f"brand_{number}",
            rules=DEFAULT_RULES,
            standing=kept[number % len(kept)],
            ballots=[ballot(rng, NOW - timedelta(seconds=rng.randrange(60)), number)],
            fleet=Fleet(),
            now=NOW,
        )
        for number in range(brands)
    ]
    for case in cases:  # as in the daemon, it is not the first look at a brand
        look(case)
    began = time.process_time()
    for case in cases:
        look(case)
    return time.process_time() - began


class Calm:
    """A scorer that costs nothing."""

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:  # noqa: ARG002 -- the protocol's
        """Every text is mildly good."""
        probabilities = Probabilities(negative=0.1, neutral=0.5, positive=0.4)
        return [Assessment(probabilities=probabilities, model="calm@1", risk=0.1, labels=()) for _ in texts]


async def tick(brands: int, changed: int, stored: int) -> dict[str, Any]:
    """The daemon's tick over ``brands`` brands, ``changed`` of them with a new mention, and ``stored`` votes behind."""
    rng = random.Random(2)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/listener.db")
        await migrate.upgrade(database)
        names = [f"brand_{number}" for number in range(brands)]
        await _prepare(database, names, stored, rng)
        clock = [NOW]
        async with on_thread(Calm) as scorer:
            parts = Parts(
                database=database,
                metrics=Metrics(),
                fetcher=Fetcher(FetchPolicy(user_agent="bench")),
                sources={},
                brands={name: Brand(names=(name,)) for name in names},
                matcher=Matcher([]),
                identify=lambda _text: None,
                scorer=scorer,
                rules=dict.fromkeys(names, DEFAULT_RULES),
                receivers={},
                now=lambda: clock[0],
                batch_mentions=1000,
            )
            await evaluate(parts)  # the first one after a start looks at every brand
            for name in names:
                parts.agenda.put(name, NOW + timedelta(hours=1))
            clock[0] = NOW + timedelta(minutes=5)
            found = [_mention(f"new{number}", names[number % brands], clock[0]) for number in range(changed)]
            for start in range(0, len(found), 500):
                state = SourceState(name="bench", fingerprint="bench")
                await mentions.save_poll(database, found[start : start + 500], state, now=clock[0])
            while await score(parts):
                pass
            wall, cpu = time.perf_counter(), time.process_time()
            await evaluate(parts)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        await database.close()
    return {"brands": brands, "changed": changed, "stored_votes": stored, "wall_secs": wall, "cpu_secs": cpu}


async def _prepare(database: Database, names: Sequence[str], stored: int, rng: random.Random) -> None:
    """Standings of a month for all, and ``stored`` votes that lie behind them."""
    kept = [aged(rng) for _ in range(50)]
    each = stored // len(names)
    for start in range(0, len(names), 500):
        changes = []
        for name in names[start : start + 500]:
            standing = replace(rng.choice(kept), position=each)
            old = [
                Vote(
                    **{field: getattr(one, field) for field in one.__dataclass_fields__},
                    position=position,
                    counted_at=one.at,
                    news=True,
                    budget=0.2,
                    deff=1.0,
                )
                for position in range(1, each + 1)
                for one in [ballot(rng, NOW - timedelta(minutes=10 * position), rng.getrandbits(100))]
            ]
            changes.append(
                Change(
                    brand=name,
                    before=0,
                    kept=Kept(
                        version=1,
                        position=each,
                        state=standings.as_json(standing),
                        share=0.15,
                        dissatisfaction=0.4,
                        deff=1.0,
                        mentions=1400.0,
                    ),
                    votes=old,
                    rows={one.mention: rng.getrandbits(60) for one in old},
                )
            )
        await votes.save(database, changes, now=NOW)


def _mention(number: str, brand: str, at: datetime) -> Mention:
    return Mention(
        source="bench",
        external_id=number,
        url=f"https://example.com/{number}",
        canonical_url=f"https://example.com/{number}",
        title="",
        text=f"Mention {number} of {brand}",
        author=f"Author {number}",
        lang="en",
        published_at=at - timedelta(minutes=2),
        seen_at=at,
        rating=None,
        reach=None,
        content_hash=number,
        text_key=f"9:{number}",
        brands=(brand,),
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--brands", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    brands = options.brands
    configure("console", "error")
    alone = deciding(brands)
    ticks = [asyncio.run(tick(brands, changed, 0)) for changed in (0, brands // 100, brands // 10, brands)]
    ticks += [asyncio.run(tick(brands, brands // 10, stored)) for stored in (10 * brands, 50 * brands)]
    if options.json:
        print(json.dumps({"machine": machine(), "deciding_secs": alone, "ticks": ticks}))
        return
    print(machine())
    print(
        f"deciding for {brands:,} brands, one new vote each: {alone:.2f} s of one core ({1e6 * alone / brands:.0f} us)"
    )
    print(f"{'brands':>8} {'changed':>8} {'stored votes':>13} {'wall s':>8} {'CPU s':>8}")
    for one in ticks:
        print(
            f"{one['brands']:>8,} {one['changed']:>8,} {one['stored_votes']:>13,} {one['wall_secs']:>8.3f} "
            f"{one['cpu_secs']:>8.3f}"
        )


if __name__ == "__main__":
    main()
