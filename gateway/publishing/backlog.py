"""The events of one stream that Redis has not acknowledged. Pure.

`add` queues an event. `batch` numbers the oldest events and packs them; it returns the same batch
until `remove_batch`, however often it has to be sent.

Events are numbered when a batch is packed, so a delta that was dropped before leaves no hole in n.
Any other dropped event leaves one, so that readers see that it is missing.
"""

from collections import deque
from dataclasses import dataclass, field

from gateway.transcript.encode import flatten, pack_batch, pack_event, type_of
from gateway.transcript.events import StreamEnded, TranscriptDelta, TranscriptEvent


@dataclass(frozen=True, slots=True)
class UnencodableEvent:
    """An event that could not be packed; it leaves a hole in n."""

    type: str
    error: str  # the exception's type; its message may quote the event


@dataclass(frozen=True, slots=True)
class Batch:
    """Numbered events of one stream, packed to be sent, and sent again until acknowledged."""

    first_n: int
    payload: bytes = field(repr=False)  # encode.pack_batch
    types: tuple[str, ...]
    # For each delta, on the monotonic clock: arrival of its newest audio, and of the delta.
    audio_received_s: tuple[float, ...]
    delta_received_s: tuple[float, ...]
    ends_stream: bool
    unencodable: UnencodableEvent | None = None  # the event after the last one

    def __len__(self) -> int:
        """Return the number of events; 0 for a batch that only renews the lease."""
        return len(self.types)

    @property
    def last_n(self) -> int:
        """The n of the last event."""
        return self.first_n + len(self) - 1


class Backlog:
    """The current batch of one stream, then its queue."""

    __slots__ = ("_batch", "_next_n", "_queue", "_queued_deltas")

    def __init__(self) -> None:
        # A number is that many events dropped at this position.
        self._queue: deque[tuple[TranscriptEvent, float] | int] = deque()
        self._queued_deltas = 0
        self._batch: Batch | None = None
        self._next_n = 1

    def __bool__(self) -> bool:
        """Return whether there are unacknowledged events."""
        return bool(self._batch or self._queue)

    def add(self, event: TranscriptEvent, taken_unix_s: float) -> None:
        """Queue an event."""
        self._queue.append((event, taken_unix_s))
        self._queued_deltas += isinstance(event, TranscriptDelta)

    def lose(self) -> None:
        """Leave a hole in the numbering for a dropped event."""
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
        """Drop all queued deltas and return their number; the finals repeat their words."""
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
        """Return the current batch, or pack a new one of up to `limit` events.

        If there are no events the batch is empty; sending it renews the stream's lease.

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
        """The current batch: packed and not acknowledged; None without one."""
        return self._batch

    def remove_batch(self) -> None:
        """Remove the current batch: it is written, refused or spooled."""
        self._batch = None

    def clear(self) -> tuple[str, ...]:
        """Drop all events and return their types."""
        queued: tuple[str, ...] = tuple(
            type_of(item[0]) for item in self._queue if not isinstance(item, int)
        )
        batch = self._batch
        dropped: tuple[str, ...] = ()
        if batch is not None:  # it is falsy if it has no events
            dropped = batch.types
            if batch.unencodable:
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
        audio_received_s: list[float] = []
        delta_received_s: list[float] = []
        ends_stream = False
        while self._queue and len(packed) < limit:
            item = self._queue[0]
            if isinstance(item, int):  # a batch has consecutive numbers: the next starts after it
                break
            self._queue.popleft()
            event, taken_unix_s = item
            self._queued_deltas -= isinstance(event, TranscriptDelta)
            try:
                fields = flatten(event, taken_unix_s, now_s)
                packed.append(pack_event(fields))
            except Exception as error:  # noqa: BLE001 - else it would block its stream forever
                unencodable = UnencodableEvent(type_of(event), type(error).__name__)
                self._lose_first()
                break
            types.append(fields[0])
            if isinstance(event, TranscriptDelta):
                audio_received_s.append(event.audio_received_s)
                delta_received_s.append(event.delta_received_s)
            ends_stream = isinstance(event, StreamEnded)
        payload = pack_batch(self._next_n, packed, ends_stream=ends_stream)
        times = tuple(audio_received_s), tuple(delta_received_s)
        return Batch(self._next_n, payload, tuple(types), *times, ends_stream, unencodable)
