"""The metrics of the worker `assist`."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

SEVERITIES: Final = ("info", "warning", "critical")


class Metrics:
    """All Prometheus metrics of the worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(name, text, labels, namespace="callscribe", registry=registry)

        self.alerts_total = counter(
            "assist_alerts_total",
            "Alerts, by severity and state: raised, withdrawn.",
            ("severity", "state"),
        )
        self.rule_reloads_total = counter(
            "assist_rule_reloads_total",
            "Changed rules files, by result: loaded, refused (the rules before stay in force).",
            ("result",),
        )
        self.evaluation_seconds_total = counter(
            "assist_evaluation_seconds_total",
            "CPU time that rules took. Divide by the events to get the cost of each.",
        )
        self.events_total = counter(
            "assist_events_total", "Events that rules were applied to, and ticks of calls."
        )
        self.errors_total = counter(
            "assist_errors_total",
            "Events and ticks of calls that rules could not process, by type of error. An event "
            "counts each time its call is rebuilt.",
            ("error",),
        )
        self.dropped_total = counter(
            "assist_dropped_total",
            "What exceeded a limit of a call, by limit: alerts, matches, events of streams, words "
            "of tracks. Counts again when the call is rebuilt.",
            ("limit",),
        )
        self.rebuilt_calls_total = counter(
            "assist_rebuilt_calls_total",
            "Calls whose state was read from Redis: new ones, those taken over, and those in "
            "progress when rules change.",
        )
        self.rules = Gauge(
            "assist_rules", "Rules in force.", namespace="callscribe", registry=registry
        )
