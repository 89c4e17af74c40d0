"""The metrics of a group of workers."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class ConsumerMetrics:
    """All Prometheus metrics of one consumer; the label `group` distinguishes several."""

    def __init__(self, registry: CollectorRegistry, group: str) -> None:
        def gauge(name: str, text: str) -> Gauge:
            family = Gauge(name, text, ["group"], namespace="callscribe", registry=registry)
            return family.labels(group)

        self.partitions = gauge("consumer_partitions", "Partitions that this worker holds.")
        self.members = gauge("consumer_members", "Workers of the group that are alive.")
        self.pending_entries = gauge(
            "consumer_pending_entries",
            "Entries read and not yet handled, over all partitions held.",
        )
        self.behind_entries = gauge(
            "consumer_behind_entries",
            "Entries not yet handled, read or not; at most 1000 of each partition are counted.",
        )
        self.oldest_seconds = gauge(
            "consumer_oldest_seconds",
            "Age of the oldest entry that is not yet handled, over all partitions held.",
        )
        self.entries_total = Counter(
            "consumer_entries_total",
            "Entries, by result: handled, retried (an attempt failed), dead (a dead letter).",
            ["group", "result"],
            namespace="callscribe",
            registry=registry,
        )
        self.lost_leases_total = Counter(
            "consumer_lost_leases_total",
            "Leases that expired while this worker held them, so that another worker took over.",
            ["group"],
            namespace="callscribe",
            registry=registry,
        ).labels(group)
        self.errors_total = Counter(
            "consumer_errors_total",
            "Failed Redis operations, by reason.",
            ["group", "reason"],
            namespace="callscribe",
            registry=registry,
        )
        self._group = group

    def count(self, result: str) -> None:
        """Count one entry."""
        self.entries_total.labels(self._group, result).inc()

    def count_error(self, reason: str) -> None:
        """Count a failed Redis operation."""
        self.errors_total.labels(self._group, reason).inc()
