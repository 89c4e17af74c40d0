"""Events are read from a real Redis server."""

import asyncio

import pytest
import redis

from cli import events
from cli.errors import CommandError
from workers.archive.record import Text


def append(url: str, key: str, *numbers: int) -> None:
    with redis.Redis.from_url(url) as client:
        for n in numbers:
            client.xadd(key, {"n": n, "text": "größer"})


async def until_reader_blocks(url: str) -> None:
    """Wait until a reader blocks, so that the next entry is appended during its XREAD."""
    with redis.Redis.from_url(url) as client:
        while not client.info("clients")["blocked_clients"]:  # noqa: ASYNC110 (the server has no event for this)
            await asyncio.sleep(0.01)


async def read(url: str, keys: list[str], count: int) -> list[str]:
    """Read `count` events."""
    seen: list[str] = []
    async with events.connect(url) as client, asyncio.timeout(20):
        async for event in events.follow(client, keys):
            assert event["text"] == "größer"
            seen.append(event["n"])
            if len(seen) == count:
                break
    return seen


async def test_follow_reads_old_and_new_events(redis_url: str) -> None:
    key = events.call_key("CA1")
    append(redis_url, key, 1, 2)
    reading = asyncio.create_task(read(redis_url, [key], 4))
    await until_reader_blocks(redis_url)
    append(redis_url, key, 3, 4)
    assert await reading == ["1", "2", "3", "4"]


async def test_follow_reads_one_call_on_a_cluster(
    redis_cluster_url: str, redis_cluster_nodes: tuple[str]
) -> None:
    key = events.call_key("CA1")
    with redis.RedisCluster.from_url(redis_cluster_nodes[0]) as client:
        client.xadd(key, {"n": 1, "text": "größer"})
    assert await read(redis_cluster_url, [key], 1) == ["1"]


async def test_call_with_a_longer_id_is_found_beside_the_one_with_the_plain_id(
    redis_url: str,
) -> None:
    key = "cs:{p53}:call:default.talkdesk.CA1"
    async with events.connect(redis_url) as client:
        append(redis_url, f"{key}:redacted", 1)
        assert await events.stored_key(client, "default.talkdesk.CA1") != key
        assert await events.stored_key(client, "default.talkdesk.CA1", Text.REDACTED) == key
        append(redis_url, key, 1)
        assert await events.stored_key(client, "default.talkdesk.CA1") == key
        assert await events.stored_key(client, "CA1") == "cs:{p53}:call:CA1"


def test_keys_follow_the_contract() -> None:
    assert events.call_key("CA 1") == "cs:{p35}:call:CA%201"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("redis://user:hunter2@127.0.0.1:1/0", r"no Redis answers at 127\.0\.0\.1:1"),
        ("http://hunter2@somewhere", "must start with redis://"),
    ],
)
async def test_connection_error_omits_password(url: str, what: str) -> None:
    with pytest.raises(CommandError, match=what) as failure:
        async with events.connect(url):
            pass
    assert "hunter2" not in str(failure.value)
