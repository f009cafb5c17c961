"""The end of what is not watched any more, in words: nobody looks, so nothing is claimed."""

import pytest

from listener.alerts.wire import payload
from listener.alerts.wire.oncall import BundleMember
from listener.alerts.words.bundle_texts import bundle_words
from listener.alerts.words.ends import remark
from listener.domain import AlertState, Reason, Resolution, Severity
from tests import alerting
from tests.alerting import NOW
from tests.running import HOUR


@pytest.mark.parametrize(
    ("language", "title", "body"),
    [
        (
            "en",
            "Closed without recovery: Acme, not watched any more",
            (
                "Acme, or the rule that fired, is not watched any more: nothing tells whether it is over. "
                "The alert lasted 80 h."
            ),
        ),
        (
            "et",
            "Suletud ilma taastumiseta: Acme, enam ei jälgita",
            (
                "Acme: seda brändi või häire andnud reeglit enam ei jälgita ja miski ei näita, kas see on möödas. "
                "Häire kestis 80 t."
            ),
        ),
    ],
)
def test_an_end_by_the_configuration_says_so(language: str, title: str, body: str) -> None:
    ended = alerting.alert(state=AlertState.RESOLVED, seq=2, ended_at=NOW + 80 * HOUR, resolution=Resolution.UNWATCHED)
    told = payload.alert_payload(ended, Reason.RESOLVED, title="Acme", evidence=(), now=NOW)
    assert (told.text[language].title, told.text[language].body) == (title, body)


@pytest.mark.parametrize(("language", "said"), [("en", "(not watched any more)"), ("et", "(enam ei jälgita)")])
def test_among_several_ends_it_says_so_too(language: str, said: str) -> None:
    members = [
        BundleMember(
            alert_id=f"id{number}",
            seq=2,
            brand=f"brand{number}",
            title=f"Brand {number}",
            rule="deterioration",
            severity=Severity.CRITICAL,
            reason=Reason.RESOLVED,
            state=AlertState.RESOLVED,
            started_at=NOW,
            ended_at=NOW + HOUR,
            resolution=resolution,
        )
        for number, resolution in enumerate((Resolution.RECOVERED, Resolution.UNWATCHED))
    ]
    words = bundle_words("storm", members, now=NOW, reasons=frozenset(), alone=0, bundle_id="one", links=False)
    assert f"Brand 1 {said}" in words[language].body
    assert f"Brand 0 {said}" not in words[language].body


def test_two_notes_do_not_run_together() -> None:
    assert remark("the lockers\n\nthe false message") == "the lockers; the false message"
    assert remark(None) == ""
