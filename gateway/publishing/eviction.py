"""Detects that Redis deletes transcripts: its eviction policy, and calls that vanished.

With any policy except `noeviction`, a Redis whose memory is full deletes transcripts, also of live
calls, and reports it to no client. So the gateway reads the policy every few minutes, and every few
seconds the first entry of each live call's stream, which never changes while the stream exists.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Self

import structlog

from gateway.errors import PublishError
from gateway.metrics import Metrics
from gateway.publishing.outbox import OutboxStream
from gateway.publishing.redis_store import evicting_policies, first_entries
from gateway.readiness import Condition, degraded
from gateway.redis_client.client import RedisClient

_STREAMS_EVERY_S: Final = 10.0
_POLICY_EVERY_S: Final = 300.0
_TIMEOUT_S: Final = 3.0

_log = structlog.get_logger()


class EvictionWatch:
    """Checks Redis for as long as the context lasts.

    Args:
        client: from `create_client`.
        metrics: where evicting policies and vanished calls are counted.
        open_streams: the process's streams that have not ended.
    """

    def __init__(
        self,
        client: RedisClient,
        metrics: Metrics,
        open_streams: Callable[[], Iterable[OutboxStream]],
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._open_streams = open_streams
        self._policies: frozenset[str] = frozenset()  # that evict
        self._is_policy_hidden = False
        self._first_ids: dict[str, bytes] = {}  # call key -> id of its first entry; empty: deleted
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="redis-eviction")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()  # only a bug ends it: raise its exception

    def conditions(self) -> Iterable[Condition]:
        """Return the policies that evict, for `/readyz`."""
        return [degraded(f"redis-evicts ({policy})") for policy in sorted(self._policies)]

    async def check_policy(self) -> bool:
        """Read each node's eviction policy; return whether they replied."""
        try:
            policies = frozenset(await evicting_policies(self._client, _TIMEOUT_S))
        except PublishError as error:
            if error.detail == "NOPERM" and not self._is_policy_hidden:
                self._is_policy_hidden = True
                _log.info("redis-policy-unknown", needs="permission for INFO")
            return error.detail == "NOPERM"
        if policies - self._policies:
            _log.warning("redis-evicts", policy=sorted(policies), needs="noeviction")
        self._policies = policies
        self._metrics.redis_evicts.set(bool(policies))
        return True

    async def check_streams(self) -> None:
        """Compare the first entries of live calls with those of the previous check."""
        streams = {w.keys.call: w for w in self._open_streams() if w.acknowledged_n}
        entries = await first_entries(self._client, list(streams), _TIMEOUT_S)
        known, self._first_ids = self._first_ids, {}
        for (key, stream), entry in zip(streams.items(), entries, strict=True):
            before = known.get(key)
            if entry is None:  # no reply
                if before is not None:
                    self._first_ids[key] = before
                continue
            first_id, n = entry
            self._first_ids[key] = first_id
            # After a deletion the next event creates another stream, which is no second loss.
            is_new_loss = n != 1 if before is None else before not in (b"", first_id)
            if is_new_loss:
                self._metrics.redis_errors_total.labels("redis-stream-vanished").inc()
                _log.error("redis-stream-vanished", call_id=stream.call_id)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        policy_at_s = loop.time()
        while True:
            if loop.time() >= policy_at_s and await self.check_policy():
                policy_at_s = loop.time() + _POLICY_EVERY_S
            await self.check_streams()
            await asyncio.sleep(_STREAMS_EVERY_S)
