"""Places that all gateways share: all stocks of one gateway, kept in the store they meet in.

`Capacity` renews every lease each third of its time, so that those of a gateway that died come free
by themselves, and tells the store at once what was given back.

If the store does not answer one pool in time, every pool switches to local counting
(`lease_pool.py`), so that each need not time out by itself. The store is asked again every second.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from gateway.admission.lease_pool import CapacityStore, LeasePool

_RETRY_S: Final = 1.0


class Capacity:
    """All stocks of one gateway, kept in the store for as long as the context lasts.

    Args:
        store: shared by all gateways.
        places: each stock's name -> its places; None without limit.
        owner: this process, told from any other that ever was.
        lease_s: a lease's time; GATEWAY_LEASE_S.
    """

    def __init__(
        self,
        store: CapacityStore,
        places: Mapping[str, int | None],
        *,
        owner: str,
        lease_s: float,
    ) -> None:
        self._renew_s = lease_s / 3
        self._wake = asyncio.Event()
        self._freed = asyncio.Event()
        self._pools = {
            name: LeasePool(
                name,
                count,
                store,
                owner=owner,
                lease_s=lease_s,
                wake=self._wake,
                on_lost=self._count_alone,
            )
            for name, count in places.items()
        }
        self._keeper: asyncio.Task[None] | None = None

    def __getitem__(self, name: str) -> LeasePool:
        return self._pools[name]

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
                self._keeper.result()  # it never ends by itself but for a bug: show it
        for pool in self._pools.values():
            pool.release_all()
        await self._refresh(renew=False)

    async def freed(self, timeout_s: float) -> None:
        """Wait until this gateway has given places back, but not for longer than `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._freed.wait()

    async def _keep(self) -> None:
        """Renew in time; tell the store at once what was given back."""
        loop = asyncio.get_running_loop()
        renew_at_s = loop.time()  # at once: it tells what others have taken
        while True:
            renew = loop.time() >= renew_at_s
            if renew:
                renew_at_s = loop.time() + self._renew_s
            self._wake.clear()
            await self._refresh(renew=renew)
            self._freed.set()
            self._freed = asyncio.Event()
            if self._unavailable:
                await asyncio.sleep(min(_RETRY_S, self._renew_s))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(renew_at_s - loop.time()):
                    await self._wake.wait()

    def _count_alone(self, reason: str) -> None:
        for pool in self._pools.values():
            pool.count_alone(reason)

    @property
    def _unavailable(self) -> bool:
        return any(pool.unavailable for pool in self._pools.values())

    async def _refresh(self, *, renew: bool) -> None:
        await asyncio.gather(*(pool.refresh(renew=renew) for pool in self._pools.values()))
