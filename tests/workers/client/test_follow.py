"""Calls are followed on real servers: single, RESP3, decoding clients, sentinel and cluster."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.redis_servers import valkey
from tests.sentinels import sentinel
from tests.workers.client.stories import fields
from workers.client import AnyEvent, EventError, Hole, follow, follow_all

PATIENCE_S = 20.0
_TEXT: dict[str, Any] = {"track": "inbound", "segment": 1, "rev": 0, "start_ms": 0, "end_ms": 80}


@pytest.fixture(params=["single", "resp3", "decoding", "cluster", "sentinel"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RedisClient]:
    kind = request.param
    url = request.getfixturevalue("redis_cluster_url" if kind == "cluster" else "redis_url")
    with contextlib.ExitStack() as servers:
        if kind == "sentinel":
            port = servers.enter_context(sentinel(tmp_path, url))
            url = f"redis+sentinel://127.0.0.1:{port}/calls"
        made: RedisClient
        if kind in ("resp3", "decoding"):
            made = Redis.from_url(url, protocol=3, decode_responses=kind == "decoding")
        else:
            made = create_client(url)
        try:
            yield made
        finally:
            await made.aclose()


async def add(
    client: RedisClient, kind: str, n: int, *, call: str = "CA1", suffix: str = "", **own: Any
) -> str:
    """Append an event to the streams of its call and of its partition."""
    event: Any = fields(kind, n, call=call, **own)
    partition = partition_of(call, 64)
    shared = "redacted" if suffix else "events"
    entry_id = await client.xadd(partition_key(partition, shared), event)
    await client.xadd(partition_key(partition, f"call:{call}{suffix}"), event, id=entry_id)
    return entry_id if isinstance(entry_id, str) else entry_id.decode()


async def add_call(client: RedisClient, call: str = "CA1", suffix: str = "") -> list[str]:
    """Append a call of four events; return their ids."""
    ended: dict[str, Any] = {"status": "completed", "reason": "", "duration_ms": 80, "gap_ms": 0}
    return [
        await add(client, "stream.started", 1, call=call, suffix=suffix),
        await add(client, "transcript.delta", 2, call=call, suffix=suffix, text="a", **_TEXT),
        await add(client, "transcript.final", 3, call=call, suffix=suffix, text="a", **_TEXT),
        await add(client, "stream.ended", 4, call=call, suffix=suffix, **ended),
    ]


async def listed(events: AsyncIterator[AnyEvent | Hole], count: int = 0) -> list[str]:
    """Return what is yielded, at most `count` items if it is not 0."""
    found: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        async for item in events:
            is_hole = isinstance(item, Hole)
            found.append(f"hole {item.first}-{item.last}" if is_hole else f"{item.n}")  # type: ignore[union-attr]  # (mypy does not narrow by is_hole)
            if len(found) == count:
                break
    return found


async def test_call_is_followed_to_its_end(client: RedisClient) -> None:
    following = asyncio.create_task(listed(follow(client, "CA1")))
    await asyncio.sleep(0.05)
    ids = await add_call(client)
    assert await following == ["1", "2", "3", "4"]
    assert await listed(follow(client, "CA1", after=ids[1])) == ["3", "4"]


async def test_ended_call_is_over_whatever_is_skipped(client: RedisClient) -> None:
    ids = await add_call(client)
    assert await listed(follow(client, "CA1", after=ids[-1])) == []


async def test_call_is_over_when_all_its_streams_have_ended(client: RedisClient) -> None:
    await add(client, "stream.started", 1, stream="MZ2")
    await add_call(client)
    following = asyncio.create_task(listed(follow(client, "CA1")))
    await asyncio.sleep(0.3)
    assert not following.done()
    own: dict[str, Any] = {"status": "failed", "reason": "", "duration_ms": 0, "gap_ms": 0}
    await add(client, "stream.ended", 2, stream="MZ2", **own)
    assert await following == ["1", "1", "2", "3", "4", "2"]


async def test_holes_are_yielded_and_repetitions_are_not(client: RedisClient) -> None:
    await add(client, "stream.started", 1)
    for n in (4, 4, 2, 5):
        await add(client, "stream.dtmf", n)
    await add(client, "stream.dtmf", 3, epoch=2)
    own: dict[str, Any] = {"status": "lost", "reason": "", "duration_ms": 0, "gap_ms": 0}
    last = await add(client, "stream.ended", 1, epoch=3, **own)
    assert await listed(follow(client, "CA1")) == ["1", "hole 2-3", "4", "5", "hole 1-2", "3", "1"]
    assert await listed(follow(client, "CA1", after=last)) == []


async def test_redacted_copy_is_followed(client: RedisClient) -> None:
    await add(client, "stream.started", 1)
    await add_call(client, suffix=":redacted")
    assert await listed(follow(client, "CA1", redacted=True)) == ["1", "2", "3", "4"]
    assert await listed(follow_all(client, dict.fromkeys(range(64), "0"), redacted=True), 4) == [
        "1", "2", "3", "4"
    ]  # fmt: skip


async def test_all_calls_are_followed_and_resumed_by_their_positions(client: RedisClient) -> None:
    calls = [f"CA{number}" for number in range(20)]
    for call in calls:
        await add_call(client, call)
    positions = dict.fromkeys(range(64), "0")
    first = await by_call(follow_all(client, positions), 50)
    rest = await by_call(follow_all(client, positions), 30)
    for call in calls:
        assert first.get(call, []) + rest.get(call, []) == [1, 2, 3, 4]


async def by_call(events: AsyncIterator[AnyEvent | Hole], count: int) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    async with asyncio.timeout(PATIENCE_S):
        async for item in events:
            assert not isinstance(item, Hole)
            found.setdefault(item.call_id, []).append(item.n)
            if sum(map(len, found.values())) == count:
                break
    return found


async def test_all_calls_begin_now(client: RedisClient) -> None:
    await add_call(client)
    following = asyncio.create_task(listed(follow_all(client), 3))
    await asyncio.sleep(0.5)
    await add(client, "transcript.delta", 9, text="a", **_TEXT)
    await add(client, "stream.dtmf", 12)
    assert await following == ["9", "hole 10-11", "12"], "a stream read from its middle has no hole"


async def test_malformed_entry_raises(client: RedisClient) -> None:
    await client.execute_command("XADD", "cs:{p53}:call:CA1", "*", "type", "stream.started")
    with pytest.raises(EventError):
        await listed(follow(client, "CA1"))


async def test_unavailable_redis_is_retried_and_nothing_is_lost_or_repeated() -> None:
    with valkey() as url:
        port = int(url.rpartition(":")[2])
        client = create_client(url)
        ids = iter(await add_call(client, "CA2"))
        await add(client, "stream.started", 1)
        following = asyncio.create_task(listed(follow(client, "CA1", retry_s=PATIENCE_S)))
        await asyncio.sleep(0.2)
        before = await dump(client)
    await asyncio.sleep(0.5)
    with valkey(port):
        for key, entries in before.items():
            for entry_id, event in entries:
                await client.xadd(key, event, id=entry_id)
        own: dict[str, Any] = {"status": "completed", "reason": "", "duration_ms": 0, "gap_ms": 0}
        await add(client, "stream.ended", 2, **own)
        assert await following == ["1", "2"]
        assert next(ids)
        await client.aclose()


async def dump(client: RedisClient) -> dict[Any, Any]:
    return {key: await client.xrange(key) for key in await client.keys("*")}


async def test_redis_that_stays_unavailable_raises() -> None:
    client = create_client("redis://127.0.0.1:1/0")
    with pytest.raises(PublishError):
        await listed(follow(client, "CA1", retry_s=0.3))
    await client.aclose()


async def test_wrong_credentials_raise_at_once(redis_url: str) -> None:
    client = create_client(redis_url.replace("//", "//someone:wrong@"))
    with pytest.raises(PublishError):
        await listed(follow(client, "CA1", retry_s=PATIENCE_S))
    await client.aclose()
