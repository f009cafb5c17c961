"""What several promises need to run the whole daemon."""

from pathlib import Path

import pytest

from tests.promises.chaos import grave_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that finds a grave risk in whatever it reads."""
    return grave_model(tmp_path_factory.mktemp("grave") / "model")
