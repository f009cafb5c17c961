"""Whether any alert is lost or told twice while broker and daemon are killed, frozen and refused, again and again.

``python -m benchmarks.chaos [--rounds N] [--seed N]`` runs the real daemon with a real Mosquitto whose subscriber has a
durable session, and inflicts eight faults a round in an order and at moments of chance: three kills (SIGKILL) of the
broker, three of the daemon, one frozen broker (SIGSTOP), one that refuses alerts for a while (its access list). Heavy
complaints about one brand after the other come in meanwhile; each is an alert, and ends after a minute. The exit code
is 1 when anything was lost, told twice to who drops repeats, or given up.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.machine import machine
from tests.promises.chaos import BRANDS, EVERY_SECS, FAULTS, Found, grave_model, unleash

FAULT_SECS = 8.0  # what one takes, about


def faults_found(found: Found) -> list[str]:
    """What must not be: one line each."""
    counts = Counter((one.alert_id, one.seq, one.repeat) for one in found.told)
    wrong = {
        "lost: decided and never received": found.kept.told - found.received,
        "received, and never decided": found.received - found.kept.events,
        "decided without an event": found.kept.alerts - found.kept.events,
        "told twice": [key for key, count in counts.items() if count > 1],
        "two alerts of one complaint": [brand for brand, count in Counter(found.kept.brands).items() if count > 1],
        "given up": found.kept.dead,
        "complaints without an alert": range(found.complaints - len(found.kept.brands)),
        "still waiting": range(found.kept.open),
    }
    return [f"{len(some)} {what}" for what, some in wrong.items() if len(some)]


def main() -> int:
    """Print what was done and what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of eight faults each (3)")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the moments (1)")
    options = parser.parse_args()
    print(machine(), flush=True)
    # As long as there are faults, there is something to lose.
    every_secs = max(EVERY_SECS, options.rounds * len(FAULTS) * FAULT_SECS / BRANDS)
    with tempfile.TemporaryDirectory() as folder:
        model = grave_model(Path(folder) / "model")
        found = asyncio.run(
            unleash(Path(folder), model, seed=options.seed, rounds=options.rounds, every_secs=every_secs, end=True)
        )
    print("\n".join(found.moments))
    print(
        f"{found.complaints} complaints, {len(found.kept.events)} events decided, {len(found.received)} received in "
        f"{found.messages} messages ({found.messages - len(found.told)} of them repeats), "
        f"all settled {found.settled_secs:.0f} s after the last fault"
    )
    wrong = faults_found(found)
    print("\n".join(wrong) if wrong else "nothing lost, nothing told twice")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
