"""The index in PostgreSQL: calls that are removed while they are added, and what makes it fail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.workers.search.indexes import TIMEOUT_S, said, seen, texts
from workers.search.index import SearchIndexError, Size
from workers.search.postgres import PostgresIndex
from workers.search.postgres_tables import Tables

_SCHEMA = "callscribe_raw"


@pytest.fixture
async def index(database_url: str) -> AsyncIterator[PostgresIndex]:
    made = await PostgresIndex.open(database_url, _SCHEMA, TIMEOUT_S, create=True)
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url, server_settings={"search_path": _SCHEMA})
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("keep_out", [True, False])
async def test_call_that_is_removed_while_it_is_added_leaves_no_words(
    index: PostgresIndex, database_url: str, *, keep_out: bool
) -> None:
    """Symptom: segments without a call, which nothing finds and nothing deletes."""
    async with connected(database_url) as other:
        async with other.transaction():
            await Tables(other).apply([seen(), said("secret")])
            removing = asyncio.create_task(index.remove(["CA1"], keep_out=keep_out))
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not removing.done() and not await other.fetchval(waiting):  # noqa: ASYNC110 - the server sends no event
                await asyncio.sleep(0.01)
        await removing
        await index.add([said("secret", 2)])
        expected = 0 if keep_out else 1
        assert await index.count() == Size(expected, expected)
        assert await other.fetchval("SELECT count(*) FROM tracks") == expected


async def test_call_that_is_added_while_it_expires_is_new(
    index: PostgresIndex, database_url: str
) -> None:
    await index.add([seen(), said("old")])
    async with connected(database_url) as other:
        async with other.transaction():
            await Tables(other).remove(["CA1"], keep_out=False)
            adding = asyncio.create_task(index.add([seen(), said("new")]))
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not await other.fetchval(waiting):  # noqa: ASYNC110 - the server sends no event
                await asyncio.sleep(0.01)
        await adding
    assert await texts(index, "from:today") == ["new"]


async def test_rows_of_a_removed_call_are_vacuumed_once(
    index: PostgresIndex, database_url: str
) -> None:
    async with connected(database_url) as other:
        pending = "SELECT count(*) FROM meta WHERE key = 'purge_pending'"
        await index.add([seen(), said("secret")])
        await index.remove(["CA1"])
        assert await other.fetchval(pending) == 1
        await index.purge()
        assert await other.fetchval(pending) == 0


async def test_value_that_cannot_be_stored_does_not_make_the_index_unavailable(
    index: PostgresIndex,
) -> None:
    """Symptom: one event was repeated forever, and the others behind it waited."""
    with pytest.raises(ValueError, match="can't store a value") as refused:
        await index.add([seen(), said("canary", start_ms=2**63)])
    assert "canary" not in repr(refused.value)
    assert await index.count() == Size(0, 0)


async def test_reader_refuses_the_tables_of_another_version(
    index: PostgresIndex, database_url: str
) -> None:
    async with connected(database_url) as other:
        await other.execute("UPDATE meta SET value = '0' WHERE key = 'version'")
    reader = await PostgresIndex.open(database_url, _SCHEMA, TIMEOUT_S, create=False)
    with pytest.raises(SearchIndexError, match="--rebuild"):
        await texts(reader, "word")
    await reader.close()


class _Busy:
    """A pool whose connections are all in use."""

    def acquire(self, **_: object) -> "_Busy":
        return self

    async def __aenter__(self) -> None:
        raise TimeoutError

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_search_without_a_connection_is_no_empty_result() -> None:
    """Symptom: the relay responded with 200, and governance found nothing of an erased call."""
    with pytest.raises(SearchIndexError):
        await texts(PostgresIndex(_Busy(), _SCHEMA, TIMEOUT_S), "word")
