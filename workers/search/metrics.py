"""The metrics of the worker `search`."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class Metrics:
    """What the worker did with its indexes; the label `text` distinguishes raw and redacted.

    Args:
        registry: collects them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.changes_total = Counter(
            "search_changes_total",
            "Changes written to the index, by kind: call, segment, gap, alert, disposition.",
            ["text", "kind"],
            namespace="callscribe",
            registry=registry,
        )
        self.index_errors_total = Counter(
            "search_index_errors_total",
            "Writes that the index refused; they are repeated until it accepts them.",
            ["text"],
            namespace="callscribe",
            registry=registry,
        )
        self.write_seconds = Histogram(
            "search_write_seconds",
            "Time until the changes of an event are stored.",
            ["text"],
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
            namespace="callscribe",
            registry=registry,
        )
