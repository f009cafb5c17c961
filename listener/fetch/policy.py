"""What the operator decides about fetching: who we say we are, how patient we are, and how much we take."""

from dataclasses import dataclass, field

from listener.domain import Accept
from listener.fetch.addresses import AllowList

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """The manners of the HTTP client; one for the whole daemon.

    ``user_agent`` names listener, its version and how to reach the operator. ``host_interval_secs`` is the least time
    between the end of one request to an origin and the start of the next; pages get at least ``page_interval_secs``.
    ``connect_secs`` covers the DNS look-up, the connection and each TLS step, ``read_secs`` one silence of the server,
    ``total_secs`` one request with its redirects and its body, not counting the wait for the origin's turn.

    ``allow_private_hosts`` names hosts, IP addresses and CIDR networks that may be private and on any port. Prefer
    names: a network admits every name that resolves into it. Raises ValueError when an entry cannot be read, or when
    the user agent is empty or cannot be a header.

    At most ``max_attempts`` - 1 retries happen in one poll, and only while failed attempts and waits together stay
    within ``retry_budget_secs``: the rest is the next poll's. Validators are used until ``refresh_secs`` after the last
    fetch without them, since some servers answer 304 for ever.
    """

    user_agent: str
    host_interval_secs: float = 1.0
    page_interval_secs: float = 2.0
    connect_secs: float = 10.0
    read_secs: float = 20.0
    total_secs: float = 60.0
    allow_private_hosts: frozenset[str] = frozenset()
    allow_ports: frozenset[int] = frozenset({80, 443})
    header_bytes: int = 64 * KIB
    page_bytes: int = 5 * MIB
    feed_bytes: int = 10 * MIB
    json_bytes: int = 20 * MIB
    max_redirects: int = 5
    max_attempts: int = 3
    retry_budget_secs: float = 5.0
    refresh_secs: float = 24 * 3600.0
    allowed: AllowList = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.user_agent.strip() or not self.user_agent.isascii() or not self.user_agent.isprintable():
            raise ValueError("user_agent must be one line of printable ASCII characters")
        object.__setattr__(self, "allowed", AllowList.parse(self.allow_private_hosts))

    def body_bytes(self, accept: Accept) -> int:
        """The most decoded bytes that we take of such an answer."""
        return {Accept.PAGE: self.page_bytes, Accept.FEED: self.feed_bytes, Accept.JSON: self.json_bytes}[accept]

    def interval_secs(self, accept: Accept, crawl_delay_secs: float = 0.0) -> float:
        """The gap that we leave at an origin before such a request."""
        if accept is Accept.PAGE:
            return max(self.host_interval_secs, self.page_interval_secs, crawl_delay_secs)
        return self.host_interval_secs
