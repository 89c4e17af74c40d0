"""Readings of a gateway, and quantiles of the observations between two of them."""

import os

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import generate_latest

from cli.bench import gauges
from gateway.metrics import Metrics

INF = float("inf")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, [0, 0]),
        ({0.01: 5, INF: 5}, {0.01: 5, INF: 5}, [0, 0]),
        ({}, {0.01: 100, INF: 100}, [5, 9.9]),
        ({}, {0.01: 50, 0.02: 100, INF: 100}, [10, 19.8]),
        ({0.01: 1000, 0.02: 1000, INF: 1000}, {0.01: 1000, 0.02: 1100, INF: 1100}, [15, 19.9]),
        ({}, {0.01: 50, 0.02: 50, 0.04: 100, INF: 100}, [10, 39.6]),
        ({}, {0.01: 90, INF: 100}, [5.56, 10]),  # values beyond the last bound count as that bound
    ],
)
def test_quantiles(
    before: dict[float, float], after: dict[float, float], expected: list[float]
) -> None:
    assert gauges.quantiles_ms(before, after, (0.5, 0.99)) == pytest.approx(expected)


async def test_read_returns_cpu_memory_and_histograms() -> None:
    metrics = Metrics()
    metrics.append_latency_seconds.observe(0.002)
    metrics.publish_latency_seconds.observe(0.02)

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry))

    app = web.Application()
    app.router.add_get("/metrics", page)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        url = f"http://{server.host}:{server.port}"
        reading = await gauges.read(http, url, {"gateway": os.getpid()})
    assert reading.cpu_s["gateway"] > 0
    assert reading.gateway_rss_bytes > 1 << 20
    assert gauges.quantiles_ms({}, reading.append, (1.0,)) == [2.5]
    assert gauges.quantiles_ms({}, reading.publish, (1.0,)) == [25]
