"""Reads the CPU time and memory of processes, and the latency histograms of a gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import aiohttp
import psutil  # type: ignore[import-untyped]  # (its types are not installed)
from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)

type Buckets = Mapping[float, float]  # upper bound in seconds -> count of observations up to it


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment."""

    cpu_s: Mapping[str, float]  # user and system time; by process, and by group of gateway threads
    gateway_rss_bytes: int
    append: Buckets
    publish: Buckets


async def read(http: aiohttp.ClientSession, admin_url: str, pids: Mapping[str, int]) -> Reading:
    """Read the counters of processes by name and process id; one of them must be "gateway"."""
    cpu_s = {}
    for part, pid in pids.items():
        times = psutil.Process(pid).cpu_times()
        cpu_s[part] = times.user + times.system
    loop_s, others_s = _by_thread(pids["gateway"])
    cpu_s["gateway, event loop"], cpu_s["gateway, AWS's network threads"] = loop_s, others_s
    rss = psutil.Process(pids["gateway"]).memory_info().rss
    async with http.get(f"{admin_url}/metrics", timeout=_TIMEOUT) as response:
        response.raise_for_status()
        text = await response.text()
    append = parse_buckets(text, "callscribe_append_latency_seconds")
    publish = parse_buckets(text, "callscribe_publish_latency_seconds")
    return Reading(cpu_s, rss, append, publish)


def _by_thread(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of a process's first thread and of all its other threads."""
    threads = {thread.id: thread.user_time + thread.system_time for thread in _threads(pid)}
    first_s = threads.pop(pid, 0.0)
    return first_s, sum(threads.values())


def _threads(pid: int) -> Sequence[Any]:
    return psutil.Process(pid).threads()  # type: ignore[no-any-return]  # (its types are not installed)


def parse_buckets(exposition: str, name: str) -> Buckets:
    """Parse a histogram without labels from Prometheus' text format; empty if it is missing."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(exposition)
        if family.name == name
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    }


def quantiles_ms(before: Buckets, after: Buckets, quantiles: Sequence[float]) -> list[float]:
    """Estimate quantiles of the observations between two readings, in ms.

    As in Prometheus, values are interpolated linearly within a bucket, and values beyond the last
    finite bound count as that bound.
    """
    bounds = sorted(after)
    counts = [after[bound] - before.get(bound, 0) for bound in bounds]
    if not counts or not counts[-1]:
        return [0.0] * len(quantiles)
    return [round(_quantile(bounds, counts, q * counts[-1]) * 1000, 2) for q in quantiles]


def _quantile(bounds: Sequence[float], counts: Sequence[float], rank: float) -> float:
    edges = list(zip([0.0, *bounds], [0.0, *counts], strict=True))
    for (low, below), (high, upto) in pairwise(edges):
        if upto >= rank:
            if high == float("inf"):
                return low
            return low + (high - low) * ((rank - below) / (upto - below) if upto > below else 1)
    return bounds[-1]
