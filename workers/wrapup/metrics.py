"""The metrics of wrap-ups."""

from collections import Counter as Counts

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)


class Metrics:
    """All Prometheus metrics of the worker `wrapup`.

    Args:
        registry: collects them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace="callscribe", registry=registry)

        self.jobs_total = counter(
            "wrapup_jobs_total",
            "Wrap-ups, by why they were begun (ended, requested) and result: made, failed (a dead "
            "letter), or why none was needed.",
            "trigger",
            "result",
        )
        self.failures_total = counter(
            "wrapup_failures_total", "Failed attempts to make a wrap-up, by reason.", "reason"
        )
        self.dropped_total = counter(
            "wrapup_dropped_total",
            "What was dropped from replies, by kind: sentences, cited segments that do not exist "
            "(segment), dispositions that are not in the list (disposition).",
            "kind",
        )
        self.tokens_total = counter(
            "wrapup_tokens_total",
            "Tokens of requests (prompt), replies (completion) and attempts that failed (failed), "
            "as reported by the model's server, else estimated.",
            "kind",
        )
        self.pending_jobs = Gauge(
            "wrapup_pending_jobs",
            "Wrap-ups to be made: calls in their grace period, and those that wait or run.",
            namespace="callscribe",
            registry=registry,
        )
        self.request_seconds = Histogram(
            "wrapup_request_seconds",
            "Duration of requests to the model, whatever their result.",
            namespace="callscribe",
            registry=registry,
            buckets=_BUCKETS,
        )

    def count_dropped(self, dropped: Counts[str]) -> None:
        """Count what was dropped from a reply."""
        for kind, count in dropped.items():
            if count:
                self.dropped_total.labels(kind).inc(count)
