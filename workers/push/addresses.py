"""Decides which addresses webhooks may connect to. Pure.

An address of a webhook is chosen by whoever writes the subscriptions, and its name may resolve to
anything. Only addresses of the public internet are allowed, unless the operator allows others: no
private, loopback, link-local, multicast or reserved ones, and no services of a cloud's host. An
IPv6 address that contains an IPv4 address is as public as that one.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

# Networks that `is_global` calls public and that a webhook must not reach.
_REFUSED: Final[tuple[Network, ...]] = (
    ip_network("168.63.129.16/32"),  # Azure's host services: a public address inside every VM
    ip_network("192.88.99.0/24"),  # relays of 6to4, RFC 7526
    ip_network("3fff::/20"),  # documentation, RFC 9637
    ip_network("5f00::/16"),  # SRv6 segment ids, RFC 9602
    ip_network("fec0::/10"),  # site-local, RFC 3879
)
# Networks of IPv6 whose addresses contain one of IPv4, and how many bits follow it.
_CONTAINING: Final[tuple[tuple[IPv6Network, int], ...]] = (
    (IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped, RFC 4291
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated, RFC 2765
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
)
# These contain an IPv4 address in a form that depends on the network, or in part of the address.
_TRANSLATED: Final = (
    IPv6Network("64:ff9b:1::/48"),  # NAT64 in local use, RFC 8215
    IPv6Network("2001::/32"),  # Teredo, RFC 4380
)


def is_allowed(host: str, allowed: Iterable[Network] = ()) -> bool:
    """Return whether a webhook may connect to an address.

    Args:
        host: the address as text, of either version; a zone (`%eth0`) is ignored.
        allowed: networks that the operator allows whatever is in them.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    plain = contained(address)
    if any(each in network for network in allowed for each in {address, plain}):
        return True
    return _is_public(plain)


def contained(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address contains; otherwise the address."""
    if isinstance(address, IPv6Address):
        for network, bits_after in _CONTAINING:
            if address in network:
                return IPv4Address((int(address) >> bits_after) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if any(address in network for network in (*_REFUSED, *_TRANSLATED)):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
