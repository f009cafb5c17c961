"""What a mention says of a brand: which of the brand's topics it is about."""

from collections.abc import Iterable, Mapping
from typing import Final

from listener.domain import Mention
from listener.errors import QueryError
from listener.matching.matcher import BrandMatcher, Matcher, compile_brand


class Topics:
    """The topics of all brands at once: a mention costs its length, whatever their number."""

    def __init__(self, queries: Mapping[str, Mapping[str, str]]) -> None:
        """Take the ``queries`` by topic, by brand; raises QueryError when one cannot be parsed."""
        compiled: list[BrandMatcher] = []
        self._topics: dict[str, tuple[str, str]] = {}  # (brand, topic) by the name that the matcher knows it by
        for brand, by_topic in queries.items():
            for topic, query in by_topic.items():
                name = str(len(compiled))  # names of brands and topics are anybody's: no sign would part the two
                compiled.append(_compiled(name, brand, topic, query))
                self._topics[name] = brand, topic
        self._brands = frozenset(brand for brand, _ in self._topics.values())
        self._matcher = Matcher(compiled)

    def of(self, mention: Mention, brands: Iterable[str]) -> dict[str, str]:
        """The topic of ``mention`` for each of ``brands``: the first whose query it matches, in the order given.

        Brands of which it matches no topic are absent.
        """
        sought = self._brands.intersection(brands)
        found: dict[str, str] = {}
        for name in self._matcher.brands_of(mention) if sought else ():
            brand, topic = self._topics[name]
            if brand in sought:
                found.setdefault(brand, topic)
        return found


NO_TOPICS: Final = Topics({})
"""Of brands that have none."""


def _compiled(name: str, brand: str, topic: str, query: str) -> BrandMatcher:
    try:
        return compile_brand(name, query=query)
    except QueryError as error:
        raise QueryError(f"topic {topic!r} of brand {brand!r}: {error.problem}", column=error.column) from None
