"""The events in memory, of all streams: which get in, which are shed, which go to the spool.

    below the bound         all get in
    at the bound            the oldest of some streams go to the spool, and make room
    no room there either    deltas are shed, because finals repeat their words; others get in
    at the second bound     only the end of a stream gets in

Whatever is dropped but a delta leaves a hole in n: what is missing must be seen.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import structlog

from gateway.metrics import Metrics
from gateway.publishing.backlog import Batch
from gateway.publishing.overflow import Overflow
from gateway.publishing.stream_writer import Limits, StreamWriter
from gateway.publishing.streams import Streams
from gateway.transcript.encode import type_of
from gateway.transcript.events import StreamEnded, TranscriptDelta, TranscriptEvent

_log = structlog.get_logger()


class Buffer:
    """All backlogs taken together.

    Args:
        limits: its bounds.
        streams: whose backlogs they are.
        overflow: the spool.
        metrics: where drops are counted.
        on_spilled: called when the spool has batches that may be written at once.
        clock: monotonic seconds.
        wall: Unix seconds.
    """

    def __init__(
        self,
        limits: Limits,
        streams: Streams,
        overflow: Overflow,
        metrics: Metrics,
        *,
        on_spilled: Callable[[], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._streams = streams
        self._overflow = overflow
        self._metrics = metrics
        self._on_spilled = on_spilled
        self._clock = clock
        self._wall = wall
        self._full_until_s = 0.0  # no room was found anywhere
        self.events = 0

    def add(self, writer: StreamWriter, event: TranscriptEvent) -> bool:
        """Put an event into its stream's backlog; False if it was dropped for want of room."""
        is_delta = isinstance(event, TranscriptDelta)
        has_room = self.events < self._limits.buffered_events or self._find_room(is_delta=is_delta)
        # The end always has room: without it the janitor would declare the stream lost.
        if not has_room and not isinstance(event, StreamEnded):
            self.count_dropped([type_of(event)])
            if not is_delta:
                writer.backlog.lose()
            return False
        writer.backlog.add(event, self._wall())
        self.events += 1
        return True

    def _find_room(self, *, is_delta: bool) -> bool:
        now_s = self._clock()
        if now_s >= self._full_until_s:  # else with each event: both look at all streams
            if self.spill():
                return True
            self._shed_deltas()
            self._full_until_s = now_s + self._limits.full_s
        limits = self._limits
        return self.events < (limits.buffered_events if is_delta else limits.buffered_events_hard)

    def _shed_deltas(self) -> None:
        shed = sum(writer.backlog.shed_deltas() for writer in self._streams)
        self.events -= shed
        self._metrics.redis_dropped_events_total.labels("transcript.delta").inc(shed)

    def spill(self) -> int:
        """Move some events to the spool; say how many."""
        moved = 0
        # First those known to wait: the others may be written any moment.
        for writer in sorted(self._streams, key=lambda w: not self._streams.is_waiting(w)):
            while writer.backlog and moved < self._limits.spill_events:
                batch = writer.backlog.batch(self._limits.batch_events, self._clock())
                if len(batch) and not self._overflow.take(writer, batch):
                    return moved
                moved += len(batch)
                self.acknowledge(writer, batch)
                self._streams.unready(writer)
        if not self._streams.has_held:
            self._on_spilled()
        return moved

    def acknowledge(self, writer: StreamWriter, batch: Batch) -> None:
        """Forget a batch: it is written, refused for good, or in the spool."""
        writer.backlog.acknowledge()
        self.events -= len(batch)
        if unencodable := batch.unencodable:
            self.events -= 1
            self.count_dropped([unencodable.type])
            _log.error("internal-error", call_id=writer.call_id, error=unencodable.error)

    def drop(self, writer: StreamWriter) -> int:
        """Drop what a stream has here; say how many events."""
        types = writer.backlog.clear()
        self.count_dropped(types)
        self.events -= len(types)
        return len(types)

    def count_dropped(self, types: Iterable[str]) -> None:
        """Count events that nobody will read, wherever they were dropped."""
        for kind, count in Counter(types).items():
            self._metrics.redis_dropped_events_total.labels(kind).inc(count)
