"""Deletes what `push` keeps of a call: waiting messages, dead letters and history."""

from typing import Any, Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from workers.client import reading
from workers.push import outbox

_TIMEOUT_S: Final = 5.0


async def erase(client: RedisClient, partition: int, call_id: str) -> int:
    """Delete a call's messages and attempts of all subscriptions; return how many there were.

    An attempt that is being made is not stopped. Its end may add one entry to the history, without
    content; repeat the erasure after the longest time of an attempt.

    Args:
        client: from `create_client`.
        partition: the call's partition.
        call_id: the call, encoded.

    Raises:
        PublishError: Redis is unavailable.
    """
    names: Any = await execute(
        client, "SMEMBERS", outbox.names_key(partition), timeout_s=_TIMEOUT_S
    )
    count = 0
    for name in sorted(each.decode() for each in names):
        queue = outbox.key(partition, "queue", name, call_id)
        count += int(await execute(client, "LLEN", queue, timeout_s=_TIMEOUT_S))
        for command, kind in (("ZREM", "due"), ("HDEL", "tries")):
            key = outbox.key(partition, kind, name)
            await execute(client, command, key, call_id, timeout_s=_TIMEOUT_S)
        await execute(client, "DEL", queue, timeout_s=_TIMEOUT_S)
        for kind in ("dead", "history"):
            count += await _delete(client, outbox.key(partition, kind, name), call_id)
    return count


async def _delete(client: RedisClient, key: str, call_id: str) -> int:
    """Delete the entries of a call from a stream."""
    count = 0
    async for entries in reading.pages(client, key):
        ids = [each.id for each in entries if each.fields.get("call_id") == call_id]
        if ids:
            count += int(await execute(client, "XDEL", key, *ids, timeout_s=_TIMEOUT_S))
    return count
