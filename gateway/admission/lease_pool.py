"""A lease pool: a limited number of slots for an endpoint's sessions or a route's calls.

Each slot in use is a lease in a store that all gateways share (`capacity_store.py`: Redis).

If the store does not answer in time, the pool counts locally. The limit then applies to the slots
that this gateway holds plus, for the duration of a lease, the slots that other gateways were last
seen to hold. When the store answers again, the pool registers all leases it holds, even above the
limit, because their sessions are in use. An acquisition never fails because the store is
unavailable.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from gateway.errors import PublishError

_MAX_REQUESTS: Final = 8  # per pool: a burst of calls must not exhaust the store's connections
_ACQUIRE_TIMEOUT_S: Final = 2.0  # queueing included; short, because a starting call waits for it
_MAX_RELEASED: Final = 10_000  # per pool, kept while the store is unavailable

_log = structlog.get_logger()


class Acquisition(NamedTuple):
    """The store's reply to an attempt to acquire leases."""

    granted: bool
    taken: int  # slots that all gateways hold


class CapacityStore(Protocol):
    """The store of leases that all gateways share. Every method is bounded in time.

    Raises:
        PublishError: the store did not answer; the request may or may not have been executed.
    """

    async def acquire(
        self, pool: str, leases: Sequence[str], limit: int, lease_s: float
    ) -> Acquisition:
        """Register all leases, or none if more than `limit` slots would then be taken."""

    async def renew(self, pool: str, leases: Sequence[str], lease_s: float) -> int:
        """Register or renew leases without a limit; return how many slots all gateways hold."""

    async def release(self, pool: str, leases: Sequence[str]) -> None:
        """Delete leases."""


class LeasePool:
    """One lease pool, as this gateway sees it.

    Args:
        name: the pool's name, the same in all gateways.
        slots: how many slots there are; None is no limit, and then the store is not used.
        store: where leases are registered.
        owner: a prefix that makes lease ids unique among gateways.
        lease_s: how long a lease lasts unless it is renewed, in seconds.
        wake: set when `refresh` should be called soon.
        on_unavailable: called with the reason when this pool finds the store unavailable.

    Attributes:
        unavailable: whether the store did not answer the last request.
    """

    def __init__(
        self,
        name: str,
        slots: int | None,
        store: CapacityStore,
        *,
        owner: str,
        lease_s: float,
        wake: asyncio.Event,
        on_unavailable: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.slots = slots
        self.unavailable = False
        self._store = store
        self._owner = owner
        self._lease_s = lease_s
        self._wake = wake
        self._on_unavailable = on_unavailable
        self._numbers = itertools.count(1)
        self._held: set[str] = set()
        self._requested = 0  # leases requested from the store and not yet granted or refused
        self._released: set[str] = set()  # leases that the store still has to delete
        self._taken_by_others = 0
        self._seen_s = 0.0  # when `_taken_by_others` was reported, by the loop's clock
        self._requests = asyncio.Semaphore(_MAX_REQUESTS)

    @property
    def held(self) -> int:
        """Slots that this gateway holds."""
        return len(self._held)

    @property
    def taken(self) -> int:
        """Slots that all gateways hold, as last seen here."""
        return self.held + (0 if self.slots is None else self._others())

    @property
    def free(self) -> float:
        """Slots that no gateway holds, as last seen here; infinite without a limit."""
        if self.slots is None:
            return float("inf")
        return max(0, self.slots - self._others() - self.held)

    def resize(self, slots: int | None) -> None:
        """Change the number of slots. Slots that are held stay held, even above the new number."""
        self.slots = slots
        if slots is None:
            self.unavailable = False

    async def acquire(self, count: int, kept_free: int = 0) -> list[str]:
        """Acquire slots: all or none.

        Args:
            count: how many slots.
            kept_free: how many slots must stay free, for calls of higher priority.

        Returns:
            The leases of the slots; empty if there are not enough free slots.
        """
        leases = [f"{self._owner}:{next(self._numbers)}" for _ in range(count)]
        if self.slots is None or await self._acquire_within(self.slots - kept_free, leases):
            self._held.update(leases)
            return leases
        return []

    def release(self, leases: Iterable[str]) -> None:
        """Release slots; leases that are not held are ignored."""
        returned = self._held.intersection(leases)
        self._held -= returned
        if returned and self.slots is not None:
            self._delete_soon(returned)

    def release_all(self) -> None:
        """Release every slot."""
        self.release(list(self._held))

    async def refresh(self, *, renew: bool) -> None:
        """Send pending releases to the store, and renew all leases if asked to; never fails.

        If the store was unavailable and answers, all leases are registered and local counting ends.
        """
        if self.slots is None:
            return
        try:
            if released := list(self._released):
                await self._store.release(self.name, released)
                self._released.difference_update(released)
            if (renew or self.unavailable) and not await self._renew():
                return  # some leases are not registered yet: the next refresh does it
        except PublishError as error:
            self._mark_unavailable(error.reason)
            return
        if self.unavailable:
            self.unavailable = False
            _log.info("capacity-store-back", pool=self.name, held=self.held)

    def count_locally(self, reason: str) -> None:
        """Count without the store until it answers a `refresh`."""
        if self.slots is None or self.unavailable:
            return
        self.unavailable = True
        self._wake.set()
        _log.warning("capacity-store-away", pool=self.name, reason=reason)

    async def _renew(self) -> bool:
        """Register the leases held; return whether that includes all leases held afterwards."""
        renewed = frozenset(self._held)
        try:
            taken = await self._store.renew(self.name, list(renewed), self._lease_s)
        finally:
            # A release sent meanwhile may have reached the store before this renewal, which then
            # registered the lease again.
            if returned := renewed - self._held:
                self._delete_soon(returned)
        self._note_taken_by_others(taken - len(renewed | self._held))
        return self._held <= renewed

    async def _acquire_within(self, limit: int, leases: list[str]) -> bool:
        try:
            if not self.unavailable:
                async with asyncio.timeout(_ACQUIRE_TIMEOUT_S), self._requests:
                    return await self._acquire_from_store(limit, leases)
        except PublishError as error:
            self._mark_unavailable(error.reason)
        except TimeoutError:
            self._mark_unavailable("redis-unavailable")
        except BaseException:  # cancelled: the store may have registered the leases
            self._delete_soon(leases)
            raise
        return self._has_room(limit, leases)

    async def _acquire_from_store(self, limit: int, leases: list[str]) -> bool:
        """Acquire leases from the store; raises PublishError as the store does."""
        if self._released and not self.unavailable:  # else the store counts released slots as taken
            await self.refresh(renew=False)
        # The local count applies even if the store has lost the leases of this gateway.
        if self.unavailable or not self._has_room(limit, leases):
            return self._has_room(limit, leases)
        self._requested += len(leases)
        try:
            granted, taken = await self._store.acquire(self.name, leases, limit, self._lease_s)
        finally:
            self._requested -= len(leases)
        self._note_taken_by_others(taken - self.held - len(leases) * granted)
        return granted

    def _has_room(self, limit: int, leases: list[str]) -> bool:
        """Return whether the local count allows these leases."""
        others = self._others() if self.unavailable else 0
        return self.held + self._requested + len(leases) + others <= limit

    def _others(self) -> int:
        """Return how many slots other gateways hold, as last seen.

        While the store is unavailable, the number expires after the duration of a lease.
        """
        is_old = asyncio.get_running_loop().time() - self._seen_s > self._lease_s
        return 0 if self.unavailable and is_old else self._taken_by_others

    def _note_taken_by_others(self, count: int) -> None:
        self._taken_by_others = max(0, count)
        self._seen_s = asyncio.get_running_loop().time()

    def _delete_soon(self, leases: Iterable[str]) -> None:
        if len(self._released) < _MAX_RELEASED:  # leases above that are left to expire
            self._released.update(leases)
        self._wake.set()

    def _mark_unavailable(self, reason: str) -> None:
        # Only on the transition: one node of a cluster may be unavailable for long while the nodes
        # of the other pools are healthy.
        if not self.unavailable:
            self.count_locally(reason)
            self._on_unavailable(reason)
