"""One stock as gateways see it: with the store, without it, and when it is back."""

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
    """Several gateways' views of one stock; the server's clock stands unless moved."""

    def __init__(self, places: int | None, count: int = 2) -> None:
        self.now_s = 0.0
        self.store = MemoryCapacityStore(lambda: self.now_s)
        self.wake = asyncio.Event()
        self.pools = [
            LeasePool("s", places, self.store, owner=f"gw-{i}", lease_s=LEASE_S, wake=self.wake)
            for i in range(count)
        ]


async def test_gateways_share_the_places() -> None:
    gateways = Gateways(places=4)
    first, second = gateways.pools
    mine = await first.acquire(2)
    assert len(mine) == 2
    assert len(await second.acquire(2)) == 2
    assert await second.acquire(1) == []
    assert (first.held, second.held, second.free) == (2, 2, 0)
    first.release(mine)
    await first.refresh(renew=False)
    assert len(await second.acquire(2)) == 2


async def test_what_was_just_given_back_can_be_taken_again() -> None:
    pool, _ = Gateways(places=2).pools
    pool.release(await pool.acquire(2))
    assert len(await pool.acquire(2)) == 2


async def test_places_are_kept_free_for_others_of_more_importance() -> None:
    pool, _ = Gateways(places=4).pools
    assert len(await pool.acquire(2, kept_free=2)) == 2
    assert await pool.acquire(1, kept_free=2) == []
    assert len(await pool.acquire(2)) == 2


async def test_without_a_limit_there_is_no_store() -> None:
    gateways = Gateways(places=None)
    gateways.store.unavailable = True
    pool, _ = gateways.pools
    leases = await pool.acquire(1000)
    assert (pool.held, pool.free, pool.unavailable) == (1000, float("inf"), False)
    pool.release(leases)
    await pool.refresh(renew=True)
    assert (pool.held, pool.unavailable) == (0, False)


async def test_giving_back_twice_gives_back_once() -> None:
    gateways = Gateways(places=2)
    pool, _ = gateways.pools
    leases = await pool.acquire(1)
    pool.release(leases)
    pool.release(leases)
    assert (pool.held, pool.free) == (0, 2)


async def test_a_gateway_that_died_loses_its_places() -> None:
    gateways = Gateways(places=2)
    dead, living = gateways.pools
    await dead.acquire(2)
    gateways.now_s = LEASE_S - 1
    assert await living.acquire(1) == []
    gateways.now_s = LEASE_S
    assert len(await living.acquire(1)) == 1


async def test_a_gateway_that_lives_keeps_them() -> None:
    gateways = Gateways(places=2)
    first, second = gateways.pools
    await first.acquire(2)
    for _ in range(5):
        gateways.now_s += LEASE_S * 0.9
        await first.refresh(renew=True)
    assert await second.acquire(1) == []


async def test_while_the_store_is_away_each_counts_for_itself() -> None:
    gateways = Gateways(places=3)
    gateways.store.unavailable = True
    first, second = gateways.pools
    assert len(await first.acquire(2)) == 2
    assert first.unavailable
    assert gateways.wake.is_set()
    assert await first.acquire(2) == []
    assert len(await first.acquire(1)) == 1
    assert len(await second.acquire(3)) == 3  # nobody can tell it


async def test_what_is_held_is_registered_when_the_store_is_back() -> None:
    gateways = Gateways(places=3)
    gateways.store.unavailable = True
    first, second = gateways.pools
    await first.acquire(2)
    given_back = await first.acquire(1)
    first.release(given_back)
    gateways.store.unavailable = False
    await first.refresh(renew=False)
    assert not first.unavailable
    assert gateways.store.taken("s") == 2
    assert len(await second.acquire(1)) == 1
    assert await second.acquire(1) == []


async def test_a_store_that_forgot_everything_does_not_let_us_exceed_our_own_count() -> None:
    gateways = Gateways(places=2)
    pool, _ = gateways.pools
    await pool.acquire(2)
    await gateways.store.release("s", ["gw-0:1", "gw-0:2"])
    assert await pool.acquire(1) == []


async def test_a_lost_answer_leaks_nothing() -> None:
    """Symptom: the store had registered a place that nobody held."""
    gateways = Gateways(places=2)
    first, second = gateways.pools
    gateways.store.loses_answers = True
    leases = await first.acquire(2)
    assert len(leases) == 2
    first.release(leases)
    gateways.store.loses_answers = False
    await first.refresh(renew=True)
    assert gateways.store.taken("s") == 0
    assert len(await second.acquire(2)) == 2


async def test_a_cancelled_attempt_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gateways = Gateways(places=2)
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
    """Renews before or after the test lets it; everything else overtakes that."""

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


class TestRenewalsThatOtherRequestsOvertake:
    def pool(self, store: MemoryCapacityStore, owner: str = "gw-0") -> LeasePool:
        return LeasePool("s", 4, store, owner=owner, lease_s=LEASE_S, wake=asyncio.Event())

    async def test_a_release_leaks_nothing(self) -> None:
        """Symptom: places of ended calls stayed taken until their leases ran out."""
        store = SlowRenewals(renews_first=False)
        pool = self.pool(store)
        leases = await pool.acquire(2)
        renewal = asyncio.create_task(pool.refresh(renew=True))
        await asyncio.sleep(0)
        pool.release(leases)
        new = await pool.acquire(1)  # tells the store first what was released
        store.go.set()
        await renewal
        await pool.refresh(renew=False)  # the keeper's next round
        assert store.taken("s") == len(new)

    async def test_a_lost_answer_leaves_no_lease_unregistered(self) -> None:
        """Symptom: a renewal that began before a take was lost said that all was well."""
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

    async def test_what_is_taken_while_the_store_comes_back_is_registered(self) -> None:
        """Symptom: two gateways held more places than there are, with the store there."""
        store = SlowRenewals(renews_first=True)
        pool, other = self.pool(store), self.pool(store, "gw-1")
        store.unavailable = True
        await pool.acquire(2)
        store.unavailable = False
        back = asyncio.create_task(pool.refresh(renew=False))
        await asyncio.sleep(0)
        assert await pool.acquire(2)  # alone: the store is still thought to be away
        store.go.set()
        await back
        await pool.refresh(renew=False)
        assert await other.acquire(2) == []


def test_what_others_held_counts_for_a_lease_s_time_while_the_store_is_away() -> None:
    """Symptom: when Redis went away a gateway at once took places that others' calls were in."""

    async def main() -> None:
        gateways = Gateways(places=4)
        first, second = gateways.pools
        await second.acquire(3)
        assert await first.acquire(2) == []  # now it knows
        gateways.store.unavailable = True
        assert await first.acquire(2) == []
        assert len(await first.acquire(1)) == 1
        await asyncio.sleep(LEASE_S + 1)
        assert len(await first.acquire(3)) == 3

    loop.run(main(), limit_s=1000)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["take", "release", "refresh", "away", "back", "lose", "time"]),
        st.integers(0, 1),
        st.integers(1, 3),
    ),
    max_size=40,
)


@given(OPERATIONS)
async def test_never_more_than_there_are(operations: list[tuple[str, int, int]]) -> None:
    """Each by its own count always; all together as long as the store was never away."""
    places = 5
    gateways = Gateways(places)
    leases: list[list[str]] = [[], []]
    trouble = False
    for what, who, count in operations:
        pool = gateways.pools[who]
        match what:
            case "take":
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
        assert max(held) <= places
        assert trouble or sum(held) <= places
    gateways.store.unavailable = gateways.store.loses_answers = False
    for pool in gateways.pools:
        pool.release_all()
        await pool.refresh(renew=True)
    assert gateways.store.taken("s") == 0
