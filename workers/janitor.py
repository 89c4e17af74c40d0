"""Closes the streams of gateways that died: `stream.ended`, status `lost`.

A gateway renews the lease of each of its streams at least every two thirds of it. A lease that has
lapsed means a dead gateway only if it could have been renewed: not right after Redis was away or
refused writes, for then all have lapsed. So a partition is watched for a whole lease before
anything in it is declared lost. Each look begins with a write, which Redis refuses whenever it
refuses a renewal. The watch begins anew whenever a look fails, or two looks are too far apart by
the server's clock: Redis was restarted or frozen, its clock was set, or the janitor was held up.

Whether a lease has lapsed is decided once more by the script that writes (`append.lua`): a gateway
that renews at the last moment wins, and of several janitors one. The record is written at a higher
epoch. It closes the stream and takes it from nobody: a gateway that was only asleep resumes it.
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
from gateway.publishing.publisher import Limits
from gateway.transcript.encode import flatten, pack_batch, pack_event, pack_stream
from gateway.transcript.events import VERSION, Status, StreamEnded
from gateway.transcript.keys import keys_in

_log = logging.getLogger("workers.janitor")

_LOOKS_PER_LEASE: Final = 6
_WATCH_ENDS_AFTER_LOOKS: Final = 2  # this far apart: at least one had no answer
_STREAMS_PER_LOOK: Final = 500  # of one partition; a gateway's streams are spread over all of them
_CLOSED_AT_ONCE: Final = 8
_TIMEOUT_S: Final = 5.0


class LeaseStore(Protocol):
    """What the janitor asks of Redis: `redis_streams.py`. All may raise `PublishError`."""

    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
        """Return the server's Unix ms and the `call_id stream_id` whose lease has lapsed by then.

        Fails also while Redis refuses writes.
        """

    async def owner_epoch(self, writers_key: str, stream_id: str) -> int:
        """Return the epoch that owns a stream, or 0."""

    def events(self, call_key: str) -> AsyncIterator[Mapping[str, str]]:
        """Return the events of a call, in order."""

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append batches, as `append.lua` does."""


class Metrics:
    """What Prometheus sees of a janitor."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.lost_streams_total = Counter(
            "janitor_lost_streams_total",
            "Streams whose gateway died, closed by this janitor.",
            namespace="callscribe",
            registry=registry,
        )
        self.errors_total = Counter(
            "janitor_errors_total",
            "Looks and writes that failed, by reason.",
            ["reason"],
            namespace="callscribe",
            registry=registry,
        )
        self.watched_partitions = Gauge(
            "janitor_watched_partitions",
            "Partitions watched for a whole lease, so that lost streams in them are closed.",
            namespace="callscribe",
            registry=registry,
        )


class Lost(NamedTuple):
    """A stream whose lease had lapsed when the janitor looked."""

    partition: int
    member: str  # as it stands in `live`
    now_ms: int  # by the server's clock


@dataclass(slots=True)
class Watch:
    """How long a partition has been seen without a break, by its server's clock."""

    since_ms: int = 0
    last_ms: int = 0

    def look(self, now_ms: int, lease_ms: int) -> bool:
        """Note a look; tell whether every living gateway has had the time to renew its leases."""
        longest_ms = lease_ms * _WATCH_ENDS_AFTER_LOOKS // _LOOKS_PER_LEASE
        if not 0 <= now_ms - self.last_ms <= longest_ms:
            self.since_ms = now_ms
        self.last_ms = now_ms
        return self.is_long_enough(lease_ms)

    def is_long_enough(self, lease_ms: int) -> bool:
        """Return whether the partition has been watched for a whole lease."""
        return self.last_ms - self.since_ms >= lease_ms


class Janitor:
    """Looks at all partitions' leases, again and again.

    Args:
        store: where they are.
        gateway: the name in the events it writes.
        partitions: fixed at installation.
        lease_s: the gateways' longest lease.
        retention_s: how long a call's events are kept after its last one.
        metrics: what is counted.
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
        self._silent: set[int] = set()  # partitions that did not answer the last look
        self._closing: set[str] = set()

    async def run(self) -> None:
        """Look, and close what is lost, until cancelled."""
        turns = asyncio.Semaphore(_CLOSED_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            # Each by itself: a dead node's time-outs must not end the watch of the others.
            for partition in range(self._partitions):
                group.create_task(self._watch_over(partition, group, turns))

    async def _watch_over(
        self, partition: int, group: asyncio.TaskGroup, turns: asyncio.Semaphore
    ) -> None:
        while True:
            # Looks go on while streams are closed: a long call takes its time to read.
            for lost in await self.look(partition):
                if lost.member not in self._closing:
                    self._closing.add(lost.member)
                    group.create_task(self._close_in_turn(lost, turns))
            await asyncio.sleep(self._lease_ms / 1000 / _LOOKS_PER_LEASE)

    async def look(self, partition: int) -> list[Lost]:
        """Look at a partition; give its streams that are lost, none if Redis does not answer."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                now_ms, members = await self._store.lapsed(partition, _STREAMS_PER_LOOK)
        except Exception as error:  # noqa: BLE001 - whatever it was, the others must be watched
            self._count(error)
            self._note_silence(self._silent | {partition})
            self._watches[partition] = Watch()
            return []
        self._note_silence(self._silent - {partition})
        is_long_enough = self._watches[partition].look(now_ms, self._lease_ms)
        watched = sum(watch.is_long_enough(self._lease_ms) for watch in self._watches)
        self._metrics.watched_partitions.set(watched)
        return [Lost(partition, member, now_ms) for member in members] if is_long_enough else []

    def _note_silence(self, silent: set[int]) -> None:
        if bool(silent) != bool(self._silent):
            _log.warning("redis-unavailable" if silent else "redis-back")
        self._silent = silent

    async def _close_in_turn(self, lost: Lost, turns: asyncio.Semaphore) -> None:
        try:
            async with turns:
                await self.close(lost)
        except Exception as error:  # noqa: BLE001 - it is still there at the next look
            self._count(error)
        finally:
            self._closing.discard(lost.member)

    def _count(self, error: Exception) -> None:
        reason = "internal-error"
        if isinstance(error, PublishError):
            reason = error.reason
        elif isinstance(error, TimeoutError):
            reason = "redis-unavailable"
        else:  # without its message, which may quote what is in Redis
            _log.error("internal-error error=%s", type(error).__name__)
        self._metrics.errors_total.labels(reason).inc()

    async def close(self, lost: Lost) -> bool:
        """Write a lost stream's last event; False if its gateway or another janitor came first.

        Raises:
            PublishError: Redis does not answer, or refuses it.
        """
        call_id, _, stream_id = lost.member.partition(" ")
        keys = keys_in(lost.partition, call_id)  # whatever number of partitions the gateways have
        epoch = await self._store.owner_epoch(keys.writers, stream_id)
        ending = await self._ending(keys.call, stream_id, epoch)
        stream_header = pack_stream(
            VERSION,
            call_id,
            stream_id,
            max(lost.now_ms, epoch + 1),
            self._gateway,
            self._lease_ms,
            self._retention_s,
            Limits().events_length,
            lost.now_ms,  # trims nothing by age: the gateways may keep events for longer than we
        )
        event = pack_event(flatten(ending, lost.now_ms / 1000, 0))
        batch = pack_batch(1, [event], ends_stream=True, if_lapsed=True)
        call = AppendCall(keys, stream_header, batch)
        (answer,) = await self._store.append([call], _TIMEOUT_S)
        if isinstance(answer, PublishError):
            raise answer
        if answer < 0:
            return False
        self._metrics.lost_streams_total.inc()
        _log.warning("stream-lost call_id=%s stream_id=%s", call_id, stream_id)
        return True

    async def _ending(self, call_key: str, stream_id: str, epoch: int) -> StreamEnded:
        """Sum up what the lost gateway wrote; skip entries that are no event of ours."""
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
    """What the events of one epoch say, with those of the epochs it resumes."""

    duration_ms: int = 0
    segments: int = 0
    gap_ms: int = 0

    def note(self, event: Mapping[str, str]) -> None:
        """Count an event; raises KeyError or ValueError if it is none."""
        kind, end_ms = event["type"], int(event.get("end_ms") or event.get("to_ms") or 0)
        gap_ms = end_ms - int(event["from_ms"]) if kind == "transcript.gap" else 0
        self.duration_ms = max(self.duration_ms, end_ms)
        self.segments += kind == "transcript.final"
        self.gap_ms += gap_ms

    def add(self, before: "_Sums") -> None:
        """Count what an earlier epoch of the same gateway's said."""
        self.duration_ms = max(self.duration_ms, before.duration_ms)
        self.segments += before.segments
        self.gap_ms += before.gap_ms
