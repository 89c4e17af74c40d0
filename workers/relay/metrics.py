"""The metrics of the relay."""

import contextlib
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """All Prometheus metrics of one relay.

    Args:
        registry: collects them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, label: str) -> Gauge:
            return Gauge(name, text, [label], namespace="callscribe", registry=registry)

        def counter(name: str, text: str, label: str) -> Counter:
            return Counter(name, text, [label], namespace="callscribe", registry=registry)

        self.open_feeds = 0
        self._viewers = gauge(
            "relay_viewers",
            "Open feeds, by what they show: call, assist, all, calls (the list).",
            "feed",
        )
        self.calls = gauge(
            "relay_calls", "Calls in the list: live ones, and those that ended lately.", "text"
        )
        self.events_total = counter(
            "relay_events_total",
            "Events read from Redis, by kind of text: raw, redacted, derived (alerts, wrap-ups).",
            "text",
        )
        self.errors_total = counter("relay_errors_total", "Failures, by reason.", "reason")
        self.searches_total = counter(
            "relay_searches_total",
            "Searches of the index, by outcome: complete, cut (time limit), refused, unavailable.",
            "outcome",
        )
        self.catch_ups_total = Counter(
            "relay_catch_ups_total",
            "Viewers who were too slow and continued from the history of their call.",
            namespace="callscribe",
            registry=registry,
        )

    def count_error(self, reason: str) -> None:
        """Count a failure."""
        self.errors_total.labels(reason).inc()

    @contextlib.contextmanager
    def viewing(self, feed: str) -> Iterator[None]:
        """Count an open feed for as long as the context lasts."""
        self.open_feeds += 1
        self._viewers.labels(feed).inc()
        try:
            yield
        finally:
            self.open_feeds -= 1
            self._viewers.labels(feed).dec()
