"""All lease pools of a gateway: renewals, releases and an unavailable store."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.admission.capacity import Capacity
from gateway.admission.lease_pool import Acquisition
from tests.gateway.admission.memory_capacity import MemoryCapacityStore
from tests.simulation import loop
from tests.waiting import eventually


class TestCapacity:
    def capacity(self, store: MemoryCapacityStore, owner: str, lease_s: float = 0.3) -> Capacity:
        return Capacity(store, {"a": 2, "b": 2, "c": None}, owner=owner, lease_s=lease_s)

    @pytest.fixture
    def store(self) -> MemoryCapacityStore:
        return MemoryCapacityStore(lambda: asyncio.get_running_loop().time())

    async def test_leases_are_renewed_until_the_context_ends(
        self, store: MemoryCapacityStore
    ) -> None:
        loop = asyncio.get_running_loop()
        async with self.capacity(store, "gw-0", lease_s=1.0) as capacity:
            await capacity["a"].acquire(2)
            lapsed_s = loop.time() + 1.1  # unless renewed
            await eventually(lambda: loop.time() > lapsed_s and store.taken("a") == 2)
        assert store.taken("a") == 0

    async def test_released_slot_is_available_at_once(self, store: MemoryCapacityStore) -> None:
        async with self.capacity(store, "gw-0", lease_s=3000) as capacity:
            leases = await capacity["a"].acquire(2)
            waiting = asyncio.create_task(capacity.wait_for_release(20))
            await asyncio.sleep(0)
            capacity["a"].release(leases)
            await waiting
            assert store.taken("a") == 0

    async def test_slots_of_other_gateways_are_known_at_startup(
        self, store: MemoryCapacityStore
    ) -> None:
        await store.acquire("a", ["gw-9:1"], 2, 3000)
        async with self.capacity(store, "gw-0") as capacity:
            await eventually(lambda: capacity["a"].free == 1)
            assert capacity["b"].free == 2

    async def test_leases_are_registered_when_the_store_recovers(
        self, store: MemoryCapacityStore
    ) -> None:
        store.unavailable = True
        async with self.capacity(store, "gw-0") as capacity:
            await capacity["a"].acquire(2)
            await eventually(lambda: capacity["a"].unavailable)
            store.unavailable = False
            await eventually(lambda: store.taken("a") == 2)

    async def test_wait_for_release_times_out(self, store: MemoryCapacityStore) -> None:
        capacity = self.capacity(store, "gw-0")
        await asyncio.wait_for(capacity.wait_for_release(0.01), 10)

    async def test_shutdown_does_not_wait_for_an_unavailable_store(
        self, store: MemoryCapacityStore
    ) -> None:
        async with self.capacity(store, "gw-0") as capacity:
            await capacity["a"].acquire(1)
            store.unavailable = True
        assert capacity["a"].held == 0


def test_slow_store_delays_acquisitions_only_briefly() -> None:
    """Symptom: with a store just faster than its timeout, a burst of calls waited for minutes."""

    class Slow(MemoryCapacityStore):
        async def acquire(self, pool: str, leases: Sequence[str], *limits: Any) -> Acquisition:
            await asyncio.sleep(0.9)
            return await super().acquire(pool, leases, *limits)

    async def main() -> None:
        now_s = asyncio.get_running_loop().time
        capacity = Capacity(Slow(lambda: 0.0), {"a": 1000, "b": 1000}, owner="gw-0", lease_s=30)

        async def wait() -> float:
            began_s = now_s()
            assert await capacity["a"].acquire(2)
            assert await capacity["b"].acquire(2)
            return now_s() - began_s

        assert max(await asyncio.gather(*(wait() for _ in range(100)))) <= 4
        assert capacity["a"].held == capacity["b"].held == 200
        assert capacity["b"].unavailable  # pool a reported it

    loop.run(main(), limit_s=1000)
