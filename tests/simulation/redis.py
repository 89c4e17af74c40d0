"""Simulated Redis: in-memory stores behind a network with injected faults."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.admission.lease_pool import Acquisition, CapacityStore
from gateway.errors import PublishError
from gateway.publishing.event_store import AppendCall
from tests.gateway.publishing.memory_store import MemoryStore
from tests.simulation.plan import Fault
from tests.simulation.process import OUTSIDE

_UNAVAILABLE: Final = "redis-unavailable"
_CAPACITY_TIMEOUT_S: Final = 0.2
_READ_TIMEOUT_S: Final = 0.2


@dataclass(slots=True)
class Conditions:
    """Latency and fault of Redis that currently apply to all processes."""

    latency_s: float
    fault: Fault | None = None


class Wire:
    """One process's connection to Redis: an `EventStore`, `CapacityStore` and `LeaseStore`.

    Args:
        events: the store of events and of stream leases.
        capacity: the store of session slots.
        conditions: latency and fault of all connections.
        chance: draws how long a failing exchange takes.
    """

    def __init__(
        self,
        events: MemoryStore,
        capacity: CapacityStore,
        conditions: Conditions,
        chance: random.Random,
    ) -> None:
        self.is_cut = False  # whether this connection alone is broken
        self._events = events
        self._capacity = capacity
        self._conditions = conditions
        self._chance = chance
        self._late: dict[asyncio.Task[object], None] = {}

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append batches; see `EventStore`."""
        try:
            return await self._ask(lambda: self._events.append(calls, timeout_s), timeout_s)
        except PublishError as error:
            return [error] * len(calls)

    async def acquire(
        self, pool: str, leases: Sequence[str], limit: int, lease_s: float
    ) -> Acquisition:
        """Acquire slots; see `CapacityStore`."""
        return await self._ask(
            self._writing(lambda: self._capacity.acquire(pool, leases, limit, lease_s)),
            _CAPACITY_TIMEOUT_S,
        )

    async def renew(self, pool: str, leases: Sequence[str], lease_s: float) -> int:
        """Renew leases; see `CapacityStore`."""
        return await self._ask(
            self._writing(lambda: self._capacity.renew(pool, leases, lease_s)), _CAPACITY_TIMEOUT_S
        )

    async def release(self, pool: str, leases: Sequence[str]) -> None:
        """Release slots; see `CapacityStore`."""
        await self._ask(
            self._writing(lambda: self._capacity.release(pool, leases)), _CAPACITY_TIMEOUT_S
        )

    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
        """Return the leases that have expired; see `LeaseStore`."""
        return await self._ask(lambda: self._events.lapsed(partition, limit), _READ_TIMEOUT_S)

    async def owner_epoch(self, writers_key: str, stream_id: str) -> int:
        """Return the epoch of a stream's owner; see `LeaseStore`."""
        return await self._ask(
            lambda: self._events.owner_epoch(writers_key, stream_id), _READ_TIMEOUT_S
        )

    async def events(self, call_key: str) -> AsyncIterator[Mapping[str, str]]:
        """Yield a call's events; see `LeaseStore`."""
        await self._ask(self._nothing, _READ_TIMEOUT_S)
        async for event in self._events.events(call_key):
            yield event

    def _writing[T](self, do: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
        """Wrap a write so that it fails while the server rejects writes."""

        async def write() -> T:
            if self._events.refuses:
                raise PublishError(_UNAVAILABLE)
            return await do()

        return write

    async def _nothing(self) -> None:
        """Stand for reading a page of events."""

    async def _ask[T](self, do: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        """Run an exchange outside the calling process, which may be stopped meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.create_task(self._exchange(do, timeout_s), context=OUTSIDE.copy())

    async def _exchange[T](self, do: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        """Run an exchange subject to the current fault: the request or the reply may be lost."""
        fault = Fault.REDIS_UNAVAILABLE if self.is_cut else self._conditions.fault
        await asyncio.sleep(self._conditions.latency_s)
        match fault:
            case Fault.REDIS_UNAVAILABLE:
                await asyncio.sleep(self._chance.choice((0.0, timeout_s)))
            case Fault.REDIS_LOSES_REPLIES:
                await do()
                await asyncio.sleep(self._chance.choice((0.0, timeout_s)))
            case Fault.REDIS_LATE:
                self._do_late(do, 3 * timeout_s)
                await asyncio.sleep(timeout_s)
            case _:
                if fault is Fault.REDIS_SLOW:
                    await asyncio.sleep(self._chance.uniform(0, 0.9 * timeout_s))
                answer = await do()
                await asyncio.sleep(self._conditions.latency_s)
                return answer
        raise PublishError(_UNAVAILABLE)

    def _do_late[T](self, do: Callable[[], Awaitable[T]], longest_s: float) -> None:
        """Run a request late and out of order, as on a connection that the client has closed."""

        async def later() -> object:
            await asyncio.sleep(self._chance.uniform(0, longest_s))
            with contextlib.suppress(PublishError):  # the caller has timed out already
                return await do()
            return None

        task = asyncio.create_task(later())
        self._late[task] = None
        task.add_done_callback(self._late.pop)
