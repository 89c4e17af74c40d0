"""Words that come late, sessions that give up, bursts: no word less than was published."""

import asyncio
import base64
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
from tests.gateway.calls.stream_harness import StreamHarness, living, virtually
from tests.gateway.calls.test_holds import answering, hang_up, send, words_until
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle


def published(harness: StreamHarness) -> str:
    """Return the words of a reader who followed the rules of docs/events.md to the end."""
    texts: dict[int, tuple[int, str]] = {}
    for event in harness.events:
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
    async with living(transport, **limits) as (harness, task):
        harness.start()
        await send(harness, 0, 30_000)
        await hang_up(harness, task)
    assert harness.ended.status is Status.COMPLETED
    assert harness.of(TranscriptGap) == []
    assert published(harness) == " ".join(f"w{number}" for number in range(375))


@virtually
async def test_a_session_that_is_mute_at_the_hang_up_is_found_by_its_watchdog() -> None:
    """Symptom: found only after the 20 s of `done_timeout_s`."""
    async with living(done_timeout_s=20, finish_timeout_s=60, mute_timeout_s=8) as (harness, task):
        harness.start()
        await send(harness, 0, 1600)
        harness.feed("stop")
        await asyncio.sleep(10)
        assert len(harness.transport.streams) == 2
        assert harness.reservation.places[0].verdicts == ["session-mute"]
        harness.transport.streams[1].answer_all()
        await asyncio.wait_for(task, 10)


@pytest.mark.parametrize("said_again", [0, 1, 3])
@virtually
async def test_when_a_replay_comes_to_less_what_was_published_stands(said_again: int) -> None:
    """Symptom: the final held only the words of a replay that was given up early."""
    async with living(retry_budget_s=0.5, finish_timeout_s=20) as (harness, task):
        harness.start()
        await settle()
        harness.audio(50)
        for number in range(40):
            harness.peer.delta(f" w{number}")
        harness.peer.close(UpstreamError("stream-reset"))
        await asyncio.sleep(1)
        for number in range(said_again):
            harness.transport.streams[1].delta(f" v{number}")
        harness.transport.refusal = UpstreamError("access-denied")
        harness.transport.streams[1].close(UpstreamError("stream-reset"))
        await asyncio.wait_for(asyncio.gather(task, _stop(harness)), 60)
    assert published(harness) == " ".join(f"w{number}" for number in range(40))
    [gap] = harness.of(TranscriptGap)
    assert (gap.from_ms, gap.to_ms) == (3200, 4000)


async def _stop(harness: StreamHarness) -> None:
    await asyncio.sleep(5)
    harness.feed("stop")


@virtually
async def test_a_replay_that_closed_a_segment_early_loses_nothing_either() -> None:
    async with living(retry_budget_s=0.5, finish_timeout_s=20) as (harness, task):
        harness.start()
        await settle()
        harness.audio(50)
        for number in range(40):
            harness.peer.delta(f" w{number}")
        harness.peer.close(UpstreamError("stream-reset"))
        await asyncio.sleep(1)
        second = harness.transport.streams[1]
        for text in (" v0", " v1", *[""] * 14):
            second.delta(text)
        harness.transport.refusal = UpstreamError("access-denied")
        second.close(UpstreamError("stream-reset"))
        await asyncio.wait_for(asyncio.gather(task, _stop(harness)), 60)
    first, second_final = harness.of(TranscriptFinal)
    assert first.text == "v0 v1"
    assert second_final.text == " ".join(f"w{number}" for number in range(14, 40))


@virtually
async def test_a_burst_before_the_first_session_is_no_reconnect() -> None:
    """Symptom: 45 s at once exceeded the ring; declared `reconnect` though nothing had failed."""
    transport = ScriptedTransport()
    transport.gate.clear()
    async with living(transport, replay_ms=30_000) as (harness, task):
        harness.start()
        await settle()
        for _ in range(45):
            harness.audio(12)
            harness.audio(1)
        transport.gate.set()
        await settle()
        harness.feed("stop")
        await settle()
        harness.finish_all()
        await asyncio.wait_for(task, 10)
    assert {gap.cause for gap in harness.of(TranscriptGap)} == {GapCause.BACKPRESSURE}


@virtually
async def test_the_last_words_time_runs_from_the_hang_up_also_while_slots_are_waited_for() -> None:
    """Symptom: a call that hung up while it waited for its slots got that time on top."""
    transport = ScriptedTransport()
    transport.refusal = UpstreamError("host-unreachable")
    async with living(transport, finish_timeout_s=6, retry_budget_s=60) as (harness, task):

        async def wait(start: CallStarted) -> None:
            await asyncio.sleep(4)

        harness.reservation.reserve_slots = wait  # type: ignore[method-assign]  # slow
        harness.start()
        harness.audio(10)
        harness.feed("stop")
        await asyncio.wait_for(task, 7)


def circuit_open_after(error: UpstreamError) -> ScriptedTransport:
    def refuse(stream: ScriptedStream) -> None:
        stream.close(error)

    return ScriptedTransport(refuse)


@virtually
async def test_a_stream_that_failed_names_the_cause_and_not_the_breaker() -> None:
    """Symptom: `stream.ended` said `circuit-open` of a call that had been refused before."""
    async with living(circuit_open_after(UpstreamError("connect-refused")), retry_budget_s=3) as (
        harness,
        task,
    ):
        acquire = harness.reservation.acquire_slot

        async def shut() -> None:
            raise UpstreamError("circuit-open")

        async def acquire_once() -> object:
            harness.reservation.acquire_slot = shut  # type: ignore[method-assign, assignment]  # from now on
            return await acquire()

        harness.reservation.acquire_slot = acquire_once  # type: ignore[method-assign, assignment]  # a breaker
        harness.start()
        await asyncio.wait_for(task, 60)
    assert harness.ended.reason == "connect-refused"


@virtually
async def test_words_that_only_the_replay_found_stand_when_it_is_given_up() -> None:
    """Symptom: 30 words of a replay were replaced by the 4 that the session before had said."""
    async with living(retry_budget_s=0.5, finish_timeout_s=20) as (harness, task):
        harness.start()
        await settle()
        harness.audio(50)
        for number in range(40):
            harness.peer.delta("" if number < 36 else f" w{number}")
        harness.peer.close(UpstreamError("stream-reset"))
        await asyncio.sleep(1)
        second = harness.transport.streams[1]
        for number in range(30):
            second.delta(f" v{number}")
        harness.transport.refusal = UpstreamError("access-denied")
        second.close(UpstreamError("stream-reset"))
        await asyncio.wait_for(asyncio.gather(task, _stop(harness)), 60)
    words = [f"v{number}" for number in range(30)] + [f"w{number}" for number in range(36, 40)]
    assert published(harness) == " ".join(words)


@virtually
async def test_a_failed_track_has_its_final_before_the_hang_up() -> None:
    """Symptom: the open segment of a track without a way to the model closed with the call."""
    async with living(retry_budget_s=1) as (harness, _):
        harness.start("inbound", "outbound")
        await settle()
        harness.audio(10)
        for number in range(5):
            harness.peer.delta(f" w{number}")
        harness.transport.refusal = UpstreamError("access-denied")
        harness.peer.close(UpstreamError("stream-reset"))
        await asyncio.sleep(5)
        assert [final.text for final in harness.of(TranscriptFinal)] == ["w0 w1 w2 w3 w4"]


@virtually
async def test_a_rollover_whose_old_context_is_full_at_its_commit_replays_the_rest() -> None:
    """Symptom: a `done` that did not answer the final commit; 2 s declared, though in the ring."""
    transport = ScriptedTransport()
    async with living(transport, rollover_soft_s=1000, rollover_hard_s=5) as (harness, _):
        harness.start()
        await settle()
        old = transport.streams[0]
        for number in range(62):
            harness.audio(1)
            if number < 40:
                old.delta(f" w{number}")
            await asyncio.sleep(0.08)
        for _ in range(100):
            if old.types.count("commit") == 1:
                harness.audio(1)
                await asyncio.sleep(0.08)
        old.done()
        await asyncio.sleep(1)
        assert harness.of(TranscriptGap) == []
        assert len(transport.streams) == 3


def answering_late() -> ScriptedTransport:
    """A model with a delay of 480 ms, which says what is left two seconds after the commit."""

    def greet(stream: ScriptedStream) -> None:
        heard = said = 0

        def say(until: int) -> None:
            nonlocal said
            while said < until and not stream.aborted:
                said += 1
                stream.delta(" w" if said < 20 else "")

        async def end() -> None:
            await asyncio.sleep(2)
            say(heard // 2560)
            if not stream.aborted:
                stream.done()

        def take(message: dict[str, Any]) -> None:
            nonlocal heard
            heard += len(base64.b64decode(message.get("audio", "")))
            say(heard // 2560 - 6)
            if message.get("final"):
                stream.termination = asyncio.create_task(end())  # type: ignore[attr-defined]  # kept

        stream.on_sent = take
        stream.created()

    return ScriptedTransport(greet)


@virtually
async def test_a_session_that_nobody_checked_is_not_stalled() -> None:
    """Symptom: a healthy session failed 1 s after its commit, because the next one opened late."""
    transport = answering_late()
    async with living(transport, rollover_soft_s=8, open_timeout_s=30, done_timeout_s=20) as (
        harness,
        task,
    ):
        harness.start()
        await send(harness, 0, 2000)
        await asyncio.sleep(3)
        transport.gate.clear()
        await asyncio.sleep(14)
        transport.gate.set()
        await asyncio.sleep(5)
        await hang_up(harness, task)
    assert {verdict for slot in harness.reservation.places for verdict in slot.verdicts} == {
        "worked"
    }
