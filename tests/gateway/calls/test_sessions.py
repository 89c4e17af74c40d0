"""A track's words when its sessions fail, are rolled over or fall silent. In virtual time."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from gateway.calls.termination import IDLE, SILENT, TOO_LONG, Termination
from gateway.errors import REASONS, CarrierError, UpstreamError
from gateway.transcript.events import (
    FinalReason,
    GapCause,
    Status,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle
from tests.simulation import loop

LOUD = 0x00  # mu-law: full scale
SILENCE = 0xFF
TAIL_MS = 2  # the interpolator's


async def talk(
    harness: StreamHarness, seconds: float, *, code: int = LOUD, track: str = "inbound"
) -> None:
    """Send audio in real time."""
    for _ in range(round(seconds / 0.08)):
        harness.audio(1, track, code=code)
        await asyncio.sleep(0.08)


def sent_ms(stream: ScriptedStream) -> int:
    return sum(len(stream.audio(i)) for i in range(stream.types.count("append"))) // 32


def answering(stream: ScriptedStream) -> None:
    """Script a model that answers each 80 ms at once with a word."""
    stream.on_sent = lambda message: stream.delta(" w") if "audio" in message else None
    stream.created()


def answering_without_words(stream: ScriptedStream) -> None:
    """Script a model that answers each 80 ms at once with an empty delta."""
    stream.on_sent = lambda message: stream.delta("") if "audio" in message else None
    stream.created()


class TestReconnect:
    @in_virtual_time
    async def test_reconnect_replays_open_segment_with_a_new_rev(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(5)
            harness.peer.delta(" he")
            harness.peer.delta("llo")
            harness.peer.close(UpstreamError("stream-reset"))
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            assert sent_ms(second) == 400
            second.delta(" hello")
            second.delta(" you")
            harness.feed("stop")
            await settle()
            second.answer_all()
            await task
        assert [(d.segment, d.rev, d.text) for d in harness.of(TranscriptDelta)] == [
            (1, 0, "he"),
            (1, 0, "llo"),
            (1, 1, "hello"),
            (1, 1, " you"),
        ]
        [final] = harness.of(TranscriptFinal)
        assert (final.segment, final.rev, final.text) == (1, 1, "hello you")
        assert harness.of(TranscriptGap) == []
        assert harness.ended.status is Status.COMPLETED

    @in_virtual_time
    async def test_reconnect_does_not_replay_final_words(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(1)
            harness.audio(20, code=SILENCE)
            harness.peer.delta(" hello")
            for _ in range(15):
                harness.peer.delta("")
            assert [f.text for f in harness.of(TranscriptFinal)] == ["hello"]
            harness.audio(3)
            harness.peer.close(UpstreamError("connection-lost"))
            await asyncio.sleep(1)
            # Answered up to 1280 ms, nothing loud since 80 ms: replayed from 800 ms before 1280.
            assert sent_ms(harness.transport.streams[1]) == 24 * 80 - (1280 - 800)
            harness.feed("stop")
            await settle()
            harness.transport.streams[1].answer_all()
            await task
        assert [f.text for f in harness.of(TranscriptFinal)] == ["hello"]
        assert harness.ended.gap_ms == 0

    @in_virtual_time
    async def test_replay_without_words_replaces_them_by_an_empty_final(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(3)
            harness.peer.delta(" hm")
            harness.peer.close(UpstreamError("connection-lost"))
            harness.feed("stop")
            await asyncio.sleep(1)
            harness.transport.streams[1].answer_all()
            await task
        [final] = harness.of(TranscriptFinal)
        assert (final.segment, final.rev, final.text) == (1, 1, "")

    @in_virtual_time
    async def test_words_are_kept_when_the_retry_budget_is_exhausted(self) -> None:
        async with running_stream(retry_budget_s=3) as (harness, task):
            harness.start()
            await settle()
            harness.audio(3)
            harness.peer.delta(" hello")
            harness.transport.refusal = UpstreamError("connect-refused")
            harness.peer.close(UpstreamError("connection-lost"))
            termination = await task
        assert [f.text for f in harness.of(TranscriptFinal)] == ["hello"]
        assert harness.of(TranscriptGap) == [TranscriptGap("inbound", 80, 240, GapCause.RECONNECT)]
        assert (termination.status, termination.reason) == (Status.FAILED, "connect-refused")

    @in_virtual_time
    async def test_audio_beyond_the_replay_buffer_is_a_gap_and_earlier_words_are_kept(
        self,
    ) -> None:
        async with running_stream(replay_ms=800) as (harness, task):
            harness.start()
            await settle()
            harness.audio(5)
            harness.peer.delta(" one")
            harness.transport.refusal = UpstreamError("connect-refused")
            harness.peer.close(UpstreamError("connection-lost"))
            await talk(harness, 1.6)
            harness.transport.refusal = None
            await talk(harness, 4)
            second = harness.transport.streams[1]
            harness.feed("stop")
            await settle()
            second.delta(" two")
            second.answer_all()
            await task
        assert [(f.segment, f.rev, f.text) for f in harness.of(TranscriptFinal)] == [
            (1, 0, "one"),
            (2, 0, "two"),
        ]
        [gap] = harness.of(TranscriptGap)
        assert (gap.from_ms, gap.cause) == (80, GapCause.RECONNECT)
        assert gap.to_ms - gap.from_ms == harness.ended.gap_ms > 0
        assert gap.to_ms + sent_ms(second) == harness.ended.duration_ms + TAIL_MS

    @in_virtual_time
    async def test_attempts_back_off_with_full_jitter_within_the_budget(self) -> None:
        times: list[float] = []
        transport = ScriptedTransport()
        transport.refusal = UpstreamError("throttled")
        transport.on_open = lambda: times.append(asyncio.get_running_loop().time())
        async with running_stream(transport, retry_budget_s=60) as (harness, task):
            harness.start()
            termination = await task
        waits = [after - before for before, after in pairwise(times)]
        assert 10 < len(waits) < 100
        assert all(wait <= min(5, 0.1 * 2**i) for i, wait in enumerate(waits))
        assert max(waits) > 2
        assert 50 < times[-1] <= 60
        assert termination.reason == "throttled"

    @pytest.mark.parametrize(
        "reason", sorted(reason for reason, info in REASONS.items() if not info.retry)
    )
    def test_permanent_faults_are_not_retried(self, reason: str) -> None:
        async def main() -> None:
            transport = ScriptedTransport()
            transport.refusal = UpstreamError(reason)
            attempts: list[None] = []
            transport.on_open = lambda: attempts.append(None)
            async with running_stream(transport) as (harness, task):
                harness.start()
                termination = await task
            assert (termination.status, termination.reason) == (Status.FAILED, reason)
            assert len(attempts) == 1

        loop.run(main(), limit_s=100)

    @in_virtual_time
    async def test_every_slot_is_released(self) -> None:
        async with running_stream() as (harness, task):
            harness.start("inbound", "outbound")
            await settle()
            harness.audio(2)
            harness.peer.close(UpstreamError("connection-lost"))
            await asyncio.sleep(1)
            harness.feed("stop")
            await settle()
            harness.finish_all()
            await task
        assert len(harness.reservation.slots) == 3
        assert not any(slot.held for slot in harness.reservation.slots)

    @in_virtual_time
    async def test_stream_cancelled_while_connecting_releases_its_slot(self) -> None:
        transport = ScriptedTransport()
        transport.gate.clear()
        async with running_stream(transport) as (harness, task):
            harness.start()
            await settle()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert [slot.held for slot in harness.reservation.slots] == [False]

    @in_virtual_time
    async def test_full_context_loses_no_audio(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(15)
            harness.peer.delta(" one")
            for _ in range(11):
                harness.peer.delta("")
            harness.peer.done()  # without a commit: the context is full
            harness.audio(1)
            await settle()
            second = harness.transport.streams[1]  # opened at once
            assert sent_ms(second) == 16 * 80 - 80
            harness.feed("stop")
            await settle()
            second.delta(" two")
            second.answer_all()
            await task
        assert [(f.text, f.reason, f.start_ms) for f in harness.of(TranscriptFinal)] == [
            ("one", FinalReason.ROLLOVER, 0),
            ("two", FinalReason.PAUSE, 80),
        ]
        assert harness.ended.gap_ms == 0

    @in_virtual_time
    async def test_model_that_is_always_done_early_is_retried_within_the_budget(self) -> None:
        def done_early(stream: ScriptedStream) -> None:
            stream.created()
            asyncio.get_running_loop().call_later(0.01, stream.done)

        transport = ScriptedTransport(done_early)
        async with running_stream(transport, retry_budget_s=20) as (harness, task):
            harness.start()
            termination = await task
        assert termination.reason == "context-full"
        assert len(transport.streams) < 40


class TestRollover:
    @in_virtual_time
    async def test_rollover_in_a_pause_switches_sessions_before_the_old_one_ends(self) -> None:
        async with running_stream(rollover_soft_s=5) as (harness, task):
            harness.start()
            await talk(harness, 0.08)
            harness.peer.delta(" one")
            await talk(harness, 6.32)
            assert len(harness.transport.streams) == 1  # no pause so far
            await talk(harness, 2.4, code=SILENCE)
            old, new = harness.transport.streams
            assert old.types[-1] == "commit"
            assert not old.finished
            assert sent_ms(new) > 0
            new.delta(" three")
            assert len(harness.of(TranscriptDelta)) == 1  # held until the old session has ended
            old.delta(" two")
            old.answer_all()
            await settle()
            harness.feed("stop")
            await settle()
            new.answer_all()
            await task
        texts = [(f.segment, f.rev, f.text, f.reason) for f in harness.of(TranscriptFinal)]
        assert [text for _, _, text, _ in texts] == ["one two", "three"]
        assert sent_ms(old) + sent_ms(new) == harness.ended.duration_ms + TAIL_MS
        assert harness.ended.gap_ms == 0
        assert harness.metrics.registry.get_sample_value(
            "callscribe_rollovers_total", {"why": "pause"}
        )

    @in_virtual_time
    async def test_hard_limit_rolls_over_in_mid_speech(self) -> None:
        async with running_stream(ScriptedTransport(answering), rollover_hard_s=5) as (
            harness,
            task,
        ):
            harness.start()
            await talk(harness, 8)
            old, new = harness.transport.streams
            old.done()
            await talk(harness, 1)
            harness.feed("stop")
            await settle()
            new.answer_all()
            await task
        assert [f.reason for f in harness.of(TranscriptFinal)] == ["rollover", "hangup"]
        assert harness.ended.gap_ms == 0

    @pytest.mark.parametrize("full", ["slots", "container"])
    @in_virtual_time
    async def test_rollover_without_a_second_session_finishes_the_old_one_first(
        self, full: str
    ) -> None:
        async with running_stream(ScriptedTransport(answering), rollover_hard_s=5) as (
            harness,
            task,
        ):
            harness.start()
            await talk(harness, 3)
            if full == "slots":
                harness.reservation.full = True
            else:
                harness.transport.refusal = UpstreamError("model-at-capacity")
            await talk(harness, 2.4)
            assert harness.peer.types[-1] == "commit"
            harness.reservation.full, harness.transport.refusal = False, None
            harness.peer.done()
            await talk(harness, 1)
            assert len(harness.transport.streams) == 2
            harness.feed("stop")
            await settle()
            harness.transport.streams[1].answer_all()
            await task
        assert harness.ended.gap_ms == 0
        assert harness.ended.status is Status.COMPLETED

    @in_virtual_time
    async def test_old_session_that_fails_during_a_rollover_is_replayed(self) -> None:
        async with running_stream(rollover_soft_s=5) as (harness, task):
            harness.start()
            await talk(harness, 5.2)
            await talk(harness, 2.4, code=SILENCE)
            harness.peer.close(UpstreamError("connection-lost"))
            await asyncio.sleep(1)
            _, new, third = harness.transport.streams
            assert new.aborted
            assert sent_ms(third) == 7600  # the whole call: no word of it was received
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        assert harness.ended.gap_ms == 0

    @in_virtual_time
    async def test_new_session_that_fails_during_a_rollover_is_replaced(self) -> None:
        async with running_stream(rollover_soft_s=5) as (harness, task):
            harness.start()
            await talk(harness, 5.2)
            await talk(harness, 2.4, code=SILENCE)
            old, new = harness.transport.streams
            new.close(UpstreamError("connection-lost"))
            old.delta(" one")
            old.answer_all()
            await asyncio.sleep(1)
            third = harness.transport.streams[2]
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        assert [f.text for f in harness.of(TranscriptFinal)] == ["one"]
        assert harness.ended.gap_ms == 0


class TestWatchdogs:
    @in_virtual_time
    async def test_mute_session_is_replaced_and_its_audio_replayed(self) -> None:
        async with running_stream(mute_timeout_s=8) as (harness, task):
            harness.start()
            await talk(harness, 14)
            second = harness.transport.streams[1]
            assert harness.peer.aborted
            assert sent_ms(second) == 14_000
            harness.feed("stop")
            await settle()
            second.answer_all()
            await task
        assert "session-mute" in harness.reservation.slots[0].outcomes
        assert harness.metrics.registry.get_sample_value(
            "callscribe_first_deltas_late_total", {"endpoint": "main"}
        )
        assert harness.ended.gap_ms == 0

    @in_virtual_time
    async def test_session_that_stops_answering_is_replaced(self) -> None:
        async with running_stream(ScriptedTransport(answering), mute_timeout_s=8) as (
            harness,
            task,
        ):
            harness.start()
            await talk(harness, 1)
            harness.peer.on_sent = lambda _: None
            await talk(harness, 13)
            assert "session-stalled" in harness.reservation.slots[0].outcomes
            harness.feed("stop")
            await settle()
            harness.transport.streams[1].answer_all()
            await task
        assert harness.ended.gap_ms == 0

    @in_virtual_time
    async def test_session_without_more_audio_is_not_stalled(self) -> None:
        """The model buffers 2400 ms, its longest delay, before it answers."""

        def late(stream: ScriptedStream) -> None:
            stream.on_sent = lambda _: (
                stream.delta("") if stream.types.count("append") > 30 else None
            )
            stream.created()

        async with running_stream(
            ScriptedTransport(late), mute_timeout_s=8, idle_timeout_s=1000
        ) as (
            harness,
            _,
        ):
            harness.start()
            await talk(harness, 1)
            await asyncio.sleep(20)
            assert len(harness.transport.streams) == 1

    @in_virtual_time
    async def test_silent_model_is_replaced_but_not_during_a_pause(self) -> None:
        async with running_stream(ScriptedTransport(answering_without_words)) as (harness, _):
            harness.start()
            await talk(harness, 60, code=SILENCE)
            assert len(harness.transport.streams) == 1
            await talk(harness, 20)
            assert "model-rut" in harness.reservation.slots[0].outcomes
            assert len(harness.transport.streams) == 2
            assert sent_ms(harness.transport.streams[1]) > 15_000  # the audio without words
            await talk(harness, 60)
            # The threshold doubles each time, because of hold music.
            assert len(harness.transport.streams) <= 4

    @in_virtual_time
    async def test_audio_that_an_outage_evicted_does_not_fail_the_next_session(self) -> None:
        """Symptom: if a stall follows the outage, the new session was failed as `model-rut`."""
        transport = ScriptedTransport(answering_without_words)
        async with running_stream(transport, replay_ms=2000, rut_deltas=10) as (harness, _):
            harness.start()
            await talk(harness, 2.8, code=SILENCE)
            transport.refusal = UpstreamError("connect-refused")
            harness.peer.close()
            await talk(harness, 1)
            await talk(harness, 5, code=SILENCE)
            transport.refusal = None
            await asyncio.sleep(10)
            assert len(transport.streams) == 2
            assert sent_ms(transport.streams[1]) < 3000, "padding is sent although no word is due"

    @in_virtual_time
    async def test_lagging_session_is_rolled_over(self) -> None:
        async with running_stream(max_lag_ms=5000, mute_timeout_s=1000) as (harness, task):
            harness.start()
            await talk(harness, 12)
            assert len(harness.transport.streams) == 2
            # It may still return words for the audio that it received.
            assert harness.peer.types[-1] == "commit"
            harness.peer.answer_all()
            await settle()
            harness.feed("stop")
            await settle()
            harness.transport.streams[1].answer_all()
            await task
        assert harness.metrics.registry.get_sample_value(
            "callscribe_rollovers_total", {"why": "lag"}
        )
        assert harness.ended.gap_ms == 0


class TestEnds:
    @pytest.mark.parametrize(
        ("termination", "code", "seconds"),
        [(IDLE, None, 60), (SILENT, SILENCE, 100), (TOO_LONG, LOUD, 200)],
        ids=["idle", "silence", "max-duration"],
    )
    def test_limit_ends_the_stream_after_its_pending_words(
        self, termination: Termination, code: int | None, seconds: int
    ) -> None:
        async def main() -> None:
            limits: dict[str, Any] = {
                "idle_timeout_s": 60,
                "silence_timeout_s": 100,
                "max_call_s": 200,
                "is_probed": False,
            }
            async with running_stream(ScriptedTransport(answering), **limits) as (harness, task):
                harness.start()
                began_s = asyncio.get_running_loop().time()
                while harness.stream.termination is None:
                    await (asyncio.sleep(1) if code is None else talk(harness, 0.8, code=code))
                took_s = asyncio.get_running_loop().time() - began_s
                for stream in harness.transport.streams:
                    stream.done()
                assert await task == termination
            assert seconds <= took_s <= seconds + 5
            assert harness.ended.reason == termination.reason
            assert len(harness.of(TranscriptFinal)) == (
                0 if code is None else harness.ended.segments
            )

        loop.run(main(), limit_s=1000)

    @in_virtual_time
    async def test_refused_stream_opens_no_session(self) -> None:
        async with running_stream() as (harness, task):
            harness.reservation.refusal = CarrierError("endpoint-at-capacity")
            harness.start()
            harness.audio(2)
            termination = await task
        assert termination.close_code == 1013
        assert (harness.ended.status, harness.ended.reason) == (
            Status.REFUSED,
            "endpoint-at-capacity",
        )
        assert harness.transport.streams == []
        assert harness.ended.gap_ms == 160

    @in_virtual_time
    async def test_ended_stream_keeps_no_audio(self) -> None:
        """Symptom: memory grew with ended calls until a full garbage collection."""
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(5)
            harness.feed("stop")
            await settle()
            harness.peer.answer_all()
            await task
            [track] = harness.stream._tracks.values()  # noqa: SLF001 - only its state shows it
            assert track._buffer.rewind(0) == 0  # noqa: SLF001

    @in_virtual_time
    async def test_failure_after_the_final_commit_is_replayed(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(3)
            harness.peer.delta(" good")
            harness.feed("stop")
            await settle()
            harness.peer.close()  # end of stream without done
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            second.delta(" goodbye")
            second.answer_all()
            await task
        assert [f.text for f in harness.of(TranscriptFinal)] == ["goodbye"]
        assert (harness.ended.status, harness.ended.gap_ms) == (Status.COMPLETED, 0)

    @in_virtual_time
    async def test_failure_with_nothing_unanswered_opens_no_other_session(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.feed("stop")
            await settle()
            harness.peer.close(UpstreamError("connection-lost"))
            await task
        assert len(harness.transport.streams) == 1
        assert harness.ended.status is Status.COMPLETED
