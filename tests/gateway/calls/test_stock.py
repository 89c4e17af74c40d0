"""One stock as gateways see it: with the store, without it, and when it is back."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calls.stock import Stock
from tests.gateway.calls.memory_capacity import MemoryCapacityStore
from tests.simulation import loop

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
