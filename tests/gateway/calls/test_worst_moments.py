"""What a reader is promised, at the worst moments: failures inside replays, rollovers and ends."""

import asyncio
import base64

from gateway.errors import UpstreamError
from gateway.transcript.events import (
    GapCause,
    Status,
    TranscriptFinal,
    TranscriptGap,
)
from tests.gateway.calls.stream_harness import StreamHarness, living, virtually
from tests.gateway.calls.test_sessions import SILENCE, answering, sent_ms, talk
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle

LOST = UpstreamError("connection-lost")


def answering_nothing(stream: ScriptedStream) -> None:
    """Play a model that answers each 80 ms at once, without words."""
    stream.on_sent = lambda message: stream.delta("") if "audio" in message else None
    stream.created()


def texts(harness: StreamHarness) -> list[tuple[int, int, str]]:
    return [(f.segment, f.rev, f.text) for f in harness.of(TranscriptFinal)]


async def speech_after_silence(harness: StreamHarness) -> None:
    """4 s of silence, then 1.6 s of speech: its 1st token says hello, its 10th world."""
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
    @virtually
    async def test_a_second_failure_early_in_the_replay(self) -> None:
        async with living() as (harness, task):
            await speech_after_silence(harness)
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            assert sent_ms(second) == 800 + 1600
            second.delta("")  # the lead-in
            second.close(LOST)
            await asyncio.sleep(1)
            third = harness.transport.streams[2]
            heard_again_ms = sent_ms(third)
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
        assert heard_again_ms == 2400
        assert texts(harness) == [(1, 1, "hello world")]

    @virtually
    async def test_a_full_context_early_in_a_replay(self) -> None:
        async with living() as (harness, task):
            await speech_after_silence(harness)
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            second.delta("")
            second.done()  # unasked
            await asyncio.sleep(1)
            third = harness.transport.streams[2]
            assert harness.of(TranscriptGap) == []
            heard_again_ms = sent_ms(third)
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        # If "hello world" was taken back, it is heard again.
        assert texts(harness)[0][2] == "hello world" or heard_again_ms >= 1600

    @virtually
    async def test_the_ring_loses_the_beginning_of_a_replay_that_failed(self) -> None:
        async with living(replay_ms=3000) as (harness, task):
            await speech_after_silence(harness)
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            second.delta("")
            harness.transport.refusal = UpstreamError("connect-refused")
            second.close(LOST)
            harness.audio(20)  # pushes out the first 1000 ms of the replay: kept from 4200
            harness.transport.refusal = None
            await asyncio.sleep(6)
            third = harness.transport.streams[2]
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        # If the words were taken back, all up to the end (7200) was heard again, or is in the gap.
        gap_to_ms = max((gap.to_ms for gap in harness.of(TranscriptGap)), default=0)
        assert texts(harness)[0][2] == "hello world" or gap_to_ms + sent_ms(third) >= 7200


class TestRepeatedWords:
    @virtually
    async def test_a_full_context_before_all_of_the_replay_was_sent(self) -> None:
        def narrow(stream: ScriptedStream) -> None:
            if len(transport.streams) == 2:
                stream.room = 2 + 5  # update, commit, 400 ms
            stream.created()

        transport = ScriptedTransport(narrow)
        async with living(transport) as (harness, task):
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
            # What is in a final is not heard again.
            assert sent_ms(third) <= 2000 - final_end_ms
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task


class TestFullAtTheEnd:
    @virtually
    async def test_what_a_full_context_leaves_of_the_last_words_is_heard_by_another(self) -> None:
        """Symptom: `done` for a full context, taken for the answer to our commit; a gap."""
        async with living() as (harness, task):
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
    @virtually
    async def test_after_a_long_hold_the_segment_starts_over_too(self) -> None:
        async with living() as (harness, task):
            harness.start()
            await settle()
            harness.audio(10, code=SILENCE, timestamp="0")
            for _ in range(10):
                harness.peer.delta("")
            harness.audio(10, timestamp="60000")  # a hold of a minute: not filled
            harness.peer.delta("")
            for text in (" hel", "lo", " wo"):
                harness.peer.delta(text)
            harness.audio(1)  # forgets what is before the hold
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            second = harness.transport.streams[1]
            assert sent_ms(second) >= 800
            assert harness.of(TranscriptFinal) == []  # it is open, and all of it is in the ring
            second.delta(" hello")
            second.delta(" world")
            harness.feed("stop")
            await settle()
            second.answer_all()
            await task
        assert texts(harness) == [(1, 1, "hello world")]


class TestGapsAndWords:
    @virtually
    async def test_what_the_ring_loses_of_a_replay_is_in_a_gap_or_in_a_final(self) -> None:
        def narrow(stream: ScriptedStream) -> None:
            if len(transport.streams) == 2:
                stream.room = 2  # update, commit: takes no audio
            stream.created()

        transport = ScriptedTransport(narrow)
        async with living(transport, replay_ms=3000) as (harness, task):
            harness.start()
            await settle()
            harness.audio(25)
            for _ in range(25):
                harness.peer.delta(" w")
            harness.peer.close(LOST)
            await asyncio.sleep(0.2)
            for _ in range(25):
                harness.audio(1)  # pushes out 1000 ms that session 1 had answered
            second = transport.streams[1]
            second.make_room(1)  # declares them as a gap
            second.close(LOST)
            await asyncio.sleep(1)
            third = transport.streams[2]
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        [final] = harness.of(TranscriptFinal)
        for gap in harness.of(TranscriptGap):
            assert gap.from_ms >= final.end_ms or gap.to_ms <= final.start_ms


class TestBudget:
    @virtually
    async def test_two_failures_minutes_apart_on_a_track_nobody_speaks_on(self) -> None:
        async with living(ScriptedTransport(answering), retry_budget_s=60) as (harness, task):
            harness.start("inbound", "outbound")
            await settle()
            await talk(harness, 2, track="outbound")
            await talk(harness, 2)
            outbound = [s for s in harness.transport.streams if not s.aborted][1]
            outbound.close(LOST)
            await talk(harness, 100)  # the other track; its session is well
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
    @virtually
    async def test_a_call_without_audio_has_no_last_words_to_wait_for(self) -> None:
        async with living() as (harness, task):
            harness.reservation.full = True
            harness.start()
            await asyncio.sleep(1)
            began_s = asyncio.get_running_loop().time()
            harness.feed("stop")
            await task
            took_s = asyncio.get_running_loop().time() - began_s
        assert (harness.ended.status, harness.ended.reason) == (Status.COMPLETED, "carrier-stopped")
        assert took_s < 4.9

    @virtually
    async def test_a_permanent_failure_after_the_last_word_takes_nothing_away(self) -> None:
        async with living() as (harness, task):
            harness.start()
            await settle()
            harness.feed("stop")
            await settle()
            harness.peer.close(UpstreamError("validation-error"))
            await task
        assert harness.ended.gap_ms == 0
        assert harness.ended.status is Status.COMPLETED

    @virtually
    async def test_the_reason_is_that_there_was_no_place(self) -> None:
        async with living() as (harness, task):
            harness.reservation.full = True
            harness.start()
            await settle()
            harness.audio(3)
            harness.feed("stop")
            await task
        assert harness.ended.reason == "endpoint-at-capacity"

    @virtually
    async def test_one_track_crashes_and_the_other_had_failed(self) -> None:
        async with living() as (harness, task):
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
        assert GapCause.RECONNECT in [gap.cause for gap in harness.of(TranscriptGap)]

    @virtually
    async def test_words_once_heard_survive_a_replay_that_comes_to_nothing(self) -> None:
        async with living() as (harness, task):
            await speech_after_silence(harness)
            harness.peer.close(LOST)
            await asyncio.sleep(1)
            harness.transport.streams[1].delta("")  # the lead-in
            harness.transport.streams[1].close(UpstreamError("validation-error"))
            await task
        assert [f.text for f in harness.of(TranscriptFinal)] == ["hello world"]


class TestRollover:
    @virtually
    async def test_the_pause_that_is_waited_for_is_seen(self) -> None:
        transport = ScriptedTransport(answering)
        async with living(transport, rollover_soft_s=5) as (harness, _):
            harness.start()
            await talk(harness, 5.2)
            transport.gate.clear()  # opening takes long
            await talk(harness, 2.4, code=SILENCE)
            transport.gate.set()
            harness.audio(1)  # speech goes on just then
            await talk(harness, 1)
            await talk(harness, 3, code=SILENCE)  # the next pause
            assert len(transport.streams) == 2
            assert harness.peer.types[-1] == "commit"

    @virtually
    async def test_nothing_is_cut_over_to_a_session_that_has_died(self) -> None:
        transport = ScriptedTransport(answering)
        async with living(transport, rollover_soft_s=5) as (harness, _):
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

    @virtually
    async def test_the_hang_up_while_the_next_session_opens_leaves_the_last_words_their_time(
        self,
    ) -> None:
        transport = ScriptedTransport(answering)
        async with living(transport, rollover_hard_s=5) as (harness, task):
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

    @virtually
    async def test_a_session_that_works_is_not_given_away_because_the_next_does_not_open(
        self,
    ) -> None:
        transport = ScriptedTransport(answering)
        async with living(transport, rollover_hard_s=5, retry_budget_s=20) as (harness, _):
            harness.start()
            await talk(harness, 3)
            transport.refusal = UpstreamError("connect-refused")
            await talk(harness, 4)
            assert harness.peer.types[-1] == "append"


class TestClock:
    @virtually
    async def test_a_token_before_any_audio_answers_nothing(self) -> None:
        async with living(ScriptedTransport(answering_nothing), rollover_soft_s=5) as (
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
    @virtually
    async def test_a_filled_hole_does_not_push_out_audio_that_a_session_would_take(self) -> None:
        async with living() as (harness, task):
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

    @virtually
    async def test_a_long_message_is_heard_whole(self) -> None:
        async with living() as (harness, task):
            harness.start()
            await settle()
            harness.audio(400)  # 32 s: less than a message may hold; the session has room
            harness.feed("stop")
            await settle()
            harness.peer.answer_all()
            await task
        assert harness.of(TranscriptGap) == []


class TestMemory:
    @virtually
    async def test_lost_frames_of_a_silent_track_are_not_remembered_for_ever(self) -> None:
        async with living(ScriptedTransport(answering_nothing)) as (harness, _):
            harness.start()
            await settle()
            for i in range(600):  # every second frame of 80 ms is lost, nobody speaks
                harness.audio(1, code=SILENCE, timestamp=str(i * 160), chunk=str(2 * i + 1))
                await asyncio.sleep(0.08)
            [track] = harness.stream._tracks.values()  # noqa: SLF001 - what it keeps is the point
            assert len(track._gaps) < 20  # noqa: SLF001

    @virtually
    async def test_chunks_of_no_length_count(self) -> None:
        async with living() as (harness, _):
            harness.start()
            await settle()
            harness.peer.room = 0
            for i in range(2000):  # no audio in them, but an ever later time
                harness.feed(
                    "media",
                    media={"track": "inbound", "payload": "", "timestamp": str(i * 40_000)},
                )
            [track] = harness.stream._tracks.values()  # noqa: SLF001
            assert len(track._ring._unsent) < 20  # noqa: SLF001
