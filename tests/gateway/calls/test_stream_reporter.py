"""The log line of a stream, and its metrics."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.calls.termination import Termination
from gateway.carriers.events import CallStarted, CarrierEvent
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import twilio
from gateway.errors import CarrierError, UpstreamError
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.scripted import ScriptedTransport, settle


def line(logs: list[Any], event: str = "stream-ended") -> dict[str, Any]:
    [found] = [each for each in logs if each["event"] == event]
    return dict(found)


async def call(harness: StreamHarness, task: "asyncio.Task[Any]", *words: str) -> None:
    """Run a call in which the model sends words, each for 80 ms of audio."""
    harness.start("inbound", "outbound")
    await settle()
    for word in words:
        harness.audio()
        await asyncio.sleep(0.25)
        harness.peer.delta(word)
    harness.feed("stop")
    await settle()
    harness.finish_all()
    await task


@in_virtual_time
async def test_log_line_has_route_endpoint_words_and_latency() -> None:
    with capture_logs() as logs:
        async with running_stream() as (harness, task):
            await call(harness, task, " hello", " you", " there")
    found = line(logs)
    assert found["log_level"] == "info"
    assert (found["route"], found["endpoint"]) == ("default", "main")
    assert (found["words"], found["segments"]) == (3, 1)
    assert (found["reconnects"], found["rollovers"]) == (0, 0)
    assert 200 < found["latency_p50_ms"] <= 300
    assert 200 < found["latency_p99_ms"] <= 300
    assert found["hint"] is None
    role = {"carrier": "twilio", "role": "customer"}
    metric = harness.metrics.registry.get_sample_value
    assert metric("callscribe_words_total", role) == 3
    assert metric("callscribe_audio_seconds_total", role) == pytest.approx(0.24)


@in_virtual_time
async def test_log_line_has_the_number_of_reconnects() -> None:
    with capture_logs() as logs:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio()
            harness.peer.close(UpstreamError("connection-lost"))
            await asyncio.sleep(1)
            harness.feed("stop")
            await settle()
            harness.transport.streams[-1].answer_all()
            await task
    found = line(logs)
    assert (found["reconnects"], found["latency_p50_ms"], found["words"]) == (1, None, 0)


@pytest.mark.parametrize("reason", ["access-denied", "endpoint-not-found", "tls-untrusted"])
@in_virtual_time
async def test_failed_stream_is_logged_as_a_warning_with_a_hint(reason: str) -> None:
    """Symptom: the only log line of a call without a single word was at info."""
    transport = ScriptedTransport()
    transport.refusal = UpstreamError(reason)
    with capture_logs() as logs:
        async with running_stream(transport) as (harness, task):
            harness.start()
            harness.audio()
            await task
    found = line(logs)
    assert (found["log_level"], found["status"]) == ("warning", "failed")
    assert (found["reason"], found["endpoint"]) == (reason, "main")
    assert found["hint"]


@in_virtual_time
async def test_refused_stream_is_logged_as_a_warning() -> None:
    with capture_logs() as logs:
        async with running_stream() as (harness, task):
            harness.reservation.refusal = CarrierError("endpoint-at-capacity")
            harness.start()
            await task
    found = line(logs)
    assert (found["log_level"], found["status"]) == ("warning", "refused")
    assert "GATEWAY_ENDPOINT_SESSIONS" in found["hint"]


@in_virtual_time
async def test_protocol_error_before_the_start_is_logged_as_a_warning() -> None:
    with capture_logs() as logs:
        async with running_stream() as (harness, task):
            harness.stream.end(Termination.failed(CarrierError("start-timeout")))
            await task
    assert line(logs, "stream-never-started")["log_level"] == "warning"


class OddRate(JsonMediaAdapter):
    """An adapter that announces a sample rate which is not supported."""

    def receive_text(self, message: bytes | str) -> Sequence[CarrierEvent]:
        odd = TrackFormat("inbound", Encoding.PCMU, 11_025)
        return [CallStarted("CA1", "MZ1", (odd,), {}, None)]


@in_virtual_time
async def test_stream_that_fails_in_its_start_is_counted_at_start_and_end() -> None:
    """Symptom: its end was counted without its start; the gauge of live streams was negative."""
    async with running_stream(adapter=OddRate(twilio.DIALECT)) as (harness, task):
        with pytest.raises(CarrierError, match="unsupported-encoding") as refused:
            harness.start()
        harness.stream.end(Termination.failed(refused.value))
        await task
    metric = harness.metrics.registry.get_sample_value
    assert metric("callscribe_live_streams", {"carrier": "twilio"}) == 0
    assert metric("callscribe_live_calls", {"carrier": "twilio"}) == 0
    assert metric("callscribe_calls_total", {"carrier": "twilio", "status": "failed"}) == 1
