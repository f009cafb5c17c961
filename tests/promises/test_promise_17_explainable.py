"""Promise 17: a page says what it was decided from, and the decision comes out again to the last bit."""

import asyncio
import json
from pathlib import Path

from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from listener.alerts.detection.record import RECENT, check
from listener.alerts.wire import schemas
from listener.alerts.wire.payload import record_of
from listener.cli import app
from listener.store import Database, alerts, ledger, migrate
from tests.running import bench, told, turns, usual


async def test_promise_17_a_page_names_share_count_burn_evidence_onset_and_what_to_read(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        await turns(at)
        await at.look()
        (page,) = await told(at)
        (alert,) = await alerts.recent(database, limit=9)
    Draft202012Validator(schemas.load("alert")).validate(page)
    strength = page["strength"]
    assert page["observed"] > strength["budget"] > page["expected"]
    assert (page["mentions"], page["negative"]) == (30, 24)
    assert strength["burn_hour"] > 1
    assert strength["evidence"] > strength["evidence_limit"] > 0
    assert page["onset"] < page["started_at"]
    assert len(page["evidence"]) == 3
    assert all(link["id"] and link["url"].startswith("https://") for link in page["evidence"])
    assert page["proof"]["replay_key"]
    record = record_of(alert)
    assert record is not None
    last = record.signal.position
    after = await ledger.read(database, "bolt", after=record.origin.position, until=last)
    recent = await ledger.read(database, "bolt", until=last, since_at=record.decided_at - RECENT)
    found = check(record, after, recent)
    assert found
    assert [one.what for one in found if not one.same] == []


def test_promise_17_the_command_says_the_same(tmp_path: Path) -> None:
    async def lived() -> str:
        database = Database(f"sqlite:///{tmp_path / 'listener.db'}")
        await migrate.upgrade(database)
        async with bench(database) as at:
            await usual(at)
            await turns(at)
            await at.look()
        (alert,) = await alerts.recent(database, limit=9)
        await database.close()
        return alert.id

    alert_id = asyncio.run(lived())
    config = tmp_path / "listener.toml"
    config.write_text('[database]\nurl = "sqlite:///listener.db"\n[brands.bolt]\nnames = ["Bolt"]\n', "utf-8")
    result = CliRunner().invoke(app, ["explain", alert_id[:8], "--config", str(config), "--json"])
    assert result.exit_code == 0, result.output
    checks = json.loads(result.stdout)["checks"]
    assert checks
    assert all(one["same"] for one in checks)
