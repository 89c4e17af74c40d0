"""The readings of a gateway by which a soak detects growth and leaks."""

import asyncio
import re

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from cli.soak.watch import Reading, Watch, mb_per_min, parse
from common.serving import listening
from gateway.metrics import Metrics, add_process_metrics

EXPOSITION = """\
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 5e+07
# TYPE process_open_fds gauge
process_open_fds 14.0
# TYPE callscribe_tasks gauge
callscribe_tasks 9.0
# TYPE callscribe_places_held gauge
callscribe_places_held{endpoint="a"} 2.0
callscribe_places_held{endpoint="b"} 3.0
# TYPE callscribe_sessions_live gauge
callscribe_sessions_live 4.0
# TYPE callscribe_live_streams gauge
callscribe_live_streams{carrier="twilio"} 1.0
# TYPE callscribe_streams_total counter
callscribe_streams_total{carrier="twilio",status="completed"} 7.0
callscribe_streams_total{carrier="twilio",status="failed"} 1.0
# TYPE callscribe_streams_created gauge
callscribe_reconnects_total{reason="model-error"} 3.0
callscribe_rollovers_total{why="pause"} 6.0
callscribe_streams_created{carrier="twilio",status="completed"} 1.7e+09
"""


def reading(**changed: int) -> Reading:
    fields = dict.fromkeys(Reading.__slots__, 0)
    return Reading(**(fields | changed))


def test_reading_sums_over_labels() -> None:
    assert parse(EXPOSITION) == Reading(50_000_000, 9, 14, 5, 4, 1, 8, 3, 6)


async def test_gateway_exports_the_metrics_that_are_read() -> None:
    metrics = Metrics()
    add_process_metrics(metrics.registry, asyncio.get_running_loop())
    metrics.places_held.labels("a").set(1)
    metrics.sessions_live.set(2)
    metrics.live_streams.labels("twilio").set(3)
    metrics.streams_total.labels("twilio", "lost", "gateway-lost").inc(4)
    found = parse(generate_latest(metrics.registry).decode())
    assert (found.slots, found.sessions, found.live_calls, found.ended_calls) == (1, 2, 3, 4)
    assert found.rss_bytes > 1_000_000
    assert found.fds > 0
    assert found.tasks > 0


@pytest.mark.parametrize("held", ["slots", "sessions", "live_calls"])
def test_gateway_with_leftovers_of_a_call_is_not_idle(held: str) -> None:
    assert reading().is_idle
    assert not reading(**{held: 1}).is_idle


@given(
    st.floats(-50, 50), st.integers(10, 400), st.integers(50_000_000, 500_000_000), st.floats(0, 99)
)
def test_steady_growth_is_measured_after_any_warm_up(
    slope: float, count: int, start_bytes: int, began_s: float
) -> None:
    """In MB per minute; the first fifth of the samples is ignored."""
    samples = [
        (began_s + 2.0 * at, start_bytes + int(slope * 1e6 / 60 * 2.0 * at)) for at in range(count)
    ]
    for at in range(count // 5):
        samples[at] = samples[at][0], 0
    assert mb_per_min(samples) == pytest.approx(slope, abs=0.01)


@pytest.mark.parametrize("count", [0, 1])
def test_growth_is_0_with_too_few_samples(count: int) -> None:
    assert mb_per_min([(0.0, 1)] * count) == 0


async def test_until_idle_waits_for_an_idle_reading() -> None:
    of_calls = r"(places_held\S*|sessions_live|live_streams\S*) \d\S*"
    texts = iter([EXPOSITION, re.sub(of_calls, r"\1 0", EXPOSITION)])

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=next(texts))

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with listening(app, "127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
        watch = Watch(http, f"http://127.0.0.1:{port}", every_s=0.01)
        found = await watch.until_idle(reading(tasks=9, fds=14), timeout_s=30)
    assert found.is_idle
    assert next(texts, None) is None
