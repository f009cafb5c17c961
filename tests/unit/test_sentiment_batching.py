"""Batches by length: every text once, no batch over its budget, like lengths together."""

from hypothesis import given
from hypothesis import strategies as st

from listener.sentiment.batching import batches, even_batches, weighted_mean


@given(st.lists(st.integers(1, 600), max_size=80), st.integers(1, 1000))
def test_every_text_travels_once_and_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = batches(lengths, budget)
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or max(lengths[place] for place in group) * len(group) <= budget


@given(st.lists(st.integers(1, 600), min_size=1, max_size=80))
def test_lengths_fall_from_batch_to_batch(lengths: list[int]) -> None:
    travelled = [lengths[place] for group in batches(lengths, 512) for place in group]
    assert travelled == sorted(lengths, reverse=True)


def test_padding_counts_against_the_budget() -> None:
    assert batches([2, 10, 9, 2], 20) == [[1, 2], [0, 3]]


def test_a_text_beyond_the_budget_travels_alone() -> None:
    assert batches([500, 3, 700], 64) == [[2], [0], [1]]


@given(st.lists(st.sampled_from([8, 16, 24, 192]), max_size=80), st.integers(64, 1000))
def test_only_equal_lengths_travel_together_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = even_batches(lengths, budget)
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        assert len({lengths[place] for place in group}) == 1
        assert len(group) == 1 or lengths[group[0]] * len(group) <= budget


def test_batches_of_equal_lengths_are_as_large_as_they_may_be() -> None:
    assert even_batches([8, 16, 8, 8, 16], 16) == [[1], [4], [0, 2], [3]]


def test_weighted_mean_counts_each_value_by_its_weight() -> None:
    assert weighted_mean([1.0, 0.0], [3, 1]) == 0.75
