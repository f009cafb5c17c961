"""Edits are no new mentions, copies are no voices, and voices are never taken for copies."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.dedupe import ANONYMOUS, LONG_KEY, Judgement, Known, Original, judge, lookup_of, verdict
from listener.domain import Mention, RawMention, Verdict
from listener.normalise import normalise

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LONG = "Bolt jättis mind pool tundi vihma kätte ootama ja tühistas siis sõidu ise ära."
SHORT = "Väga hea teenindus!"
HEADLINE = "Bolt tõstab Tallinnas sõiduhindu viiendiku võrra"


def said(
    external_id: str,
    text: str,
    *,
    source: str = "reviews",
    author: str | None = None,
    title: str | None = None,
    url: str | None = None,
) -> Mention:
    """A mention as the store would get it; without ``url`` it has an address of its own."""
    raw = RawMention(
        external_id=external_id,
        url=url or f"https://{source}.example/{external_id}",
        text=text,
        title=title,
        author=author,
    )
    return normalise(raw, source=source, seen_at=NOW, identify=lambda _: None)


def stored(mention: Mention, copy_of: str | None = None) -> Original:
    """The row that the store would find of ``mention``."""
    return Original(
        id=mention.id,
        source=mention.source,
        author=mention.author,
        title=mention.title,
        canonical_url=mention.canonical_url,
        text_key=mention.text_key,
        copy_of=copy_of,
    )


def known(mention: Mention, copy_of: str | None = None) -> Known:
    """What the store holds under the identity of ``mention``."""
    return Known(content_hash=mention.content_hash, copy_of=copy_of)


def outcome(judgement: Judgement) -> tuple[Verdict, str | None]:
    """The judgement without its words, which must not be empty."""
    assert judgement.reason
    return judgement.verdict, judgement.copy_of


def test_what_nobody_said_is_new() -> None:
    """A first saying has no original."""
    assert outcome(verdict(said("1", LONG), known=None, originals=[])) == (Verdict.NEW, None)


def test_the_same_content_is_unchanged_and_stays_what_it_was() -> None:
    """A poll that sees an item again changes nothing, nor what it is a copy of."""
    again = said("1", LONG)
    assert outcome(verdict(again, known=known(again, "x"), originals=[])) == (Verdict.UNCHANGED, "x")


def test_new_content_under_the_same_identity_is_an_edit() -> None:
    """An edit is never a new mention."""
    before = said("1", "Ootan veel.")
    assert outcome(verdict(said("1", LONG), known=known(before), originals=[])) == (Verdict.EDITED, None)


@pytest.mark.parametrize("source", ["reviews", "forum"])
def test_a_long_text_elsewhere_is_a_copy(source: str) -> None:
    """Nobody writes forty letters alike by chance, on the same site or on another."""
    first = said("1", LONG, author="Mari")
    copy = said("2", f"RT @mari: {LONG.upper()} https://t.co/x", source=source, author="Jüri")
    assert outcome(verdict(copy, known=None, originals=[stored(first)])) == (Verdict.DUPLICATE, first.id)


@pytest.mark.parametrize("text", [SHORT, "Great service", "Отлично!", "👍", "5/5"])
@pytest.mark.parametrize(("one", "other"), [("Mari", "Jüri"), (None, None), ("Mari", None)])
def test_a_short_phrase_of_different_people_is_two_voices(text: str, one: str | None, other: str | None) -> None:
    """Many customers say the same two words, at one address."""
    first = said("1", text, author=one, url="https://reviews.example/bolt")
    second = said("2", text, author=other, url="https://reviews.example/bolt")
    assert outcome(verdict(second, known=None, originals=[stored(first)])) == (Verdict.NEW, None)


def test_the_length_that_makes_a_copy_is_counted_in_letters_and_digits() -> None:
    """Punctuation does not make a phrase long."""
    enough, short = "a" * LONG_KEY, "a, " * (LONG_KEY - 1)
    assert verdict(said("2", enough), known=None, originals=[stored(said("1", enough))]).copy_of is not None
    assert verdict(said("2", short), known=None, originals=[stored(said("1", short))]).copy_of is None


def test_the_same_author_repeating_a_short_phrase_is_one_voice() -> None:
    """A double post counts once."""
    first = said("1", SHORT, author="Mari Maasikas")
    second = said("2", SHORT, author="Mari Maasikas")
    assert outcome(verdict(second, known=None, originals=[stored(first)])) == (Verdict.DUPLICATE, first.id)


def test_equal_names_on_two_sites_are_two_people() -> None:
    """There is more than one Anna."""
    first = said("1", SHORT, author="Anna")
    second = said("2", SHORT, author="Anna", source="forum")
    assert verdict(second, known=None, originals=[stored(first)]).verdict is Verdict.NEW


@pytest.mark.parametrize("name", ["A Google user", "Anonüümne", "гость"])
def test_a_name_that_hides_people_is_no_author(name: str) -> None:
    """Everybody without an account has the same name."""
    assert name.casefold() in ANONYMOUS
    first, second = (said(each, SHORT, author=name) for each in "12")
    assert verdict(second, known=None, originals=[stored(first)]).verdict is Verdict.NEW


def test_an_author_repeating_an_emoji_is_not_judged() -> None:
    """A text without letters has nothing to compare."""
    first, second = (said(each, "👍", author="Mari") for each in "12")
    assert verdict(second, known=None, originals=[stored(first)]).verdict is Verdict.NEW


@pytest.mark.parametrize(
    ("first_title", "title", "author", "copy"),
    [
        (HEADLINE, HEADLINE, None, True),
        (HEADLINE, HEADLINE, "Mari", True),
        (HEADLINE, HEADLINE, "Jüri", False),
        (HEADLINE, "Teine pealkiri, mis on piisavalt pikk", None, False),
        ("Bolt", "Bolt", None, False),
    ],
)
def test_one_article_through_two_sources_is_a_copy(
    first_title: str, title: str, author: str | None, copy: bool
) -> None:
    """The same address and the same long headline, unless the authors contradict each other."""
    url = "http://www.err.ee/1?utm_source=x"
    first = said("1", "Lugu algab nii.", source="err", title=first_title, author="Mari", url=url)
    second = said("2", "Kokkuvõte.", source="alerts", title=title, author=author, url="https://err.ee/1/")
    expected = (Verdict.DUPLICATE, first.id) if copy else (Verdict.NEW, None)
    assert outcome(verdict(second, known=None, originals=[stored(first)])) == expected


def test_a_short_text_at_the_same_address_through_another_source_is_a_copy() -> None:
    """A headline of three words, read in two feeds."""
    first = said("1", "Bolt kärbib teenust", source="err", url="https://err.ee/1")
    second = said("2", "Bolt kärbib teenust!", source="alerts", url="https://err.ee/1")
    assert outcome(verdict(second, known=None, originals=[stored(first)])) == (Verdict.DUPLICATE, first.id)


def test_the_same_address_alone_is_never_a_copy() -> None:
    """A review page has one address for all its reviews."""
    first = said("1", LONG, url="https://reviews.example/bolt")
    second = said("2", "Juht oli viisakas.", source="other", url="https://reviews.example/bolt")
    assert verdict(second, known=None, originals=[stored(first)]).verdict is Verdict.NEW


def test_no_address_is_not_the_same_address() -> None:
    """Mentions that cannot be linked to are not one article."""
    batch = [replace(said("1", SHORT, source=source), url="", canonical_url="") for source in ("a", "b")]
    assert [each.verdict for each in judge(batch, known={}, originals=[])] == [Verdict.NEW, Verdict.NEW]
    assert not lookup_of(batch).stories


def test_a_copy_of_a_copy_points_to_the_original() -> None:
    """Chains are flattened."""
    copy = said("2", LONG)
    assert verdict(said("3", LONG), known=None, originals=[stored(copy, copy_of="first")]).copy_of == "first"


def test_an_original_that_is_edited_is_not_a_copy_of_its_own_copy() -> None:
    """Nothing points to itself, not even around a corner."""
    first, copy = said("1", LONG + " :("), said("2", LONG)
    judgement = verdict(
        first, known=Known(content_hash="old"), originals=[stored(first), stored(copy, copy_of=first.id)]
    )
    assert outcome(judgement) == (Verdict.EDITED, None)


def test_an_edit_may_make_a_copy_and_may_end_it() -> None:
    """What a mention is follows what it says now."""
    first, mine, own = said("1", LONG), said("2", LONG), said("2", "Minu oma sõnad.")
    assert outcome(verdict(mine, known=known(own), originals=[stored(first)])) == (Verdict.EDITED, first.id)
    assert outcome(verdict(own, known=known(mine, first.id), originals=[stored(first)])) == (Verdict.EDITED, None)


def test_a_batch_is_judged_in_order() -> None:
    """The first of a batch is the original of the rest."""
    first, copy, again = said("1", LONG), said("2", LONG, source="forum"), said("1", LONG)
    judgements = judge([first, copy, again], known={}, originals=[])
    assert [outcome(each) for each in judgements] == [
        (Verdict.NEW, None),
        (Verdict.DUPLICATE, first.id),
        (Verdict.UNCHANGED, None),
    ]


def test_an_identity_twice_in_a_batch_is_new_and_then_edited() -> None:
    """A page may hold an item in two versions."""
    judgements = judge([said("1", "Ootan."), said("1", LONG)], known={}, originals=[])
    assert [each.verdict for each in judgements] == [Verdict.NEW, Verdict.EDITED]


def test_what_an_edit_no_longer_says_is_nobodys_copy() -> None:
    """A stored original that the batch edits is compared as it is now."""
    old, now, later = said("1", LONG), said("1", "Sain vabanduse."), said("2", LONG)
    judgements = judge([now, later], known={old.id: known(old)}, originals=[stored(old)])
    assert [outcome(each) for each in judgements] == [(Verdict.EDITED, None), (Verdict.NEW, None)]


def test_copies_follow_an_original_that_becomes_a_copy() -> None:
    """Within the batch the chain is flattened; the store does the same for its rows."""
    other = LONG.replace("vihma", "lume")
    a, b, c = said("a", LONG), said("b", other), said("c", other)
    edited, d = said("b", LONG), said("c", other)
    judgements = judge([a, b, c, edited, d], known={}, originals=[])
    assert [outcome(each) for each in judgements] == [
        (Verdict.NEW, None),
        (Verdict.NEW, None),
        (Verdict.DUPLICATE, b.id),
        (Verdict.EDITED, a.id),
        (Verdict.UNCHANGED, a.id),
    ]


def test_the_store_is_told_what_to_look_up() -> None:
    """Short texts are looked up with their author only, so that a common phrase does not bring thousands of rows."""
    long, short = said("1", LONG, title=HEADLINE, author="Mari"), said("2", SHORT, author="Mari")
    lookup = lookup_of([long, short, said("3", SHORT), said("4", SHORT, author="Guest")])
    assert lookup.long_keys == {long.text_key}
    assert lookup.authored == {(short.text_key, "Mari")}
    assert len(lookup.stories) == 4


VOICES = st.builds(
    said,
    st.sampled_from("abcd"),
    st.sampled_from([LONG, LONG + "!", LONG + " Kahju.", SHORT, "👍"]),
    source=st.sampled_from(["x", "y"]),
    author=st.sampled_from([None, "Mari", "Guest"]),
    title=st.sampled_from([None, HEADLINE]),
    url=st.sampled_from([None, "https://err.ee/1"]),
)


@given(st.lists(VOICES, max_size=12), st.lists(VOICES, max_size=12))
def test_copies_point_to_originals_whatever_comes(first: list[Mention], second: list[Mention]) -> None:
    """After two batches, stored as the module asks, every copy points to a row that is no copy, and not to itself."""
    rows: dict[str, tuple[Mention, str | None]] = {}
    for batch in (first, second):
        lookup = {each.id: known(*rows[each.id]) for each in batch if each.id in rows}
        originals = [stored(mention) for mention, copy_of in rows.values() if copy_of is None]
        for mention, judgement in zip(batch, judge(batch, known=lookup, originals=originals), strict=True):
            before = rows.get(mention.id)
            assert (judgement.verdict in {Verdict.NEW, Verdict.DUPLICATE}) == (before is None)
            assert judgement.verdict is not Verdict.DUPLICATE or judgement.copy_of is not None
            if judgement.verdict is Verdict.UNCHANGED:
                assert judgement.copy_of == rows[mention.id][1]
                continue
            rows[mention.id] = (mention, judgement.copy_of)
            if judgement.copy_of is not None:
                for each, (row, copy_of) in rows.items():
                    rows[each] = (row, judgement.copy_of if copy_of == mention.id else copy_of)
            copies = {each: copy_of for each, (_, copy_of) in rows.items() if copy_of is not None}
            assert not copies.keys() & set(copies.values())


@given(st.lists(VOICES, max_size=12))
def test_a_batch_is_judged_as_its_mentions_one_by_one(batch: list[Mention]) -> None:
    """Batching saves look-ups, never changes a verdict."""
    one_by_one = []
    rows: dict[str, tuple[Mention, str | None]] = {}
    for mention in batch:
        mine = {mention.id: known(*rows[mention.id])} if mention.id in rows else {}
        judgement = judge([mention], known=mine, originals=[stored(*row) for row in rows.values()])[0]
        if judgement.verdict is not Verdict.UNCHANGED:
            rows.pop(mention.id, None)
            rows[mention.id] = (mention, judgement.copy_of)
            for each, (row, copy_of) in rows.items():
                rows[each] = (row, judgement.copy_of if copy_of == mention.id and judgement.copy_of else copy_of)
        one_by_one.append(outcome(judgement))
    assert [outcome(each) for each in judge(batch, known={}, originals=[])] == one_by_one


@pytest.mark.timeout(20)
def test_a_large_batch_of_one_phrase_costs_its_length() -> None:
    """Ten thousand reviews at one address with one phrase: comparing all with all would need minutes."""
    one = said("0", SHORT, author="A0", url="https://reviews.example/bolt")
    batch = [replace(one, external_id=str(each), author=f"A{each}") for each in range(10_000)]
    assert {each.verdict for each in judge(batch, known={}, originals=[])} == {Verdict.NEW}
