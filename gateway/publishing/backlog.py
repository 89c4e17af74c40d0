"""One stream's events between the call and Redis. Pure.

`take` queues an event; `batch` numbers the oldest ones and packs them; the batch stays the same
until `acknowledge`, however often it has to be sent.

Numbers are given when a batch is packed, so a delta that was shed before leaves no hole in n. An
event of another type that had to be dropped does leave one: what is missing must be seen.
"""

from collections import deque
from dataclasses import dataclass, field

from gateway.transcript.encode import flatten, pack_batch, pack_event, type_of
from gateway.transcript.events import StreamEnded, TranscriptDelta, TranscriptEvent


@dataclass(frozen=True, slots=True)
class UnencodableEvent:
    """An event that could not be packed; a hole in n stands for it."""

    type: str
    error: str  # the type of what was raised; its text may quote the event


@dataclass(frozen=True, slots=True)
class Batch:
    """Numbered events of one stream, as they are sent and, if need be, sent again."""

    first_n: int
    payload: bytes = field(repr=False)  # encode.pack_batch
    types: tuple[str, ...]
    received_at: tuple[float, ...]  # of its deltas' newest audio, on the monotonic clock
    received_s: tuple[float, ...]  # of its deltas, likewise
    ends_stream: bool
    unencodable: UnencodableEvent | None = None  # the event after its last: it could not be packed

    def __len__(self) -> int:
        """Count its events; 0 for a batch that only renews the lease."""
        return len(self.types)

    @property
    def last_n(self) -> int:
        """The n of its last event."""
        return self.first_n + len(self) - 1


class Backlog:
    """What one stream still has to write: the batch that was sent last, then the queue."""

    __slots__ = ("_batch", "_next_n", "_queue", "_queued_deltas")

    def __init__(self) -> None:
        # A number stands for that many events that were dropped there.
        self._queue: deque[tuple[TranscriptEvent, float] | int] = deque()
        self._queued_deltas = 0
        self._batch: Batch | None = None
        self._next_n = 1

    def __bool__(self) -> bool:
        """Return whether anything is to be written."""
        return bool(self._batch) or bool(self._queue)

    def add(self, event: TranscriptEvent, taken_unix_s: float) -> None:
        """Queue an event."""
        self._queue.append((event, taken_unix_s))
        self._queued_deltas += isinstance(event, TranscriptDelta)

    def lose(self) -> None:
        """Note in the queue's place that an event was dropped: its n is never given."""
        if self._queue and isinstance(self._queue[-1], int):
            self._queue[-1] += 1
        else:
            self._queue.append(1)

    def _lose_first(self) -> None:
        if self._queue and isinstance(self._queue[0], int):
            self._queue[0] += 1
        else:
            self._queue.appendleft(1)

    def shed_deltas(self) -> int:
        """Drop every queued delta, and say how many; the finals repeat their words."""
        before = len(self._queue)
        if not self._queued_deltas:
            return 0
        self._queued_deltas = 0
        self._queue = deque(
            item
            for item in self._queue
            if isinstance(item, int) or not isinstance(item[0], TranscriptDelta)
        )
        return before - len(self._queue)

    def batch(self, limit: int, now_s: float) -> Batch:
        """Return the unsettled batch, or pack a new one of at most `limit` events.

        With nothing to write the batch is empty, which renews the stream's lease.

        Args:
            limit: events in a new batch.
            now_s: the moment of writing, on the monotonic clock.
        """
        if self._batch is None:
            self._batch = self._pack(limit, now_s)
            self._next_n = self._batch.last_n + 1
        return self._batch

    @property
    def sent(self) -> Batch | None:
        """The batch that is not settled yet."""
        return self._batch

    def acknowledge(self) -> None:
        """Forget the batch: it is written, or refused for good."""
        self._batch = None

    def clear(self) -> tuple[str, ...]:
        """Drop everything, and say the types."""
        queued: tuple[str, ...] = tuple(
            type_of(item[0]) for item in self._queue if not isinstance(item, int)
        )
        batch = self._batch
        dropped = batch.types if batch else ()
        if batch and batch.unencodable:
            dropped += (batch.unencodable.type,)
        self._queue.clear()
        self._queued_deltas = 0
        self._batch = None
        return dropped + queued

    def _pack(self, limit: int, now_s: float) -> Batch:
        if self._queue and isinstance(self._queue[0], int):
            self._next_n += self._queue[0]
            self._queue.popleft()
        packed: list[bytes] = []
        types: list[str] = []
        unencodable: UnencodableEvent | None = None
        received_at: list[float] = []
        received_s: list[float] = []
        ends_stream = False
        while self._queue and len(packed) < limit:
            item = self._queue[0]
            if isinstance(item, int):  # a batch's numbers have no hole: the next one starts after
                break
            self._queue.popleft()
            event, taken_unix_s = item
            self._queued_deltas -= isinstance(event, TranscriptDelta)
            try:
                fields = flatten(event, taken_unix_s, now_s)
                packed.append(pack_event(fields))
            except Exception as error:  # noqa: BLE001 - else it would hold up its stream for ever
                unencodable = UnencodableEvent(type_of(event), type(error).__name__)
                self._lose_first()
                break
            types.append(fields[0])
            if isinstance(event, TranscriptDelta):
                received_at.append(event.received_at)
                received_s.append(event.received_s)
            ends_stream = isinstance(event, StreamEnded)
        payload = pack_batch(self._next_n, packed, ends_stream=ends_stream)
        times = tuple(received_at), tuple(received_s)
        return Batch(self._next_n, payload, tuple(types), *times, ends_stream, unencodable)
