"""Promise 6: exactly one end, and only of what people were told fires; it says how it ended."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from listener.domain import AlertState, Event, Reason, Resolution, Severity
from listener.pipeline import deliver
from listener.store import Database
from tests.oncall import World, event, told
from tests.running import HOUR, bench, turned, voices
from tests.running import told as told_all

BRANDS = ("acme", "bolt", "wolt")
Step = tuple[str, str, int, bool]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(BRANDS),
        st.sampled_from(["worse", "end", "again"]),
        st.integers(0, 90),
        st.booleans(),
    ),
    max_size=40,
)


class Life:
    """An alert's life as the rules would have it: ends only what fires, comes back only after an end."""

    def __init__(self, brand: str) -> None:
        self.brand = brand
        self.seq = 1
        self.state = AlertState.FIRING
        self.severity = Severity.WARNING

    def step(self, what: str) -> Event | None:
        before = (self.state, self.severity)
        match what, self.state:
            case "worse", AlertState.FIRING:
                self.severity = Severity.CRITICAL
                reason = Reason.WORSENED
            case "end", AlertState.FIRING:
                self.state = AlertState.RESOLVED
                reason = Reason.RESOLVED
            case "again", AlertState.RESOLVED:
                self.state = AlertState.FIRING
                reason = Reason.REOPENED
            case _:
                return None
        if before == (self.state, self.severity):
            return None
        self.seq += 1
        return event(self.brand, seq=self.seq, reason=reason, state=self.state, severity=self.severity)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_promise_06_whatever_happens_ends_and_beginnings_alternate(steps: list[Step]) -> None:
    world, lives = World(), {brand: Life(brand) for brand in BRANDS}
    heard: dict[str, list[str]] = {brand: [] for brand in BRANDS}
    for brand in BRANDS:
        world.fire(brand, severity=Severity.WARNING)
    for brand, what, minutes, dispatched in [*steps, *((brand, "end", 600, True) for brand in BRANDS)]:
        if (found := lives[brand].step(what)) is not None:
            world.decide(found)
        if dispatched:
            round_ = world.round(timedelta(minutes=minutes))
            for message in round_.messages:
                for tell in message.tells:
                    heard[tell.event.brand].append("end" if tell.reason is Reason.RESOLVED else "fires")
    for brand, words in heard.items():
        assert "end" not in words[:1], brand
        assert all(pair != ("end", "end") for pair in pairwise(words)), words
        # What was told to fire and fires no more was told to be over.
        assert not words or words[-1] == "end", words


async def test_promise_06_a_receiver_that_never_got_the_beginning_does_not_get_the_end(database: Database) -> None:
    async with bench(database) as at:
        at.inbox.connected = False
        await turned(at)
        await at.look()
        at.clock[0] += timedelta(hours=25)
        # The page is too old by now: it is named in a digest, and nobody needs to hear of its end alone.
        at.inbox.connected = True
        await told_all(at)
        assert [one.payload["type"] for one in at.inbox.taken] == ["bundle"]


async def test_promise_06_the_end_says_how_it_ended_and_comes_until_it_is_taken(database: Database) -> None:
    async with bench(database) as at:
        await turned(at)
        await at.look()
        await told_all(at)
        at.inbox.connected = False
        for number in range(10):
            await at.heard(*voices("Bolt", 30, bad=1, at=at.clock[0], start=5000 + 100 * number))
            await at.look(HOUR)
        assert await deliver(at.parts, "inbox") == 0
        at.inbox.connected = True
        ends = [one for one in await told_all(at) if one["reason"] == "resolved"]
    assert [one["resolution"] for one in ends] == [Resolution.RECOVERED.value]


def test_promise_06_the_end_goes_to_whom_the_beginning_went_to() -> None:
    world = World()
    world.fire("acme")
    world.round()
    world.resolve("acme", 2)
    assert told(world.round()) == [("mqtt", "resolved", "acme")]
    for _ in range(5):
        assert world.round(timedelta(hours=3)).messages == []
