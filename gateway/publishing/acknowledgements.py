"""What Redis's answers mean: written, refused for good, taken by another gateway, or none at all.

A batch that is done leaves the buffer or the spool, and its stream goes on with the next one. A
stream without an answer keeps its batch, unchanged, and waits.
"""

import asyncio
from typing import Protocol

import structlog

from gateway.errors import PublishError
from gateway.metrics import Metrics
from gateway.publishing.backlog import Batch
from gateway.publishing.buffer import Buffer
from gateway.publishing.event_store import FENCED, RESUMED
from gateway.publishing.overflow import Overflow, types_in
from gateway.publishing.spool.spool import Record
from gateway.publishing.stream_writer import StreamWriter
from gateway.publishing.streams import Streams

_log = structlog.get_logger()


class Flush(Protocol):
    """Has what is ready written: at once, or a moment later together with what comes until then."""

    def __call__(self, *, at_once: bool) -> None:
        """See to it; never waits."""


class Acknowledgements:
    """Settles batches, and the streams they are of.

    Args:
        streams: all that are open.
        buffer: where batches come from.
        overflow: where records come from.
        metrics: what became of the events.
        batch_events: of a full batch, after which there is more to write.
        flush: called when a stream has more to write.
    """

    def __init__(
        self,
        streams: Streams,
        buffer: Buffer,
        overflow: Overflow,
        metrics: Metrics,
        *,
        batch_events: int,
        flush: Flush,
    ) -> None:
        self._streams = streams
        self._buffer = buffer
        self._overflow = overflow
        self._metrics = metrics
        self._batch_events = batch_events
        self._flush = flush

    def acknowledge(
        self, writer: StreamWriter, batch: Batch, answer: int | PublishError, now_s: float
    ) -> None:
        """Process the reply to a batch, or to a lease renewal, of an open stream."""
        if writer not in self._streams:  # fenced, by what was written of it from the spool
            return
        self._streams.note_answer(writer)
        is_ours = batch is writer.backlog.sent  # else a renewal, or it went to the spool meanwhile
        if isinstance(answer, PublishError):
            self._metrics.redis_errors_total.labels(answer.reason).inc()
            if answer.info.retry:
                self._streams.hold(writer)
                return
            if is_ours:
                self._refuse(writer, batch, answer)
        elif answer == FENCED:
            self._fence(writer)
            return
        elif is_ours:
            self._acknowledge(writer, batch, self._written(writer.call_id, answer), now_s)
        else:
            self._written(writer.call_id, answer)
            writer.lease_renewed_at = now_s
        if is_ours:
            self._buffer.acknowledge(writer, batch)
            self.go_on(writer, at_once=len(batch) == self._batch_events)

    def acknowledge_record(self, record: Record, answer: int | PublishError, now_s: float) -> None:
        """Process the reply to a batch from the spool, whichever process wrote it."""
        writer = self._overflow.writer_of(record)
        if isinstance(answer, PublishError):
            self._metrics.redis_errors_total.labels(answer.reason).inc()
            if answer.info.retry:
                self._overflow.pass_over(record)
                return
            _log.error(answer.reason, code=answer.detail, events=record.events)
            self._buffer.count_dropped(types_in(record))
        elif answer == FENCED:
            self._buffer.count_dropped(types_in(record))
            if writer and writer in self._streams:
                self._fence(writer)
        else:
            self._written(writer.call_id if writer else None, answer)
            self._metrics.redis_events_total.inc(record.events)
        self._overflow.acknowledge(record)
        if writer:
            writer.lease_renewed_at = now_s
            self.go_on(writer, at_once=True)

    def go_on(self, writer: StreamWriter, *, at_once: bool = False) -> None:
        """Go on with a stream whose last batch is done."""
        if writer.spooled or writer not in self._streams:
            return
        if writer.backlog:
            self._streams.make_ready(writer)
            self._flush(at_once=at_once)
        elif writer.closed:
            self._streams.forget(writer)

    def _written(self, call_id: str | None, answer: int) -> int:
        """Return the last n written before a batch; count and log a resumed stream."""
        if answer > RESUMED:
            return answer
        self._metrics.redis_resumed_streams_total.inc()
        _log.warning("stream-resumed", call_id=call_id)
        return RESUMED - answer

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
        writer.lease_renewed_at = now_s
        self._metrics.redis_events_total.inc(len(batch))
        for received_at, received_s in zip(batch.received_at, batch.received_s, strict=True):
            self._metrics.transcript_latency_seconds.observe(now_s - received_at)
            self._metrics.publish_latency_seconds.observe(now_s - received_s)

    def _refuse(self, writer: StreamWriter, batch: Batch, error: PublishError) -> None:
        if not writer.refused:  # else a line per batch, as long as the call lasts
            _log.error(error.reason, call_id=writer.call_id, code=error.detail)
        writer.refused = True
        self._buffer.count_dropped(batch.types)

    def _fence(self, writer: StreamWriter) -> None:
        self._metrics.redis_errors_total.labels("fenced").inc()
        _log.warning("fenced", call_id=writer.call_id, stream_id=writer.stream_id)
        writer.closed = True
        self._buffer.drop(writer)
        self._streams.forget(writer)
        # Not called from here: what it raises is its owner's, not the other streams'.
        asyncio.get_running_loop().call_soon(writer.on_fenced)
