"""Appends to the audit trail in the background, for processes that must not wait for Redis."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from gateway.errors import PublishError
from workers.governance.stores import StoreError
from workers.governance.trail import Trail

_MOST_WAITING: Final = 10_000
_BATCH: Final = 100
_GATHER_S: Final = 0.05
_RETRY_S: Final = 1.0
_LAST_S: Final = 3.0  # for the entries that wait at the end


class Metrics:
    """The metrics of the audit trail."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.dropped_entries_total = Counter(
            "audit_dropped_entries_total",
            "Actions that are missing in the audit trail, because Redis was unavailable.",
            namespace="callscribe",
            registry=registry,
        )


class Recorder:
    """Entries that wait to be appended; the oldest are dropped, and counted, if there are too many.

    Args:
        trail: the trail.
        metrics: receives the results.
    """

    def __init__(self, trail: Trail, metrics: Metrics) -> None:
        self._trail = trail
        self._waiting: deque[Mapping[str, str | None]] = deque()
        self._has_more = asyncio.Event()
        self._metrics = metrics

    def record(self, entry: Mapping[str, str | None]) -> None:
        """Queue an entry, without waiting."""
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self._metrics.dropped_entries_total.inc()
        self._waiting.append(entry)
        self._has_more.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Append entries for as long as the context lasts, and those that wait at its end."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))
            with contextlib.suppress(TimeoutError, PublishError, StoreError):
                async with asyncio.timeout(_LAST_S):
                    while self._waiting:
                        await self._append()
            self._metrics.dropped_entries_total.inc(len(self._waiting))

    async def _run(self) -> None:
        while True:
            await self._has_more.wait()
            self._has_more.clear()
            await asyncio.sleep(_GATHER_S)
            while self._waiting:
                try:
                    await self._append()
                except (PublishError, StoreError):
                    await asyncio.sleep(_RETRY_S)

    async def _append(self) -> None:
        some = [self._waiting[i] for i in range(min(_BATCH, len(self._waiting)))]
        await self._trail.append(some)
        for each in some:  # unless it was dropped meanwhile
            if self._waiting and self._waiting[0] is each:
                self._waiting.popleft()
