"""Fetch what an alert is drawn from, and draw it."""

import asyncio
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from listener.alerts.detection import standing as standings
from listener.alerts.detection.detect import TICKET
from listener.alerts.detection.record import Record
from listener.alerts.drawing.chart import Chart, chart
from listener.alerts.drawing.picture import draw
from listener.alerts.wire.payload import record_of
from listener.alerts.words.chart_texts import Language
from listener.domain import Alert
from listener.store import Database, ledger

BEFORE = timedelta(days=3)  # of what was usual is drawn


async def chart_of(database: Database, alert: Alert, record: Record) -> Chart | None:
    """What there is to draw of a decision; None of one that was not made from shares."""
    signal, strength = record.signal, record.signal.strength
    if strength is None or signal.onset_at is None:
        return None
    since_at: datetime = signal.onset_at - BEFORE
    shown = await ledger.read(database, alert.brand, until=signal.position, since_at=since_at)
    if not shown:
        return None
    after = await ledger.read(database, alert.brand, after=record.origin.position, until=signal.position)
    whole = {one.position: one for one in [*shown, *after]}
    return chart(
        [whole[position] for position in sorted(whole)],
        usual=signal.expected or 0.0,
        budget=strength.budget,
        onset_at=signal.onset_at,
        decided_at=record.decided_at,
        limit=strength.limit - TICKET,
        limit_page=strength.limit,
        use_risk=record.rule.get("counts") == "risk",
        sharpness=standings.from_json(record.standing).usual.sharpness,
        origin=record.origin,
    )


async def picture_of(database: Database, alert: Alert, *, title: str, language: Language = "en") -> bytes | None:
    """The picture of an alert as PNG; None where there is nothing to draw. Raises ConfigError without matplotlib."""
    record = record_of(alert)
    found = None if record is None else await chart_of(database, alert, record)
    if found is None:
        return None

    def drawn() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "alert.png"
            draw(found, path, title=title, language=language)
            return path.read_bytes()

    return await asyncio.to_thread(drawn)
