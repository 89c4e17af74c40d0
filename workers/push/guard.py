"""Refuses connections to addresses that webhooks must not reach.

The address is checked when its socket is created, after the name was resolved. There is no moment
between the check and the connection at which a name could resolve to another address (DNS
rebinding), and an address in a URL is checked like a resolved one.
"""

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any

from workers.push.addresses import Network, is_allowed


class AddressRefusedError(OSError):
    """The address is not a public one. The message does not contain it."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the address is not allowed")


def guarded_sockets(allowed: Sequence[Network]) -> Callable[[Any], socket.socket]:
    """Return a `socket_factory` for aiohttp's connector.

    Args:
        allowed: networks that are allowed besides public addresses.
    """

    def create(info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0]), allowed):
            raise AddressRefusedError
        return socket.socket(family, kind, protocol)

    return create
