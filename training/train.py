"""Train the network: twice on the public sets, then on our own mentions with a share of the public ones.

On processors two processes share every step, one thread each, in bfloat16 where the processor has it; a GPU takes the
whole batch. The word embeddings stay as they are. Every ``SAVE_EVERY`` steps all that is needed to go on is written, so
the same command resumes; the seed fixes the order of the rows, the heads and the dropout.

    python -m training.train --data DIR --out RUN [--seed 1]
    python -m training.train --data DIR --out RUN --start MODEL            # goes on from a finished model or run
    python -m training.train --data DIR --out RUN --start RUN --stages own # with this stage alone
    python -m training.train --data DIR --out RUN --start RUN --tiers BC   # the ceiling: also sets that forbid shipping
"""

import argparse
import hashlib
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from tokenizers import Tokenizer
from torch import nn
from torch.multiprocessing.spawn import spawn

from listener.sentiment.bundled import read_bundled
from listener.sentiment.engine_bundled_torch import BundledTorchScorer
from listener.sentiment.prepare import prepared
from training import base, datasets, network, vocabulary
from training.datasets import Row
from training.network import Network, padded
from training.sloppy import sloppy

MAX_TOKENS = 128
BATCH = 64  # rows a step, over all processes
HEAD_RATE = 10.0  # times the encoder's: it starts from nothing
WARM_UP = 0.06
AVERAGE = 0.99  # of the weights, over the last steps: what is saved is their exponential mean
SAVE_EVERY = 100
PROCESSES = 2
REPORT_EVERY = 20
AIMED = ("sentiment.umsab", "complaint.preotiuc")  # the sets for which the ceiling is asked, taken whole
BESIDE = 7_000  # rows in the ceiling's stage of the other sets that forbid shipping, of our own, and of tier A each
OWN_EPOCHS = 3
PUBLIC_SHARE = 1.2  # public rows beside each of ours in the last stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the training: its rows in the order they are learnt from, and the highest learning rate."""

    name: str
    rows: tuple[Row, ...]
    rate: float
    floor: float  # the last rate, as a share of the highest


def stage_public(folder: Path, seed: int) -> Stage:
    """The public sets, for the first time."""
    return Stage(name="public", rows=tuple(read_through(folder, seed, 0)), rate=1.5e-4, floor=0.3)


def stage_again(folder: Path, seed: int) -> Stage:
    """The public sets once more, in another order; of the big ones other rows, by the seed."""
    turn = 1 + (seed - 1) % (datasets.TURNS - 1)
    return Stage(name="again", rows=tuple(read_through(folder, seed + 1, turn)), rate=1.2e-4, floor=0.3)


def stage_own(folder: Path, seed: int) -> Stage:
    """Our own mentions, with public ones beside them."""
    return Stage(name="own", rows=tuple(with_ours(folder, seed)), rate=1.0e-4, floor=0.0)


STAGES: Mapping[str, Callable[[Path, int], Stage]] = {"public": stage_public, "again": stage_again, "own": stage_own}


def read_through(folder: Path, seed: int, turn: int) -> list[Row]:
    """The public rows once, in an order of their own; of a big set other rows each ``turn``.

    The Estonian valence corpus, small and long, comes twice.
    """
    public = datasets.public(folder, "train", turn=turn)
    valence = [row for row in public if row.origin == datasets.VALENCE]
    return shuffled(public + valence, random.Random(seed))


def with_ours(folder: Path, seed: int) -> list[Row]:
    """Our own mentions several times, each time with public rows beside them, so that nothing is unlearnt.

    Public texts that our readers read, the Estonian valence corpus among them, come along each time, the others as they
    are drawn. From the second time on some of our mentions are typed more carelessly.
    """
    ours, draw = datasets.own("train"), random.Random(seed)
    public = datasets.learnt(folder)
    read = [row for row in public if datasets.was_read(row)]
    others = [row for row in public if not datasets.was_read(row)]
    mixed: list[Row] = []
    for turn in range(OWN_EPOCHS):
        beside = draw.sample(others, min(len(others), round(PUBLIC_SHARE * len(ours))))
        typed = [replace(row, text=sloppy(row.text, row.language, draw)) for row in ours] if turn else ours
        mixed += shuffled(typed + read + beside, draw)
    return mixed


def ceiling(folder: Path, tiers: str, seed: int) -> list[Stage]:
    """One stage after the shipped ones: sets of other ``tiers``, and samples of our own and of tier A beside them."""
    draw = random.Random(seed)
    further = datasets.public(folder, "train", tiers)
    rows = [row for row in further if row.origin.startswith(AIMED)]
    for others in (
        [row for row in further if not row.origin.startswith(AIMED)],
        datasets.own("train"),
        datasets.public(folder, "train"),
    ):
        rows += draw.sample(others, min(len(others), BESIDE))
    return [Stage(name="ceiling", rows=tuple(shuffled(rows, draw)), rate=1.0e-4, floor=0.0)]


def named(plan: Sequence[Stage], seed: int) -> str:
    """A name for what is to be learnt, in which order: rows, their labels, rates and seed."""
    said = hashlib.sha256(repr(seed).encode())
    for stage in plan:
        said.update(repr((stage.name, stage.rate, stage.floor)).encode())
        for row in stage.rows:
            said.update(repr((row.text, row.targets, row.weight)).encode("utf-8", "surrogatepass"))
    return said.hexdigest()


def shuffled(rows: Sequence[Row], draw: random.Random) -> list[Row]:
    """The rows in another order."""
    return draw.sample(list(rows), len(rows))


def batches(lengths: Sequence[int], draw: random.Random) -> list[list[int]]:
    """Places of rows in batches of like length: sorted within stretches of 50 batches, which keep their order."""
    found = []
    for start in range(0, len(lengths), 50 * BATCH):
        order = sorted(range(start, min(start + 50 * BATCH, len(lengths))), key=lambda place: lengths[place])
        groups = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
        draw.shuffle(groups)
        found += groups
    return found


def rate_at(step: int, steps: int, stage: Stage) -> float:
    """The learning rate: a linear rise over the first steps, then a linear fall to the floor."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return stage.rate * (step + 1) / warm
    left = (steps - step) / max(1, steps - warm)
    return stage.rate * (stage.floor + (1 - stage.floor) * left)


@dataclass(slots=True)
class Learner:
    """One process's copy of the network and what trains it."""

    net: Network
    mean: dict[str, torch.Tensor]
    optimizer: torch.optim.AdamW
    device: torch.device
    bf16: bool
    plan: str

    @classmethod
    def made(cls, net: Network, device: torch.device, plan: str = "") -> "Learner":
        """A learner of ``net``; ``plan`` names what it is to learn (``named``)."""
        net.to(device)
        body = [weight for weight in net.encoder.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(
            [{"params": body, "scale": 1.0}, {"params": list(net.heads.parameters()), "scale": HEAD_RATE}],
            weight_decay=0.01,
            fused=True,
        )
        mean = {name: weight.detach().clone() for name, weight in net.named_parameters() if weight.requires_grad}
        bf16 = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001
        return cls(net, mean, optimizer, device, bf16, plan)

    @property
    def weights(self) -> list[nn.Parameter]:
        """All that learns."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]

    def step(self, ids: Sequence[Sequence[int]], rows: Sequence[Row], rate: float, shares: int) -> float:
        """Learn from this process's part of a batch; the loss."""
        tokens, mask = padded(ids)
        truth = torch.tensor([row.targets for row in rows])
        weight = torch.tensor([row.weight for row in rows])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            logits = self.net(tokens.to(self.device), mask.to(self.device))
        loss = network.loss_of(logits, truth.to(self.device), weight.to(self.device))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if shares > 1:
            flat = torch.cat([part.grad.flatten() for part in self.weights if part.grad is not None])
            dist.all_reduce(flat)
            flat /= shares
            at = 0
            for part in self.weights:
                if part.grad is not None:
                    part.grad.copy_(flat[at : at + part.numel()].view_as(part))
                    at += part.numel()
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.step()
        return loss.item()

    def average(self) -> None:
        """Draw the mean of the weights on."""
        with torch.no_grad():
            for name, weight in self.net.named_parameters():
                if weight.requires_grad:
                    self.mean[name].lerp_(weight, 1 - AVERAGE)

    def state(self) -> dict[str, Any]:
        """What resuming needs."""
        learnt = {name: weight.detach() for name, weight in self.net.named_parameters() if weight.requires_grad}
        return {"plan": self.plan, "weights": learnt, "mean": self.mean, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` gave."""
        self.net.load_state_dict(state["weights"], strict=False)
        self.mean = {name: value.to(self.device) for name, value in state["mean"].items()}
        self.optimizer.load_state_dict(state["optimizer"])


@dataclass(slots=True)
class Progress:
    """What is printed on the way: loss and speed since the last line."""

    rank: int
    started: float = field(default_factory=time.monotonic)
    tokens: int = 0
    loss: float = 0.0
    steps: int = 0

    def add(self, loss: float, tokens: int, said: str) -> None:
        """Count one step; every twentieth prints."""
        self.loss, self.tokens, self.steps = self.loss + loss, self.tokens + tokens, self.steps + 1
        if self.steps < REPORT_EVERY:
            return
        if self.rank == 0:
            speed = self.tokens / (time.monotonic() - self.started)
            print(f"{said} loss {self.loss / self.steps:.3f} {speed:.0f} tokens/s", flush=True)
        self.started, self.tokens, self.loss, self.steps = time.monotonic(), 0, 0.0, 0


def work(
    rank: int, shares: int, folder: Path, out: Path, start: Path | None, tiers: str, wanted: Sequence[str], seed: int
) -> None:
    """One process: all wanted stages, its part of every batch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if shares > 1:
        # torch sends it to workers whose parent has died; a shell's background jobs are born deaf to it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method=f"file://{out.absolute()}/meeting", rank=rank, world_size=shares)
    torch.manual_seed(seed)
    net, tokenizer = begun(start) if start else untrained(folder, out)
    plan = ceiling(folder, tiers, seed) if tiers else [STAGES[name](folder, seed) for name in wanted]
    learner = Learner.made(net.train(), device, named(plan, seed))
    checkpoint = out / "checkpoint.pt"
    done = resumed(learner, checkpoint)
    torch.manual_seed(seed + 1000 * rank + done)
    at = 0
    for number, stage in enumerate(plan):
        groups = batches([len(ids) for ids in encoded(tokenizer, stage.rows)], random.Random(seed + number))
        if at + len(groups) > done:
            learn(learner, stage, tokenizer, groups, skip=max(0, done - at), at=at, rank=rank, shares=shares, out=out)
        at += len(groups)
        if rank == 0 and at > done:
            keep(checkpoint, {"step": at, "learner": learner.state()})
    if rank == 0:
        net.load_state_dict(learner.mean, strict=False)
        network.save(net.cpu(), tokenizer, out)
        print(f"trained: {out}", flush=True)
    if shares > 1:
        dist.destroy_process_group()


def learn(
    learner: Learner,
    stage: Stage,
    tokenizer: Tokenizer,
    groups: Sequence[Sequence[int]],
    *,
    skip: int,
    at: int,
    rank: int,
    shares: int,
    out: Path,
) -> None:
    """One stage, from its batch ``skip`` on; ``at`` steps came before it."""
    ids = encoded(tokenizer, stage.rows)
    progress = Progress(rank)
    for step in range(skip, len(groups)):
        group = groups[step]
        part = group[rank::shares] or group[:1]
        rate = rate_at(step, len(groups), stage)
        loss = learner.step([ids[place] for place in part], [stage.rows[place] for place in part], rate, shares)
        learner.average()
        progress.add(loss, sum(len(ids[place]) for place in group), f"{stage.name} {step + 1}/{len(groups)}")
        if rank == 0 and (at + step + 1) % SAVE_EVERY == 0:
            keep(out / "checkpoint.pt", {"step": at + step + 1, "learner": learner.state()})


def resumed(learner: Learner, checkpoint: Path) -> int:
    """Take up an earlier run where there is one; how many steps it had done.

    Raises SystemExit when it was another: its steps would not be these.
    """
    if not checkpoint.is_file():
        return 0
    saved = torch.load(checkpoint, weights_only=True, map_location=learner.device)
    if saved["learner"]["plan"] != learner.plan:
        raise SystemExit(f"{checkpoint} is of other rows or of another seed: remove {checkpoint.parent} to begin anew")
    learner.restore(saved["learner"])
    return int(saved["step"])


def encoded(tokenizer: Tokenizer, rows: Sequence[Row]) -> list[list[int]]:
    """Token ids, cut to what training reads of a text."""
    tokenizer.enable_truncation(MAX_TOKENS)
    found = [encoding.ids for encoding in tokenizer.encode_batch([prepared(row.text) for row in rows])]
    tokenizer.no_truncation()
    return found


def untrained(folder: Path, out: Path) -> tuple[Network, Tokenizer]:
    """The network before training; its vocabulary is chosen once and kept in ``out``."""
    file = out / "vocabulary.txt"
    if not file.is_file():
        texts = [row.text for row in datasets.public(folder, "train")]
        keep_text(file, "\n".join(map(str, sorted(vocabulary.choose(base.full_tokenizer(), texts)))))
    return network.fresh({int(line) for line in file.read_text().split()})


def begun(folder: Path) -> tuple[Network, Tokenizer]:
    """The network to go on from: that of a finished run, or of a model directory, whose int8 weights become floats."""
    if (folder / network.WEIGHTS).is_file():
        return network.load(folder)
    shipped = BundledTorchScorer(read_bundled(folder), device=torch.device("cpu"))
    net = Network(shipped.encoder)
    net.heads.load_state_dict(shipped.heads.state_dict())
    return net, Tokenizer.from_file(str(folder / network.TOKENIZER))


def keep(file: Path, content: Any) -> None:
    """Write a checkpoint so that a kill leaves the old or the new one."""
    torch.save(content, file.with_suffix(".part"))
    file.with_suffix(".part").replace(file)


def keep_text(file: Path, content: str) -> None:
    """The same for text."""
    file.with_suffix(".part").write_text(content)
    file.with_suffix(".part").replace(file)


def main() -> None:
    """Train, or go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="a finished run, or a model directory, to go on from")
    parser.add_argument("--tiers", default="", help="learn from sets of these tiers (BC): never to ship")
    parser.add_argument(
        "--stages", nargs="+", choices=STAGES, help="which stages (default: all, after a start all but the first)"
    )
    arguments = parser.parse_args()
    if arguments.tiers and arguments.stages:
        parser.error("--tiers is a stage of its own: leave --stages out")
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    if (out / network.WEIGHTS).is_file():
        print(f"{out} is trained")
        return
    if not arguments.start:
        untrained(arguments.data, out)
    (out / "meeting").unlink(missing_ok=True)
    shares = 1 if torch.cuda.is_available() else min(PROCESSES, os.cpu_count() or 1)
    wanted = arguments.stages or tuple(STAGES)[1 if arguments.start else 0 :]
    work_arguments = (shares, arguments.data, out, arguments.start, arguments.tiers, wanted, arguments.seed)
    if shares == 1:
        work(0, *work_arguments)
    else:
        os.environ["OMP_NUM_THREADS"] = "1"
        spawn(work, work_arguments, nprocs=shares)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
