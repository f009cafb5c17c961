"""What is said while one waits: a drill's id at once, and why a broker cannot be reached."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from listener.cli import simulate
from tests.integration.test_cli import Listener, listener
from tests.integration.test_cli_alerts import config
from tests.mosquitto import mosquitto

__all__ = ["config", "listener"]  # fixtures


@pytest.mark.parametrize("json", [False, True])
def test_a_drill_is_told_with_how_to_answer_it_before_anybody_waits(
    listener: Listener,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    json: bool,
) -> None:
    said: list[tuple[str, str, str]] = []

    async def followed(_: object, alert_id: str, __: float) -> tuple[list[Any], list[Any]]:
        printed = capsys.readouterr()
        said.append((alert_id, printed.out, printed.err))
        return [], []

    monkeypatch.setattr(simulate, "_followed", followed)
    done = listener("alerts", "simulate", "acme", "--wait", "-c", config, *(["--json"] if json else []))
    ((alert_id, out, err),) = said
    told = err if json else out
    assert told.splitlines() == [f"drill {alert_id}", f"answer it: listener alerts ack {alert_id[:8]} -c {config}"]
    assert "drill" not in done.out.replace('"rule"', "")
    if json:
        assert (out, done.lines[0]["id"]) == ("", alert_id)


def test_a_document_alone_when_nobody_waits(listener: Listener, config: Path) -> None:
    done = listener("alerts", "simulate", "acme", "-c", config, "--json")
    assert (len(done.lines), done.err) == (1, "")


def with_broker(config: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTENER_MQTT__PASSWORD", "not the one")
    table = f'\n[mqtt]\nhost = "127.0.0.1"\nport = {port}\nusername = "listener"\ntimeout_secs = 2.0\n'
    config.write_text(config.read_text() + table)


def test_a_broker_that_refuses_is_quoted(
    listener: Listener, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passwords"
    file.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(file), "listener", "the one"], check=True, capture_output=True)
    with mosquitto(tmp_path, f"allow_anonymous false\npassword_file {file}") as broker:
        with_broker(config, broker.port, monkeypatch)
        done = listener("receivers", "test", "mqtt", "-c", config, "--json")
    assert done.code == 1
    assert "the broker says: Not authorized (135); check mqtt.username and mqtt.password" in str(
        done.lines[0]["problem"]
    )
    assert "not the one" not in done.out + done.err
