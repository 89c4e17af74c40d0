"""The process's file descriptors and memory: raises and reserves the former, returns the latter."""

import asyncio
import contextlib
import ctypes
import errno
import os
import resource
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

_MAX_LIMIT: Final = 1 << 20  # not unlimited: some libraries loop over all possible descriptors
_COUNT_VALID_S: Final = 0.1  # counting lists a directory, which is too slow for each connection
_RESERVE: Final = 512
_TRIM_EVERY_S: Final = 60.0


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard limit: each call needs two to four."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_LIMIT if hard == resource.RLIM_INFINITY else min(hard, _MAX_LIMIT)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Descriptors:
    """Decides whether a new connection may take a descriptor.

    An eighth of the limit, 512 at most, is reserved for the sessions of live calls, for Redis, for
    the spool's files and for the private port.

    Args:
        monotonic_s: the monotonic clock, in seconds.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._counted_s = float("-inf")
        self._open = 0

    def has_room(self) -> bool:
        """Return whether a connection that was just accepted has left the reserve free."""
        now_s = self._monotonic_s()
        if now_s - self._counted_s >= _COUNT_VALID_S:
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
        return len(os.listdir("/dev/fd")) - 1  # noqa: PTH208 - minus the one of the listing itself
    except OSError as error:  # no descriptor is left to list them, or there is no /dev/fd
        return 1 << 31 if error.errno in (errno.EMFILE, errno.ENFILE) else 0


@contextlib.asynccontextmanager
async def returning_memory() -> AsyncIterator[None]:
    """Return freed memory to the system once a minute for as long as the context lasts.

    glibc keeps freed memory that is between blocks in use. After an outage, during which audio
    and events were buffered, a gateway measured 146 MB, and 126 MB after a trim. With other C
    libraries nothing is done.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        yield
        return

    async def run() -> None:
        while True:
            await asyncio.sleep(_TRIM_EVERY_S)
            await asyncio.to_thread(trim, 0)  # takes a few milliseconds; ctypes releases the GIL

    task = asyncio.create_task(run(), name="memory")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
