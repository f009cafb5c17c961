"""Signed links to act with: who holds one may do that one thing to that one alert until it expires. Pure.

A token is ``base64url(body || mac)`` without padding (RFC 4648, 5), about 75 characters. The body is a version, the
action, the time of expiry, the event, the minutes, the target and who it was given to; the mac is HMAC-SHA256
(RFC 2104) over it, cut to 128 bits as section 5 there allows. Everything that the token says is under the mac, so
that a token for one alert or action is none for another.
"""

import base64
import binascii
import hashlib
import hmac
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from listener.alerts.oncall.respond import SILENCE_MINUTES, SNOOZE_MINUTES
from listener.domain import Act, stable_id
from listener.errors import ListenerError

VERSION = 1
KEY_BYTES_MIN = 32
MAC_BYTES = 16
TOKEN_CHARS_MAX = 600
BY_BYTES_MAX = 255
VALID_DAYS = 7  # a longer alert is repeated, with fresh links
OFFERED = {Act.ACK: None, Act.SNOOZE: SNOOZE_MINUTES, Act.RESOLVE: None, Act.SILENCE: SILENCE_MINUTES}

_CONTEXT = b"listener link\n"  # the key signs nothing else with this in front
_HEAD = struct.Struct(">BBIII16s")  # version, act, expiry in Unix seconds, seq, seconds of minutes, target
_ACTS = (Act.ACK, Act.ASSIGN, Act.SNOOZE, Act.RESOLVE, Act.SILENCE, Act.NOTE)  # the place is on the wire: append only


class LinkError(ListenerError):
    """The token cannot be used."""


class LinkDamaged(LinkError):
    """It is not one of ours, or not all of it: nothing more is said, so that nobody learns how to make one."""


class LinkExpired(LinkError):
    """It is one of ours, and its time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a token says: its holder, as ``by``, may do ``act`` to ``target`` as it stood at ``seq``.

    ``id`` is the same for the same token, and differs between any two others: one link is one action.
    """

    id: str
    target: str
    seq: int
    act: Act
    by: str
    expires_at: datetime
    minutes: float | None = None


class Signer:
    """Makes tokens and reads them; ``key`` is random and at least 32 bytes. Raises ValueError on a shorter one."""

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES_MIN:
            raise ValueError(f"a key of {len(key)} bytes is too short, {KEY_BYTES_MIN} are needed")
        self._key = key

    def __repr__(self) -> str:
        """Nothing of the key."""
        return "Signer()"

    def token(
        self, target: str, seq: int, act: Act, by: str, expires_at: datetime, minutes: float | None = None
    ) -> str:
        """A token for an address. ``target`` is an alert's or a bundle's id (a UUID); a longer ``by`` is cut.

        Raises ValueError when the target is no UUID.
        """
        head = _HEAD.pack(
            VERSION,
            _ACTS.index(act),
            int(expires_at.timestamp()),
            seq,
            0 if minutes is None else round(minutes * 60),
            uuid.UUID(target).bytes,
        )
        body = head + by.encode()[:BY_BYTES_MAX].decode(errors="ignore").encode()
        return base64.urlsafe_b64encode(body + self._mac(body)).rstrip(b"=").decode()

    def read(self, token: str, now: datetime) -> Claim:
        """What the token says. Raises LinkDamaged and LinkExpired, both LinkError."""
        data = _decoded(token)
        body, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
        if len(body) < _HEAD.size or not hmac.compare_digest(mac, self._mac(body)):
            raise LinkDamaged("this link is damaged")
        version, act, expires, seq, seconds, target = _HEAD.unpack_from(body)
        if version != VERSION or act >= len(_ACTS):
            raise LinkDamaged("this link is damaged")
        expires_at = datetime.fromtimestamp(expires, UTC)
        if now >= expires_at:
            raise LinkExpired("this link has expired")
        return Claim(
            id=stable_id("link", body.hex()),
            target=str(uuid.UUID(bytes=target)),
            seq=seq,
            act=_ACTS[act],
            by=body[_HEAD.size :].decode(),
            expires_at=expires_at,
            minutes=seconds / 60 if seconds else None,
        )

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, _CONTEXT + body, hashlib.sha256)[:MAC_BYTES]


def links(public_url: str, signer: Signer, target: str, seq: int, by: str, now: datetime) -> dict[str, str]:
    """Addresses by action (ack, snooze, resolve, silence) under ``<public_url>/act/``, good for a week."""
    expires_at = now + timedelta(days=VALID_DAYS)
    base = public_url.rstrip("/")
    return {
        act.value: f"{base}/act/{signer.token(target, seq, act, by, expires_at, minutes)}"
        for act, minutes in OFFERED.items()
    }


def _decoded(token: str) -> bytes:
    """The bytes; only the one spelling that we write is taken. Raises LinkDamaged."""
    if len(token) > TOKEN_CHARS_MAX or not token.isascii():
        raise LinkDamaged("this link is damaged")
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise LinkDamaged("this link is damaged") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != token:
        raise LinkDamaged("this link is damaged")
    return data
