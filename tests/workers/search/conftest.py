"""Both kinds of index, empty."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.postgres_server import postgres
from tests.workers.search.indexes import TIMEOUT_S
from workers.search.index import SearchIndex
from workers.search.postgres import PostgresIndex
from workers.search.sqlite import SqliteIndex

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server that runs for the whole session."""
    with postgres() as url:
        yield url


@pytest.fixture
async def database_url(postgres_url: str) -> str:
    """The URL of an empty database."""
    name = f"test_{next(_numbers)}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name} STRATEGY wal_log")
    await connection.close()
    return postgres_url.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgres"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SearchIndex]:
    """An empty index."""
    made: SearchIndex
    if request.param == "sqlite":
        made = await SqliteIndex.open(tmp_path / "raw.sqlite", TIMEOUT_S, 1.0)
    else:
        url, schema = request.getfixturevalue("postgres_url"), f"search_{next(_numbers)}"
        made = await PostgresIndex.open(url, schema, TIMEOUT_S, create=True)
    async with contextlib.aclosing(_Closing(made)):
        yield made


class _Closing:
    def __init__(self, index: SearchIndex) -> None:
        self._index = index

    async def aclose(self) -> None:
        await self._index.close()
