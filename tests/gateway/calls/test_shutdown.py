"""Shutdown while calls can't reach the model: it takes seconds, not a minute."""

import asyncio

import pytest

from gateway.calls.registry import LiveStreams
from gateway.calls.termination import Termination
from gateway.errors import UpstreamError
from gateway.transcript.events import GapCause, TranscriptFinal, TranscriptGap
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.scripted import ScriptedTransport

FINISH_S = 60.0


async def speak(harness: StreamHarness, seconds: int) -> None:
    for _ in range(seconds * 10):
        harness.audio()
        await asyncio.sleep(0.1)


async def shut_down(
    harness: StreamHarness, task: "asyncio.Task[Termination]", at_once: asyncio.Event | None = None
) -> float:
    """End the process's streams; return how many seconds that took."""
    streams = LiveStreams(1)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with streams.admit():
        with streams.hold(harness.stream):
            ending = asyncio.create_task(streams.end_all(FINISH_S + 15, at_once))
            await task
        took_s = loop.time() - began_s
    await ending
    return took_s


@pytest.mark.parametrize(
    "reason", ["no-credentials", "credentials-expired", "connect-refused", "service-unavailable"]
)
@in_virtual_time
async def test_shutdown_does_not_wait_for_a_call_whose_sessions_fail(reason: str) -> None:
    """Symptom: without AWS credentials Ctrl-C took a minute, for a call that had no session."""
    transport = ScriptedTransport()
    transport.refusal = UpstreamError(reason)
    async with running_stream(transport, finish_timeout_s=FINISH_S) as (harness, task):
        harness.start("inbound", "outbound")
        await speak(harness, 44)
        assert await shut_down(harness, task) < 1
    assert harness.ended.status == "drained"
    [gap] = harness.of(TranscriptGap)
    assert (gap.from_ms, gap.to_ms, gap.cause) == (0, 440 * 80, GapCause.RECONNECT)


@in_virtual_time
async def test_shutdown_does_not_wait_for_a_call_that_hung_up_without_a_session() -> None:
    transport = ScriptedTransport()
    transport.refusal = UpstreamError("no-credentials")
    async with running_stream(transport, finish_timeout_s=FINISH_S) as (harness, task):
        harness.start()
        await speak(harness, 10)
        harness.feed("stop")
        await asyncio.sleep(3)
        assert not task.done()  # without a shutdown, sessions are retried until the timeout
        assert await shut_down(harness, task) < 1
    assert (harness.ended.status, harness.ended.reason) == ("failed", "no-credentials")


@in_virtual_time
async def test_new_call_has_a_few_seconds_to_open_a_session() -> None:
    transport = ScriptedTransport()
    transport.gate.clear()  # no session opens
    async with running_stream(transport, finish_timeout_s=FINISH_S, open_timeout_s=30) as (
        harness,
        task,
    ):
        harness.start()
        await speak(harness, 1)
        took_s = await shut_down(harness, task)
        assert 3 < took_s < 6


@in_virtual_time
async def test_session_that_opens_during_the_shutdown_may_finish() -> None:
    transport = ScriptedTransport()
    transport.refusal = UpstreamError("connect-refused")
    async with running_stream(transport, finish_timeout_s=FINISH_S, done_timeout_s=30) as (
        harness,
        task,
    ):
        harness.start()
        await speak(harness, 1)
        shutdown = asyncio.create_task(shut_down(harness, task))
        await asyncio.sleep(1)
        transport.refusal = None
        await asyncio.sleep(6)  # the model is slow
        assert not task.done()
        harness.peer.delta(" bye")
        harness.finish_all()
        await shutdown
    [final] = harness.of(TranscriptFinal)
    assert final.text == "bye"
    assert not harness.of(TranscriptGap)


@in_virtual_time
async def test_failed_session_is_retried_for_a_few_seconds_during_the_shutdown() -> None:
    transport = ScriptedTransport()
    async with running_stream(transport, finish_timeout_s=FINISH_S, done_timeout_s=30) as (
        harness,
        task,
    ):
        harness.start()
        await speak(harness, 5)
        shutdown = asyncio.create_task(shut_down(harness, task))
        await asyncio.sleep(1)
        transport.refusal = UpstreamError("connect-refused")
        harness.peer.close(UpstreamError("connection-lost"))
        assert await shutdown < 8


@in_virtual_time
async def test_shutdown_at_once_publishes_the_end_without_waiting_for_words() -> None:
    """Symptom: a second Ctrl-C changed nothing."""
    at_once = asyncio.Event()
    async with running_stream(finish_timeout_s=FINISH_S, done_timeout_s=30) as (harness, task):
        harness.start()
        await speak(harness, 5)
        harness.peer.delta(" hello")
        asyncio.get_running_loop().call_later(1, at_once.set)
        assert await shut_down(harness, task, at_once) < 2
    assert harness.ended.status == "drained"
    assert [final.text for final in harness.of(TranscriptFinal)] == ["hello"]
    assert harness.of(TranscriptGap)
