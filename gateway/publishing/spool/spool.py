"""Batches on disk while Redis is away: first in, first out, in files that go as they are read.

A batch is a record (`records.py`) in a segment, a file of this process or of one that is gone
(`owners.py`). A torn or damaged record ends its segment. A segment is deleted once all its
records are settled. What was adopted may have been written before: the batches carry their n, and
the script skips them.

Nothing is synced: the files survive the process, and of a machine's crash only what the system had
written. No error of the disk is raised: it is counted, logged, and the batch is not taken.
"""

import contextlib
import errno
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from gateway.publishing.spool.owners import Owner, Owners
from gateway.publishing.spool.records import pack_record, parse_records, record_bytes

_log = structlog.get_logger()

_READ_BYTES: Final = 262_144  # at a time, unless a record is larger
_TURN_BYTES: Final = 4 * _READ_BYTES  # per call of `read`, which runs on the event loop
_PAUSE_S: Final = 1.0  # after a failure to write: not one more system call per event


@dataclass(eq=False, slots=True)
class _Segment:
    owner: Owner
    path: Path
    size: int = 0  # bytes to read, at most
    read: int = 0
    disk_bytes: int = 0
    unsettled: int = 0  # records read and not settled


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One batch of one stream."""

    stream_header: bytes = field(repr=False)  # encode.pack_stream
    payload: bytes = field(repr=False)  # encode.pack_batch
    events: int
    segment: _Segment = field(repr=False)


class Spool:
    """One process's spool.

    Args:
        parent: where its folder is made, or is.
        destination: names the Redis that the batches are for; they go to no other.
        max_bytes: of all segments together, those adopted included.
        on_error: called with a reason, `spool-full`, `spool-failed` or `spool-expired`, each time
            that a batch was not taken or records were lost.
        segment_bytes: after which the next segment begins.
        retention_s: what was left behind for longer is deleted: Redis has forgotten by then what it
            has written of it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        parent: Path,
        destination: str,
        max_bytes: int,
        on_error: Callable[[str], None],
        segment_bytes: int = 8 * 1024 * 1024,
        retention_s: float = 86_400,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._on_error = on_error
        self._clock = clock
        self._unread: deque[_Segment] = deque()  # the last may be the one being written
        self._owners = Owners(parent, destination, retention_s, self._note)
        self._writing: tuple[_Segment, int] | None = None  # with its file descriptor
        self._trouble = ""  # the reason that was logged last
        self._refuses_until_s = 0.0
        self.bytes = 0

    def probe(self) -> None:
        """Find out now, not in the first outage, whether files can be made and locked."""
        try:
            self._owners.ours()
        except OSError as error:
            self._note("spool-failed", error)

    def adopt(self) -> None:
        """Adopt the records that crashed processes left. Call once, before anything else."""
        for owner, path, size in self._owners.adopt():
            self.bytes += size
            self._unread.append(_Segment(owner, path, size=size, disk_bytes=size))

    def append(self, stream_header: bytes, payload: bytes, events: int) -> bool:
        """Write a batch; return False if there is no room or the disk refuses it."""
        record = pack_record(stream_header, payload, events)
        if self.bytes + len(record) > self.max_bytes:
            self._note("spool-full")
            return False
        if self._clock() < self._refuses_until_s:
            self._note("spool-failed")
            return False
        try:
            self._write(record)
        except OSError as error:
            self._note("spool-failed", error)
            self._refuses_until_s = self._clock() + _PAUSE_S
            self._give_up_segment()
            return False
        if self._trouble:
            _log.info("spool-well")
            self._trouble = ""
        return True

    def read(self, limit: int) -> list[Record]:
        """Return up to `limit` unread records, about a MiB at most, oldest first.

        With none, though there are unread ones, the disk does not give them now.
        """
        records: list[Record] = []
        rest_bytes = _TURN_BYTES
        while self._unread and len(records) < limit and rest_bytes > 0:
            segment = self._unread[0]
            if segment.read < segment.size:
                before = segment.read
                try:
                    records += self._read(segment, limit - len(records))
                    rest_bytes -= segment.read - before
                except (FileNotFoundError, ValueError) as error:
                    self._note("spool-failed", error, lost_bytes=segment.size - segment.read)
                    segment.size = segment.read
                    self._seal(segment)
                except OSError as error:  # no free descriptor, say: it passes
                    self._note("spool-failed", error)
                    break
            elif self._writing and self._writing[0] is segment:
                break
            else:
                self._unread.popleft()
                self._remove_if_done(segment)
        return records

    def acknowledge(self, record: Record) -> None:
        """Count a record as written or permanently refused; delete its segment once all are."""
        record.segment.unsettled -= 1
        self._remove_if_done(record.segment)

    @property
    def failing(self) -> bool:
        """Whether the disk refused the last write, or could not be used at the start."""
        return self._trouble == "spool-failed"

    @property
    def has_unread(self) -> bool:
        """Whether `read` would return something."""
        return any(segment.read < segment.size for segment in self._unread)

    def close(self) -> None:
        """Close the files. Unsettled records stay for the next start."""
        self._seal()
        self._owners.close()
        self._unread.clear()

    # Writing

    def _write(self, record: bytes) -> None:
        segment, fd = self._writing or self._open_segment()
        at, rest = segment.size, memoryview(record)
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, at)
            raise
        segment.size += len(record)
        segment.disk_bytes += len(record)
        self.bytes += len(record)
        if segment.size >= self._segment_bytes:
            self._seal()

    def _open_segment(self) -> tuple[_Segment, int]:
        owner, path, fd = self._owners.new_segment()
        segment = _Segment(owner, path)
        self._unread.append(segment)
        self._writing = segment, fd
        return self._writing

    def _seal(self, segment: _Segment | None = None) -> None:
        """Stop writing to the open segment (if it is this one)."""
        if self._writing and segment in (None, self._writing[0]):
            fd = self._writing[1]
            self._writing = None
            self._owners.close_fd(fd)

    def _give_up_segment(self) -> None:
        """Stop writing to the segment of a failed write; leave no empty file."""
        segment = self._writing[0] if self._writing else None
        self._seal()
        if segment and not segment.size:
            self._remove_if_done(segment)

    # Reading

    def _read(self, segment: _Segment, limit: int) -> list[Record]:
        fd = os.open(segment.path, os.O_RDONLY)
        try:
            wanted = min(_READ_BYTES, segment.size - segment.read)
            data = os.pread(fd, wanted, segment.read)
            whole = record_bytes(data)
            if whole > len(data):
                data = os.pread(fd, min(whole, segment.size - segment.read), segment.read)
        finally:
            self._owners.close_fd(fd)
        found, found_bytes = parse_records(data, limit)
        segment.read += found_bytes
        segment.unsettled += len(found)
        return [Record(*each, segment) for each in found]

    def _remove_if_done(self, segment: _Segment) -> None:
        """Delete a segment that has been read and settled to its end, if it still is there."""
        if segment.unsettled or segment.read < segment.size or not segment.owner.segments:
            return
        if self._writing and self._writing[0] is segment:
            self._seal()
        if segment in self._unread:
            self._unread.remove(segment)
        self.bytes -= segment.disk_bytes
        self._owners.remove_segment(segment.owner, segment.path)

    def _note(self, reason: str, error: Exception | None = None, lost_bytes: int = 0) -> None:
        """Count a failure; log it if the one before was another, or if records are lost."""
        self._on_error(reason)
        if reason != self._trouble or lost_bytes:
            code = errno.errorcode.get(getattr(error, "errno", None) or 0, "")
            kind = type(error).__name__ if error else ""
            _log.error(reason, error=kind, code=code, lost_bytes=lost_bytes)
        self._trouble = reason
