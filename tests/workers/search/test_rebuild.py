"""Indexes that are built anew, and calls that are removed while a worker writes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.settings import SettingsError
from gateway.errors import PublishError
from gateway.redis_client.client import create_client
from tests.workers.search.a_worker import settings_of
from tests.workers.search.indexes import TIMEOUT_S, said, seen, texts
from tests.workers.search.test_worker import Writer
from workers.search import indexes
from workers.search.index import Change, SearchIndexError, Size
from workers.search.rebuild import RedisSource
from workers.search.settings import Settings
from workers.search.sqlite import SqliteIndex


@pytest.fixture
def files(tmp_path: Path) -> Settings:
    return settings_of(tmp_path)


@pytest.fixture
def database(tmp_path: Path, database_url: str) -> Settings:
    return settings_of(tmp_path, "both", database_url)


@pytest.fixture(params=["files", "database"])
def settings(request: pytest.FixtureRequest) -> Settings:
    made: Settings = request.getfixturevalue(request.param)
    return made


class Calls:
    """A source of calls; it may fail at the end."""

    def __init__(self, *changes: Change, error: Exception | None = None) -> None:
        self._changes = changes
        self._error = error

    async def changes(self) -> AsyncIterator[Sequence[Change]]:
        yield self._changes
        if self._error:
            raise self._error


async def found(settings: Settings, query: str, kind: str = "raw") -> list[str]:
    reader = await indexes.open_to_read(settings, kind)
    try:
        return sorted(await texts(reader, query, limit=100))
    finally:
        await reader.close()


async def test_index_is_built_from_what_redis_has(redis_url: str, settings: Settings) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        writer = Writer(client)
        for call in ("CA1", "CA%3A2"):
            for suffix in ("", "redacted"):
                await writer.start(call, suffix)
                await writer.say(call, f"{suffix or 'raw'} {call}", suffix=suffix)
            await writer.alert(call, "rule")
            await writer.wrap_up(call, "from-redacted")
            await writer.wrap_up(call, "from-raw", "wrapups")
        await client.hset("cs:{p00}:writers:CA1", "MZ1", "1:1")
        await client.xadd("cs:{p00}:call:CA3", {"no": "event", "call_id": "CA3"})
        for kind in ("raw", "redacted"):
            await indexes.rebuild(settings, kind, RedisSource(client, kind))
    both = ["raw CA%3A2", "raw CA1"]
    assert await found(settings, "alert:rule route:berlin") == both
    redacted = ["redacted CA%3A2", "redacted CA1"]
    assert await found(settings, "alert:rule disposition:from-redacted", "redacted") == redacted
    assert await found(settings, "disposition:from-raw", "redacted") == []


async def test_new_index_has_only_what_the_source_has(settings: Settings) -> None:
    await indexes.rebuild(settings, "raw", Calls(seen(), said("old word")))
    await indexes.rebuild(settings, "raw", Calls(seen("CA2"), said("new word", call="CA2")))
    assert await found(settings, "word") == ["new word"]


async def test_removed_call_stays_out_of_a_new_index(settings: Settings) -> None:
    await indexes.rebuild(settings, "raw", Calls(seen(), said("secret")))
    assert await indexes.remove(settings, "raw", ["CA1"]) == 1
    await indexes.rebuild(settings, "raw", Calls(seen(), said("secret"), said("word", call="CA2")))
    assert await found(settings, "from:today") == ["word"]


async def test_interrupted_rebuild_leaves_the_old_index(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    await indexes.rebuild(settings, "raw", Calls(seen(), said("old word")))
    failing = Calls(seen(), said("half a word"), error=PublishError("redis-unavailable"))
    with pytest.raises(PublishError):
        await indexes.rebuild(settings, "raw", failing)
    assert await found(settings, "word") == ["old word"]
    assert not list(tmp_path.glob("new-*"))  # noqa: ASYNC240 - a test
    await indexes.rebuild(settings, "raw", Calls(seen(), said("new word")))
    assert await found(settings, "word") == ["new word"]


async def test_removal_deletes_what_a_killed_rebuild_left(tmp_path: Path) -> None:
    """Symptom: words of an erased call stayed on the disk, in a file that no process opens."""
    settings = settings_of(tmp_path)
    killed = await SqliteIndex.open(tmp_path / "new-raw.sqlite", TIMEOUT_S, 1.0)
    await killed.add([seen(), said("secret")])
    await killed.close()
    assert indexes.is_begun(tmp_path, "raw")
    assert await indexes.remove(settings, "raw", ["CA1"]) == 0
    assert not list(tmp_path.glob("new-*"))  # noqa: ASYNC240 - a test


async def test_rebuild_while_a_worker_writes_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    index = await indexes.open_to_write(settings, "raw", 1.0)
    with pytest.raises(SearchIndexError, match="another process"):
        await indexes.rebuild(settings, "raw", Calls())
    await index.close()


async def test_call_is_removed_while_a_worker_writes(settings: Settings) -> None:
    index = await indexes.open_to_write(settings, "raw", 1.0)
    before = await index.count()
    await index.add([seen("CA7"), said("secret", call="CA7")])

    async def write() -> None:
        for number in range(30):
            await index.add([seen("CA8"), said(f"word {number}", number, "CA8")])
            with contextlib.suppress(SearchIndexError):  # it is busy: the worker repeats it
                await index.add([said("secret again", number, "CA7")])

    removed, _ = await asyncio.gather(indexes.remove(settings, "raw", ["CA7"]), write())
    assert removed == 1
    assert await texts(index, "secret") == []
    assert len(await texts(index, "call:CA8", limit=100)) == 30
    assert (await index.count()).segments == before.segments + 30
    await index.close()


async def test_unavailable_database_is_reported_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://user:canary@127.0.0.1:1/none"
    settings = settings_of(tmp_path, "raw", url)
    with pytest.raises(SearchIndexError, match="PostgreSQL can't be used") as refused:
        await indexes.open_to_write(settings, "raw", 1.0)
    assert "canary" not in f"{refused.value!r} {settings!r}"
    reader = await indexes.open_to_read(settings, "raw")  # the relay starts before the database
    with pytest.raises(SearchIndexError):
        await reader.count()
    await reader.close()


async def test_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.search.driver.asyncpg", None)
    settings = settings_of(tmp_path, "raw", "postgresql://127.0.0.1:1/none")
    with pytest.raises(SettingsError, match="extra search-postgres"):
        await indexes.open_to_read(settings, "raw")


def test_url_of_another_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_of(tmp_path, "raw", "mysql://user:canary@127.0.0.1/none")
    assert "canary" not in str(refused.value)


async def test_count_of_an_empty_index(settings: Settings) -> None:
    await indexes.rebuild(settings, "redacted", Calls())
    reader = await indexes.open_to_read(settings, "redacted")
    assert await reader.count() == Size(0, 0)
    assert reader.timeout_s < TIMEOUT_S
    await reader.close()
