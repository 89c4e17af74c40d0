"""Batches that wait in the spool for Redis, and those of them that are being written.

Order holds per stream: its batches leave one by one, in the order they came, and while any of them
is here the stream's later events wait behind them. So that one dead node of a cluster does not hold
up the others' streams, a window of records is kept in memory, and those of a stream without an
answer are passed over. Only when the window is full of such records do all wait.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from gateway.publishing.backlog import Batch
from gateway.publishing.event_store import AppendCall
from gateway.publishing.spool.spool import Record, Spool
from gateway.publishing.stream_writer import StreamWriter
from gateway.transcript.keys import call_keys

_WINDOW_RECORDS: Final = 2000


class Overflow:
    """What exceeds memory, of all streams of the process and of those that died before it.

    Args:
        spool: None for a process without: then nothing is taken.
        partitions: fixed at installation.
        wall: Unix seconds.
    """

    def __init__(
        self, spool: Spool | None, partitions: int, wall: Callable[[], float] = time.time
    ) -> None:
        self._spool = spool
        self._partitions = partitions
        self._wall = wall
        self._writers: dict[bytes, StreamWriter] = {}  # of streams with batches here, by constants
        self._window: dict[Record, None] = {}  # read, and not written yet; oldest first
        self._unanswered: set[bytes] = set()  # streams to pass over for now
        self._unreadable = False  # the disk gave nothing; for now
        self.events = 0  # here, of our own streams

    def start(self) -> None:
        """Adopt what crashed processes left in the spool, and test that the disk can be written."""
        if self._spool:
            self._spool.adopt()
            self._spool.probe()

    def take(self, writer: StreamWriter, batch: Batch) -> bool:
        """Put a stream's next batch behind what is here; False if it has to stay where it is."""
        if not self._spool or not self._spool.append(
            writer.stream_header, batch.payload, len(batch)
        ):
            return False
        self._writers[writer.stream_header] = writer
        writer.spooled += 1
        self.events += len(batch)
        return True

    def next(self, room: int) -> list[Record]:
        """Return the oldest batch of each stream that may be written now, `room` events in all."""
        if self._spool and self._may_read:
            read = self._spool.read(_WINDOW_RECORDS - len(self._window))
            self._window.update((record, None) for record in read)
            self._unreadable = not read and self._spool.has_unread
        records = []
        passed = self._unanswered.copy()
        for record in self._window:
            if room <= 0:
                break
            if record.stream_header not in passed:
                passed.add(record.stream_header)
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
        """Whether something waits for `try_again`: an unacknowledged stream, or the disk."""
        return bool(self._unanswered) or self._unreadable

    def pass_over(self, record: Record) -> None:
        """Hold the stream of a record that was not acknowledged until `try_again`."""
        self._unanswered.add(record.stream_header)

    def try_again(self) -> None:
        """Pass over no stream any more, and ask the disk again."""
        self._unanswered.clear()
        self._unreadable = False

    def acknowledge(self, record: Record) -> None:
        """Remove a record that was written, or permanently refused."""
        if self._spool:
            self._spool.acknowledge(record)
        del self._window[record]
        if writer := self._writers.get(record.stream_header):
            self.events -= record.events
            writer.spooled -= 1
            if not writer.spooled:
                del self._writers[record.stream_header]

    def forget_damaged(self) -> Sequence[StreamWriter]:
        """Return and forget the streams whose batches could not be read back. Usually none.

        They need not wait once no record is left; the hole in n stays.
        """
        if self._window or not self._writers or (self._spool and self._spool.has_unread):
            return ()
        freed = tuple(self._writers.values())
        for writer in freed:
            writer.spooled = 0
        self._writers.clear()
        self.events = 0
        return freed

    def writer_of(self, record: Record) -> StreamWriter | None:
        """Return the writer of a record, or None if it is another process's or was fenced."""
        return self._writers.get(record.stream_header)

    def call_of(self, record: Record, now_s: float) -> AppendCall:
        """Return what appends a record.

        Args:
            record: from `next`.
            now_s: on the monotonic clock of `StreamWriter.opened_s`.
        """
        if writer := self._writers.get(record.stream_header):
            age_ms = round((now_s - writer.opened_s) * 1000)
            return AppendCall(writer.keys, record.stream_header, record.payload, age_ms)
        stream_header: Any = msgspec.msgpack.decode(record.stream_header)
        # Of another process: its wall clock and ours are the same machine's, as a rule.
        age_ms = round(self._wall() * 1000) - stream_header[3]
        keys = call_keys(stream_header[1], self._partitions)
        return AppendCall(keys, record.stream_header, record.payload, age_ms)

    def close(self) -> None:
        """Close the spool. Its records stay on disk for the next start."""
        if self._spool:
            self._spool.close()


def types_in(record: Record) -> list[str]:
    """Name the types of a record's events."""
    batch: Any = msgspec.msgpack.decode(record.payload)
    return [event[0] for event in batch[2]]
