"""Fills a new index with the calls of a source.

In files, the new index is a file beside the old one until it is complete. Then it replaces the old
one. In a database, all calls are deleted and added again. Calls that were removed stay out.
"""

import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Final, Protocol

from gateway.redis_client.client import RedisClient
from workers.client import reading
from workers.client.events import EventError, read_event
from workers.search.calls import CallFold, facts
from workers.search.index import Change, SearchIndex
from workers.search.sqlite import SqliteIndex, lock_of
from workers.search.sqlite_schema import open_to_write, unavailable

_CALL_KEY: Final = re.compile(r"cs:\{p[0-9]+\}:call:([^:]+)(?::([a-z-]+))?")
_SUFFIXES: Final = {  # of the streams of a call that an index is made of
    "raw": {"", "alerts", "wrapups", "redacted-wrapups"},
    "redacted": {"redacted", "alerts", "redacted-wrapups"},
}
_COMPANIONS: Final = ("-wal", "-shm")
_REMOVAL_S: Final = 30.0  # the longest wait for another removal


class Source(Protocol):
    """Where calls are read from."""

    def changes(self) -> AsyncIterator[Sequence[Change]]:
        """Yield the changes that make an index of all calls, some at a time."""


class Chain:
    """Several sources, one after another; a call may be in each of them.

    Args:
        sources: the one with the newest facts is the last.
    """

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    async def changes(self) -> AsyncIterator[Sequence[Change]]:
        """Yield the changes of all sources."""
        for source in self._sources:
            async for changes in source.changes():
                yield changes


class RedisSource:
    """The calls that Redis still has.

    Args:
        client: from `create_client`.
        text: `raw` or `redacted`.
    """

    def __init__(self, client: RedisClient, text: str) -> None:
        self._client = client
        self._suffixes = _SUFFIXES[text]

    async def changes(self) -> AsyncIterator[Sequence[Change]]:
        """Yield the changes of each stream of each call."""
        async for key in self._client.scan_iter(match="cs:{p*}:call:*", count=1000, _type="stream"):
            name = key.decode(errors="replace")
            found = _CALL_KEY.fullmatch(name)
            if found and (found[2] or "") in self._suffixes:
                async for changes in self._of_stream(name):
                    yield changes

    async def _of_stream(self, key: str) -> AsyncIterator[Sequence[Change]]:
        call = CallFold()
        async for entries in reading.pages(self._client, key):
            changes: list[Change] = []
            for entry in entries:
                with suppress(EventError):  # skip what is not an event
                    event = read_event(entry.id, entry.fields)
                    changes += [*call.apply(event), *facts(event)]
            yield changes


async def fill(index: SearchIndex, source: Source) -> int:
    """Add all calls of a source to an index; return the number of changes.

    Raises:
        SearchIndexError: the index is not available.
        PublishError: Redis is unavailable.
    """
    count = 0
    async for changes in source.changes():
        await index.add(changes)
        count += len(changes)
    return count


async def rebuild_file(path: Path, source: Source) -> int:
    """Replace an index in a file by a new one; return the number of changes.

    Raises:
        SearchIndexError: a worker holds the index, or the new one can't be written.
        PublishError: Redis is unavailable; the old index is unchanged.
    """
    async with lock_of(path, wait_s=0.1), lock_of(_removals(path), _REMOVAL_S):
        new = new_of(path)
        _delete(new)
        try:
            with closing(open_to_write(new)) as connection:
                _copy_removed(path, connection)
            index = await SqliteIndex.open(new, timeout_s=1.0, wait_s=0.1)
            try:
                count = await fill(index, source)
            finally:
                await index.close()
            _delete(path)
            new.replace(path)
        finally:
            _delete(new)
    return count


@asynccontextmanager
async def opened_to_remove(path: Path) -> AsyncIterator[SearchIndex]:
    """Open an index in a file to remove calls; a worker may be writing it meanwhile.

    Raises:
        SearchIndexError: the index is being built anew, or can't be written.
    """
    async with lock_of(_removals(path), _REMOVAL_S):
        _delete(new_of(path))  # of a rebuild that was killed; it has words of any call
        index = await SqliteIndex.open(path, timeout_s=_REMOVAL_S, wait_s=None)
        try:
            yield index
        finally:
            await index.close()


def new_of(path: Path) -> Path:
    """Return the file that replaces an index when it is complete."""
    return path.with_name(f"new-{path.name}")


def _removals(path: Path) -> Path:
    """Return what is locked so that no call is removed from a file that is being replaced."""
    return path.with_name(f"{path.name}.removal")


def _copy_removed(old: Path, connection: sqlite3.Connection) -> None:
    if not old.exists():
        return
    try:
        connection.execute("ATTACH ? AS old", (str(old),))
        connection.execute("INSERT INTO removed SELECT digest FROM old.removed")
        connection.execute("DETACH old")
    except sqlite3.Error as error:
        raise unavailable(error) from None


def _delete(path: Path) -> None:
    """Delete a database file that no process has open, and what belongs to it."""
    for suffix in (*_COMPANIONS, ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if path.name.startswith("new-"):
        path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
