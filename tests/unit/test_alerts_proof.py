"""What an alert proves of itself: its evidence again to the bit, and what it hangs on."""

import dataclasses
import itertools
import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from listener.alerts.detection import evidence
from listener.alerts.detection.decompose import Group
from listener.alerts.detection.proof import (
    Proof,
    contributions,
    counterfactual,
    onset_at,
    prove,
    replay,
    replay_key,
    without_authors,
)
from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.standing import Fleet, Origin, Standing, count, evidence_of
from listener.alerts.words.proof_texts import sentences
from listener.domain import Ballot, Repeats, Vote

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TICK = int(START.timestamp()) // 300
LIMIT = math.log(1000)
TICKS_PER_MONTH = 2000.0


def vote(position: int, minute: float, *, negative: bool = True, **changes: Any) -> Vote:
    """A vote with a budget of 25 %, each from an author of its own."""
    at = START + timedelta(minutes=minute)
    values: dict[str, Any] = {
        "mention": f"m{position}",
        "source": "forum",
        "at": at,
        "risk": 0.9 if negative else 0.1,
        "negative": negative,
        "polarity": -0.8 if negative else 0.4,
        "author": f"a{position}",
        "position": position,
        "counted_at": at,
        "news": True,
        "budget": 0.25,
        "deff": 1.0,
    }
    return Vote(**{**values, **changes})


def calm(count: int = 20) -> list[Vote]:
    """One in five is negative, a vote every three minutes."""
    return [vote(number, 3 * number, negative=number % 5 == 0) for number in range(1, count + 1)]


def trouble(count: int = 12, **changes: Any) -> list[Vote]:
    """An hour of calm, then nothing but negative votes, one a minute."""
    past = calm()
    return past + [vote(len(past) + number, 60 + number, **changes) for number in range(1, count + 1)]


SINCE = onset_at(replay(trouble(), use_risk=False)[-1])


@st.composite
def ledgers(draw: st.DrawFn) -> list[Vote]:
    """Any votes: gaps, repeats, history, budgets that change within a tick, with and without a limit on the fall."""
    rated = draw(st.booleans())
    minutes = list(itertools.accumulate(draw(st.lists(st.floats(0.0, 9.0), min_size=1, max_size=40))))
    return [
        vote(
            position,
            minute,
            negative=draw(st.booleans()),
            risk=draw(st.floats(0.0, 1.0)),
            polarity=draw(st.floats(-1.0, 1.0)),
            author=draw(st.sampled_from(["ann", "bob", "eve", None])),
            repeats=draw(st.sampled_from([None, None, None, Repeats.AUTHOR])),
            news=draw(st.integers(0, 5)) > 0,
            budget=draw(st.sampled_from([0.2, 0.3])),
            deff=draw(st.sampled_from([1.0, 1.7])),
            rate_budget=draw(st.sampled_from([0.5, 0.6])) if rated else None,
            rate_deff=draw(st.sampled_from([1.0, 2.5])) if rated else None,
        )
        for position, minute in enumerate(minutes, start=1)
    ]


def folded(votes: Sequence[Vote], *, use_risk: bool, each: int) -> float | None:
    """The evidence as a daemon folds it that comes by after every ``each`` votes."""
    shares: evidence.Wealth | None = None
    rates: evidence.Wealth | None = None
    counted = [one for one in votes if one.news and one.weighs]
    for first in range(0, len(counted), each):
        looked_at = counted[first : first + each]
        for (tick, budget, deff, rate, rate_deff), run in itertools.groupby(
            looked_at,
            key=lambda one: (
                int(one.counted_at.timestamp()) // 300, one.budget, one.deff, one.rate_budget, one.rate_deff
            ),
        ):  # fmt: skip
            batch = list(run)
            xs = [(one.risk if use_risk else float(one.negative), 1.0) for one in batch]
            shares = evidence.add(shares or evidence.start(tick), evidence.bets(budget, deff), tick, xs)
            if rate is not None and rate_deff is not None:
                ys = [((1.0 - one.polarity) / 2.0, 1.0) for one in batch]
                rates = evidence.add(rates or evidence.start(tick), evidence.bets(rate, rate_deff), tick, ys)
    if shares is None:
        return None
    if rates is None:
        return evidence.evidence(shares)
    return evidence.log_mean([evidence.evidence(shares), evidence.evidence(rates)])


@given(ledgers(), st.booleans(), st.integers(1, 7))
def test_the_evidence_is_the_same_to_the_bit_however_often_the_daemon_looked(
    votes: list[Vote], use_risk: bool, each: int
) -> None:
    looks = replay(votes, use_risk=use_risk)
    assert (looks[-1].evidence if looks else None) == folded(votes, use_risk=use_risk, each=each)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 20)), min_size=1, max_size=20), st.floats(1.0, 4.0))
def test_a_tick_added_in_several_calls_is_the_same_to_the_bit(values: list[tuple[float, int]], deff: float) -> None:
    """The law that replaying rests on: of `evidence.add`, not of this module."""
    bet = evidence.bets(0.3, deff)
    pairs = [(x, float(count)) for x, count in values]
    begun = evidence.add(evidence.start(7), bet, 7, [(1.0, 3.0)])
    at_once = evidence.add(begun, bet, 9, pairs)
    for cut in range(len(pairs) + 1):
        split = evidence.add(evidence.add(begun, bet, 9, pairs[:cut]), bet, 9, pairs[cut:])
        assert split == at_once


@given(ledgers(), st.booleans())
def test_what_was_counted_later_changes_no_earlier_look(votes: list[Vote], use_risk: bool) -> None:
    looks = replay(votes, use_risk=use_risk)
    half = replay(votes[: len(votes) // 2], use_risk=use_risk)
    assert half[:-1] == looks[: max(0, len(half) - 1)]


def test_there_is_one_look_for_each_tick_in_which_somebody_spoke() -> None:
    votes = [vote(1, 0), vote(2, 1), vote(3, 12), vote(4, 40, news=False), vote(5, 41, repeats=Repeats.AUTHOR)]
    looks = replay(votes, use_risk=False)
    assert [(look.tick - TICK, look.position) for look in looks] == [(0, 2), (2, 3)]
    assert looks[-1].counted_at == votes[2].counted_at
    assert replay([], use_risk=False) == []


def test_a_clock_set_back_means_that_no_time_has_passed() -> None:
    looks = replay([vote(1, 10), vote(2, 0)], use_risk=False)
    assert [look.tick - TICK for look in looks] == [2]


@given(ledgers(), st.booleans(), st.data())
def test_from_any_origin_the_evidence_comes_out_the_same_to_the_bit(
    votes: list[Vote], use_risk: bool, data: st.DataObject
) -> None:
    looks = replay(votes, use_risk=use_risk)
    if not looks:
        return
    middle = data.draw(st.sampled_from(looks))
    origin = Origin(position=middle.position, wealth=middle.wealth, wealth_rate=middle.wealth_rate)
    later = [look for look in looks if look.position > middle.position]
    assert replay(votes, use_risk=use_risk, origin=origin) == later
    assert replay(votes[middle.position :], use_risk=use_risk, origin=origin) == later


def test_the_daemon_and_the_replay_fold_the_same() -> None:
    """Whatever `standing` counted, from any of the origins that it keeps."""
    rule = Deterioration(name="share", points_per_day=20.0)
    randoms = random.Random(7)
    now = START
    standing: Standing | None = None
    votes: list[Vote] = []
    for look in range(900):
        now += timedelta(seconds=randoms.choice([20, 60, 400, 900]))
        ballots = [
            Ballot(
                mention=f"m{look}-{number}",
                source="forum",
                at=now - timedelta(seconds=randoms.randrange(1, 300)),
                risk=randoms.random(),
                negative=randoms.random() < 0.3,
                polarity=randoms.uniform(-1, 1),
            )
            for number in range(randoms.choice([0, 0, 1, 2, 5]))
        ]
        counted = count(standing, ballots, rule=rule, now=now, fleet=Fleet(), past=())
        standing = counted.standing
        votes += counted.votes
    assert standing is not None
    for origin in standing.origins:
        last = replay(votes, use_risk=rule.counts == "risk", origin=origin)[-1]
        assert (last.wealth, last.wealth_rate) == (standing.wealth, standing.wealth_rate)
        assert last.evidence == evidence_of(standing)


def test_the_onset_is_when_the_calm_ended() -> None:
    assert timedelta(0) <= SINCE - START - timedelta(minutes=55) <= timedelta(minutes=10)
    rated = [dataclasses.replace(one, rate_budget=0.35, rate_deff=1.0, negative=False, risk=0.0) for one in trouble(30)]
    look = replay(rated, use_risk=False)[-1]
    assert look.wealth_rate is not None
    assert onset_at(look).timestamp() == 300 * evidence.onset(look.wealth_rate)


def test_a_trouble_of_many_does_not_hang_on_anybody() -> None:
    assert without_authors(trouble(30), limit=LIMIT, use_risk=False) is None


def test_a_trouble_of_two_hangs_on_both() -> None:
    votes = trouble(12, author="eve")[:-4] + [vote(position, 60 + position, author="bob") for position in range(29, 33)]
    assert without_authors(votes, limit=LIMIT, use_risk=False) == (("forum", "eve"),)
    assert without_authors(votes, limit=math.log(100), use_risk=False) == (("forum", "eve"), ("forum", "bob"))


def test_no_alarm_needs_nobody_to_be_left_out() -> None:
    assert without_authors(calm(), limit=LIMIT, use_risk=False) == ()
    assert without_authors([], limit=LIMIT, use_risk=False) == ()


def test_who_is_not_known_cannot_be_left_out() -> None:
    assert without_authors(trouble(author=None), limit=LIMIT, use_risk=False) is None


@given(ledgers(), st.floats(0.1, 4.0), st.booleans())
def test_without_these_authors_it_stays_below_the_limit(votes: list[Vote], limit: float, use_risk: bool) -> None:
    authors = without_authors(votes, limit=limit, use_risk=use_risk)
    if authors is not None:
        rest = [one for one in votes if (one.source, one.author) not in authors]
        assert all(look.evidence < limit for look in replay(rest, use_risk=use_risk))
        assert len(set(authors)) == len(authors) <= 5


def test_the_counterfactual_budget_is_the_largest_that_still_fires() -> None:
    votes = trouble()
    found = counterfactual(votes, limit=LIMIT, ticks_per_month=TICKS_PER_MONTH, use_risk=False)
    assert found.budget is not None
    assert 0.25 < found.budget < 0.9
    with_it = [dataclasses.replace(one, budget=found.budget) for one in votes]
    with_more = [dataclasses.replace(one, budget=found.budget + 0.001) for one in votes]
    assert max(look.evidence for look in replay(with_it, use_risk=False)) >= LIMIT
    assert max(look.evidence for look in replay(with_more, use_risk=False)) < LIMIT


def test_the_counterfactual_false_alarms_are_what_the_limit_would_then_be() -> None:
    votes = trouble()
    found = counterfactual(votes, limit=LIMIT, ticks_per_month=TICKS_PER_MONTH, use_risk=False)
    assert found.false_alarms_per_month is not None
    assert found.false_alarms_per_month < TICKS_PER_MONTH / 1000
    reached = max(look.evidence for look in replay(votes, use_risk=False))
    assert evidence.needed(TICKS_PER_MONTH, found.false_alarms_per_month) == pytest.approx(reached)


def test_what_did_not_fire_has_no_counterfactual() -> None:
    found = counterfactual(calm(), limit=LIMIT, ticks_per_month=TICKS_PER_MONTH, use_risk=False)
    assert (found.budget, found.false_alarms_per_month) == (None, None)


def test_overwhelming_evidence_does_not_overflow() -> None:
    found = counterfactual(trouble(2000), limit=LIMIT, ticks_per_month=TICKS_PER_MONTH, use_risk=False)
    assert found.false_alarms_per_month == 0.0
    assert found.budget is not None
    assert found.budget > 0.9


@given(ledgers(), st.booleans())
def test_what_votes_contributed_adds_up_to_what_the_leader_gained(votes: list[Vote], use_risk: bool) -> None:
    looks = replay(votes, use_risk=use_risk)
    if not looks:
        assert contributions(votes, since_at=START, use_risk=use_risk) == []
        return
    streams = [one for one in (looks[-1].wealth, looks[-1].wealth_rate) if one is not None]
    ahead = max(streams, key=evidence.evidence)
    leader = max(lead + step for lead, step in zip(ahead.lead, ahead.opened, strict=True))
    found = contributions(votes, since_at=onset_at(looks[-1]), use_risk=use_risk)
    assert math.fsum(one.gain for one in found) == pytest.approx(leader, abs=1e-9)
    assert [one.gain for one in found] == sorted((one.gain for one in found), reverse=True)
    if leader > 0:
        assert math.fsum(one.share for one in found if one.gain > 0) == pytest.approx(1.0)


def test_contributions_are_ordered_and_ties_come_by_position() -> None:
    votes = [*trouble(3), vote(24, 64, repeats=Repeats.CONVERSATION), vote(25, 65, negative=False)]
    found = contributions(votes, since_at=START + timedelta(minutes=60.5), use_risk=False)
    assert [one.position for one in found] == [21, 22, 23, 24, 25]
    assert [one.mention for one in found][:1] == ["m21"]
    assert found[0].gain > found[3].gain == 0.0 > found[4].gain
    assert found[0].share == pytest.approx(1 / 3)


def proof(votes: Sequence[Vote], **changes: Any) -> Proof:
    before = {
        "source": [Group(key="forum", count=80, total=16), Group(key="reviews", count=20, total=4)],
        "language": [Group(key="unknown", count=100, total=20)],
        "topic": [Group(key="unknown", count=90, total=18), Group(key="billing", count=10, total=2)],
    }
    values: dict[str, Any] = {
        "before": before,
        "since_at": SINCE,
        "limit": LIMIT,
        "ticks_per_month": TICKS_PER_MONTH,
        "use_risk": False,
    }
    return prove(votes, **{**values, **changes})


def test_a_proof_bundles_all_of_it() -> None:
    votes = [*trouble(30, source="reviews"), vote(51, 91, author="a50", repeats=Repeats.AUTHOR)]
    found = proof(votes)
    assert (found.first_position, found.last_position) == (1, 51)
    assert found.evidence == replay(votes, use_risk=False)[-1].evidence >= found.limit
    assert (found.repeats, found.authors, found.anonymous) == (1, found.voices, 0)
    assert found.source.change == pytest.approx(1.0 - 0.2, abs=0.05)
    assert (found.loudest, found.broad, found.by_evidence) == (None, True, True)
    assert len(found.top) == 5
    with pytest.raises(ValueError, match="without votes"):
        proof([])


def test_a_proof_survives_json_exactly() -> None:
    adapter = TypeAdapter(Proof)
    for votes in (trouble(), trouble(30, author=None), calm()):
        found = proof(votes)
        assert adapter.validate_json(adapter.dump_json(found)) == found


def test_the_replay_key_tells_when_a_row_was_changed() -> None:
    votes = trouble()
    key = replay_key(votes, use_risk=False)
    assert key == replay_key(list(votes), use_risk=False)
    assert key == proof(votes).replay_key
    changed = [*votes[:-1], dataclasses.replace(votes[-1], budget=math.nextafter(0.25, 1.0))]
    assert key not in {replay_key(changed, use_risk=False), replay_key(votes, use_risk=True)}


def test_votes_that_were_history_prove_nothing() -> None:
    found = proof([vote(position, position, news=False) for position in range(1, 30)])
    assert (found.evidence, found.voices, found.loudest, found.top) == (0.0, 0, 0, ())
    assert sentences(found) == {"en": (), "et": ()}


def test_a_trouble_of_many_at_one_place_is_told() -> None:
    said = sentences(proof([*trouble(30, source="reviews"), vote(51, 91, repeats=Repeats.AUTHOR)]))
    assert said["en"] == (
        "Most of the rise (47 of 80 points) comes from reviews: 100% negative there now, usually 20%.",
        "It is broad: it would have fired without its five loudest authors too.",
        "If all were well, so much evidence would come at most once in 10 years on average.",
        "One more mention repeats an author or a conversation and was not counted.",
        "It would have fired even with a budget of 69%; the budget is 25%.",
    )
    assert len(said["et"]) == len(said["en"])
    assert said["et"][1] == "Rahulolematus on laialdane: häire oleks tulnud ka ilma viie kõige häälekama autorita."


def test_a_trouble_of_one_is_told_as_that() -> None:
    said = sentences(proof(trouble(author="eve")))
    assert "Without its loudest author it would not have fired." in said["en"]
    assert "Ilma kõige häälekama autorita ei oleks häiret tulnud." in said["et"]


def test_nothing_is_said_of_authors_whom_nobody_knows() -> None:
    said = sentences(proof(trouble(30, author=None)))
    assert not any("author" in one for one in said["en"])


def test_where_people_speak_is_told_apart_from_what_they_say() -> None:
    """Each source is as bad as ever; only more is heard of the worse one."""
    before = {"source": [Group(key="praise", count=90, total=9), Group(key="rant", count=10, total=8)]}
    votes = [
        *(vote(position, 61, source="rant", negative=position % 5 > 0) for position in range(1, 21)),
        *(vote(position, 61, source="praise", negative=position == 21) for position in range(21, 31)),
    ]
    said = sentences(proof(votes, before=before, since_at=START))
    assert said["en"][0] == "Most of the rise (24 of 40 points) comes from rant: 67% of all mentions now, usually 10%."


def test_what_got_worse_at_one_place_is_told_with_its_share() -> None:
    before = {"source": [Group(key="rant", count=50, total=10), Group(key="praise", count=50, total=10)]}
    votes = [
        *(vote(position, 61, source="rant", negative=position % 5 > 0) for position in range(1, 21)),
        *(vote(position, 61, source="praise", negative=position % 5 > 3) for position in range(21, 41)),
    ]
    said = sentences(proof(votes, before=before, since_at=START))
    assert said["en"][0] == "The whole rise (30 points) comes from rant: 80% negative there now, usually 20%."
    assert said["et"][0] == (
        "Kogu tõus (30 punkti) tuleb allikast rant: praegu on seal negatiivseid 80%, tavaliselt 20%."
    )


@given(ledgers())
def test_every_sentence_is_said_in_both_languages(votes: list[Vote]) -> None:
    said = sentences(proof(votes, since_at=START, limit=0.5))
    assert len(said["en"]) == len(said["et"])
    assert not set(said["en"]) & set(said["et"])
    assert all(one.endswith(".") and (one[0].isupper() or one[0].isdigit()) for one in (*said["en"], *said["et"]))
