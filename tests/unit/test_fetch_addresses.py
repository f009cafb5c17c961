"""Addresses: public ones pass, everything else is refused unless the operator allows it."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.fetch.addresses import AllowList, refusal, unwrap
from listener.fetch.policy import FetchPolicy

NOBODY = AllowList.parse(())


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "172.32.0.1",
        "192.169.0.1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_public_addresses_pass(address: str) -> None:
    """Also where an IPv6 address only carries a public IPv4 one."""
    assert refusal(ip_address(address)) is None


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "private"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "reserved"),
        ("192.0.0.8", "private"),
        ("192.0.0.200", "reserved"),
        ("192.88.99.1", "reserved"),
        ("198.18.0.1", "private"),
        ("203.0.113.7", "private"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "private"),
        ("255.255.255.255", "private"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::127.0.0.1", "reserved"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("fec0::1", "reserved"),
        ("ff02::1", "multicast"),
        ("2001::1", "private"),
        ("2001:db8::1", "private"),
        ("3fff::1", "reserved"),
        ("5f00::1", "reserved"),
        ("100::1", "private"),
        ("64:ff9b:1::1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a00:1", "private"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::1", "link-local"),
    ],
)
def test_other_addresses_are_refused(address: str, kind: str) -> None:
    """Each special-purpose block of IANA's registries, bare and wrapped in IPv6."""
    found = refusal(ip_address(address))
    assert found is not None
    # Which of several true words is used differs between patch versions of Python; the refusal does not.
    assert found == kind or {found, kind} <= {"private", "reserved"}


@given(st.integers(min_value=0, max_value=2**32 - 1).map(IPv4Address))
def test_wrapping_changes_nothing(address: IPv4Address) -> None:
    """What is refused bare is refused as mapped, NAT64 and 6to4 address too."""
    mapped = IPv6Address((0xFFFF << 32) | int(address))
    nat64 = IPv6Address((0x0064_FF9B << 96) | int(address))
    six_to_four = IPv6Address((0x2002 << 112) | (int(address) << 80) | 1)
    for wrapped in (mapped, nat64, six_to_four):
        assert unwrap(wrapped) == address
        assert refusal(wrapped) == refusal(address)


def test_the_operator_allows_by_name_address_and_network() -> None:
    """A name admits its host wherever it is; a network admits every host in it; nothing else changes."""
    allowed = AllowList.parse({"Wiki.Corp.", "10.1.0.0/16", "127.0.0.1", "[::1]"})
    inside, outside = ip_address("10.1.2.3"), ip_address("10.2.0.1")
    assert allowed.admits("wiki.corp", outside)
    assert allowed.admits("anything", inside)
    assert allowed.admits("anything", ip_address("::ffff:10.1.2.3"))
    assert allowed.admits("[::1]".strip("[]"), ip_address("::1"))
    assert not allowed.admits("anything", outside)
    assert not allowed.admits("evil.wiki.corp", outside)
    assert not NOBODY.admits("127.0.0.1", ip_address("127.0.0.1"))


def test_listed_hosts() -> None:
    """What the port rule and the redirect rule ask: did the operator name this host?"""
    allowed = AllowList.parse({"wiki.corp", "10.0.0.0/8", "sõnaraamat.corp"})
    assert allowed.lists("WIKI.corp.")
    assert allowed.lists("10.9.9.9")
    assert allowed.lists("xn--snaraamat-q7a.corp")
    assert not allowed.lists("example.org")
    assert not allowed.lists("11.0.0.1")


@pytest.mark.parametrize(
    "entry", ["", " ", "http://wiki.corp", "wiki.corp:8080", "10.0.0.0/99", "user@host", "*.corp", ".corp", "a" * 64]
)
def test_an_entry_that_cannot_be_read_is_a_fault(entry: str) -> None:
    """Better no start than a hole or a silent no."""
    with pytest.raises(ValueError, match="neither a host name"):
        FetchPolicy(user_agent="listener/test", allow_private_hosts=frozenset({entry}))


@pytest.mark.parametrize("agent", ["", "  ", "listener\r\nX-Injected: 1", "kuulaja/ü"])
def test_the_user_agent_must_be_a_header(agent: str) -> None:
    """It is checked once at the start, not at the first request."""
    with pytest.raises(ValueError, match="user_agent"):
        FetchPolicy(user_agent=agent)
