"""Seconds from a fresh clone to the first alert of ``make run``, and the peak memory of the demo.

``python -m benchmarks.first_alert [--json]``: clones this repository (what is committed) into a temporary folder, runs
``make run`` there and reads its output. Downloads come from the package index and cache that pip is configured with, so
the time of the installation is this network's; the time from there to the alert is listener's.
"""

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.machine import machine

ROOT = Path(__file__).parents[1]
ONLINE = "is online"  # the daemon says that it is there
LONGEST_SECS = 1800


def resident(process: psutil.Process) -> int:
    """Bytes that this process and those under it hold in memory."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def measure() -> dict[str, float]:
    """One run."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), f"{folder}/listener"], check=True)
        log = Path(folder) / "log"
        started = time.monotonic()
        with log.open("wb") as stream:
            make = subprocess.Popen(
                ["make", "run"],
                cwd=f"{folder}/listener",
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        online = alert = 0.0
        peak = 0
        process = psutil.Process(make.pid)
        while not alert and make.poll() is None and time.monotonic() - started < LONGEST_SECS:
            time.sleep(0.2)
            text = log.read_text("utf-8", errors="replace")
            online = online or (time.monotonic() - started if ONLINE in text else 0.0)
            alert = time.monotonic() - started if "Read first" in text or "Start with" in text else 0.0
            peak = max(peak, resident(process)) if online else 0
        os.killpg(make.pid, signal.SIGTERM)
        make.wait(timeout=60)
        if not alert:
            raise SystemExit(f"no alert came:\n{log.read_text('utf-8', errors='replace')}")
    return {
        "install_s": online,
        "from_install_to_alert_s": alert - online,
        "total_s": alert,
        "peak_mib": peak / 2**20,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure()
    if arguments.json:
        print(json.dumps({"machine": machine(), **figures}))
    else:
        print(machine())
        print(f"fresh clone to daemon online (install): {figures['install_s']:.0f} s")
        print(
            f"from there to the first alert:                                 {figures['from_install_to_alert_s']:.0f} s"
        )
        print(f"peak memory of the demo:                                        {figures['peak_mib']:.0f} MiB")
