"""The metrics of the worker `push`, and its log line of dead letters."""

import logging

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from workers.push.messages import Message

_log = logging.getLogger("workers.push")

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """All Prometheus metrics of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace="callscribe", registry=registry)

        self.attempts_total = counter(
            "push_attempts_total",
            "Attempts to deliver a message, by what followed: delivered, skipped (the adapter does "
            "not send such messages), retry, dead (a dead letter; of a full queue, too), gone (the "
            "endpoint was disabled), expired (another attempt had begun).",
            "subscription",
            "step",
        )
        self.failures_total = counter(
            "push_failures_total",
            "Attempts that failed, by reason (docs/push.md).",
            "subscription",
            "reason",
        )
        self.attempt_seconds = Histogram(
            "push_attempt_seconds",
            "Duration of attempts, from the connection to the response.",
            ["subscription"],
            namespace="callscribe",
            registry=registry,
            buckets=_SECONDS,
        )
        self.disabled = Gauge(
            "push_disabled",
            "1 if the endpoint is disabled, because it failed for too long or is gone.",
            ["subscription"],
            namespace="callscribe",
            registry=registry,
        )
        self.waiting_calls = Gauge(
            "push_waiting_calls",
            "Calls with messages that wait, in all of Redis.",
            ["subscription"],
            namespace="callscribe",
            registry=registry,
        )
        self.dead_letters = Gauge(
            "push_dead_letters",
            "Messages that were given up and are kept, in all of Redis.",
            ["subscription"],
            namespace="callscribe",
            registry=registry,
        )
        self.in_flight = Gauge(
            "push_in_flight",
            "Attempts that this worker makes now.",
            ["subscription"],
            namespace="callscribe",
            registry=registry,
        )
        self.errors_total = counter(
            "push_errors_total", "Failed Redis operations, by reason.", "reason"
        )


def log_dead(subscription: str, partition: int, message: Message, reason: str) -> None:
    """Report that a message became a dead letter."""
    _log.error(
        "push-dead subscription=%s partition=%d message=%s reason=%s",
        subscription,
        partition,
        message.id,
        reason,
    )
