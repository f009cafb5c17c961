"""What is in the wheel: the migrations and the package data, and none of the workshop."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from listener.sentiment.bundled import BUNDLED, DECIDING, SUMS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_migrations_and_package_data_are_inside(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    migrations = {f"listener/_migrations/versions/{path.name}" for path in (ROOT / "migrations/versions").glob("*.py")}
    data = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "listener").rglob("*")
        if path.is_file() and path.suffix in {".py", ".json", ".jsonl", ".typed", ".po", ".mo", ".html", ".css"}
    }
    model = {str(path.relative_to(ROOT)) for path in BUNDLED.iterdir()}
    assert {*migrations, "listener/_migrations/env.py", *data, *model} <= names


def test_the_bundled_model_is_inside_with_its_licence(wheel: zipfile.ZipFile) -> None:
    """Whole, byte for byte: the checksums that are loaded by travel with it."""
    for name in (*DECIDING, SUMS, "README.md", "NOTICE"):
        assert wheel.read(f"listener/sentiment/model/{name}") == (BUNDLED / name).read_bytes(), name


def test_the_workshop_stays_outside(wheel: zipfile.ZipFile) -> None:
    rooms = {name.partition("/")[0] for name in wheel.namelist()}
    assert {room for room in rooms if not room.endswith(".dist-info")} == {"listener"}


def test_the_command_and_the_source_types_are_registered(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(name).decode()
    assert "listener = listener.cli:main" in text
    assert "[listener.sources]" in text
