"""The house in order: short modules, generated docs up to date, configurations that the real programs take."""

import ast
import shutil
import subprocess
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from listener.app import load_settings, schemas
from listener.cli.reference import reference
from tests.mosquitto import mosquitto
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


def test_mosquitto_takes_its_files(tmp_path: Path) -> None:
    """With this machine's folders in place of the container's: it starts, and lets nobody in without a password."""
    passwords = shutil.which("mosquitto_passwd")
    require(passwords, "mosquitto_passwd (Debian package mosquitto)")
    for name in ("listener", "oncall"):
        create = [] if (tmp_path / "passwords").exists() else ["-c"]
        command = [str(passwords), *create, "-b", str(tmp_path / "passwords"), name, f"{name}-secret"]
        subprocess.run(command, check=True, capture_output=True)
    shutil.copy(ROOT / "config/mosquitto/acl", tmp_path / "acl")
    shipped = (ROOT / "config/mosquitto/mosquitto.conf").read_text("utf-8")
    conf = shipped.replace("/mosquitto/config", str(tmp_path)).replace("/mosquitto/data", str(tmp_path))
    assert "\nlistener 1883\n" in conf
    with mosquitto(tmp_path, conf.replace("\nlistener 1883\n", "\n").replace("log_dest stdout\n", "")) as broker:
        assert said(broker.port, None) == "refused"
        assert said(broker.port, "oncall") == "taken"


def said(port: int, user: str | None) -> str:
    """What the broker says to a client with this name."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    if user is not None:
        client.username_pw_set(user, f"{user}-secret")
    codes: list[bool] = []
    client.on_connect = lambda _client, _data, _flags, code, _properties: codes.append(code.is_failure)
    client.connect("127.0.0.1", port)
    for _ in range(100):
        client.loop(timeout=0.1)
        if codes:
            break
    client.disconnect()
    return "refused" if codes[0] else "taken"


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
