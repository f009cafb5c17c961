"""Our own mentions, written and labelled by the rules in ``data/GUIDELINES.md``: reading and checking them.

Each language and author has a file ``data/own/LANG-AUTHOR.jsonl``. A row holds the text, its industry and kind, the
settled labels, and in ``passes`` what the author and the blind second reader had said.

    python -m training.own                      # counts, agreement of the two passes, what is nearly the same
    python -m training.own held-out > FILE      # the mentions of the author held out, as `listener eval` reads them
"""

import json
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HELD_OUT = "q"  # the author whose mentions measure the model
CALIBRATION = "hmpv"  # the authors whose mentions calibrate it; none of these is learnt from
USUAL = "abc"  # the authors who came near to the shares of labels in the guidelines
FOLDER = Path(__file__).with_name("data") / "own"
WORD = re.compile(r"\w+")
SENTIMENT_CODES = {"n": "negative", "0": "neutral", "p": "positive"}
EMOTION_CODES = {
    "a": "anger",
    "i": "anticipation",
    "d": "disgust",
    "f": "fear",
    "j": "joy",
    "s": "sadness",
    "u": "surprise",
    "t": "trust",
}
LOYALTY_CODES = {"b": "repurchase", "r": "recommend", "s": "switch", "w": "warn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What one reader says of a mention."""

    sentiment: str
    experience: bool
    emotions: frozenset[str]
    loyalty: frozenset[str]
    wish: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A text with its settled labels and those of the two passes."""

    text: str
    language: str
    author: str
    industry: str
    kind: str
    settled: Labels
    passes: tuple[Labels, Labels]


def parse(code: str) -> Labels:
    """Labels from the guidelines' code ``sentiment|experience|emotions|loyalty|wish``."""
    side, experience, feelings, signals, wish = code.split("|")
    return Labels(
        sentiment=SENTIMENT_CODES[side],
        experience=experience == "1",
        emotions=frozenset(EMOTION_CODES[char] for char in feelings.strip("-")),
        loyalty=frozenset(LOYALTY_CODES[char] for char in signals.strip("-")),
        wish=wish == "1",
    )


def mentions(folder: Path = FOLDER) -> Iterator[Mention]:
    """All mentions, file by file."""
    for file in sorted(folder.glob("*.jsonl")):
        language, author = file.stem.split("-")
        for line in file.read_text(encoding="utf-8").rstrip("\n").split("\n"):
            row = json.loads(line)
            yield Mention(
                text=row["text"],
                language=language,
                author=author,
                industry=row["industry"],
                kind=row["kind"],
                settled=parse(row["labels"]),
                passes=(parse(row["passes"][0]), parse(row["passes"][1])),
            )


def similar(texts: Sequence[str], limit: float = 0.5) -> list[tuple[int, int]]:
    """Pairs of texts that share more than ``limit`` of their runs of five letters (Jaccard).

    Two such texts have one of their rarest runs in common, so that only few pairs need comparing (prefix filtering,
    Bayardo, Ma and Srikant 2007, Scaling Up All Pairs Similarity Search).
    """
    runs = [_runs(text) for text in texts]
    counts = Counter(run for mine in runs for run in mine)
    holders: defaultdict[str, list[int]] = defaultdict(list)
    found = []
    # From the shortest: what comes later is as long or longer, so that fewer of its runs need to be held.
    for place in sorted(range(len(runs)), key=lambda one: len(runs[one])):
        mine = runs[place]
        rarest = sorted(mine, key=lambda run: (counts[run], run))
        asked = rarest[: len(mine) - math.ceil(limit * len(mine)) + 1]
        near = {other for run in asked for other in holders[run]}
        found += [(other, place) for other in near if _jaccard_exceeds(limit, mine, runs[other])]
        for run in rarest[: len(mine) - math.ceil(2 * limit / (1 + limit) * len(mine)) + 1]:
            holders[run].append(place)
    return sorted((min(pair), max(pair)) for pair in found)


def _jaccard_exceeds(limit: float, first: set[str], second: set[str]) -> bool:
    shorter, longer = sorted((len(first), len(second)))
    if shorter <= limit * longer:  # not even if it holds all of the other
        return False
    common = len(first & second)
    return common > limit * (shorter + longer - common)


def frames(texts: Sequence[str], words: int = 6) -> dict[str, int]:
    """Runs of ``words`` words that stand in more than two texts, and in how many."""
    counts: Counter[str] = Counter()
    for text in texts:
        found = WORD.findall(text.casefold())
        counts.update({" ".join(found[start : start + words]) for start in range(len(found) - words + 1)})
    return {run: count for run, count in counts.items() if count > 2}


def _runs(text: str) -> set[str]:
    letters = "".join(WORD.findall(text.casefold()))
    return {letters[start : start + 5] for start in range(max(1, len(letters) - 4))}


def kappa(first: Sequence[object], second: Sequence[object]) -> float:
    """Cohen's kappa (1960): agreement beyond chance, 1 at best; NaN where both always say the same one thing."""
    total = len(first)
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / total
    one, two = Counter(first), Counter(second)
    chance = sum(one[label] * two[label] for label in one) / total**2
    return (agreed - chance) / (1 - chance) if chance < 1 else math.nan


def views(labels: Labels) -> dict[str, object]:
    """Each label by itself, under a name."""
    return {
        "sentiment": labels.sentiment,
        "negative experience": labels.experience,
        "wish": labels.wish,
        **{f"loyalty: {name}": name in labels.loyalty for name in LOYALTY_CODES.values()},
        **{f"emotion: {name}": name in labels.emotions for name in EMOTION_CODES.values()},
    }


def agreement(passes: Sequence[tuple[Labels, Labels]]) -> Iterator[tuple[str, float, float]]:
    """For each label by itself: its name, on how many per cent of the texts two readers agree, and kappa."""
    said = [[views(one) for one in side] for side in zip(*passes, strict=True)]
    for name in said[0][0]:
        first, second = ([one[name] for one in side] for side in said)
        same = 100 * sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
        yield name, same, kappa(first, second)


def document(mention: Mention) -> dict[str, object]:
    """A mention with its settled labels as ``listener eval`` reads them."""
    said = mention.settled
    return {
        "text": mention.text,
        "language": mention.language,
        "sentiment": said.sentiment,
        "experience": int(said.experience),
        "emotions": sorted(said.emotions),
        "loyalty": sorted(said.loyalty),
        "wish": int(said.wish),
    }


def main() -> None:
    """Print what there is and how far two readers agree, or the mentions held out."""
    found = list(mentions())
    if sys.argv[1:] == ["held-out"]:
        for mention in found:
            if mention.author == HELD_OUT:
                print(json.dumps(document(mention), ensure_ascii=False))
        return
    home = ("et", "en", "ru")
    print(
        "| language | mentions | calibrate | measure | words, median | negative / neutral / positive % "
        "| experience % | wish % |"
    )
    print("|---" * 8 + "|")
    for language in sorted({mention.language for mention in found}, key=lambda one: (one not in home, one)):
        mine = [mention for mention in found if mention.language == language]
        held = " | ".join(str(sum(mention.author in some for mention in mine)) for some in (CALIBRATION, HELD_OUT))
        sides = Counter(mention.settled.sentiment for mention in mine)
        shares = " / ".join(f"{100 * sides[name] / len(mine):.0f}" for name in SENTIMENT_CODES.values())
        words = sorted(len(WORD.findall(mention.text)) for mention in mine)[len(mine) // 2]
        told = 100 * sum(mention.settled.experience for mention in mine) / len(mine)
        wishes = 100 * sum(mention.settled.wish for mention in mine) / len(mine)
        print(f"| {language} | {len(mine)} | {held} | {words} | {shares} | {told:.0f} | {wishes:.0f} |")
    texts = [mention.text for mention in found]
    kinds, industries = (len({getattr(mention, name) for mention in found}) for name in ("kind", "industry"))
    print(
        f"\n{len(found)} mentions, {industries} industries, {kinds} kinds; {len(similar(texts))} pairs nearly the same,"
    )
    print(f"{len(frames(texts))} runs of six words in more than two texts\n")
    print("| label | true of % | two readers agree on % | kappa | author's label stood % |")
    print("|---" * 5 + "|")
    settled = [views(mention.settled) for mention in found]
    authors = [views(mention.passes[0]) for mention in found]
    for name, same, beyond in agreement([mention.passes for mention in found]):
        stood = 100 * sum(a[name] == b[name] for a, b in zip(authors, settled, strict=True)) / len(found)
        share = "" if name == "sentiment" else f"{100 * sum(bool(one[name]) for one in settled) / len(found):.1f}"
        print(f"| {name} | {share} | {same:.1f} | {beyond:.2f} | {stood:.1f} |")


if __name__ == "__main__":
    main()
