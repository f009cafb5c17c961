"""One hop of a visit, and where a redirect may lead. Pure; by hand, so that every hop is checked like the first."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

import httpx2

from listener.errors import FetchError
from listener.fetch.outcome import IDEMPOTENT
from listener.fetch.policy import FetchPolicy

DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]

_HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}(?:%[a-z0-9]+)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One request on the wire. ``url`` has no userinfo and no fragment; ``headers`` are the plug-in's, with secrets."""

    url: httpx2.URL
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """The host name, the only part of an address that messages may hold."""
        return host_of(self.url)

    @property
    def origin(self) -> Origin:
        """Scheme, host and port (RFC 6454): what politeness and credentials belong to."""
        return self.url.scheme, self.host, self.url.port or DEFAULT_PORTS[self.url.scheme]


def parse_url(text: str) -> httpx2.URL:
    """Read an address; raise FetchError without its text, which may hold secrets."""
    try:
        return httpx2.URL(text)
    except (httpx2.InvalidURL, UnicodeError):
        raise FetchError("the address cannot be read as a URL") from None


def host_of(url: httpx2.URL) -> str:
    """The host as DNS and TLS see it: lower case, IDNA in ASCII, an IPv6 address without brackets."""
    return url.raw_host.decode("ascii")


def check(url: httpx2.URL, policy: FetchPolicy) -> None:
    """Refuse what is no public web address: other schemes, no valid host, ports that nobody allowed."""
    host = host_of(url)
    if not _HOST.fullmatch(host):  # not repeated: a redirect may carry anything there, our secrets too
        raise FetchError("an address without a valid host is not fetched")
    if url.scheme not in DEFAULT_PORTS:
        raise FetchError(f"{host}: only http and https are fetched")
    port = url.port if url.port is not None else DEFAULT_PORTS[url.scheme]
    if not 0 < port < 65536:  # noqa: PLR2004 -- RFC 9293, 3.1
        raise FetchError(f"{host}: {port} is no port")
    if port not in policy.allow_ports and not policy.allowed.lists(host):
        raise FetchError(f"{host}: port {port} is not allowed; list the host in allow_private_hosts")


def next_hop(hop: Hop, *, status: int, location: str | None, policy: FetchPolicy) -> Hop:
    """Where a redirect leads (RFC 9110, 15.4); raise FetchError where it may not.

    Another origin gets none of the plug-in's headers, whatever they are called, and never a body. https does not fall
    back to http. A host that the operator allows to be private is not reached through one that is not listed.
    """
    if not location:
        raise FetchError(f"{hop.host}: a redirect ({status}) without a target")
    try:
        url = hop.url.join(location)
        url = url.copy_with(fragment=None, username=None, password=None)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise FetchError(f"{hop.host}: a redirect to an address that cannot be read") from None
    check(url, policy)
    if hop.url.scheme == "https" and url.scheme == "http":
        raise FetchError(f"{hop.host}: a redirect from https to http is refused")
    target = replace(hop, url=url)
    if policy.allowed.lists(target.host) and not policy.allowed.lists(hop.host):
        raise FetchError(
            f"{hop.host}: a redirect from a public host to {target.host}, which may be private, is refused"
        )
    if status == 303 or (status in (301, 302) and hop.method == "POST"):  # noqa: PLR2004 -- RFC 9110, 15.4.2 to 15.4.4
        target = replace(target, method="HEAD" if hop.method == "HEAD" else "GET", body=None)
    if target.origin != hop.origin and not _upgraded(hop, target):
        if target.method not in IDEMPOTENT:
            raise FetchError(f"{hop.host}: a redirect of a {hop.method} to another origin is refused")
        target = replace(target, headers={}, body=None)
    return target


def key_of(url: httpx2.URL) -> str:
    """The name under which the validators of a URL are stored: a hash, since the URL may hold secrets."""
    return sha256(str(url.copy_with(fragment=None)).encode()).hexdigest()[:32]


def shown(url: httpx2.URL) -> str:
    """A URL as logs may show it: without userinfo, query and fragment."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


def _upgraded(hop: Hop, target: Hop) -> bool:
    """The same host moved to https on the usual ports: the credentials go along, better protected than before."""
    return hop.origin == ("http", target.host, 80) and target.origin == ("https", hop.host, 443)
