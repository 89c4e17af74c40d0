"""Each metric, label and value in the rules and dashboards is exported by a running process."""

import asyncio
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from container.bridge.ends import End
from container.bridge.health import Ping
from container.bridge.record import Metrics as BridgeMetrics
from deploy.local.processes import Part, RunningPart, answers
from gateway.errors import REASONS
from gateway.transcript.events import GapCause, Status
from tests.deploy.watching import (
    PROMETHEUS,
    Query,
    grouped_by,
    parsed,
    queries,
    rules,
    selectors,
)
from tests.gateway.test_metrics import filled, filled_workers
from tests.redis_servers import free_port

JOBS = {each["job_name"] for each in parsed(PROMETHEUS / "prometheus.yml")["scrape_configs"]}
ADDED_BY_PROMETHEUS = {"job", "instance"}
# Metrics of Prometheus itself, and their labels.
BUILT_IN = {"up": ADDED_BY_PROMETHEUS, "ALERTS": {"alertname", "alertstate", "severity"}}
VALUES: Mapping[str, set[str]] = {
    "alertname": {rule["alert"] for rule in rules("alert")},
    "alertstate": {"pending", "firing"},
    "carrier": {"unknown"},
    "cause": set(GapCause),
    "end": set(End),
    "group": {"redact"},
    "job": JOBS | {"callscribe-vllm"},  # of the chart: tests/deploy/helm/test_operators.py
    "reason": set(REASONS),
    "result": {"handled", "retried", "dead", *Ping},
    "status": set(Status),
}
each_query = pytest.mark.parametrize("query", queries(), ids=lambda query: query.where)


def samples(family: Metric) -> Iterable[str]:
    """Return the names of a metric's series, without those of its creation."""
    match family.type:
        case "counter":
            return (f"{family.name}_total",)
        case "histogram":
            return (f"{family.name}_{end}" for end in ("bucket", "count", "sum"))
        case _:
            return (family.name,)


async def exported_labels() -> dict[str, set[str]]:
    """Return the series that the processes can export, with their labels."""
    bridge = CollectorRegistry()
    BridgeMetrics(bridge, max_sessions=1)
    return {
        name: {label for sample in family.samples for label in sample.labels}
        for registry in (filled(), filled_workers(), bridge)
        for family in registry.collect()
        for name in samples(family)
    } | BUILT_IN


def recorded() -> set[str]:
    return {rule["record"] for rule in rules("record")}


async def test_running_processes_export_each_metric(redis_url: str, tmp_path: Path) -> None:
    running = await scraped(redis_url, tmp_path)
    named = {each.metric for query in queries() for each in selectors(query.expression)}
    assert len(named) > 50
    assert named - running - recorded() - BUILT_IN.keys() == set()


async def scraped(redis_url: str, folder: Path) -> set[str]:
    """Start all processes with metrics; return the names of the series that they declare."""
    ports = {name: free_port() for name in ("gateway", "workers", "container.bridge")}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = kept | {
        "GATEWAY_PUBLIC_URL": "https://gw.example.com",
        "GATEWAY_REDIS_URL": redis_url,
        "GATEWAY_UPSTREAM": "websocket",
        "GATEWAY_REALTIME_URL": "ws://127.0.0.1:1/v1/realtime",
        "GATEWAY_PORT": "0",
        "GATEWAY_ADMIN_PORT": str(ports["gateway"]),
        "WORKER_REDIS_URL": redis_url,
        "WORKER_METRICS_PORT": str(ports["workers"]),
        "WORKER_RELAY_PORT": "0",
        "WORKER_ARCHIVE_URL": f"file://{folder}/archive",
        "BRIDGE_PORT": str(ports["container.bridge"]),
    }
    arguments = {"workers": ("archive", "govern", "janitor", "redact", "relay")}
    parts = [
        await RunningPart.start(
            Part(
                name,
                (sys.executable, "-m", name, *arguments.get(name, ())),
                environment,
                answers("127.0.0.1", port, "/metrics"),
            ),
            folder,
        )
        for name, port in ports.items()
    ]
    try:
        await asyncio.gather(*(part.until_ready(60) for part in parts))
        async with ClientSession() as client:
            texts = [
                await (await client.get(f"http://127.0.0.1:{port}/metrics")).text()
                for port in ports.values()
            ]
    finally:
        await asyncio.gather(*(part.end() for part in parts))
    families = (family for text in texts for family in text_string_to_metric_families(text))
    return {name for family in families for name in samples(family)}


@each_query
async def test_labels_exist(query: Query) -> None:
    known = await exported_labels()
    metrics = {each.metric for each in selectors(query.expression)} - recorded()
    labels = ADDED_BY_PROMETHEUS.union(*(known[each] for each in metrics))
    if metrics:
        assert grouped_by(query.expression) <= labels
        assert query.shown <= labels
    for each in selectors(query.expression):
        if each.matchers:
            assert {label for label, _, _ in each.matchers} <= known[each.metric]


@each_query
def test_matched_values_exist(query: Query) -> None:
    """A misspelled value would match nothing, or exclude nothing."""
    for selector in selectors(query.expression):
        for label, operator, value in selector.matchers:
            for alternative in value.split("|") if "Re" in operator else [value]:
                assert any(re.fullmatch(alternative, known) for known in VALUES[label])
