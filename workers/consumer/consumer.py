"""Shares the partitions among the workers of a group, and reads those that this worker holds."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from random import Random
from typing import Final, Protocol

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from workers.client import reading
from workers.consumer import quota
from workers.consumer.handler import HandlerFactory
from workers.consumer.metrics import ConsumerMetrics
from workers.consumer.partition import LeasedPartition, LeaseLostError
from workers.consumer.store import Group, Lease, LeaseStore

_log = logging.getLogger("workers.consumer")

_TICKS_PER_LEASE: Final = 4
_WAIT_S: Final = 0.25  # for new entries; a new lease is read after this time at the latest
_RETRY_S: Final = 0.5
_STOP_S: Final = 5.0  # for the entries being handled at the end
_LEAVE_S: Final = 1.0  # to end the leases, and to end the membership


class Runnable(Protocol):
    """What runs until an event is set, such as a consumer."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set."""


async def run_all(each_of: Iterable[Runnable], stop: asyncio.Event) -> None:
    """Run several consumers until `stop` is set; one that fails stops the others."""
    async with asyncio.TaskGroup() as group:
        for each in each_of:
            group.create_task(each.run(stop))


class Consumer:
    """One worker of a group.

    Each partition is held by one worker at a time, so the events of a call are handled in order. A
    worker that joins gets its share within a quarter of the lease, and one that crashes loses its
    partitions when its leases expire.

    Args:
        client: from `create_client`.
        group: the group and its settings.
        worker: the worker's name, unique among the living processes.
        factory: creates the handler of each partition that the worker leases.
        metrics: receives the results.
    """

    def __init__(
        self,
        client: RedisClient,
        group: Group,
        worker: str,
        factory: HandlerFactory,
        metrics: ConsumerMetrics,
    ) -> None:
        self._client = client
        self._group = group
        self._store = LeaseStore(client, group, worker)
        self._factory = factory
        self._metrics = metrics
        self._random = Random()  # noqa: S311 - spreads load
        self._held: dict[int, LeasedPartition] = {}
        self._running: dict[int, asyncio.Task[None]] = {}

    @property
    def held(self) -> list[int]:
        """The partitions that this worker holds."""
        return sorted(self._held)

    async def run(self, stop: asyncio.Event) -> None:
        """Handle events until `stop` is set; then release the partitions."""
        stopping = asyncio.create_task(stop.wait())
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._tick_forever(group)),
                    group.create_task(self._read_forever()),
                ]
                await stopping
                for task in tasks:
                    task.cancel()
                await self._release(list(self._held))
                with contextlib.suppress(PublishError, TimeoutError):
                    async with asyncio.timeout(_LEAVE_S):
                        await self._store.leave()
        finally:
            stopping.cancel()

    async def _tick_forever(self, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                await self._tick(group)
            except PublishError as error:
                self._metrics.count_error(error.reason)
            await asyncio.sleep(self._group.lease_s / _TICKS_PER_LEASE)

    async def _tick(self, group: asyncio.TaskGroup) -> None:
        """Renew the leases, then release or acquire partitions to hold a fair share."""
        await self._renew()  # first: the membership may be on another node, which is unavailable
        members = await self._store.join()
        limit = quota.quota(self._group.partitions, members)
        await self._release(quota.surplus(self._held, limit, self._random))
        free = quota.candidates(self._held, self._group.partitions, self._random)
        while free and (room := limit - len(self._held)) > 0:
            some, free = free[:room], free[room:]
            sent_s = time.monotonic()
            for lease in await self._store.acquire(some):
                self._begin(lease, group, sent_s)
        await self._measure(members)

    async def _renew(self) -> None:
        sent_s = time.monotonic()
        renewal = await self._store.renew([each.lease for each in self._held.values()])
        for lease in renewal.lost:
            self._lose(lease.partition)
        for lease, server_ms in renewal.renewed:
            if held := self._held.get(lease.partition):
                held.note_renewal(sent_s, server_ms)

    def _begin(self, lease: Lease, group: asyncio.TaskGroup, sent_s: float) -> None:
        partition = lease.partition
        held = LeasedPartition(
            lease, self._store, self._factory(partition), self._metrics, self._group.lease_s
        )
        held.note_renewal(sent_s)
        self._held[partition] = held
        self._running[partition] = group.create_task(self._run(held))

    async def _run(self, held: LeasedPartition) -> None:
        try:
            await held.run()
        except LeaseLostError:
            self._lose(held.lease.partition)

    def _lose(self, partition: int) -> None:
        """Stop handling a partition that another worker has taken over."""
        if self._held.pop(partition, None):
            _log.warning("lease-lost partition=%d", partition)
            self._metrics.lost_leases_total.inc()
            task = self._running.pop(partition)
            if task is not asyncio.current_task():
                task.cancel()

    async def _release(self, partitions: list[int]) -> None:
        """Finish the entries being handled, and release partitions."""
        leaving = {each: self._held.pop(each) for each in partitions}
        tasks = [self._running.pop(each) for each in partitions]
        for held in leaving.values():
            held.stop()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=_STOP_S)
        finally:
            for task in tasks:
                task.cancel()  # it is late, or the worker stops meanwhile
        with contextlib.suppress(TimeoutError):  # then the leases expire
            async with asyncio.timeout(_LEAVE_S):
                await self._store.release([held.lease for held in leaving.values()])

    async def _read_forever(self) -> None:
        while True:
            try:
                if not await self._read():
                    await asyncio.sleep(_WAIT_S / 10)
            except PublishError as error:
                self._metrics.count_error(error.reason)
                await asyncio.sleep(_RETRY_S)

    async def _read(self) -> bool:
        """Read new entries of the partitions that have room; return whether there are any."""
        keys: dict[str, tuple[LeasedPartition, bool]] = {}
        positions: dict[str, str] = {}
        for partition, held in self._held.items():
            if held.has_room:
                events = self._group.source_key(partition)
                retries = self._group.retries_key(partition)
                keys |= {events: (held, False), retries: (held, True)}
                positions |= {events: held.read_position, retries: held.retry_position}
        if not positions:
            return False
        began_s = time.monotonic()
        found = await reading.read_available(self._client, positions, wait_s=_WAIT_S)
        for key, entries in found.entries.items():
            held, is_retry = keys[key]
            held.add(entries, is_retry=is_retry)
        for key, (held, is_retry) in keys.items():
            if not is_retry and key not in found.entries and key not in found.unread:
                held.note_nothing_new(began_s)
        if found.failure:
            raise found.failure
        return True

    async def _measure(self, members: int) -> None:
        held = list(self._held.values())
        behind = await self._store.behind([each.lease for each in held if each.pending])
        oldest = min((each.oldest_ms for each in held if each.oldest_ms is not None), default=None)
        self._metrics.members.set(members)
        self._metrics.partitions.set(len(held))
        self._metrics.pending_entries.set(sum(each.pending for each in held))
        self._metrics.behind_entries.set(sum(behind))
        self._metrics.oldest_seconds.set(
            0 if oldest is None else max(0, time.time() - oldest / 1000)
        )
