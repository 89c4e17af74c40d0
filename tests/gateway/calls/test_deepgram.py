"""Whole calls with Deepgram's dialect, in virtual time, against the CPU engine's server."""

import asyncio
import base64
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from cli import audit, audit_coverage
from container.cpu.checksum import ChecksumTranscription
from gateway.calls.snapshot import TrackSnapshot
from gateway.errors import UpstreamError
from gateway.transcript.events import TranscriptDelta, TranscriptFinal, TranscriptGap
from gateway.upstream.dialects.deepgram import Deepgram
from tests.gateway.calls.listen_peer import OPTIONS, ListenTransport
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.scripted import ScriptedTransport

FRAME_BYTES = 160  # 20 ms of mu-law
SILENCE = b"\xff"


class Caller:
    """The carrier's side of a call on one track, in real time."""

    def __init__(self, harness: StreamHarness, transport: ListenTransport) -> None:
        self.harness = harness
        self.transport = transport
        self.audio = b""

    async def send(self, mulaw: bytes) -> None:
        for at in range(0, len(mulaw), FRAME_BYTES):
            frame = mulaw[at : at + FRAME_BYTES]
            timestamp = str((len(self.audio) + at) // 8)
            media = {"track": "inbound", "payload": base64.b64encode(frame).decode()}
            self.harness.feed("media", media={**media, "timestamp": timestamp})
            await asyncio.sleep(len(frame) / 8000)
        self.audio += mulaw

    async def speak(self, milliseconds: int) -> None:
        await self.send(audit.noise(len(self.audio), milliseconds))

    async def be_silent(self, milliseconds: int) -> None:
        await self.send(SILENCE * (8 * milliseconds))

    @property
    def tracks(self) -> Sequence[TrackSnapshot]:
        snapshot = self.harness.stream.snapshot()
        assert snapshot
        return snapshot.tracks

    @property
    def words(self) -> list[str]:
        """Words of the final transcripts."""
        return " ".join(final.text for final in self.harness.of(TranscriptFinal)).split()

    @property
    def expected(self) -> list[str]:
        """Checksum of each 80 ms that has sound; the filter's tail may be one more."""
        pcm = audit_coverage.g711_pcm(audit_coverage.expected_pcm(self.audio, flush=True))
        chunks = [pcm[at : at + 2560] for at in range(0, len(pcm), 2560)]
        return [f"{zlib.crc32(chunk):08x}" for chunk in chunks if any(chunk)]


@asynccontextmanager
async def call(transport: ListenTransport, **limits: Any) -> AsyncIterator[Caller]:
    """Place a call; at the end of the context hang up, and wait for the last event."""
    made = cast(ScriptedTransport, transport)
    async with running_stream(made, **limits) as (harness, task):
        harness.reservation.dialect = Deepgram()
        harness.start("inbound")
        yield Caller(harness, transport)
        harness.feed("stop")
        await asyncio.wait_for(task, 60)


def assert_whole(caller: Caller, *, streams: int = 1) -> None:
    """Assert that every sample was transcribed once, and published."""
    assert caller.words == caller.expected
    assert caller.harness.of(TranscriptGap) == []
    assert caller.harness.ended.status == "completed"
    assert len(caller.transport.streams) == streams
    for final in caller.harness.of(TranscriptFinal):
        deltas = [
            delta.text
            for delta in caller.harness.of(TranscriptDelta)
            if (delta.segment, delta.rev) == (final.segment, final.rev)
        ]
        assert "".join(deltas) == final.text


@pytest.mark.parametrize("answers_silence", [True, False])
class TestWhateverIsAnswered:
    def transport(self, answers_silence: bool) -> ListenTransport:
        return ListenTransport(replace(OPTIONS, answers_silence=answers_silence))

    @in_virtual_time
    async def test_speech_with_pauses(self, answers_silence: bool) -> None:
        async with call(self.transport(answers_silence)) as caller:
            for speech_ms, pause_ms in ((400, 300), (2960, 800), (80, 5000), (9040, 80)):
                await caller.speak(speech_ms)
                await caller.be_silent(pause_ms)
        assert_whole(caller)

    @in_virtual_time
    async def test_minutes_of_silence_cause_neither_failure_nor_growth(
        self, answers_silence: bool
    ) -> None:
        async with call(self.transport(answers_silence), rollover_soft_s=1000) as caller:
            await caller.be_silent(240_000)
            [track] = caller.tracks
            assert track.lag_ms <= 6000
            assert track.reconnects == 0
            await caller.speak(1200)
            await caller.be_silent(100_000)
            await caller.speak(400)
        assert_whole(caller)

    @pytest.mark.parametrize("milliseconds", [20, 300, 1620, 4020])
    @in_virtual_time
    async def test_hangup_in_mid_word_loses_nothing(
        self, answers_silence: bool, milliseconds: int
    ) -> None:
        async with call(self.transport(answers_silence)) as caller:
            await caller.speak(milliseconds)
        assert_whole(caller)


@in_virtual_time
async def test_a_hold_without_media_keeps_the_session_open() -> None:
    """The server closes a connection after 10 s without audio or KeepAlive."""
    limits = {"idle_timeout_s": 600, "rollover_soft_s": 1000}
    async with call(ListenTransport(), **limits) as caller:
        await caller.speak(1200)
        await asyncio.sleep(300)
        [stream] = caller.transport.streams
        times_s = [at_s for message, at_s in stream.sent if message == '{"type":"KeepAlive"}']
        assert 50 <= len(times_s) <= 80
        words = caller.expected[:15]
        caller.audio += SILENCE * 8 * 300_000  # the media clock continues
        await caller.speak(800)
    assert caller.words[:15] == words
    assert len(caller.words) - 15 in (10, 11)  # padding shifts the later words' 80 ms
    assert caller.harness.ended.status == "completed"
    assert len(caller.transport.streams) == 1


@pytest.mark.parametrize("delay_s", [0.5, 1.2, 2.5, 4.0])
@pytest.mark.parametrize("milliseconds", [2000, 3000])
@in_virtual_time
async def test_words_that_may_change_are_not_published_as_final(
    milliseconds: int, delay_s: float
) -> None:
    """Symptom: in a hold, a slow server's interim words became final, and came again."""
    async with call(ListenTransport(), idle_timeout_s=600) as caller:
        await caller.speak(80)
        caller.transport.streams[0].delay_s = delay_s
        await caller.speak(milliseconds - 80)
        await asyncio.sleep(30)
    assert caller.words == caller.expected
    assert caller.harness.ended.status == "completed"


@in_virtual_time
async def test_a_lost_session_is_replayed_once() -> None:
    async with call(ListenTransport()) as caller:
        await caller.speak(5200)
        caller.transport.streams[0].close(UpstreamError("model-stream-error"))
        await caller.speak(3280)
    assert_whole(caller, streams=2)


@in_virtual_time
async def test_a_mute_server_is_replaced_and_its_audio_replayed() -> None:
    """The second session was opened to take over, if the first had confirmed its end."""
    async with call(ListenTransport()) as caller:
        await caller.speak(2080)
        caller.transport.streams[0].is_mute = True
        await caller.speak(16_000)
    assert_whole(caller, streams=3)


@in_virtual_time
async def test_an_unasked_end_is_continued_by_another_session() -> None:
    async with call(ListenTransport()) as caller:
        await caller.speak(2640)
        stream = caller.transport.streams[0]
        stream._reply(stream._session.receive('{"type":"CloseStream"}'))  # noqa: SLF001 - by the server
        await caller.speak(2080)
    assert_whole(caller, streams=2)


@in_virtual_time
async def test_a_rollover_repeats_no_word() -> None:
    async with call(ListenTransport(), rollover_soft_s=5, rollover_hard_s=8) as caller:
        await caller.speak(30_000)
    assert caller.tracks[0].rollovers >= 2
    assert_whole(caller, streams=len(caller.transport.streams))


class NoWords(ChecksumTranscription):
    """Hears no speech in any sound, as in music."""

    def next_text(self, *, last: bool) -> str:
        return super().next_text(last=last)[:0]


@in_virtual_time
async def test_music_is_no_failure_of_the_call() -> None:
    async with call(ListenTransport(engine=NoWords)) as caller:
        await caller.speak(60_000)
    assert caller.harness.ended.status == "completed"
    assert caller.harness.of(TranscriptGap) == []
