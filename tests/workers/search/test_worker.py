"""The worker `search` on real servers: every word once, in its own index, whatever is killed."""

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.redis_servers import valkey
from tests.workers.client.stories import fields
from tests.workers.search.a_worker import PARTITIONS, settings_of, work
from tests.workers.search.indexes import TIMEOUT_S, find, texts
from workers.search.index import SearchIndexError, SearchReader, Size
from workers.search.indexes import file_of, open_to_read
from workers.search.settings import Settings
from workers.search.sqlite import SqliteIndex
from workers.search.sqlite_reader import SqliteReader

_PATIENCE_S: Final = 60.0
_WHERE: Final[dict[str, Any]] = {"track": "inbound", "rev": 0, "role": "customer"}


@dataclass(slots=True)
class Writer:
    """Writes entries as gateways and workers do."""

    client: RedisClient
    numbers: Counter[str] = field(default_factory=Counter)

    async def add(self, call: str, kind: str, suffix: str = "", **own: Any) -> None:
        """Write the next event of a call to the shared stream and the call's own."""
        self.numbers[call + suffix] += 1
        event: Any = fields(kind, self.numbers[call + suffix], call=call, **own)
        partition = partition_of(call, PARTITIONS)
        shared = partition_key(partition, suffix or "events")
        entry_id: Any = await self.client.xadd(shared, event)
        own_key = partition_key(partition, f"call:{call}{suffix and ':'}{suffix}")
        await self.client.xadd(own_key, event, id=entry_id)

    async def start(self, call: str, suffix: str = "") -> None:
        await self.add(call, "stream.started", suffix, route="berlin")

    async def say(self, call: str, text: str, segment: int = 1, suffix: str = "") -> None:
        ends = {"start_ms": 1000 * segment, "end_ms": 1000 * segment + 500}
        await self.add(
            call, "transcript.final", suffix, text=text, segment=segment, **_WHERE, **ends
        )

    async def alert(self, call: str, rule: str, state: str = "raised") -> None:
        own = {"rule": rule, "rule_version": "1", "severity": "warning", "title": "t"}
        await self.add(call, "assist.alert", "alerts", alert=rule, state=state, **own)

    async def wrap_up(self, call: str, disposition: str, suffix: str = "redacted-wrapups") -> None:
        own = {"made_from": "redacted", "trigger": "ended", "model": "m", "wrapup": "w"}
        lists = {"summary": "[]", "follow_ups": "[]", "disposition": disposition}
        await self.add(call, "assist.wrapup", suffix, **own, **lists)


@pytest.fixture
async def writer(redis_url: str) -> AsyncIterator[Writer]:
    client = create_client(redis_url)
    yield Writer(client)
    await client.aclose()


@contextlib.asynccontextmanager
async def working(url: str, settings: Settings, name: str = "w1") -> AsyncIterator[None]:
    """Run a worker in this process."""
    stop = asyncio.Event()
    task = asyncio.create_task(work(url, settings, stop, name))
    try:
        yield
    finally:
        stop.set()
        await task


async def until(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """Wait until an index has what is expected."""
    answer: object = None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while answer != expected:
                with contextlib.suppress(SearchIndexError):  # it is not there yet
                    answer = await ask()
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"{answer} instead of {expected}")


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def reader_of(folder: Path, kind: str) -> SqliteReader:
    return SqliteReader(file_of(folder, kind), TIMEOUT_S)


async def test_words_of_live_calls_are_found(
    redis_url: str, writer: Writer, tmp_path: Path
) -> None:
    raw = reader_of(tmp_path, "raw")
    async with working(redis_url, settings_of(tmp_path)):
        await writer.start("CA1")
        await writer.say("CA1", "a refund")
        await until(lambda: texts(raw, "refund"), ["a refund"])
        gap: dict[str, Any] = {"track": "inbound", "from_ms": 1, "to_ms": 9, "cause": "reconnect"}
        await writer.add("CA1", "transcript.gap", **gap)
        await writer.say("CA1", "more", 2)
        await until(lambda: texts(raw, "gap:reconnect route:berlin"), ["more", "a refund"])
        await writer.alert("CA1", "no-refund")
        await until(lambda: texts(raw, "alert:no-refund"), ["more", "a refund"])
        await writer.alert("CA1", "no-refund", "withdrawn")
        await writer.wrap_up("CA1", "sale")
        await until(lambda: texts(raw, "disposition:sale -alert:any more"), ["more"])
    (hit,) = (await find(raw, "refund")).hits
    assert (hit.tenant, hit.carrier, hit.gap_ms, hit.role) == ("default", "twilio", 8, "customer")


async def test_redacted_index_has_redacted_words_only(
    redis_url: str, writer: Writer, tmp_path: Path
) -> None:
    raw, redacted = reader_of(tmp_path, "raw"), reader_of(tmp_path, "redacted")
    async with working(redis_url, settings_of(tmp_path)):
        for suffix, text in (("", "my card is 4111"), ("redacted", "my card is [card]")):
            await writer.start("CA1", suffix)
            await writer.say("CA1", text, suffix=suffix)
        await writer.wrap_up("CA1", "from-redacted")
        await until(lambda: texts(raw, "disposition:from-redacted"), ["my card is 4111"])
        await until(lambda: texts(redacted, "disposition:from-redacted"), ["my card is [card]"])
        await writer.wrap_up("CA1", "from-raw", "wrapups")
        await until(lambda: texts(raw, "disposition:from-raw"), ["my card is 4111"])
    assert await texts(redacted, "disposition:from-redacted") == ["my card is [card]"]
    contents = [path.read_bytes() for path in files(tmp_path) if "redacted" in path.name]
    assert contents
    assert not any(b"4111" in each for each in contents)


async def test_worker_of_redacted_words_writes_no_raw_index(
    redis_url: str, writer: Writer, tmp_path: Path
) -> None:
    async with working(redis_url, settings_of(tmp_path, "redacted")):
        await writer.start("CA1")
        await writer.say("CA1", "canary")
        await writer.start("CA1", "redacted")
        await writer.say("CA1", "masked", suffix="redacted")
        await until(lambda: texts(reader_of(tmp_path, "redacted"), "from:today -canary masked"), [])
        await until(lambda: texts(reader_of(tmp_path, "redacted"), "masked"), ["masked"])
    assert {path.name.partition(".")[0] for path in files(tmp_path)} == {"redacted"}


async def _index_all(url: str, reader: SearchReader, settings: Settings, segments: int) -> None:
    async def count() -> int:
        return (await reader.count()).segments

    async with working(url, settings):
        await until(count, segments)


async def test_index_that_was_deleted_is_filled_again(
    redis_url: str, writer: Writer, tmp_path: Path
) -> None:
    """What the shared stream no longer has of a call is read from the call's own."""
    settings, raw = settings_of(tmp_path, "raw"), reader_of(tmp_path, "raw")
    await writer.start("CA1")
    for number in range(1, 6):
        await writer.say("CA1", f"word {number}", number)
    await _index_all(redis_url, raw, settings, 5)
    for path in files(tmp_path):
        path.unlink()
    shared = partition_key(partition_of("CA1", PARTITIONS), "events")
    await writer.client.xtrim(shared, maxlen=1, approximate=False)
    await _index_all(redis_url, raw, settings, 5)
    assert len(await texts(raw, "word route:berlin")) == 5


async def test_replay_from_the_start_changes_nothing(
    redis_url: str, writer: Writer, tmp_path: Path
) -> None:
    settings, raw = settings_of(tmp_path, "raw"), reader_of(tmp_path, "raw")
    for call in ("CA1", "CA2", "CA3"):
        await writer.start(call)
        for number in range(1, 4):
            await writer.say(call, f"word {number}", number)
        await writer.alert(call, "rule")
    await _index_all(redis_url, raw, settings, 9)
    before = (await find(raw, "word", limit=100)).hits
    async for key in writer.client.scan_iter("cs:*consumer*"):
        await writer.client.delete(key)
    await writer.say("CA1", "last", 9)
    await _index_all(redis_url, raw, settings, 10)
    assert (await find(raw, "word", limit=100)).hits == before
    assert await raw.count() == Size(calls=3, segments=10)


async def test_worker_that_is_killed_again_and_again_loses_and_doubles_nothing(
    redis_url: str, writer: Writer, tmp_path: Path
) -> None:
    """`kill -9` at any event: all words are found once, and alerts as they ended."""
    calls = [f"CA{number}" for number in range(4)]

    async def write(first: int) -> None:
        for number in range(first, first + 15):
            for call in calls:
                await writer.say(call, f"{call} word{number}", number)
                await writer.alert(call, "rule", "raised" if number % 2 else "withdrawn")

    async def indexed() -> int:
        return (await reader_of(tmp_path, "raw").count()).segments

    for call in calls:
        await writer.start(call)
    segments = 0
    for kills in range(2):
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.workers.search.a_worker", redis_url, str(tmp_path))
        )
        writing = asyncio.create_task(write(1 + 15 * kills))
        try:
            async with asyncio.timeout(_PATIENCE_S):
                at = 0
                while at <= segments:  # until it has indexed something
                    with contextlib.suppress(SearchIndexError):
                        at = await indexed()
                    await asyncio.sleep(0.001)
        finally:
            worker.kill()
            await worker.wait()
        await writing
        segments += 15 * len(calls)
    raw = reader_of(tmp_path, "raw")
    async with working(redis_url, settings_of(tmp_path, "raw")):
        await until(indexed, segments)
        await writer.alert("CA1", "last")
        await until(lambda: texts(raw, "alert:last word1"), ["CA1 word1"])
        for call in calls:
            await writer.alert(call, "rule", "withdrawn")
        await until(lambda: texts(raw, "alert:rule"), [])
    for call in calls:
        found = Counter(await texts(raw, f"call:{call}", limit=100))
        assert found == Counter(f"{call} word{number}" for number in range(1, 31))


async def test_worker_waits_while_the_index_refuses_writes(
    redis_url: str, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom to prevent: on a full disk, words become dead letters."""
    add, refusals = SqliteIndex.add, 0

    async def refuse(index: SqliteIndex, changes: Any) -> None:
        nonlocal refusals
        refusals += 1
        if refusals < 8:
            raise SearchIndexError("the disk is full")
        await add(index, changes)

    monkeypatch.setattr(SqliteIndex, "add", refuse)
    monkeypatch.setattr("workers.consumer.partition._BACKOFF_S", (0.001, 0.001))
    raw = reader_of(tmp_path, "raw")
    await writer.start("CA1")
    await writer.say("CA1", "word")
    async with working(redis_url, settings_of(tmp_path, "raw")):
        await until(lambda: texts(raw, "word"), ["word"])
    assert refusals > 8
    assert not [key async for key in writer.client.scan_iter("cs:*dead*")]


async def test_workers_share_a_database(
    redis_url: str, writer: Writer, tmp_path: Path, database_url: str
) -> None:
    settings = settings_of(tmp_path, "raw", database_url)
    reader = await open_to_read(settings, "raw")

    async def count() -> int:
        return (await reader.count()).segments

    async with working(redis_url, settings, "w1"), working(redis_url, settings, "w2"):
        for call in (f"CA{number}" for number in range(8)):
            await writer.start(call)
            await writer.say(call, f"word {call}")
            await writer.alert(call, "rule")
        await until(count, 8)

        async def alerted() -> int:
            return len(await texts(reader, "word alert:rule", limit=100))

        await until(alerted, 8)
    await reader.close()
    assert files(tmp_path) == []


async def test_restart_of_redis_is_survived(tmp_path: Path) -> None:
    raw = reader_of(tmp_path / "index", "raw")
    port = 0
    with valkey(data_dir=tmp_path / "data", appendonly="yes", appendfsync="always") as url:
        port = int(url.rpartition(":")[2])
        client = create_client(url)
        await Writer(client).start("CA1")
        await client.aclose()
    settings = settings_of(tmp_path / "index", "raw")
    async with working(url, settings):
        with valkey(port, tmp_path / "data", appendonly="yes", appendfsync="always") as url:
            client = create_client(url)
            again = Writer(client, Counter({"CA1": 1}))
            await again.say("CA1", "word")
            await until(lambda: texts(raw, "word route:berlin"), ["word"])
            await client.aclose()
