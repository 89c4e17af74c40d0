"""Connects the commands to Redis, and reads events unparsed, for the audit."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from cli.errors import CommandError
from common.settings import SettingsError
from gateway.errors import PublishError
from gateway.redis_client.check import check
from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import call_keys, encode_id, keys_in
from workers.archive.reading import locate as locate_call
from workers.archive.record import Text
from workers.client import reading

# The same setting as the gateway's.
PARTITIONS: Final = int(os.environ.get("GATEWAY_PARTITIONS") or 64)

_BLOCK_MS: Final = 1000

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
    """Return the key of the stream of a call that may not have begun, by the carrier's call id."""
    return call_keys(encode_id(call_id), PARTITIONS).call


async def locate(client: RedisClient, call_id: str, text: Text = Text.RAW) -> int:
    """Return the partition of a call, by the carrier's call id or a longer one.

    See "Two calls with one id" in docs/events.md.
    """
    return await locate_call(client, encode_id(call_id), text, PARTITIONS)


async def stored_key(client: RedisClient, call_id: str, text: Text = Text.RAW) -> str:
    """Return the key of the stream of a call, as `locate` finds it."""
    return keys_in(await locate(client, call_id, text), encode_id(call_id)).call


async def follow(
    client: RedisClient, keys: Iterable[str], *, idle_s: float = float("inf")
) -> AsyncIterator[Event]:
    """Yield the fields of each event of several streams, unparsed and unchecked, as they grow.

    Raises:
        TimeoutError: no event arrived for `idle_s` seconds.
    """
    positions = dict.fromkeys(keys, "0")
    received_s = time.monotonic()
    while True:
        reply = await reading.read(client, positions)
        for key, entries in reply.items():
            for entry in entries:
                positions[key] = entry.id
                yield entry.fields
        if reply:
            received_s = time.monotonic()
        elif time.monotonic() - received_s > idle_s:
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
    found: list[Event] = []
    position = "0"
    key = await stored_key(client, call_id)
    while page := await reading.history(client, key, after=position):
        found += [entry.fields for entry in page]
        position = page[-1].id
    return found


async def has_ended(client: RedisClient, call_id: str) -> bool:
    """Return whether the newest event of a call ends a stream."""
    key = await stored_key(client, call_id)
    newest = await reading.last_id(client, key)
    before = f"{int(newest.partition('-')[0]) - 1}" if newest != "0" else "0"
    page = await reading.history(client, key, after=before)
    return bool(page) and page[-1].fields["type"] == "stream.ended"
