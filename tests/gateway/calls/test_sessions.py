"""What becomes of a track's words when sessions fail, grow old, fall silent. In virtual time."""

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
from tests.gateway.calls.stream_harness import StreamHarness, living, virtually
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
    """Play a model that answers each 80 ms at once with a word."""
    stream.on_sent = lambda message: stream.delta(" w") if "audio" in message else None
    stream.created()


class TestReconnect:
    @virtually
    async def test_the_open_segment_is_heard_again_and_starts_over(self) -> None:
        async with living() as (harness, task):
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

    @virtually
    async def test_finals_are_not_heard_again(self) -> None:
        async with living() as (harness, task):
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
            # Answered to 1280 ms, silent since 80: heard again from a little before.
            assert sent_ms(harness.transport.streams[1]) == 24 * 80 - (1280 - 800)
            harness.feed("stop")
            await settle()
            harness.transport.streams[1].answer_all()
            await task
        assert [f.text for f in harness.of(TranscriptFinal)] == ["hello"]
        assert harness.ended.gap_ms == 0

    @virtually
    async def test_a_replay_without_words_takes_them_back(self) -> None:
        async with living() as (harness, task):
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

    @virtually
    async def test_words_stand_when_no_session_comes_any_more(self) -> None:
        async with living(retry_budget_s=3) as (harness, task):
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

    @virtually
    async def test_what_exceeds_the_ring_is_a_gap_and_what_was_heard_of_the_segment_stays(
        self,
    ) -> None:
        async with living(replay_ms=800) as (harness, task):
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

    @virtually
    async def test_attempts_back_off_with_full_jitter_within_the_budget(self) -> None:
        times: list[float] = []
        transport = ScriptedTransport()
        transport.refusal = UpstreamError("throttled")
        transport.on_open = lambda: times.append(asyncio.get_running_loop().time())
        async with living(transport, retry_budget_s=60) as (harness, task):
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
    def test_permanent_faults_are_not_tried_again(self, reason: str) -> None:
        async def main() -> None:
            transport = ScriptedTransport()
            transport.refusal = UpstreamError(reason)
            attempts: list[None] = []
            transport.on_open = lambda: attempts.append(None)
            async with living(transport) as (harness, task):
                harness.start()
                termination = await task
            assert (termination.status, termination.reason) == (Status.FAILED, reason)
            assert len(attempts) == 1

        loop.run(main(), limit_s=100)

    @virtually
    async def test_every_place_is_given_back(self) -> None:
        async with living() as (harness, task):
            harness.start("inbound", "outbound")
            await settle()
            harness.audio(2)
            harness.peer.close(UpstreamError("connection-lost"))
            await asyncio.sleep(1)
            harness.feed("stop")
            await settle()
            harness.finish_all()
            await task
        assert len(harness.reservation.places) == 3
        assert not any(slot.held for slot in harness.reservation.places)

    @virtually
    async def test_a_stream_cut_off_while_it_connects_gives_its_place_back(self) -> None:
        transport = ScriptedTransport()
        transport.gate.clear()
        async with living(transport) as (harness, task):
            harness.start()
            await settle()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert [slot.held for slot in harness.reservation.places] == [False]

    @virtually
    async def test_the_full_context_loses_nothing(self) -> None:
        async with living() as (harness, task):
            harness.start()
            await settle()
            harness.audio(15)
            harness.peer.delta(" one")
            for _ in range(11):
                harness.peer.delta("")
            harness.peer.done()  # nobody asked
            harness.audio(1)
            await settle()
            second = harness.transport.streams[1]  # at once
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

    @virtually
    async def test_a_model_that_is_always_done_too_soon_is_asked_within_the_budget(self) -> None:
        def sick(stream: ScriptedStream) -> None:
            stream.created()
            asyncio.get_running_loop().call_later(0.01, stream.done)

        transport = ScriptedTransport(sick)
        async with living(transport, retry_budget_s=20) as (harness, task):
            harness.start()
            termination = await task
        assert termination.reason == "context-full"
        assert len(transport.streams) < 40


class TestRollover:
    @virtually
    async def test_at_a_pause_the_next_session_goes_on_before_the_old_one_is_closed(self) -> None:
        async with living(rollover_soft_s=5) as (harness, task):
            harness.start()
            await talk(harness, 0.08)
            harness.peer.delta(" one")
            await talk(harness, 6.32)
            assert len(harness.transport.streams) == 1  # nobody paused
            await talk(harness, 2.4, code=SILENCE)
            old, new = harness.transport.streams
            assert old.types[-1] == "commit"
            assert not old.finished
            assert sent_ms(new) > 0
            new.delta(" three")
            assert len(harness.of(TranscriptDelta)) == 1  # held back
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

    @virtually
    async def test_in_mid_speech_when_it_must_be(self) -> None:
        async with living(ScriptedTransport(answering), rollover_hard_s=5) as (harness, task):
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

    @virtually
    async def test_without_a_second_place_one_after_the_other(self) -> None:
        async with living(ScriptedTransport(answering), rollover_hard_s=5) as (harness, task):
            harness.start()
            await talk(harness, 3)
            harness.reservation.full = True
            await talk(harness, 2.4)
            assert harness.peer.types[-1] == "commit"
            harness.reservation.full = False
            harness.peer.done()
            await talk(harness, 1)
            assert len(harness.transport.streams) == 2
            harness.feed("stop")
            await settle()
            harness.transport.streams[1].answer_all()
            await task
        assert harness.ended.gap_ms == 0
        assert harness.ended.status is Status.COMPLETED

    @virtually
    async def test_the_old_one_fails_in_its_last_words(self) -> None:
        async with living(rollover_soft_s=5) as (harness, task):
            harness.start()
            await talk(harness, 5.2)
            await talk(harness, 2.4, code=SILENCE)
            harness.peer.close(UpstreamError("connection-lost"))
            await asyncio.sleep(1)
            _, new, third = harness.transport.streams
            assert new.aborted
            assert sent_ms(third) == 7600  # the whole call: no word of it was said
            harness.feed("stop")
            await settle()
            third.answer_all()
            await task
        assert harness.ended.gap_ms == 0

    @virtually
    async def test_the_new_one_fails_while_the_old_one_speaks(self) -> None:
        async with living(rollover_soft_s=5) as (harness, task):
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
    @virtually
    async def test_a_mute_session_is_replaced_and_its_audio_heard_again(self) -> None:
        async with living(mute_timeout_s=8) as (harness, task):
            harness.start()
            await talk(harness, 14)
            second = harness.transport.streams[1]
            assert harness.peer.aborted
            assert sent_ms(second) == 14_000
            harness.feed("stop")
            await settle()
            second.answer_all()
            await task
        assert "session-mute" in harness.reservation.places[0].verdicts
        assert harness.metrics.registry.get_sample_value(
            "callscribe_first_deltas_late_total", {"endpoint": "main"}
        )
        assert harness.ended.gap_ms == 0

    @virtually
    async def test_a_session_that_stops_answering_is_replaced(self) -> None:
        async with living(ScriptedTransport(answering), mute_timeout_s=8) as (harness, task):
            harness.start()
            await talk(harness, 1)
            harness.peer.on_sent = lambda _: None
            await talk(harness, 13)
            assert "session-stalled" in harness.reservation.places[0].verdicts
            harness.feed("stop")
            await settle()
            harness.transport.streams[1].answer_all()
            await task
        assert harness.ended.gap_ms == 0

    @virtually
    async def test_nobody_waits_for_answers_to_audio_that_was_never_sent(self) -> None:
        """The model keeps 2400 ms, its longest delay, before each answer."""

        def late(stream: ScriptedStream) -> None:
            stream.on_sent = lambda _: (
                stream.delta("") if stream.types.count("append") > 30 else None
            )
            stream.created()

        async with living(ScriptedTransport(late), mute_timeout_s=8, idle_timeout_s=1000) as (
            harness,
            _,
        ):
            harness.start()
            await talk(harness, 1)
            await asyncio.sleep(100)
            assert len(harness.transport.streams) == 1

    @virtually
    async def test_a_rut_ends_the_session_a_pause_does_not(self) -> None:
        def in_a_rut(stream: ScriptedStream) -> None:
            stream.on_sent = lambda message: stream.delta("") if "audio" in message else None
            stream.created()

        async with living(ScriptedTransport(in_a_rut)) as (harness, _):
            harness.start()
            await talk(harness, 60, code=SILENCE)
            assert len(harness.transport.streams) == 1
            await talk(harness, 20)
            assert "model-rut" in harness.reservation.places[0].verdicts
            assert len(harness.transport.streams) == 2
            assert sent_ms(harness.transport.streams[1]) > 15_000  # what it did not hear
            await talk(harness, 60)
            assert len(harness.transport.streams) <= 4  # music on hold

    @virtually
    async def test_a_session_that_falls_behind_is_rolled_over(self) -> None:
        async with living(max_lag_ms=5000, mute_timeout_s=1000) as (harness, task):
            harness.start()
            await talk(harness, 12)
            assert len(harness.transport.streams) == 2
            assert harness.peer.types[-1] == "commit"  # what it was sent it may still say
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
    def test_by_a_limit_with_the_last_words(
        self, termination: Termination, code: int | None, seconds: int
    ) -> None:
        async def main() -> None:
            limits: dict[str, Any] = {
                "idle_timeout_s": 60,
                "silence_timeout_s": 100,
                "max_call_s": 200,
                "is_probed": False,
            }
            async with living(ScriptedTransport(answering), **limits) as (harness, task):
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

    @virtually
    async def test_a_refused_stream_says_so_and_opens_nothing(self) -> None:
        async with living() as (harness, task):
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

    @virtually
    async def test_an_ended_call_keeps_no_audio(self) -> None:
        """Symptom: memory grew with ended calls, until a full garbage collection came."""
        async with living() as (harness, task):
            harness.start()
            await settle()
            harness.audio(5)
            harness.feed("stop")
            await settle()
            harness.peer.answer_all()
            await task
            [track] = harness.stream._tracks.values()  # noqa: SLF001 - what it keeps is the point
            assert track._ring.rewind(0) == 0  # noqa: SLF001

    @virtually
    async def test_the_last_words_survive_a_failure_in_the_final_commit(self) -> None:
        async with living() as (harness, task):
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

    @virtually
    async def test_nothing_left_to_say_needs_no_other_session(self) -> None:
        async with living() as (harness, task):
            harness.start()
            await settle()
            harness.feed("stop")
            await settle()
            harness.peer.close(UpstreamError("connection-lost"))
            await task
        assert len(harness.transport.streams) == 1
        assert harness.ended.status is Status.COMPLETED
