"""Writes all streams' events to Redis: one publisher per process, one exchange per flush.

    publish() ---> backlogs ---> flush: every 10 ms or 50 events, one script call per stream
    (never waits)   |  ^            |  ^
                    |  '-- held <---'  |  Redis did not answer: the same again, after a backoff
                    v                  |
                  spool ---------------'  past a bound of memory; the oldest first

Exactly once and in order: a stream has at most one batch on its way, a batch without an answer is
sent again unchanged, and the script skips what it has written (`append.lua`). With nothing to write
no timer runs, except the one that renews the leases of open streams.

A stream that Redis refuses loses that batch and nothing else; the hole in n shows it. While Redis
is away events are kept in memory and, past a bound, on disk; without room there some are dropped.

Here is what moves: taking, flushing, trying again, renewing leases. What waits for what is in
`streams.py`, who gets into memory in `buffer.py`, what waits on disk in `overflow.py`, what an
answer means in `acknowledgements.py`, how long to wait for Redis in `redis_backoff.py`.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence

import structlog

from gateway.metrics import Metrics
from gateway.publishing.acknowledgements import Acknowledgements
from gateway.publishing.backlog import Backlog, Batch
from gateway.publishing.buffer import Buffer
from gateway.publishing.event_store import AppendCall, EventStore
from gateway.publishing.overflow import Overflow
from gateway.publishing.redis_backoff import RedisBackoff
from gateway.publishing.spool.spool import Record, Spool
from gateway.publishing.stream_writer import Limits, StreamWriter
from gateway.publishing.streams import Streams
from gateway.publishing.timers import Timers
from gateway.transcript.encode import pack_batch, pack_stream, type_of
from gateway.transcript.events import VERSION, StreamEnded, TranscriptEvent
from gateway.transcript.keys import call_keys, encode_id

__all__ = ["Limits", "Publisher", "StreamWriter"]

_log = structlog.get_logger()

# Renews a lease and says nothing of n: events of the stream are still in the spool.
_RENEWAL = Batch(1, pack_batch(1, [], ends_stream=False), (), (), (), ends_stream=False)


class Publisher:
    """The process's way to Redis. Use as `async with`, or `start` and `close`.

    Args:
        store: where batches go.
        gateway: this process's id, in every event.
        metrics: where latencies, errors and losses are counted.
        partitions: fixed at installation, the same for every gateway.
        limits: sizes and times.
        spool: where events go that exceed memory; opened and closed here.
        jitter: spreads the tries of many gateways; guards nothing.
        clock: monotonic seconds, the clock of `TranscriptDelta.received_s`.
        wall: Unix seconds.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        gateway: str,
        metrics: Metrics,
        partitions: int = 64,
        limits: Limits | None = None,
        spool: Spool | None = None,
        jitter: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._metrics = metrics
        self._partitions = partitions
        self._limits = limits = limits or Limits()
        self._clock = clock
        self._wake = asyncio.Event()
        self._timers = Timers()
        self._streams = Streams()
        self._spool = spool
        self._overflow = Overflow(spool, partitions, wall)
        self._buffer = Buffer(
            limits,
            self._streams,
            self._overflow,
            metrics,
            on_spilled=self._wake.set,
            clock=clock,
            wall=wall,
        )
        self._acknowledgements = Acknowledgements(
            self._streams,
            self._buffer,
            self._overflow,
            metrics,
            batch_events=limits.batch_events,
            flush=self._flush,
        )
        self._outage = RedisBackoff(
            limits.backoff_first_s,
            limits.backoff_max_s,
            jitter or random.Random(),  # noqa: S311 - spreads load, guards nothing
        )
        self._fresh = 0  # events taken since the last flush
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        metrics.redis_buffered_events.set_function(lambda: self.buffered_events)
        metrics.redis_memory_events.set_function(lambda: self._buffer.events)
        metrics.redis_memory_events_limit.set(limits.buffered_events)
        metrics.redis_room_used_ratio.set_function(self.fullness)
        metrics.spool_bytes.set_function(lambda: spool.bytes if spool else 0)
        metrics.spool_limit_bytes.set(spool.max_bytes if spool else 0)

    async def __aenter__(self) -> "Publisher":
        """Start."""
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close, with the default time."""
        await self.close()

    def start(self) -> None:
        """Begin to write; events published before wait for it."""
        self._overflow.start()
        if self._overflow.has_next:
            self._wake.set()
        self._task = asyncio.create_task(self._run(), name="publisher")

    async def close(self, timeout_s: float = 5.0) -> None:
        """Write what is left and stop; what Redis does not take in time stays in the spool.

        What has no room there is dropped, and counted. Idempotent. Events published from now on are
        dropped.
        """
        self._closing = True
        self._resume()
        task, self._task = self._task, None
        if task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await task
        self._timers.stop_all()
        while self._buffer.events and self._buffer.spill():
            pass
        if kept := self._overflow.events:
            _log.warning("redis-events-spooled", events=kept)
        if lost := sum(self._buffer.drop(writer) for writer in self._streams):
            _log.error("redis-events-dropped", events=lost)
        self._streams.forget_all()
        self._overflow.close()

    def open_stream(
        self,
        call_id: str,
        stream_id: str,
        epoch: int,
        on_fenced: Callable[[], None],
        *,
        tenant: str,
        carrier: str,
    ) -> StreamWriter:
        """Return the writer of one stream.

        Args:
            call_id: the carrier's own, as it came; keys and fields hold it encoded (`encode_id`).
            stream_id: likewise.
            epoch: the proposed one, Unix ms, never the same twice in a process: with the gateway's
                id it names this ownership of the stream. Of two gateways the one that opened the
                stream last writes.
            on_fenced: called once, from the event loop, when another gateway has taken the stream.
                Its events are dropped from then on.
            tenant: whose call it is.
            carrier: whose id it is. The same id of another carrier or tenant is another call.
        """
        call_id, stream_id = encode_id(call_id), encode_id(stream_id)
        limits = self._limits
        now_s = self._clock()
        writer = StreamWriter(
            call_id=call_id,
            stream_id=stream_id,
            keys=call_keys(call_id, self._partitions),
            stream_header=pack_stream(
                VERSION,
                call_id,
                stream_id,
                epoch,
                self._gateway,
                round(limits.lease_s * 1000),
                limits.retention_s,
                limits.events_length,
                limits.events_age_s * 1000,
                tenant,
                carrier,
            ),
            backlog=Backlog(),
            on_fenced=on_fenced,
            take=self._take,
            opened_s=now_s,
            lease_renewed_at=now_s,
        )
        self._streams.open(writer)
        self._timers.after(limits.lease_s / 3, self._renew_leases)
        return writer

    @property
    def buffered_events(self) -> int:
        """Events taken that Redis has not acknowledged."""
        return self._buffer.events + self._overflow.events

    def open_streams(self) -> Sequence[StreamWriter]:
        """Return the writers of the streams that have not ended."""
        return list(self._streams)

    def outage(self) -> str:
        """Return why streams wait for Redis, empty if none does."""
        return self._outage.cause

    def fullness(self) -> float:
        """Return how much of the room for events that Redis has not taken is used, 0 to 1.

        That of the spool, or of memory while there is no spool that can be written.
        """
        spool = self._spool
        if spool and not spool.failing:
            return spool.bytes / spool.max_bytes
        return self._buffer.events / self._limits.buffered_events

    # Taking events

    def _take(self, writer: StreamWriter, event: TranscriptEvent) -> None:
        if writer.closed or self._closing:
            self._buffer.count_dropped([type_of(event)])
            return
        writer.closed = isinstance(event, StreamEnded)
        if self._buffer.add(writer, event) and self._streams.make_ready_unless_waiting(writer):
            self._fresh += 1
            self._flush(at_once=self._fresh >= self._limits.flush_events)

    def _flush(self, *, at_once: bool) -> None:
        if at_once:
            self._wake.set()
        else:
            self._timers.after(self._limits.flush_interval_s, self._wake.set)

    # Writing them

    async def _run(self) -> None:
        while not self._closing or self._streams.has_unwritten or self._has_overflow():
            await self._wake.wait()
            self._wake.clear()
            try:
                batches, room = self._next_batches()
                records = self._overflow.next(room)
                if batches or records:
                    await self._write(batches, records)
                else:
                    await asyncio.sleep(0)  # reading the spool alone must not keep the loop
                if self._overflow.has_next:
                    self._wake.set()
                if self._streams.has_held or self._overflow.is_waiting:
                    self._back_off()
                for writer in self._overflow.forget_damaged():
                    self._acknowledgements.go_on(writer)
            except Exception:  # noqa: BLE001 - a bug met on one stream must not silence them all
                self._metrics.redis_errors_total.labels("internal-error").inc()
                _log.exception("internal-error", where="publisher")
                self._streams.hold_unwritten()
                self._back_off()

    def _next_batches(self) -> tuple[list[tuple[StreamWriter, Batch]], int]:
        """Return what is to be written now, and how many more events fit."""
        self._timers.stop(self._wake.set)
        self._fresh = 0
        now_s = self._clock()
        room = self._limits.exchange_events
        batches = []
        for writer in self._streams.ready:
            if room <= 0:
                self._wake.set()
                break
            self._streams.unready(writer)
            if writer.spooled:
                batch = _RENEWAL
            else:
                batch = writer.backlog.batch(self._limits.batch_events, now_s)
            batches.append((writer, batch))
            room -= max(1, len(batch))
        return batches, room

    async def _write(
        self, batches: Sequence[tuple[StreamWriter, Batch]], records: Sequence[Record]
    ) -> None:
        started_s = self._clock()
        calls = [
            AppendCall(
                w.keys, w.stream_header, batch.payload, round((started_s - w.opened_s) * 1000)
            )
            for w, batch in batches
        ]
        calls += [self._overflow.call_of(record, started_s) for record in records]
        acknowledgements = await self._store.append(calls, self._limits.exchange_timeout_s)
        now_s = self._clock()
        self._metrics.redis_batch_seconds.observe(now_s - started_s)
        for (writer, batch), answer in zip(batches, acknowledgements[: len(batches)], strict=True):
            self._acknowledgements.acknowledge(writer, batch, answer, now_s)
        for record, answer in zip(records, acknowledgements[len(batches) :], strict=True):
            self._acknowledgements.acknowledge_record(record, answer, now_s)
        self._outage.note(
            acknowledgements,
            now_s,
            is_anything_waiting=self._streams.has_unanswered or self._overflow.is_waiting,
            buffered_events=self.buffered_events,
        )

    def _has_overflow(self) -> bool:
        return self._overflow.has_next or self._overflow.is_waiting

    # When Redis does not answer

    def _back_off(self) -> None:
        if self._resume not in self._timers:
            self._timers.after(self._outage.next_wait_s(), self._resume)

    def _resume(self) -> None:
        self._timers.stop(self._resume)
        self._streams.release_held()
        self._overflow.try_again()
        self._wake.set()

    # Leases

    def _renew_leases(self) -> None:
        """Renew leases: write an empty batch for each stream idle for a third of its lease."""
        self._timers.stop(self._renew_leases)
        third_s = self._limits.lease_s / 3
        self._streams.make_silent_ready(self._clock() - third_s)
        if self._streams.ready:
            self._wake.set()
        if self._streams:
            self._timers.after(third_s, self._renew_leases)
