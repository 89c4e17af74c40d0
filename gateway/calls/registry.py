"""The media streams that are live in this process: how many may be, and how all are ended."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from gateway.calls.stream import DRAINED, CallStream
from gateway.errors import CarrierError

_log = structlog.get_logger()


class LiveStreams:
    """Admits streams up to a limit and ends them all at shutdown."""

    def __init__(self, limit: int) -> None:
        self.admitted = 0
        self.draining = False  # new streams are refused because the process is ending
        self._limit = limit
        self._streams: set[CallStream] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place for one stream, from before its upgrade until it has ended.

        Raises:
            CarrierError: draining or at-capacity; answer 503.
        """
        if self.draining:
            raise CarrierError("draining")
        if self.admitted >= self._limit:
            raise CarrierError("at-capacity")
        self.admitted += 1
        self._empty.clear()
        try:
            yield
        finally:
            self.admitted -= 1
            if not self.admitted:
                self._empty.set()

    @contextmanager
    def hold(self, stream: CallStream) -> Iterator[None]:
        """Know a stream while it lives."""
        self._streams.add(stream)
        try:
            yield
        finally:
            self._streams.discard(stream)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new streams, end the live ones, wait for their last words, not for ever."""
        self.draining = True
        for stream in list(self._streams):
            stream.end(DRAINED)
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            _log.error("drain-timeout", streams=self.admitted)
