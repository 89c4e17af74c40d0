"""Reads the events of all calls once, and passes them to all viewers.

One task reads the streams of all partitions. Each event is parsed and encoded once. A viewer of one
call receives it at once; a viewer of all calls when no earlier event can follow (`Merge`).

A call whose beginning was not read, because it began before the relay, is loaded from its own
stream.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from workers.client import reading
from workers.client.events import Entry
from workers.relay.channel import Channel
from workers.relay.metrics import Metrics
from workers.relay.store import Store, shared_key
from workers.relay.tail import Tail

_INTERVAL_S: Final = 0.02  # between two reads, so that a busy relay reads and writes in batches
_RETRY_S: Final = 0.5
_EXPIRE_S: Final = 1.0
_LOADS: Final = 4  # calls that are loaded at the same time


class Hub:
    """Reads the events of all calls.

    Args:
        client: from `create_client`.
        store: the relay's other Redis operations.
        channels: where events go, one per kind of text.
        metrics: receives the results.
    """

    def __init__(
        self, client: RedisClient, store: Store, channels: Sequence[Channel], metrics: Metrics
    ) -> None:
        self._store = store
        self._channels = channels
        self._metrics = metrics
        self._turns = asyncio.Semaphore(_LOADS)
        self._keys = {
            shared_key(partition, channel.text): (channel, partition)
            for channel in channels
            for partition in range(store.partitions)
        }
        self._tail = Tail(client, self._keys, metrics, "redis")
        self.ready = self._tail.ready

    async def run(self) -> None:
        """Read events until cancelled."""
        async with asyncio.TaskGroup() as group:
            await self._tail.start()
            group.create_task(self._load_recent(group))
            group.create_task(self._expire_forever())
            while True:
                await self._tail.until_done(lambda: self._read(group))
                await asyncio.sleep(_INTERVAL_S)

    async def _load_recent(self, group: asyncio.TaskGroup) -> None:
        """Start to load the calls that are live, or ended a short time ago."""
        pending = deque(self._keys.items())
        while pending:
            key, (channel, partition) = pending[0]
            try:
                calls = await self._store.recent_calls(partition, key)
            except PublishError:  # of a cluster, only some nodes may be unavailable
                pending.rotate(-1)
                await asyncio.sleep(_RETRY_S)
                continue
            pending.popleft()
            for call_id in calls:
                group.create_task(self._load(channel, call_id))

    async def _load(self, channel: Channel, call_id: str) -> None:
        with contextlib.suppress(PublishError):  # the call's next event, or viewer, tries again
            async with self._turns:
                await channel.find(call_id)

    async def _read(self, group: asyncio.TaskGroup) -> None:
        """Read new events of all partitions, and pass them on.

        While a node of a cluster is unavailable, viewers of all calls receive nothing, because an
        earlier event may follow.
        """
        now_ms, failure = await self._server_ms()
        is_holding = any(not channel.merge.is_empty for channel in self._channels)
        found = await self._tail.read(wait_s=0 if is_holding else 1.0)
        before_ms = dict.fromkeys(self._channels, now_ms)
        for key, entries in found.entries.items():
            channel, partition = self._keys[key]
            for call_id in set(channel.receive(partition, entries)):
                group.create_task(self._load(channel, call_id))
            before_ms[channel] = min(before_ms[channel], complete_before_ms(entries, now_ms))
        if failure := failure or found.failure:
            raise failure
        for channel, each_ms in before_ms.items():
            channel.release(each_ms)

    async def _server_ms(self) -> tuple[int, PublishError | None]:
        try:
            return await self._store.server_ms(), None
        except PublishError as error:
            return 0, error

    async def _expire_forever(self) -> None:
        while True:
            for channel in self._channels:
                channel.directory.expire(time.monotonic())
                self._metrics.calls.labels(channel.text).set(len(channel.directory))
            await asyncio.sleep(_EXPIRE_S)


def complete_before_ms(entries: Sequence[Entry], now_ms: int) -> int:
    """Return the time before which a reply contains everything that its stream contains.

    Args:
        entries: the reply.
        now_ms: the server's time before the reply.
    """
    if len(entries) < reading.BATCH:
        return now_ms
    return min(now_ms, int(entries[-1].id.partition("-")[0]))
