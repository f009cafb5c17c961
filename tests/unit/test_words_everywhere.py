"""Whatever an alert, a bundle or a digest says, it says in every language, whole, and in that language only."""

import gettext
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.detection.market import Market
from listener.alerts.wire.digest import digest_payload
from listener.alerts.words import languages, oncall_texts, page_texts
from listener.alerts.words.bundle_texts import bundle_words
from listener.alerts.words.oncall_texts import again, drill, watchdog_words
from listener.alerts.words.page_texts import Unusable
from listener.alerts.words.texts import Text, Told, alert_words, past_words
from listener.domain import (
    Act,
    Alert,
    AlertState,
    Channel,
    Condition,
    Hold,
    Outcome,
    Rate,
    Reason,
    Resolution,
    Response,
    Severity,
)
from tests.alerting import NOW, alert, signal, strength
from tests.words import member

NUMBERS = st.one_of(st.none(), st.just(float("nan")), st.floats(0, 1))
POINTS = st.one_of(st.none(), st.just(float("nan")), st.floats(-200, 200))
NAMES = st.sampled_from(["7", "42 {brand} {0}", "9" * 300])
TIMES = st.sampled_from([None, NOW, NOW - timedelta(minutes=50), NOW - timedelta(days=400)])
CHANNELS = st.lists(st.sampled_from(Channel), max_size=2, unique=True).map(tuple)


@st.composite
def strengths(draw: st.DrawFn) -> Any:
    """What decided, with whatever number missing."""
    rates = tuple(
        Rate(
            per=per,
            threshold=draw(st.floats(0.1, 90)),
            implied=True,
            **{name: draw(POINTS) for name in ("points", "low", "high")},
        )
        for per in ("hour", "day")
    )
    return strength(
        rates=draw(st.sampled_from([rates, ()])),
        burn_hour=draw(st.one_of(st.none(), st.floats(0, 50))),
        burn_day=draw(st.one_of(st.none(), st.floats(0, 50))),
        gone_hours=draw(st.one_of(st.none(), st.floats(0, 900))),
        volume_seen=float(draw(st.integers(0, 5000))),
        evidence=draw(st.floats(-5, 900)),
    )


@st.composite
def markets(draw: st.DrawFn) -> Market:
    moving, still = draw(st.sampled_from([((), ()), (("7",), ()), ((), ("8",)), (("7", "8", "9"), ("1",))]))
    verdict: Any = draw(st.sampled_from(["whole_market", "own", "unknown"]))
    return Market(verdict=verdict, moving=moving, still=still, unknown=(), reason="")


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Any alert: also what no rule makes today."""
    found = signal(
        condition=draw(st.sampled_from(Condition)),
        channels=draw(CHANNELS),
        observed=draw(NUMBERS),
        expected=draw(NUMBERS),
        low=draw(NUMBERS),
        mentions=draw(st.sampled_from([0, 1, 60])),
        reach=draw(st.sampled_from([None, 1, 1_500_000])),
        sources=draw(st.sampled_from([(), ("1",), ("1", "2")])),
        onset_at=draw(TIMES),
        spoke_at=draw(TIMES),
        window_start_at=NOW - draw(st.sampled_from([timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)])),
        strength=draw(st.one_of(st.none(), strengths())),
    )
    return Alert(
        brand="acme",
        rule=draw(st.sampled_from(["deterioration", "drill"])),
        severity=draw(st.sampled_from(Severity)),
        state=draw(st.sampled_from(AlertState)),
        started_at=NOW - draw(st.sampled_from([timedelta(0), timedelta(days=2)])),
        updated_at=NOW,
        ended_at=draw(st.sampled_from([None, NOW])),
        signal=found,
        evidence=draw(st.sampled_from([(), ("m0",), ("m0", "m1")])),
        resolution=draw(st.one_of(st.none(), st.sampled_from(Resolution))),
        reopened=draw(st.integers(0, 1)),
    )


@st.composite
def tellings(draw: st.DrawFn) -> Told:
    remark = st.sampled_from([None, "", "42"])
    return Told(
        alert=draw(alerts()),
        reason=draw(st.sampled_from(Reason)),
        title=draw(NAMES),
        proven={},
        market=draw(st.one_of(st.none(), markets())),
        names={"7": "77"},
        articles=draw(st.sampled_from([(), ("3", "4")])),
        past=draw(st.sampled_from([None, "5.", past_words(brand="7", started_at=NOW, cause="8", helped="9")])),
        by=draw(remark),
        cause=draw(remark),
        helped=draw(remark),
        links=draw(st.booleans()),
    )


def sentences(text: str) -> set[str]:
    """Those with words in them."""
    return {one for one in re.split(r"(?<=[.:;?!])\s", text) if re.search(r"[a-z]{2} [a-z]{2}", one)}


def sound(words: Mapping[str, Text]) -> None:
    assert set(words) == set(languages.LANGUAGES)
    for text in words.values():
        assert 0 < len(text.title) <= languages.TITLE_CHARS_MAX
        assert text.body
        said = f"{text.title} {text.body}".replace("{brand} {0}", "7")
        assert not re.search(r"[{}]|\bNone\b|\bnan\b|\binf\b|\?|  ", said), said
    english, estonian = words["en"], words["et"]
    assert not sentences(english.title) & sentences(estonian.title)
    assert not sentences(english.body) & sentences(estonian.body)


def as_dict(words: Mapping[str, Text]) -> dict[str, dict[str, str]]:
    return {code: {"title": text.title, "body": text.body} for code, text in words.items()}


@given(tellings())
def test_whatever_is_known_of_an_alert_it_can_be_told(told: Told) -> None:
    sound(alert_words(told))


@given(
    tellings(),
    st.sampled_from([Reason.REPEAT, Reason.ESCALATED]),
    st.sampled_from([0, 3]),
    st.integers(0, 9999),
    st.booleans(),
)
def test_whatever_was_told_can_be_told_again(
    told: Told, reason: Reason, repeat: int, minutes: int, escalate: bool
) -> None:
    plain = as_dict(alert_words(told))
    words = drill(again(plain, reason=reason, repeat=repeat, minutes=minutes, escalate=escalate))
    sound({code: Text(title=text["title"], body=text["body"]) for code, text in words.items()})


@given(
    st.sampled_from(["storm", "market", "held", "missed"]),
    st.lists(
        st.tuples(
            NAMES,
            st.sampled_from(Severity),
            st.sampled_from(AlertState),
            st.one_of(st.none(), st.sampled_from(Resolution)),
            NUMBERS,
            st.booleans(),
            st.sampled_from([None, "5", "42 {brand} {0}"]),
        ),
        min_size=1,
        max_size=30,
    ),
    st.frozensets(st.sampled_from(Hold)),
    st.integers(0, 5),
)
def test_whatever_comes_together_can_be_told_together(
    kind: Any, found: list[tuple[Any, ...]], reasons: frozenset[Hold], alone: int
) -> None:
    members = [
        member(
            number,
            title=title,
            severity=severity,
            state=state,
            resolution=resolution,
            observed=share and share * 0,
            drill=drills,
            acked_by=by,
        )
        for number, (title, severity, state, resolution, share, drills, by) in enumerate(found)
        if share is None or share == share  # noqa: PLR0124 -- the wire takes no nan
    ] or [member(0)]
    sound(bundle_words(kind, members, now=NOW, reasons=reasons, alone=alone, bundle_id="123456789"))


class Masked(gettext.NullTranslations):
    """A language in which every letter is a Greek one: what stays Latin did not go through a translation."""

    def gettext(self, message: str) -> str:
        return "".join(
            part if part.startswith("{") else re.sub("[A-Za-z]", "λ", part) for part in re.split(r"(\{\w+\})", message)
        )

    def pgettext(self, context: str, message: str) -> str:
        return self.gettext(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


@contextmanager
def greek() -> Iterator[None]:
    """English, and Greek letters, are all the languages."""
    style = languages.Style(decimal=",")
    masked = languages.Tongue(code="el", style=style, catalogue=Masked())
    plain = languages.tongue("en")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(languages, "LANGUAGES", {"en": style, "el": style})
        patch.setattr(languages, "tongue", lambda code: masked if code == "el" else plain)
        yield


@given(tellings())
def test_no_english_is_left_in_the_words_of_an_alert(told: Told) -> None:
    with greek():
        text = alert_words(replace(told, title="7", past=None))["el"]
    assert not re.search("[A-Za-z]", f"{text.title} {text.body}".replace(told.alert.id[:8], "")), text


def test_no_english_is_left_in_all_other_words() -> None:
    members = [
        member(number, title=str(number), severity=severity, state=state, resolution=resolution)
        for number, (severity, state, resolution) in enumerate(
            [
                *((severity, AlertState.FIRING, None) for severity in Severity),
                *((Severity.INFO, AlertState.RESOLVED, resolution) for resolution in Resolution),
            ]
        )
    ]
    kinds: tuple[Any, ...] = ("storm", "market", "held", "missed")
    with greek():
        some = [
            bundle_words(kind, part, now=NOW, reasons=list(Hold), alone=2)
            for kind in kinds
            for part in (members, members[-4:], [one.model_copy(update={"drill": True}) for one in members])
        ]
        some += [
            bundle_words(
                kind, [*members, member(7, title="7", drill=True), member(8, title="8", acked_by="9")], now=NOW
            )
            for kind in kinds
        ]
        some += [watchdog_words("1", 5.0), oncall_texts.test_words("1", "2")]
    for words in some:
        assert not re.search("[A-Za-z]", f"{words['el'].title} {words['el'].body}"), words["el"]


def test_no_sentence_of_the_digest_is_the_same_in_both_languages() -> None:
    content = digest_payload(
        [], looked_at=2, alpha=0.1, alerts=[], titles={}, day=date(2026, 3, 2), now=NOW + timedelta(hours=5)
    )
    sound({code: Text(title=words.title, body=words.body) for code, words in content.text.items()})


def page_words(t: languages.Tongue) -> list[str]:
    """All that the pages of links say, with numbers for names."""
    fields, firing = page_texts.fields(t), alert(rule="8")
    over = replace(firing, state=AlertState.RESOLVED, ended_at=NOW)
    answered = Response(
        alert_id=firing.id,
        brand="acme",
        acked_at=NOW,
        acked_by="1",
        assignee="2",
        snoozed_until_at=NOW + timedelta(days=1),
    )
    return [
        *(getattr(fields, name) for name in page_texts.Fields.__slots__),
        *(page_texts.heading(t, act) for act in Act),
        *(page_texts.button(t, act, minutes=90) for act in Act),
        *(page_texts.does(t, act, minutes=60) for act in Act),
        page_texts.acting_as(t, "7"),
        page_texts.untold(t, firing, title="7"),
        *(page_texts.severity_word(t, severity) for severity in Severity),
        page_texts.state(t, firing, now=NOW),
        page_texts.state(t, over, now=NOW),
        page_texts.answered(t, answered, now=NOW),
        *(page_texts.more(t, count) for count in (1, 2)),
        *(page_texts.became(t, outcome) for outcome in (*Outcome, None)),
        page_texts.used(t, NOW, now=NOW),
        page_texts.over(t),
        page_texts.nothing_done(t),
        *(page_texts.unusable(t, why) for why in Unusable),
    ]


def test_no_english_is_left_on_the_pages_of_links() -> None:
    with greek():
        said = page_words(languages.tongue("el"))
    assert [one for one in said if not one or re.search("[A-Za-z]", one)] == []


def test_nothing_on_the_pages_of_links_is_the_same_in_both_languages() -> None:
    english, estonian = (page_words(languages.tongue(code)) for code in ("en", "et"))
    assert [one for one, other in zip(english, estonian, strict=True) if one == other] == []
