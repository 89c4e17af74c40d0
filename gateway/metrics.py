"""All Prometheus metrics of the gateway.

`Metrics` is created once per process and passed to the components. The number of label values is
bounded: they are names of the product (carriers, statuses, reasons, causes) or of the operator
(endpoints, routes). Values chosen by a caller or a carrier are never labels.
"""

import asyncio
import platform
from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from common.version import version
from gateway.histogram import HistogramMetric

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# From speech to publication: mostly the model's delay and pace, plus about 10 ms of the gateway.
LATENCY_OF_WORDS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_SPEECH_S = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 30.0)


class Metrics:
    """All metrics of one gateway process, in a separate registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls: Tally[tuple[str, str]] = Tally()  # live streams of each call
        self._create_process()
        self._create_calls()
        self._create_media()
        self._create_admission()
        self._create_upstream()
        self._create_publishing()

    def note_stream_start(self, carrier: str, call_id: str) -> None:
        """Count a stream that its carrier announced, and its call if this is its first stream."""
        self.live_streams.labels(carrier).inc()
        self._calls[carrier, call_id] += 1
        if self._calls[carrier, call_id] == 1:
            self.live_calls.labels(carrier).inc()

    def note_stream_end(self, carrier: str, call_id: str, status: str, reason: str) -> None:
        """Count the end of a stream, and of its call if this was its last stream."""
        self.live_streams.labels(carrier).dec()
        self.streams_total.labels(carrier, status, reason).inc()
        self._calls[carrier, call_id] -= 1
        if not self._calls[carrier, call_id]:
            del self._calls[carrier, call_id]
            self.live_calls.labels(carrier).dec()
            self.calls_total.labels(carrier, status).inc()

    def _create_process(self) -> None:
        build_info = self._gauge(
            "build_info",
            "1; the labels are the versions of Callscribe and Python.",
            "version",
            "python",
        )
        build_info.labels(version(), platform.python_version()).set(1)
        self.ready = self._gauge(
            "ready", "1 while the gateway is ready for new calls, as reported by /readyz."
        )
        self.degraded = self._gauge(
            "degraded", "Number of conditions that /readyz reports as degraded."
        )
        self.trace_spans_ended_total = self._counter(
            "trace_spans_ended_total",
            "Spans of traces that ended. Those not exported wait, or were dropped because the "
            "queue was full.",
        )
        self.trace_spans_exported_total = self._counter(
            "trace_spans_exported_total",
            "Spans passed to the OTLP exporter, by outcome: sent or failed.",
            "outcome",
        )
        self.draining = self._gauge(
            "draining", "1 while new calls are refused because the gateway drains."
        )

    def _create_calls(self) -> None:
        self.live_calls = self._gauge(
            "live_calls", "Calls with an open media stream at this gateway, by carrier.", "carrier"
        )
        self.calls_total = self._counter(
            "calls_total",
            "Calls whose last media stream at this gateway ended, by carrier and status of that "
            "stream.",
            "carrier",
            "status",
        )
        self.live_streams = self._gauge(
            "live_streams", "Open media streams, by carrier.", "carrier"
        )
        self.streams_total = self._counter(
            "streams_total",
            "Media streams ended, by carrier, status and reason.",
            "carrier",
            "status",
            "reason",
        )
        self.streams_admitted = self._gauge(
            "streams_admitted", "Admitted media streams, including those that have not started."
        )
        self.streams_limit = self._gauge(
            "streams_limit", "Maximum of admitted media streams: GATEWAY_MAX_CALLS."
        )
        self.refused_total = self._counter(
            "refused_requests_total",
            "Refused webhooks and upgrades, by carrier and reason.",
            "carrier",
            "reason",
        )
        self.refused_connections_total = self._counter(
            "refused_connections_total",
            "Connections closed before a request was read, by reason.",
            "reason",
        )

    def _create_media(self) -> None:
        self.frames_total = self._counter("frames_total", "Media frames received.", "carrier")
        self.audio_seconds_total = self._counter(
            "audio_seconds_total",
            "Audio received, in seconds, by carrier and role of the speaker.",
            "carrier",
            "role",
        )
        self.words_total = self._counter(
            "words_total",
            "Words in final transcripts, by carrier and role of the speaker.",
            "carrier",
            "role",
        )
        self.codec_mismatches_total = self._counter(
            "codec_mismatches_total",
            "Tracks whose payload is not in the announced encoding, by carrier and both encodings.",
            "carrier",
            "announced",
            "found",
        )
        self.ignored_messages_total = self._counter(
            "ignored_messages_total",
            "Carrier messages that need no action, by carrier and kind (unknown if undocumented).",
            "carrier",
            "kind",
        )
        self.gaps_total = self._counter(
            "gaps_total", "Gaps published in transcripts, by cause.", "cause"
        )
        self.gap_seconds_total = self._counter(
            "gap_seconds_total", "Audio published as gaps, in seconds, by cause.", "cause"
        )
        self.wordless_speech_seconds_total = self._counter(
            "wordless_speech_seconds_total",
            "Audio as loud as speech, in seconds, that was taken for noise: a server that answers "
            "only speech sent no words for it, and worked afterwards.",
        )
        self.unproven_speech_seconds_total = self._counter(
            "unproven_speech_seconds_total",
            "Audio as loud as speech, in seconds, whose text may be incomplete: it came without "
            "times and was taken for complete, and its session failed next.",
        )

    def _create_admission(self) -> None:
        self.admissions_refused_total = self._counter(
            "admissions_refused_total",
            "Streams refused because there was no route or no session slot, by reason.",
            "reason",
        )
        self.places_held = self._gauge(
            "places_held", "Session slots that this gateway holds, by endpoint.", "endpoint"
        )
        self.places_taken = self._gauge(
            "places_taken",
            "Session slots that all gateways hold, as last seen by this gateway, by endpoint.",
            "endpoint",
        )
        self.places_limit = self._gauge(
            "places_limit",
            "Session slots of an endpoint for all gateways; +Inf is no limit.",
            "endpoint",
        )
        self.route_calls = self._gauge(
            "route_calls",
            "Calls of a route at all gateways, as last seen by this gateway.",
            "route",
        )
        self.route_calls_limit = self._gauge(
            "route_calls_limit",
            "Maximum of calls of a route at the same time; +Inf is no limit.",
            "route",
        )
        self.breaker_state = self._gauge(
            "breaker_state",
            "State of an endpoint's circuit breaker: 0 closed, 1 half-open, 2 open.",
            "endpoint",
        )
        self.endpoint_failing = self._gauge(
            "endpoint_failing",
            "1 while sessions fail at an endpoint for any reason. The breaker only counts failures "
            "of the endpoint itself, so not those of credentials.",
            "endpoint",
        )
        self.token_clock_doubted = self._gauge(
            "token_clock_doubted",
            "1 once a server has merged deltas, so that their number is no measure of time; the "
            "endpoint's next sessions use the dialect voxtral-turns.",
            "endpoint",
        )
        self.endpoint_draining = self._gauge(
            "endpoint_draining",
            "1 while an endpoint is drained: the routes say so, or no longer contain it.",
            "endpoint",
        )
        self.capacity_store_away = self._gauge(
            "capacity_store_away",
            "1 while Redis is unavailable and this gateway counts an endpoint's session slots "
            "locally.",
            "endpoint",
        )
        self.overloaded = self._gauge(
            "overloaded", "1 while new calls are refused because the CPU load is too high."
        )
        self.cpu_ratio = self._gauge(
            "cpu_ratio",
            "CPU load of the last 2 s, as a share of the CPU available to calls; 1 is all of it.",
        )
        self.event_loop_lag_seconds = self._gauge(
            "event_loop_lag_seconds", "Median delay of timers in the last 2 s."
        )

    def _create_upstream(self) -> None:
        self.sessions_live = self._gauge("sessions_live", "Open upstream sessions.")
        self.sessions_opened_total = self._counter(
            "sessions_opened_total", "Upstream sessions opened."
        )
        self.session_failures_total = self._counter(
            "session_failures_total",
            "Upstream sessions that failed or did not open, by fault and reason.",
            "fault",
            "reason",
        )
        self.reconnects_total = self._counter(
            "reconnects_total", "Sessions replaced after a failure, by reason.", "reason"
        )
        self.rollovers_total = self._counter(
            "rollovers_total",
            "Sessions replaced without a failure (why: pause, age, lag, mute, idle).",
            "why",
        )
        self.first_deltas_late_total = self._counter(
            "first_deltas_late_total",
            "Sessions whose first delta was late, by endpoint.",
            "endpoint",
        )
        self.session_lag_seconds = self._histogram(
            "session_lag_seconds",
            "Audio sent to a session and not yet covered by deltas, sampled every second.",
            _SPEECH_S,
        )
        self.replayed_seconds_total = self._counter(
            "replayed_seconds_total", "Audio replayed to another session, in seconds."
        )
        self.session_open_seconds = self._histogram(
            "session_open_seconds",
            "Time to open an upstream session.",
            _LATENCY_S,
        )
        self.append_latency_seconds = self._fast_histogram(
            "append_latency_seconds",
            "Time from sending an append until it was signed and passed to the network.",
            _LATENCY_S,
        )
        self.first_delta_seconds = self._histogram(
            "first_delta_seconds",
            "Time from a track's first audio to its first text.",
            _SPEECH_S,
        )

    def _create_publishing(self) -> None:
        self.transcript_latency_seconds = self._fast_histogram(
            "transcript_latency_seconds",
            "Time from receiving the newest audio that a delta covers until Redis acknowledged the "
            "delta.",
            LATENCY_OF_WORDS_S,
        )
        self.publish_latency_seconds = self._fast_histogram(
            "publish_latency_seconds",
            "Time from receiving a delta until Redis acknowledged it.",
            _LATENCY_S,
        )
        self.redis_batch_seconds = self._fast_histogram(
            "redis_batch_seconds",
            "Duration of a write of one batch of events to Redis.",
            _LATENCY_S,
        )
        self.redis_events_total = self._counter(
            "redis_events_total", "Events that Redis acknowledged."
        )
        self.redis_errors_total = self._counter(
            "redis_errors_total", "Failed writes, by reason.", "reason"
        )
        self.redis_resumed_streams_total = self._counter(
            "redis_resumed_streams_total",
            "Streams resumed after the janitor had closed them as lost.",
        )
        self.redis_evicts = self._gauge(
            "redis_evicts",
            "1 while Redis is configured to evict transcripts when its memory is full.",
        )
        self.redis_dropped_events_total = self._counter(
            "redis_dropped_events_total",
            "Events dropped because Redis was unavailable for too long or refused them, by kind.",
            "kind",
        )
        self.redis_buffered_events = self._gauge(
            "redis_buffered_events",
            "Events not yet acknowledged by Redis, in memory and in the spool.",
        )
        self.redis_memory_events = self._gauge(
            "redis_memory_events", "Events not yet acknowledged by Redis that are in memory."
        )
        self.redis_memory_events_limit = self._gauge(
            "redis_memory_events_limit",
            "Maximum of events in memory; further events go to the spool.",
        )
        self.redis_room_used_ratio = self._gauge(
            "redis_room_used_ratio",
            "Used share of the space for unacknowledged events, in memory and in the spool.",
        )
        self.spool_bytes = self._gauge("spool_bytes", "Size of the spool on disk.")
        self.spool_limit_bytes = self._gauge(
            "spool_limit_bytes", "Maximum size of the spool: GATEWAY_SPOOL_MAX_MB."
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace="callscribe", registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace="callscribe", registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            name, text, namespace="callscribe", registry=self.registry, buckets=buckets
        )

    def _fast_histogram(self, name: str, text: str, bounds: tuple[float, ...]) -> HistogramMetric:
        metric = HistogramMetric(f"callscribe_{name}", text, bounds)
        self.registry.register(metric)
        return metric


def add_process_metrics(registry: CollectorRegistry, loop: asyncio.AbstractEventLoop) -> None:
    """Register metrics of the process: memory, CPU, open files (`process_...`) and asyncio tasks.

    A value that grows from call to call indicates a leak.
    """
    ProcessCollector(registry=registry)
    tasks = Gauge("tasks", "Tasks on the event loop.", namespace="callscribe", registry=registry)
    tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
