"""Batches on disk while Redis is unavailable: first in, first out, in files deleted once read.

A batch is a record (`records.py`) in a segment, a file of this process or of a crashed one
(`owners.py`). A torn or damaged record ends its segment. A segment is deleted when all its records
are acknowledged. Adopted batches may have been written to Redis before: they contain their n, and
the script skips them.

Nothing is synced: the files survive a crash of the process, but not of the machine, except for what
the system had written. Errors of the disk are not raised: they are counted and logged, and the
batch is not accepted.
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
    size: int = 0  # bytes that can be read
    read: int = 0
    disk_bytes: int = 0
    unacknowledged: int = 0  # records read and not acknowledged


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
        parent: folder in which the spool's folder is, or is created.
        destination: names the Redis that the batches are for; they are written to no other.
        max_bytes: of all segments together, adopted ones included.
        on_error: called with the reason `spool-full`, `spool-failed` or `spool-expired`, each time
            a batch is not accepted or records are lost.
        segment_bytes: size at which a new segment begins.
        retention_s: older segments of crashed processes are deleted: Redis no longer has the record
            of which of their batches were written.
        clock: monotonic seconds.

    Attributes:
        bytes: size of all segments.
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
        self._failure = ""  # reason of the latest failure, until a write succeeds
        self._refuses_until_s = 0.0
        self.bytes = 0

    def probe(self) -> None:
        """Test, before the first outage, that files can be created and locked."""
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
            self._abandon_segment()
            return False
        if self._failure:
            _log.info("spool-well")
            self._failure = ""
        return True

    def read(self, limit: int) -> list[Record]:
        """Return up to `limit` unread records, and up to about a MiB, oldest first.

        If none are returned although `has_unread`, the disk can't be read now.
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
                except OSError as error:  # it may pass: no free descriptor, for example
                    self._note("spool-failed", error)
                    break
            elif self._writing and self._writing[0] is segment:
                break
            else:
                self._unread.popleft()
                self._remove_if_done(segment)
        return records

    def acknowledge(self, record: Record) -> None:
        """Count a record as written or refused; delete its segment if all its records are."""
        record.segment.unacknowledged -= 1
        self._remove_if_done(record.segment)

    @property
    def failing(self) -> bool:
        """Whether the latest write failed, or the test at the start."""
        return self._failure == "spool-failed"

    @property
    def has_unread(self) -> bool:
        """Whether there are unread records."""
        return any(segment.read < segment.size for segment in self._unread)

    def close(self) -> None:
        """Close the files. Unacknowledged records stay for the next start."""
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
        """Stop writing to the open segment; with an argument, only if it is that one."""
        if self._writing and segment in (None, self._writing[0]):
            fd = self._writing[1]
            self._writing = None
            self._owners.close_fd(fd)

    def _abandon_segment(self) -> None:
        """Stop writing to the segment of a failed write; delete it if it is empty."""
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
        segment.unacknowledged += len(found)
        return [Record(*each, segment) for each in found]

    def _remove_if_done(self, segment: _Segment) -> None:
        """Delete a segment if all its records have been read and acknowledged."""
        is_read = segment.read >= segment.size
        if segment.unacknowledged or not is_read or not segment.owner.segments:
            return
        if self._writing and self._writing[0] is segment:
            self._seal()
        if segment in self._unread:
            self._unread.remove(segment)
        self.bytes -= segment.disk_bytes
        self._owners.remove_segment(segment.owner, segment.path)

    def _note(self, reason: str, error: Exception | None = None, lost_bytes: int = 0) -> None:
        """Count a failure; log it if its reason is a new one, or if records are lost."""
        self._on_error(reason)
        if reason != self._failure or lost_bytes:
            code = errno.errorcode.get(getattr(error, "errno", None) or 0, "")
            kind = type(error).__name__ if error else ""
            _log.error(reason, error=kind, code=code, lost_bytes=lost_bytes)
        self._failure = reason
