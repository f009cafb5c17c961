"""The house in order: short modules, generated docs up to date, configurations that the real programs take."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from listener.app import load_settings, schemas
from listener.cli.reference import reference
from tests.services import require

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "listener").rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short_and_say_what_they_are_for(module: Path) -> None:
    text = module.read_text("utf-8")
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))


def test_the_reference_of_options_is_up_to_date() -> None:
    assert (ROOT / "docs/configuration.md").read_text("utf-8") == reference(schemas())


@pytest.mark.parametrize("name", ["listener.example.toml", "demo.toml"])
def test_the_shipped_configurations_are_good(name: str) -> None:
    assert load_settings(ROOT / "config" / name).brands


def test_prometheus_takes_its_files() -> None:
    promtool = shutil.which("promtool")
    require(promtool, "promtool (Debian package prometheus)")
    command = [str(promtool), "check", "config", str(ROOT / "config/prometheus/prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_names_files_that_exist() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert set(compose["services"]) == {"listener", "mosquitto", "postgres", "prometheus", "grafana"}
    made_by_the_reader = {"./config/listener.toml", "./models"}
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            place = volume.split(":")[0]
            if place.startswith("./") and place not in made_by_the_reader:
                assert (ROOT / place).exists(), place
            elif not place.startswith("./"):
                assert place in compose["volumes"]
