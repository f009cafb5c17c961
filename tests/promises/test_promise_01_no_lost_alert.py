"""Promise 1: no alert is lost, whatever is killed, frozen or refused: received is what was decided.

A broker that is killed can lose what it has acknowledged, before it is on its disk or with the subscriber (mosquitto
#1855): no sender can know. So whoever is on call answers what they hear, and what nobody answers is said again.
"""

from pathlib import Path

import pytest

from tests.promises.chaos import FAULTS, unleash

SEED = 20261128


@pytest.mark.timeout(400)
async def test_promise_01_no_lost_alert(tmp_path: Path, model: Path) -> None:
    """Three kills of the broker, three of the daemon, a frozen broker, and a broker that refuses alerts for a while."""
    found = await unleash(tmp_path, model, seed=SEED)
    assert found.received == found.kept.told
    assert found.kept.told == found.kept.events  # nothing was decided that nobody was to be told of
    assert found.kept.alerts == found.kept.events  # and nothing was decided without the event that tells of it
    assert len(found.kept.brands) == len(set(found.kept.brands)) == found.complaints
    assert found.kept.dead == []
    told = [(one.alert_id, one.seq, one.repeat) for one in found.told]
    assert len(told) == len(set(told))
    assert len({alert_id for alert_id, _, _ in told}) == found.complaints
    # It was no chaos of one moment: alerts were decided before, between and after.
    assert len(found.moments) == len(FAULTS)
    assert len(set(found.decided_at_faults)) >= len(FAULTS) / 2
    assert found.complaints >= len(FAULTS)
