"""Traces of real calls, as a collector receives them."""

import asyncio
import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from common.settings import SettingsError
from common.version import version
from gateway import app
from gateway.check import run_checks
from gateway.errors import GatewayError
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.tracing import OFF, tracing
from tests.e2e.replying_engine import engine
from tests.e2e.test_drain import running
from tests.open_carriers import open_twilio
from tests.otlp_collector import Collector, attributes, collecting
from tests.redis_servers import free_port
from tests.waiting import eventually

PHRASE = "the nightingale sings at midnight"
NUMBER = "+15550109876"
PARAMETER = "customer-record-77"
DIGITS = "#4*9#2*9"
FRAME = base64.b64encode(b"nightingale" * 58 + b"ng").decode()  # 80 ms of mu-law
SECRETS = (PHRASE, "nightingale", NUMBER, "15550109876", PARAMETER, DIGITS)
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
DELTA = json.dumps({"type": "transcription.delta", "delta": f" {PHRASE}"})
ERROR = json.dumps({"type": "error", "error": PHRASE, "code": PHRASE})
MS = 1_000_000  # in ns


@pytest.fixture(autouse=True)
def quick_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as served:
        yield served


def fail(sessions: int) -> Callable[[int], str]:
    """Return the replies of a model whose first sessions fail; the others say the phrase."""
    return lambda number: ERROR if number <= sessions else DELTA


class Caller:
    """The carrier's side of one call."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def speak(self, frames: int, pause_s: float = 0.0) -> None:
        for _ in range(frames):
            await self._socket.send_json({"event": "media", "media": {"payload": FRAME}})
            await asyncio.sleep(pause_s)

    async def press(self) -> None:
        await self._socket.send_json({"event": "dtmf", "dtmf": {"digit": DIGITS}})


@asynccontextmanager
async def calling(port: int, **headers: str) -> AsyncIterator[Caller]:
    """Place a call, and wait at its end until the gateway closes the socket."""
    start = {
        "callSid": "CA 1",
        "streamSid": "MZ1",
        "tracks": ["inbound"],
        "customParameters": {"from": NUMBER, "record": PARAMETER},
    }
    url = f"http://127.0.0.1:{port}/media/twilio?caller={NUMBER}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as socket:
        await socket.send_json({"event": "start", "start": start})
        yield Caller(socket)
        await socket.send_json({"event": "stop"})
        while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
            pass


@asynccontextmanager
async def gateway(
    redis_url: str, model_url: str, endpoint: str | None, **settings: Any
) -> AsyncIterator[app.Gateway]:
    options: dict[str, Any] = {
        "_env_file": None,
        "id": "gw-1",
        "port": 0,
        "admin_port": 0,
        "public_url": "https://gw.example.com",
        "redis_url": redis_url,
        "upstream": "websocket",
        "realtime_url": model_url,
        "otlp_endpoint": endpoint,
    }
    async with app.serve(Settings(**options | settings), [open_twilio()]) as served:
        yield served


async def until_metrics_have(served: app.Gateway, sample: str) -> None:
    """Wait: the SDK's thread counts after the collector has responded."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(20):
        while True:
            async with http.get(f"http://127.0.0.1:{served.admin}/metrics") as response:
                if sample in await response.text():
                    return
            await asyncio.sleep(0.02)


def assert_within(child: Span, parent: Span) -> None:
    assert child.parent_span_id == parent.span_id
    assert child.trace_id == parent.trace_id
    assert parent.start_time_unix_nano <= child.start_time_unix_nano
    assert child.start_time_unix_nano <= child.end_time_unix_nano <= parent.end_time_unix_nano


async def test_a_call_is_one_trace(
    redis_url: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=of-the-collector")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    began_ns = time.time_ns()
    async with engine(fail(0)) as url, gateway(redis_url, url, collector.url) as served:
        async with calling(served.public) as caller:
            await caller.speak(10)
            await caller.press()
        root = await collector.call()
        await until_metrics_have(served, 'trace_spans_exported_total{outcome="sent"} 5.0')
        await until_metrics_have(served, "trace_spans_ended_total 5.0")
    assert root.parent_span_id == b""
    assert began_ns <= root.start_time_unix_nano <= root.end_time_unix_nano <= time.time_ns()
    assert attributes(root.attributes) == {
        "callscribe.carrier": "twilio",
        "callscribe.tenant": "default",
        "callscribe.route": "default",
        "callscribe.call_id": "CA%201",
        "callscribe.stream_id": "MZ1",
        "callscribe.status": "completed",
        "callscribe.reason": "carrier-stopped",
    }
    assert root.status.code == Status.STATUS_CODE_UNSET
    names = sorted(span.name for span in collector.spans)
    assert names == ["admission", "admission", "call", "finish", "session"]
    for span in collector.spans:
        if span is not root:
            assert_within(span, root)
    [session], [finish] = collector.named("session"), collector.named("finish")
    assert attributes(session.attributes) == {
        "callscribe.endpoint": f"realtime-127.0.0.1-{urlsplit(url).port}",
        "callscribe.track": "inbound",
        "callscribe.reason": "done",
    }
    opened, first_delta = session.events
    assert (opened.name, first_delta.name) == ("opened", "first-delta")
    assert session.start_time_unix_nano <= opened.time_unix_nano <= first_delta.time_unix_nano
    assert first_delta.time_unix_nano <= session.end_time_unix_nano <= finish.end_time_unix_nano
    assert collector.resources[0].items() >= {
        ("service.name", "callscribe-gateway"),
        ("service.version", version()),
        ("service.instance.id", "gw-1"),
        ("deployment.environment.name", "test"),
    }
    assert collector.headers[0]["x-key"] == "of-the-collector"


async def test_finish_takes_as_long_as_the_last_words(redis_url: str, collector: Collector) -> None:
    """The model is done 0.3 s after the final commit."""
    async with (
        engine(fail(0), done_after_s=0.3) as url,
        gateway(redis_url, url, collector.url) as served,
    ):
        async with calling(served.public) as caller:
            await caller.speak(5)
        root = await collector.call()
    [finish] = collector.named("finish")
    assert_within(finish, root)
    assert finish.end_time_unix_nano - finish.start_time_unix_nano >= 300 * MS


async def test_a_reconnect_is_an_event_between_two_sessions(
    redis_url: str, collector: Collector
) -> None:
    async with engine(fail(1)) as url, gateway(redis_url, url, collector.url) as served:
        async with calling(served.public) as caller:
            await caller.speak(10, 0.05)
            await eventually(lambda: bool(collector.named("session")))
            await caller.speak(10, 0.05)
        root = await collector.call()
    [reconnect] = root.events
    assert reconnect.name == "reconnect"
    reason = {"callscribe.track": "inbound", "callscribe.reason": "realtime-error"}
    assert attributes(reconnect.attributes) == reason
    failed, replacing = collector.named("session")
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert failed.status.message == "realtime-error"
    assert attributes(failed.attributes).items() >= reason.items()
    assert replacing.status.code == Status.STATUS_CODE_UNSET
    assert failed.end_time_unix_nano <= reconnect.time_unix_nano <= replacing.start_time_unix_nano
    assert attributes(root.attributes)["callscribe.status"] == "completed"


async def test_a_rollover_covers_the_start_of_the_next_session(
    redis_url: str, collector: Collector
) -> None:
    async with (
        engine(fail(0)) as url,
        gateway(redis_url, url, collector.url, rollover_hard_s=0.5) as served,
    ):
        async with calling(served.public) as caller:
            while not collector.named("rollover"):
                await caller.speak(1, 0.05)
        root = await collector.call()
    [rollover] = collector.named("rollover")
    assert_within(rollover, root)
    assert attributes(rollover.attributes) == {
        "callscribe.track": "inbound",
        "callscribe.why": "age",
        "callscribe.replaced": True,
    }
    old, new = collector.named("session")
    assert rollover.start_time_unix_nano <= new.start_time_unix_nano
    assert new.start_time_unix_nano <= old.end_time_unix_nano <= rollover.end_time_unix_nano
    assert attributes(old.attributes)["callscribe.reason"] == "done"


async def test_a_refused_call_is_a_trace(redis_url: str, collector: Collector) -> None:
    """A call reserves two slots until its tracks are known; another call uses one of the two."""
    async with (
        engine(fail(0)) as url,
        gateway(redis_url, url, collector.url, endpoint_sessions=2) as served,
        calling(served.public),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with calling(served.public):
                pass
        root = await collector.call()
        [admission] = [each for each in collector.named("admission") if each.status.code]
    assert_within(admission, root)
    assert attributes(root.attributes) == {
        "callscribe.carrier": "twilio",
        "callscribe.status": "refused",
        "callscribe.reason": "endpoint-at-capacity",
    }
    for span in (root, admission):
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert span.status.message == "endpoint-at-capacity"
        assert not span.events  # no exception was recorded: its text may quote content


async def test_a_failed_call_is_marked(redis_url: str, collector: Collector) -> None:
    limits = {"retry_budget_s": 0.1}
    async with (
        engine(fail(1000)) as url,
        gateway(redis_url, url, collector.url, **limits) as served,
    ):
        async with calling(served.public) as caller:
            await caller.speak(20, 0.05)
        root = await collector.call()
    assert (root.status.code, root.status.message) == (Status.STATUS_CODE_ERROR, "realtime-error")
    assert attributes(root.attributes)["callscribe.status"] == "failed"


async def test_the_trace_context_of_a_carrier_is_ignored(
    redis_url: str, collector: Collector
) -> None:
    """Else a caller could join other traces, or switch its own off."""
    headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-00", "tracestate": "a=b"}
    async with engine(fail(0)) as url, gateway(redis_url, url, collector.url) as served:
        async with calling(served.public, **headers) as caller:
            await caller.speak(1)
        root = await collector.call()
    assert (root.parent_span_id, root.trace_state) == (b"", "")
    assert root.trace_id.hex() != TRACE_ID


@pytest.mark.parametrize("failing", [0, 1])
async def test_spans_have_no_content(redis_url: str, collector: Collector, failing: int) -> None:
    """Protobuf does not encode text further, so a phrase would be in the bytes."""
    async with engine(fail(failing)) as url, gateway(redis_url, url, collector.url) as served:
        async with calling(served.public) as caller:
            await caller.speak(10, 0.02)
            await caller.press()
        await collector.call()
    sent = b"".join(collector.bodies)
    assert b"carrier-stopped" in sent
    assert [secret for secret in SECRETS if secret.encode() in sent] == []


async def test_an_unavailable_collector_delays_no_call(
    redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with engine(fail(0)) as url, gateway(redis_url, url, nowhere) as served:
        async with calling(served.public) as caller:
            await caller.speak(3)
        await until_metrics_have(served, 'trace_spans_exported_total{outcome="failed"}')
    assert "trace-export-failed" in capsys.readouterr().out


async def test_a_hanging_collector_delays_neither_calls_nor_the_stop(
    redis_url: str, collector: Collector
) -> None:
    collector.answers.clear()
    async with engine(fail(0)) as url:
        async with gateway(redis_url, url, collector.url) as served:
            for _ in range(3):
                began_s = time.monotonic()
                async with calling(served.public) as caller:
                    await caller.speak(3)
                assert time.monotonic() - began_s < 3
            await eventually(lambda: bool(collector.bodies))
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 8  # the SDK would wait for 30 s


async def test_a_process_stops_although_its_collector_hangs(
    redis_url: str, collector: Collector
) -> None:
    """The endpoint is in the environment, as in an installation."""
    collector.answers.clear()
    async with running(redis_url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as process:
        call = await process.call("CA1")
        await call.speak(200)
        await call.send("stop")
        assert await call.closed() == 1000
        await eventually(lambda: bool(collector.bodies))
        began_s = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        assert await process.exit_code() == 0
    assert time.monotonic() - began_s < 8  # the SDK would wait for 30 s


async def test_a_full_queue_drops_spans(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    collector.answers.clear()
    metrics = Metrics()
    async with tracing(f"{collector.url}/v1/traces", "gw-1", metrics) as start_trace:
        start_trace("twilio").end()
        await eventually(lambda: bool(collector.bodies))
        for _ in range(1000):
            start_trace("twilio").end()
        collector.answers.set()
    assert len(collector.spans) == 1 + 8
    value = metrics.registry.get_sample_value
    assert value("callscribe_trace_spans_ended_total") == 1001
    assert value("callscribe_trace_spans_exported_total", {"outcome": "sent"}) == 9


async def test_last_spans_are_sent_at_the_end(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    async with tracing(f"{collector.url}/v1/traces", "gw-1", Metrics()) as start_trace:
        with pytest.raises(GatewayError), start_trace("twilio").child("admission"):
            raise GatewayError("no-route")
    [span] = collector.spans
    assert attributes(span.attributes) == {"callscribe.reason": "no-route"}


async def test_rejected_spans_are_counted_and_logged(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.status = 401
    metrics = Metrics()
    async with tracing(f"{collector.url}/v1/traces", "gw-1", metrics) as start_trace:
        start_trace("twilio").end()
    failed = "callscribe_trace_spans_exported_total", {"outcome": "failed"}
    assert metrics.registry.get_sample_value(*failed) == 1
    line = capsys.readouterr().out
    assert "trace-export-failed" in line
    assert "401" in line


async def test_the_sampler_is_chosen_by_the_standard_variable(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    metrics = Metrics()
    async with tracing(f"{collector.url}/v1/traces", "gw-1", metrics) as start_trace:
        with start_trace("twilio") as root, root.child("admission") as child:
            child.fail("no-route")
    assert collector.bodies == []
    assert metrics.registry.get_sample_value("callscribe_trace_spans_ended_total") == 0


# Without traces


def test_without_an_endpoint_the_sdk_is_not_imported(redis_url: str) -> None:
    """A whole gateway serves in a process of its own. Its Redis client imports other parts."""
    serve = """
import asyncio, sys
from gateway import app
from gateway.carriers.registry import CARRIERS
from gateway.reload import CarrierSettings
from gateway.settings import Settings

async def main():
    settings = Settings(_env_file=None, port=0, admin_port=0, public_url="https://gw.example.com",
        redis_url=sys.argv[1], upstream="websocket", realtime_url="ws://127.0.0.1:1/v1/realtime")
    async with app.serve(settings, CarrierSettings(CARRIERS, None).make()):
        print({"opentelemetry.sdk.trace", "opentelemetry.exporter", "requests", "google.protobuf"}
            & sys.modules.keys())

asyncio.run(main())
"""
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", serve, redis_url], capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_span_that_is_off_does_nothing() -> None:
    with OFF.child("session", endpoint="default") as span:
        span.event("opened")
        span.fail("no-route")
    assert span is OFF is OFF.of_track("inbound")


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    name = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("not_installed")
async def test_a_missing_package_prevents_startup(redis_url: str) -> None:
    with pytest.raises(SettingsError, match=r"requirements/otel\.txt"):
        async with gateway(redis_url, "ws://127.0.0.1:1/v1/realtime", "http://127.0.0.1:4318"):
            pass


@pytest.mark.usefixtures("not_installed")
async def test_check_reports_a_missing_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert await run_checks() == 1
    assert "OpenTelemetry is not installed" in capsys.readouterr().out


async def test_an_invalid_variable_of_the_queue_prevents_startup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    with pytest.raises(SettingsError, match="OTEL_BSP_"):
        async with tracing("http://127.0.0.1:1/v1/traces", "gw-1", Metrics()):
            pass


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, None),
        ({"otlp_endpoint": "http://otel:4318"}, "http://otel:4318/v1/traces"),
        ({"otlp_endpoint": "http://otel:4318/"}, "http://otel:4318/v1/traces"),
        ({"otlp_traces_endpoint": "http://otel:4318/in"}, "http://otel:4318/in"),
        (
            {"otlp_endpoint": "http://otel:4318", "otlp_traces_endpoint": "http://other/t"},
            "http://other/t",
        ),
    ],
)
def test_traces_url(given: dict[str, Any], url: str | None) -> None:
    settings = Settings(
        _env_file=None,
        public_url="https://gw.example.com",
        upstream="websocket",
        realtime_url="ws://model/v1/realtime",
        **given,
    )
    assert settings.traces_url == url
