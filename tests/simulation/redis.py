"""Redis as a process meets it: servers in memory behind a network that may fail in every way."""

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
from tests.simulation.plan import Trouble
from tests.simulation.process import OUTSIDE

_UNAVAILABLE: Final = "redis-unavailable"
_CAPACITY_TIMEOUT_S: Final = 0.2
_READ_TIMEOUT_S: Final = 0.2


@dataclass(slots=True)
class Weather:
    """What is the matter with Redis now, for everybody."""

    latency_s: float
    trouble: Trouble | None = None


class Wire:
    """One process's way to Redis; implements `EventStore`, `CapacityStore` and `LeaseStore`.

    Args:
        events: the store of events, and of their leases.
        places: the store of capacity.
        weather: what befalls every wire.
        chance: decides how long what fails takes.
    """

    def __init__(
        self, events: MemoryStore, places: CapacityStore, weather: Weather, chance: random.Random
    ) -> None:
        self.is_cut = False  # this one has no way to Redis now
        self._events = events
        self._places = places
        self._weather = weather
        self._chance = chance
        self._late: dict[asyncio.Task[object], None] = {}

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append batches, as `EventStore` says."""
        try:
            return await self._ask(lambda: self._events.append(calls, timeout_s), timeout_s)
        except PublishError as error:
            return [error] * len(calls)

    async def acquire(
        self, pool: str, leases: Sequence[str], limit: int, lease_s: float
    ) -> Acquisition:
        """Take places, as `CapacityStore` says."""
        return await self._ask(
            self._writing(lambda: self._places.acquire(pool, leases, limit, lease_s)),
            _CAPACITY_TIMEOUT_S,
        )

    async def renew(self, pool: str, leases: Sequence[str], lease_s: float) -> int:
        """Renew leases, as `CapacityStore` says."""
        return await self._ask(
            self._writing(lambda: self._places.renew(pool, leases, lease_s)), _CAPACITY_TIMEOUT_S
        )

    async def release(self, pool: str, leases: Sequence[str]) -> None:
        """Give places back, as `CapacityStore` says."""
        await self._ask(
            self._writing(lambda: self._places.release(pool, leases)), _CAPACITY_TIMEOUT_S
        )

    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
        """Give the leases that have lapsed, as `LeaseStore` says."""
        return await self._ask(lambda: self._events.lapsed(partition, limit), _READ_TIMEOUT_S)

    async def owner_epoch(self, writers_key: str, stream_id: str) -> int:
        """Give a stream's owner, as `LeaseStore` says."""
        return await self._ask(
            lambda: self._events.owner_epoch(writers_key, stream_id), _READ_TIMEOUT_S
        )

    async def events(self, call_key: str) -> AsyncIterator[Mapping[str, str]]:
        """Give a call's events, as `LeaseStore` says."""
        await self._ask(self._nothing, _READ_TIMEOUT_S)
        async for event in self._events.events(call_key):
            yield event

    def _writing[T](self, do: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
        """Fail while the server refuses writes, else run it."""

        async def write() -> T:
            if self._events.refuses:
                raise PublishError(_UNAVAILABLE)
            return await do()

        return write

    async def _nothing(self) -> None:
        """Stand for the reading of a page."""

    async def _ask[T](self, do: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        """Run it outside of the process that asks, which may be stopped meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.create_task(self._exchange(do, timeout_s), context=OUTSIDE.copy())

    async def _exchange[T](self, do: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        """Have it done, or not, and say so, or not."""
        trouble = Trouble.REDIS_AWAY if self.is_cut else self._weather.trouble
        await asyncio.sleep(self._weather.latency_s)
        match trouble:
            case Trouble.REDIS_AWAY:
                await asyncio.sleep(self._chance.choice((0.0, timeout_s)))
            case Trouble.REDIS_FORGETS_ANSWERS:
                await do()
                await asyncio.sleep(self._chance.choice((0.0, timeout_s)))
            case Trouble.REDIS_LATE:
                self._do_late(do, 3 * timeout_s)
                await asyncio.sleep(timeout_s)
            case _:
                if trouble is Trouble.REDIS_SLOW:
                    await asyncio.sleep(self._chance.uniform(0, 0.9 * timeout_s))
                answer = await do()
                await asyncio.sleep(self._weather.latency_s)
                return answer
        raise PublishError(_UNAVAILABLE)

    def _do_late[T](self, do: Callable[[], Awaitable[T]], longest_s: float) -> None:
        """Have it done after what is asked for later, as on connections that were given up."""

        async def later() -> object:
            await asyncio.sleep(self._chance.uniform(0, longest_s))
            with contextlib.suppress(PublishError):  # nobody hears of it
                return await do()
            return None

        task = asyncio.create_task(later())
        self._late[task] = None
        task.add_done_callback(self._late.pop)
