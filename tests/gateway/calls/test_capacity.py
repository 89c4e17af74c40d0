"""Places as one gateway sees them: with the store, without it, and when it is back."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calls.capacity import Capacity, Stock, Taken
from tests.gateway.calls.memory_capacity import MemoryCapacityStore
from tests.simulation import loop
from tests.waiting import eventually

LEASE_S = 30.0


class Gateways:
    """Several gateways' views of one stock; the server's clock stands unless moved."""

    def __init__(self, places: int | None, count: int = 2) -> None:
        self.now_s = 0.0
        self.store = MemoryCapacityStore(lambda: self.now_s)
        self.wake = asyncio.Event()
        self.stocks = [
            Stock("s", places, self.store, owner=f"gw-{i}", lease_s=LEASE_S, wake=self.wake)
            for i in range(count)
        ]


async def test_gateways_share_the_places() -> None:
    gateways = Gateways(places=4)
    first, second = gateways.stocks
    mine = await first.take(2)
    assert len(mine) == 2
    assert len(await second.take(2)) == 2
    assert await second.take(1) == []
    assert (first.held, second.held, second.free) == (2, 2, 0)
    first.release(mine)
    await first.refresh(renew=False)
    assert len(await second.take(2)) == 2


async def test_what_was_just_given_back_can_be_taken_again() -> None:
    stock, _ = Gateways(places=2).stocks
    stock.release(await stock.take(2))
    assert len(await stock.take(2)) == 2


async def test_places_are_kept_free_for_others_of_more_importance() -> None:
    stock, _ = Gateways(places=4).stocks
    assert len(await stock.take(2, kept_free=2)) == 2
    assert await stock.take(1, kept_free=2) == []
    assert len(await stock.take(2)) == 2


async def test_without_a_limit_there_is_no_store() -> None:
    gateways = Gateways(places=None)
    gateways.store.away = True
    stock, _ = gateways.stocks
    leases = await stock.take(1000)
    assert (stock.held, stock.free, stock.away) == (1000, float("inf"), False)
    stock.release(leases)
    await stock.refresh(renew=True)
    assert (stock.held, stock.away) == (0, False)


async def test_giving_back_twice_gives_back_once() -> None:
    gateways = Gateways(places=2)
    stock, _ = gateways.stocks
    leases = await stock.take(1)
    stock.release(leases)
    stock.release(leases)
    assert (stock.held, stock.free) == (0, 2)


async def test_a_gateway_that_died_loses_its_places() -> None:
    gateways = Gateways(places=2)
    dead, living = gateways.stocks
    await dead.take(2)
    gateways.now_s = LEASE_S - 1
    assert await living.take(1) == []
    gateways.now_s = LEASE_S
    assert len(await living.take(1)) == 1


async def test_a_gateway_that_lives_keeps_them() -> None:
    gateways = Gateways(places=2)
    first, second = gateways.stocks
    await first.take(2)
    for _ in range(5):
        gateways.now_s += LEASE_S * 0.9
        await first.refresh(renew=True)
    assert await second.take(1) == []


async def test_while_the_store_is_away_each_counts_for_itself() -> None:
    gateways = Gateways(places=3)
    gateways.store.away = True
    first, second = gateways.stocks
    assert len(await first.take(2)) == 2
    assert first.away
    assert gateways.wake.is_set()
    assert await first.take(2) == []
    assert len(await first.take(1)) == 1
    assert len(await second.take(3)) == 3  # nobody can tell it


async def test_what_is_held_is_registered_when_the_store_is_back() -> None:
    gateways = Gateways(places=3)
    gateways.store.away = True
    first, second = gateways.stocks
    await first.take(2)
    given_back = await first.take(1)
    first.release(given_back)
    gateways.store.away = False
    await first.refresh(renew=False)
    assert not first.away
    assert gateways.store.taken("s") == 2
    assert len(await second.take(1)) == 1
    assert await second.take(1) == []


async def test_a_store_that_forgot_everything_does_not_let_us_exceed_our_own_count() -> None:
    gateways = Gateways(places=2)
    stock, _ = gateways.stocks
    await stock.take(2)
    await gateways.store.release("s", ["gw-0:1", "gw-0:2"])
    assert await stock.take(1) == []


async def test_a_lost_answer_leaks_nothing() -> None:
    """Symptom: the store had registered a place that nobody held."""
    gateways = Gateways(places=2)
    first, second = gateways.stocks
    gateways.store.loses_answers = True
    leases = await first.take(2)
    assert len(leases) == 2
    first.release(leases)
    gateways.store.loses_answers = False
    await first.refresh(renew=True)
    assert gateways.store.taken("s") == 0
    assert len(await second.take(2)) == 2


async def test_a_cancelled_attempt_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gateways = Gateways(places=2)
    stock, other = gateways.stocks
    take = gateways.store.take
    registered = asyncio.Event()

    async def slow(*arguments: Any) -> object:
        answer = await take(*arguments)
        registered.set()
        await asyncio.Event().wait()
        return answer

    monkeypatch.setattr(gateways.store, "take", slow)
    attempt = asyncio.create_task(stock.take(2))
    await registered.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    monkeypatch.undo()
    assert gateways.store.taken("s") == 2
    await stock.refresh(renew=True)
    assert (stock.held, gateways.store.taken("s")) == (0, 0)
    assert len(await other.take(2)) == 2


class SlowRenewals(MemoryCapacityStore):
    """Renews before or after the test lets it; everything else overtakes that."""

    def __init__(self, *, renews_first: bool) -> None:
        super().__init__(lambda: 0.0)
        self.go = asyncio.Event()
        self._renews_first = renews_first

    async def renew(self, stock: str, leases: Sequence[str], lease_s: float) -> int:
        if not self._renews_first:
            await self.go.wait()
        answer = await super().renew(stock, leases, lease_s)
        if self._renews_first:
            await self.go.wait()
        return answer


class TestRenewalsThatOtherRequestsOvertake:
    def stock(self, store: MemoryCapacityStore, owner: str = "gw-0") -> Stock:
        return Stock("s", 4, store, owner=owner, lease_s=LEASE_S, wake=asyncio.Event())

    async def test_a_release_leaks_nothing(self) -> None:
        """Symptom: places of ended calls stayed taken until their leases ran out."""
        store = SlowRenewals(renews_first=False)
        stock = self.stock(store)
        leases = await stock.take(2)
        renewal = asyncio.create_task(stock.refresh(renew=True))
        await asyncio.sleep(0)
        stock.release(leases)
        new = await stock.take(1)  # tells the store first what was released
        store.go.set()
        await renewal
        await stock.refresh(renew=False)  # the keeper's next round
        assert store.taken("s") == len(new)

    async def test_a_lost_answer_leaves_no_lease_unregistered(self) -> None:
        """Symptom: a renewal that began before a take was lost said that all was well."""
        store = SlowRenewals(renews_first=True)
        stock = self.stock(store)
        renewal = asyncio.create_task(stock.refresh(renew=True))
        await asyncio.sleep(0)
        store.away = True
        assert await stock.take(2)
        store.away = False
        store.go.set()
        await renewal
        await stock.refresh(renew=False)
        assert (stock.away, store.taken("s")) == (False, 2)

    async def test_what_is_taken_while_the_store_comes_back_is_registered(self) -> None:
        """Symptom: two gateways held more places than there are, with the store there."""
        store = SlowRenewals(renews_first=True)
        stock, other = self.stock(store), self.stock(store, "gw-1")
        store.away = True
        await stock.take(2)
        store.away = False
        back = asyncio.create_task(stock.refresh(renew=False))
        await asyncio.sleep(0)
        assert await stock.take(2)  # alone: the store is still thought to be away
        store.go.set()
        await back
        await stock.refresh(renew=False)
        assert await other.take(2) == []


def test_what_others_held_counts_for_a_lease_s_time_while_the_store_is_away() -> None:
    """Symptom: when Redis went away a gateway at once took places that others' calls were in."""

    async def main() -> None:
        gateways = Gateways(places=4)
        first, second = gateways.stocks
        await second.take(3)
        assert await first.take(2) == []  # now it knows
        gateways.store.away = True
        assert await first.take(2) == []
        assert len(await first.take(1)) == 1
        await asyncio.sleep(LEASE_S + 1)
        assert len(await first.take(3)) == 3

    loop.run(main(), limit_s=1000)


def test_a_slow_store_holds_nobody_up_for_long() -> None:
    """Symptom: a store just quicker than its time-out made a burst of calls wait for minutes."""

    class Slow(MemoryCapacityStore):
        async def take(self, stock: str, leases: Sequence[str], *limits: Any) -> Taken:
            await asyncio.sleep(0.9)
            return await super().take(stock, leases, *limits)

    async def main() -> None:
        now_s = asyncio.get_running_loop().time
        capacity = Capacity(
            Slow(lambda: 0.0), {"a": 1000, "b": 1000}, owner="gw-0", lease_s=LEASE_S
        )

        async def wait() -> float:
            began_s = now_s()
            assert await capacity["a"].take(2)
            assert await capacity["b"].take(2)
            return now_s() - began_s

        assert max(await asyncio.gather(*(wait() for _ in range(100)))) <= 4
        assert capacity["a"].held == capacity["b"].held == 200
        assert capacity["b"].away  # it was told

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
        stock = gateways.stocks[who]
        match what:
            case "take":
                leases[who] += await stock.take(count)
            case "release":
                stock.release([leases[who].pop() for _ in range(min(count, len(leases[who])))])
            case "refresh":
                await stock.refresh(renew=True)
            case "time":
                gateways.now_s += LEASE_S / 3
                for each in gateways.stocks:
                    await each.refresh(renew=True)
            case _:
                gateways.store.away = what == "away"
                gateways.store.loses_answers = what == "lose"
                trouble = trouble or what != "back"
        held = [stock.held for stock in gateways.stocks]
        assert held == [len(each) for each in leases]
        assert max(held) <= places
        assert trouble or sum(held) <= places
    gateways.store.away = gateways.store.loses_answers = False
    for stock in gateways.stocks:
        stock.release_all()
        await stock.refresh(renew=True)
    assert gateways.store.taken("s") == 0


class TestCapacity:
    def capacity(self, store: MemoryCapacityStore, owner: str, lease_s: float = 0.3) -> Capacity:
        return Capacity(store, {"a": 2, "b": 2, "c": None}, owner=owner, lease_s=lease_s)

    @pytest.fixture
    def store(self) -> MemoryCapacityStore:
        return MemoryCapacityStore(lambda: asyncio.get_running_loop().time())

    async def test_leases_live_as_long_as_the_context(self, store: MemoryCapacityStore) -> None:
        loop = asyncio.get_running_loop()
        async with self.capacity(store, "gw-0", lease_s=1.0) as capacity:
            await capacity["a"].take(2)
            lapsed_s = loop.time() + 1.1  # unless renewed
            await eventually(lambda: loop.time() > lapsed_s and store.taken("a") == 2)
        assert store.taken("a") == 0

    async def test_what_is_given_back_is_free_at_once(self, store: MemoryCapacityStore) -> None:
        async with self.capacity(store, "gw-0", lease_s=3000) as capacity:
            leases = await capacity["a"].take(2)
            waiting = asyncio.create_task(capacity.freed(20))
            await asyncio.sleep(0)
            capacity["a"].release(leases)
            await waiting
            assert store.taken("a") == 0

    async def test_what_others_hold_is_known_from_the_start(
        self, store: MemoryCapacityStore
    ) -> None:
        await store.take("a", ["gw-9:1"], 2, 3000)
        async with self.capacity(store, "gw-0") as capacity:
            await eventually(lambda: capacity["a"].free == 1)
            assert capacity["b"].free == 2

    async def test_it_comes_back_to_the_store_by_itself(self, store: MemoryCapacityStore) -> None:
        store.away = True
        async with self.capacity(store, "gw-0") as capacity:
            await capacity["a"].take(2)
            await eventually(lambda: capacity["a"].away)
            store.away = False
            await eventually(lambda: store.taken("a") == 2)

    async def test_freed_waits_no_longer_than_asked(self, store: MemoryCapacityStore) -> None:
        capacity = self.capacity(store, "gw-0")
        await asyncio.wait_for(capacity.freed(0.01), 10)

    async def test_the_end_does_not_wait_for_a_store_that_is_away(
        self, store: MemoryCapacityStore
    ) -> None:
        async with self.capacity(store, "gw-0") as capacity:
            await capacity["a"].take(1)
            store.away = True
        assert capacity["a"].held == 0
