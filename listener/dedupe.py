"""Whether an incoming mention is new, edited, unchanged, or a copy of what somebody has said already.

A copy is kept and linked to its original, and counts as a copy, not as a voice. Taking a voice for a copy silences a
customer, so short common phrases ("Väga hea teenindus!") and a shared address alone never make one.

What the store looks up, inside the transaction that stores the batch:

1. ``known``: by primary key, the stored rows whose id is the id of a mention in the batch.
2. ``originals``: rows seen within ``WINDOW``, whose ``copy_of`` is null, oldest first, that match
   ``lookup_of(batch)``: ``text_key IN long_keys``, or ``(text_key, author) IN authored`` with the batch's source, or
   ``story IN stories`` (see ``story_of``) of another source. An original of one key has all later sayings of it as
   copies, so this is about one row a key, however much is stored. Indexes: (text_key, author) and (story, source).

After it stored the judgements it points the copies of every mention that has itself become a copy to the new original
(``UPDATE mention SET copy_of = :new WHERE copy_of = :id``), so that a copy never points to a copy.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeGuard

from listener.domain import Mention, Verdict

WINDOW = timedelta(days=30)  # how long a text is remembered: who says the same a month later says it again
LONG_KEY = 40  # letters and digits from which two people do not write the same by chance
LONG_TITLE = 20  # likewise of a headline, where the address is the same too

# Names under which a site shows many people: equal names are then not one author.
_ANONYMOUS = """
anonymous, anonymous user, anon, guest, user, customer, verified customer, consumer, unknown, deleted, [deleted]
google user, a google user, facebook user, trustpilot user, a trustpilot user, amazon customer, kindle customer
anonüümne, anonüüm, külaline, klient, kasutaja, nimetön, vieras, asiakas, anonyymi, анонимно, аноним, гость
пользователь, клиент, покупатель, анонім, гість, anonīms, viesis, klients, lietotājs, svečias, anonimas, klientas
anonym, gast, kunde, nutzer, kund, gäst, användare, anonyme, anonimo, anónimo, anonimowy, gość
"""
ANONYMOUS = frozenset(_ANONYMOUS.strip().replace("\n", ", ").split(", "))


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is stored under an identity: its hash, and what it is a copy of, if it is one."""

    content_hash: str
    copy_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A mention that another may be a copy of. ``copy_of`` is None in what the store looks up."""

    id: str
    source: str
    author: str | None
    title: str
    canonical_url: str
    text_key: str
    copy_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """By what the store finds the originals of a batch; see the module's description."""

    long_keys: frozenset[str]
    authored: frozenset[tuple[str, str]]
    stories: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict and why. ``copy_of`` is the id of the original, also of a mention that is edited or unchanged."""

    verdict: Verdict
    copy_of: str | None
    reason: str


def lookup_of(mentions: Iterable[Mention]) -> Lookup:
    """What the originals of these mentions have in common with them."""
    batch = list(mentions)
    return Lookup(
        long_keys=frozenset(each.text_key for each in batch if _letters(each.text_key) >= LONG_KEY),
        authored=frozenset(
            (each.text_key, each.author)
            for each in batch
            if 0 < _letters(each.text_key) < LONG_KEY and is_somebody(each.author)
        ),
        stories=frozenset(story for each in batch if (story := story_of(each)) is not None),
    )


def story_of(mention: Mention) -> str | None:
    """What one article has in common through all sources: its address with its headline, or with its text without one.

    None without an address: no address is not the same address.
    """
    if not mention.canonical_url:
        return None
    said = mention.title if len(mention.title) >= LONG_TITLE else mention.text_key
    return hashlib.sha256(f"{mention.canonical_url}\x1f{said}".encode()).hexdigest()[:32]


def verdict(mention: Mention, *, known: Known | None, originals: Iterable[Original]) -> Judgement:
    """Judge one mention by what is stored under its identity, and by possible originals, oldest first."""
    if known is not None and known.content_hash == mention.content_hash:
        return Judgement(verdict=Verdict.UNCHANGED, copy_of=known.copy_of, reason="same identity, same content")
    copy_of, why = None, "said by nobody before"
    for original in originals:
        likeness = _likeness(mention, original)
        target = original.copy_of or original.id  # a copy never points to a copy
        if likeness is not None and target != mention.id:  # nor to itself
            copy_of, why = target, likeness
            break
    if known is not None:
        return Judgement(verdict=Verdict.EDITED, copy_of=copy_of, reason=f"same identity, new content; {why}")
    return Judgement(verdict=Verdict.DUPLICATE if copy_of else Verdict.NEW, copy_of=copy_of, reason=why)


def judge(mentions: Sequence[Mention], *, known: Mapping[str, Known], originals: Iterable[Original]) -> list[Judgement]:
    """Judge a batch in order, each mention also against those before it: one judgement a mention.

    ``known`` is by mention id, ``originals`` oldest first. An identity that comes twice is judged the second time by
    what it was the first time, so the store writes in this order, too.
    """
    stored = dict(known)
    pool = _Pool()
    for original in originals:
        pool.put(original)
    judgements = []
    for mention in mentions:
        before = stored.get(mention.id)
        judgement = verdict(mention, known=before, originals=pool.candidates(mention))
        judgements.append(judgement)
        if judgement.verdict is Verdict.UNCHANGED:
            continue
        stored[mention.id] = Known(content_hash=mention.content_hash, copy_of=judgement.copy_of)
        pool.put(_original(mention, judgement.copy_of))
        if before is not None and judgement.copy_of is not None:
            pool.repoint(mention.id, judgement.copy_of)
            for each, state in stored.items():
                if state.copy_of == mention.id:
                    stored[each] = replace(state, copy_of=judgement.copy_of)
    return judgements


def _letters(key: str) -> int:
    """How many letters and digits a ``text_key`` stands for."""
    return int(key.partition(":")[0])


def is_somebody(author: str | None) -> TypeGuard[str]:
    """Whether the name is one person's: sites show many under "Guest"."""
    return author is not None and author.casefold() not in ANONYMOUS


def _likeness(mention: Mention, other: Original) -> str | None:
    """Why ``mention`` says what ``other`` says, or None when it has a voice of its own."""
    letters = _letters(mention.text_key)
    same_text = letters > 0 and mention.text_key == other.text_key
    same_source = mention.source == other.source
    if same_text and letters >= LONG_KEY:
        return "same text as an earlier mention"
    if same_text and same_source and mention.author == other.author and is_somebody(mention.author):
        return "same author said the same before"
    if same_source or not mention.canonical_url or mention.canonical_url != other.canonical_url:
        return None  # a review page has one address for all its reviews
    if same_text:
        return "same address and text through another source"
    if mention.title == other.title and len(mention.title) >= LONG_TITLE:
        contradict = mention.author is not None and other.author is not None and mention.author != other.author
        return None if contradict else "same address and headline through another source"
    return None


def _original(mention: Mention, copy_of: str | None) -> Original:
    return Original(
        id=mention.id,
        source=mention.source,
        author=mention.author,
        title=mention.title,
        canonical_url=mention.canonical_url,
        text_key=mention.text_key,
        copy_of=copy_of,
    )


def _traits(original: Original) -> Iterator[tuple[str, ...]]:
    """What a copy of it would share with it: one of these, by the kinds of ``_likeness``."""
    letters = _letters(original.text_key)
    if letters >= LONG_KEY:
        yield "text", original.text_key
    elif letters and is_somebody(original.author):
        yield "author", original.source, original.author, original.text_key
    if not original.canonical_url:  # no address is not the same address
        return
    if letters:
        yield "page", original.canonical_url, original.text_key
    if len(original.title) >= LONG_TITLE:
        yield "headline", original.canonical_url, original.title


class _Pool:
    """Originals by their traits, so that a batch of any size costs its length."""

    def __init__(self) -> None:
        self._by_id: dict[str, Original] = {}
        # traits, source, ids in order of coming: by source, since the first of each source is enough to look at
        self._sharing: dict[tuple[str, ...], dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))

    def put(self, original: Original) -> None:
        """Let later mentions be compared with it, as it is now."""
        old = self._by_id.get(original.id)
        if old is not None:
            for traits in _traits(old):
                del self._sharing[traits][old.source][old.id]
        self._by_id[original.id] = original
        for traits in _traits(original):
            self._sharing[traits][original.source][original.id] = None

    def repoint(self, old: str, new: str) -> None:
        """What was a copy of ``old``, which has become a copy itself, is now one of ``new``."""
        for each in [each for each in self._by_id.values() if each.copy_of == old]:
            self._by_id[each.id] = replace(each, copy_of=new)

    def candidates(self, mention: Mention) -> list[Original]:
        """What ``mention`` may be a copy of, never itself: the first of each source that shares a trait with it."""
        found = []
        for traits in _traits(_original(mention, None)):
            for ids in self._sharing.get(traits, {}).values():
                first = next((each for each in ids if each != mention.id), None)
                if first is not None:
                    found.append(self._by_id[first])
        return found
