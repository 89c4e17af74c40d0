"""What Prometheus sees: every metric of the gateway, with its unit, in one place.

Made once per process and passed to whoever counts. Labels are few and bounded: carriers, statuses,
reasons and causes are ours, endpoints the operator's; nothing a caller or a carrier chose is ever a
label.
"""

import asyncio
import platform
from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from common.version import version
from gateway.histogram import HistogramMetric

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# Spoken until published: the model's delay and its pace, and 10 ms or so of ours.
LATENCY_OF_WORDS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_SPEECH_S = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 30.0)


class Metrics:
    """All metrics of one gateway process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace="callscribe", registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, namespace="callscribe", registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, namespace="callscribe", registry=registry, buckets=buckets)

        def fast_histogram(name: str, text: str, bounds: tuple[float, ...]) -> HistogramMetric:
            metric = HistogramMetric(f"callscribe_{name}", text, bounds)
            registry.register(metric)
            return metric

        # This process
        build_info = gauge("build_info", "1; the labels say what runs.", "version", "python")
        build_info.labels(version(), platform.python_version()).set(1)
        self.ready = gauge("ready", "1 while new calls are welcome, as /readyz says.")
        self.degraded = gauge("degraded", "How many things /readyz reports as degraded.")
        self.draining = gauge("draining", "1 while new calls are refused because the process ends.")
        # Calls
        self.live_calls = gauge(
            "live_calls", "Calls with a media stream open here now, by carrier.", "carrier"
        )
        self.calls_total = counter(
            "calls_total",
            "Calls whose last media stream here ended, by carrier and that stream's status.",
            "carrier",
            "status",
        )
        self.live_streams = gauge("live_streams", "Media streams open now, by carrier.", "carrier")
        self.streams_total = counter(
            "streams_total",
            "Media streams ended, by carrier, status and reason.",
            "carrier",
            "status",
            "reason",
        )
        self.streams_admitted = gauge(
            "streams_admitted", "Media streams let in now, those that have not started included."
        )
        self.streams_limit = gauge(
            "streams_limit", "Media streams this gateway takes at once: GATEWAY_MAX_CALLS."
        )
        self.refused_total = counter(
            "refused_requests_total",
            "Webhooks and upgrades refused before a call existed, by carrier and reason.",
            "carrier",
            "reason",
        )
        self.refused_connections_total = counter(
            "refused_connections_total",
            "Connections closed before a request was read of them, by reason.",
            "reason",
        )
        self.frames_total = counter("frames_total", "Media frames received.", "carrier")
        self.audio_seconds_total = counter(
            "audio_seconds_total",
            "Audio received, in seconds, by carrier and by who speaks.",
            "carrier",
            "role",
        )
        self.words_total = counter(
            "words_total",
            "Words in finals, separated by spaces, by carrier and by who spoke.",
            "carrier",
            "role",
        )
        self.codec_mismatches_total = counter(
            "codec_mismatches_total",
            "Tracks whose payload is in another encoding than announced, by carrier and both.",
            "carrier",
            "announced",
            "found",
        )
        self.ignored_messages_total = counter(
            "ignored_messages_total",
            "Carrier messages that ask nothing of us (kind: unknown if undocumented).",
            "carrier",
            "kind",
        )
        self.gaps_total = counter("gaps_total", "Gaps declared in transcripts.", "cause")
        self.gap_seconds_total = counter(
            "gap_seconds_total", "Audio declared as gaps, in seconds.", "cause"
        )
        # Admission
        self.admissions_refused_total = counter(
            "admissions_refused_total",
            "Streams that got no route or no place, by reason.",
            "reason",
        )
        self.places_held = gauge(
            "places_held", "Places for sessions that this gateway holds, by endpoint.", "endpoint"
        )
        self.places_taken = gauge(
            "places_taken",
            "Places for sessions that all gateways hold, as last seen here, by endpoint.",
            "endpoint",
        )
        self.places_limit = gauge(
            "places_limit",
            "Places for sessions that there are for all gateways; +Inf: no limit.",
            "endpoint",
        )
        self.route_calls = gauge(
            "route_calls", "Calls of all gateways on a route, as last seen here.", "route"
        )
        self.route_calls_limit = gauge(
            "route_calls_limit", "Calls that a route takes at once; +Inf: no limit.", "route"
        )
        self.breaker_state = gauge(
            "breaker_state",
            "Each endpoint's circuit breaker: 0 closed, 1 half-open, 2 open.",
            "endpoint",
        )
        self.endpoint_failing = gauge(
            "endpoint_failing",
            "1 while sessions fail at an endpoint for any reason, credentials included; the "
            "breaker counts only what speaks against the endpoint itself.",
            "endpoint",
        )
        self.capacity_store_away = gauge(
            "capacity_store_away",
            "1 while this gateway counts an endpoint's places by itself: Redis does not answer.",
            "endpoint",
        )
        self.overloaded = gauge("overloaded", "1 while new calls are refused because CPU is short.")
        self.cpu_ratio = gauge(
            "cpu_ratio", "CPU of the last 2 s as a share of what carries calls; 1 is all."
        )
        self.event_loop_lag_seconds = gauge(
            "event_loop_lag_seconds", "How late timers ran in the last 2 s, in the median."
        )
        # Upstream
        self.sessions_live = gauge("sessions_live", "Upstream sessions open now.")
        self.sessions_opened_total = counter("sessions_opened_total", "Upstream sessions opened.")
        self.session_failures_total = counter(
            "session_failures_total",
            "Upstream sessions that failed or never opened, by fault and reason.",
            "fault",
            "reason",
        )
        self.reconnects_total = counter(
            "reconnects_total", "Sessions replaced because they failed, by reason.", "reason"
        )
        self.rollovers_total = counter(
            "rollovers_total",
            "Sessions replaced before they failed (why: pause, age, lag).",
            "why",
        )
        self.first_deltas_late_total = counter(
            "first_deltas_late_total",
            "Sessions whose first answer was late, by endpoint.",
            "endpoint",
        )
        self.session_lag_seconds = histogram(
            "session_lag_seconds",
            "Audio a session was sent and has not answered, looked at every second.",
            _SPEECH_S,
        )
        self.replayed_seconds_total = counter(
            "replayed_seconds_total", "Audio sent again to another session, in seconds."
        )
        self.session_open_seconds = histogram(
            "session_open_seconds",
            "Time from opening an upstream session until it takes audio.",
            _LATENCY_S,
        )
        self.append_latency_seconds = fast_histogram(
            "append_latency_seconds",
            "Time from an append's sending until it was signed and handed to the network.",
            _LATENCY_S,
        )
        self.first_delta_seconds = histogram(
            "first_delta_seconds",
            "Time from a track's first audio until its first text came back.",
            _SPEECH_S,
        )
        # Redis
        self.transcript_latency_seconds = fast_histogram(
            "transcript_latency_seconds",
            "Time from the arrival of the newest audio a delta covers until Redis acknowledged it.",
            LATENCY_OF_WORDS_S,
        )
        self.publish_latency_seconds = fast_histogram(
            "publish_latency_seconds",
            "Time from a delta's arrival until Redis acknowledged it.",
            _LATENCY_S,
        )
        self.redis_batch_seconds = fast_histogram(
            "redis_batch_seconds", "Time of one write of a batch to Redis.", _LATENCY_S
        )
        self.redis_events_total = counter("redis_events_total", "Events Redis acknowledged.")
        self.redis_errors_total = counter(
            "redis_errors_total", "Writes that failed, by reason.", "reason"
        )
        self.redis_resumed_streams_total = counter(
            "redis_resumed_streams_total",
            "Streams resumed after a janitor had closed them as lost.",
        )
        self.redis_evicts = gauge(
            "redis_evicts", "1 while Redis deletes transcripts when its memory is full."
        )
        self.redis_dropped_events_total = counter(
            "redis_dropped_events_total",
            "Events dropped because Redis was away too long or refused them, by kind.",
            "kind",
        )
        self.redis_buffered_events = gauge(
            "redis_buffered_events", "Events that wait to be written, in memory and in the spool."
        )
        self.redis_memory_events = gauge(
            "redis_memory_events", "Those of them that are in memory; the rest is in the spool."
        )
        self.redis_memory_events_limit = gauge(
            "redis_memory_events_limit", "Events kept in memory; more go to the spool."
        )
        self.redis_room_used_ratio = gauge(
            "redis_room_used_ratio",
            "Share of the room for events that Redis has not taken yet.",
        )
        self.spool_bytes = gauge("spool_bytes", "Size of the spool on disk.")
        self.spool_limit_bytes = gauge(
            "spool_limit_bytes", "Its greatest size: GATEWAY_SPOOL_MAX_MB."
        )
        self._calls: Tally[tuple[str, str]] = Tally()  # live streams of each call

    def note_stream_start(self, carrier: str, call_id: str) -> None:
        """Count a stream that its carrier has announced, and its call if it is the first here."""
        self.live_streams.labels(carrier).inc()
        self._calls[carrier, call_id] += 1
        if self._calls[carrier, call_id] == 1:
            self.live_calls.labels(carrier).inc()

    def note_stream_end(self, carrier: str, call_id: str, status: str, reason: str) -> None:
        """Count a stream's end, and its call's if no other stream of it is here."""
        self.live_streams.labels(carrier).dec()
        self.streams_total.labels(carrier, status, reason).inc()
        self._calls[carrier, call_id] -= 1
        if not self._calls[carrier, call_id]:
            del self._calls[carrier, call_id]
            self.live_calls.labels(carrier).dec()
            self.calls_total.labels(carrier, status).inc()


def add_process_metrics(registry: CollectorRegistry, loop: asyncio.AbstractEventLoop) -> None:
    """Show the process itself: memory, CPU and open files (`process_...`), and its loop's tasks.

    What of it grows from call to call is a leak.
    """
    ProcessCollector(registry=registry)
    tasks = Gauge("tasks", "Tasks on the event loop.", namespace="callscribe", registry=registry)
    tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
