"""Which IP addresses we may connect to: public ones, and those that the operator allows. Pure.

Sources are configured by people and pages link anywhere, so that an address decides after the look-up, never the name
(server-side request forgery, OWASP SSRF cheat sheet). The registries are IANA's special-purpose address registries.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_NAME = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63})*")

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056: an IPv4 address in bits 16 to 48
GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291: all that IANA hands out
# What `ipaddress` of Python 3.11 calls global and nobody should be asked at.
NEVER = (
    ip_network("192.88.99.0/24"),  # 6to4 relays, RFC 7526
    ip_network("192.0.0.0/24"),  # IETF protocol assignments, RFC 6890
    ip_network("100.64.0.0/10"),  # carrier-grade NAT, RFC 6598
    ip_network("2001::/23"),  # IETF protocol assignments, with Teredo
    ip_network("3fff::/20"),  # documentation, RFC 9637
    ip_network("5f00::/16"),  # segment routing, RFC 9602
)


def unwrap(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one carries (mapped, NAT64, 6to4), or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFF_FFFF)
    return address


def refusal(address: IPAddress) -> str | None:
    """Why we do not connect to ``address``: the kind of address it is; None for a public one."""
    inner = unwrap(address)
    kinds = (
        ("unspecified", inner.is_unspecified),
        ("loopback", inner.is_loopback),
        ("link-local", inner.is_link_local),
        ("multicast", inner.is_multicast),
        ("private", inner.is_private),
        ("reserved", inner.is_reserved or not inner.is_global or any(inner in network for network in NEVER)),
        ("reserved", isinstance(inner, IPv6Address) and inner not in GLOBAL_UNICAST),
    )
    return next((kind for kind, holds in kinds if holds), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """The hosts that may be private and on any port: names, and networks (an address is a network of one)."""

    names: frozenset[str]
    networks: tuple[IPNetwork, ...]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Read names, addresses and CIDR networks; raise ValueError on an entry that is none of them."""
        names, networks = set(), []
        for entry in sorted(entries):
            bare = entry.strip().strip("[]").lower().rstrip(".")
            try:
                networks.append(ip_network(bare, strict=False))
            except ValueError:
                if not _NAME.fullmatch(bare):
                    raise ValueError(f"{entry!r} is neither a host name nor an IP address nor a network") from None
                names.add(bare.encode("idna").decode("ascii"))
        return cls(names=frozenset(names), networks=tuple(networks))

    def lists(self, host: str) -> bool:
        """Whether the operator named this host, by name or as a literal address."""
        if host.lower().rstrip(".") in self.names:
            return True
        try:
            return self._covers(ip_address(host))
        except ValueError:
            return False

    def admits(self, host: str, address: IPAddress) -> bool:
        """Whether ``host`` may be reached at ``address``, private or not."""
        return self.lists(host) or self._covers(address) or self._covers(unwrap(address))

    def _covers(self, address: IPAddress) -> bool:
        return any(address in network for network in self.networks)
