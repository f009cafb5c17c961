"""Who asks: the bearer token (RFC 6750) of one of the configured people, and a brake on guessing."""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import HTTPException, Request
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from listener.config.oncall import Person
from listener.web.acting import Acting

FAILURES_BURST = 10  # wrong tokens that one address may send at once,
FAILURES_PER_MINUTE = 10.0  # ... and in the long run
ADDRESSES_MAX = 10_000

REFUSALS: Mapping[int | str, dict[str, Any]] = {
    401: {"description": "No token, or not one of ours"},
    403: {"description": "Nobody can act over HTTP yet: the detail says what to configure"},
    429: {"description": "Too many wrong tokens from this address: try again after Retry-After seconds"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Brake:
    """How many wrong tokens an address may still send: a bucket that fills again."""

    left: float
    at: datetime

    def filled(self, now: datetime) -> "Brake":
        """As it stands at ``now``."""
        passed = max(0.0, (now - self.at).total_seconds())
        return Brake(left=min(FAILURES_BURST, self.left + passed * FAILURES_PER_MINUTE / 60), at=now)


class Guard:
    """The dependency that names the person; an address that guesses is held up, with the right token too.

    Behind a proxy all have one address: links in notifications, which cannot be guessed, are not held up.
    """

    def __init__(self, acting: Acting) -> None:
        self._known = _digests(acting.people)
        self._clock: Callable[[], datetime] = acting.clock
        self._brakes: OrderedDict[str, Brake] = OrderedDict()

    async def __call__(self, request: Request) -> str:
        """The person's name in the configuration. Raises HTTPException: 401, 403, 429."""
        if not self._known:
            detail = "nobody may act over HTTP: give a person a token, [people.NAME] token (16 characters or more)"
            raise HTTPException(403, detail)
        address = request.client.host if request.client else ""
        now = self._clock()
        brake = self._brakes.get(address, Brake(left=FAILURES_BURST, at=now)).filled(now)
        if brake.left < 1:
            wait_secs = int((1 - brake.left) * 60 / FAILURES_PER_MINUTE) + 1
            raise HTTPException(429, "too many wrong tokens", headers={"Retry-After": str(wait_secs)})
        scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
        challenge = {"WWW-Authenticate": 'Bearer realm="listener"'}
        if scheme.lower() != "bearer" or not token:
            raise HTTPException(401, "a bearer token is needed", headers=challenge)
        person = self._person(token)
        if person is None:
            self._brakes[address] = Brake(left=brake.left - 1, at=now)
            self._brakes.move_to_end(address)
            while len(self._brakes) > ADDRESSES_MAX:
                self._brakes.popitem(last=False)
            raise HTTPException(401, "the token is not one of ours", headers=challenge)
        return person

    def _person(self, token: str) -> str | None:
        """Compare with all, whichever matches, so that the time tells nothing."""
        asked = hashlib.sha256(token.encode()).digest()
        found = None
        for person, digest in self._known.items():
            if hmac.compare_digest(digest, asked):
                found = person
        return found


# For the documentation only: the guard reads the header itself, to answer 403 and 429 before 401.
SCHEME = HTTPBearer(auto_error=False, description="The token of a person, `[people.NAME] token`")


def _digests(people: Mapping[str, Person]) -> dict[str, bytes]:
    """Of equal length, whatever the tokens' are."""
    return {
        name: hashlib.sha256(person.token.get_secret_value().encode()).digest()
        for name, person in people.items()
        if person.token is not None
    }
