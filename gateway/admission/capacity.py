"""All lease pools of one gateway, synchronized with the store that all gateways share.

`Capacity` renews every lease three times per lease duration. The leases of a lost gateway therefore
expire. Releases are sent to the store at once.

If the store does not answer one pool in time, every pool switches to local counting
(`lease_pool.py`), so that not every pool has to time out. The store is retried every second.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Final, Self

from gateway.admission.lease_pool import CapacityStore, LeasePool

_RETRY_S: Final = 1.0


class Capacity:
    """All lease pools of one gateway, kept in the store for as long as the context lasts.

    Args:
        store: shared by all gateways.
        slots: pool name -> number of slots, or None if there is no limit.
        owner: an id of this process that no other process ever had.
        lease_s: the duration of a lease, in seconds; GATEWAY_LEASE_S.
    """

    def __init__(
        self,
        store: CapacityStore,
        slots: Mapping[str, int | None],
        *,
        owner: str,
        lease_s: float,
    ) -> None:
        self._renew_s = lease_s / 3
        self._renew_at_s = 0.0  # at once: a renewal also returns what other gateways hold
        self._wake = asyncio.Event()
        self._released = asyncio.Event()
        self._new_pool = partial(
            LeasePool,
            store=store,
            owner=owner,
            lease_s=lease_s,
            wake=self._wake,
            on_unavailable=self._count_locally,
        )
        self._pools: dict[str, LeasePool] = {}
        self._keeper: asyncio.Task[None] | None = None
        self.resize(slots)

    def __getitem__(self, name: str) -> LeasePool:
        return self._pools[name]

    def resize(self, slots: Mapping[str, int | None]) -> None:
        """Set the number of slots of these pools; pools of other names stay as they are."""
        for name, count in slots.items():
            if pool := self._pools.get(name):
                pool.resize(count)
            else:
                self._pools[name] = self._new_pool(name, count)
        self._renew_at_s = 0.0  # registers the leases of a pool that had no limit before
        self._wake.set()

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name="capacity")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            if not self._keeper.cancelled():
                self._keeper.result()  # it ends by itself only because of a bug: raise that
        for pool in self._pools.values():
            pool.release_all()
        await self._refresh(renew=False)

    async def wait_for_release(self, timeout_s: float) -> None:
        """Wait until this gateway may have released slots, for `timeout_s` seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._released.wait()

    async def _keep(self) -> None:
        """Renew all leases in time, and send releases to the store at once."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            renew = loop.time() >= self._renew_at_s
            if renew:
                self._renew_at_s = loop.time() + self._renew_s
            await self._refresh(renew=renew)
            self._released.set()
            self._released = asyncio.Event()
            if self._unavailable:
                await asyncio.sleep(min(_RETRY_S, self._renew_s))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._renew_at_s - loop.time()):
                    await self._wake.wait()

    def _count_locally(self, reason: str) -> None:
        for pool in self._pools.values():
            pool.count_locally(reason)

    @property
    def _unavailable(self) -> bool:
        return any(pool.unavailable for pool in self._pools.values())

    async def _refresh(self, *, renew: bool) -> None:
        await asyncio.gather(*(pool.refresh(renew=renew) for pool in self._pools.values()))
