"""Transcript events out of Redis, as any consumer reads them."""

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

# The installation's, as the gateway reads it.
PARTITIONS: Final = int(os.environ.get("GATEWAY_PARTITIONS") or 64)

_BLOCK_MS: Final = 1000
_BATCH: Final = 500

type Event = Mapping[str, str]


@asynccontextmanager
async def connect(redis_url: str) -> AsyncIterator[RedisClient]:
    """Open a client and see that it works.

    Raises:
        CommandError: the URL is invalid or nobody answers; also for a failure later on.
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
        place = urlsplit(redis_url).hostname  # the URL itself may hold a password
        raise CommandError(f"Redis at {place}: {type(error).__name__}") from None


async def require(redis_url: str) -> None:
    """See that Redis is there before anything is started that needs it.

    Raises:
        CommandError: it is not.
    """
    async with connect(redis_url):
        pass


def call_key(call_id: str) -> str:
    """Name the stream of one call, by the carrier's id."""
    return call_keys(encode_id(call_id), PARTITIONS).call


def all_calls() -> list[str]:
    """Name the streams that together have every call's events."""
    return [partition_key(partition, "events") for partition in range(PARTITIONS)]


async def follow(
    client: RedisClient, keys: Iterable[str], *, since: str = "0", idle_s: float = float("inf")
) -> AsyncIterator[Event]:
    """Read streams as they grow.

    Args:
        client: where; on a cluster the keys must share a slot, as one call's do.
        keys: which streams.
        since: read what comes after this id in each; "$" is from now on.
        idle_s: how long nothing may come.

    Yields:
        Each event's fields.

    Raises:
        TimeoutError: nothing came for `idle_s`.
    """
    positions: dict[Any, Any] = dict.fromkeys(keys, since)
    if since == "$":  # means "now" at every call: fix it, or what comes between two is missed
        positions = {key: await _last_id(client, key) for key in positions}
    received_at = time.monotonic()
    while True:
        reply: Any = await client.xread(positions, count=_BATCH, block=_BLOCK_MS)
        for key, entries in reply:
            for entry_id, fields in entries:
                positions[key.decode()] = entry_id.decode()
                yield _decoded(fields)
        if reply:
            received_at = time.monotonic()
        elif time.monotonic() - received_at > idle_s:
            raise TimeoutError
        await asyncio.sleep(0)  # a long backlog must not starve whoever else runs here


async def until_ended(client: RedisClient, call_id: str, *, idle_s: float) -> list[Event]:
    """Read a call of one stream up to its last event.

    Args:
        client: where.
        call_id: the carrier's.
        idle_s: how long nothing may come.

    Raises:
        TimeoutError: nothing came for `idle_s`, and it has not ended.
    """
    events = []
    async for event in follow(client, [call_key(call_id)], idle_s=idle_s):
        events.append(event)
        if event["type"] == "stream.ended":
            break
    return events


async def history(client: RedisClient, call_id: str) -> list[Event]:
    """Read what there is of a call, by the carrier's id."""
    entries: Any = await client.xrange(call_key(call_id))
    return [_decoded(fields) for _, fields in entries]


async def has_ended(client: RedisClient, call_id: str) -> bool:
    """Whether the last event of a call so far ends a stream."""
    entries: Any = await client.xrevrange(call_key(call_id), count=1)
    return bool(entries) and _decoded(entries[0][1])["type"] == "stream.ended"


def _decoded(fields: Mapping[bytes, bytes]) -> Event:
    return {name.decode(): value.decode() for name, value in fields.items()}


async def _last_id(client: RedisClient, key: str) -> str:
    entries: Any = await client.xrevrange(key, count=1)
    return str(entries[0][0].decode()) if entries else "0"
