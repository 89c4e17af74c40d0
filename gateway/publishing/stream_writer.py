"""One stream's writer, and the sizes and times that all of them keep."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.publishing.backlog import Backlog
from gateway.transcript.events import TranscriptEvent
from gateway.transcript.keys import CallKeys


@dataclass(frozen=True, slots=True)
class Limits:
    """How the publisher batches, waits, keeps and trims."""

    flush_interval_s: float = 0.010  # most of an event's way: p99 stays under 15 ms
    flush_events: int = 50  # flush at once when so many wait: larger batches save little more
    batch_events: int = 128  # of one stream per script call; Redis serves nobody else meanwhile
    exchange_events: int = 2000  # of all streams per exchange, which bounds its bytes and time
    exchange_timeout_s: float = 3.0
    backoff_first_s: float = 0.05
    backoff_max_s: float = 2.0
    buffered_events: int = 10_000  # in memory; past it they go to the spool, or deltas are shed
    buffered_events_hard: int = 20_000  # without room in the spool; past it everything is dropped
    full_s: float = 0.1  # without room anywhere, until it is looked for again
    spill_events: int = 200  # to the spool at a time: 2 ms of the event loop
    lease_s: float = 30.0  # how long a stream counts as live after its owner's last sign
    retention_s: int = 86_400  # of a call's events, from its last sign of life
    events_length: int = 100_000  # kept per partition in `events`, at least
    events_age_s: int = 86_400  # and for how long


@dataclass(eq=False, slots=True)
class StreamWriter:
    """Where one stream's events go; implements `EventWriter`."""

    call_id: str  # encoded
    stream_id: str  # encoded
    keys: CallKeys
    stream_header: bytes  # encode.pack_stream
    backlog: Backlog
    on_fenced: Callable[[], None]
    take: Callable[["StreamWriter", TranscriptEvent], None]
    opened_s: float  # on the monotonic clock
    lease_renewed_at: float  # when a batch was last acknowledged, which renewed the lease
    acknowledged_n: int = 0
    spooled: int = 0  # batches in the spool: what is in the backlog comes after them
    closed: bool = False
    refused: bool = False

    def publish(self, event: TranscriptEvent) -> None:
        """Queue one event, in order, without waiting; drop and count events after the end."""
        self.take(self, event)
