"""Words that come late, sessions that give up, bursts: no word less than was published."""

import asyncio
from typing import Any

import pytest

from gateway.carriers.events import CallStarted
from gateway.errors import UpstreamError
from gateway.transcript.events import (
    GapCause,
    Status,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)
from tests.gateway.calls.scene import Scene, living, virtually
from tests.gateway.calls.test_holds import answering, hang_up, send, words_until
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle


def published(scene: Scene) -> str:
    """Return the words of a reader who followed the rules of docs/events.md to the end."""
    texts: dict[int, tuple[int, str]] = {}
    for event in scene.events:
        if isinstance(event, TranscriptDelta):
            rev, text = texts.get(event.segment, (event.rev, ""))
            assert event.rev >= rev
            texts[event.segment] = (event.rev, (text if event.rev == rev else "") + event.text)
        elif isinstance(event, TranscriptFinal):
            assert texts[event.segment] == (event.rev, event.text)
    return " ".join(text for _, (_, text) in sorted(texts.items()))


@virtually
async def test_an_engine_that_is_slow_at_the_end_is_waited_for() -> None:
    """Symptom: 5 tokens/s of the 12.5 needed; `done-timeout` though deltas came; 29 s lost."""
    transport = answering(words_until(375), token_s=0.2)
    limits: dict[str, Any] = {"finish_timeout_s": 60, "max_lag_ms": 60_000}
    async with living(transport, **limits) as (scene, task):
        scene.start()
        await send(scene, 0, 30_000)
        await hang_up(scene, task)
    assert scene.ended.status is Status.COMPLETED
    assert scene.of(TranscriptGap) == []
    assert published(scene) == " ".join(f"w{number}" for number in range(375))


@virtually
async def test_a_session_that_is_mute_at_the_hang_up_is_found_by_its_watchdog() -> None:
    """Symptom: found only after the 20 s of `done_timeout_s`."""
    async with living(done_timeout_s=20, finish_timeout_s=60, mute_timeout_s=8) as (scene, task):
        scene.start()
        await send(scene, 0, 1600)
        scene.feed("stop")
        await asyncio.sleep(10)
        assert len(scene.transport.streams) == 2
        assert scene.ticket.places[0].verdicts == ["session-mute"]
        scene.transport.streams[1].answer_all()
        await asyncio.wait_for(task, 10)


@pytest.mark.parametrize("said_again", [0, 1, 3])
@virtually
async def test_when_a_replay_comes_to_less_what_was_published_stands(said_again: int) -> None:
    """Symptom: the final held only the words of a replay that was given up early."""
    async with living(retry_budget_s=0.5, finish_timeout_s=20) as (scene, task):
        scene.start()
        await settle()
        scene.audio(50)
        for number in range(40):
            scene.peer.delta(f" w{number}")
        scene.peer.close(UpstreamError("stream-reset"))
        await asyncio.sleep(1)
        for number in range(said_again):
            scene.transport.streams[1].delta(f" v{number}")
        scene.transport.refusal = UpstreamError("access-denied")
        scene.transport.streams[1].close(UpstreamError("stream-reset"))
        await asyncio.wait_for(asyncio.gather(task, _stop(scene)), 60)
    assert published(scene) == " ".join(f"w{number}" for number in range(40))
    [gap] = scene.of(TranscriptGap)
    assert (gap.from_ms, gap.to_ms) == (3200, 4000)


async def _stop(scene: Scene) -> None:
    await asyncio.sleep(5)
    scene.feed("stop")


@virtually
async def test_a_replay_that_closed_a_segment_early_loses_nothing_either() -> None:
    async with living(retry_budget_s=0.5, finish_timeout_s=20) as (scene, task):
        scene.start()
        await settle()
        scene.audio(50)
        for number in range(40):
            scene.peer.delta(f" w{number}")
        scene.peer.close(UpstreamError("stream-reset"))
        await asyncio.sleep(1)
        second = scene.transport.streams[1]
        for text in (" v0", " v1", *[""] * 14):
            second.delta(text)
        scene.transport.refusal = UpstreamError("access-denied")
        second.close(UpstreamError("stream-reset"))
        await asyncio.wait_for(asyncio.gather(task, _stop(scene)), 60)
    first, second_final = scene.of(TranscriptFinal)
    assert first.text == "v0 v1"
    assert second_final.text == " ".join(f"w{number}" for number in range(14, 40))


@virtually
async def test_a_burst_before_the_first_session_is_no_reconnect() -> None:
    """Symptom: 45 s at once exceeded the ring; declared `reconnect` though nothing had failed."""
    transport = ScriptedTransport()
    transport.gate.clear()
    async with living(transport, replay_ms=30_000) as (scene, task):
        scene.start()
        await settle()
        for _ in range(45):
            scene.audio(12)
            scene.audio(1)
        transport.gate.set()
        await settle()
        scene.feed("stop")
        await settle()
        scene.finish_all()
        await asyncio.wait_for(task, 10)
    assert {gap.cause for gap in scene.of(TranscriptGap)} == {GapCause.BACKPRESSURE}


@virtually
async def test_the_last_words_time_runs_from_the_hang_up_also_while_slots_are_waited_for() -> None:
    """Symptom: a call that hung up while it waited for its slots got that time on top."""
    transport = ScriptedTransport()
    transport.refusal = UpstreamError("host-unreachable")
    async with living(transport, finish_timeout_s=6, retry_budget_s=60) as (scene, task):

        async def wait(start: CallStarted) -> None:
            await asyncio.sleep(4)

        scene.ticket.settle = wait  # type: ignore[method-assign]  # slow
        scene.start()
        scene.audio(10)
        scene.feed("stop")
        await asyncio.wait_for(task, 7)


def circuit_open_after(error: UpstreamError) -> ScriptedTransport:
    def refuse(stream: ScriptedStream) -> None:
        stream.close(error)

    return ScriptedTransport(refuse)


@virtually
async def test_a_stream_that_failed_names_the_cause_and_not_the_breaker() -> None:
    """Symptom: `stream.ended` said `circuit-open` of a call that had been refused before."""
    async with living(circuit_open_after(UpstreamError("connect-refused")), retry_budget_s=3) as (
        scene,
        task,
    ):
        place = scene.ticket.place

        async def shut() -> None:
            raise UpstreamError("circuit-open")

        async def place_once() -> object:
            scene.ticket.place = shut  # type: ignore[method-assign, assignment]  # from now on
            return await place()

        scene.ticket.place = place_once  # type: ignore[method-assign, assignment]  # a breaker
        scene.start()
        await asyncio.wait_for(task, 60)
    assert scene.ended.reason == "connect-refused"
