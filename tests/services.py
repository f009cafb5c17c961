"""A real thing that a test needs is missing: skip on a newcomer's machine, fail where it is promised."""

import os
from pathlib import Path

import pytest

CORPORA = Path(os.environ.get("LISTENER_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))
REPLAY = Path(os.environ.get("LISTENER_REPLAY", Path(__file__).parents[2] / "shared" / "data" / "replay"))


def require(present: object, what: str) -> None:
    """Skip the test with ``what`` is missing, or fail it under ``LISTENER_REQUIRE_SERVICES=1``."""
    if present:
        return
    if os.environ.get("LISTENER_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is missing, and LISTENER_REQUIRE_SERVICES=1 says that it must be here")
    pytest.skip(f"{what} is missing")
