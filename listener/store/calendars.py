"""The last good copy of each schedule's calendar, so that a restart while its server is away changes nobody's turn.

Two settings for each schedule: the text, written when it has changed, and a small one that says when it was last read.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from listener.domain import Frozen, require_aware
from listener.errors import ListenerError
from listener.store import settings
from listener.store.database import Database

SALT_BYTES = 16
# What a row that is torn, or that others wrote, may raise on its way to a text. JSON's and base64's are ValueErrors.
UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, zlib.error)


class BadCopy(ListenerError):
    """A stored copy cannot be read. The message holds nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCalendar:
    """A calendar's text as the database holds it, and when it was last known to be the calendar's."""

    text: bytes = field(repr=False)
    read_at: datetime


async def get(database: Database, schedule: str, address: str, *, bytes_max: int) -> StoredCalendar | None:
    """The copy of the schedule's calendar; None when there is none, or when it came from another address.

    Raises BadCopy for one that is torn or unpacks to more than ``bytes_max``, and StoreError.
    """
    try:
        async with database.reading() as connection:
            value = await settings.get(connection, _text_name(schedule))
            read = await settings.get(connection, _read_name(schedule))
        return None if value is None else await asyncio.to_thread(_opened, value, read, address, bytes_max)
    except UNREADABLE as error:
        raise BadCopy(f"cannot be read ({type(error).__name__})") from None


async def put(database: Database, schedule: str, address: str, copy: StoredCalendar) -> None:
    """Keep this copy instead of the one before."""
    value = await asyncio.to_thread(_closed, address, copy)
    async with database.writing() as connection:
        await settings.put(connection, _text_name(schedule), value)
        await settings.put(connection, _read_name(schedule), _read(copy))


async def touch(database: Database, schedule: str, copy: StoredCalendar) -> None:
    """Note that the text which is stored was read again, and was the same."""
    await settings.put(database, _read_name(schedule), _read(copy))


def _text_name(schedule: str) -> str:
    return f"calendar:{schedule}"


def _read_name(schedule: str) -> str:
    return f"calendar_read:{schedule}"


def _closed(address: str, copy: StoredCalendar) -> Frozen:
    salt = secrets.token_bytes(SALT_BYTES)
    return {
        "salt": salt.hex(),
        "address": _sealed(address, salt).hex(),
        "read_at": copy.read_at.isoformat(),
        # JSON holds no bytes. An iCalendar says the same over and over: packed it is a tenth and less, so that even a
        # year's worth of turns is a small row, and needs no table of its own.
        "text": base64.b64encode(zlib.compress(copy.text, 9)).decode(),
    }


def _opened(value: Frozen, read: Frozen | None, address: str, bytes_max: int) -> StoredCalendar | None:
    sealed = _sealed(address, bytes.fromhex(value["salt"]))
    if not hmac.compare_digest(sealed, bytes.fromhex(value["address"])):
        return None
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(base64.b64decode(value["text"], validate=True), bytes_max + 1)
    if len(text) > bytes_max or not unpacking.eof:
        raise ValueError("too large, or cut off")
    # Of two daemons that read different addresses the other one may have said last when it read its own.
    seen = value if read is None or read["content"] != _content(text) else read
    read_at = datetime.fromisoformat(seen["read_at"])
    require_aware("read_at", read_at)
    return StoredCalendar(text=text, read_at=read_at.astimezone(UTC))


def _read(copy: StoredCalendar) -> Frozen:
    return {"content": _content(copy.text), "read_at": copy.read_at.isoformat()}


def _content(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _sealed(address: str, salt: bytes) -> bytes:
    """Enough to tell whether an address is the same, and not to find it: it may hold a password that can be guessed.

    Hence a slow function with a salt (RFC 7914), for which a start of the daemon takes a tenth of a second.
    """
    return hashlib.scrypt(address.encode(errors="surrogatepass"), salt=salt, n=2**14, r=8, p=1, dklen=32)
