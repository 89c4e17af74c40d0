"""Reads any number of event streams as they grow, from a single server, sentinels or a cluster."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from redis.asyncio import RedisCluster

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import Command, drop_connections, exchange, execute
from gateway.redis_client.errors import classify
from workers.client.events import Entry

BATCH: Final = 500  # entries of each stream in one reply
_TIMEOUT_S: Final = 5.0
_BLOCK_S: Final = 1.0  # below the timeouts of clients
_POLL_S: Final = (0.01, 0.1)  # the interval doubles while nothing new is found


class Found(NamedTuple):
    """New entries of several streams.

    Attributes:
        entries: by key; streams without new entries are absent.
        failure: why some of the streams could not be read; None if all were.
        unread: the keys of those that could not be read.
    """

    entries: dict[str, list[Entry]]
    failure: PublishError | None = None
    unread: frozenset[str] = frozenset()


async def read(
    client: RedisClient, positions: Mapping[str, str], *, wait_s: float = _BLOCK_S
) -> dict[str, list[Entry]]:
    """Return new entries of several streams, at most `BATCH` of each.

    Args:
        client: from `create_client`, or any client of redis-py.
        positions: by key, the id after which to read.
        wait_s: how long to wait for a first entry, at most 1 s.

    Returns:
        By key, its new entries. Streams without new entries are absent.

    Raises:
        PublishError: Redis, or a node of a cluster, is unavailable, or refuses the command.
    """
    found = await read_available(client, positions, wait_s=wait_s)
    if found.failure:
        raise found.failure
    return found.entries


async def read_available(
    client: RedisClient, positions: Mapping[str, str], *, wait_s: float = _BLOCK_S
) -> Found:
    """Return new entries as `read`; those of a cluster's available nodes if others are not.

    A cluster refuses an XREAD of streams in several slots, even on one node. There, the streams are
    polled, in one exchange with each node.

    Raises:
        PublishError: a single server is unavailable, or refuses the command.
    """
    if isinstance(client, RedisCluster) and len(positions) > 1:
        return await _poll(client, positions, wait_s)
    block = ("BLOCK", round(wait_s * 1000)) if wait_s else ()
    reply = await execute(
        client,
        *("XREAD", "COUNT", BATCH, *block, "STREAMS", *positions, *positions.values()),
        timeout_s=wait_s + _TIMEOUT_S,
    )
    # RESP3 replies with a dictionary, whose values redis-py wraps in a list.
    streams = reply.items() if isinstance(reply, dict) else reply or ()
    return Found({text(key): _entries(found) for key, found in streams})


async def _poll(client: RedisClient, positions: Mapping[str, str], wait_s: float) -> Found:
    commands: list[Command] = [
        ("XRANGE", key, f"({after}", "+", "COUNT", BATCH) for key, after in positions.items()
    ]
    deadline_s = time.monotonic() + wait_s
    interval_s, longest_s = _POLL_S
    while True:
        replies = await exchange(client, commands, _TIMEOUT_S, key_at=1)
        failure: PublishError | None = None
        unread: set[str] = set()
        found: dict[str, list[Entry]] = {}
        for key, reply in zip(positions, replies, strict=True):
            if isinstance(reply, Exception):
                failure = failure or classify(reply)
                unread.add(key)
            elif reply:
                found[key] = _entries(reply)
        if failure:
            await drop_connections(client)
        if found or failure or time.monotonic() >= deadline_s:
            return Found(found, failure, frozenset(unread))
        await asyncio.sleep(interval_s)
        interval_s = min(2 * interval_s, longest_s)


async def history(
    client: RedisClient, key: str, *, after: str = "0", last: str = "+"
) -> list[Entry]:
    """Return entries of one stream after an id, up to `last`; at most `BATCH`.

    Raises:
        PublishError: as `read`.
    """
    found = await execute(
        client, "XRANGE", key, f"({after}", last, "COUNT", BATCH, timeout_s=_TIMEOUT_S
    )
    return _entries(found)


async def pages(client: RedisClient, key: str) -> AsyncIterator[list[Entry]]:
    """Yield all entries of one stream, in batches.

    Raises:
        PublishError: as `read`.
    """
    after = "0"
    while entries := await history(client, key, after=after):
        yield entries
        after = entries[-1].id


async def find(client: RedisClient, key: str, entry_id: str) -> Entry | None:
    """Return one entry of a stream; None if there is none with this id.

    Raises:
        PublishError: as `read`.
    """
    found = await execute(client, "XRANGE", key, entry_id, entry_id, timeout_s=_TIMEOUT_S)
    return next(iter(_entries(found)), None)


async def last_ids(client: RedisClient, keys: Sequence[str]) -> dict[str, str]:
    """Return the ids of the last entries, as `last_id`; without those on unavailable nodes.

    Raises:
        PublishError: Redis, or every node, is unavailable, or refuses the command.
    """
    commands: list[Command] = [("XREVRANGE", key, "+", "-", "COUNT", 1) for key in keys]
    replies = await exchange(client, commands, _TIMEOUT_S, key_at=1)
    ids, failure = {}, None
    for key, reply in zip(keys, replies, strict=True):
        if isinstance(reply, Exception):
            failure = reply
        else:
            ids[key] = _last_id(reply)
    if failure:
        await drop_connections(client)
        if not ids:
            raise classify(failure)
    return ids


async def last(client: RedisClient, key: str) -> Entry | None:
    """Return a stream's last entry; None if it has none.

    Raises:
        PublishError: as `read`.
    """
    found = await execute(client, "XREVRANGE", key, "+", "-", "COUNT", 1, timeout_s=_TIMEOUT_S)
    return next(iter(_entries(found)), None)


async def last_id(client: RedisClient, key: str) -> str:
    """Return the id of a stream's last entry; 0 if it has none.

    Raises:
        PublishError: as `read`.
    """
    entry = await last(client, key)
    return entry.id if entry else "0"


def _last_id(reply: Any) -> str:  # noqa: ANN401 - as below
    entries = _entries(reply)
    return entries[0].id if entries else "0"


def _entries(reply: Any) -> list[Entry]:  # noqa: ANN401 - the reply's form depends on the client
    if len(reply) == 1 and isinstance(reply[0], list) and not _is_entry(reply[0]):
        reply = reply[0]  # RESP3
    return [Entry(text(entry_id), _fields(fields)) for entry_id, fields in reply]


def _is_entry(reply: Sequence[object]) -> bool:
    return len(reply) == 2 and isinstance(reply[0], str | bytes)


def _fields(fields: Any) -> dict[str, str]:  # noqa: ANN401 - as above
    if not isinstance(fields, dict):  # raw replies of `exchange`
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    return {text(name): text(value) for name, value in fields.items()}


def text(value: str | bytes) -> str:
    """Return a value of a reply as text."""
    return value if isinstance(value, str) else value.decode(errors="replace")
