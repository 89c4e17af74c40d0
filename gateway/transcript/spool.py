"""Batches on disk while Redis is away: first in, first out, in files that go as they are read.

    <parent>/callscribe-<uid>-<h>/ 0700; h: first digits of the SHA-256 of what the batches are for
        <owner>.lock               locked (flock) for as long as the process that writes it lives;
                                   an owner is a moment and a process id
        <owner>-00000001.spool     segments, 0600; the next one begins when one is full

A segment is a row of records: a header of four little-endian 32-bit numbers (CRC-32 of the rest,
lengths of the stream's constants and of the batch, events in it), then both as `append.lua` takes
them. A torn or damaged record ends its segment. A segment is deleted once all its records are
settled; what a process leaves behind is adopted by the next one that starts. Its batches may have
been written before: they carry their n, and the script skips them.

Nothing is synced: the files survive the process, and of a machine's crash only what the system had
written. No error of the disk is raised: it is counted, logged, and the batch is not taken.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Final

import structlog

_log = structlog.get_logger()

_HEADER: Final = Struct("<IIII")
_READ_BYTES: Final = 262_144  # at a time, unless a record is larger
_TURN_BYTES: Final = 4 * _READ_BYTES  # per call of `read`, which runs on the event loop
_PAUSE_S: Final = 1.0  # after a failure to write: not one more system call per event


@dataclass(slots=True)
class _Owner:
    """A process's files, and the lock that keeps others from them."""

    lock: Path
    lock_fd: int
    segments: int = 0


@dataclass(eq=False, slots=True)
class _Segment:
    owner: _Owner
    path: Path
    size: int = 0  # bytes to read, at most
    read: int = 0
    disk_bytes: int = 0
    unsettled: int = 0  # records read and not settled


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One batch of one stream."""

    constants: bytes = field(repr=False)  # encode.pack_stream
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
        digest = hashlib.sha256(destination.encode()).hexdigest()
        self._folder = parent / f"callscribe-{os.geteuid()}-{digest[:8]}"
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._retention_s = retention_s
        self._on_error = on_error
        self._clock = clock
        self._unread: deque[_Segment] = deque()  # the last may be the one being written
        self._owner: _Owner | None = None  # ours
        self._owners: list[_Owner] = []  # whose locks we hold
        self._written = 0  # segments of ours, so far
        self._writing: tuple[_Segment, int] | None = None  # with its file descriptor
        self._trouble = ""  # the reason that was logged last
        self._refuses_until_s = 0.0
        self.bytes = 0

    def probe(self) -> None:
        """Find out now, not in the first outage, whether files can be made and locked."""
        try:
            self._owner = self._owner or self._become_owner()
        except OSError as error:
            self._note("spool-failed", error)

    def adopt(self) -> None:
        """Take over what processes that are gone left behind; called once, before anything else."""
        try:
            locks = sorted(self._folder.glob("*.lock")) if self._is_ours() else []
        except OSError as error:
            self._note("spool-failed", error)
            return
        for lock in locks:
            try:
                self._adopt(lock)
            except FileNotFoundError:  # another process that starts was faster
                continue
            except OSError as error:
                self._note("spool-failed", error)

    def append(self, constants: bytes, payload: bytes, events: int) -> bool:
        """Take a batch; False if it has to stay where it is: no room, or the disk refuses."""
        rest = _HEADER.pack(0, len(constants), len(payload), events)[4:] + constants + payload
        record = zlib.crc32(rest).to_bytes(4, "little") + rest
        if self.bytes + len(record) > self._max_bytes:
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
        """Give up to `limit` records not given before, about a MiB at most, the oldest first.

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

    def settle(self, record: Record) -> None:
        """Learn that a record is written, or refused for good."""
        record.segment.unsettled -= 1
        self._remove_if_done(record.segment)

    @property
    def has_unread(self) -> bool:
        """Tell whether `read` has something to give."""
        return any(segment.read < segment.size for segment in self._unread)

    def close(self) -> None:
        """Let go of the files; what is not settled stays for the next start."""
        self._seal()
        for owner in self._owners:
            self._release(owner)
        self._owners.clear()
        self._unread.clear()
        self._owner = None

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
        owner = self._owner
        if owner is None or not os.fstat(owner.lock_fd).st_nlink:  # a cleaner of /tmp, say
            self._owner = self._become_owner()
            if owner:
                self._release_if_done(owner)
            owner = self._owner
        path = owner.lock.with_name(f"{owner.lock.stem}-{self._written + 1:08d}.spool")
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        self._written += 1
        owner.segments += 1
        segment = _Segment(owner, path)
        self._unread.append(segment)
        self._writing = segment, fd
        return self._writing

    def _seal(self, segment: _Segment | None = None) -> None:
        """Write no more to the segment that is being written (if it is this one)."""
        if self._writing and segment in (None, self._writing[0]):
            fd = self._writing[1]
            self._writing = None
            self._close(fd)

    def _give_up_segment(self) -> None:
        """Write no more to the segment of a failed write; leave no empty file."""
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
            whole = _record_bytes(data)
            if whole > len(data):
                data = os.pread(fd, min(whole, segment.size - segment.read), segment.read)
        finally:
            self._close(fd)
        return self._parse(segment, data, limit)

    def _parse(self, segment: _Segment, data: bytes, limit: int) -> list[Record]:
        """Give the whole records at the head of `data`.

        Raises:
            ValueError: there is none: the first one is torn or damaged.
        """
        records: list[Record] = []
        at = 0
        while at < len(data) and len(records) < limit:
            end = at + _record_bytes(data[at : at + _HEADER.size])
            if end > len(data):
                break
            checksum, constants_bytes, _, events = _HEADER.unpack_from(data, at)
            if zlib.crc32(data[at + 4 : end]) != checksum:
                break
            middle = at + _HEADER.size + constants_bytes
            records.append(
                Record(data[at + _HEADER.size : middle], data[middle:end], events, segment)
            )
            at = end
        if not records:
            raise ValueError("a record is damaged")
        segment.read += at
        segment.unsettled += len(records)
        return records

    # Files and their owners

    def _is_ours(self) -> bool:
        """Tell whether the folder is there; refuse one that somebody else could have put there."""
        try:
            found = self._folder.lstat()
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise OSError(errno.EPERM, "the spool's folder is not ours")
        self._folder.chmod(0o700)
        return True

    def _become_owner(self) -> _Owner:
        if not self._is_ours():
            self._folder.mkdir(0o700, parents=True)
        while True:
            lock = self._folder / f"{time.time_ns()}-{os.getpid()}.lock"
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                # Another process that starts may have adopted it before we locked it, and removed
                # it.
                is_locked = _try_lock(fd) and os.fstat(fd).st_nlink
            except OSError:  # a file system without locks
                self._close(fd)
                self._unlink(lock)
                raise
            if is_locked:
                owner = _Owner(lock, fd)
                self._owners.append(owner)
                return owner
            self._close(fd)

    def _adopt(self, lock: Path) -> None:
        fd = os.open(lock, os.O_RDWR)
        try:
            found = self._left_of(lock) if _try_lock(fd) else None
        except OSError:
            self._close(fd)
            raise
        if found is None:
            self._close(fd)
            return
        owner = _Owner(lock, fd, segments=len(found))
        for path, size in found:
            self.bytes += size
            self._unread.append(_Segment(owner, path, size=size, disk_bytes=size))
        self._owners.append(owner)
        if found:
            _log.info("spool-adopted", segments=owner.segments)
        self._release_if_done(owner)

    def _left_of(self, lock: Path) -> list[tuple[Path, int]]:
        """Give the segments of a process that is gone, with their sizes; delete those too old."""
        found = []
        for path in sorted(self._folder.glob(f"{lock.stem}-*.spool")):
            status = path.stat()
            if status.st_mtime < time.time() - self._retention_s:
                self._note("spool-expired", lost_bytes=status.st_size)
                self._unlink(path)
            else:
                found.append((path, status.st_size))
        return found

    def _remove_if_done(self, segment: _Segment) -> None:
        """Delete a segment that has been read and settled to its end, if it still is there."""
        if segment.unsettled or segment.read < segment.size or not segment.owner.segments:
            return
        if self._writing and self._writing[0] is segment:
            self._seal()
        if segment in self._unread:
            self._unread.remove(segment)
        self.bytes -= segment.disk_bytes
        self._unlink(segment.path)
        segment.owner.segments -= 1
        self._release_if_done(segment.owner)

    def _release_if_done(self, owner: _Owner) -> None:
        if not owner.segments and owner is not self._owner:
            self._owners.remove(owner)
            self._release(owner)

    def _release(self, owner: _Owner) -> None:
        if not owner.segments:
            self._unlink(owner.lock)
        self._close(owner.lock_fd)

    def _close(self, fd: int) -> None:
        try:
            os.close(fd)
        except OSError as error:  # the descriptor is gone all the same
            self._note("spool-failed", error)

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._note("spool-failed", error)

    def _note(self, reason: str, error: Exception | None = None, lost_bytes: int = 0) -> None:
        """Count a failure; log it if the one before was another, or if records are lost."""
        self._on_error(reason)
        if reason != self._trouble or lost_bytes:
            code = errno.errorcode.get(getattr(error, "errno", None) or 0, "")
            kind = type(error).__name__ if error else ""
            _log.error(reason, error=kind, code=code, lost_bytes=lost_bytes)
        self._trouble = reason


def _record_bytes(head: bytes) -> int:
    """Give the length of the record that begins so; of a header, if it is not even that long."""
    if len(head) < _HEADER.size:
        return _HEADER.size
    _, constants_bytes, payload_bytes, _ = _HEADER.unpack_from(head)
    return _HEADER.size + int(constants_bytes) + int(payload_bytes)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
