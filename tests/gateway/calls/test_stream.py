"""A stream from start to end: carrier messages, a scripted model, transcript events."""

import asyncio
import base64
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest
import structlog

from gateway.calls.stream import StreamState
from gateway.calls.termination import CLOSED, DRAINED, IDLE, STOPPED, Termination
from gateway.carriers.events import (
    AudioReceived,
    CallStarted,
    CarrierEvent,
    MessageIgnored,
    Reply,
)
from gateway.carriers.events import StreamPaused as CarrierPaused
from gateway.carriers.events import StreamResumed as CarrierResumed
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import telnyx, twilio
from gateway.errors import CarrierError, UpstreamError
from gateway.transcript.events import (
    FinalReason,
    GapCause,
    Status,
    StreamDtmf,
    StreamEnded,
    StreamPaused,
    StreamResumed,
    StreamStarted,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.scripted import ScriptedTransport, settle
from tests.waiting import eventually


async def test_call_from_start_to_end() -> None:
    async with running_stream() as (harness, task):
        harness.start(
            "inbound",
            "outbound",
            Tok="t",
            authorization="Bearer x",
            client_secret="s",
            queue="sales",
        )
        await settle()
        harness.audio(2)
        assert harness.metrics.registry.get_sample_value("callscribe_sessions_live") == 2
        harness.peer.delta(" hello")
        harness.peer.delta(" you")
        harness.feed("stop")
        await settle()
        assert [p.types for p in harness.transport.streams] == [
            ["session.update", "commit", "append", "append", "append", "commit"],
            ["session.update", "commit", "commit"],
        ]
        harness.peer.delta(" there")
        harness.finish_all()
        termination = await task
    assert termination.close_code == 1000
    assert harness.opened == ("CA1", "MZ1", 1_700_000_000_000)
    assert harness.owner == ("default", "twilio")
    [started] = harness.of(StreamStarted)
    assert [(t.track, t.role, t.encoding, t.rate) for t in started.tracks] == [
        ("inbound", "customer", "pcmu", 8000),
        ("outbound", "agent", "pcmu", 8000),
    ]
    assert started.params == {"queue": "sales"}
    assert [d.text for d in harness.of(TranscriptDelta)] == ["hello", " you", " there"]
    [final] = harness.of(TranscriptFinal)
    assert (final.text, final.start_ms, final.end_ms) == ("hello you there", 0, 160)
    assert (final.segment, final.role, final.reason) == (1, "customer", FinalReason.HANGUP)
    assert harness.ended == StreamEnded(Status.COMPLETED, "carrier-stopped", 160, 1, 0)
    assert harness.metrics.registry.get_sample_value("callscribe_sessions_live") == 0
    assert harness.stream.state is StreamState.ENDED


@pytest.mark.parametrize("hang_up", [STOPPED, CLOSED])
async def test_call_that_hangs_up_before_it_is_refused_counts_as_refused(
    hang_up: Termination,
) -> None:
    """Symptom: a call that hung up before it was refused counted as failed."""
    async with running_stream() as (harness, task):
        decided = asyncio.Event()

        async def refuse(start: CallStarted) -> None:
            await decided.wait()
            raise CarrierError("endpoint-at-capacity")

        harness.reservation.reserve_slots = refuse  # type: ignore[method-assign]  # after a wait
        harness.start("inbound", "outbound")
        await settle()
        harness.stream.end(hang_up)
        await settle()
        decided.set()
        await task
    assert (harness.ended.status, harness.ended.reason) == (Status.REFUSED, "endpoint-at-capacity")


async def test_metrics_of_a_call() -> None:
    async with running_stream() as (harness, task):
        harness.start("inbound", "outbound")
        harness.feed("mark")
        await settle()
        harness.audio(2, timestamp="0", chunk="1")
        harness.audio(1, timestamp="400", chunk="2")
        harness.peer.delta(" hello")
        harness.transport.streams[1].close(UpstreamError("access-denied"))
        await settle()
        harness.feed("stop")
        await settle()
        harness.peer.answer_all()
        await task
    carrier = {"carrier": "twilio"}
    for name, labels, value in (
        ("frames_total", carrier, 2),
        ("audio_seconds_total", carrier | {"role": "customer"}, 0.48),
        ("gaps_total", {"cause": "carrier_loss"}, 1),
        ("gap_seconds_total", {"cause": "carrier_loss"}, 0.24),
        ("ignored_messages_total", carrier | {"kind": "mark"}, 1),
        ("sessions_opened_total", {}, 2),
        ("session_failures_total", {"fault": "credentials", "reason": "access-denied"}, 1),
        ("session_open_seconds_count", {}, 2),
        ("first_delta_seconds_count", {}, 1),
        ("calls_total", carrier | {"status": "failed"}, 1),
        ("live_calls", carrier, 0),
    ):
        sample = harness.metrics.registry.get_sample_value(f"callscribe_{name}", labels)
        assert sample == pytest.approx(value), name


class TestBeforeTheStart:
    async def test_stream_that_never_starts_publishes_nothing(self) -> None:
        async with running_stream() as (harness, task):
            harness.feed("connected")
            harness.stream.end(CLOSED)
            await task
        assert harness.events == []
        assert harness.transport.streams == []

    async def test_forged_token_opens_no_session_and_publishes_nothing(self) -> None:
        async with running_stream() as (harness, _):
            with pytest.raises(CarrierError, match="token-invalid"):
                harness.start("inbound", tok="forged")
            await settle()
        assert harness.events == []
        assert harness.transport.streams == []


class TestAudio:
    async def test_audio_is_buffered_until_the_session_is_open_and_sent_in_order(self) -> None:
        transport = ScriptedTransport()
        transport.gate.clear()
        async with running_stream(transport) as (harness, task):
            harness.start()
            for _ in range(3):
                harness.audio()
            harness.feed("stop")
            await settle()
            transport.gate.set()
            await settle()
            assert harness.peer.types.count("append") == 4  # the fourth: the interpolator's tail
            assert harness.peer.sent[-1]["final"] is True
            harness.finish_all()
            await task
        assert harness.ended.gap_ms == 0

    async def test_full_buffer_drops_the_oldest_audio_as_one_gap(self) -> None:
        async with running_stream(replay_ms=160) as (harness, task):
            harness.start()
            await settle()
            harness.peer.room = 0
            for _ in range(5):  # one is sent, two are buffered, two are dropped
                harness.audio()
            assert harness.of(TranscriptGap) == []
            harness.peer.make_room(100)
            harness.audio()
            harness.feed("stop")
            await settle()
            harness.finish_all()
            await task
        assert harness.of(TranscriptGap) == [
            TranscriptGap("inbound", 80, 240, GapCause.BACKPRESSURE)
        ]
        assert harness.ended.gap_ms == 160
        assert harness.ended.status is Status.COMPLETED

    async def test_deltas_after_dropped_audio_keep_their_position_on_the_media_clock(self) -> None:
        async with running_stream(replay_ms=160) as (harness, _):
            harness.start()
            await settle()
            harness.peer.room = 0
            for _ in range(5):
                harness.audio()
            harness.peer.make_room(100)
            harness.peer.delta(" one")
            harness.peer.delta(" two")
        assert [(d.start_ms, d.end_ms) for d in harness.of(TranscriptDelta)] == [
            (0, 80),
            (240, 320),
        ]

    async def test_jump_of_the_timestamps_is_a_gap_and_sent_as_silence(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(timestamp="0", chunk="1")
            harness.audio(timestamp="400", chunk="2")
            harness.feed("stop")
            await settle()
            assert harness.peer.types.count("append") == 7  # 480 ms and the interpolator's tail
            harness.finish_all()
            await task
        assert harness.of(TranscriptGap) == [
            TranscriptGap("inbound", 80, 400, GapCause.CARRIER_LOSS)
        ]
        assert (harness.ended.duration_ms, harness.ended.gap_ms) == (480, 320)

    async def test_dtmf_is_published_without_its_digit(self) -> None:
        async with running_stream() as (harness, _):
            harness.start()
            harness.feed("dtmf", dtmf={"track": "inbound_track", "digit": "7"})
        assert harness.of(StreamDtmf) == [StreamDtmf("inbound")]

    async def test_at_most_1000_dtmf_events_are_published(self) -> None:
        async with running_stream() as (harness, _):
            harness.start()
            for _ in range(1100):
                harness.feed("dtmf", dtmf={"digit": "7"})
        assert len(harness.of(StreamDtmf)) == 1000


class TestFailures:
    async def test_permanent_failure_of_one_track_loses_no_word_of_the_other(self) -> None:
        async with running_stream() as (harness, task):
            harness.start("inbound", "outbound")
            await settle()
            harness.audio(3, "inbound")
            harness.peer.delta(" heard")
            harness.peer.close(UpstreamError("access-denied"))
            await settle()
            harness.audio(2, "inbound")
            harness.audio(1, "outbound")
            harness.feed("stop")
            await settle()
            other = harness.transport.streams[1]
            other.delta(" fine")
            other.answer_all()
            await task
        assert {f.text for f in harness.of(TranscriptFinal)} == {"heard", "fine"}
        # 80 ms were answered before the failure; the rest of the track is a gap.
        assert harness.of(TranscriptGap) == [TranscriptGap("inbound", 80, 400, GapCause.RECONNECT)]
        assert (harness.ended.status, harness.ended.reason) == (Status.FAILED, "access-denied")

    async def test_stream_ends_when_every_track_has_failed(self) -> None:
        transport = ScriptedTransport()
        transport.refusal = UpstreamError("access-denied")
        async with running_stream(transport) as (harness, task):
            harness.start("inbound", "outbound")
            harness.audio(1, "inbound")
            termination = await task
        assert termination.close_code == 1011
        assert (harness.ended.status, harness.ended.reason) == (Status.FAILED, "access-denied")
        assert harness.of(TranscriptGap) == [TranscriptGap("inbound", 0, 80, GapCause.RECONNECT)]

    async def test_failed_track_with_lost_frames_declares_one_gap(self) -> None:
        async with running_stream() as (harness, task):
            harness.start("inbound", "outbound")
            await settle()
            harness.peer.close(UpstreamError("access-denied"))
            await settle()
            for frame in range(50):
                harness.audio(1, timestamp=str(frame * 400), chunk=str(frame))
            harness.feed("stop")
            await settle()
            harness.transport.streams[1].answer_all()
            await task
        assert [(g.from_ms, g.to_ms) for g in harness.of(TranscriptGap)] == [(0, 49 * 400 + 80)]

    async def test_audio_unanswered_at_done_is_declared(self) -> None:
        """Symptom: the context was full at the hang-up; the loss of the rest was not declared."""
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(4)
            harness.feed("stop")
            await settle()
            harness.peer.delta(" one")
            harness.peer.done()
            await task
        assert harness.of(TranscriptGap) == [TranscriptGap("inbound", 80, 320, GapCause.MODEL_MUTE)]
        assert (harness.ended.status, harness.ended.gap_ms) == (Status.COMPLETED, 240)

    async def test_bug_in_one_track_loses_no_final_and_no_gap_of_the_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running_stream() as (harness, task):
            harness.start("inbound", "outbound")
            await settle()
            harness.audio(2, "inbound")
            harness.peer.delta(" one")
            outbound = harness.stream._tracks["outbound"]  # noqa: SLF001 - the bug is planted there
            monkeypatch.setattr(outbound.sessions, "_supervise", lambda _: 1 / 0)
            harness.feed("stop")
            await task
        assert [f.text for f in harness.of(TranscriptFinal)] == ["one"]
        assert harness.of(TranscriptGap) == [TranscriptGap("inbound", 80, 160, GapCause.MODEL_MUTE)]
        assert (harness.ended.reason, harness.ended.segments) == ("internal-error", 1)

    async def test_model_that_never_sends_done_is_retried_until_the_finish_timeout(self) -> None:
        async with running_stream(done_timeout_s=0.01, finish_timeout_s=0.3) as (harness, task):
            harness.start()
            await settle()
            harness.audio(2)
            harness.feed("stop")
            await task
        assert len(harness.transport.streams) > 1  # it was retried
        assert (harness.ended.status, harness.ended.reason) == (Status.FAILED, "done-timeout")
        assert harness.of(TranscriptGap)[0].to_ms == 160

    async def test_stalled_upstream_does_not_delay_the_end_beyond_the_finish_timeout(self) -> None:
        async with running_stream(finish_timeout_s=0.01) as (harness, task):
            harness.start()
            await settle()
            harness.peer.room = 0
            harness.audio(2)
            harness.feed("stop")
            await task
        assert (harness.ended.status, harness.ended.reason) == (Status.FAILED, "finish-timeout")
        assert harness.of(TranscriptGap) == [TranscriptGap("inbound", 0, 160, GapCause.RECONNECT)]

    async def test_protocol_error_of_the_carrier_ends_the_stream_as_failed(self) -> None:
        harness = StreamHarness(ScriptedTransport())

        async def read() -> None:
            harness.start()
            raise CarrierError("malformed-message")

        task = asyncio.create_task(harness.stream.run(read))
        await settle()
        harness.finish_all()
        termination = await task
        assert termination.close_code == 1007
        assert (harness.ended.status, harness.ended.reason) == (Status.FAILED, "malformed-message")

    async def test_bug_in_the_reader_ends_the_stream_as_failed(self) -> None:
        async def read() -> None:
            raise ZeroDivisionError

        harness = StreamHarness(ScriptedTransport())
        termination = await harness.stream.run(read)
        assert (termination.status, termination.reason) == (Status.FAILED, "internal-error")


class TestEnds:
    async def test_drained_stream_publishes_its_pending_words(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.audio(1)
            harness.stream.end(DRAINED)
            await settle()
            harness.peer.delta(" bye")
            harness.finish_all()
            termination = await task
        assert termination.close_code == 1012
        assert [f.text for f in harness.of(TranscriptFinal)] == ["bye"]
        assert harness.ended.status is Status.DRAINED

    async def test_stream_fenced_by_another_gateway_fails(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.fence()
            await settle()
            harness.finish_all()
            termination = await task
        assert (termination.status, termination.reason) == (Status.FAILED, "fenced")

    async def test_detail_of_an_error_before_the_start_is_logged(self) -> None:
        detail = "ask for PCMU"
        with structlog.testing.capture_logs() as logs:
            async with running_stream() as (harness, task):
                harness.stream.end(Termination.failed(CarrierError("unsupported-encoding", detail)))
                harness.woken.set()
                await task
        assert (logs[-1]["event"], logs[-1]["detail"]) == ("stream-never-started", detail)

    async def test_first_termination_is_kept(self) -> None:
        async with running_stream() as (harness, task):
            harness.start()
            await settle()
            harness.feed("stop")
            harness.stream.end(DRAINED)
            await settle()
            harness.finish_all()
            await task
        assert harness.ended.status is Status.COMPLETED


class PausingAdapter(JsonMediaAdapter):
    """Twilio's adapter, plus the pauses, replies and held frames of other carriers."""

    def __init__(self) -> None:
        super().__init__(twilio.DIALECT)
        self.held_back: list[AudioReceived] = []

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        events = super().receive_text(message)
        match events:
            case [MessageIgnored("mark")]:
                return (CarrierPaused(),)
            case [MessageIgnored("unknown")]:
                return (Reply("pong"), CarrierResumed())
            case _:
                return events

    def transcript(
        self, track: str, segment: int, text: str, *, start_ms: int, end_ms: int
    ) -> Sequence[Reply]:
        return (Reply(f"{track} {segment} {start_ms}-{end_ms} {text}"),)

    def flush_held(self, track: str) -> Sequence[AudioReceived]:
        held_back, self.held_back = self.held_back, []
        return held_back


class TestPausesAndReplies:
    async def test_pauses_are_published_once_each_with_their_position(self) -> None:
        async with running_stream(adapter=PausingAdapter()) as (harness, _):
            harness.feed("mark")  # ignored before the start
            harness.start()
            harness.audio(3)
            for event in ("mark", "mark", "other", "other"):
                harness.feed(event)
            await settle()
            assert harness.of(StreamPaused) == [StreamPaused(240)]
            assert harness.of(StreamResumed) == [StreamResumed(240)]

    async def test_pause_flushes_pending_words(self) -> None:
        async with running_stream(adapter=PausingAdapter()) as (harness, _):
            harness.start()
            harness.audio(3)
            await settle()
            harness.peer.delta("last words")
            harness.feed("mark")
            await settle()
            harness.peer.answer_all()
            [final] = harness.of(TranscriptFinal)
            assert (final.text, final.end_ms, final.reason) == ("last words", 80, FinalReason.PAUSE)
            snapshot = harness.stream.snapshot()
            assert snapshot
            assert snapshot.duration_ms == 240
            assert snapshot.tracks[0].lag_ms == 0

    async def test_pause_without_audio_since_the_last_one_is_not_padded_again(self) -> None:
        async with running_stream(adapter=PausingAdapter()) as (harness, _):
            harness.start()
            harness.audio(3)
            harness.feed("mark")
            await settle()
            sent = len(harness.peer.sent)
            assert sent > 40
            for event in ("other", "mark"):
                harness.feed(event)
            await settle()
            assert len(harness.peer.sent) == sent

    async def test_pauses_after_each_frame_are_padded_once(self) -> None:
        """Symptom to prevent: 4 s of padding for each of 100 pauses per second."""
        async with running_stream(adapter=PausingAdapter()) as (harness, _):
            harness.start()
            await settle()
            for _ in range(50):
                harness.audio(1)
                for event in ("mark", "other"):
                    harness.feed(event)
            await settle()
            assert harness.peer.types.count("append") < 50 + 60  # one padding, and the frames

    async def test_at_most_1000_pause_events_are_published(self) -> None:
        async with running_stream(adapter=PausingAdapter()) as (harness, _):
            harness.start()
            for _ in range(2000):
                for event in ("mark", "other"):
                    harness.feed(event)
            assert len(harness.of(StreamPaused)) == len(harness.of(StreamResumed)) == 500

    async def test_audio_omitted_in_a_pause_is_a_gap_with_the_cause_paused(self) -> None:
        async with running_stream(adapter=PausingAdapter()) as (harness, _):
            harness.start()
            harness.audio(3, timestamp="0")
            for event in ("mark", "other"):
                harness.feed(event)
            harness.audio(1, timestamp="20240")
            harness.audio(1, timestamp="20720")
            assert harness.of(TranscriptGap) == [
                TranscriptGap("inbound", 240, 20_240, GapCause.PAUSED),
                TranscriptGap("inbound", 20_320, 20_720, GapCause.CARRIER_LOSS),
            ]

    async def test_words_after_a_pause_shorter_than_its_padding_keep_their_position(self) -> None:
        """Symptom to prevent: words after the pause were lost or misplaced."""
        async with running_stream(adapter=PausingAdapter()) as (harness, task):
            harness.start()
            harness.audio(1, timestamp="0")
            harness.feed("mark")
            await settle()
            harness.feed("other")
            harness.audio(1, timestamp="80")
            harness.audio(1)
            harness.feed("stop")
            await settle()
            for _ in range(harness.peer.types.count("append") - 2):
                harness.peer.delta("")
            harness.peer.delta("last")
            harness.peer.delta("")  # for the tail of the resampler
            harness.peer.done()
            await task
            [final] = harness.of(TranscriptFinal)
            assert (final.start_ms, final.end_ms) == (160, 240)
            assert harness.of(TranscriptGap) == []

    async def test_idle_limit_does_not_apply_in_a_pause(self) -> None:
        adapter = PausingAdapter()
        async with running_stream(adapter=adapter, idle_timeout_s=0.02, is_probed=False) as (
            harness,
            _,
        ):
            harness.start()
            harness.feed("mark")
            await asyncio.sleep(0.1)
            assert harness.stream.termination is None
            harness.feed("other")
            await eventually(lambda: harness.stream.termination == IDLE)

    async def test_replies_are_sent_to_the_carrier(self) -> None:
        async with running_stream(adapter=PausingAdapter()) as (harness, _):
            harness.feed("other")
            assert harness.replies == ["pong"]

    @pytest.mark.parametrize("accepts_replies", [True, False])
    async def test_finals_are_sent_to_the_carrier(self, accepts_replies: bool) -> None:
        async with running_stream(adapter=PausingAdapter()) as (harness, task):
            harness.accepts_replies = accepts_replies
            harness.start()
            harness.audio(20)
            await settle()
            harness.peer.delta("first")
            for _ in range(14):
                harness.peer.delta("")
            harness.peer.delta("second")
            harness.feed("stop")
            await settle()
            harness.peer.answer_all()
            await task
            assert [final.text for final in harness.of(TranscriptFinal)] == ["first", "second"]
        if accepts_replies:
            assert harness.replies == ["inbound 1 0-80 first", "inbound 2 1200-1280 second"]
            assert harness.ended.status is Status.COMPLETED
        else:
            assert harness.ended.reason == "replies-unread"

    async def test_frames_held_by_the_adapter_are_transcribed_at_the_hang_up(self) -> None:
        adapter = PausingAdapter()
        async with running_stream(adapter=adapter) as (harness, task):
            harness.start()
            await settle()
            adapter.held_back.append(AudioReceived("inbound", bytes(640), None, None))
            harness.feed("stop")
            await settle()
            harness.finish_all()
            await task
            assert harness.ended.duration_ms == 80


class TestOmittedSilence:
    """Some carriers send nothing during silence, and do not announce it."""

    @in_virtual_time
    async def test_pending_words_are_flushed_while_no_audio_arrives(self) -> None:
        async with running_stream() as (harness, _):
            harness.start()
            harness.audio(3, timestamp="0")
            await settle()
            harness.peer.delta("last words")
            await asyncio.sleep(5)
            harness.peer.answer_all()
            [final] = harness.of(TranscriptFinal)
            assert (final.text, final.end_ms, final.reason) == ("last words", 80, FinalReason.PAUSE)
            snapshot = harness.stream.snapshot()
            assert snapshot
            assert snapshot.tracks[0].lag_ms == 0

    @in_virtual_time
    async def test_words_returned_during_the_padding_belong_to_the_segment(self) -> None:
        """Symptom: after a segment had closed in the padding, later words there were dropped."""
        async with running_stream() as (harness, task):
            harness.start()
            harness.audio(3, code=0)
            await asyncio.sleep(5)
            for text in (" hello", "", "", *[""] * 14, " wor", "ld", " again", *[""] * 14):
                harness.peer.delta(text)
            harness.feed("stop")
            await settle()
            harness.finish_all()
            await task
            [final] = harness.of(TranscriptFinal)
            # One segment: all words were said before the padding.
            assert final.text == "hello world again"

    @in_virtual_time
    async def test_silent_audio_is_not_padded(self) -> None:
        async with running_stream() as (harness, _):
            harness.start()
            harness.audio(3, code=0xFF)
            await asyncio.sleep(10)
            assert harness.peer.types.count("append") == 3

    @in_virtual_time
    async def test_empty_and_duplicate_frames_do_not_prevent_padding(self) -> None:
        async with running_stream() as (harness, _):
            harness.start()
            harness.audio(1, chunk="1", timestamp="0")
            for _ in range(20):
                harness.audio(0)
                harness.audio(1, chunk="1", timestamp="0")
                await asyncio.sleep(0.5)
            assert harness.peer.types.count("append") == 1 + 45

    @in_virtual_time
    async def test_padding_evicts_no_audio_from_the_replay_buffer(self) -> None:
        """Symptom: a word and its padding were longer than the replay buffer."""
        async with running_stream(replay_ms=3000) as (harness, _):
            harness.start()
            harness.audio(12, code=0)
            await asyncio.sleep(5)
            harness.peer.close()  # end of stream without done
            await asyncio.sleep(5)
            [_, second] = harness.transport.streams
            assert second.types.count("append") >= 12
            assert harness.of(TranscriptGap) == []

    @in_virtual_time
    async def test_idle_track_is_padded_while_the_other_receives_audio(self) -> None:
        async with running_stream() as (harness, _):
            harness.start("inbound", "outbound")
            harness.audio(1, "inbound")
            for _ in range(80):
                harness.audio(1, "outbound")
                await asyncio.sleep(0.08)
            sent = sorted(stream.types.count("append") for stream in harness.transport.streams)
            assert sent == [1 + 45, 80]

    @in_virtual_time
    async def test_track_is_padded_once_until_more_audio_arrives(self) -> None:
        async with running_stream() as (harness, _):
            harness.start()
            harness.audio(1)
            await asyncio.sleep(7)
            assert harness.peer.types.count("append") == 1 + 45
            harness.audio(1)
            await asyncio.sleep(7)
            assert harness.peer.types.count("append") == 2 + 90

    @in_virtual_time
    async def test_frames_held_by_the_adapter_are_flushed_when_the_track_stalls(self) -> None:
        adapter = PausingAdapter()
        async with running_stream(adapter=adapter) as (harness, _):
            harness.start()
            await settle()
            adapter.held_back.append(AudioReceived("inbound", bytes(640), None, None))
            await asyncio.sleep(5)
            assert harness.peer.types.count("append") == 1 + 45  # and the padding

    @in_virtual_time
    async def test_stall_of_two_seconds_is_not_padded(self) -> None:
        async with running_stream() as (harness, _):
            harness.start()
            for _ in range(10):
                harness.audio(1)
                await asyncio.sleep(2)
            assert harness.peer.types.count("append") == 10


class TestStopThatOvertakesMedia:
    @staticmethod
    def telnyx(harness: StreamHarness, kind: str, **body: Any) -> None:
        harness.stream.receive_text(json.dumps({"event": kind, "stream_id": "S", **body}).encode())

    def media(self, harness: StreamHarness, chunk: int) -> None:
        payload = base64.b64encode(bytes(640)).decode()
        stamp = str(80 * (chunk - 1))
        media = {"track": "inbound", "chunk": str(chunk), "timestamp": stamp, "payload": payload}
        self.telnyx(harness, "media", media=media)

    @in_virtual_time
    @pytest.mark.parametrize("closes", [True, False])
    async def test_media_after_the_stop_are_transcribed(self, closes: bool) -> None:
        async with running_stream(adapter=JsonMediaAdapter(telnyx.DIALECT)) as (harness, task):
            self.telnyx(harness, "start", start={"call_control_id": "C"})
            self.media(harness, 1)
            self.media(harness, 3)
            self.telnyx(harness, "stop")
            self.media(harness, 2)
            await settle()
            assert harness.stream.termination is None
            if closes:
                harness.stream.end(CLOSED)
            await asyncio.sleep(0.3)
            harness.finish_all()
            await task
        assert (harness.ended.reason, harness.ended.duration_ms) == ("carrier-stopped", 240)
        assert harness.of(TranscriptGap) == []


class RoleAdapter(JsonMediaAdapter):
    """An adapter whose start message contains the role of each track."""

    def __init__(self) -> None:
        super().__init__(twilio.DIALECT)

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        return tuple(
            dataclasses.replace(event, roles={"inbound": "agent", "outbound": "customer"})
            if isinstance(event, CallStarted)
            else event
            for event in super().receive_text(message)
        )


@pytest.mark.parametrize(
    ("adapter", "route_roles", "expected"),
    [
        (None, {}, ["customer", "agent"]),
        (RoleAdapter(), {}, ["agent", "customer"]),
        (RoleAdapter(), {"inbound": "mix"}, ["mix", "customer"]),
        (None, {"outbound": "customer", "other": "agent"}, ["customer", "customer"]),
    ],
)
async def test_roles_come_from_the_route_then_the_carrier_then_the_defaults(
    adapter: JsonMediaAdapter | None, route_roles: dict[str, str], expected: list[str]
) -> None:
    async with running_stream(adapter=adapter) as (harness, _):
        harness.reservation.roles = route_roles
        harness.start("inbound", "outbound")
        [started] = harness.of(StreamStarted)
        assert [track.role for track in started.tracks] == expected
