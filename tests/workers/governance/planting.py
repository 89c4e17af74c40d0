"""Calls with a canary in every place of Redis that the workers write."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from redis.asyncio import RedisCluster

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.workers.client.stories import fields
from workers.governance.assembly import Governed, govern
from workers.governance.eraser import Actor
from workers.governance.settings import Settings

OF_A_CALL: Final = 45  # keys, entries and members that `plant` writes
ANN: Final = Actor("ann", "cli:test")
PARTITIONS: Final = 64
_SUFFIXES: Final = ("redacted", "alerts", "wrapups", "redacted-wrapups", "mine")


def governed(client: RedisClient, **settings: Any) -> Governed:
    """Return governance of a server."""
    return govern(client, PARTITIONS, Settings(_env_file=None, **settings))


@contextlib.asynccontextmanager
async def client_of(url: str) -> AsyncIterator[RedisClient]:
    """Open a client."""
    async with contextlib.aclosing(create_client(url)) as client:
        yield client


def canary(call_id: str) -> str:
    """Return words that occur only in one call."""
    return f"canary of {call_id}."


def final(call_id: str, n: int) -> dict[str, str]:
    """Return a final with the canary of its call."""
    own: dict[str, Any] = {"track": "inbound", "segment": n, "rev": 0, "start_ms": 0, "end_ms": 80}
    return fields("transcript.final", n, text=canary(call_id), **own) | {"call_id": call_id}


async def add(client: RedisClient, key: str, entry: dict[str, str]) -> str:
    """Append an entry; return its id."""
    flat = [each for pair in entry.items() for each in pair]
    entry_id: bytes = await client.execute_command("XADD", key, "*", *flat)
    return entry_id.decode()


async def plant(client: RedisClient, call_id: str, *, plain_id: str = "", **started: Any) -> None:
    """Write a call that has ended to every place."""
    tag = partition_key(partition_of(plain_id or call_id, PARTITIONS), "")
    start = fields("stream.started", 1, **started) | {"call_id": call_id}
    finals = [final(call_id, n) | _tenant(started) for n in range(2, 5)]
    texts = [start, *finals]
    for entry in texts:
        for name in ("events", *_SUFFIXES):
            own = f"call:{call_id}" if name == "events" else f"call:{call_id}:{name}"
            await add(client, f"{tag}{name}", entry)
            await add(client, f"{tag}{own}", entry)
    for group in ("redact", "assist", "my-group"):
        await add(client, f"{tag}dead:{group}", texts[-1] | {"dead_error": "ValueError"})
        await add(client, f"{tag}retry:{group}", texts[-1])
    message = f'{{"call_id":"{call_id}","text":"{canary(call_id)}"}}'
    await client.rpush(f"{tag}push:queue:crm:{call_id}", message)
    await add(client, f"{tag}push:dead:crm", {"message": message, "reason": "gone"})
    await add(client, f"{tag}push:history:crm", {"call_id": call_id, "step": "dead"})
    for name in ("due:archive", "push:due:crm"):
        await client.zadd(f"{tag}{name}", {call_id: 1.0})
    await client.zadd(f"{tag}push:seen:events", {f"{call_id} MZ1 1:2": 1.0})
    await client.hset(f"{tag}push:tries:crm", call_id, "1 0 -")
    await client.hset(f"{tag}jobs:wrapup", f"{call_id} w1", message)
    await client.hset(f"{tag}writers:{call_id}", ":owner", "default twilio")
    await client.hset(f"{tag}consumer:redact", "position", "7-0")


def _tenant(started: dict[str, Any]) -> dict[str, str]:
    return {"tenant": started["tenant"]} if "tenant" in started else {}


async def everything(client: RedisClient) -> bytes:
    """Return the names and the dumps of all keys, without what governance keeps."""
    nodes = {"target_nodes": RedisCluster.ALL_NODES} if isinstance(client, RedisCluster) else {}
    # Else the dumps are compressed, so that no words can be found in them.
    await client.execute_command("CONFIG SET", "rdbcompression", "no", **nodes)
    parts: list[bytes] = []
    async for key in client.scan_iter():
        name = key.rpartition(b":")[2]
        if key != b"cs:audit" and name not in (b"erased", b"held"):
            parts += [key, await client.dump(key) or b""]
    return b"\n".join(parts)


def words_of(call_ids: Iterator[str] | list[str]) -> list[bytes]:
    """Return what must not be found of erased calls."""
    return [canary(call_id).encode() for call_id in call_ids]


def ago_ms(seconds: float) -> int:
    """Return a time in the past, Unix ms."""
    return round((time.time() - seconds) * 1000)


async def entries(client: RedisClient, key: str | bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return all entries of a stream."""
    found: Any = await client.xrange(key)
    return list(found)
