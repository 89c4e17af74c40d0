"""The events of all open streams that Redis has not acknowledged: queued, in flight or held. Pure.

    state of a stream     next state
    idle                  ready: an event was added, or its lease is due for renewal
    ready                 in flight: the publisher took its batch
    in flight             idle, or ready for its next batch: Redis replied
                          held: Redis did not reply
    held                  ready: the backoff is over, the same batch is sent again

"Did not reply" includes errors that a retry may cure. A stream can be ready while its batch is in
flight.

A stream whose batches are in the spool (`OutboxStream.spooled`) waits for those, in any state.

Memory is limited. At the first limit deltas are rejected, because finals repeat their words; at the
second, everything except the end of a stream. Anything dropped but a delta leaves a hole in n, so
that readers see that an event is missing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.publishing.backlog import Backlog, Batch, UnencodableEvent
from gateway.publishing.event_store import Outcome, Reply
from gateway.transcript.events import StreamEnded, TranscriptDelta, TranscriptEvent
from gateway.transcript.keys import CallKeys


@dataclass(frozen=True, slots=True)
class Limits:
    """How the publisher batches, retries, retains and trims events."""

    flush_interval_s: float = 0.010  # most of an event's latency: p99 stays under 15 ms
    flush_events: int = 50  # flush at once from this many: larger batches save little more
    batch_events: int = 128  # of one stream per script call, during which Redis serves no one else
    exchange_events: int = 2000  # of all streams per exchange, which limits its size and duration
    exchange_timeout_s: float = 3.0
    backoff_first_s: float = 0.05
    backoff_max_s: float = 2.0
    buffered_events: int = 10_000  # in memory; beyond it, events are spooled or deltas are dropped
    buffered_events_hard: int = 20_000  # without room in the spool; beyond it, all are dropped
    full_s: float = 0.1  # how often room is looked for while there is none
    spill_events: int = 200  # spooled at a time: blocks the event loop for 2 ms
    lease_s: float = 30.0  # a stream counts as live for this long after its latest batch
    retention_s: int = 86_400  # of a call's events, after its latest event
    events_length: int = 100_000  # minimum length of a partition's `events`
    events_age_s: int = 86_400  # maximum age of its entries


@dataclass(eq=False, slots=True)
class OutboxStream:
    """The state of one open stream.

    Attributes:
        call_id: encoded.
        stream_id: encoded.
        keys: of the call.
        stream_header: from `encode.pack_stream`.
        backlog: events not yet acknowledged or spooled.
        on_fenced: called when another gateway has taken the stream over.
        opened_s: on the monotonic clock.
        lease_renewed_at: when a batch was last acknowledged, likewise.
        acknowledged_n: n of the newest acknowledged event.
        spooled: batches in the spool; the backlog comes after them.
        closed: no further event is accepted.
        refused: Redis refused a batch, and that was logged.
    """

    call_id: str
    stream_id: str
    keys: CallKeys
    stream_header: bytes
    on_fenced: Callable[[], None]
    opened_s: float
    lease_renewed_at: float
    backlog: Backlog
    acknowledged_n: int = 0
    spooled: int = 0
    closed: bool = False
    refused: bool = False


class ReplyEffect(NamedTuple):
    """What a reply changed.

    Attributes:
        is_done: the batch was written or refused, and is removed from the outbox.
        lost_events: acknowledged before, and missing now: Redis failed over to a late replica.
        dropped: types of the events that were dropped.
        unencodable: an event that was dropped because it could not be packed.
        has_more: the stream is ready to send another batch.
    """

    is_done: bool
    lost_events: int = 0
    dropped: Sequence[str] = ()
    unencodable: UnencodableEvent | None = None
    has_more: bool = False


class Outbox:
    """All open streams, in the order of their opening.

    Attributes:
        events: number of events in memory.
    """

    def __init__(self, limits: Limits) -> None:
        self.events = 0
        self._limits = limits
        self._open: dict[OutboxStream, None] = {}
        self._ready: dict[OutboxStream, None] = {}  # in the order in which they became ready
        self._held: dict[OutboxStream, None] = {}
        self._unanswered: dict[OutboxStream, None] = {}  # held, or sent again since

    def __iter__(self) -> Iterator[OutboxStream]:
        """Iterate over the open streams."""
        return iter(self._open)

    def __len__(self) -> int:
        """Return the number of open streams."""
        return len(self._open)

    def __contains__(self, stream: OutboxStream) -> bool:
        """Return whether a stream is open."""
        return stream in self._open

    def open(self, stream: OutboxStream) -> None:
        """Register a stream with nothing to write."""
        self._open[stream] = None

    def close(self, stream: OutboxStream) -> Sequence[str]:
        """Remove a stream; return the types of its events, which are dropped."""
        stream.closed = True
        types = stream.backlog.clear()
        self.events -= len(types)
        for streams in (self._open, self._ready, self._held, self._unanswered):
            streams.pop(stream, None)
        return types

    # Adding events

    @property
    def is_full(self) -> bool:
        """Whether the first limit is reached."""
        return self.events >= self._limits.buffered_events

    def admits(self, event: TranscriptEvent) -> bool:
        """Return whether an event has room. The end of a stream always has.

        Without its end, the janitor would declare the stream lost.
        """
        if isinstance(event, TranscriptDelta):
            return not self.is_full
        return self.events < self._limits.buffered_events_hard or isinstance(event, StreamEnded)

    def add(self, stream: OutboxStream, event: TranscriptEvent, unix_s: float) -> bool:
        """Queue an event.

        Args:
            stream: the event's stream.
            event: what to publish.
            unix_s: time of the event, Unix seconds.

        Returns:
            Whether the stream is ready now. If False, older events of it are waiting.
        """
        stream.backlog.add(event, unix_s)
        self.events += 1
        if stream in self._held or stream.spooled:
            return False
        self._ready[stream] = None
        return True

    def reject(self, stream: OutboxStream, event: TranscriptEvent) -> None:
        """Leave a hole in n for an event that has no room; deltas need none."""
        if not isinstance(event, TranscriptDelta):
            stream.backlog.lose()

    def shed_deltas(self) -> int:
        """Drop all queued deltas; return their number."""
        shed = sum(stream.backlog.shed_deltas() for stream in self._open)
        self.events -= shed
        return shed

    # Sending batches

    @property
    def ready(self) -> Sequence[OutboxStream]:
        """The streams to send next, in order."""
        return list(self._ready)

    @property
    def has_unsent(self) -> bool:
        """Whether any stream is ready or held."""
        return bool(self._ready or self._held)

    @property
    def has_held(self) -> bool:
        """Whether any stream waits for the backoff."""
        return bool(self._held)

    @property
    def has_unanswered(self) -> bool:
        """Whether any stream's latest batch has an unknown outcome, even if it was sent again."""
        return bool(self._held or self._unanswered)

    def next_batch(self, stream: OutboxStream, now_s: float) -> Batch:
        """Return a stream's unacknowledged batch, or pack its next one."""
        return stream.backlog.batch(self._limits.batch_events, now_s)

    def mark_in_flight(self, stream: OutboxStream) -> None:
        """Record that a stream's batch, or a renewal of its lease, is being sent or spooled."""
        self._ready.pop(stream, None)

    def spill_order(self) -> Sequence[OutboxStream]:
        """Return the open streams, first those that wait anyway; others may be sent any moment."""
        return sorted(self._open, key=lambda stream: not self._is_waiting(stream))

    def _is_waiting(self, stream: OutboxStream) -> bool:
        return stream in self._held or bool(stream.spooled)

    def schedule_renewals(self, since_s: float) -> None:
        """Make streams ready whose lease was last renewed before a time, except held ones."""
        for stream in self._open:
            if stream.lease_renewed_at <= since_s and stream not in self._held:
                self._ready[stream] = None

    def schedule_rest(self, stream: OutboxStream) -> bool:
        """Make a stream ready if it has more to send; remove it if it has ended.

        Returns:
            Whether it is ready.
        """
        if stream.spooled or stream not in self._open:
            return False
        if stream.backlog:
            self._ready[stream] = None
            return True
        if stream.closed:
            self.close(stream)
        return False

    # Replies

    def process_reply(
        self, stream: OutboxStream, batch: Batch, reply: Reply, now_s: float
    ) -> ReplyEffect:
        """Process the reply to a batch or a lease renewal of an open stream.

        Args:
            stream: the stream.
            batch: what was sent.
            reply: Redis's.
            now_s: when it arrived, on the monotonic clock.
        """
        self._unanswered.pop(stream, None)
        is_done = batch is stream.backlog.sent
        if reply.outcome is Outcome.UNKNOWN:
            self._hold(stream)
            return ReplyEffect(is_done=False)
        if reply.outcome is Outcome.FENCED:
            return ReplyEffect(is_done=False, dropped=self.close(stream))
        if reply.outcome is Outcome.WRITTEN:
            stream.lease_renewed_at = now_s
        if not is_done:
            return ReplyEffect(is_done=False)
        lost, dropped = 0, batch.types
        if reply.outcome is Outcome.WRITTEN:
            lost, dropped = max(0, stream.acknowledged_n - reply.written_n), ()
            stream.acknowledged_n = batch.last_n
        self.remove_batch(stream, batch)
        has_more = self.schedule_rest(stream)
        return ReplyEffect(is_done, lost, dropped, batch.unencodable, has_more)

    def remove_batch(self, stream: OutboxStream, batch: Batch) -> None:
        """Remove the current batch of a stream: it is written, refused or spooled."""
        stream.backlog.remove_batch()
        self.events -= len(batch) + (batch.unencodable is not None)

    def _hold(self, stream: OutboxStream) -> None:
        self._ready.pop(stream, None)
        self._held[stream] = self._unanswered[stream] = None

    def hold_all(self) -> None:
        """Hold every stream with something to send: the outcome of its batch is unknown."""
        self._held.update((stream, None) for stream in self._open if stream.backlog)

    def retry_held(self) -> None:
        """Make the held streams ready: the backoff is over."""
        self._ready.update(self._held)
        self._held.clear()
