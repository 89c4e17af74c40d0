"""The live media streams of the process: admission up to a limit, draining, and ending at shutdown.

    state      new streams         live streams   next state
    accepting  up to the limit     continue       draining: SIGTERM, or the admin API
    draining   refused             continue       ending: timeout, hurry, or no stream left
    ending     refused             are ended      process exit: no stream left, or timeout

While ending, a track that can't reach the model is failed after a few seconds: neither other
streams nor the process should wait for words that will not arrive.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import structlog

from gateway.calls.snapshot import StreamSnapshot
from gateway.calls.termination import DRAINED, Termination
from gateway.errors import CarrierError

# While ending, a track without a session for this long is failed. By then about six attempts to
# open one have failed (`calls/sessions.py` backs off for at most 5 s).
_UNREACHABLE_S: Final = 5.0
_POLL_S: Final = 0.1  # how often streams are checked while ending
_AT_ONCE_S: Final = 2.0  # for the final events of streams that are ended at once

_log = structlog.get_logger()


class LoadGauge(Protocol):
    """The measured load of the process: `admission/overload.py`."""

    is_overloaded: bool

    def update(self, calls: int) -> None:
        """Set `is_overloaded`: whether the last of this number of calls is one too many."""


class LiveStream(Protocol):
    """A media stream, as the registry sees it. No method waits."""

    def end(self, termination: Termination) -> None:
        """End it after its pending words. If it is ending already, the first reason is kept."""

    def fail_unreachable(self, after_s: float) -> None:
        """Fail its tracks that have had no live session for `after_s`."""

    def snapshot(self) -> StreamSnapshot | None:
        """Return its state; None before its carrier has announced the call."""


class LiveStreams:
    """Admits streams up to a limit, finds them, and ends them all at shutdown.

    Args:
        limit: maximum number of concurrent media streams.
        draining: while set, new streams are refused.
        load: refuses new streams while the process is overloaded.

    Attributes:
        admitted: number of admitted streams that have not ended.
    """

    def __init__(
        self, limit: int, draining: asyncio.Event | None = None, load: LoadGauge | None = None
    ) -> None:
        self.admitted = 0
        self._limit = limit
        self._draining = draining or asyncio.Event()
        self._load = load
        self._streams: dict[LiveStream, None] = {}  # in the order of their registration
        self._termination: Termination | None = None  # of streams registered while ending
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def draining(self) -> bool:
        """Whether new streams are refused because the process is ending."""
        return self._draining.is_set()

    def start_draining(self) -> None:
        """Refuse new streams from now on. Idempotent."""
        self._draining.set()

    @property
    def overloaded(self) -> bool:
        """Whether new streams are refused because the process is overloaded."""
        return self._load is not None and self._load.is_overloaded

    def check_accepting(self) -> None:
        """Raise CarrierError (draining, overloaded; answer 503) if new calls are refused."""
        if self.draining:
            raise CarrierError("draining")
        if self._load:
            self._load.update(self.admitted + 1)
            if self._load.is_overloaded:
                raise CarrierError("overloaded")

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count one stream against the limit, from before its upgrade until it has ended.

        Raises:
            CarrierError: draining, overloaded or at-capacity; answer 503.
        """
        self.check_accepting()
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
    def hold(self, stream: LiveStream) -> Iterator[None]:
        """Register a live stream for as long as the context lasts."""
        self._streams[stream] = None
        if self._termination:  # it was admitted before the shutdown and upgraded only now
            stream.end(self._termination)
        try:
            yield
        finally:
            del self._streams[stream]

    def snapshots(self, call_id: str | None = None) -> list[StreamSnapshot]:
        """Return the state of announced streams, oldest first: all, or those of one call."""
        return [snapshot for _, snapshot in self._announced(call_id)]

    def end_call(
        self,
        call_id: str,
        termination: Termination,
        *,
        carrier: str | None = None,
        stream_id: str | None = None,
        idle_s: float = 0,
    ) -> list[StreamSnapshot]:
        """End streams of a call after their pending words.

        Args:
            call_id: the call's id, encoded as in events.
            termination: why they end.
            carrier: only this carrier's; None: any carrier's with this call id.
            stream_id: only this stream; None: all of the call.
            idle_s: only streams that have had no media for this many seconds.

        Returns:
            The ended streams, as they were before.
        """
        found = [
            (stream, snapshot)
            for stream, snapshot in self._announced(call_id)
            if carrier in (None, snapshot.carrier)
            and stream_id in (None, snapshot.stream_id)
            and snapshot.idle_s >= idle_s
        ]
        for stream, _ in found:
            stream.end(termination)
        return [snapshot for _, snapshot in found]

    def _announced(self, call_id: str | None) -> Iterator[tuple[LiveStream, StreamSnapshot]]:
        for stream in self._streams:
            snapshot = stream.snapshot()
            if snapshot and call_id in (None, snapshot.call_id):
                yield stream, snapshot

    async def drain(self, timeout_s: float, hurry: asyncio.Event) -> None:
        """Refuse new streams; wait until none is left, the timeout, or `hurry` is set."""
        self.start_draining()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._empty, hurry)]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def end_all(self, timeout_s: float, at_once: asyncio.Event | None = None) -> None:
        """Refuse new streams, end the live ones and wait for their pending words.

        Args:
            timeout_s: maximum duration.
            at_once: when set, stop waiting for words; wait only for each `stream.ended`.
        """
        self.start_draining()
        self._termination = DRAINED
        for stream in list(self._streams):
            stream.end(DRAINED)
        at_once = at_once or asyncio.Event()
        try:
            async with asyncio.timeout(timeout_s):
                while not (self._empty.is_set() or at_once.is_set()):
                    self._fail_unreachable(_UNREACHABLE_S)
                    await asyncio.sleep(_POLL_S)
            async with asyncio.timeout(_AT_ONCE_S):
                while at_once.is_set() and self._streams:
                    self._fail_unreachable(0)
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            _log.error("drain-timeout", streams=self.admitted)

    def _fail_unreachable(self, after_s: float) -> None:
        for stream in list(self._streams):
            stream.fail_unreachable(after_s)
