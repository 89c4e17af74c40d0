"""One stock of places, under one name: the sessions of an endpoint, the calls of a route.

Each place taken is a lease in a store that all gateways share (`capacity_store.py`: Redis).

While the store does not answer in time, the stock counts alone: it takes no more places than there
are besides its own and, for as long as a lease, those that others were last seen to hold. What it
holds is registered when the store is back, over the limit if it must be: those sessions live.
Taking never fails because the store did.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from gateway.errors import PublishError

_ASKED_AT_ONCE: Final = 8  # per stock; a burst of calls must not exhaust the store's connections
_ACQUIRE_TIMEOUT_S: Final = 2.0  # with the wait for one's turn: a call that starts waits for it
_MOST_RELEASED: Final = 10_000  # per stock, remembered while the store is away

_log = structlog.get_logger()


class Acquisition(NamedTuple):
    """The store's answer to an attempt to take places."""

    granted: bool
    places: int  # taken in all, by all gateways


class CapacityStore(Protocol):
    """Where the gateways meet. Every method is bounded in time.

    Raises:
        PublishError: the store did not answer; what was asked may have been done or not.
    """

    async def acquire(
        self, pool: str, leases: Sequence[str], limit: int, lease_s: float
    ) -> Acquisition:
        """Register leases, all or none, unless more than `limit` places would then be taken."""

    async def renew(self, pool: str, leases: Sequence[str], lease_s: float) -> int:
        """Register leases whatever the limit, or renew them; gives how many places are taken."""

    async def release(self, pool: str, leases: Sequence[str]) -> None:
        """Forget leases."""


class LeasePool:
    """One stock of places as this gateway sees it.

    Args:
        name: the same in all gateways.
        places: how many there are; None is without limit, and needs no store.
        store: where leases are registered.
        owner: makes lease ids differ from other gateways'.
        lease_s: how long a lease lasts unless renewed.
        wake: has `refresh` called soon.
        on_lost: tells the other stocks why the store is away; they need not find out each.
    """

    def __init__(
        self,
        name: str,
        places: int | None,
        store: CapacityStore,
        *,
        owner: str,
        lease_s: float,
        wake: asyncio.Event,
        on_lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.places = places
        self.unavailable = False  # the store did not answer when it was last asked
        self._store = store
        self._owner = owner
        self._lease_s = lease_s
        self._wake = wake
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._held: set[str] = set()
        self._asked = 0  # leases the store has not answered for yet
        self._released: set[str] = set()  # those the store has still to learn of
        self._taken_by_others = 0
        self._seen_s = 0.0  # when that was so, by the loop's clock
        self._gate = asyncio.Semaphore(_ASKED_AT_ONCE)

    @property
    def held(self) -> int:
        """Places this gateway holds."""
        return len(self._held)

    @property
    def taken(self) -> int:
        """Places that all gateways hold, as far as is known here."""
        return self.held + (0 if self.places is None else self._others())

    @property
    def free(self) -> float:
        """Places nobody holds, as far as is known here; infinite without a limit."""
        if self.places is None:
            return float("inf")
        return max(0, self.places - self._others() - self.held)

    async def acquire(self, count: int, kept_free: int = 0) -> list[str]:
        """Take places: all or none.

        Args:
            count: how many.
            kept_free: how many must be left after it, for others of more importance.

        Returns:
            Their leases; empty if there are not enough.
        """
        leases = [f"{self._owner}:{next(self._numbers)}" for _ in range(count)]
        if self.places is None or await self._acquire_of(self.places - kept_free, leases):
            self._held.update(leases)
            return leases
        return []

    def release(self, leases: Iterable[str]) -> None:
        """Give places back; those that are back already stay so."""
        returned = self._held.intersection(leases)
        self._held -= returned
        if returned and self.places is not None:
            self._forget(returned)

    def release_all(self) -> None:
        """Give back every slot."""
        self.release(list(self._held))

    async def refresh(self, *, renew: bool) -> None:
        """Tell the store what it has to learn; never fails."""
        if self.places is None:
            return
        try:
            if released := list(self._released):
                await self._store.release(self.name, released)
                self._released.difference_update(released)
            if (renew or self.unavailable) and not await self._renew():
                return  # not back yet: the next round
        except PublishError as error:
            self._lost(error.reason)
            return
        if self.unavailable:
            self.unavailable = False
            _log.info("capacity-store-back", pool=self.name, held=self.held)

    def count_alone(self, reason: str) -> None:
        """Learn that the store is away; the next `refresh` that it answers ends that."""
        if self.places is None or self.unavailable:
            return
        self.unavailable = True
        self._wake.set()
        _log.warning("capacity-store-away", pool=self.name, reason=reason)

    async def _renew(self) -> bool:
        """Register what is held; tell whether that is all that is held now."""
        renewed = frozenset(self._held)
        try:
            taken = await self._store.renew(self.name, list(renewed), self._lease_s)
        finally:
            # The store may have learned of what was given back meanwhile before it renewed it.
            if returned := renewed - self._held:
                self._forget(returned)
        self._saw(taken - len(renewed | self._held))
        return self._held <= renewed

    async def _acquire_of(self, limit: int, leases: list[str]) -> bool:
        try:
            if not self.unavailable:
                async with asyncio.timeout(_ACQUIRE_TIMEOUT_S), self._gate:
                    return await self._ask(limit, leases)
        except PublishError as error:
            self._lost(error.reason)
        except TimeoutError:
            self._lost("redis-unavailable")
        except BaseException:  # cancelled: the store may have them, we do not want them
            self._forget(leases)
            raise
        return self._has_room(limit, leases)

    async def _ask(self, limit: int, leases: list[str]) -> bool:
        """Take from the store; raises PublishError as it does."""
        if self._released and not self.unavailable:  # or it would refuse what is free already
            await self.refresh(renew=False)
        # Our own count holds even if the store has forgotten what we registered.
        if self.unavailable or not self._has_room(limit, leases):
            return self._has_room(limit, leases)
        self._asked += len(leases)
        try:
            granted, taken = await self._store.acquire(self.name, leases, limit, self._lease_s)
        finally:
            self._asked -= len(leases)
        self._saw(taken - self.held - len(leases) * granted)
        return granted

    def _has_room(self, limit: int, leases: list[str]) -> bool:
        """Whether our own count allows it; while the store is away nothing else does."""
        others = self._others() if self.unavailable else 0
        return self.held + self._asked + len(leases) + others <= limit

    def _others(self) -> int:
        """Places that others were last seen to hold, unless that was too long ago to count."""
        is_old = asyncio.get_running_loop().time() - self._seen_s > self._lease_s
        return 0 if self.unavailable and is_old else self._taken_by_others

    def _saw(self, taken_by_others: int) -> None:
        self._taken_by_others = max(0, taken_by_others)
        self._seen_s = asyncio.get_running_loop().time()

    def _forget(self, leases: Iterable[str]) -> None:
        if len(self._released) < _MOST_RELEASED:  # others come free when their time is over
            self._released.update(leases)
        self._wake.set()

    def _lost(self, reason: str) -> None:
        # Only once: of a cluster one node may be away for long, and the others well.
        if not self.unavailable:
            self.count_alone(reason)
            self._on_lost(reason)
