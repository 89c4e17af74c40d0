"""Calls with a server that answers only speech: Mistral's, with the checksum engine."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from cli import audit
from container.cpu.mistral import MistralRules
from gateway.calls.termination import Termination
from gateway.transcript.events import (
    GapCause,
    Status,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)
from gateway.upstream.dialects.mistral import Mistral
from tests.gateway.calls.mistral_server import (
    MUSIC,
    SILENCE,
    Failure,
    MistralServer,
    account,
    checksums,
    spoken,
)
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream

FRAME = 160  # bytes of mu-law in 20 ms
SEGMENTS = MistralRules(has_turns=False)
TURNS = MistralRules(has_segments=False)
NEITHER = MistralRules(has_segments=False, has_turns=False)
ALL = pytest.mark.parametrize("extras", [MistralRules(), SEGMENTS, TURNS, NEITHER])


def silence(milliseconds: int) -> bytes:
    return SILENCE * (8 * milliseconds)


def music(milliseconds: int) -> bytes:
    """Return loud audio without words."""
    return MUSIC * (8 * milliseconds)


def counted(harness: StreamHarness, name: str) -> float:
    """Return the value of a metric."""
    return harness.metrics.registry.get_sample_value(f"callscribe_{name}") or 0.0


class Call:
    """A running call; the audio sent so far is kept for the audit."""

    def __init__(self, harness: StreamHarness, task: "asyncio.Task[Termination]") -> None:
        self.harness = harness
        self.task = task
        self.sent = b""

    async def speak(self, mulaw: bytes) -> None:
        """Send audio in real time."""
        for at in range(0, len(mulaw), FRAME):
            payload = base64.b64encode(mulaw[at : at + FRAME]).decode()
            media = {"track": "inbound", "payload": payload, "timestamp": str(len(self.sent) // 8)}
            self.harness.feed("media", media=media)
            self.sent += mulaw[at : at + FRAME]
            await asyncio.sleep(0.02)

    async def hang_up(self) -> None:
        self.harness.feed("stop")
        await asyncio.wait_for(self.task, 200)

    def finals(self) -> list[TranscriptFinal]:
        return self.harness.of(TranscriptFinal)

    def gaps(self) -> list[tuple[int, int, GapCause]]:
        return [(g.from_ms, g.to_ms, g.cause) for g in self.harness.of(TranscriptGap)]

    def assert_whole(self) -> None:
        """Assert that all audio was transcribed once, in order, at its position."""
        sent_ms = len(self.sent) // 8
        assert account(self.harness.events, self.sent) == audit.Account(sent_ms, sent_ms)
        assert self.harness.ended.status is Status.COMPLETED


@asynccontextmanager
async def on(
    server: MistralServer, **limits: Any
) -> AsyncIterator[tuple[StreamHarness, asyncio.Task[Termination]]]:
    limits = {"finish_timeout_s": 60, "done_timeout_s": 20} | limits
    async with running_stream(server.transport, **limits) as (harness, task):
        harness.reservation.dialect = Mistral()
        yield harness, task


@pytest.mark.parametrize("extras", [MistralRules(), SEGMENTS])
@pytest.mark.parametrize("length_ms", [20, 300, 2000, 9930, 25_000])
def test_every_sample_is_transcribed_once_at_its_position(
    extras: MistralRules, length_ms: int
) -> None:
    @in_virtual_time
    async def play() -> None:
        async with on(MistralServer(extras)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, length_ms))
            await call.hang_up()
        call.assert_whole()

    play()


@ALL
def test_words_come_once_and_in_order(extras: MistralRules) -> None:
    """Speech, pauses, long speech, and a hang-up in mid-word."""

    @in_virtual_time
    async def play() -> None:
        async with on(MistralServer(extras)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            for length_ms, pause_ms in ((1500, 700), (4000, 4000), (35_000, 1500), (1010, 0)):
                await call.speak(audit.noise(length_ms, length_ms))
                await call.speak(silence(pause_ms))
            await call.hang_up()
        assert spoken(harness.events) == checksums(call.sent)
        assert call.gaps() == []
        assert len(harness.transport.streams) == 1

    play()


@ALL
def test_finals_come_soon_after_the_pause(extras: MistralRules) -> None:
    @in_virtual_time
    async def play() -> None:
        async with on(MistralServer(extras)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(silence(2000) + audit.noise(1, 3000))
            await call.speak(silence(6000))
            [final] = call.finals()
            assert abs(final.start_ms - 2000) < 500
            assert abs(final.end_ms - 5000) < 500
            assert harness.of(TranscriptDelta)[0].start_ms < 2600
            await call.hang_up()

    play()


@ALL
def test_silence_for_minutes_needs_no_answer(extras: MistralRules) -> None:
    """No gap, no failed session, and nothing that grows."""

    @in_virtual_time
    async def play() -> None:
        async with on(MistralServer(extras), rollover_soft_s=10_000) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 1000))
            await call.speak(silence(180_000))
            snapshot = harness.stream.snapshot()
            assert snapshot
            [track] = snapshot.tracks
            assert track.lag_ms < 5000
            await call.speak(audit.noise(2, 1000))
            await call.hang_up()
        assert len(harness.transport.streams) == 1
        assert call.gaps() == []
        assert spoken(harness.events) == checksums(call.sent)
        assert harness.reservation.slots[0].outcomes == ["worked"]

    play()


@ALL
@pytest.mark.parametrize("after_ms", [0, 100, 2500])
def test_hang_up_right_after_a_word(extras: MistralRules, after_ms: int) -> None:
    @in_virtual_time
    async def play() -> None:
        async with on(MistralServer(extras)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(silence(1000) + audit.noise(1, 250) + silence(after_ms))
            await call.hang_up()
        assert spoken(harness.events) == checksums(call.sent)
        assert (call.gaps(), len(harness.transport.streams)) == ([], 1)

    play()


@ALL
def test_rollover_in_a_pause_and_in_mid_speech(extras: MistralRules) -> None:
    @in_virtual_time
    async def play() -> None:
        limits = {"rollover_soft_s": 10, "rollover_hard_s": 20}
        async with on(MistralServer(extras), **limits) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 9000) + silence(4000) + audit.noise(2, 40_000))
            await call.hang_up()
        assert len(harness.transport.streams) >= 3
        assert call.gaps() == []
        if extras.has_segments:
            call.assert_whole()

    play()


@ALL
def test_reconnect_transcribes_the_open_words_again(extras: MistralRules) -> None:
    @in_virtual_time
    async def play() -> None:
        server = MistralServer(extras, [Failure.RESET], 6.5)
        async with on(server) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 3000) + silence(2000) + audit.noise(2, 9000))
            await call.hang_up()
        assert (call.gaps(), len(harness.transport.streams)) == ([], 2)
        if extras.has_segments:
            call.assert_whole()

    play()


def test_a_hold_without_audio_loses_no_word() -> None:
    @in_virtual_time
    async def play() -> None:
        async with on(MistralServer()) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 3000))
            await asyncio.sleep(45)
            assert len(call.finals()) == 1
            await call.speak(audit.noise(2, 2000))
            await call.hang_up()
        assert spoken(harness.events)[:37] == checksums(call.sent[:24_000])[:37]
        assert (call.gaps(), len(harness.transport.streams)) == ([], 1)

    play()


class TestLoudAudioWithoutWords:
    """It looks like speech that the server does not answer."""

    @ALL
    @in_virtual_time
    async def test_coughs_cost_two_sessions_at_most(self, extras: MistralRules) -> None:
        """The first is after a second of them, the second at the end: it may be a last word."""
        async with on(MistralServer(extras)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 1000))
            for _ in range(8):
                await call.speak(silence(15_000) + music(400))
            await call.speak(silence(2000) + audit.noise(2, 1000) + silence(500) + music(300))
            await call.hang_up()
        assert call.gaps() == []
        assert len(harness.transport.streams) <= 3
        words = spoken(harness.events)
        assert len(words) == len(set(words)) == 27

    @in_virtual_time
    async def test_ringing_is_not_declared(self) -> None:
        async with on(MistralServer()) as (harness, task):
            call = Call(harness, task)
            harness.start()
            for _ in range(10):
                await call.speak(music(2000) + silence(4000))
            await call.speak(audit.noise(1, 2000))
            await call.hang_up()
        assert call.gaps() == []
        assert len(harness.transport.streams) == 2

    @ALL
    @in_virtual_time
    async def test_music_on_hold_does_not_end_the_call(self, extras: MistralRules) -> None:
        """Nothing shows that it is music: it is declared, unless a session had text before it."""
        async with on(MistralServer(extras)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 2000) + silence(3000))
            await call.speak(music(200_000) + silence(3000) + audit.noise(2, 2000))
            await call.hang_up()
        assert harness.ended.status is Status.COMPLETED
        words = spoken(harness.events)
        assert len(words) == len(set(words)) == 25 + 27  # 2 s, on and off the grid of the sessions
        assert len(harness.transport.streams) <= 8
        assert {cause for *_, cause in call.gaps()} <= {GapCause.MODEL_MUTE, GapCause.RECONNECT}
        assert all(from_ms >= 4500 and to_ms <= 208_000 for from_ms, to_ms, _ in call.gaps())


class TestFailuresOfTheServer:
    """The three that were reported."""

    @ALL
    @in_virtual_time
    async def test_a_session_that_falls_silent_is_replaced(self, extras: MistralRules) -> None:
        async with on(MistralServer(extras, [Failure.SILENT], 6.0)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 30_000))
            await call.hang_up()
        assert (call.gaps(), len(harness.transport.streams)) == ([], 2)
        assert harness.reservation.slots[0].outcomes == ["worked", "session-stalled"]
        if extras.has_segments:
            call.assert_whole()

    @in_virtual_time
    async def test_a_session_without_its_first_text_is_replaced_in_time(self) -> None:
        async with on(MistralServer(failures=[Failure.DEAF])) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 9500))
            assert len(harness.transport.streams) == 2
            await call.speak(audit.noise(2, 30_000))
            await call.hang_up()
        assert harness.reservation.slots[0].outcomes == ["session-mute"]
        call.assert_whole()

    @in_virtual_time
    async def test_speech_that_every_session_loses_is_declared(self) -> None:
        async with on(MistralServer(failures=[Failure.DEAF] * 9)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 100_000))
            await call.hang_up()
        found = account(harness.events, call.sent)
        assert found.whole
        assert found.gap_ms + found.transcribed_ms == found.audio_ms
        assert found.gap_ms > 0

    @in_virtual_time
    async def test_an_early_done_is_not_taken_for_an_answer(self) -> None:
        async with on(MistralServer(failures=[Failure.CUT])) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 6000))
            await call.hang_up()
        assert len(harness.transport.streams) == 2
        call.assert_whole()

    @in_virtual_time
    async def test_sessions_that_all_end_early_do_not_keep_the_call(self) -> None:
        async with on(MistralServer(failures=[Failure.CUT] * 9)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 6000))
            began_s = asyncio.get_running_loop().time()
            await call.hang_up()
        assert harness.ended.status is Status.COMPLETED
        assert len(harness.transport.streams) == 2
        assert asyncio.get_running_loop().time() - began_s < 5
        assert call.gaps()

    @in_virtual_time
    async def test_a_session_that_never_ends_is_replaced_at_the_hang_up(self) -> None:
        async with on(MistralServer(failures=[Failure.SILENT], after_s=5.9)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 6000))
            await call.hang_up()
        call.assert_whole()

    @ALL
    @in_virtual_time
    async def test_short_speech_is_asked_again_if_the_session_fails_later(
        self, extras: MistralRules
    ) -> None:
        """Symptom: speech of 0.9 s after a session stopped was neither sent again nor declared."""
        async with on(MistralServer(extras, [Failure.SILENT], 3.0)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 1000) + silence(3000) + audit.noise(2, 900))
            await call.speak(silence(15_000))
            assert len(harness.transport.streams) == 1
            await call.hang_up()
        assert (call.gaps(), len(harness.transport.streams)) == ([], 2)
        assert len(spoken(harness.events)) in (13 + 12, 13 + 13)
        assert counted(harness, "wordless_speech_seconds_total") == 0

    @ALL
    @in_virtual_time
    async def test_short_speech_is_declared_if_it_can_not_be_asked_again(
        self, extras: MistralRules
    ) -> None:
        async with on(MistralServer(extras, [Failure.SILENT], 3.0), replay_ms=10_000) as (
            harness,
            task,
        ):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 1000) + silence(3000) + audit.noise(2, 900))
            await call.speak(silence(15_000))
            await call.hang_up()
        [(from_ms, to_ms, cause)] = call.gaps()
        assert (from_ms, cause) == (4000, GapCause.RECONNECT)
        assert 4900 <= to_ms <= 4960
        assert len(spoken(harness.events)) == 13

    @in_virtual_time
    async def test_words_after_a_replay_are_where_they_were_said(self) -> None:
        """Symptom: words after a fast replay were up to its length late.

        The first session has words for 1040 ms; their end is an estimate.
        """
        async with on(MistralServer(NEITHER, [Failure.SILENT], 1.64)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 1520) + silence(9000))
            assert [final.end_ms for final in call.finals()] == [1040]
            await call.hang_up()
        assert [(final.start_ms, final.end_ms) for final in call.finals()[1:]] == [(1040, 1600)]
        assert spoken(harness.events) == checksums(call.sent)
        assert 1.0 < counted(harness, "unproven_speech_seconds_total") < 1.1

    @in_virtual_time
    async def test_what_may_be_the_end_of_a_text_without_times_is_counted(self) -> None:
        """It is not sent again, after a while without words, as it would be published twice."""
        server = MistralServer(NEITHER, [Failure.SILENT], 1.64)
        async with on(server, rut_deltas=40) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 1520) + silence(15_000))
            await call.hang_up()
        assert spoken(harness.events) == checksums(call.sent)[:13]
        assert 1.5 < counted(harness, "unproven_speech_seconds_total") < 1.7

    @ALL
    @in_virtual_time
    async def test_noise_before_words_is_counted(self, extras: MistralRules) -> None:
        async with on(MistralServer(extras)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 1000) + silence(3000) + music(800) + silence(15_000))
            await call.speak(audit.noise(2, 1000) + silence(3000))
            await call.hang_up()
        assert (call.gaps(), len(harness.transport.streams)) == ([], 1)
        assert 0.8 <= counted(harness, "wordless_speech_seconds_total") <= 0.96

    @in_virtual_time
    async def test_the_pause_after_a_turn_is_not_sent_again(self) -> None:
        """Symptom: after a reset, the soft end of a turn was answered a second time."""
        async with on(MistralServer(TURNS, [Failure.RESET], 4.0)) as (harness, task):
            call = Call(harness, task)
            harness.start()
            await call.speak(audit.noise(1, 1000) + silence(5000))
            await call.hang_up()
        second = harness.transport.streams[1]
        appends = [m["audio"] for m in second.sent if "audio" in m]
        sent_ms = sum(len(base64.b64decode(audio)) for audio in appends) // 32
        [final] = call.finals()
        assert 6000 - sent_ms >= final.end_ms + 400  # the end of the server's turn


@pytest.mark.parametrize("seed", range(12))
def test_random_speech_with_a_failure_is_whole(seed: int) -> None:
    """Speech and silence of any length, rollovers, and one session that fails in some way."""
    random = Random(seed)  # noqa: S311 - the same calls in each run

    @in_virtual_time
    async def play() -> None:
        failure = random.choice([Failure.NONE, Failure.SILENT, Failure.RESET])
        failures = [Failure.NONE] * random.randint(0, 1) + [failure]
        server = MistralServer(random.choice([MistralRules(), SEGMENTS]), failures)
        server.after_s = random.uniform(0.5, 12.0)
        async with on(server, rollover_soft_s=random.choice([10, 240])) as (harness, task):
            call = Call(harness, task)
            harness.start()
            for number in range(random.randint(1, 6)):
                await call.speak(silence(20 * random.randint(0, 300)))
                await call.speak(audit.noise(100 * seed + number, 20 * random.randint(20, 500)))
            await call.speak(silence(20 * random.randint(0, 300)))
            await call.hang_up()
        call.assert_whole()

    play()
