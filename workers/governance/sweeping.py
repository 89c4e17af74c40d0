"""What the worker `govern` does: finishes erasures, and deletes calls whose time is over."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.errors import PublishError
from workers.governance.eraser import Actor, Governance
from workers.governance.redis_retention import RedisRetention
from workers.governance.retention import Place, Retention
from workers.governance.stores import Expiring, StoreError

_log = logging.getLogger("workers.govern")

_POLL_S: Final = 2.0  # for erasures that somebody requested
_BATCH: Final = 200
# Some time after an erasure, stores are searched once more, because a writer may have been slow.
_SLOW_WRITER_S: Final = 600.0
_RECENT_S: Final = 3600.0  # the erasures that are searched for when the worker starts
_DAY_MS: Final = 86_400_000
_SLOW: Final = frozenset({Place.ARCHIVE, Place.INDEX})


class Metrics:
    """The metrics of governance."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.erased_total = Counter(
            "governance_erased_calls_total",
            "Calls that were erased from all stores.",
            namespace="callscribe",
            registry=registry,
        )
        self.expired_total = Counter(
            "governance_expired_calls_total",
            "Calls deleted from a place because their retention was over.",
            ["place"],
            namespace="callscribe",
            registry=registry,
        )
        self.returned_total = Counter(
            "governance_returned_calls_total",
            "Erased calls that were found again, usually in a restored backup, and erased again.",
            namespace="callscribe",
            registry=registry,
        )
        self.pending = Gauge(
            "governance_pending_erasures",
            "Calls in the ledger of which something may be left.",
            namespace="callscribe",
            registry=registry,
        )
        self.errors_total = Counter(
            "governance_errors_total",
            "Sweeps and erasures that failed, by reason; they are repeated.",
            ["reason"],
            namespace="callscribe",
            registry=registry,
        )
        self.swept_seconds = Gauge(
            "governance_swept_timestamp_seconds",
            "When the last sweep succeeded, as a Unix time.",
            namespace="callscribe",
            registry=registry,
        )


@dataclass(slots=True)
class Sweeper:
    """Finishes erasures, and deletes calls whose time is over.

    Several may run: what they do is harmless if it is repeated.

    Attributes:
        governance: erases.
        places: the stores that limit how long they keep calls.
        redis: those of `places` that are in Redis.
        retention: how long.
        shared_s: how long entries of streams that calls share are kept, in seconds.
        audit_keep_days: how long the audit trail is kept; 0 is forever.
        actor: for the audit trail.
        metrics: receives the results.
        known: erased calls in the ledger after the last sweep; fewer show a restored Redis.
        checked_s: erasures that were done until then were searched for once more, Unix seconds.
    """

    governance: Governance
    places: Mapping[Place, Expiring]
    redis: Sequence[RedisRetention]
    retention: Callable[[], Retention]
    shared_s: int
    audit_keep_days: int
    actor: Actor
    metrics: Metrics
    known: int = 0
    checked_s: float = 0.0

    async def run(self, sweep_s: float, archive_sweep_s: float) -> None:
        """Finish erasures as they are requested, and sweep periodically, until cancelled."""
        loop = asyncio.get_running_loop()
        next_s = next_whole_s = loop.time()
        while True:
            try:
                if loop.time() >= next_s:
                    is_whole = loop.time() >= next_whole_s
                    await self.sweep(is_whole=is_whole)
                    next_s = loop.time() + sweep_s
                    next_whole_s = loop.time() + archive_sweep_s if is_whole else next_whole_s
                else:
                    await self.finish()
            except (PublishError, StoreError) as error:
                self.metrics.errors_total.labels(error.reason).inc()
                _log.warning("governance-failed reason=%s", error.reason)
            await asyncio.sleep(_POLL_S)

    async def sweep(self, *, is_whole: bool = True) -> None:
        """Do all that is due; with `is_whole`, in the archive and in the index, too."""
        places = {
            name: place for name, place in self.places.items() if is_whole or name not in _SLOW
        }
        if is_whole or await self.governance.ledger.count() < self.known:
            await self.compare_copies()
        self.known = await self.governance.ledger.count()
        await self.finish()
        await self.find_returned(places)
        await self.expire(places)
        self.metrics.swept_seconds.set(self.governance.wall_s())

    async def finish(self) -> None:
        """Erase the calls that are in the ledger and not done."""
        pending = await self.governance.ledger.pending()
        self.metrics.pending.set(len(pending))
        for some in batched(sorted(pending), _BATCH):
            await self._erase(some)

    async def _erase(self, calls: Sequence[str]) -> None:
        for call_id in calls:
            if erasure := await self.governance.ledger.get(call_id):
                await self.governance.keep_copy(call_id, erasure)
        walked = await self.governance.carry_out(calls, self.actor)
        if not walked.is_done:
            names = ",".join(sorted({*walked.left, *walked.failed}))
            _log.warning("erasure-incomplete calls=%d stores=%s", len(calls), names)
        else:
            self.metrics.erased_total.inc(len(calls))

    async def compare_copies(self) -> None:
        """Compare the ledger with its other places, and complete all of them.

        Records that are missing in Redis are those of a Redis that was restored from a backup.
        """
        governance = self.governance
        for copy in governance.copies:
            known = {call_id async for call_id, _ in governance.ledger.all()}
            copied = set()
            async for call_id, erasure in copy.all():
                copied.add(call_id)
                if call_id not in known:
                    await governance.ledger.record(call_id, erasure, even_live=True)
                    await governance.note("erasure-restored", self.actor, call_id)
                    _log.warning("erasure-restored call_id=%s", call_id)
            async for call_id, erasure in governance.ledger.all():
                if call_id not in copied:
                    await copy.put(call_id, erasure)

    async def find_returned(self, places: Mapping[Place, Expiring]) -> None:
        """Erase calls of the ledger that a store has again, and search for others once more."""
        ledger = self.governance.ledger
        until_s = self.governance.wall_s() - _SLOW_WRITER_S
        since_s, self.checked_s = max(self.checked_s, until_s - _RECENT_S), until_s
        recent = [
            call_id
            async for call_id, each in ledger.all()
            if each.done and since_s < _seconds(each.done) <= until_s
        ]
        returned: set[str] = set()
        for place in places.values():
            returned |= await self._erased_in(place)
        for some in batched(sorted(returned | set(recent)), _BATCH):
            if sum([await store.find(some) for store in self.governance.stores]):
                self.metrics.returned_total.inc(len(set(some) & returned))
                await self._erase(some)

    async def _erased_in(self, place: Expiring) -> set[str]:
        found: set[str] = set()
        page: list[str] = []
        async for call_id in place.ids():
            page.append(call_id)
            if len(page) == _BATCH:
                found |= await self.governance.ledger.erased(page)
                page = []
        return found | await self.governance.ledger.erased(page)

    async def expire(self, places: Mapping[Place, Expiring]) -> None:
        """Delete calls whose time is over, except those that are held."""
        now_ms = round(self.governance.wall_s() * 1000)
        held = [call_id async for call_id, _ in self.governance.holds.all()]
        retention = self._read_retention()
        for each in self.redis:
            await each.set_expiry(held, None)
            await each.trim(now_ms - self.shared_s * 1000)
        for name, place in places.items():
            if retention.limits(name):
                await self._expire(name, place, retention, now_ms)
        if days := self.audit_keep_days:
            trail, wall_s = self.governance.trail, self.governance.wall_s
            await trail.trim(now_ms - days * _DAY_MS, wall_s(), self.actor.name)

    def _read_retention(self) -> Retention:
        """Return the rules; none, so that nothing is deleted, if the file became invalid."""
        try:
            return self.retention()
        except ValueError as error:
            self.metrics.errors_total.labels("retention-invalid").inc()
            _log.error("retention-invalid the file of WORKER_GOVERN_RETENTION %s", error)
            return Retention()

    async def _expire(
        self, name: Place, place: Expiring, retention: Retention, now_ms: int
    ) -> None:
        over = {
            kept.call_id
            async for kept in place.calls()
            if retention.is_over(name, kept.tenant, kept.route, kept.last_ms, now_ms)
        }
        for some in batched(sorted(over), _BATCH):
            free: Collection[str] = set(some) - await self.governance.holds.held(some)
            if free and (count := await place.expire(free)):
                self.metrics.expired_total.labels(name).inc(count)


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
