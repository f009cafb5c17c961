"""The gate of an origin: one at a time, with a gap, in order; nobody waits for another origin."""

import asyncio
from dataclasses import dataclass, field

import pytest

from listener.errors import RateLimited
from listener.fetch import gate
from listener.fetch.gate import KEPT_GATES, Gates
from listener.fetch.redirects import Origin

SITE: Origin = ("https", "site.test", 443)
OTHER: Origin = ("https", "other.test", 443)


@dataclass
class Time:
    """A clock that jumps when somebody sleeps."""

    at: float = 100.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """The time."""
        return self.at

    async def sleep(self, secs: float) -> None:
        """Let the time pass at once."""
        self.slept.append(secs)
        self.at += secs
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    """A clock."""
    return Time()


@pytest.fixture
def gates(time: Time) -> Gates:
    """Gates with five seconds of patience."""
    return Gates(monotonic=time.monotonic, sleep=time.sleep, patience_secs=5.0)


async def test_the_gap_counts_from_the_end_of_the_last_request(gates: Gates, time: Time) -> None:
    """The first comes at once, the second a full interval after the first has ended."""
    async with gates.turn(SITE, interval_secs=2.0, holder="feed"):
        time.at += 10.0
    time.at += 0.5
    async with gates.turn(SITE, interval_secs=2.0, holder="feed"):
        pass
    assert time.slept == [1.5]


async def test_one_at_a_time_and_first_come_first_served(gates: Gates) -> None:
    """However many wait."""
    order: list[int] = []
    inside = 0

    async def visit(number: int) -> None:
        nonlocal inside
        async with gates.turn(SITE, interval_secs=1.0, holder="feed"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            order.append(number)
            inside -= 1

    await asyncio.gather(*(visit(number) for number in range(20)))
    assert order == list(range(20))


async def test_another_origin_does_not_wait(gates: Gates, time: Time) -> None:
    """Not even while a request at the first one hangs."""
    first = gates.turn(SITE, interval_secs=2.0, holder="feed")
    async with first, gates.turn(OTHER, interval_secs=2.0, holder="feed"):
        assert time.slept == []


async def test_a_failed_or_cancelled_turn_is_over(gates: Gates, time: Time) -> None:
    """The next one comes after the usual gap."""
    for error in (RuntimeError, asyncio.CancelledError):
        with pytest.raises(error):
            async with gates.turn(SITE, interval_secs=2.0, holder="feed"):
                raise error
    async with gates.turn(SITE, interval_secs=2.0, holder="feed"):
        pass
    assert time.slept == [2.0, 2.0]


async def test_a_short_hold_is_waited_for(gates: Gates, time: Time) -> None:
    """It ends while we wait for our turn."""
    gates.hold(SITE, "feed", 3.0)
    gates.hold(SITE, "feed", 1.0)
    async with gates.turn(SITE, interval_secs=1.0, holder="feed"):
        pass
    assert time.slept == [3.0]


async def test_a_long_hold_is_told(gates: Gates, time: Time) -> None:
    """No slot is kept waiting, and nothing is asked of the server."""
    gates.hold(SITE, "feed", 600.0)
    time.at += 100.0
    with pytest.raises(RateLimited) as caught:
        async with gates.turn(SITE, interval_secs=1.0, holder="feed"):
            pytest.fail("the server asked us to stay away")
    assert caught.value.retry_after_secs == 500.0
    async with gates.turn(OTHER, interval_secs=1.0, holder="feed"):
        pass
    assert time.slept == []


async def test_a_hold_that_comes_while_we_queue_is_told(gates: Gates) -> None:
    """Nothing more is asked of a server that has told this source to go away."""
    async with gates.turn(SITE, interval_secs=0.0, holder="a"):
        behind = asyncio.create_task(gates.turn(SITE, interval_secs=0.0, holder="b").__aenter__())
        await asyncio.sleep(0)
        gates.hold(SITE, "b", 600.0)
    with pytest.raises(RateLimited):
        await behind


async def test_what_one_source_is_told_does_not_hold_its_neighbours(gates: Gates) -> None:
    """Another source at the same origin goes on, until it is told itself."""
    gates.hold(SITE, "feed", 600.0)
    async with gates.turn(SITE, interval_secs=0.0, holder="other"):
        pass
    with pytest.raises(RateLimited):
        async with gates.turn(SITE, interval_secs=0.0, holder="feed"):
            pytest.fail("the quota is used up")


async def test_a_request_that_hangs_gives_its_turn_up(gates: Gates, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one goes on while it still hangs; the order is kept."""
    monkeypatch.setattr(gate, "STUCK_SECS", 0.01)
    hangs = gates.turn(SITE, interval_secs=0.0, holder="hangs")
    async with hangs, asyncio.timeout(10), gates.turn(SITE, interval_secs=0.0, holder="next"):
        pass


async def test_a_hold_ends_after_an_hour_at_most(gates: Gates, time: Time) -> None:
    """Longer waits are kept with the source, over restarts."""
    gates.hold(SITE, "feed", 1e9)
    time.at += 3600.0
    async with gates.turn(SITE, interval_secs=0.0, holder="feed"):
        pass
    assert time.slept == []


async def test_the_memory_is_bounded(gates: Gates, time: Time) -> None:
    """Gates that constrain nobody any more are dropped; those that do are kept."""
    for number in range(KEPT_GATES):
        async with gates.turn(("https", f"site{number}.test", 443), interval_secs=1.0, holder="feed"):
            pass
    time.at += 3 * 3600.0
    gates.hold(SITE, "feed", 600.0)
    gates.hold(OTHER, "feed", 600.0)
    assert len(gates._gates) == 2
    with pytest.raises(RateLimited):
        async with gates.turn(SITE, interval_secs=0.0, holder="feed"):
            pytest.fail("the hold was forgotten")
