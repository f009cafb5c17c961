"""What two readers said of public texts beyond what their set was labelled for, by the rules in ``data/GUIDELINES.md``.

``data/readings/LANG.jsonl`` has a line a text: ``text`` is the beginning of its SHA-256, since the texts themselves are
not ours to distribute, and ``passes`` holds the labels of two readers who did not see each other's. Only what both say
counts; where they differ nothing is known.

    python -m training.readings      # how many there are, and how far the two readers agree
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from training.heads import EMOTIONS, LOYALTY, OUTPUTS, PLACES, SENTIMENTS
from training.own import Labels, agreement, parse

FOLDER = Path(__file__).with_name("data") / "readings"
DIGITS = 16  # of the SHA-256 that name a text


def name_of(text: str) -> str:
    """The name of a text in the files."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def outputs(said: Labels) -> tuple[float, ...]:
    """One reader's labels as targets of all outputs (``heads.OUTPUTS``)."""
    values = {f"sentiment/{name}": float(name == said.sentiment) for name in SENTIMENTS}
    values |= {f"emotions/{name}": float(name in said.emotions) for name in EMOTIONS}
    values |= {f"loyalty/{name}": float(name in said.loyalty) for name in LOYALTY}
    values |= {"risk": float(said.experience), "wish": float(said.wish)}
    return tuple(values[name] for name in OUTPUTS)


def agreed(first: Labels, second: Labels) -> tuple[float, ...]:
    """The targets on which both agree, NaN for the others; a sentiment counts as one label."""
    pairs = zip(outputs(first), outputs(second), strict=True)
    found = [a if a == b else math.nan for a, b in pairs]
    if first.sentiment != second.sentiment:
        found[PLACES["sentiment"]] = [math.nan] * len(SENTIMENTS)
    return tuple(found)


def passes(folder: Path = FOLDER) -> Iterator[tuple[str, tuple[Labels, Labels]]]:
    """The name of each text and what the two readers said of it."""
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            first, second = map(parse, row["passes"])
            yield row["text"], (first, second)


@cache
def known(folder: Path = FOLDER) -> dict[str, tuple[float, ...]]:
    """The agreed targets of all texts that were read, by the text's name."""
    return {name: agreed(*pair) for name, pair in passes(folder)}


def main() -> None:
    """Print the counts and the agreement."""
    pairs = [pair for _, pair in passes()]
    told = {name: place for place, name in enumerate(OUTPUTS)}
    counts = Counter(file.stem for file in FOLDER.glob("*.jsonl") for _ in file.read_text().splitlines())
    print(", ".join(f"{language} {count:,}" for language, count in sorted(counts.items())) + f": {len(pairs):,}\n")
    print("| label | both say yes | two readers agree on % | kappa |")
    print("|---" * 4 + "|")
    for name, same, beyond in agreement(pairs):
        output = {"negative experience": "risk"}.get(name, name.replace("emotion: ", "emotions/").replace(": ", "/"))
        yes = sum(one[told[output]] == 1 for one in known().values()) if output in told else ""
        print(f"| {name} | {yes} | {same:.1f} | {beyond:.2f} |")


if __name__ == "__main__":
    main()
