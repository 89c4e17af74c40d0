"""Metrics and log lines of the publisher."""

from collections import Counter
from collections.abc import Iterable

import structlog

from gateway.errors import PublishError
from gateway.metrics import Metrics
from gateway.publishing.backlog import Batch, UnencodableEvent
from gateway.publishing.event_store import Outcome, Reply
from gateway.publishing.outbox import OutboxStream, ReplyEffect
from gateway.publishing.spool.overflow import types_in
from gateway.publishing.spool.spool import Record

_log = structlog.get_logger()


class PublishingReporter:
    """Counts and logs what happens to events."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def report_exchange(self, seconds: float) -> None:
        """Count an exchange with Redis."""
        self._metrics.redis_batch_seconds.observe(seconds)

    def report_reply(
        self, stream: OutboxStream, batch: Batch, reply: Reply, done: ReplyEffect, now_s: float
    ) -> None:
        """Report the reply to an open stream's batch or lease renewal."""
        if reply.error:
            self._report_error(reply.error)
        if reply.is_resumed:
            self._report_resumed(stream.call_id)
        if reply.outcome is Outcome.FENCED:
            self.report_fenced(stream)
        elif done.is_done and reply.error:
            if not stream.refused:  # else a line per batch, for as long as the call lasts
                _log_refused(reply.error, call_id=stream.call_id)
            stream.refused = True
        elif done.is_done:
            self._report_written(stream, batch, done.lost_events, now_s)
        self.report_dropped(done.dropped)
        self.report_unencodable(stream, done.unencodable)

    def _report_written(
        self, stream: OutboxStream, batch: Batch, lost_events: int, now_s: float
    ) -> None:
        if lost_events:  # a failover to a replica that lacked acknowledged events
            self._metrics.redis_errors_total.labels("redis-lost-writes").inc()
            _log.error("redis-lost-writes", call_id=stream.call_id, events=lost_events)
        self._metrics.redis_events_total.inc(len(batch))
        for received_s in batch.audio_received_s:
            self._metrics.transcript_latency_seconds.observe(now_s - received_s)
        for received_s in batch.delta_received_s:
            self._metrics.publish_latency_seconds.observe(now_s - received_s)

    def report_record(self, record: Record, reply: Reply, call_id: str | None) -> None:
        """Report the reply to a batch from the spool.

        Args:
            record: the batch.
            reply: Redis's.
            call_id: None if an earlier process spooled the batch.
        """
        if reply.error:
            self._report_error(reply.error)
        if reply.outcome is Outcome.UNKNOWN:
            return
        if reply.is_resumed:
            self._report_resumed(call_id)
        if reply.outcome is Outcome.WRITTEN:
            self._metrics.redis_events_total.inc(record.events)
            return
        if reply.error:
            _log_refused(reply.error, events=record.events)
        self.report_dropped(types_in(record))

    def _report_resumed(self, call_id: str | None) -> None:
        """Report that a stream continues which a janitor had closed."""
        self._metrics.redis_resumed_streams_total.inc()
        _log.warning("stream-resumed", call_id=call_id)

    def _report_error(self, error: PublishError) -> None:
        """Count an error that Redis returned, or a missing reply."""
        self._metrics.redis_errors_total.labels(error.reason).inc()

    def report_fenced(self, stream: OutboxStream) -> None:
        """Report that another gateway has taken a stream over."""
        self._metrics.redis_errors_total.labels("fenced").inc()
        _log.warning("fenced", call_id=stream.call_id, stream_id=stream.stream_id)

    def report_dropped(self, types: Iterable[str]) -> None:
        """Count dropped events, given their types."""
        for kind, count in Counter(types).items():
            self._metrics.redis_dropped_events_total.labels(kind).inc(count)

    def report_shed_deltas(self, count: int) -> None:
        """Count deltas that were dropped for lack of room; also none, which creates the metric."""
        self._metrics.redis_dropped_events_total.labels("transcript.delta").inc(count)

    def report_unencodable(self, stream: OutboxStream, event: UnencodableEvent | None) -> None:
        """Report an event that was dropped because it could not be packed, if there is one."""
        if event:
            self.report_dropped([event.type])
            _log.error("internal-error", call_id=stream.call_id, error=event.error)

    def report_bug(self) -> None:
        """Report an unexpected exception of the publisher, which is being handled."""
        self._metrics.redis_errors_total.labels("internal-error").inc()
        _log.exception("internal-error", where="publisher")

    def report_closed(self, spooled_events: int, dropped_types: Iterable[str]) -> None:
        """Report the events that were not written when the publisher closed."""
        if spooled_events:
            _log.warning("redis-events-spooled", events=spooled_events)
        if dropped := list(dropped_types):
            self.report_dropped(dropped)
            _log.error("redis-events-dropped", events=len(dropped))


def _log_refused(error: PublishError, **fields: str | int) -> None:
    """Log that a batch will never be written. Events of erased calls are expected."""
    log = _log.info if error.reason == "call-erased" else _log.error
    log(error.reason, code=error.detail, **fields)
