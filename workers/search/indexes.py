"""Opens the indexes that the settings name: in files, or in a database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from workers.search.index import SearchIndex, SearchReader
from workers.search.postgres import PostgresIndex
from workers.search.rebuild import Source, fill, new_of, rebuild_file
from workers.search.rebuild import opened_to_remove as file_to_remove
from workers.search.settings import Settings
from workers.search.sqlite import SqliteIndex
from workers.search.sqlite_reader import SqliteReader


def file_of(folder: Path, kind: str) -> Path:
    """Return the file of an index.

    Args:
        folder: WORKER_SEARCH_PATH.
        kind: `raw` or `redacted`.
    """
    return folder / f"{kind}.sqlite"


def is_begun(folder: Path, kind: str) -> bool:
    """Return whether there is an index in a file, or one that is being built, or was interrupted.

    Args:
        folder: WORKER_SEARCH_PATH.
        kind: `raw` or `redacted`.
    """
    path = file_of(folder, kind)
    return path.exists() or new_of(path).exists()


_SCHEMA: Final = "callscribe_{kind}"


async def open_to_write(settings: Settings, kind: str, wait_s: float) -> SearchIndex:
    """Open an index to change it, and create it if there is none.

    Args:
        settings: of search.
        kind: `raw` or `redacted`.
        wait_s: how long another process may hold it, in seconds.

    Raises:
        SettingsError: a package is missing.
        SearchIndexError: the index can't be opened.
    """
    if settings.database_url:
        return await _open_database(settings.database_url, settings, kind, create=True)
    path = file_of(settings.path, kind)
    return await SqliteIndex.open(path, settings.timeout_s, wait_s)


async def open_to_read(settings: Settings, kind: str) -> SearchReader:
    """Open an index to search it; it need not exist yet, nor its server be available.

    Raises:
        SettingsError: a package is missing.
        SearchIndexError: the database's URL is invalid.
    """
    if settings.database_url:
        return await _open_database(settings.database_url, settings, kind, create=False)
    return SqliteReader(file_of(settings.path, kind), settings.timeout_s)


async def rebuild(settings: Settings, kind: str, source: Source) -> int:
    """Build an index anew from a source; return the number of changes.

    Raises:
        SettingsError: a package is missing.
        SearchIndexError: a worker holds the index, or it is not available.
        PublishError: the source is Redis, which is unavailable.
    """
    if not settings.database_url:
        return await rebuild_file(file_of(settings.path, kind), source)
    index = await _open_database(settings.database_url, settings, kind, create=True)
    try:
        await index.clear()
        return await fill(index, source)
    finally:
        await index.close()


async def remove(settings: Settings, kind: str, call_ids: Sequence[str]) -> int:
    """Remove calls from an index, which a worker may be writing; return how many there were.

    They stay out, even if the index is built anew. None of their words is in the files afterwards.

    Raises: as `opened_to_remove`.
    """
    async with opened_to_remove(settings, kind) as index:
        found = await index.remove(call_ids)
        await index.purge()
        return found


@asynccontextmanager
async def opened_to_remove(settings: Settings, kind: str) -> AsyncIterator[SearchIndex]:
    """Open an index to remove calls; a worker may be writing it.

    Raises:
        SettingsError: a package is missing.
        SearchIndexError: the index is not available, or something has been reading it for long:
            repeat all of it.
    """
    if not settings.database_url:
        async with file_to_remove(file_of(settings.path, kind)) as index:
            yield index
        return
    index = await open_to_write(settings, kind, 0.0)
    try:
        yield index
    finally:
        await index.close()


async def _open_database(
    url: SecretStr, settings: Settings, kind: str, *, create: bool
) -> PostgresIndex:
    schema = _SCHEMA.format(kind=kind)
    return await PostgresIndex.open(
        url.get_secret_value(), schema, settings.timeout_s, create=create
    )
