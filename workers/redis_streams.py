"""The janitor's Redis operations, for a single server or a cluster."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from gateway.errors import PublishError
from gateway.publishing.event_store import AppendCall
from gateway.publishing.redis_store import append
from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.keys import partition_key
from workers.client import reading

# Reads the server's clock and the expired leases atomically. It begins with the command that renews
# a lease (ZADD, but XX with a member that does not exist, so nothing is written). If the server
# refuses writes now (out of memory, a replica, too few replicas, no disk), the script must fail.
_LAPSED: Final = """
redis.call('ZADD', KEYS[1], 'XX', 0, '-')
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local until_ms = string.format('%.0f', now_ms)
return {now_ms, redis.call('ZRANGE', KEYS[1], '-inf', until_ms, 'BYSCORE', 'LIMIT', 0, ARGV[1])}
"""
_TIMEOUT_S: Final = 5.0  # per command


class RedisStreams:
    """Implements `LeaseStore` of `janitor.py`.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `gateway.redis_client.client.create_client`.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
        """Return the server's time and the streams of a partition whose lease has expired.

        The time is in Unix ms, the streams are `call_id stream_id`.

        Raises:
            PublishError: Redis is unavailable, or refuses writes, so that no gateway can renew a
                lease.
        """
        live = partition_key(partition, "live")
        now_ms, members = await self._execute("EVAL", _LAPSED, 1, live, limit)
        return int(now_ms), [member.decode(errors="replace") for member in members]

    async def owner_epoch(self, writers_key: str, stream_id: str) -> int:
        """Return the epoch that owns a stream, or 0."""
        owner: bytes | None = await self._execute("HGET", writers_key, stream_id)
        return int(owner.partition(b":")[0]) if owner else 0

    async def events(self, call_key: str) -> AsyncIterator[dict[str, str]]:
        """Yield the events of a call, in order."""
        async for entries in reading.pages(self._client, call_key):
            for entry in entries:
                yield entry.fields

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append batches of events; see `EventStore`."""
        return await append(self._client, calls, timeout_s)

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 - any reply of Redis
        return await execute(self._client, *command, timeout_s=_TIMEOUT_S)
