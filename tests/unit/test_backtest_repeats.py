"""One vote per author and conversation a day, however the ballots come in."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from listener.domain import Ballot, Repeats
from listener.domain.repeats import REPEAT, Spoken, key_of, repeated
from tests.backtesting import START, ballot

VOICES = st.lists(
    st.tuples(st.integers(0, 96), st.sampled_from([None, "ann", "bob"]), st.sampled_from([None, "t1", "t2"])),
    max_size=30,
)


def said(voices: Sequence[tuple[int, str | None, str | None]]) -> list[Ballot]:
    return sorted(
        (
            ballot(f"m{number:02}", START + timedelta(hours=hours), author=author, conversation=thread)
            for number, (hours, author, thread) in enumerate(voices)
        ),
        key=lambda one: (one.at, one.mention),
    )


def test_an_author_and_a_conversation_have_one_vote_a_day() -> None:
    voices = said([(0, "ann", "t1"), (1, "ann", "t2"), (2, "bob", "t1"), (3, None, None), (24, "ann", "t2")])
    assert repeated(voices, {}) == {"m01": Repeats.AUTHOR, "m02": Repeats.CONVERSATION}


def test_what_repeats_has_no_vote_that_others_could_repeat() -> None:
    """The second of Ann's weighs nothing, so her thread is still free for Bob."""
    assert repeated(said([(0, "ann", None), (1, "ann", "t2"), (2, "bob", "t2")]), {}) == {"m01": Repeats.AUTHOR}


@given(VOICES, st.integers(1, 30))
def test_it_does_not_matter_how_ballots_are_split_up(
    voices: list[tuple[int, str | None, str | None]], size: int
) -> None:
    ballots = said(voices)
    spoken: Spoken = {}
    apart: dict[str, Repeats] = {}
    for start in range(0, len(ballots), size):
        apart |= repeated(ballots[start : start + size], spoken)
    assert apart == repeated(reversed(ballots), {})


@given(VOICES)
def test_votes_of_one_voice_are_a_day_apart(voices: list[tuple[int, str | None, str | None]]) -> None:
    ballots = said(voices)
    again = repeated(ballots, {})
    for what in Repeats:
        last: dict[str, Ballot] = {}
        for one in ballots:
            key = key_of(one, what)
            if one.mention in again or key is None:
                continue
            assert key not in last or one.at - last[key].at >= REPEAT
            last[key] = one
