"""The metrics of the groups of workers in a process."""

from typing import Final
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge

_GAUGES: Final = {
    "partitions": "Partitions that this worker holds.",
    "members": "Workers of the group that are alive.",
    "pending_entries": "Entries read and not yet handled, over all partitions held.",
    "behind_entries": "Entries not yet handled, read or not; at most 1000 of each partition are "
    "counted.",
    "oldest_seconds": "Age of the oldest entry that is not yet handled, over all partitions held.",
}


class _Families:
    """The metrics of a registry; the label `group` distinguishes several groups."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.gauges = {
            name: Gauge(f"consumer_{name}", text, ["group"], "callscribe", registry=registry)
            for name, text in _GAUGES.items()
        }
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
        )
        self.errors_total = Counter(
            "consumer_errors_total",
            "Failed Redis operations, and failed ticks of handlers, by reason.",
            ["group", "reason"],
            namespace="callscribe",
            registry=registry,
        )


_FAMILIES: Final[WeakKeyDictionary[CollectorRegistry, _Families]] = WeakKeyDictionary()


class ConsumerMetrics:
    """All Prometheus metrics of one consumer; several groups may share a registry."""

    def __init__(self, registry: CollectorRegistry, group: str) -> None:
        families = _FAMILIES.get(registry) or _FAMILIES.setdefault(registry, _Families(registry))
        gauges = {name: family.labels(group) for name, family in families.gauges.items()}
        self.partitions = gauges["partitions"]
        self.members = gauges["members"]
        self.pending_entries = gauges["pending_entries"]
        self.behind_entries = gauges["behind_entries"]
        self.oldest_seconds = gauges["oldest_seconds"]
        self.lost_leases_total = families.lost_leases_total.labels(group)
        self._entries_total = families.entries_total
        self._errors_total = families.errors_total
        self._group = group

    def count(self, result: str) -> None:
        """Count one entry."""
        self._entries_total.labels(self._group, result).inc()

    def count_error(self, reason: str) -> None:
        """Count a failed Redis operation, or a call of the handler at a time that failed."""
        self._errors_total.labels(self._group, reason).inc()
