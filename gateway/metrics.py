"""What Prometheus sees: every metric of the gateway, with its unit, in one place.

Made once per process and passed to whoever counts. Labels are few and bounded: carriers, statuses,
reasons and causes are ours, endpoints the operator's; nothing a caller or a carrier chose is ever a
label.
"""

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
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

        # Calls
        self.live_calls = gauge("live_calls", "Media streams open now, by carrier.", "carrier")
        self.calls_total = counter(
            "calls_total", "Media streams ended, by carrier and status.", "carrier", "status"
        )
        self.refused_total = counter(
            "refused_requests_total",
            "Webhooks and upgrades refused before a call existed, by carrier and reason.",
            "carrier",
            "reason",
        )
        self.frames_total = counter("frames_total", "Media frames received.", "carrier")
        self.audio_seconds_total = counter(
            "audio_seconds_total", "Audio received, all tracks, in seconds.", "carrier"
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
        self.append_latency_seconds = histogram(
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
        self.publish_latency_seconds = histogram(
            "publish_latency_seconds",
            "Time from a delta's arrival until Redis acknowledged it.",
            _LATENCY_S,
        )
        self.redis_batch_seconds = histogram(
            "redis_batch_seconds", "Time of one write of a batch to Redis.", _LATENCY_S
        )
        self.redis_events_total = counter("redis_events_total", "Events Redis acknowledged.")
        self.redis_errors_total = counter(
            "redis_errors_total", "Writes that failed, by reason.", "reason"
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
        self.spool_bytes = gauge("spool_bytes", "Size of the spool on disk.")


def add_process_metrics(registry: CollectorRegistry, loop: asyncio.AbstractEventLoop) -> None:
    """Show the process itself: memory, CPU and open files (`process_...`), and its loop's tasks.

    What of it grows from call to call is a leak.
    """
    ProcessCollector(registry=registry)
    tasks = Gauge("tasks", "Tasks on the event loop.", namespace="callscribe", registry=registry)
    tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
