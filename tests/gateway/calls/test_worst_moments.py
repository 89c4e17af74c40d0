"""The guarantees to readers when sessions fail during replays, rollovers and hang-ups."""

import asyncio
import base64

from gateway.errors import UpstreamError
from gateway.transcript.events import (
    GapCause,
    Status,
    TranscriptFinal,
    TranscriptGap,
)
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.calls.test_sessions import SILENCE, answering, sent_ms, talk
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle

LOST = UpstreamError("connection-lost")


def answering_nothing(stream: ScriptedStream) -> None:
    """Script a model that answers each 80 ms at once, without words."""
    stream.on_sent = lambda message: stream.delta("") if "audio" in message else None
    stream.created()


def texts(harness: StreamHarness) -> list[tuple[int, int, str]]:
    return [(f.segment, f.rev, f.text) for f in harness.of(TranscriptFinal)]


async def speech_after_silence(harness: StreamHarness) -> None:
    """Feed 4 s of silence, then 1.6 s of speech: token 1 is "hello", token 10 is "world"."""
    harness.start()
    await settle()
    for _ in range(50):
        harness.audio(1, code=SILENCE)
        harness.peer.delta("")
    harness.audio(20)
    harness.peer.delta(" hello")
    for _ in range(8):
        harness.peer.delta("")
    harness.peer.delta(" world")


class TestLostWords:
    @in_virtual_time
    async def test_second_failure_early_in_replay_replays_whole_segment(self) -> None:
        async with running_stream() as (harness, task):
            await speech_after_silence(harness)
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            assert sent_ms(second) == 800 + 1600
            second.delta("")  # the lead-in
            second.close(LOST)
            await asyncio.sleep(1)
            third = harness.transport.streams[2]
            replayed_ms = sent_ms(third)
            for _ in range(10):
                third.delta("")
            third.delta(" hello")
            for _ in range(8):
                third.delta("")
            third.delta(" world")
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        assert replayed_ms == 2400
        assert texts(harness) == [(1, 1, "hello world")]

    @in_virtual_time
    async def test_full_context_early_in_replay_keeps_published_words(self) -> None:
        async with running_stream() as (harness, task):
            await speech_after_silence(harness)
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            second.delta("")
            second.done()  # unasked
            await asyncio.sleep(1)
            third = harness.transport.streams[2]
            assert harness.of(TranscriptGap) == []
            replayed_ms = sent_ms(third)
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        # The words are final, so the third session gets only the audio behind the last word.
        assert texts(harness) == [(1, 0, "hello world")]
        assert replayed_ms == 800

    @in_virtual_time
    async def test_eviction_during_failed_replay_keeps_published_words(self) -> None:
        async with running_stream(replay_ms=3000) as (harness, task):
            await speech_after_silence(harness)
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            second.delta("")
            harness.transport.refusal = UpstreamError("connect-refused")
            second.close(LOST)
            harness.audio(20)  # evicts the first 1000 ms of the replay: kept from 4200
            harness.transport.refusal = None
            await asyncio.sleep(6)
            third = harness.transport.streams[2]
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        # The words are final. What was evicted is before them, so it is not a gap.
        assert texts(harness) == [(1, 0, "hello world")]
        assert harness.of(TranscriptGap) == []


class TestRepeatedWords:
    @in_virtual_time
    async def test_full_context_in_replay_does_not_replay_final_words(self) -> None:
        def narrow(stream: ScriptedStream) -> None:
            if len(transport.streams) == 2:
                stream.room = 2 + 5  # update, commit, 400 ms
            stream.created()

        transport = ScriptedTransport(narrow)
        async with running_stream(transport) as (harness, task):
            harness.start()
            await settle()
            harness.audio(25)
            harness.peer.delta(" one")
            for _ in range(19):
                harness.peer.delta("")
            harness.peer.delta(" two")  # ends at 1680
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            harness.transport.streams[1].done()
            await asyncio.sleep(1)
            third = harness.transport.streams[2]
            final_end_ms = max(f.end_ms for f in harness.of(TranscriptFinal))
            assert final_end_ms == 1680
            assert sent_ms(third) == 2000 - 1680
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task


class TestFullContextAtHangUp:
    @in_virtual_time
    async def test_next_session_transcribes_what_full_context_left(self) -> None:
        """Symptom: a gap, because `done` for a full context passed for the reply to the commit."""
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(20)
            harness.feed("stop")
            await settle()
            for _ in range(5):
                harness.peer.delta(" one")
            harness.peer.done()
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            assert sent_ms(second) == 1600 - 400 + 2
            second.delta(" two")
            second.answer_all()
            await task
        assert [text for _, _, text in texts(harness)] == ["one one one one one", "two"]
        assert harness.ended.gap_ms == 0


class TestHolds:
    @in_virtual_time
    async def test_segment_after_long_hold_is_replayed(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(10, code=SILENCE, timestamp="0")
            for _ in range(10):
                harness.peer.delta("")
            harness.audio(10, timestamp="60000")  # a hold of one minute, which is not filled
            harness.peer.delta("")
            for text in (" hel", "lo", " wo"):
                harness.peer.delta(text)
            harness.audio(1)  # evicts what is before the hold
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            assert sent_ms(second) == 880
            assert harness.of(TranscriptFinal) == []  # still open, and completely buffered
            second.delta(" hello")
            second.delta(" world")
            harness.feed("stop")
            await settle()
            second.answer_all()
            await task
        assert texts(harness) == [(1, 1, "hello world")]


class TestGapsAndWords:
    @in_virtual_time
    async def test_evicted_audio_that_is_in_a_final_is_no_gap(self) -> None:
        def narrow(stream: ScriptedStream) -> None:
            if len(transport.streams) == 2:
                stream.room = 2  # update and commit, but no audio
            stream.created()

        transport = ScriptedTransport(narrow)
        async with running_stream(transport, replay_ms=3000) as (harness, task):
            harness.start()
            await settle()
            harness.audio(25)
            for _ in range(25):
                harness.peer.delta(" w")
            harness.peer.close(LOST)
            await asyncio.sleep(0.2)
            for _ in range(25):
                harness.audio(1)  # evicts 1000 ms that session 1 had answered
            second = transport.streams[1]
            second.make_room(1)  # the session notices the eviction
            second.close(LOST)
            await asyncio.sleep(1)
            third = transport.streams[2]
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        [final] = harness.of(TranscriptFinal)
        assert (final.start_ms, final.end_ms) == (0, 2000)
        assert harness.of(TranscriptGap) == []


class TestBudget:
    @in_virtual_time
    async def test_failures_minutes_apart_on_silent_track_do_not_exhaust_budget(self) -> None:
        async with running_stream(ScriptedTransport(answering), retry_budget_s=60) as (
            harness,
            task,
        ):
            harness.start("inbound", "outbound")
            await settle()
            await talk(harness, 2, track="outbound")
            await talk(harness, 2)
            outbound = [s for s in harness.transport.streams if not s.aborted][1]
            outbound.close(LOST)
            await talk(harness, 100)  # the other track, whose session works
            open_ones = [s for s in harness.transport.streams if s is not outbound]
            idle = open_ones[-1]
            idle.close(LOST)  # the first failure for 100 s
            await talk(harness, 3)
            await talk(harness, 2, track="outbound")
            snapshot = harness.stream.snapshot()
            harness.feed("stop")
            await settle()
            for stream in harness.transport.streams:
                stream.done()
            await task
        assert snapshot
        assert [track.state for track in snapshot.tracks] == ["live", "live"]
        assert harness.ended.status is Status.COMPLETED


class TestEndings:
    @in_virtual_time
    async def test_call_without_audio_ends_without_waiting_for_words(self) -> None:
        async with running_stream() as (harness, task):
            harness.reservation.full = True
            harness.start()
            await asyncio.sleep(1)
            began_s = asyncio.get_running_loop().time()
            harness.feed("stop")
            await task
            took_s = asyncio.get_running_loop().time() - began_s
        assert (harness.ended.status, harness.ended.reason) == (Status.COMPLETED, "carrier-stopped")
        assert took_s < 1

    @in_virtual_time
    async def test_permanent_failure_after_last_word_completes_call(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.feed("stop")
            await settle()
            harness.peer.close(UpstreamError("validation-error"))
            await task
        assert harness.ended.gap_ms == 0
        assert harness.ended.status is Status.COMPLETED

    @in_virtual_time
    async def test_call_without_slot_ends_with_endpoint_at_capacity(self) -> None:
        async with running_stream() as (harness, task):
            harness.reservation.full = True
            harness.start()
            await settle()
            harness.audio(3)
            harness.feed("stop")
            await task
        assert harness.ended.reason == "endpoint-at-capacity"

    @in_virtual_time
    async def test_bug_in_one_track_keeps_words_of_failed_track(self) -> None:
        async with running_stream() as (harness, task):
            harness.start("inbound", "outbound")
            await settle()
            harness.audio(3)
            harness.peer.delta(" hello")
            harness.peer.close(UpstreamError("validation-error"))
            await settle()
            harness.reservation.has_a_bug = True
            harness.transport.streams[1].close(LOST)
            await asyncio.gather(task, return_exceptions=True)
        assert [f.text for f in harness.of(TranscriptFinal)] == ["hello"]
        assert [(gap.from_ms, gap.to_ms, gap.cause) for gap in harness.of(TranscriptGap)] == [
            (80, 240, GapCause.RECONNECT)
        ]

    @in_virtual_time
    async def test_published_words_survive_failed_replay(self) -> None:
        async with running_stream() as (harness, task):
            await speech_after_silence(harness)
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            harness.transport.streams[1].delta("")  # the lead-in
            harness.transport.streams[1].close(UpstreamError("validation-error"))
            await task
        assert [f.text for f in harness.of(TranscriptFinal)] == ["hello world"]


class TestRollover:
    @in_virtual_time
    async def test_rollover_cuts_over_in_next_pause(self) -> None:
        transport = ScriptedTransport(answering)
        async with running_stream(transport, rollover_soft_s=5) as (harness, _):
            harness.start()
            await talk(harness, 5.2)
            transport.gate.clear()  # opening takes long
            await talk(harness, 2.4, code=SILENCE)
            transport.gate.set()
            harness.audio(1)  # speech resumes at that moment
            await talk(harness, 1)
            await talk(harness, 3, code=SILENCE)  # the next pause
            assert len(transport.streams) == 2
            assert harness.peer.types[-1] == "commit"

    @in_virtual_time
    async def test_rollover_keeps_old_session_if_new_one_is_lost(self) -> None:
        transport = ScriptedTransport(answering)
        async with running_stream(transport, rollover_soft_s=5) as (harness, _):
            harness.start()
            await talk(harness, 5.2)
            transport.gate.clear()
            await talk(harness, 2.4, code=SILENCE)
            transport.gate.set()
            harness.audio(1)
            await talk(harness, 2)
            transport.streams[1].close(LOST)  # while it waits for a pause
            await talk(harness, 4, code=SILENCE)
            assert harness.peer.types[-1] == "append"

    @in_virtual_time
    async def test_hang_up_during_rollover_waits_for_pending_words(self) -> None:
        transport = ScriptedTransport(answering)
        async with running_stream(transport, rollover_hard_s=5) as (harness, task):
            harness.start()
            await talk(harness, 4.5)
            transport.gate.clear()
            await talk(harness, 1.6)
            harness.peer.on_sent = lambda message: (
                harness.peer.answer_all() if message.get("final") else None
            )
            harness.feed("stop")
            began_s = asyncio.get_running_loop().time()
            await task
            took_s = asyncio.get_running_loop().time() - began_s
        assert harness.ended.status is Status.COMPLETED
        assert took_s < 1

    @in_virtual_time
    async def test_rollover_keeps_old_session_if_new_one_cannot_open(self) -> None:
        transport = ScriptedTransport(answering)
        async with running_stream(transport, rollover_hard_s=5, retry_budget_s=20) as (harness, _):
            harness.start()
            await talk(harness, 3)
            transport.refusal = UpstreamError("connect-refused")
            await talk(harness, 4)
            assert harness.peer.types[-1] == "append"


class TestClock:
    @in_virtual_time
    async def test_token_before_any_audio_covers_nothing(self) -> None:
        async with running_stream(ScriptedTransport(answering_nothing), rollover_soft_s=5) as (
            harness,
            task,
        ):
            harness.start()
            await talk(harness, 4, code=SILENCE)
            await asyncio.sleep(3.5)  # rolled over in the pause; the new session gets no audio
            old, new = harness.transport.streams
            old.done()
            await settle()
            new.delta("")
            new.close(LOST)
            await asyncio.sleep(1)
            harness.feed("stop")
            await settle()
            harness.transport.streams[2].done()
            await task
        assert harness.of(TranscriptGap) == []


class TestBursts:
    @in_virtual_time
    async def test_filled_hole_does_not_evict_audio_that_a_session_can_take(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(1, timestamp="0")
            harness.peer.delta(" one")
            harness.feed(  # 60 ms of speech, then 30 s are missing: filled with silence
                "media",
                media={
                    "track": "inbound",
                    "payload": base64.b64encode(bytes(480)).decode(),
                    "timestamp": "80",
                },
            )
            harness.audio(1, timestamp="30140")
            harness.feed("stop")
            await settle()
            harness.peer.answer_all()
            await task
        assert [gap.cause for gap in harness.of(TranscriptGap)] == [GapCause.CARRIER_LOSS]

    @in_virtual_time
    async def test_long_message_is_sent_completely(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(400)  # 32 s: less than a message may hold; the session has room
            harness.feed("stop")
            await settle()
            harness.peer.answer_all()
            await task
        assert harness.of(TranscriptGap) == []


class TestMemory:
    @in_virtual_time
    async def test_gaps_of_silent_track_are_not_kept_indefinitely(self) -> None:
        async with running_stream(ScriptedTransport(answering_nothing)) as (harness, _):
            harness.start()
            await settle()
            for i in range(600):  # every second frame of 80 ms is lost, in silence
                harness.audio(1, code=SILENCE, timestamp=str(i * 160), chunk=str(2 * i + 1))
                await asyncio.sleep(0.08)
            [track] = harness.stream._tracks.values()  # noqa: SLF001 - what it keeps is the point
            assert len(track._replay._gaps) < 20  # noqa: SLF001

    @in_virtual_time
    async def test_empty_chunks_count_towards_the_buffer_limit(self) -> None:
        async with running_stream() as (harness, _):
            harness.start()
            await settle()
            harness.peer.room = 0
            for i in range(2000):  # no audio in them, but an ever later time
                harness.feed(
                    "media",
                    media={"track": "inbound", "payload": "", "timestamp": str(i * 40_000)},
                )
            [track] = harness.stream._tracks.values()  # noqa: SLF001
            assert len(track._buffer._unsent) < 20  # noqa: SLF001
