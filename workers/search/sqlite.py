"""The default index: SQLite with FTS5, one folder per machine.

One process at a time writes an index; a lock file guards it. What several tasks want to write is
written in one transaction, in a thread, and is on the disk when `add` returns.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from workers.search.index import Change, Page, Search, SearchIndexError, Size
from workers.search.rows import PURGE_PENDING
from workers.search.sqlite_reader import SqliteReader
from workers.search.sqlite_schema import open_to_write, unavailable
from workers.search.sqlite_tables import Tables

_MOST_AT_ONCE: Final = 5000  # changes of one transaction


class _Waiting(NamedTuple):
    changes: Sequence[Change]
    done: "asyncio.Future[None]"


class SqliteIndex:
    """An index that this process writes; implements `SearchIndex`.

    Args:
        path: the file.
        timeout_s: how long one search may take.
        connection: from `open_to_write`, opened while this process holds the lock.
        lock: the descriptor of the lock file; None: another process may write, too.
    """

    def __init__(
        self, path: Path, timeout_s: float, connection: sqlite3.Connection, lock: int | None
    ) -> None:
        self._connection = connection
        self._tables = Tables(connection)
        self._lock = lock
        self._reader = SqliteReader(path, timeout_s)
        self.timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, "search-writer")
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        (self._id,) = connection.execute("SELECT value FROM meta WHERE key = 'id'").fetchone()

    @classmethod
    async def open(cls, path: Path, timeout_s: float, wait_s: float | None) -> "SqliteIndex":
        """Open an index to write, and create it if there is none.

        Args:
            path: the file.
            timeout_s: how long one search may take.
            wait_s: how long to wait for another process that holds it, which may be stopping;
                None: write beside it, to remove calls.

        Raises:
            SearchIndexError: another process holds the index, or it can't be opened.
        """
        lock = None if wait_s is None else await _acquire(path, wait_s)
        try:
            return cls(path, timeout_s, await asyncio.to_thread(open_to_write, path), lock)
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise

    @property
    def group(self) -> str:
        """The id of the file: the positions of the worker belong to this very file."""
        return str(self._id)

    async def add(self, changes: Sequence[Change]) -> None:
        """Store changes; see `SearchIndex`."""
        if not changes:
            return
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(changes, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            error = await self._write(batch)
            if error is None or isinstance(error, SearchIndexError) or len(batch) == 1:
                _finish(batch, error)
                continue
            for each in batch:  # one of them can't be stored
                _finish([each], await self._write([each]))

    async def _write(self, batch: Sequence[_Waiting]) -> Exception | None:
        """Write the changes of several callers in one transaction; return why it failed."""
        changes = [change for each in batch for change in each.changes]
        try:
            await self._in_thread(self._tables.apply, changes)
        except Exception as error:  # noqa: BLE001 - each caller gets it
            return error
        return None

    def _next_batch(self) -> list[_Waiting]:
        """Remove and return what one transaction writes: at least the first."""
        count, size = 0, 0
        for each in self._waiting:
            size += len(each.changes)
            if count and size > _MOST_AT_ONCE:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def remove(self, call_ids: Sequence[str], *, keep_out: bool = True) -> int:
        """Remove calls; see `SearchIndex`."""
        return await self._in_thread(partial(self._tables.remove, keep_out=keep_out), call_ids)

    async def purge(self) -> None:
        """Overwrite what removed calls have left; see `SearchIndex`.

        Deleted rows were overwritten with zeros. Now the full-text index is merged without what was
        deleted, and the log is emptied.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._purge)

    def _purge(self) -> None:
        run = self._connection.execute
        try:
            if not run("SELECT 1 FROM meta WHERE key = ?", (PURGE_PENDING,)).fetchone():
                return
            run("INSERT INTO terms (terms) VALUES ('optimize')")
            busy, *_ = run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                run("DELETE FROM meta WHERE key = ?", (PURGE_PENDING,))
        except sqlite3.Error as error:
            raise unavailable(error) from None
        if busy:
            raise SearchIndexError("a reader prevents that the log is emptied; remove them again")

    async def search(self, search: Search) -> Page:
        """Return the segments that match; see `SearchReader`."""
        return await self._reader.search(search)

    async def count(self) -> Size:
        """Return how much the index has."""
        return await self._reader.count()

    async def close(self) -> None:
        """Finish what is being written, and release the lock."""
        if self._writing:
            await asyncio.wait((self._writing,))
        await self._reader.close()
        loop = asyncio.get_running_loop()
        with contextlib.suppress(sqlite3.Error):
            await loop.run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)
        if self._lock is not None:
            os.close(self._lock)

    async def _in_thread[A, T](self, change: Callable[[A], T], argument: A) -> T:
        """Run a change in one transaction."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transact, change, argument)

    def _transact[A, T](self, change: Callable[[A], T], argument: A) -> T:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            result = change(argument)
            self._connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):  # nothing was begun, or it is undone
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise unavailable(error) from None
            raise
        return result


def _finish(batch: Sequence[_Waiting], error: Exception | None) -> None:
    for each in batch:
        if each.done.done():  # its task was cancelled
            continue
        if error:
            each.done.set_exception(error)
        else:
            each.done.set_result(None)


async def _acquire(path: Path, wait_s: float) -> int:
    """Lock an index for this process; the lock ends with the process, however it ends."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(wait_s):
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return lock
                await asyncio.sleep(min(0.1, wait_s / 10))
    except TimeoutError:
        os.close(lock)
        raise SearchIndexError("another process writes the search index in this folder") from None
    except BaseException:
        os.close(lock)
        raise


@contextlib.asynccontextmanager
async def lock_of(path: Path, wait_s: float) -> AsyncIterator[None]:
    """Hold the lock of an index, so that no other process writes it.

    Raises:
        SearchIndexError: another process holds it.
    """
    lock = await _acquire(path, wait_s)
    try:
        yield
    finally:
        os.close(lock)
