"""The batches in the spool, and which of them are being written to Redis.

Each stream's batches are written one by one, in order, and its later events wait behind them. To
keep the streams of an unavailable cluster node from blocking the others, a window of records is
kept in memory, and streams without a reply are skipped in it. Only if the window holds nothing else
do all streams wait.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from gateway.publishing.backlog import Batch
from gateway.publishing.event_store import AppendCall
from gateway.publishing.outbox import OutboxStream
from gateway.publishing.spool.spool import Record, Spool
from gateway.transcript.keys import call_keys

_WINDOW_RECORDS: Final = 2000


class Overflow:
    """What exceeds memory: of the open streams, and of processes that crashed earlier.

    Args:
        spool: None: nothing is spooled.
        partitions: fixed at installation.
        wall: Unix seconds.
    """

    def __init__(
        self, spool: Spool | None, partitions: int, wall: Callable[[], float] = time.time
    ) -> None:
        self._spool = spool
        self._partitions = partitions
        self._wall = wall
        self._streams: dict[bytes, OutboxStream] = {}  # of streams with batches here, by header
        self._window: dict[Record, None] = {}  # read and not written yet, oldest first
        self._unanswered: set[bytes] = set()  # headers of streams without a reply, skipped for now
        self._unreadable = False  # reading failed; tried again later
        self.events = 0  # spooled events of open streams

    def start(self) -> None:
        """Adopt what crashed processes left in the spool, and test that the disk can be written."""
        if self._spool:
            self._spool.adopt()
            self._spool.probe()

    def spill(self, stream: OutboxStream, batch: Batch) -> bool:
        """Spool a stream's next batch; return False if there is no room or the disk fails."""
        if not self._spool or not self._spool.append(
            stream.stream_header, batch.payload, len(batch)
        ):
            return False
        self._streams[stream.stream_header] = stream
        stream.spooled += 1
        self.events += len(batch)
        return True

    def next(self, room: int) -> list[Record]:
        """Return the oldest batch of each stream that may be written now, up to `room` events."""
        if self._spool and self._may_read:
            read = self._spool.read(_WINDOW_RECORDS - len(self._window))
            self._window.update((record, None) for record in read)
            self._unreadable = not read and self._spool.has_unread
        records = []
        skipped = self._unanswered.copy()
        for record in self._window:
            if room <= 0:
                break
            if record.stream_header not in skipped:
                skipped.add(record.stream_header)
                records.append(record)
                room -= record.events
        return records

    @property
    def has_next(self) -> bool:
        """Whether `next` would return something."""
        return self._may_read or any(r.stream_header not in self._unanswered for r in self._window)

    @property
    def _may_read(self) -> bool:
        if not self._spool or self._unreadable or len(self._window) >= _WINDOW_RECORDS:
            return False
        return self._spool.has_unread

    @property
    def is_waiting(self) -> bool:
        """Whether something waits for `retry_held`: a stream without a reply, or the disk."""
        return bool(self._unanswered) or self._unreadable

    def hold(self, record: Record) -> None:
        """Skip the stream of a record that got no reply, until `retry_held`."""
        self._unanswered.add(record.stream_header)

    def retry_held(self) -> None:
        """Stop skipping streams, and read the disk again: the backoff is over."""
        self._unanswered.clear()
        self._unreadable = False

    def acknowledge(self, record: Record) -> None:
        """Remove a record that was written or refused."""
        if self._spool:
            self._spool.acknowledge(record)
        del self._window[record]
        if stream := self._streams.get(record.stream_header):
            self.events -= record.events
            stream.spooled -= 1
            if not stream.spooled:
                del self._streams[record.stream_header]

    def release_damaged(self) -> Sequence[OutboxStream]:
        """Stop waiting for batches that can't be read back; return their streams, usually none.

        The events are lost; the hole in n shows it.
        """
        if self._window or not self._streams or (self._spool and self._spool.has_unread):
            return ()
        freed = tuple(self._streams.values())
        for stream in freed:
            stream.spooled = 0
        self._streams.clear()
        self.events = 0
        return freed

    def stream_of(self, record: Record) -> OutboxStream | None:
        """Return the stream of a record; None if it is another process's or was fenced."""
        return self._streams.get(record.stream_header)

    def call_of(self, record: Record, now_s: float) -> AppendCall:
        """Return the call that appends a record.

        Args:
            record: from `next`.
            now_s: on the monotonic clock of `OutboxStream.opened_s`.
        """
        if stream := self._streams.get(record.stream_header):
            age_ms = round((now_s - stream.opened_s) * 1000)
            return AppendCall(stream.keys, record.stream_header, record.payload, age_ms)
        stream_header: Any = msgspec.msgpack.decode(record.stream_header)
        # Of another process, which usually ran on the same machine with the same wall clock.
        age_ms = round(self._wall() * 1000) - stream_header[3]
        keys = call_keys(stream_header[1], self._partitions)
        return AppendCall(keys, record.stream_header, record.payload, age_ms)

    def close(self) -> None:
        """Close the spool. Its records stay on disk for the next start."""
        if self._spool:
            self._spool.close()


def types_in(record: Record) -> list[str]:
    """Return the types of a record's events."""
    batch: Any = msgspec.msgpack.decode(record.payload)
    return [event[0] for event in batch[2]]
