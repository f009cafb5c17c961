"""Compare language identifiers on customer texts: accuracy whole and cut short, time, memory, load.

    python benchmarks/language.py --data DIR [--rows 300]

DIR holds ``*.jsonl.gz`` files whose lines have ``text``, ``lang`` and ``split``; the ``val`` rows are read. Every
engine runs in a process of its own, so that memory and load time are its own; one that is not installed is left out.
Machine-translated sets (``-mt`` in the name) are left out: their language is not what people write.
"""

import argparse
import gzip
import importlib
import importlib.util
import json
import multiprocessing
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from listener.sentiment import language

CUTS = {"whole": language.SAMPLE_CHARS, "40 chars": 40, "20 chars": 20}
ENGINES = {"py3langid": "py3langid", "lingua": "lingua", "lingua, low accuracy": "lingua"}
Engine = Callable[[str], tuple[str | None, float]]
Samples = dict[str, list[str]]


@dataclass
class Figures:
    """What one engine did."""

    load_secs: float
    rss_mib: float
    micros: dict[str, float] = field(default_factory=dict)
    right: dict[str, dict[str, float]] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)
    right_of_answered: dict[str, float] = field(default_factory=dict)
    confused: dict[str, Counter[str]] = field(default_factory=dict)


def samples(data: Path, rows: int) -> Samples:
    """Up to ``rows`` texts a language, the same ones on every run."""
    found: Samples = defaultdict(list)
    for path in sorted(data.glob("*.jsonl.gz")):
        if "-mt." in path.name:
            continue
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if row.get("split") == "val" and row.get("lang"):
                    found[row["lang"]].append(" ".join(language._NO_LANGUAGE.sub(" ", row["text"]).split()))  # noqa: SLF001
    for texts in found.values():
        random.Random(1).shuffle(texts)
    return {lang: texts[:rows] for lang, texts in sorted(found.items())}


def load(engine: str) -> Engine:
    """The engine as a function from a text to a language and a confidence."""
    if engine == "py3langid":
        identifier = language._identifier()  # noqa: SLF001 -- the very object that the daemon uses
        return identifier.classify
    lingua = importlib.import_module("lingua")  # no dependency of ours: here for comparison
    codes = ["nb" if lang == "no" else lang for lang in language.LANGUAGES.split()]
    builder = lingua.LanguageDetectorBuilder.from_iso_codes_639_1(
        *(getattr(lingua.IsoCode639_1, code.upper()) for code in codes)
    )
    detector = (builder.with_low_accuracy_mode() if "low" in engine else builder).build()

    def classify(text: str) -> tuple[str | None, float]:
        best = detector.compute_language_confidence_values(text)[0]
        return best.language.iso_code_639_1.name.lower(), best.value

    return classify


def measure(engine: str, texts: Samples) -> Figures:
    """Run one engine over all cuts of all texts; only texts long enough for ``guess`` count."""
    process = psutil.Process()
    before, begun = process.memory_info().rss, time.perf_counter()
    classify = load(engine)
    classify("Tere, kuidas läheb")  # whatever is lazy, loads here
    figures = Figures(load_secs=time.perf_counter() - begun, rss_mib=0.0)
    for cut, chars in CUTS.items():
        right: dict[str, float] = {}
        elapsed, count, sure, sure_right = 0.0, 0, 0, 0
        figures.confused[cut] = Counter()
        for lang, whole in texts.items():
            some = [text[:chars] for text in whole]
            some = [text for text in some if sum(map(str.isalpha, text)) >= language.MIN_LETTERS]
            if not some:
                continue
            started = time.perf_counter()
            answers = [classify(text) for text in some]
            elapsed += time.perf_counter() - started
            count += len(some)
            right[lang] = sum(found == lang for found, _ in answers) / len(some)
            certain = [found for found, confidence in answers if confidence >= language.MIN_CONFIDENCE]
            sure += len(certain)
            sure_right += sum(found == lang for found in certain)
            figures.confused[cut].update(f"{lang} taken for {found}" for found, _ in answers if found != lang)
        figures.right[cut] = right
        figures.micros[cut] = 1e6 * elapsed / count
        figures.answered[cut] = sure / count
        figures.right_of_answered[cut] = sure_right / max(1, sure)
    figures.rss_mib = (process.memory_info().rss - before) / 2**20
    return figures


def show(engine: str, figures: Figures) -> None:
    """Print one engine's table."""
    print(f"\n{engine}: loaded in {figures.load_secs:.2f} s, {figures.rss_mib:.0f} MiB")
    langs = list(next(iter(figures.right.values())))
    print(f"{'':10}{'µs/text':>8}{'mean':>7}" + "".join(f"{lang:>6}" for lang in langs) + "   sure  of these right")
    for cut, right in figures.right.items():
        mean = sum(right.values()) / len(right)
        cells = "".join(f"{100 * share:6.1f}" for share in right.values())
        sure = f"{100 * figures.answered[cut]:7.1f}{100 * figures.right_of_answered[cut]:10.1f}"
        print(f"{cut:10}{figures.micros[cut]:8.0f}{100 * mean:7.1f}{cells}{sure}")
    for cut, confused in figures.confused.items():
        finnic = {key: confused[key] for key in ("et taken for fi", "fi taken for et")}
        print(f"{cut}: {finnic}; most often {dict(confused.most_common(4))}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=300)
    options = parser.parse_args()
    texts = samples(options.data, options.rows)
    if not texts:
        sys.exit(f"no val rows in {options.data}/*.jsonl.gz")
    counts = ", ".join(f"{lang} {len(some)}" for lang, some in texts.items())
    print(f"share right in %, always answering; 'sure': confidence >= {language.MIN_CONFIDENCE}; texts: {counts}")
    for engine, module in ENGINES.items():
        if importlib.util.find_spec(module) is None:
            print(f"\n{engine}: not installed")
            continue
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            show(engine, pool.apply(measure, (engine, texts)))


if __name__ == "__main__":
    main()
