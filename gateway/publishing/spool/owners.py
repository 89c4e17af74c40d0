"""The spool's folder: which process owns which files, and who adopts those of a crashed process.

    <parent>/callscribe-<uid>-<h>/ 0700; h: first digits of the SHA-256 of the destination
        <owner>.lock               locked (flock) by the process that writes the segments; the
                                   owner is a time and a process id
        <owner>-00000001.spool     segments, 0600

The next process that starts adopts the files of a crashed process. A lock file is deleted with the
last segment of its owner.
"""

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

_log = structlog.get_logger()

type Note = Callable[[str, Exception | None, int], None]  # reason, error, bytes lost


@dataclass(slots=True)
class Owner:
    """A process's files, and the lock that protects them from other processes."""

    lock: Path
    lock_fd: int
    segments: int = 0


class Owners:
    """The owners whose locks this process holds: itself, and crashed processes.

    Args:
        parent: folder in which the spool's folder is, or is created.
        destination: names the Redis that the batches are for.
        retention_s: older segments of crashed processes are deleted.
        note: called for failures that are not raised: `spool-failed` or `spool-expired`.
    """

    def __init__(self, parent: Path, destination: str, retention_s: float, note: Note) -> None:
        digest = hashlib.sha256(destination.encode()).hexdigest()
        self._folder = parent / f"callscribe-{os.geteuid()}-{digest[:8]}"
        self._retention_s = retention_s
        self._note = note
        self._ours: Owner | None = None
        self._held: list[Owner] = []
        self._written = 0  # segments that this process has created

    def ours(self) -> Owner:
        """Return this process's owner; create its lock file if it does not exist.

        Raises:
            OSError: another user owns the folder, or it can't be written or locked.
        """
        owner = self._ours
        if owner is None or not os.fstat(owner.lock_fd).st_nlink:  # /tmp was cleaned, for example
            self._ours = self._become_owner()
            if owner:
                self._release_if_done(owner)
            owner = self._ours
        return owner

    def adopt(self) -> list[tuple[Owner, Path, int]]:
        """Adopt the segments that crashed processes left; return them with their sizes."""
        adopted: list[tuple[Owner, Path, int]] = []
        try:
            locks = sorted(self._folder.glob("*.lock")) if self._is_ours() else []
        except OSError as error:
            self._note("spool-failed", error, 0)
            return adopted
        for lock in locks:
            try:
                adopted += self._adopt(lock)
            except FileNotFoundError:  # another process adopted it first
                continue
            except OSError as error:
                self._note("spool-failed", error, 0)
        return adopted

    def new_segment(self) -> tuple[Owner, Path, int]:
        """Create an empty segment; return it with its file descriptor.

        Raises:
            OSError: the disk refuses.
        """
        owner = self.ours()
        path = owner.lock.with_name(f"{owner.lock.stem}-{self._written + 1:08d}.spool")
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        self._written += 1
        owner.segments += 1
        return owner, path, fd

    def remove_segment(self, owner: Owner, path: Path) -> None:
        """Delete a segment, if it still exists."""
        self._unlink(path)
        owner.segments -= 1
        self._release_if_done(owner)

    def close_fd(self, fd: int) -> None:
        """Close a file of the folder; report a failure."""
        try:
            os.close(fd)
        except OSError as error:  # the descriptor is released nevertheless
            self._note("spool-failed", error, 0)

    def close(self) -> None:
        """Release all locks. Remaining segments stay for the next start."""
        for owner in self._held:
            self._release(owner)
        self._held.clear()
        self._ours = None

    def _is_ours(self) -> bool:
        """Return whether the folder exists; refuse one that another user may have created."""
        try:
            found = self._folder.lstat()
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise OSError(errno.EPERM, "the spool's folder is not ours")
        self._folder.chmod(0o700)
        return True

    def _become_owner(self) -> Owner:
        if not self._is_ours():
            self._folder.mkdir(0o700, parents=True)
        while True:
            lock = self._folder / f"{time.time_ns()}-{os.getpid()}.lock"
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                # Another process may have adopted and deleted the file before it was locked here.
                is_locked = _try_lock(fd) and os.fstat(fd).st_nlink
            except OSError:  # a file system without locks
                self.close_fd(fd)
                self._unlink(lock)
                raise
            if is_locked:
                owner = Owner(lock, fd)
                self._held.append(owner)
                return owner
            self.close_fd(fd)

    def _adopt(self, lock: Path) -> list[tuple[Owner, Path, int]]:
        fd = os.open(lock, os.O_RDWR)
        try:
            found = self._left_of(lock) if _try_lock(fd) else None
        except OSError:
            self.close_fd(fd)
            raise
        if found is None:
            self.close_fd(fd)
            return []
        owner = Owner(lock, fd, segments=len(found))
        self._held.append(owner)
        if found:
            _log.info("spool-adopted", segments=owner.segments)
        self._release_if_done(owner)
        return [(owner, path, size) for path, size in found]

    def _left_of(self, lock: Path) -> list[tuple[Path, int]]:
        """Return a crashed process's segments with their sizes; delete expired ones."""
        found = []
        for path in sorted(self._folder.glob(f"{lock.stem}-*.spool")):
            status = path.stat()
            if status.st_mtime < time.time() - self._retention_s:
                self._note("spool-expired", None, status.st_size)
                self._unlink(path)
            else:
                found.append((path, status.st_size))
        return found

    def _release_if_done(self, owner: Owner) -> None:
        if not owner.segments and owner is not self._ours:
            self._held.remove(owner)
            self._release(owner)

    def _release(self, owner: Owner) -> None:
        if not owner.segments:
            self._unlink(owner.lock)
        self.close_fd(owner.lock_fd)

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._note("spool-failed", error, 0)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
