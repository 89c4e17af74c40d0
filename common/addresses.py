"""Binds listening sockets to the addresses that a setting names.

127.0.0.1            one address
::                   all addresses of this host, IPv4 and IPv6
0.0.0.0              all IPv4 addresses of this host
10.0.0.5,fd00::5     several addresses; [fd00::5] and host names are accepted, too
"""

import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Final, NamedTuple

from common.settings import SettingsError

_EVERYWHERE: Final = "::"
_ALL_IPV4: Final = "0.0.0.0"  # noqa: S104 - only if the setting says so
_PORTS_TRIED: Final = 20  # a port that is free on the first address may be taken on another
_WHY: Final = {
    errno.EADDRINUSE: "another process listens there",
    errno.EADDRNOTAVAIL: "this host has no such address",
    errno.EACCES: "ports below 1024 require a privilege",
    errno.EAFNOSUPPORT: "this host has no IPv6; use 0.0.0.0 for all IPv4 addresses",
}


class _Address(NamedTuple):
    family: socket.AddressFamily
    host: str  # numeric
    details: tuple[int, ...]  # flow info and scope id of an IPv6 address


def bind(hosts: str, port: int) -> list[socket.socket]:
    """Bind a socket to each address of a comma-separated list, all to the same port.

    Args:
        hosts: numeric addresses or host names.
        port: the port; 0 chooses one that is free on all addresses.

    Raises:
        SettingsError: an address can't be bound; the message names it and the cause.
    """
    addresses = _without_covered(list(dict.fromkeys(_addresses(hosts))))
    tries = 1 if port else _PORTS_TRIED
    while True:
        tries -= 1
        try:
            return _bind_all(addresses, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not tries:
                why = _WHY.get(error.errno or 0, error.strerror)
                raise SettingsError(f"can't listen on {error.filename}: {why}") from None


def _addresses(hosts: str) -> Iterator[_Address]:
    names = [name.strip() for name in hosts.split(",")]
    for name in names:
        bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
        if not bare:
            raise SettingsError(f"can't listen on {hosts!r}: an address is empty")
        try:
            found = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError):
            raise SettingsError(f"can't listen on {bare!r}: no such host or address") from None
        for family, _, _, _, (host, _, *details) in found:
            yield _Address(family, str(host), tuple(details))


def _without_covered(addresses: list[_Address]) -> list[_Address]:
    """Remove addresses that a wildcard address covers: binding both would fail."""
    everywhere = [address for address in addresses if address.host == _EVERYWHERE]
    if everywhere:
        return everywhere
    covers_ipv4 = any(address.host == _ALL_IPV4 for address in addresses)
    return [
        address
        for address in addresses
        if not covers_ipv4 or address.family != socket.AF_INET or address.host == _ALL_IPV4
    ]


def _bind_all(addresses: list[_Address], port: int) -> list[socket.socket]:
    with contextlib.ExitStack() as bound:
        sockets = []
        for address in addresses:
            listener = bound.enter_context(_bind(address, port))
            port = listener.getsockname()[1]
            sockets.append(listener)
        bound.pop_all()
        return sockets


def _bind(address: _Address, port: int) -> socket.socket:
    """Bind one socket and listen. A raised OSError has the address as its `filename`."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    try:
        with contextlib.ExitStack() as opened:
            listener = opened.enter_context(socket.socket(address.family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if address.family == socket.AF_INET6:
                only_ipv6 = address.host != _EVERYWHERE
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
            listener.bind((address.host, port, *address.details))
            listener.listen()
            listener.setblocking(False)
            opened.pop_all()
            return listener
    except OSError as error:
        error.filename = f"{host}:{port}"
        raise
