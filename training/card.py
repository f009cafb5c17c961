"""The model card (Hugging Face form) and the NOTICE that ship with the weights.

python -m training.card --data DIR --model DIR --figures FILE     # FILE: what training.evaluate printed
"""

import argparse
import json
import shutil
import tomllib
from collections import Counter
from pathlib import Path

from training import datasets, export, readings
from training.vocabulary import LANGUAGES

SOURCES, CARD, NOTICE = (Path(__file__).with_name(name) for name in ("sources.toml", "card.md", "NOTICE"))

FURTHER = (
    "\nTraining went on from the int8 weights of an earlier round on a part of the same texts "
    '(`training/README.md`, "Going on").'
)


def table(folder: Path) -> str:
    """The public sets as rows of a table."""
    sources = tomllib.loads(SOURCES.read_text(encoding="utf-8"))
    counts = Counter(row.origin.split(".")[1] for row in datasets.learnt(folder))
    lines = []
    for name, count in sorted(counts.items()):
        said = sources[name]
        lines.append(f"| {name} | {said['what']} | {count} | {said['licence']} | {said['cite']} |")
    return "\n".join(lines) + "\n"


def card(folder: Path, rows: int, figures: str, *, further: bool = False) -> str:
    """The whole card; ``further``: training went on from a finished model."""
    ours = {part: len(datasets.own(part)) for part in ("train", "calibration", "val")}
    return CARD.read_text(encoding="utf-8").format(
        languages=", ".join(LANGUAGES),
        count=len(LANGUAGES),
        rows=f"{rows:,}",
        rounds=FURTHER if further else "",
        **{part: f"{count:,}" for part, count in ours.items()},
        window=export.WINDOW,
        readings=f"{len(readings.known()):,}",
        sets=table(folder),
        figures=figures.strip(),
    )


def main() -> None:
    """Write README.md and NOTICE, and seal the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--further", action="store_true", help="training went on from a finished model")
    arguments = parser.parse_args()
    lines = (arguments.model / export.TOKENIZER).read_text(encoding="utf-8")
    rows = len(json.loads(lines)["model"]["vocab"])
    text = card(arguments.data, rows, arguments.figures.read_text(encoding="utf-8"), further=arguments.further)
    (arguments.model / "README.md").write_text(text, encoding="utf-8")
    shutil.copyfile(NOTICE, arguments.model / "NOTICE")
    export.seal(arguments.model)


if __name__ == "__main__":
    main()
