"""File descriptors: raises the process' limit, and keeps a reserve for live connections."""

import errno
import os
import resource
import time
from collections.abc import Callable
from typing import Final

_MOST: Final = 1 << 20  # not "unlimited": some libraries loop over all possible descriptors
_COUNTED_FOR_S: Final = 0.1  # counting lists a directory: too slow to do for each connection
_RESERVE: Final = 512


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one: each live call needs two to four."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Descriptors:
    """Decides whether a new connection may take a descriptor.

    An eighth of the limit, 512 at most, is kept for the live calls' sessions, for Redis, for the
    spool's files and for the private port.

    Args:
        monotonic_s: seconds.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._counted_s = float("-inf")
        self._open = 0

    def has_room(self) -> bool:
        """Return whether more than the reserve is free, after a connection was accepted."""
        now_s = self._monotonic_s()
        if now_s - self._counted_s >= _COUNTED_FOR_S:
            self._counted_s = now_s
            self._open = count_open()
        else:
            self._open += 1
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return limit == resource.RLIM_INFINITY or self._open <= limit - self.reserve

    @property
    def reserve(self) -> int:
        """Number of descriptors that new connections may not take."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return _RESERVE if limit == resource.RLIM_INFINITY else min(_RESERVE, limit // 8)


def count_open() -> int:
    """Count the descriptors that the process has open."""
    try:
        return len(os.listdir("/dev/fd")) - 1  # noqa: PTH208 - names alone; one is the listing's
    except OSError as error:  # none is left even to count them; or the system can't tell
        return 1 << 31 if error.errno in (errno.EMFILE, errno.ENFILE) else 0
