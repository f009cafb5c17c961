"""The shipped engine beside transformers' ``pipeline()`` with the same weights: texts a CPU-second, memory, load.

    python -m benchmarks.engines [--texts 1000] [--rounds 3]

Every variant reads the same mentions (those of ``training/data/own``, a fixed sample) on one thread in a process of its
own, the variants in turn, round after round; printed is the median round. ``pipeline()`` gets our weights as floats in
a BertModel with our head, since a pipeline knows no int8; it reads one text at a time, or 32 padded together. The peak
of its memory includes torch and transformers, as anybody's does who scores that way.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.machine import machine

OWN = Path(__file__).parents[1] / "training" / "data" / "own"
VARIANTS = ("listener", "listener, one at a time", "pipeline(), one by one", "pipeline(), batch_size=32")
PAD = {"pad_token": "<pad>"}
WARM = 32  # texts read before the clock starts


def sample(count: int) -> list[str]:
    """``count`` of our own mentions, the same at every call."""
    texts = [
        json.loads(line)["text"]
        for file in sorted(OWN.glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    return random.Random(1).sample(texts, count)


def shipped() -> Callable[[list[str]], object]:
    """The engine as the daemon loads it."""
    from listener.sentiment.scorer import load_scorer  # noqa: PLC0415 -- each variant imports its own libraries only

    return load_scorer(None, device="cpu", threads=1).score


def pipeline(batch: int) -> Callable[[list[str]], object]:
    """A text-classification pipeline over the same weights."""
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415
    from transformers.modeling_outputs import SequenceClassifierOutput  # noqa: PLC0415

    from listener.sentiment.bundled import BUNDLED, read_bundled  # noqa: PLC0415
    from listener.sentiment.engine_bundled_torch import BundledTorchScorer  # noqa: PLC0415

    torch.set_num_threads(1)
    scorer = BundledTorchScorer(read_bundled(), device=torch.device("cpu"))
    encoder, heads = scorer.encoder, scorer.heads

    class Same(transformers.BertPreTrainedModel):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            encoder.config.num_labels = heads.out_features
            super().__init__(encoder.config)
            self.encoder, self.heads = encoder, heads

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: object
        ) -> SequenceClassifierOutput:
            last = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weight = attention_mask[..., None].float()
            return SequenceClassifierOutput(logits=self.heads((last * weight).sum(1) / weight.sum(1)))

    tokenizer = transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(BUNDLED / "tokenizer.json"), model_max_length=192, **PAD
    )
    reads = transformers.pipeline("text-classification", model=Same(), tokenizer=tokenizer, device="cpu", top_k=None)
    if batch == 1:
        return lambda texts: [reads(text, truncation=True) for text in texts]
    return lambda texts: reads(texts, batch_size=batch, truncation=True)


def measure(variant: str, count: int) -> dict[str, float]:
    """One variant in this process: texts a CPU-second, peak memory in MiB, CPU-seconds until it is ready."""
    texts = sample(count)
    started = time.process_time()
    reads = shipped() if variant.startswith("listener") else pipeline(32 if "32" in variant else 1)
    loaded = time.process_time() - started
    each = "one" in variant and variant.startswith("listener")
    reads(texts[:WARM])
    started = time.process_time()
    if each:
        for text in texts:
            reads([text])
    else:
        reads(texts)
    spent = time.process_time() - started
    peak = psutil.Process().memory_info().rss / 2**20
    peak = max(peak, _high_water())
    return {"speed": count / spent, "peak": peak, "load": loaded}


def _high_water() -> float:
    """The most memory that this process has ever held, MiB; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def main() -> None:
    """Compare, or be one of those compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        print(json.dumps(measure(arguments.variant, arguments.texts)))
        return
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(arguments.rounds):
        for variant, rounds in found.items():
            command = [
                sys.executable,
                "-m",
                "benchmarks.engines",
                "--variant",
                variant,
                "--texts",
                str(arguments.texts),
            ]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rounds.append(json.loads(printed.splitlines()[-1]))
    print(f"{arguments.texts} mentions, one thread, median of {arguments.rounds} rounds; {machine()}")
    ours = statistics.median(one["speed"] for one in found[VARIANTS[0]])
    for variant, rounds in found.items():
        speed, peak, load = (statistics.median(one[key] for one in rounds) for key in ("speed", "peak", "load"))
        print(
            f"{variant:28} {speed:7.1f} texts a CPU-second (listener is {ours / speed:.1f} times as fast), "
            f"{peak:5.0f} MiB at most, ready after {load:.1f} CPU-s"
        )


if __name__ == "__main__":
    main()
