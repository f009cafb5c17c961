"""Make the model from beginning to end: verify the base, train, export, calibrate, measure, write the card, install.

Each step writes into the working folder, and a step whose result is there is not done again: after a kill the same
command goes on. Hours on two processor cores, minutes on a GPU.

    python -m training.make --data DIR --work DIR [--seed 1] [--start MODEL] [--install listener/sentiment/model]
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from training import card, export, frozen, network


def run(module: str, *arguments: str | Path, into: Path | None = None) -> None:
    """One step in a process of its own; what it prints goes ``into`` a file, too."""
    command = [sys.executable, "-m", f"training.{module}", *map(str, arguments)]
    print("+", " ".join(command[1:]), flush=True)
    if into is None:
        subprocess.run(command, check=True)  # noqa: S603 -- our own modules
        return
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603
    print(printed, flush=True)
    into.write_text(printed, encoding="utf-8")


def make(data: Path, work: Path, seed: int, start: Path | None = None) -> Path:
    """The finished folder; training begins at ``start`` where one is given, a model or a run, else at the base."""
    trained = work / (f"further-{seed}" if start else f"seed-{seed}")
    model, draft, figures = trained / "model", trained / "uncalibrated", trained / "figures.md"
    if not (trained / network.WEIGHTS).is_file():
        run("base")
        run("train", "--data", data, "--out", trained, "--seed", str(seed), *(("--start", start) if start else ()))
    if not model.is_dir():
        run("export", "--run", trained, "--out", draft)
        run("calibrate", "--model", draft, "--data", data)
        draft.rename(model)  # a kill before leaves no model that looks finished
    if not (trained / frozen.FILE).is_file():
        run("frozen", "--data", data, "--run", trained)
    if not figures.is_file():
        inputs = ("--data", data, "--model", model, "--frozen", trained / frozen.FILE, "--exact", trained)
        run("evaluate", *inputs, into=figures)
    if not (model / card.NOTICE.name).is_file():
        further = ("--further",) if start else ()
        run("card", "--data", data, "--model", model, "--figures", figures, *further)
    return model


def main() -> None:
    """Make, and install where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(".cache/model"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="a model directory to go on from, instead of the base")
    parser.add_argument("--install", type=Path)
    arguments = parser.parse_args()
    model = make(arguments.data, arguments.work, arguments.seed, arguments.start)
    if arguments.install:
        arguments.install.mkdir(parents=True, exist_ok=True)
        for name in (*export.SUMMED, export.SUMS):
            shutil.copyfile(model / name, arguments.install / name)
    print(model)


if __name__ == "__main__":
    main()
