"""Links that only their holder can have, for one thing, for a while."""

import base64
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.oncall.links import (
    OFFERED,
    TOKEN_CHARS_MAX,
    VALID_DAYS,
    LinkDamaged,
    LinkError,
    LinkExpired,
    Signer,
    links,
)
from listener.domain import Act, stable_id
from tests.alerting import NOW

SIGNER = Signer(bytes(range(32)))
ALERT = stable_id("alert", "acme")
OTHER = stable_id("alert", "other")
LATER = NOW + timedelta(hours=1)


def token(act: Act = Act.ACK, **changes: object) -> str:
    values = {"target": ALERT, "seq": 3, "by": "mari", "expires_at": LATER, "minutes": None, **changes}
    return SIGNER.token(act=act, **values)  # type: ignore[arg-type]


@given(
    act=st.sampled_from(Act),
    seq=st.integers(1, 10**9),
    by=st.text(st.characters(codec="utf-8"), max_size=80),
    minutes=st.one_of(st.none(), st.integers(1, 43_200)),
    secs=st.integers(1, 10**8),
)
def test_what_is_signed_is_read_back(act: Act, seq: int, by: str, minutes: int | None, secs: int) -> None:
    expires_at = NOW.replace(microsecond=0) + timedelta(seconds=secs)
    made = SIGNER.token(ALERT, seq, act, by, expires_at, minutes)
    claim = SIGNER.read(made, NOW)
    assert (claim.target, claim.seq, claim.act, claim.expires_at) == (ALERT, seq, act, expires_at)
    assert claim.by == by
    assert claim.minutes == minutes
    assert len(made) <= TOKEN_CHARS_MAX


def test_a_token_is_short_and_fits_an_address() -> None:
    made = token(by="mari_maasikas")
    assert len(made) < 85
    assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_no_bit_of_a_token_may_change(place: int, bit: int) -> None:
    made = token()
    data = bytearray(base64.urlsafe_b64decode(made + "=" * (-len(made) % 4)))
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(LinkDamaged, match=r"^this link is damaged$"):
        SIGNER.read(base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode(), NOW)


@given(cut=st.integers(0, 10**6))
def test_no_part_of_a_token_is_a_token(cut: int) -> None:
    made = token()
    with pytest.raises(LinkDamaged):
        SIGNER.read(made[: cut % len(made)], NOW)


@given(st.text(max_size=700))
def test_nothing_made_up_is_a_token(made_up: str) -> None:
    with pytest.raises(LinkDamaged):
        SIGNER.read(made_up, NOW)


@pytest.mark.parametrize("change", ["{}=", "{}==", " {}", "{}\n", "{}A", "{}é"])
def test_a_token_has_one_spelling(change: str) -> None:
    with pytest.raises(LinkDamaged):
        SIGNER.read(change.format(token()), NOW)


def test_the_last_letter_of_a_token_has_one_spelling_too() -> None:
    """Base64 leaves unused bits at the end that a lenient reader ignores."""
    made = token(by="mari12")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    read = []
    for letter in letters:
        try:
            read.append(SIGNER.read(made[:-1] + letter, NOW))
        except LinkDamaged:
            continue
    assert [claim.by for claim in read] == ["mari12"]


def test_another_key_signs_for_another_house() -> None:
    with pytest.raises(LinkDamaged):
        Signer(bytes(32)).read(token(), NOW)


def test_the_same_bytes_signed_for_another_purpose_are_no_token() -> None:
    import hashlib  # noqa: PLC0415
    import hmac  # noqa: PLC0415

    made = token()
    body = base64.urlsafe_b64decode(made + "=" * (-len(made) % 4))[:-16]
    plain = hmac.digest(bytes(range(32)), body, hashlib.sha256)[:16]
    with pytest.raises(LinkDamaged):
        SIGNER.read(base64.urlsafe_b64encode(body + plain).rstrip(b"=").decode(), NOW)


def test_an_expired_link_says_so_to_its_holder_only() -> None:
    made = token()
    assert SIGNER.read(made, LATER - timedelta(seconds=1)).act is Act.ACK
    with pytest.raises(LinkExpired, match=r"^this link has expired$"):
        SIGNER.read(made, LATER)
    forged = made[:-1] + ("A" if made[-1] != "A" else "E")
    with pytest.raises(LinkDamaged):
        SIGNER.read(forged, LATER)


def test_a_token_of_a_later_version_is_not_read() -> None:
    made = token()
    body = bytearray(base64.urlsafe_b64decode(made + "=" * (-len(made) % 4))[:-16])
    body[0] = 2
    newer = base64.urlsafe_b64encode(bytes(body) + SIGNER._mac(bytes(body))).rstrip(b"=").decode()
    with pytest.raises(LinkDamaged):
        SIGNER.read(newer, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"target": OTHER},
        {"seq": 4},
        {"act": Act.RESOLVE},
        {"by": "jaan"},
        {"minutes": 60.0},
        {"expires_at": LATER + timedelta(seconds=1)},
    ],
)
def test_one_link_is_one_action(changes: dict[str, object]) -> None:
    one = SIGNER.read(token(), NOW)
    assert SIGNER.read(token(), NOW + timedelta(minutes=1)).id == one.id
    assert SIGNER.read(token(**changes), NOW).id != one.id  # type: ignore[arg-type]


def test_a_long_name_is_cut_at_a_whole_character() -> None:
    assert SIGNER.read(token(by="õ" * 200), NOW).by == "õ" * 127


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        Signer(b"secret")


def test_a_signer_does_not_show_its_key() -> None:
    assert repr(SIGNER) == "Signer()"
    assert not issubclass(LinkError, ValueError)


@pytest.mark.parametrize("public_url", ["https://alerts.example/listener", "https://alerts.example/listener/"])
def test_a_notification_gets_a_link_for_each_answer(public_url: str) -> None:
    found = links(public_url, SIGNER, ALERT, 3, "mari", NOW)
    assert set(found) == {"ack", "snooze", "resolve", "silence"}
    for act, minutes in OFFERED.items():
        address = urlsplit(found[act.value])
        assert address.netloc == "alerts.example"
        start, made = address.path.rsplit("/", 1)
        assert start == "/listener/act"
        claim = SIGNER.read(made, NOW + timedelta(days=VALID_DAYS) - timedelta(seconds=1))
        assert (claim.act, claim.minutes, claim.target, claim.seq, claim.by) == (act, minutes, ALERT, 3, "mari")


def test_fresh_links_of_a_repeat_are_other_actions() -> None:
    first = links("https://a.example", SIGNER, ALERT, 3, "mari", NOW)["snooze"]
    again = links("https://a.example", SIGNER, ALERT, 3, "mari", NOW + timedelta(minutes=30))["snooze"]
    ids = {SIGNER.read(one.rsplit("/", 1)[1], NOW).id for one in (first, again)}
    assert len(ids) == 2
