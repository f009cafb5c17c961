"""Mentions matched per second by 1, 10, 100 and 1000 brands: the cost of a mention must hardly grow with them.

    python benchmarks/matching.py [--data DIR] [--mentions 5000]

DIR holds ``*.jsonl.gz`` files with a ``text`` a line; without it, the texts are made of random words.
"""

import argparse
import gzip
import json
import random
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from listener.domain import Mention
from listener.matching import Matcher, compile_brand

BRANDS = (1, 10, 100, 1000)
ROUNDS = 3
SYLLABLES = "ka li bo ru te sa mi to ne va lu pe si ma ko ri da el on ar ist und".split(" ")  # noqa: SIM905 -- readable
LETTERS = "eeeaaaiiioouutttnnnsssrrllkkmmddpgvbhjäõüöy"  # about as often as in Estonian
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def word(rng: random.Random) -> str:
    """Something that sounds like a name."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 4)))


def texts(data: Path | None, count: int, rng: random.Random) -> list[str]:
    """Real texts if there are some, else thirty made-up words each."""
    if data is None:
        return [" ".join("".join(rng.choices(LETTERS, k=rng.randint(2, 9))) for _ in range(30)) for _ in range(count)]
    found: list[str] = []
    for path in sorted(data.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found.extend(json.loads(line)["text"] for line in lines)
    return rng.sample(found, min(count, len(found)))


def mention(at: int, text: str) -> Mention:
    """A mention as the store has it."""
    return Mention(
        source="benchmark",
        external_id=str(at),
        url="https://example.org/",
        canonical_url="https://example.org/",
        title="",
        text=text,
        author=None,
        lang=None,
        published_at=None,
        seen_at=NOW,
        rating=None,
        reach=None,
        content_hash="",
        text_key="",
    )


def main() -> None:
    """Print one line a number of brands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--mentions", type=int, default=5000)
    options = parser.parse_args()
    rng = random.Random(1)
    mentions = [mention(at, text) for at, text in enumerate(texts(options.data, options.mentions, rng))]
    length = statistics.mean(len(each.text) for each in mentions)
    print(f"{len(mentions)} mentions of {length:.0f} characters on average; best of {ROUNDS} rounds")
    print(f"{'brands':>8}{'mentions/s':>12}{'µs/mention':>12}{'compile s':>11}{'MiB':>7}{'matched':>9}")
    for count in BRANDS:
        process = psutil.Process()
        before, begun = process.memory_info().rss, time.perf_counter()
        matcher = Matcher(
            compile_brand(
                f"brand {at}",
                names=[word(rng).title(), f"{word(rng).title()} {word(rng).title()}"],
                exclusions=[word(rng)],
                query=f"NOT {word(rng)} ({word(rng)} OR lang:et OR site:example.org)",
            )
            for at in range(count)
        )
        compiled = time.perf_counter() - begun
        memory = (process.memory_info().rss - before) / 2**20
        best, matched = float("inf"), 0
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            matched = sum(bool(matcher.brands_of(each)) for each in mentions)
            best = min(best, time.perf_counter() - begun)
        rate = len(mentions) / best
        print(f"{count:8}{rate:12.0f}{1e6 / rate:12.1f}{compiled:11.2f}{memory:7.1f}{matched:9}")


if __name__ == "__main__":
    main()
