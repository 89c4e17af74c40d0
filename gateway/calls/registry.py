"""The media streams that are live in this process: how many may be, and how all are ended.

state       new streams    live streams              left by
taking      up to a limit  live on                   start_draining (SIGTERM, the admin API)
draining    refused        live on                   a deadline, a hurry, or no stream left
ending      refused        ended, their last words   no stream left, a time-out, or `at_once`

While ending, a track that has no way to the model is given up after a few seconds: other streams
and the process need not wait for words that do not come.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import structlog

from gateway.calls.snapshot import StreamSnapshot
from gateway.calls.termination import DRAINED, Termination
from gateway.errors import CarrierError

# A track of a stream that is being ended may be without a session for so long. By then about six
# attempts to open one have failed (`calls/sessions.py` backs off for 5 s at most).
_HOPELESS_S: Final = 5.0
_LOOK_S: Final = 0.1  # how often streams are looked at meanwhile
_RECORDS_S: Final = 2.0  # for the last events of streams that are ended at once

_log = structlog.get_logger()


class LoadGauge(Protocol):
    """The measured load of the process: `admission/overload.py`."""

    is_overloaded: bool

    def refuses(self, calls: int) -> bool:
        """Return whether this number of calls would be too many."""


class LiveStream(Protocol):
    """A media stream, as far as it is known here."""

    def end(self, termination: Termination) -> None:
        """End it with its last words; the first reason stays. Does not wait."""

    def fail_unreachable(self, after_s: float) -> None:
        """Stop waiting for tracks that have been without a session for so long. Does not wait."""

    def snapshot(self) -> StreamSnapshot | None:
        """Describe it as it is now; None before its carrier has announced the call."""


class LiveStreams:
    """Admits streams up to a limit, finds them, and ends them all at shutdown.

    Args:
        limit: media streams at once.
        draining: once set, by whoever has it, new streams are refused.
        load: refuses them when the process is overloaded.
    """

    def __init__(
        self, limit: int, draining: asyncio.Event | None = None, load: LoadGauge | None = None
    ) -> None:
        self.admitted = 0
        self._limit = limit
        self._draining = draining or asyncio.Event()
        self._load = load
        self._streams: dict[LiveStream, None] = {}  # in the order they came
        self._termination: Termination | None = None  # what a stream that was late to be known gets
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

    def refuse_new(self) -> None:
        """Raise CarrierError (draining, overloaded; answer 503) if new calls are refused."""
        if self.draining:
            raise CarrierError("draining")
        if self._load and self._load.refuses(self.admitted + 1):
            raise CarrierError("overloaded")

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place for one stream, from before its upgrade until it has ended.

        Raises:
            CarrierError: draining, overloaded or at-capacity; answer 503.
        """
        self.refuse_new()
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
        """Know a stream while it lives."""
        self._streams[stream] = None
        if self._termination:  # its upgrade took until now
            stream.end(self._termination)
        try:
            yield
        finally:
            del self._streams[stream]

    def snapshots(self, call_id: str | None = None) -> list[StreamSnapshot]:
        """Describe the announced streams, oldest first: all of them, or those of one call."""
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
        """End streams of a call with their last words.

        Args:
            call_id: the call's.
            termination: why.
            carrier: None ends those of all carriers that have a call of that id.
            stream_id: None ends all of the call.
            idle_s: only streams without media for so long.

        Returns:
            Those that were ended, as they were before.
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
        """Refuse new streams and wait until none is left, the time is over, or `hurry` is set."""
        self.start_draining()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._empty, hurry)]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def end_all(self, timeout_s: float, at_once: asyncio.Event | None = None) -> None:
        """Refuse new streams, end the live ones and wait for their last words.

        Args:
            timeout_s: the longest wait.
            at_once: once set, nothing but the streams' last events is waited for.
        """
        self.start_draining()
        self._termination = DRAINED
        for stream in list(self._streams):
            stream.end(DRAINED)
        at_once = at_once or asyncio.Event()
        try:
            async with asyncio.timeout(timeout_s):
                while not (self._empty.is_set() or at_once.is_set()):
                    self._fail_unreachable(_HOPELESS_S)
                    await asyncio.sleep(_LOOK_S)
            async with asyncio.timeout(_RECORDS_S):
                while at_once.is_set() and self._streams:
                    self._fail_unreachable(0)
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            _log.error("drain-timeout", streams=self.admitted)

    def _fail_unreachable(self, after_s: float) -> None:
        for stream in list(self._streams):
            stream.fail_unreachable(after_s)
