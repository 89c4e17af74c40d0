"""Sessions without audio: finished before the server ends them, opened again for the next audio."""

import asyncio
import base64
import functools
import json
import zlib

import pytest

from cli import audit, audit_coverage
from container.cpu.checksum import ChecksumTranscription
from container.cpu.clock import TokenClock
from container.cpu.generation import Rules
from container.cpu.server_session import Phase
from container.cpu.session import RealtimeSession
from gateway.errors import UpstreamError
from gateway.transcript.events import Status, TranscriptFinal, TranscriptGap
from gateway.upstream.dialects.registry import DialectName, make_dialect
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.calls.test_sessions import sent_ms, talk
from tests.gateway.scripted import ScriptedStream, ScriptedTransport

SERVER_IDLE_S = 30
RULES = Rules("m", TokenClock(480))
HOLD_S = 24  # 80 % of vLLM's 30 s


def answering(stream: ScriptedStream, *, done_s: float = 0) -> None:
    """Script a model that answers each 80 ms at once with a word, and the final commit later."""
    words = 0

    def on_sent(message: dict[str, object]) -> None:
        nonlocal words
        if "audio" in message:
            stream.delta(f" w{words}")
            words += 1
        elif message.get("final"):
            asyncio.get_running_loop().call_later(done_s, stream.done)

    stream.on_sent = on_sent
    stream.created()


def words(harness: StreamHarness) -> int:
    return sum(len(final.text.split()) for final in harness.of(TranscriptFinal))


def rollovers(harness: StreamHarness) -> float | None:
    return harness.metrics.registry.get_sample_value("callscribe_rollovers_total", {"why": "idle"})


def state(harness: StreamHarness) -> str:
    snapshot = harness.stream.snapshot()
    assert snapshot
    [track] = snapshot.tracks
    return track.state


@in_virtual_time
async def test_a_hold_ends_the_session_and_the_next_audio_opens_another() -> None:
    transport = ScriptedTransport(answering)
    async with running_stream(transport, idle_timeout_s=1000) as (harness, task):
        harness.start()
        await talk(harness, 4)
        await asyncio.sleep(HOLD_S - 2)
        assert len(transport.streams) == 1
        assert not transport.streams[0].finished
        await asyncio.sleep(10)
        assert transport.streams[0].finished
        assert state(harness) == "idle"
        await asyncio.sleep(300)
        assert len(transport.streams) == 1, "an idle session was replaced"
        await talk(harness, 4)
        assert state(harness) == "live"
        harness.feed("stop")
        await task
    assert (harness.ended.status, len(transport.streams)) == (Status.COMPLETED, 2)
    assert harness.of(TranscriptGap) == []
    assert words(harness) >= 100  # and those of the padding
    assert sent_ms(transport.streams[1]) >= 4000
    assert rollovers(harness) == 1
    assert [slot.held for slot in harness.reservation.slots] == [False, False]


@in_virtual_time
async def test_a_hangup_in_a_hold_opens_no_session() -> None:
    transport = ScriptedTransport(answering)
    async with running_stream(transport, idle_timeout_s=1000) as (harness, task):
        harness.start()
        await talk(harness, 2)
        await asyncio.sleep(100)
        harness.feed("stop")
        await task
    assert (harness.ended.status, len(transport.streams)) == (Status.COMPLETED, 1)
    assert harness.of(TranscriptGap) == []


@in_virtual_time
async def test_audio_while_an_idle_session_is_finished_is_not_lost() -> None:
    """The server answers the final commit 2 s late, and the caller speaks meanwhile."""
    transport = ScriptedTransport(functools.partial(answering, done_s=2))
    async with running_stream(transport, idle_timeout_s=1000) as (harness, task):
        harness.start()
        await talk(harness, 2)
        await asyncio.sleep(HOLD_S)
        while not transport.streams[0].sent[-1].get("final"):  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.1)
        before = words(harness)
        await talk(harness, 4)
        harness.feed("stop")
        await task
    assert harness.of(TranscriptGap) == []
    assert words(harness) - before >= 50
    assert sent_ms(transport.streams[1]) >= 4000


class Engine:
    """The CPU engine behind a scripted stream; it ends a session that gets no audio for 30 s."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.ended_idle = 0
        self._rules = rules

    def greet(self, stream: ScriptedStream) -> None:
        session = RealtimeSession(self._rules)
        timer = self._watch(stream)

        def on_sent(message: dict[str, object]) -> None:
            nonlocal timer
            if "audio" in message:
                timer.cancel()
                timer = self._watch(stream)
            replies = session.receive(json.dumps(message))
            if session.phase is Phase.WAITING:
                replies += session.begin(ChecksumTranscription())
            for reply in replies:
                stream.receiver.on_message(reply.encode())

        stream.on_sent = on_sent
        for reply in session.greet():
            stream.receiver.on_message(reply.encode())

    def _watch(self, stream: ScriptedStream) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(SERVER_IDLE_S, self._end, stream)

    def _end(self, stream: ScriptedStream) -> None:
        if not (stream.finished or stream.aborted):
            self.ended_idle += 1
            stream.close(UpstreamError("connection-lost"))


async def speak(harness: StreamHarness, seconds: float, seed: int) -> None:
    noise = audit.noise(seed, round(seconds * 1000))
    for at in range(0, len(noise), 640):
        harness.feed("media", media={"track": "inbound", "payload": encode(noise[at : at + 640])})
        await asyncio.sleep(0.08)


def encode(mulaw: bytes) -> str:
    return base64.b64encode(mulaw).decode()


@pytest.mark.parametrize(
    ("dialect", "rules"),
    [
        (DialectName.VOXTRAL, RULES),
        (DialectName.VOXTRAL_TURNS, RULES),
        (DialectName.QWEN3_ASR, Rules("m", TokenClock(480), segment_tokens=128)),
    ],
)
@in_virtual_time
async def test_holds_lose_no_words(dialect: DialectName, rules: Rules) -> None:
    """With the CPU engine: each 80 ms of speech is one word, whatever the holds between."""
    engine = Engine(rules)
    transport = ScriptedTransport(engine.greet)
    async with running_stream(transport, idle_timeout_s=1000) as (harness, task):
        harness.reservation.dialect = make_dialect(dialect)
        harness.start()
        for seed, hold_s in enumerate((60, 29, 300)):
            await speak(harness, 4, seed)
            await asyncio.sleep(hold_s)
        await speak(harness, 4, 9)
        harness.feed("stop")
        await task
    assert (harness.ended.status, harness.ended.reason) == (Status.COMPLETED, "carrier-stopped")
    assert harness.of(TranscriptGap) == []
    assert engine.ended_idle == 0
    assert len(transport.streams) == 4
    said = " ".join(final.text for final in harness.of(TranscriptFinal)).split()
    pcm = audit_coverage.expected_pcm(b"".join(audit.noise(seed, 4000) for seed in (0, 1, 2, 9)))
    expected = [f"{zlib.crc32(pcm[at : at + 2560]):08x}" for at in range(0, len(pcm), 2560)]
    assert [word for word in said if word in expected] == expected
