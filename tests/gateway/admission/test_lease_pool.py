"""A lease pool with the store, without it, and after its recovery."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.lease_pool import LeasePool
from tests.gateway.admission.memory_capacity import MemoryCapacityStore
from tests.simulation import loop

LEASE_S = 30.0


class Gateways:
    """Several gateways with the same pool. The test sets the server's clock, `now_s`."""

    def __init__(self, slots: int | None, count: int = 2) -> None:
        self.now_s = 0.0
        self.store = MemoryCapacityStore(lambda: self.now_s)
        self.wake = asyncio.Event()
        self.pools = [
            LeasePool("s", slots, self.store, owner=f"gw-{i}", lease_s=LEASE_S, wake=self.wake)
            for i in range(count)
        ]


async def test_gateways_share_the_slots() -> None:
    gateways = Gateways(slots=4)
    first, second = gateways.pools
    mine = await first.acquire(2)
    assert len(mine) == 2
    assert len(await second.acquire(2)) == 2
    assert await second.acquire(1) == []
    assert (first.held, second.held, second.free) == (2, 2, 0)
    first.release(mine)
    await first.refresh(renew=False)
    assert len(await second.acquire(2)) == 2


async def test_released_slots_can_be_acquired_again() -> None:
    pool, _ = Gateways(slots=2).pools
    pool.release(await pool.acquire(2))
    assert len(await pool.acquire(2)) == 2


async def test_acquire_leaves_kept_free_slots() -> None:
    pool, _ = Gateways(slots=4).pools
    assert len(await pool.acquire(2, kept_free=2)) == 2
    assert await pool.acquire(1, kept_free=2) == []
    assert len(await pool.acquire(2)) == 2


async def test_pool_without_limit_does_not_use_the_store() -> None:
    gateways = Gateways(slots=None)
    gateways.store.unavailable = True
    pool, _ = gateways.pools
    leases = await pool.acquire(1000)
    assert (pool.held, pool.free, pool.unavailable) == (1000, float("inf"), False)
    pool.release(leases)
    await pool.refresh(renew=True)
    assert (pool.held, pool.unavailable) == (0, False)


async def test_release_is_idempotent() -> None:
    gateways = Gateways(slots=2)
    pool, _ = gateways.pools
    leases = await pool.acquire(1)
    pool.release(leases)
    pool.release(leases)
    assert (pool.held, pool.free) == (0, 2)


async def test_leases_of_a_lost_gateway_expire() -> None:
    gateways = Gateways(slots=2)
    lost, other = gateways.pools
    await lost.acquire(2)
    gateways.now_s = LEASE_S - 1
    assert await other.acquire(1) == []
    gateways.now_s = LEASE_S
    assert len(await other.acquire(1)) == 1


async def test_renewed_leases_do_not_expire() -> None:
    gateways = Gateways(slots=2)
    first, second = gateways.pools
    await first.acquire(2)
    for _ in range(5):
        gateways.now_s += LEASE_S * 0.9
        await first.refresh(renew=True)
    assert await second.acquire(1) == []


async def test_each_gateway_counts_locally_while_store_is_unavailable() -> None:
    gateways = Gateways(slots=3)
    gateways.store.unavailable = True
    first, second = gateways.pools
    assert len(await first.acquire(2)) == 2
    assert first.unavailable
    assert gateways.wake.is_set()
    assert await first.acquire(2) == []
    assert len(await first.acquire(1)) == 1
    assert len(await second.acquire(3)) == 3  # the gateways can't see each other


async def test_held_leases_are_registered_when_the_store_recovers() -> None:
    gateways = Gateways(slots=3)
    gateways.store.unavailable = True
    first, second = gateways.pools
    await first.acquire(2)
    released = await first.acquire(1)
    first.release(released)
    gateways.store.unavailable = False
    await first.refresh(renew=False)
    assert not first.unavailable
    assert gateways.store.taken("s") == 2
    assert len(await second.acquire(1)) == 1
    assert await second.acquire(1) == []


async def test_local_count_applies_if_the_store_lost_its_leases() -> None:
    gateways = Gateways(slots=2)
    pool, _ = gateways.pools
    await pool.acquire(2)
    await gateways.store.release("s", ["gw-0:1", "gw-0:2"])
    assert await pool.acquire(1) == []


async def test_lost_reply_leaks_no_lease() -> None:
    """Symptom: the store had a lease that no gateway held."""
    gateways = Gateways(slots=2)
    first, second = gateways.pools
    gateways.store.loses_answers = True
    leases = await first.acquire(2)
    assert len(leases) == 2
    first.release(leases)
    gateways.store.loses_answers = False
    await first.refresh(renew=True)
    assert gateways.store.taken("s") == 0
    assert len(await second.acquire(2)) == 2


async def test_cancelled_acquire_holds_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    gateways = Gateways(slots=2)
    pool, other = gateways.pools
    acquire = gateways.store.acquire
    registered = asyncio.Event()

    async def slow(*arguments: Any) -> object:
        answer = await acquire(*arguments)
        registered.set()
        await asyncio.Event().wait()
        return answer

    monkeypatch.setattr(gateways.store, "acquire", slow)
    attempt = asyncio.create_task(pool.acquire(2))
    await registered.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    monkeypatch.undo()
    assert gateways.store.taken("s") == 2
    await pool.refresh(renew=True)
    assert (pool.held, gateways.store.taken("s")) == (0, 0)
    assert len(await other.acquire(2)) == 2


class SlowRenewals(MemoryCapacityStore):
    """Delays renewals until the test sets `go`; other requests overtake them."""

    def __init__(self, *, renews_first: bool) -> None:
        super().__init__(lambda: 0.0)
        self.go = asyncio.Event()
        self._renews_first = renews_first

    async def renew(self, pool: str, leases: Sequence[str], lease_s: float) -> int:
        if not self._renews_first:
            await self.go.wait()
        answer = await super().renew(pool, leases, lease_s)
        if self._renews_first:
            await self.go.wait()
        return answer


class TestOvertakenRenewals:
    def pool(self, store: MemoryCapacityStore, owner: str = "gw-0") -> LeasePool:
        return LeasePool("s", 4, store, owner=owner, lease_s=LEASE_S, wake=asyncio.Event())

    async def test_release_during_renewal_leaks_no_lease(self) -> None:
        """Symptom: slots of ended calls stayed taken until their leases expired."""
        store = SlowRenewals(renews_first=False)
        pool = self.pool(store)
        leases = await pool.acquire(2)
        renewal = asyncio.create_task(pool.refresh(renew=True))
        await asyncio.sleep(0)
        pool.release(leases)
        new = await pool.acquire(1)  # sends the releases to the store first
        store.go.set()
        await renewal
        await pool.refresh(renew=False)  # the keeper's next round
        assert store.taken("s") == len(new)

    async def test_lost_reply_during_renewal_is_registered_later(self) -> None:
        """Symptom: a renewal begun before a failed acquisition ended the local counting."""
        store = SlowRenewals(renews_first=True)
        pool = self.pool(store)
        renewal = asyncio.create_task(pool.refresh(renew=True))
        await asyncio.sleep(0)
        store.unavailable = True
        assert await pool.acquire(2)
        store.unavailable = False
        store.go.set()
        await renewal
        await pool.refresh(renew=False)
        assert (pool.unavailable, store.taken("s")) == (False, 2)

    async def test_lease_acquired_during_recovery_is_registered(self) -> None:
        """Symptom: two gateways held more slots than the limit, with the store available."""
        store = SlowRenewals(renews_first=True)
        pool, other = self.pool(store), self.pool(store, "gw-1")
        store.unavailable = True
        await pool.acquire(2)
        store.unavailable = False
        back = asyncio.create_task(pool.refresh(renew=False))
        await asyncio.sleep(0)
        assert await pool.acquire(2)  # counted locally: the store is not yet known to be available
        store.go.set()
        await back
        await pool.refresh(renew=False)
        assert await other.acquire(2) == []


def test_slots_of_other_gateways_count_for_one_lease_while_store_is_unavailable() -> None:
    """Symptom: when Redis became unavailable, a gateway took slots in use by other gateways."""

    async def main() -> None:
        gateways = Gateways(slots=4)
        first, second = gateways.pools
        await second.acquire(3)
        assert await first.acquire(2) == []  # now the gateway has seen the other's slots
        gateways.store.unavailable = True
        assert await first.acquire(2) == []
        assert len(await first.acquire(1)) == 1
        await asyncio.sleep(LEASE_S + 1)
        assert len(await first.acquire(3)) == 3

    loop.run(main(), limit_s=1000)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "release", "refresh", "away", "back", "lose", "time"]),
        st.integers(0, 1),
        st.integers(1, 3),
    ),
    max_size=40,
)


@given(OPERATIONS)
async def test_limit_is_never_exceeded(operations: list[tuple[str, int, int]]) -> None:
    """For each gateway always; for all together as long as the store was never unavailable."""
    slots = 5
    gateways = Gateways(slots)
    leases: list[list[str]] = [[], []]
    trouble = False
    for what, who, count in operations:
        pool = gateways.pools[who]
        match what:
            case "acquire":
                leases[who] += await pool.acquire(count)
            case "release":
                pool.release([leases[who].pop() for _ in range(min(count, len(leases[who])))])
            case "refresh":
                await pool.refresh(renew=True)
            case "time":
                gateways.now_s += LEASE_S / 3
                for each in gateways.pools:
                    await each.refresh(renew=True)
            case _:
                gateways.store.unavailable = what == "away"
                gateways.store.loses_answers = what == "lose"
                trouble = trouble or what != "back"
        held = [pool.held for pool in gateways.pools]
        assert held == [len(each) for each in leases]
        assert max(held) <= slots
        assert trouble or sum(held) <= slots
    gateways.store.unavailable = gateways.store.loses_answers = False
    for pool in gateways.pools:
        pool.release_all()
        await pool.refresh(renew=True)
    assert gateways.store.taken("s") == 0
