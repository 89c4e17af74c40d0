"""Holds with each dialect: sessions end before their servers do it, and no word is lost."""

import asyncio
import base64
import zlib
from typing import Any

import pytest

from cli import audit, audit_coverage
from gateway.calls.termination import Termination
from gateway.transcript.events import GapCause, Status, TranscriptFinal, TranscriptGap
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.registry import DialectName
from tests.gateway.calls.cpu_server import CpuServer
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.scripted import ScriptedTransport
from tests.simulation.model import MODEL

SPEECH_MS = 4000
CHUNK_BYTES = 2560  # of PCM: a word of the checksum engine
LIMITS: dict[str, Any] = {
    "idle_timeout_s": 10_000,
    "silence_timeout_s": 10_000,
    "max_call_s": 20_000,
    "rollover_soft_s": 10_000,
    "rollover_hard_s": 10_000,
}
IDLE_S = {  # with and without a limit of the server that is documented
    DialectName.VOXTRAL: (30,),
    DialectName.VOXTRAL_TURNS: (30,),
    DialectName.QWEN3_ASR: (30,),
    DialectName.OPENAI: (None, 60),
    DialectName.SGLANG: (None,),
    DialectName.SPEACHES: (None,),
    DialectName.DEEPGRAM: (None,),  # 10 s without audio and without a message
    DialectName.MISTRAL: (None, 60),
}
CASES = [(dialect, idle_s) for dialect, limits in IDLE_S.items() for idle_s in limits]


class Call:
    """A call that speaks, and is on hold between."""

    def __init__(self, harness: StreamHarness, server: CpuServer) -> None:
        self.harness = harness
        self.server = server
        self.utterances: list[tuple[int, bytes]] = []  # when each begins, in media ms
        self._at_ms = 0
        harness.reservation.transport = server  # type: ignore[assignment]
        harness.reservation.dialect = server.dialect
        harness.reservation.options = Options(MODEL)
        harness.start()

    async def speak(self) -> None:
        mulaw = audit.noise(self._at_ms, SPEECH_MS)
        self.utterances.append((self._at_ms, mulaw))
        await self.send(mulaw, 80)

    async def send(self, mulaw: bytes, frame_ms: int) -> None:
        for at in range(0, len(mulaw), 8 * frame_ms):
            payload = base64.b64encode(mulaw[at : at + 8 * frame_ms]).decode()
            media = {"track": "inbound", "payload": payload, "timestamp": str(self._at_ms)}
            self.harness.feed("media", media=media)
            self._at_ms += frame_ms
            await asyncio.sleep(frame_ms / 1000)

    async def hold(self, seconds: int, *, sends_silence: bool) -> None:
        if sends_silence:
            await self.send(b"\xff" * (8000 * seconds), 1000)
        else:
            await asyncio.sleep(seconds)
            self._at_ms += 1000 * seconds

    @property
    def state(self) -> str:
        snapshot = self.harness.stream.snapshot()
        assert snapshot
        return snapshot.tracks[0].state

    async def hang_up(self, task: "asyncio.Task[Termination]") -> None:
        self.harness.feed("stop")
        await asyncio.wait_for(task, 60)
        assert self.harness.ended.status is Status.COMPLETED
        assert self.server.endpoint.breaches == []

    def assert_whole(self) -> None:
        """Assert that each utterance has its words, once, in finals that span no hold."""
        words: list[str] = []
        for begin_ms, mulaw in self.utterances:
            said = [
                word
                for final in self.harness.of(TranscriptFinal)
                if begin_ms - 500 <= final.start_ms <= begin_ms + SPEECH_MS
                for word in final.text.split()
            ]
            pcm = audit_coverage.expected_pcm(mulaw)
            if self.server.name is DialectName.SPEACHES:
                pcm = audit_coverage.pcm_of_24_khz(pcm)
            elif self.server.dialect.capabilities.encodings:
                pcm = audit_coverage.g711_pcm(pcm)
            assert is_heard(said, pcm), begin_ms
            words += said
        finals = self.harness.of(TranscriptFinal)
        assert words == [word for final in finals for word in final.text.split()]
        assert len(set(words)) == len(words)
        assert all(final.end_ms - final.start_ms <= SPEECH_MS + 500 for final in finals)


def is_heard(words: list[str], pcm: bytes) -> bool:
    """Return whether the words are those of an utterance.

    Padding, and the tail of the resampler's filter, decide where the first whole chunk begins. So
    there may be a word for a part of a chunk before it, and two after the last one.
    """

    def checksum(at: int) -> str:
        return f"{zlib.crc32(pcm[at : at + CHUNK_BYTES]):08x}"

    begin = next((at for at in range(0, CHUNK_BYTES, 2) if checksum(at) in words[:2]), None)
    if begin is None:
        return False
    whole = range(begin, len(pcm) - CHUNK_BYTES + 1, CHUNK_BYTES)
    expected = [checksum(at) for at in whole]
    rest = words[words.index(expected[0]) :]
    return rest[: len(expected)] == expected and len(rest) <= len(expected) + 2


@pytest.mark.parametrize(("dialect", "idle_s"), CASES)
@pytest.mark.parametrize("sends_silence", [False, True])
def test_holds_lose_no_words(dialect: DialectName, idle_s: int | None, sends_silence: bool) -> None:
    @in_virtual_time
    async def play() -> None:
        server = CpuServer(dialect, idle_s=idle_s)
        async with running_stream(ScriptedTransport(), **LIMITS) as (harness, task):
            call = Call(harness, server)
            holds_s = (25, 60, 200) if sends_silence else (25, 60, 300, 1200)
            for hold_s in holds_s:
                await call.speak()
                await call.hold(hold_s, sends_silence=sends_silence)
                assert server.open_sessions <= 1
            await call.speak()
            await call.hang_up(task)
        call.assert_whole()
        gaps = harness.of(TranscriptGap)
        assert {gap.cause for gap in gaps} <= {GapCause.NOT_SENT}
        assert len(gaps) == (0 if sends_silence else len(holds_s))
        if server.dialect.capabilities.idle_s:
            assert server.ended == []
        # One session between two holds at most, although some servers end sessions unannounced.
        assert len(server.opened_s) <= len(holds_s) + 1
        outcomes = [outcome for slot in harness.reservation.slots for outcome in slot.outcomes]
        assert set(outcomes) == {"worked"}, "an idle session that its server ends is no failure"

    play()


@pytest.mark.parametrize("dialect", IDLE_S)
@pytest.mark.parametrize("silence_s", [0, 12])
def test_a_server_that_ends_idle_sessions_is_not_asked_until_audio_comes(
    dialect: DialectName, silence_s: int
) -> None:
    """Symptom: sessions were opened again and again in a hold, until the breaker opened."""

    @in_virtual_time
    async def play() -> None:
        server = CpuServer(dialect, idle_s=15)
        async with running_stream(ScriptedTransport(), **LIMITS) as (harness, task):
            call = Call(harness, server)
            await call.speak()
            await call.hold(silence_s, sends_silence=True)
            await call.hold(30, sends_silence=False)
            assert (server.ended, call.state, len(server.opened_s)) == (["idle"], "idle", 1)
            await call.hold(600, sends_silence=False)
            assert len(server.opened_s) == 1
            await call.speak()
            await call.hang_up(task)
        call.assert_whole()
        assert harness.metrics.registry.get_sample_value(
            "callscribe_rollovers_total", {"why": "idle"}
        )

    play()


@pytest.mark.parametrize("dialect", [DialectName.VOXTRAL_TURNS, DialectName.QWEN3_ASR])
def test_silence_needs_no_session_if_the_server_answers_turns(dialect: DialectName) -> None:
    """Symptom: a session was opened every 24 s while the caller was silent."""

    @in_virtual_time
    async def play() -> None:
        server = CpuServer(dialect, idle_s=30)
        async with running_stream(ScriptedTransport(), **LIMITS) as (harness, task):
            call = Call(harness, server)
            await call.speak()
            await call.hold(28, sends_silence=True)
            assert (call.state, len(server.opened_s)) == ("idle", 1)
            await call.hold(120, sends_silence=True)
            snapshot = harness.stream.snapshot()
            assert snapshot
            assert snapshot.tracks[0].lag_ms == 0
            assert len(server.opened_s) == 1
            await call.hang_up(task)
        assert len(server.opened_s) == 1
        assert harness.of(TranscriptGap) == []
        call.assert_whole()

    play()


@pytest.mark.parametrize(
    ("dialect", "longest"),
    [
        (DialectName.OPENAI, {"longest_s": 3600}),
        (DialectName.SPEACHES, {"longest_s": 1800}),
        (DialectName.DEEPGRAM, {"longest_s": 1800, "longest_stream_s": 1800}),  # SageMaker's
        (DialectName.VOXTRAL, {"longest_s": 1800, "longest_stream_s": 1800}),
    ],
)
def test_sessions_are_replaced_before_the_server_ends_them(
    dialect: DialectName, longest: dict[str, float]
) -> None:
    """Whatever GATEWAY_ROLLOVER_HARD_S says."""

    @in_virtual_time
    async def play() -> None:
        server = CpuServer(dialect, **longest)
        async with running_stream(ScriptedTransport(), **LIMITS) as (harness, task):
            call = Call(harness, server)
            for _ in range(round(2.2 * longest["longest_s"] / 184)):
                await call.speak()
                await call.hold(180, sends_silence=False)
            await call.hang_up(task)
        assert server.ended == []
        assert len(server.opened_s) >= 3
        call.assert_whole()

    play()
