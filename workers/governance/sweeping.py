"""What the worker `govern` does: finishes erasures, and deletes calls whose time is over."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.errors import PublishError
from workers.governance.append_only import AppendOnlyFile
from workers.governance.copies import LedgerCopy
from workers.governance.eraser import Actor, Governance
from workers.governance.redis_retention import RedisRetention
from workers.governance.retention import Place, Retention
from workers.governance.stores import Expiring, StoreError

_log = logging.getLogger("workers.govern")

_POLL_S: Final = 2.0  # for erasures that somebody requested
_BATCH: Final = 200
_SMALL_BATCH: Final = 10  # of calls that are deleted one by one
_LONGEST_WAIT_S: Final = 300.0  # after an erasure that is not complete; the first wait is _POLL_S
_WHOLE_RETRY_S: Final = 3600.0  # after a failure in the archive or the index
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


class _Wait(NamedTuple):
    """When an erasure that is not complete is tried again, by the clock, and how long it waited."""

    until_s: float
    wait_s: float


@dataclass(slots=True)
class Sweeper:
    """Finishes erasures, and deletes calls whose time is over.

    Several may run: what they do is harmless if it is repeated. A step that fails is counted, and
    does not keep the others from being done.

    Attributes:
        governance: erases.
        places: the stores that limit how long they keep calls.
        redis: those of `places` that are in Redis.
        file: the append-only file of Redis.
        retention: how long.
        shared_s: how long entries of streams that calls share are kept, in seconds.
        audit_keep_days: how long the audit trail is kept; 0 is forever.
        actor: for the audit trail.
        metrics: receives the results.
        clock: monotonic seconds.
        known: how many calls were erased and held after the last sweep; fewer show a Redis that
            was restored.
        are_holds_known: whether the holds of one of the other places are in Redis.
        checked_s: erasures that were done until then were searched for once more, Unix seconds.
        waits: the erasures that are not complete.
    """

    governance: Governance
    places: Mapping[Place, Expiring]
    redis: Sequence[RedisRetention]
    file: AppendOnlyFile
    retention: Callable[[], Retention]
    shared_s: int
    audit_keep_days: int
    actor: Actor
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic
    known: tuple[int, int] = (0, 0)
    are_holds_known: bool = False
    checked_s: float = 0.0
    waits: dict[str, _Wait] = field(default_factory=dict)

    async def run(self, sweep_s: float, archive_sweep_s: float) -> None:
        """Finish erasures as they are requested, and sweep periodically, until cancelled."""
        next_s = next_whole_s = self.clock()
        while True:
            if self.clock() >= next_s:
                is_whole = self.clock() >= next_whole_s
                is_done = await self.sweep(is_whole=is_whole)
                next_s = self.clock() + sweep_s
                if is_whole:
                    retry_s = min(archive_sweep_s, _WHOLE_RETRY_S)
                    next_whole_s = self.clock() + (archive_sweep_s if is_done else retry_s)
            else:
                await self._attempt(self.finish)
            await self._attempt(self.file.rewrite_if_due)
            await asyncio.sleep(_POLL_S)

    async def sweep(self, *, is_whole: bool = True) -> bool:
        """Do all that is due; with `is_whole`, in the archive and in the index, too.

        Returns:
            Whether every step succeeded.
        """
        places = {
            name: place for name, place in self.places.items() if is_whole or name not in _SLOW
        }
        steps = (
            partial(self._restore, is_whole=is_whole),
            self.finish,
            partial(self.find_returned, places),
            partial(self.expire, places),
        )
        is_done = all([await self._attempt(step) for step in steps])
        if is_done:
            self.metrics.swept_seconds.set(self.governance.wall_s())
        return is_done

    async def _attempt(self, step: Callable[[], Awaitable[object]]) -> bool:
        """Do a step; return False, and count the error, if it failed, or a part of it."""
        try:
            return await step() is not False
        except (PublishError, StoreError) as error:
            self.metrics.errors_total.labels(error.reason).inc()
            _log.warning("governance-failed reason=%s", error.reason)
            return False

    # Erasures

    async def finish(self) -> None:
        """Erase the calls that are in the ledger and not done; after a failure, not at once."""
        pending = await self.governance.ledger.pending()
        self.metrics.pending.set(len(pending))
        self.waits = {each: wait for each, wait in self.waits.items() if each in pending}
        never = _Wait(0.0, 0.0)
        due = [each for each in pending if self.waits.get(each, never).until_s <= self.clock()]
        for some in batched(sorted(due), _BATCH):
            if not await self._erase(some):
                break  # a store failed: the others are tried at the next round, before these

    async def _erase(self, calls: Sequence[str]) -> bool:
        """Erase some calls; return False if a store failed."""
        walked = await self.governance.carry_out(calls, self.actor)
        self.metrics.erased_total.inc(len(walked.done))
        if walked.done:
            self.file.note_erasure()
        for call_id in walked.done:
            self.waits.pop(call_id, None)
        left = [each for each in calls if each not in walked.done]
        for call_id in left:
            wait_s = self.waits[call_id].wait_s * 2 if call_id in self.waits else _POLL_S
            wait_s = min(wait_s, _LONGEST_WAIT_S)
            self.waits[call_id] = _Wait(self.clock() + wait_s, wait_s)
        if left:
            names = ",".join(sorted({*walked.left, *walked.failed}))
            _log.warning("erasure-incomplete calls=%d stores=%s", len(left), names)
        return not walked.failed

    # Restored backups

    async def _restore(self, *, is_whole: bool) -> bool:
        """Restore what Redis lacks, if it is time or if Redis has less than it had."""
        has_shrunk = any(
            now < known for now, known in zip(await self._sizes(), self.known, strict=True)
        )
        self.are_holds_known &= not has_shrunk
        is_done = True
        if is_whole or not self.are_holds_known:
            is_done = await self.compare_copies()
        self.known = await self._sizes()
        return is_done

    async def _sizes(self) -> tuple[int, int]:
        return await self.governance.ledger.count(), await self.governance.holds.count()

    async def compare_copies(self) -> bool:
        """Compare the ledger and the holds with their other places, and complete all of them.

        What is missing in Redis was there before it was restored from a backup.

        Returns:
            Whether all places are available.
        """
        copies = self.governance.copies
        results = [await self._attempt(partial(self._compare, copy)) for copy in copies]
        self.are_holds_known |= any(results) or not copies
        return all(results)

    async def _compare(self, copy: LedgerCopy) -> None:
        await self._compare_holds(copy)  # first, because a held call is not erased
        governance = self.governance
        known = {call_id async for call_id, _ in governance.ledger.all()}
        held = {call_id async for call_id, _ in governance.holds.all()}
        copied = set()
        async for call_id, erasure in copy.all():
            copied.add(call_id)
            if call_id not in known | held:
                await governance.note("erasure-restored", self.actor, call_id)
                await governance.ledger.record(call_id, erasure, even_live=True)
                _log.warning("erasure-restored call_id=%s", call_id)
        async for call_id, erasure in governance.ledger.all():
            if call_id not in copied:
                await copy.put(call_id, erasure)

    async def _compare_holds(self, copy: LedgerCopy) -> None:
        """Restore holds, and copy others.

        A release removes the copy, then the hold, then the copy again. So what is found before and
        after it is not from a release that happens meanwhile.
        """
        holds, copied = self.governance.holds, set()
        async for call_id, hold in copy.holds():
            copied.add(call_id)
            if not await holds.get(call_id) and await copy.has_hold(call_id):
                await self.governance.note("hold-restored", self.actor, call_id)
                await holds.place(call_id, hold)
                _log.warning("hold-restored call_id=%s", call_id)
        async for call_id, hold in holds.all():
            if call_id not in copied:
                await copy.put_hold(call_id, hold)
                if not await holds.get(call_id):
                    await copy.remove_hold(call_id)

    async def find_returned(self, places: Mapping[Place, Expiring]) -> bool:
        """Erase calls of the ledger that a store has again, and search for others once more."""
        until_s = self.governance.wall_s() - _SLOW_WRITER_S
        since_s = max(self.checked_s, until_s - _RECENT_S)
        ledger = self.governance.ledger
        recent = [
            call_id
            async for call_id, each in ledger.all()
            if each.done and since_s < _seconds(each.done) <= until_s
        ]
        is_done = True
        for place in places.values():
            is_done &= await self._attempt(partial(self._erase_returned, place))
        for some in batched(sorted(recent), _BATCH):
            is_done &= await self._attempt(partial(self._search_again, some))
        if is_done:
            self.checked_s = until_s
        return is_done

    async def _erase_returned(self, place: Expiring) -> None:
        returned = await self._erased_in(place)
        for some in batched(sorted(returned), _BATCH):
            self.metrics.returned_total.inc(len(some))
            await self._erase(some)

    async def _search_again(self, calls: Sequence[str]) -> None:
        if sum([await store.find(calls) for store in self.governance.stores]):
            await self._erase(calls)

    async def _erased_in(self, place: Expiring) -> set[str]:
        found: set[str] = set()
        page: list[str] = []
        async for call_id in place.ids():
            page.append(call_id)
            if len(page) == _BATCH:
                found |= await self.governance.ledger.erased(page)
                page = []
        return found | await self.governance.ledger.erased(page)

    # Retention

    async def expire(self, places: Mapping[Place, Expiring]) -> bool:
        """Delete calls whose time is over, except those that are held."""
        now_ms = round(self.governance.wall_s() * 1000)
        retention = self._read_retention()
        holds = self.governance.holds
        await holds.set_expiry([call_id async for call_id, _ in holds.all()], None)
        steps: list[Callable[[], Awaitable[object]]] = [
            partial(each.trim, now_ms - self.shared_s * 1000) for each in self.redis
        ]
        if self.are_holds_known:
            steps += [
                partial(self._expire, name, place, retention, now_ms)
                for name, place in places.items()
                if retention.limits(name)
            ]
        if days := self.audit_keep_days:
            trail, now_s = self.governance.trail, self.governance.wall_s()
            steps.append(partial(trail.trim, now_ms - days * _DAY_MS, now_s, self.actor.name))
        return all([await self._attempt(step) for step in steps])

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
        # A hold may be placed meanwhile. Stores in Redis ask once more.
        for some in batched(sorted(over), _SMALL_BATCH if name in _SLOW else _BATCH):
            free: Collection[str] = set(some) - await self.governance.holds.held(some)
            if free and (count := await place.expire(free)):
                self.metrics.expired_total.labels(name).inc(count)


def _seconds(at: str) -> float:
    """Return a time in Unix seconds; 0 if it is damaged."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0
