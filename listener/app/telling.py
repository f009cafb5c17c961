"""What it takes to tell people and to hear their answer: receivers opened, links signed, names made receivers."""

import base64
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import httpx2
import structlog

from listener import __version__
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.mqtt.topics import Topics
from listener.alerts.oncall.calendar import Calendar
from listener.alerts.oncall.links import Signer, links
from listener.alerts.oncall.policy import Policy
from listener.alerts.oncall.rounds import DRILL
from listener.alerts.oncall.say import Target
from listener.alerts.receivers.base import Tools
from listener.alerts.wire.findings import AnswerFindings
from listener.app.settings import MQTT, receivers_of, rules_of, utc_now
from listener.config import Settings
from listener.domain import SEVERAL, Action
from listener.errors import ConfigError, Fault
from listener.pipeline.picture import picture_of
from listener.protocols import Receiver
from listener.store import Database, actions, alerts
from listener.store import settings as kept
from listener.web.acting import Acting

log = structlog.get_logger()

KEY_BYTES = 32
HEARD_WITHIN = timedelta(seconds=10)  # of each other, by the clocks of two daemons
OVER = frozenset({"resolve"})  # what there is still to say of what is over: the cause, and what helped


class Wake:
    """Rings when somebody has asked for something; the daemon says who hears it."""

    def __init__(self) -> None:
        self.heard: Callable[[], None] = lambda: None

    def __call__(self) -> None:
        """Ring."""
        self.heard()


class Taken:
    """Keeps an action that came over MQTT. Raises StoreError: then it is the broker's still.

    Each daemon of a database hears each command, about when the others do. What this one has heard itself is another
    command, however alike.
    """

    def __init__(self, database: Database, wake: Wake) -> None:
        self._database = database
        self._wake = wake
        self._heard: dict[str, tuple[str, datetime]] = {}  # by their ids: under which they are kept, and when heard

    async def __call__(self, action: Action) -> bool:
        """Keep it, or leave it to the daemon that has kept it, and ring; False when this one has heard it before."""
        near = 2 * HEARD_WITHIN  # of what may be near to the same as this
        self._heard = {known: one for known, one in self._heard.items() if abs(action.at - one[1]) <= near}
        if action.id in self._heard:
            return False
        ours = {kept for kept, _ in self._heard.values()}
        kept, new = await actions.put_heard(self._database, action, within=HEARD_WITHIN, ours=ours)
        self._heard[action.id] = (kept, action.at)
        self._wake()
        return new or kept != action.id


class Reach:
    """The receivers behind names at a time; ``on_gap`` is told of names behind whom there is nobody."""

    def __init__(self, policy: Policy, calendars: Mapping[str, Calendar], on_gap: Callable[[str], None]) -> None:
        self._policy = policy
        self._calendars = calendars
        self._on_gap = on_gap

    def __call__(self, names: Sequence[str], at: datetime) -> tuple[str, ...]:
        """The receivers, in order, each once."""
        for name in self._policy.gaps(names, at, self._calendars):
            self._on_gap(name)
        return self._policy.reach(names, at, self._calendars)


class Answers:
    """How to answer a message: an MQTT topic, and signed links where people can reach us."""

    def __init__(self, settings: Settings, policy: Policy, signer: Signer) -> None:
        self._public_url = settings.http.public_url
        self._policy = policy
        self._signer = signer
        self._topics: Topics | None = None
        if settings.mqtt is not None:
            self._topics = Topics(prefix=settings.mqtt.topic_prefix, instance=settings.service.instance)

    def __call__(self, target: Target, now: datetime) -> AnswerFindings | None:
        """None when there is no way to answer."""
        by = self._policy.person_of(target.receiver) or target.receiver
        found: dict[str, str] = {}
        if self._public_url is not None:
            found = links(self._public_url, self._signer, target.id, target.seq, by, now)
            found = {act: url for act, url in found.items() if not target.over or act in OVER}
        topic = "" if target.over else self._topic(target)
        return AnswerFindings(seq=target.seq, topic=topic, links=found) if found or topic else None

    def _topic(self, target: Target) -> str:
        if self._topics is None:
            return ""
        if target.brand == SEVERAL:
            return self._topics.bundle_ack(target.id)
        return self._topics.ack(target.id, brand=target.brand)


class Pictures:
    """Draws alerts, where what draws is installed."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._brands = settings.brands
        self._database = database

    async def __call__(self, alert_id: str) -> bytes | None:
        """A PNG, or None."""
        alert = await alerts.one(self._database, alert_id)
        if alert is None:
            return None
        title = self._brands[alert.brand].title if alert.brand in self._brands else alert.brand
        try:
            return await picture_of(self._database, alert, title=title)
        except ConfigError as error:
            log.warning("picture.missing", problem=str(error))
            return None


async def signer_of(database: Database) -> Signer:
    """What signs links; its key is made once and kept."""

    def make() -> dict[str, str]:
        return {"key": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}

    value = await kept.once(database, "link_key", make)
    return Signer(base64.b64decode(value["key"]))


def acting_of(settings: Settings, database: Database, signer: Signer, wake: Callable[[], None]) -> Acting:
    """What it takes to act over HTTP."""
    return Acting(
        database=database,
        people=settings.people,
        signer=signer,
        clock=utc_now,
        wake=wake,
        titles={name: brand.title for name, brand in settings.brands.items()},
        rules=[*(rule.name for rule in rules_of(settings)), DRILL],
    )


@contextlib.asynccontextmanager
async def opened_others(
    settings: Settings, database: Database, names: Sequence[str] | None = None
) -> AsyncIterator[dict[str, Receiver]]:
    """The configured receivers (or those of ``names``), running; the broker is not among them."""
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(follow_redirects=False, trust_env=False))
        tools = Tools(
            http=http,
            instance=settings.service.instance,
            version=__version__,
            clock=utc_now,
            picture=Pictures(settings, database),
        )
        yield {
            name: await stack.enter_async_context(receiver.opened(tools))
            for name, receiver in receivers_of(settings).items()
            if names is None or name in names
        }


@contextlib.asynccontextmanager
async def opened_receivers(
    settings: Settings, database: Database, names: Sequence[str]
) -> AsyncIterator[dict[str, Receiver]]:
    """Receivers to try out, the broker among them. Raises ConfigError when one of ``names`` is not configured."""
    known = [*([MQTT] if settings.mqtt is not None else []), *receivers_of(settings)]
    if unknown := [name for name in names if name not in known]:
        fix = f"use one of: {', '.join(known)}" if known else "configure one"
        raise ConfigError([Fault(path=f"receivers.{name}", problem="is not configured", fix=fix) for name in unknown])
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(opened_others(settings, database, names))
        if MQTT in names and settings.mqtt is not None:
            # A visitor: the daemon that runs must not be thrown out by a test.
            broker = MqttReceiver(settings.mqtt, instance=settings.service.instance, version=__version__, visitor=True)
            running[MQTT] = await stack.enter_async_context(broker)
        yield running
