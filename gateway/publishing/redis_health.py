"""Readiness of Redis, tested by writing to it.

A short outage of Redis must not take all gateways out of service, because they accept calls without
it. As long as there is room for the events of the outage, the gateway is only degraded.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Self

import structlog

from gateway.errors import PublishError
from gateway.publishing.redis_store import probe_writes
from gateway.readiness import Condition, degraded, not_ready
from gateway.redis_client.client import RedisClient

_EVERY_S: Final = 2.0  # a test write per node and gateway; probes of /readyz cause none
_TIMEOUT_S: Final = 1.0  # for each of two tries
_NEARLY_FULL: Final = 0.9

_log = structlog.get_logger()


class RedisHealth:
    """Tests writes for as long as the context lasts.

    Args:
        client: from `create_client`.
        partitions: fixed at installation; their keys are on all nodes of a cluster.
        outage: returns why streams of the publisher wait, empty if none does. A test write detects
            neither a missing permission for a batch, nor that one stream is refused.
        fullness: returns the used share, 0 to 1, of the room for unacknowledged events.
    """

    def __init__(
        self,
        client: RedisClient,
        partitions: int,
        *,
        outage: Callable[[], str],
        fullness: Callable[[], float],
    ) -> None:
        self._client = client
        self._partitions = partitions
        self._outage = outage
        self._fullness = fullness
        self._failure: PublishError | None = None
        self._has_written = False  # since the start
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.probe()
        self._task = asyncio.create_task(self._run(), name="redis-health")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()  # only a bug ends it: raise its exception

    async def probe(self) -> None:
        """Test a write on each node. Never raises for what a server did."""
        failures = await probe_writes(self._client, self._partitions, _TIMEOUT_S)
        self._has_written |= None in failures
        before, self._failure = self._failure, next((f for f in failures if f), None)
        if self._failure and not before:
            error = self._failure.detail
            _log.warning(
                "redis-not-writable", error=error, nodes=len(failures) - failures.count(None)
            )
        elif before and not self._failure:
            _log.info("redis-writable")

    def conditions(self) -> Iterable[Condition]:
        """Return the problems with Redis and with the room for events, for `/readyz`."""
        failure = self._failure
        if cause := failure.detail or failure.reason if failure else self._outage():
            condition = degraded if self._has_written else not_ready
            yield condition(f"redis-unavailable ({cause})")
        if self._fullness() >= _NEARLY_FULL:
            yield not_ready("spool-full")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.probe()
