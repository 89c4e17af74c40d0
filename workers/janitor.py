"""Closes the streams of lost gateways: writes `stream.ended` with the status `lost`.

A gateway renews the lease of each of its streams at least once per two thirds of the lease. An
expired lease means a lost gateway only if the gateway could have renewed it. After Redis was
unavailable or refused writes, all leases have expired. A partition is therefore watched for a whole
lease before any of its streams is declared lost. Each check begins with a write, which Redis
refuses whenever it refuses a renewal. The watch starts over if a check fails, or if two checks are
too far apart by the server's clock: then Redis was restarted or frozen, its clock was set, or the
janitor was delayed.

The script that writes the event (`append.lua`) checks once more that the lease has expired. A
gateway that renews at the last moment therefore keeps its stream, and of several janitors only one
writes. The event has a higher epoch. It closes the stream, but does not prevent a gateway that was
only suspended from resuming it.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.errors import PublishError
from gateway.publishing.event_store import AppendCall
from gateway.publishing.outbox import Limits
from gateway.transcript.encode import flatten, pack_batch, pack_event, pack_stream
from gateway.transcript.events import VERSION, Status, StreamEnded
from gateway.transcript.keys import keys_in

_log = logging.getLogger("workers.janitor")

_CHECKS_PER_LEASE: Final = 6
_MAX_CHECK_INTERVALS: Final = 2  # between two checks; with more, the watch starts over
_STREAMS_PER_CHECK: Final = 500  # per partition; a gateway's streams spread over all partitions
_CONCURRENT_CLOSES: Final = 8
_TIMEOUT_S: Final = 5.0


class LeaseStore(Protocol):
    """The janitor's Redis operations (`redis_streams.py`). All methods may raise `PublishError`."""

    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
        """Return the server's time and the streams of a partition whose lease has expired.

        The time is in Unix ms, the streams are `call_id stream_id`. Raises PublishError while Redis
        refuses writes, too.
        """

    async def owner_epoch(self, writers_key: str, stream_id: str) -> int:
        """Return the epoch that owns a stream, or 0."""

    def events(self, call_key: str) -> AsyncIterator[Mapping[str, str]]:
        """Yield the events of a call, in order."""

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append batches of events; see `append.lua`."""


class Metrics:
    """All Prometheus metrics of a janitor."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        self.lost_streams_total = Counter(
            "janitor_lost_streams_total",
            "Streams of lost gateways that this janitor closed.",
            namespace="callscribe",
            registry=registry,
        )
        self.errors_total = Counter(
            "janitor_errors_total",
            "Failed checks and writes, by reason.",
            ["reason"],
            namespace="callscribe",
            registry=registry,
        )
        self.watched_partitions = Gauge(
            "janitor_watched_partitions",
            "Partitions watched for a whole lease, in which lost streams are therefore closed.",
            namespace="callscribe",
            registry=registry,
        )


class Lost(NamedTuple):
    """A stream whose lease had expired when the janitor checked."""

    partition: int
    member: str  # of the sorted set `live`: "call_id stream_id"
    now_ms: int  # the time of the check, by the server's clock


@dataclass(slots=True)
class Watch:
    """How long a partition has been watched without interruption, by its server's clock."""

    since_ms: int = 0
    last_ms: int = 0

    def note_check(self, now_ms: int, lease_ms: int) -> bool:
        """Record a check; return whether running gateways have had time to renew all leases."""
        longest_ms = lease_ms * _MAX_CHECK_INTERVALS // _CHECKS_PER_LEASE
        if not 0 <= now_ms - self.last_ms <= longest_ms:
            self.since_ms = now_ms
        self.last_ms = now_ms
        return self.is_long_enough(lease_ms)

    def is_long_enough(self, lease_ms: int) -> bool:
        """Return whether the partition has been watched for a whole lease."""
        return self.last_ms - self.since_ms >= lease_ms


class Janitor:
    """Checks the leases of all partitions periodically, and closes lost streams.

    Args:
        store: the Redis operations.
        gateway: the gateway name in the events that it writes.
        partitions: the number of partitions, fixed at installation.
        lease_s: the longest lease of the gateways, in seconds.
        retention_s: how long a call's events are kept after the last one, in seconds.
        metrics: receives the results.
    """

    def __init__(
        self,
        store: LeaseStore,
        *,
        gateway: str,
        partitions: int,
        lease_s: float,
        retention_s: int,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._partitions = partitions
        self._lease_ms = round(lease_s * 1000)
        self._retention_s = retention_s
        self._metrics = metrics
        self._watches = [Watch() for _ in range(partitions)]
        self._unavailable: set[int] = set()  # partitions whose last check failed
        self._closing: set[str] = set()

    async def run(self) -> None:
        """Check all partitions and close lost streams, until cancelled."""
        turns = asyncio.Semaphore(_CONCURRENT_CLOSES)
        async with asyncio.TaskGroup() as group:
            # A task per partition: timeouts of one node must not delay the checks at other nodes.
            for partition in range(self._partitions):
                group.create_task(self._watch_over(partition, group, turns))

    async def _watch_over(
        self, partition: int, group: asyncio.TaskGroup, turns: asyncio.Semaphore
    ) -> None:
        while True:
            # Checks continue while streams are closed, because reading a long call takes time.
            for lost in await self.find_lost(partition):
                if lost.member not in self._closing:
                    self._closing.add(lost.member)
                    group.create_task(self._close_in_turn(lost, turns))
            await asyncio.sleep(self._lease_ms / 1000 / _CHECKS_PER_LEASE)

    async def find_lost(self, partition: int) -> list[Lost]:
        """Check a partition; return its lost streams, or none if the check fails."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                now_ms, members = await self._store.lapsed(partition, _STREAMS_PER_CHECK)
        except Exception as error:  # noqa: BLE001 - the other partitions must be watched
            self._count(error)
            self._set_unavailable(self._unavailable | {partition})
            self._watches[partition] = Watch()
            return []
        self._set_unavailable(self._unavailable - {partition})
        is_long_enough = self._watches[partition].note_check(now_ms, self._lease_ms)
        watched = sum(watch.is_long_enough(self._lease_ms) for watch in self._watches)
        self._metrics.watched_partitions.set(watched)
        return [Lost(partition, member, now_ms) for member in members] if is_long_enough else []

    def _set_unavailable(self, partitions: set[int]) -> None:
        if bool(partitions) != bool(self._unavailable):
            _log.warning("redis-unavailable" if partitions else "redis-back")
        self._unavailable = partitions

    async def _close_in_turn(self, lost: Lost, turns: asyncio.Semaphore) -> None:
        try:
            async with turns:
                await self.close(lost)
        except Exception as error:  # noqa: BLE001 - the next check finds the stream again
            self._count(error)
        finally:
            self._closing.discard(lost.member)

    def _count(self, error: Exception) -> None:
        reason = "internal-error"
        if isinstance(error, PublishError):
            reason = error.reason
        elif isinstance(error, TimeoutError):
            reason = "redis-unavailable"
        else:  # without the message, which may quote call content
            _log.error("internal-error error=%s", type(error).__name__)
        self._metrics.errors_total.labels(reason).inc()

    async def close(self, lost: Lost) -> bool:
        """Write a lost stream's last event.

        Returns:
            True if it was written; False if the gateway renewed its lease or another janitor was
            first.

        Raises:
            PublishError: Redis is unavailable, or refused the event.
        """
        call_id, _, stream_id = lost.member.partition(" ")
        keys = keys_in(lost.partition, call_id)  # independent of WORKER_PARTITIONS
        epoch = await self._store.owner_epoch(keys.writers, stream_id)
        stream_ended = await self._summarize(keys.call, stream_id, epoch)
        stream_header = pack_stream(
            VERSION,
            call_id,
            stream_id,
            max(lost.now_ms, epoch + 1),
            self._gateway,
            self._lease_ms,
            self._retention_s,
            Limits().events_length,
            lost.now_ms,  # trims nothing by age: the gateways' retention may be longer
        )
        event = pack_event(flatten(stream_ended, lost.now_ms / 1000, 0))
        batch = pack_batch(1, [event], ends_stream=True, lapsed_at_ms=lost.now_ms)
        call = AppendCall(keys, stream_header, batch)
        (result,) = await self._store.append([call], _TIMEOUT_S)
        if isinstance(result, PublishError):
            raise result
        if result < 0:
            return False
        self._metrics.lost_streams_total.inc()
        _log.warning("stream-lost call_id=%s stream_id=%s", call_id, stream_id)
        return True

    async def _summarize(self, call_key: str, stream_id: str, epoch: int) -> StreamEnded:
        """Build the stream's `stream.ended` from the events that its gateway wrote.

        Entries that are not valid events are counted as errors and skipped.
        """
        epochs: defaultdict[int, _Sums] = defaultdict(_Sums)
        async for event in self._store.events(call_key):
            if event.get("stream_id") != stream_id:
                continue
            try:
                sums = epochs[int(event["epoch"])]
                sums.note(event)
                if resumed := event.get("resumes"):
                    sums.add(epochs[int(resumed)])
            except (KeyError, ValueError) as error:
                self._count(error)
        sums = epochs[epoch]
        return StreamEnded(
            Status.LOST, "gateway-lost", sums.duration_ms, sums.segments, sums.gap_ms
        )


@dataclass(slots=True)
class _Sums:
    """Totals of the events of one epoch, including those of the epochs that it resumes."""

    duration_ms: int = 0
    segments: int = 0
    gap_ms: int = 0

    def note(self, event: Mapping[str, str]) -> None:
        """Add an event; raises KeyError or ValueError if it is not valid."""
        kind, end_ms = event["type"], int(event.get("end_ms") or event.get("to_ms") or 0)
        gap_ms = end_ms - int(event["from_ms"]) if kind == "transcript.gap" else 0
        self.duration_ms = max(self.duration_ms, end_ms)
        self.segments += kind == "transcript.final"
        self.gap_ms += gap_ms

    def add(self, before: "_Sums") -> None:
        """Add the totals of an earlier epoch, which this one resumes."""
        self.duration_ms = max(self.duration_ms, before.duration_ms)
        self.segments += before.segments
        self.gap_ms += before.gap_ms
