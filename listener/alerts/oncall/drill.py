"""A drill: an alert that nothing happened for, through the whole chain, to see who is told and who answers. Pure."""

from datetime import datetime, timedelta

from listener.alerts.oncall.events import event_of
from listener.alerts.oncall.rounds import DRILL
from listener.alerts.wire.findings import Words
from listener.alerts.wire.payload import alert_payload, as_drill, as_json
from listener.alerts.words.languages import LANGUAGES, tongue
from listener.alerts.words.texts import answer, level
from listener.domain import Alert, AlertState, Condition, Event, Reason, Severity, Signal

_BODY = {
    "en": "{by} tries out who is told, and how soon somebody answers. Answer it as you would a real one.",
    "et": "{by} proovib, kelleni teade jõuab ja kui kiiresti vastatakse. Vasta sellele nagu päris häirele.",
}


def drill(
    brand: str, *, title: str, severity: Severity, by: str, now: datetime, links: bool = False
) -> tuple[Alert, Event]:
    """The alert and the event that tells of it.

    ``title`` is the brand's name for people, ``by`` who started it; ``links`` says that messages bring links to answer.
    """
    alert = Alert(
        brand=brand,
        rule=DRILL,
        severity=severity,
        state=AlertState.FIRING,
        started_at=now,
        updated_at=now,
        origin_at=now,
        signal=Signal(
            brand=brand,
            rule=DRILL,
            condition=Condition.BREACHED,
            severity=severity,
            reason=f"A drill, started by {by}: nothing has happened",
            observed=None,
            expected=None,
            window_start_at=now - timedelta(hours=1),
            window_end_at=now,
            onset_at=now,
        ),
    )
    payload = alert_payload(alert, Reason.FIRST, title=title, evidence=(), now=now)
    said = payload.model_copy(
        update={"text": {code: _words(code, alert, title, by, links=links) for code in LANGUAGES}}
    )
    return alert, event_of(alert, Reason.FIRST, payload=as_json(as_drill(said)), now=now)


def _words(code: str, alert: Alert, title: str, by: str, *, links: bool) -> Words:
    t = tongue(code)
    body = _BODY.get(code, _BODY["en"]).format(by=by)
    return Words(title=f"{level(t, alert.severity)}: {title}", body=f"{body} {answer(t, alert.id, links=links)}")
