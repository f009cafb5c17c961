"""Which texts go through the model together: pure, so that order and padding can be proved."""

from collections.abc import Sequence


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group the places of ``lengths`` (tokens a text) into batches that cost at most ``budget`` tokens each.

    A batch costs its longest text times its size, since shorter ones are padded to it; texts of like length travel
    together, the longest first, so that memory peaks at the start. A text longer than the budget travels alone.
    """
    groups: list[list[int]] = []
    longest = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if groups and longest * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(place)
        else:
            groups.append([place])
            longest = lengths[place]
    return groups


def even_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group the places of ``lengths`` so that only equal ones travel together, at most ``budget`` tokens a batch.

    So a text is padded the same whatever travels with it, which is what makes its result the same to the last bit. The
    longest go first, equal ones in their order; a text longer than the budget travels alone.
    """
    by_length: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        by_length.setdefault(length, []).append(place)
    groups = []
    for length, places in sorted(by_length.items(), reverse=True):
        size = max(1, budget // length)
        groups += [places[start : start + size] for start in range(0, len(places), size)]
    return groups


def weighted_mean(values: Sequence[float], weights: Sequence[int]) -> float:
    """The mean of ``values``, each counted ``weights`` times."""
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
