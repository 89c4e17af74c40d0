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
is away events are kept in memory and, past a bound, on disk (`overflow.py`). Without room there the
deltas are shed, because finals repeat their words; past a second bound everything is dropped.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import structlog

from gateway.errors import PublishError
from gateway.metrics import Metrics
from gateway.transcript.backlog import Backlog, Batch
from gateway.transcript.encode import pack_batch, pack_stream, type_of
from gateway.transcript.events import VERSION, StreamEnded, TranscriptDelta, TranscriptEvent
from gateway.transcript.keys import call_keys, encode_id
from gateway.transcript.overflow import Overflow, types_in
from gateway.transcript.spool import Record, Spool
from gateway.transcript.store import FENCED, AppendCall, EventStore
from gateway.transcript.writers import Limits, StreamWriter

__all__ = ["Limits", "Publisher", "StreamWriter"]

_log = structlog.get_logger()

# Renews a lease and says nothing of n: events of the stream are still in the spool.
_RENEWAL = Batch(1, pack_batch(1, [], ends_stream=False), (), (), ends_stream=False)


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
        self._limits = limits or Limits()
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._clock = clock
        self._wall = wall
        self._overflow = Overflow(spool, partitions)
        self._open: dict[StreamWriter, None] = {}  # in the order of their opening
        self._ready: dict[StreamWriter, None] = {}  # have something to write, in order
        self._held: dict[StreamWriter, None] = {}  # had no answer; wait for the backoff
        self._buffered = 0
        self._full_until_s = 0.0  # no room was found anywhere
        self._fresh = 0  # events taken since the last flush
        self._unanswered: dict[StreamWriter, None] = {}  # held, or tried again and not yet answered
        self._backoffs = 0  # since all had their answers
        self._away_since_s: float | None = None
        self._wake = asyncio.Event()
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        metrics.redis_buffered_events.set_function(lambda: self.buffered_events)
        metrics.spool_bytes.set_function(lambda: spool.bytes if spool else 0)

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
        for timer in self._timers.values():
            timer.cancel()
        while self._buffered and self._spill():
            pass
        if kept := self._overflow.events:
            _log.warning("redis-events-spooled", events=kept)
        if lost := sum(self._abandon(writer) for writer in [*self._open]):
            _log.error("redis-events-dropped", events=lost)
        self._overflow.close()

    def open_stream(
        self, call_id: str, stream_id: str, epoch: int, on_fenced: Callable[[], None]
    ) -> StreamWriter:
        """Give the writer of one stream.

        Args:
            call_id: the carrier's own, as it came; keys and fields hold it encoded (`encode_id`).
            stream_id: likewise.
            epoch: this gateway's ownership of the stream, Unix ms; the highest one writes.
            on_fenced: called once, from the event loop, when a higher epoch owns the stream. Its
                events are dropped from then on.
        """
        call_id, stream_id = encode_id(call_id), encode_id(stream_id)
        limits = self._limits
        writer = StreamWriter(
            call_id=call_id,
            stream_id=stream_id,
            keys=call_keys(call_id, self._partitions),
            constants=pack_stream(
                VERSION,
                call_id,
                stream_id,
                epoch,
                self._gateway,
                round(limits.lease_s * 1000),
                limits.retention_s,
                limits.events_length,
                limits.events_age_s * 1000,
            ),
            backlog=Backlog(),
            on_fenced=on_fenced,
            take=self._take,
            signed_at_s=self._clock(),
        )
        self._open[writer] = None
        self._after(limits.lease_s / 3, self._renew_leases)
        return writer

    @property
    def buffered_events(self) -> int:
        """Events taken that Redis has not acknowledged."""
        return self._buffered + self._overflow.events

    # Taking events

    def _take(self, writer: StreamWriter, event: TranscriptEvent) -> None:
        is_delta = isinstance(event, TranscriptDelta)
        if writer.closed or self._closing:
            self._count_dropped([type_of(event)])
            return
        writer.closed = isinstance(event, StreamEnded)
        # The end always has room: without it the janitor would declare the stream lost.
        if not self._has_room(is_delta=is_delta) and not writer.closed:
            self._count_dropped([type_of(event)])
            if not is_delta:
                writer.backlog.lose()
            return
        writer.backlog.take(event, self._wall())
        self._buffered += 1
        if writer not in self._held and not writer.spooled:
            self._fresh += 1
            self._make_ready(writer, at_once=self._fresh >= self._limits.flush_events)

    def _make_ready(self, writer: StreamWriter, *, at_once: bool) -> None:
        self._ready[writer] = None
        if at_once:
            self._wake.set()
        else:
            self._after(self._limits.flush_interval_s, self._wake.set)

    def _has_room(self, *, is_delta: bool) -> bool:
        if self._buffered < self._limits.buffered_events:
            return True
        now_s = self._clock()
        if now_s >= self._full_until_s:  # else with each event: both look at all streams
            if self._spill():
                return True
            self._shed_deltas()
            self._full_until_s = now_s + self._limits.full_s
        limits = self._limits
        return self._buffered < (
            limits.buffered_events if is_delta else limits.buffered_events_hard
        )

    def _shed_deltas(self) -> None:
        shed = sum(writer.backlog.shed_deltas() for writer in self._open)
        self._buffered -= shed
        self._metrics.redis_dropped_events_total.labels("transcript.delta").inc(shed)

    def _spill(self) -> int:
        """Move some events from memory to the spool; say how many."""
        moved = 0
        # First those known to wait: the others may be written any moment.
        for writer in sorted(self._open, key=lambda w: not (w.spooled or w in self._held)):
            while writer.backlog and moved < self._limits.spill_events:
                batch = writer.backlog.batch(self._limits.batch_events, self._clock())
                if len(batch) and not self._overflow.take(writer, batch):
                    return moved
                moved += len(batch)
                self._settle_backlog(writer, batch)
                self._ready.pop(writer, None)
        if not self._held:
            self._wake.set()
        return moved

    # Writing them

    async def _run(self) -> None:
        while not self._closing or self._ready or self._held or self._has_overflow():
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
                if self._held or self._overflow.is_waiting:
                    self._back_off()
                for writer in self._overflow.forget_damaged():
                    self._continue(writer)
            except Exception:  # noqa: BLE001 - a bug met on one stream must not silence them all
                self._metrics.redis_errors_total.labels("internal-error").inc()
                _log.exception("internal-error", where="publisher")
                self._held.update((writer, None) for writer in self._open if writer.backlog)
                self._back_off()

    def _next_batches(self) -> tuple[list[tuple[StreamWriter, Batch]], int]:
        """Give what is to be written now, and how many events have room beside it."""
        self._stop(self._wake.set)
        self._fresh = 0
        now_s = self._clock()
        room = self._limits.exchange_events
        batches = []
        for writer in list(self._ready):
            if room <= 0:
                self._wake.set()
                break
            del self._ready[writer]
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
        calls: list[AppendCall] = [(w.keys, w.constants, batch.payload) for w, batch in batches]
        calls += [(self._overflow.keys_of(r), r.constants, r.payload) for r in records]
        answers = await self._store.append(calls, self._limits.exchange_timeout_s)
        now_s = self._clock()
        self._metrics.redis_batch_seconds.observe(now_s - started_s)
        for (writer, batch), answer in zip(batches, answers[: len(batches)], strict=True):
            self._settle(writer, batch, answer, now_s)
        for record, answer in zip(records, answers[len(batches) :], strict=True):
            self._settle_record(record, answer, now_s)
        self._note_health(answers, now_s)

    def _settle(
        self, writer: StreamWriter, batch: Batch, answer: int | PublishError, now_s: float
    ) -> None:
        if writer not in self._open:  # fenced, by what was written of it from the spool
            return
        self._unanswered.pop(writer, None)
        is_ours = batch is writer.backlog.sent  # else a renewal, or it went to the spool meanwhile
        if isinstance(answer, PublishError):
            self._metrics.redis_errors_total.labels(answer.reason).inc()
            if answer.meaning.retry:
                self._ready.pop(writer, None)
                self._held[writer] = self._unanswered[writer] = None
                return
            if is_ours:
                self._refuse(writer, batch, answer)
        elif answer == FENCED:
            self._fence(writer)
            return
        elif is_ours:
            self._acknowledge(writer, batch, answer, now_s)
        else:
            writer.signed_at_s = now_s
        if is_ours:
            self._settle_backlog(writer, batch)
            self._continue(writer, at_once=len(batch) == self._limits.batch_events)

    def _settle_backlog(self, writer: StreamWriter, batch: Batch) -> None:
        writer.backlog.settle()
        self._buffered -= len(batch)
        if spoiled := batch.spoiled:
            self._buffered -= 1
            self._count_dropped([spoiled.type])
            _log.error("internal-error", call_id=writer.call_id, error=spoiled.error)

    def _continue(self, writer: StreamWriter, *, at_once: bool = False) -> None:
        """Go on with a stream whose last batch is done."""
        if writer.spooled or writer not in self._open:
            return
        if writer.backlog:
            self._make_ready(writer, at_once=at_once)
        elif writer.closed:
            self._forget(writer)

    def _settle_record(self, record: Record, answer: int | PublishError, now_s: float) -> None:
        writer = self._overflow.writer_of(record)
        if isinstance(answer, PublishError):
            self._metrics.redis_errors_total.labels(answer.reason).inc()
            if answer.meaning.retry:
                self._overflow.pass_over(record)
                return
            _log.error(answer.reason, code=answer.detail, events=record.events)
            self._count_dropped(types_in(record))
        elif answer == FENCED:
            self._count_dropped(types_in(record))
            if writer in self._open:
                self._fence(writer)
        else:
            self._metrics.redis_events_total.inc(record.events)
        self._overflow.settle(record)
        if writer:
            writer.signed_at_s = now_s
            self._continue(writer, at_once=True)

    def _has_overflow(self) -> bool:
        return self._overflow.has_next or self._overflow.is_waiting

    def _acknowledge(
        self, writer: StreamWriter, batch: Batch, written_n: int, now_s: float
    ) -> None:
        if written_n < writer.acknowledged_n:  # a failover to a replica that was behind
            self._metrics.redis_errors_total.labels("redis-lost-writes").inc()
            _log.error(
                "redis-lost-writes",
                call_id=writer.call_id,
                events=writer.acknowledged_n - written_n,
            )
        writer.acknowledged_n = batch.last_n
        writer.signed_at_s = now_s
        self._metrics.redis_events_total.inc(len(batch))
        for received_s in batch.received_s:
            self._metrics.publish_latency_seconds.observe(now_s - received_s)

    def _refuse(self, writer: StreamWriter, batch: Batch, error: PublishError) -> None:
        if not writer.refused:  # else a line per batch, as long as the call lasts
            _log.error(error.reason, call_id=writer.call_id, code=error.detail)
        writer.refused = True
        self._count_dropped(batch.types)

    def _fence(self, writer: StreamWriter) -> None:
        self._metrics.redis_errors_total.labels("fenced").inc()
        _log.warning("fenced", call_id=writer.call_id, stream_id=writer.stream_id)
        writer.closed = True
        self._abandon(writer)
        # Not called from here: what it raises is its owner's, not the other streams'.
        asyncio.get_running_loop().call_soon(writer.on_fenced)

    # When Redis does not answer

    def _note_health(self, answers: Sequence[int | PublishError], now_s: float) -> None:
        errors = [a for a in answers if isinstance(a, PublishError) and a.meaning.retry]
        if errors and self._away_since_s is None:
            self._away_since_s = now_s
            _log.warning(errors[0].reason, error=errors[0].detail, streams=len(errors))
        if errors or self._held or self._unanswered or self._overflow.is_waiting:
            return
        self._backoffs = 0
        if self._away_since_s is not None:
            away_s = now_s - self._away_since_s
            _log.info("redis-back", away_ms=round(away_s * 1000), buffered=self.buffered_events)
            self._away_since_s = None

    def _back_off(self) -> None:
        """Wait, exponentially; half of it is jitter, so that gateways do not come as one."""
        if self._resume in self._timers:
            return
        doubled = self._limits.backoff_first_s * 2.0 ** min(self._backoffs, 16)
        longest = min(self._limits.backoff_max_s, doubled)
        self._backoffs += 1
        self._after(longest * self._jitter.uniform(0.5, 1.0), self._resume)

    def _resume(self) -> None:
        self._stop(self._resume)
        self._ready.update(self._held)
        self._held.clear()
        self._overflow.try_again()
        self._wake.set()

    # Leases

    def _renew_leases(self) -> None:
        """Have each stream that was silent for a third of its lease write an empty batch."""
        self._stop(self._renew_leases)
        third_s = self._limits.lease_s / 3
        silent_since_s = self._clock() - third_s
        for writer in self._open:
            if writer.signed_at_s <= silent_since_s and writer not in self._held:
                self._ready[writer] = None
        if self._ready:
            self._wake.set()
        if self._open:
            self._after(third_s, self._renew_leases)

    # Dropping

    def _abandon(self, writer: StreamWriter) -> int:
        """Forget a stream and drop what it has not written; give the number of events."""
        types = writer.backlog.clear()
        self._count_dropped(types)
        self._buffered -= len(types)
        self._forget(writer)
        return len(types)

    def _forget(self, writer: StreamWriter) -> None:
        self._open.pop(writer, None)
        self._ready.pop(writer, None)
        self._held.pop(writer, None)
        self._unanswered.pop(writer, None)

    def _count_dropped(self, types: Iterable[str]) -> None:
        for kind, count in Counter(types).items():
            self._metrics.redis_dropped_events_total.labels(kind).inc(count)

    # Timers: at most one per purpose

    def _after(self, delay_s: float, callback: Callable[[], None]) -> None:
        if callback not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[callback] = loop.call_later(delay_s, callback)

    def _stop(self, callback: Callable[[], None]) -> None:
        if timer := self._timers.pop(callback, None):
            timer.cancel()
