"""What is logged of a crash: its trace, in either format, and nothing of what variables held; and what is no news."""

import logging
from typing import Literal

import pytest

from listener.alerts.receivers.http_receiver import Outgoing, send
from listener.daemon import Stage
from listener.log import configure

Format = Literal["console", "json"]
BOTH = pytest.mark.parametrize("log_format", ["console", "json"])
TOKEN = "top-secret"


class Broken:
    """An HTTP client with a bug."""

    version = "1"

    @property
    def http(self) -> "Broken":
        return self

    def stream(self, *_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug in a library")


@BOTH
async def test_a_crash_leaves_its_trace_and_no_token(log_format: Format, capsys: pytest.CaptureFixture[str]) -> None:
    """A stage crashes within a request, whose headers hold a token."""

    async def unit() -> int:
        outgoing = Outgoing(url="https://h.example/x", headers={"authorization": f"Bearer {TOKEN}"}, body=b"{}")
        await send(Broken(), outgoing, timeout_secs=5)  # type: ignore[arg-type]
        return 0

    configure(log_format, "info")
    assert await Stage(name="deliver_x", unit=unit).once() == 0
    said = capsys.readouterr().err
    assert "unit.crashed" in said
    assert "Traceback" in said
    assert "a bug in a library" in said
    assert "http_receiver.py" in said
    assert TOKEN not in said


@BOTH
def test_a_crash_that_a_library_logs_shows_no_variables_either(
    log_format: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(log_format, "info")

    def crash(_token: str) -> None:
        raise ZeroDivisionError

    try:
        crash(TOKEN)
    except ZeroDivisionError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "Traceback" in said
    assert TOKEN not in said


def test_what_a_library_does_inside_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    """As matplotlib when it draws for the first time; what goes wrong there is heard."""
    configure("json", "info")
    logger = logging.getLogger("matplotlib.font_manager")
    logger.info("generated new fontManager")
    logger.warning("no font at all")
    said = capsys.readouterr().err
    assert "generated" not in said
    assert "no font at all" in said
