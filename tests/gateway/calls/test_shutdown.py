"""The end of the process, while calls have no way to the model: in seconds, not in a minute."""

import asyncio

import pytest

from gateway.calls.ending import Ending
from gateway.calls.registry import LiveStreams
from gateway.errors import UpstreamError
from gateway.transcript.events import GapCause, TranscriptFinal, TranscriptGap
from tests.gateway.calls.scene import Scene, living, virtually
from tests.gateway.scripted import ScriptedTransport

FINISH_S = 60.0


async def speak(scene: Scene, seconds: int) -> None:
    for _ in range(seconds * 10):
        scene.audio()
        await asyncio.sleep(0.1)


async def shut_down(
    scene: Scene, task: "asyncio.Task[Ending]", at_once: asyncio.Event | None = None
) -> float:
    """End the process's streams; give how long it took."""
    streams = LiveStreams(1)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with streams.admit():
        with streams.hold(scene.stream):
            ending = asyncio.create_task(streams.end_all(FINISH_S + 15, at_once))
            await task
        took_s = loop.time() - began_s
    await ending
    return took_s


@pytest.mark.parametrize(
    "reason", ["no-credentials", "credentials-expired", "connect-refused", "service-unavailable"]
)
@virtually
async def test_a_call_whose_sessions_fail_is_not_waited_for(reason: str) -> None:
    """Symptom: without AWS credentials Ctrl-C took a minute, for a call that had no session."""
    transport = ScriptedTransport()
    transport.refusal = UpstreamError(reason)
    async with living(transport, finish_timeout_s=FINISH_S) as (scene, task):
        scene.start("inbound", "outbound")
        await speak(scene, 44)
        assert await shut_down(scene, task) < 1
    assert scene.ended.status == "drained"
    [gap] = scene.of(TranscriptGap)
    assert (gap.from_ms, gap.to_ms, gap.cause) == (0, 440 * 80, GapCause.RECONNECT)


@virtually
async def test_a_call_that_hung_up_before_is_not_waited_for_either() -> None:
    transport = ScriptedTransport()
    transport.refusal = UpstreamError("no-credentials")
    async with living(transport, finish_timeout_s=FINISH_S) as (scene, task):
        scene.start()
        await speak(scene, 10)
        scene.feed("stop")
        await asyncio.sleep(3)
        assert not task.done()  # a hang-up alone: the way may be mended within its time
        assert await shut_down(scene, task) < 1
    assert (scene.ended.status, scene.ended.reason) == ("failed", "no-credentials")


@virtually
async def test_a_call_that_just_began_has_a_few_seconds_to_reach_the_model() -> None:
    transport = ScriptedTransport()
    transport.gate.clear()  # a black hole
    async with living(transport, finish_timeout_s=FINISH_S, open_timeout_s=30) as (scene, task):
        scene.start()
        await speak(scene, 1)
        took_s = await shut_down(scene, task)
        assert 3 < took_s < 6


@virtually
async def test_a_session_that_opens_meanwhile_gets_all_its_time() -> None:
    transport = ScriptedTransport()
    transport.refusal = UpstreamError("connect-refused")
    async with living(transport, finish_timeout_s=FINISH_S, done_timeout_s=30) as (scene, task):
        scene.start()
        await speak(scene, 1)
        ending = asyncio.create_task(shut_down(scene, task))
        await asyncio.sleep(1)
        transport.refusal = None
        await asyncio.sleep(6)  # the model is slow
        assert not task.done()
        scene.peer.delta(" bye")
        scene.finish_all()
        await ending
    [final] = scene.of(TranscriptFinal)
    assert final.text == "bye"
    assert not scene.of(TranscriptGap)


@virtually
async def test_a_live_session_that_fails_at_the_end_is_replaced_for_a_few_seconds() -> None:
    transport = ScriptedTransport()
    async with living(transport, finish_timeout_s=FINISH_S, done_timeout_s=30) as (scene, task):
        scene.start()
        await speak(scene, 5)
        ending = asyncio.create_task(shut_down(scene, task))
        await asyncio.sleep(1)
        transport.refusal = UpstreamError("connect-refused")
        scene.peer.close(UpstreamError("connection-lost"))
        assert await ending < 8


@virtually
async def test_at_once_waits_for_no_word_and_publishes_the_end() -> None:
    """Symptom: a second Ctrl-C changed nothing."""
    at_once = asyncio.Event()
    async with living(finish_timeout_s=FINISH_S, done_timeout_s=30) as (scene, task):
        scene.start()
        await speak(scene, 5)
        scene.peer.delta(" hello")
        asyncio.get_running_loop().call_later(1, at_once.set)
        assert await shut_down(scene, task, at_once) < 2
    assert scene.ended.status == "drained"
    assert [final.text for final in scene.of(TranscriptFinal)] == ["hello"]
    assert scene.of(TranscriptGap)
