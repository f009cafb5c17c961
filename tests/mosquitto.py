"""A private, real Mosquitto on a free loopback port, that tests may stop, kill and freeze."""

import asyncio
import getpass
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.services import require

BINARY = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
START_SECS = 10.0
PATIENCE_SECS = 10.0
ANYBODY = "allow_anonymous true"


class Mosquitto:
    """One broker process. It comes back on the same port after ``stop`` or ``kill``."""

    def __init__(self, folder: Path, conf: str, port: int) -> None:
        self.port = port
        self._log = folder / "mosquitto.log"
        self._conf = folder / "mosquitto.conf"
        # Started by root it would become another user, who cannot read the folder of the test.
        self._conf.write_text(f"user {getpass.getuser()}\nlog_type all\nlistener {port} 127.0.0.1\n{conf}\n", "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text("utf-8", errors="replace")

    @property
    def pid(self) -> int:
        """Its process; it must run."""
        if self._process is None:
            raise RuntimeError("the broker does not run")
        return self._process.pid

    def start(self) -> None:
        """Start, and return when it accepts connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(BINARY), "-c", str(self._conf)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECS
        while not _accepts(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mosquitto did not start:\n{self.log}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at whatever instruction it is."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it from running: connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._signal(signal.SIGCONT)
            self._signal(how)
        self._process.wait(timeout=10)
        self._process = None

    def _signal(self, what: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(what)


@contextmanager
def mosquitto(folder: Path, conf: str = ANYBODY, *, port: int | None = None) -> Iterator[Mosquitto]:
    """A running broker with ``conf`` below its listener line; skips (or fails) without the binary."""
    require(BINARY, "Mosquitto (the binary mosquitto)")
    broker = Mosquitto(folder, conf, port or free_port())
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


async def until(condition: Callable[[], object]) -> None:
    """Wait, within reason, until ``condition`` holds; what makes it hold happens elsewhere and cannot be awaited."""
    async with asyncio.timeout(PATIENCE_SECS):
        while not condition():  # noqa: ASYNC110 -- no event of ours tells
            await asyncio.sleep(0.01)


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
