"""Slow models, failed replays and bursts: no published word is lost."""

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
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.calls.test_holds import answering, hang_up, send
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle


def published(harness: StreamHarness) -> str:
    """Return the transcript as a reader assembles it by the rules of docs/events.md."""
    texts: dict[int, tuple[int, str]] = {}
    for event in harness.events:
        if isinstance(event, TranscriptDelta):
            rev, text = texts.get(event.segment, (event.rev, ""))
            assert event.rev >= rev
            texts[event.segment] = (event.rev, (text if event.rev == rev else "") + event.text)
        elif isinstance(event, TranscriptFinal):
            assert texts[event.segment] == (event.rev, event.text)
    return " ".join(text for _, (_, text) in sorted(texts.items()))


@in_virtual_time
async def test_slow_model_is_waited_for_at_the_end() -> None:
    """Symptom: 5 of the 12.5 tokens/s needed; `done-timeout` despite deltas; 29 s were lost."""
    # every other delta is empty: words only would mean another model
    transport = answering(lambda number, _: f" w{number}" if number % 2 else "", token_s=0.2)
    limits: dict[str, Any] = {"finish_timeout_s": 60, "max_lag_ms": 60_000}
    async with running_stream(transport, **limits) as (harness, task):
        harness.start()
        await send(harness, 0, 30_000)
        await hang_up(harness, task)
    assert harness.ended.status is Status.COMPLETED
    assert harness.of(TranscriptGap) == []
    assert published(harness).split() == [f"w{number}" for number in range(1, 376, 2)]


@in_virtual_time
async def test_mute_session_is_replaced_after_the_hang_up() -> None:
    """Symptom: it was replaced only after the 20 s of `done_timeout_s`."""
    async with running_stream(done_timeout_s=20, finish_timeout_s=60, mute_timeout_s=8) as (
        harness,
        task,
    ):
        harness.start()
        await send(harness, 0, 1600)
        harness.feed("stop")
        await asyncio.sleep(10)
        assert len(harness.transport.streams) == 2
        assert harness.reservation.slots[0].outcomes == ["session-mute"]
        harness.transport.streams[1].answer_all()
        await asyncio.wait_for(task, 10)


@pytest.mark.parametrize("replayed_words", [0, 1, 3])
@in_virtual_time
async def test_words_published_before_a_failed_replay_are_kept(replayed_words: int) -> None:
    """Symptom: the final contained only the words of the replay that failed early."""
    async with running_stream(retry_budget_s=0.5, finish_timeout_s=20) as (harness, task):
        harness.start()
        await settle()
        harness.audio(50)
        for number in range(40):
            harness.peer.delta(f" w{number}")
        harness.peer.close(UpstreamError("stream-reset"))
        await asyncio.sleep(1)
        for number in range(replayed_words):
            harness.transport.streams[1].delta(f" v{number}")
        harness.transport.refusal = UpstreamError("access-denied")
        harness.transport.streams[1].close(UpstreamError("stream-reset"))
        await asyncio.wait_for(asyncio.gather(task, _stop_later(harness)), 60)
    assert published(harness) == " ".join(f"w{number}" for number in range(40))
    [gap] = harness.of(TranscriptGap)
    assert (gap.from_ms, gap.to_ms) == (3200, 4000)


async def _stop_later(harness: StreamHarness) -> None:
    await asyncio.sleep(5)
    harness.feed("stop")


@in_virtual_time
async def test_words_after_a_segment_closed_by_a_failed_replay_are_kept() -> None:
    async with running_stream(retry_budget_s=0.5, finish_timeout_s=20) as (harness, task):
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
        await asyncio.wait_for(asyncio.gather(task, _stop_later(harness)), 60)
    first, second_final = harness.of(TranscriptFinal)
    assert first.text == "v0 v1"
    assert second_final.text == " ".join(f"w{number}" for number in range(14, 40))


@in_virtual_time
async def test_burst_before_the_first_session_is_declared_as_backpressure() -> None:
    """Symptom: 45 s at once exceeded the buffer; the cause was `reconnect` without a failure."""
    transport = ScriptedTransport()
    transport.gate.clear()
    async with running_stream(transport, replay_ms=30_000) as (harness, task):
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


@in_virtual_time
async def test_finish_timeout_starts_at_the_hang_up_while_slots_are_reserved() -> None:
    """Symptom: the timeout began only when the slots were reserved, after the hang-up."""
    transport = ScriptedTransport()
    transport.refusal = UpstreamError("host-unreachable")
    async with running_stream(transport, finish_timeout_s=6, retry_budget_s=60) as (harness, task):

        async def reserve_slowly(start: CallStarted) -> None:
            await asyncio.sleep(4)

        harness.reservation.reserve_slots = reserve_slowly  # type: ignore[method-assign]
        harness.start()
        harness.audio(10)
        harness.feed("stop")
        await asyncio.wait_for(task, 7)


def failing_after_opening(error: UpstreamError) -> ScriptedTransport:
    def refuse(stream: ScriptedStream) -> None:
        stream.close(error)

    return ScriptedTransport(refuse)


@in_virtual_time
async def test_failed_stream_reports_the_error_that_opened_the_breaker() -> None:
    """Symptom: `stream.ended` had the reason `circuit-open` instead of the error before it."""
    async with running_stream(
        failing_after_opening(UpstreamError("connect-refused")), retry_budget_s=3
    ) as (
        harness,
        task,
    ):
        acquire = harness.reservation.acquire_slot

        async def raise_circuit_open() -> None:
            raise UpstreamError("circuit-open")

        async def acquire_once() -> object:
            harness.reservation.acquire_slot = raise_circuit_open  # type: ignore[method-assign, assignment]
            return await acquire()

        harness.reservation.acquire_slot = acquire_once  # type: ignore[method-assign, assignment]
        harness.start()
        await asyncio.wait_for(task, 60)
    assert harness.ended.reason == "connect-refused"


@in_virtual_time
async def test_words_that_only_a_failed_replay_returned_are_kept() -> None:
    """Symptom: 30 words of a replay were replaced by the 4 words of the session before."""
    async with running_stream(retry_budget_s=0.5, finish_timeout_s=20) as (harness, task):
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
        await asyncio.wait_for(asyncio.gather(task, _stop_later(harness)), 60)
    words = [f"v{number}" for number in range(30)] + [f"w{number}" for number in range(36, 40)]
    assert published(harness) == " ".join(words)


@in_virtual_time
async def test_failed_track_publishes_its_final_before_the_hang_up() -> None:
    """Symptom: a track that could not reach the model closed its segment at the hang-up."""
    async with running_stream(retry_budget_s=1) as (harness, _):
        harness.start("inbound", "outbound")
        await settle()
        harness.audio(10)
        for number in range(5):
            harness.peer.delta(f" w{number}")
        harness.transport.refusal = UpstreamError("access-denied")
        harness.peer.close(UpstreamError("stream-reset"))
        await asyncio.sleep(5)
        assert [final.text for final in harness.of(TranscriptFinal)] == ["w0 w1 w2 w3 w4"]


@in_virtual_time
async def test_rollover_replays_the_rest_if_the_old_context_is_full_at_its_commit() -> None:
    """Symptom: `done` was sent before the final commit; 2 s of buffered audio became a gap."""
    transport = ScriptedTransport()
    async with running_stream(transport, rollover_soft_s=1000, rollover_hard_s=5) as (harness, _):
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
    """Return a model with a delay of 480 ms that sends its rest 2 s after the final commit."""

    def greet(stream: ScriptedStream) -> None:
        received_bytes = sent_tokens = 0

        def send_until(until: int) -> None:
            nonlocal sent_tokens
            while sent_tokens < until and not stream.aborted:
                sent_tokens += 1
                stream.delta(" w" if sent_tokens < 20 else "")

        async def finish() -> None:
            await asyncio.sleep(2)
            send_until(received_bytes // 2560)
            if not stream.aborted:
                stream.done()

        def receive(message: dict[str, Any]) -> None:
            nonlocal received_bytes
            received_bytes += len(base64.b64decode(message.get("audio", "")))
            send_until(received_bytes // 2560 - 6)
            if message.get("final"):
                stream.finishing = asyncio.create_task(finish())  # type: ignore[attr-defined]  # keeps the task

        stream.on_sent = receive
        stream.created()

    return ScriptedTransport(greet)


@in_virtual_time
async def test_session_not_checked_during_a_rollover_is_not_stalled() -> None:
    """Symptom: a healthy session failed 1 s after its commit, because the next one opened late."""
    transport = answering_late()
    async with running_stream(
        transport, rollover_soft_s=8, open_timeout_s=30, done_timeout_s=20
    ) as (
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
    assert {outcome for slot in harness.reservation.slots for outcome in slot.outcomes} == {
        "worked"
    }
