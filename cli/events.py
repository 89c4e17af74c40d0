"""Reads transcript events from Redis, as any consumer does."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from redis.exceptions import RedisClusterException, RedisError

from cli.errors import CommandError
from common.settings import SettingsError
from gateway.errors import PublishError
from gateway.redis_client.check import check
from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import call_keys, encode_id, partition_key

# The same setting as the gateway's.
PARTITIONS: Final = int(os.environ.get("GATEWAY_PARTITIONS") or 64)

_BLOCK_MS: Final = 1000
_BATCH: Final = 500

type Event = Mapping[str, str]


@asynccontextmanager
async def connect(redis_url: str) -> AsyncIterator[RedisClient]:
    """Open a client and check the connection.

    Raises:
        CommandError: the URL is invalid, Redis is unavailable, or a later command failed.
    """
    try:
        client = create_client(redis_url, timeout_s=5 + _BLOCK_MS / 1000)
        try:
            await check(client)
            yield client
        finally:
            await client.aclose()
    except SettingsError as error:
        raise CommandError(str(error)) from None
    except PublishError as error:
        raise CommandError(error.detail) from None
    except RedisClusterException:
        raise CommandError("on a cluster only one call can be followed: name it") from None
    except RedisError as error:
        host = urlsplit(redis_url).hostname  # the URL itself may contain a password
        raise CommandError(f"Redis at {host}: {type(error).__name__}") from None


async def require(redis_url: str) -> None:
    """Check that Redis is available, before anything that needs it is started.

    Raises:
        CommandError: Redis is unavailable.
    """
    async with connect(redis_url):
        pass


def call_key(call_id: str) -> str:
    """Return the key of one call's stream, by the carrier's call id."""
    return call_keys(encode_id(call_id), PARTITIONS).call


def all_calls() -> list[str]:
    """Return the keys of the streams that together contain all calls' events."""
    return [partition_key(partition, "events") for partition in range(PARTITIONS)]


async def follow(
    client: RedisClient, keys: Iterable[str], *, since: str = "0", idle_s: float = float("inf")
) -> AsyncIterator[Event]:
    """Read streams as they grow.

    Args:
        client: the client; on a cluster, all keys must be in one slot.
        keys: keys of the streams.
        since: read the entries after this id in each stream; "$" reads only new entries.
        idle_s: how long to wait for the next event.

    Yields:
        The fields of each event.

    Raises:
        TimeoutError: no event arrived for `idle_s` seconds.
    """
    positions: dict[Any, Any] = dict.fromkeys(keys, since)
    # "$" means "now" in each XREAD: entries added between two of them would be missed.
    if since == "$":
        positions = {key: await _last_id(client, key) for key in positions}
    audio_received_s = time.monotonic()
    while True:
        reply: Any = await client.xread(positions, count=_BATCH, block=_BLOCK_MS)
        for key, entries in reply:
            for entry_id, fields in entries:
                positions[key.decode()] = entry_id.decode()
                yield _decoded(fields)
        if reply:
            audio_received_s = time.monotonic()
        elif time.monotonic() - audio_received_s > idle_s:
            raise TimeoutError
        await asyncio.sleep(0)  # a long backlog must not block other tasks


async def until_ended(client: RedisClient, call_id: str, *, idle_s: float) -> list[Event]:
    """Read a call that has one stream, up to its last event.

    Args:
        client: the client.
        call_id: the carrier's call id.
        idle_s: how long to wait for the next event.

    Raises:
        TimeoutError: no event arrived for `idle_s` seconds, and the call has not ended.
    """
    events = []
    async for event in follow(client, [call_key(call_id)], idle_s=idle_s):
        events.append(event)
        if event["type"] == "stream.ended":
            break
    return events


async def history(client: RedisClient, call_id: str) -> list[Event]:
    """Return the events of a call so far, by the carrier's call id."""
    entries: Any = await client.xrange(call_key(call_id))
    return [_decoded(fields) for _, fields in entries]


async def has_ended(client: RedisClient, call_id: str) -> bool:
    """Return whether the newest event of a call ends a stream."""
    entries: Any = await client.xrevrange(call_key(call_id), count=1)
    return bool(entries) and _decoded(entries[0][1])["type"] == "stream.ended"


def _decoded(fields: Mapping[bytes, bytes]) -> Event:
    return {name.decode(): value.decode() for name, value in fields.items()}


async def _last_id(client: RedisClient, key: str) -> str:
    entries: Any = await client.xrevrange(key, count=1)
    return str(entries[0][0].decode()) if entries else "0"
