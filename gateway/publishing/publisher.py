"""Writes the events of all streams to Redis: one publisher per process, one exchange per flush.

    publish() ---> outbox ---> flush: every 10 ms or 50 events, one script call per stream
    (never waits)  |  ^          |  ^
                   |  '-- held <-'  |  no reply from Redis: the same batch again, after a backoff
                   v                |
                 spool -------------'  beyond the limit of memory, oldest first

Each event is written once and in order: a stream has at most one batch in flight, a batch without a
reply is sent again unchanged, and the script skips what it has written before (`append.lua`). With
nothing to write no timer runs, except the one that renews the leases of open streams.

If Redis refuses a batch, that batch is lost and nothing else; the hole in n shows it. While Redis
is unavailable, events stay in memory and, beyond a limit, on disk. Without room there, some are
dropped.

This module does the I/O: it accepts events, flushes, retries and renews leases. The state of the
streams is in `outbox.py`, of the batches on disk in `spool/overflow.py`.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence

from gateway.metrics import Metrics
from gateway.publishing.backlog import Backlog, Batch
from gateway.publishing.event_store import AppendCall, EventStore, Outcome, Reply
from gateway.publishing.outbox import Limits, Outbox, OutboxStream
from gateway.publishing.reporting import PublishingReporter
from gateway.publishing.spool.overflow import Overflow
from gateway.publishing.spool.spool import Record, Spool
from gateway.publishing.timing import RedisBackoff, Timers
from gateway.transcript.encode import pack_batch, pack_stream, type_of
from gateway.transcript.events import VERSION, StreamEnded, TranscriptEvent
from gateway.transcript.keys import call_keys, encode_id

# Renews a lease and has no n: events of the stream are still in the spool.
_RENEWAL = Batch(1, pack_batch(1, [], ends_stream=False), (), (), (), ends_stream=False)


class StreamWriter:
    """Publishes the events of one stream. Implements `EventWriter`.

    Attributes:
        stream: its state in the outbox.
    """

    __slots__ = ("_accept", "stream")

    def __init__(
        self, stream: OutboxStream, accept: Callable[[OutboxStream, TranscriptEvent], None]
    ) -> None:
        self.stream = stream
        self._accept = accept

    def publish(self, event: TranscriptEvent) -> None:
        """Queue one event, in order, without waiting. Events after the end are dropped."""
        self._accept(self.stream, event)


class Publisher:
    """Writes events to Redis. Use it as `async with`, or call `start` and `close`.

    Args:
        store: where batches go.
        gateway: this process's id, in every event.
        metrics: where latencies, errors and losses are counted.
        partitions: fixed at installation, the same for every gateway.
        limits: sizes and times.
        spool: where events go that exceed memory; opened and closed here.
        jitter: spreads the retries of many gateways.
        clock: monotonic seconds, the clock of `TranscriptDelta.delta_received_s`.
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
        self._partitions = partitions
        self._limits = limits = limits or Limits()
        self._clock = clock
        self._wall = wall
        self._wake = asyncio.Event()
        self._timers = Timers()
        self._outbox = Outbox(limits)
        self._spool = spool
        self._overflow = Overflow(spool, partitions, wall)
        self._reporter = PublishingReporter(metrics)
        self._backoff = RedisBackoff(
            limits.backoff_first_s,
            limits.backoff_max_s,
            jitter or random.Random(),  # noqa: S311 - spreads load, protects nothing
        )
        self._fresh = 0  # events accepted since the last flush
        self._full_until_s = 0.0  # no room was found anywhere
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        metrics.redis_buffered_events.set_function(lambda: self.buffered_events)
        metrics.redis_memory_events.set_function(lambda: self._outbox.events)
        metrics.redis_memory_events_limit.set(limits.buffered_events)
        metrics.redis_room_used_ratio.set_function(self.fullness)
        metrics.spool_bytes.set_function(lambda: spool.bytes if spool else 0)
        metrics.spool_limit_bytes.set(spool.max_bytes if spool else 0)

    async def __aenter__(self) -> "Publisher":
        """Start."""
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close, with the default timeout."""
        await self.close()

    def start(self) -> None:
        """Start writing, beginning with any events that are already queued."""
        self._overflow.start()
        if self._overflow.has_next:
            self._wake.set()
        self._task = asyncio.create_task(self._run(), name="publisher")

    async def close(self, timeout_s: float = 5.0) -> None:
        """Write the remaining events and stop. Idempotent.

        Events that are not written in time stay in the spool. Without room there they are dropped
        and counted, and so are events published from now on.
        """
        self._closing = True
        self._retry()
        task, self._task = self._task, None
        if task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await task
        self._timers.stop_all()
        while self._outbox.events and self._spill():
            pass
        spooled_events = self._overflow.events
        dropped = [kind for stream in list(self._outbox) for kind in self._outbox.close(stream)]
        self._reporter.report_closed(spooled_events, dropped)
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
            call_id: the carrier's id; keys and fields contain it encoded (`encode_id`).
            stream_id: likewise.
            epoch: the proposed one, Unix ms, unique in this process. With the gateway's id it names
                this ownership of the stream. Of two gateways, the one that opened the stream last
                writes.
            on_fenced: called once, from the event loop, when another gateway has taken the stream
                over. Its events are dropped from then on.
            tenant: who owns the call.
            carrier: whose id `call_id` is. The same id of another carrier or tenant is another
                call.
        """
        call_id, stream_id = encode_id(call_id), encode_id(stream_id)
        limits = self._limits
        now_s = self._clock()
        stream = OutboxStream(
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
            on_fenced=on_fenced,
            opened_s=now_s,
            lease_renewed_at=now_s,
            backlog=Backlog(),
        )
        self._outbox.open(stream)
        self._timers.after(limits.lease_s / 3, self._renew_leases)
        return StreamWriter(stream, self.accept)

    @property
    def buffered_events(self) -> int:
        """Number of events that Redis has not acknowledged."""
        return self._outbox.events + self._overflow.events

    def open_streams(self) -> Sequence[OutboxStream]:
        """Return the streams that have not ended."""
        return list(self._outbox)

    def outage(self) -> str:
        """Return why streams wait for Redis; empty if none does."""
        return self._backoff.cause

    def fullness(self) -> float:
        """Return the used share, 0 to 1, of the room for events that Redis has not acknowledged.

        That is the spool, or memory if there is no spool or it can't be written.
        """
        spool = self._spool
        if spool and not spool.failing:
            return spool.bytes / spool.max_bytes
        return self._outbox.events / self._limits.buffered_events

    # Accepting events

    def accept(self, stream: OutboxStream, event: TranscriptEvent) -> None:
        """Queue an event; drop it if the stream or the publisher is closed, or there is no room."""
        if stream.closed or self._closing:
            self._reporter.report_dropped([type_of(event)])
            return
        stream.closed = isinstance(event, StreamEnded)
        outbox = self._outbox
        if outbox.is_full and not (self._make_room() or outbox.admits(event)):
            outbox.reject(stream, event)
            self._reporter.report_dropped([type_of(event)])
        elif outbox.add(stream, event, self._wall()):
            self._fresh += 1
            self._schedule_flush(at_once=self._fresh >= self._limits.flush_events)

    def _make_room(self) -> bool:
        """Spool some events, or drop deltas. Return whether events were spooled."""
        now_s = self._clock()
        if now_s < self._full_until_s:  # not for each event: both examine all streams
            return False
        if self._spill():
            return True
        self._reporter.report_shed_deltas(self._outbox.shed_deltas())
        self._full_until_s = now_s + self._limits.full_s
        return False

    def _spill(self) -> int:
        """Move some events to the spool; return their number."""
        moved = 0
        for stream in self._outbox.spill_order():
            while stream.backlog and moved < self._limits.spill_events:
                batch = self._outbox.next_batch(stream, self._clock())
                if len(batch) and not self._overflow.spill(stream, batch):
                    return moved
                moved += len(batch)
                self._outbox.mark_in_flight(stream)
                self._outbox.remove_batch(stream, batch)
                self._reporter.report_unencodable(stream, batch.unencodable)
        if not self._outbox.has_held:
            self._wake.set()
        return moved

    def _schedule_flush(self, *, at_once: bool) -> None:
        """Wake the writer: now, or in 10 ms, when more events may have been added."""
        if at_once:
            self._wake.set()
        else:
            self._timers.after(self._limits.flush_interval_s, self._wake.set)

    # Writing them

    async def _run(self) -> None:
        while not self._closing or self._outbox.has_unsent or self._has_overflow():
            await self._wake.wait()
            self._wake.clear()
            try:
                batches, room = self._take_batches()
                records = self._overflow.next(room)
                if batches or records:
                    await self._write(batches, records)
                else:
                    await asyncio.sleep(0)  # reading the spool must not block the event loop
                if self._overflow.has_next:
                    self._wake.set()
                if self._outbox.has_held or self._overflow.is_waiting:
                    self._back_off()
                for stream in self._overflow.release_damaged():
                    self._continue(stream, at_once=False)
            except Exception:  # noqa: BLE001 - a bug that one stream triggers must not stop all
                self._reporter.report_bug()
                self._outbox.hold_all()
                self._back_off()

    def _take_batches(self) -> tuple[list[tuple[OutboxStream, Batch]], int]:
        """Mark the ready streams' batches as in flight, and reset the flush timer.

        Returns:
            The batches, and the number of events that still fit.
        """
        self._timers.stop(self._wake.set)
        self._fresh = 0
        now_s = self._clock()
        room = self._limits.exchange_events
        batches = []
        for stream in self._outbox.ready:
            if room <= 0:
                self._wake.set()
                break
            self._outbox.mark_in_flight(stream)
            batch = _RENEWAL if stream.spooled else self._outbox.next_batch(stream, now_s)
            batches.append((stream, batch))
            room -= max(1, len(batch))
        return batches, room

    async def _write(
        self, batches: Sequence[tuple[OutboxStream, Batch]], records: Sequence[Record]
    ) -> None:
        started_s = self._clock()
        calls = [
            AppendCall(
                w.keys, w.stream_header, batch.payload, round((started_s - w.opened_s) * 1000)
            )
            for w, batch in batches
        ]
        calls += [self._overflow.call_of(record, started_s) for record in records]
        replies = await self._store.append(calls, self._limits.exchange_timeout_s)
        now_s = self._clock()
        self._reporter.report_exchange(now_s - started_s)
        for (stream, batch), reply in zip(batches, replies[: len(batches)], strict=True):
            self._process_reply(stream, batch, Reply.of(reply), now_s)
        for record, reply in zip(records, replies[len(batches) :], strict=True):
            self._process_record_reply(record, Reply.of(reply), now_s)
        self._backoff.note(
            replies,
            now_s,
            is_anything_waiting=self._outbox.has_unanswered or self._overflow.is_waiting,
            buffered_events=self.buffered_events,
        )

    def _has_overflow(self) -> bool:
        return self._overflow.has_next or self._overflow.is_waiting

    # Replies

    def _process_reply(
        self, stream: OutboxStream, batch: Batch, reply: Reply, now_s: float
    ) -> None:
        """Process the reply to a stream's batch or lease renewal."""
        if stream not in self._outbox:  # fenced by the reply to a batch from the spool
            return
        done = self._outbox.process_reply(stream, batch, reply, now_s)
        self._reporter.report_reply(stream, batch, reply, done, now_s)
        if reply.outcome is Outcome.FENCED:
            self._schedule_fenced(stream)
        if done.has_more:
            self._schedule_flush(at_once=len(batch) == self._limits.batch_events)

    def _process_record_reply(self, record: Record, reply: Reply, now_s: float) -> None:
        """Process the reply to a batch from the spool, of this process or an earlier one."""
        stream = self._overflow.stream_of(record)
        self._reporter.report_record(record, reply, stream.call_id if stream else None)
        if reply.outcome is Outcome.UNKNOWN:
            self._overflow.hold(record)
            return
        if reply.outcome is Outcome.FENCED and stream and stream in self._outbox:
            self._reporter.report_dropped(self._outbox.close(stream))
            self._reporter.report_fenced(stream)
            self._schedule_fenced(stream)
        self._overflow.acknowledge(record)
        if stream:
            stream.lease_renewed_at = now_s
            self._continue(stream, at_once=True)

    def _continue(self, stream: OutboxStream, *, at_once: bool) -> None:
        """Flush the rest of a stream whose batches in the spool are done."""
        if self._outbox.schedule_rest(stream):
            self._schedule_flush(at_once=at_once)

    def _schedule_fenced(self, stream: OutboxStream) -> None:
        # Scheduled, not called: an exception in it must not affect the other streams.
        asyncio.get_running_loop().call_soon(stream.on_fenced)

    # Retries

    def _back_off(self) -> None:
        if self._retry not in self._timers:
            self._timers.after(self._backoff.next_wait_s(), self._retry)

    def _retry(self) -> None:
        self._timers.stop(self._retry)
        self._outbox.retry_held()
        self._overflow.retry_held()
        self._wake.set()

    # Leases

    def _renew_leases(self) -> None:
        """Renew leases: write an empty batch for each stream idle for a third of its lease."""
        self._timers.stop(self._renew_leases)
        third_s = self._limits.lease_s / 3
        self._outbox.schedule_renewals(self._clock() - third_s)
        if self._outbox.ready:
            self._wake.set()
        if self._outbox:
            self._timers.after(third_s, self._renew_leases)
