"""The metrics of gateways and workers: naming rules, documentation, counting of calls."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.histogram import HistogramMetric
from gateway.metrics import Metrics, add_process_metrics
from tests import metrics_lint
from workers.archive.archiver import Metrics as ArchiveMetrics
from workers.assist.metrics import Metrics as AssistMetrics
from workers.consumer import ConsumerMetrics
from workers.governance.recorder import Metrics as AuditMetrics
from workers.governance.sweeping import Metrics as GovernMetrics
from workers.janitor import Metrics as JanitorMetrics
from workers.push.metrics import Metrics as PushMetrics
from workers.redact.worker import Metrics as RedactMetrics
from workers.relay.metrics import Metrics as RelayMetrics
from workers.search.metrics import Metrics as SearchMetrics
from workers.wrapup.metrics import Metrics as WrapupMetrics

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"


def filled() -> CollectorRegistry:
    """Return the metrics of a gateway, which all have a sample."""
    metrics = Metrics()
    add_process_metrics(metrics.registry, asyncio.get_running_loop())
    fill(metrics)
    return metrics.registry


def filled_workers() -> CollectorRegistry:
    """Return the metrics of a process with all workers, which all have a sample."""
    registry = CollectorRegistry()
    fill(GovernMetrics(registry))
    fill(AuditMetrics(registry))
    fill(JanitorMetrics(registry))
    fill(ConsumerMetrics(registry, "redact"))
    fill(ArchiveMetrics(registry))
    fill(PushMetrics(registry))
    fill(RedactMetrics(registry))
    fill(RelayMetrics(registry))
    fill(AssistMetrics(registry))
    fill(WrapupMetrics(registry))
    fill(SearchMetrics(registry))
    return registry


def fill(metrics: object) -> None:
    for metric in vars(metrics).values():
        if (names := getattr(metric, "_labelnames", ())) and not getattr(
            metric, "_labelvalues", ()
        ):
            metric.labels(*names)


async def test_metrics_pass_promtool_rules() -> None:
    assert metrics_lint.problems(filled()) == []


def test_metrics_of_workers_pass_promtool_rules() -> None:
    assert metrics_lint.problems(filled_workers()) == []


@pytest.mark.parametrize("name", ["callscribe_wait_ms", "callscribe_hours", "callscribe_a_count"])
def test_lint_finds_violations(name: str) -> None:
    registry = CollectorRegistry()
    registry.register(HistogramMetric(name, "Help.", (1.0,)))
    assert metrics_lint.problems(registry)


async def test_documentation_lists_every_metric() -> None:
    """If this fails, update the table in docs/metrics.md with the rows of the first set."""
    rows = set()
    for family in [*filled().collect(), *filled_workers().collect()]:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = dict.fromkeys(label for s in family.samples for label in s.labels)
        shown = ", ".join(f"`{label}`" for label in labels if label != "le")
        if name.startswith("callscribe_"):
            rows.add(f"| `{name}` | {family.type} | {shown} | {family.documentation} |")
    documented = DOCUMENT.read_text().splitlines()
    assert rows == {line for line in documented if line.startswith("| `callscribe_")}


def test_two_streams_of_a_call_count_as_one_call() -> None:
    """Symptom: `live_calls` counted sockets: an Asterisk call was two."""
    metrics = Metrics()

    def sample(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"callscribe_{name}", labels)

    metrics.note_stream_start("asterisk", "c1")
    metrics.note_stream_start("asterisk", "c1")
    metrics.note_stream_start("twilio", "c1")  # another carrier's call of the same id
    assert sample("live_streams", carrier="asterisk") == 2
    assert sample("live_calls", carrier="asterisk") == 1
    assert sample("live_calls", carrier="twilio") == 1
    metrics.note_stream_end("asterisk", "c1", "failed", "socket-lost")
    assert sample("live_calls", carrier="asterisk") == 1
    assert sample("calls_total", carrier="asterisk", status="failed") is None
    metrics.note_stream_end("asterisk", "c1", "completed", "carrier-stopped")
    assert sample("live_calls", carrier="asterisk") == 0
    assert sample("calls_total", carrier="asterisk", status="completed") == 1
    streams = {"carrier": "asterisk", "status": "failed", "reason": "socket-lost"}
    assert sample("streams_total", **streams) == 1


def test_build_info_contains_the_version() -> None:
    [family] = [f for f in Metrics().registry.collect() if f.name == "callscribe_build_info"]
    [sample] = family.samples
    assert sample.value == 1
    assert sample.labels["version"][0].isdigit()
