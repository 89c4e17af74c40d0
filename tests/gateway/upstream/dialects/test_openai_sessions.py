"""Sessions of OpenAI's dialect with the CPU engine, over a socket."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from cli import audit_coverage
from container.cpu.checksum import ChecksumTranscriber, ChecksumTranscription
from container.cpu.openai_protocol import OpenAiServer
from container.cpu.server import Engine
from container.cpu.settings import ModelName, Settings
from gateway.audio.encodings import G711, Encoding, decode
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer, Dialect, Options, Speech
from gateway.upstream.dialects.openai import OpenAi
from gateway.upstream.session import RealtimeSession
from gateway.upstream.websocket import WebSocketTransport
from tests.container.cpu.dialogue import MODEL, serving

OPENAI = OpenAi(rate_hz=24_000, has_keywords=True, has_g711=True)
SGLANG = OpenAi(rate_hz=16_000, has_keywords=False)
SPEACHES = OpenAi(rate_hz=24_000, has_keywords=False, is_beta=True)
CHUNK_BYTES = 2560
BYTES_PER_MS = 32
LIMIT_S = 10.0


class Listener:
    """Records the answers of a session."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def on_answer(self, answer: Answer) -> None:
        self.answers.append(answer)

    def on_writable(self) -> None:
        """Do nothing: the tests send less than the stream accepts."""

    def on_ended(self, error: UpstreamError | None) -> None:
        """Do nothing: `finish` raises the error."""

    @property
    def final(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.until_ms is not None]


class Recorder(ChecksumTranscriber):
    """Keeps the audio of each transcription."""

    def __init__(self) -> None:
        self.heard: list[bytearray] = []

    def begin(self, on_progress: Callable[[], None]) -> ChecksumTranscription:
        heard = bytearray()
        self.heard.append(heard)
        transcription = ChecksumTranscription()
        append = transcription.append

        def keep(pcm: bytes) -> None:
            heard.extend(pcm)
            append(pcm)

        transcription.append = keep  # type: ignore[method-assign]
        return transcription


@asynccontextmanager
async def opened(
    dialect: Dialect,
    server: OpenAiServer,
    *,
    options: Options = Options(MODEL),  # noqa: B008 - frozen
    key: str | None = None,
    transcriber: ChecksumTranscriber | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[RealtimeSession, Listener]]:
    engine = Engine(
        Settings(openai_server=server, **{"model": ModelName.CHECKSUM, **settings}),
        lambda _on_failed: transcriber or ChecksumTranscriber(),
    )
    async with serving(engine) as url:
        transport = WebSocketTransport(url.replace("http", "ws"))
        listener = Listener()
        session = RealtimeSession(listener, dialect.session(options), done_timeout_s=LIMIT_S)
        try:
            await session.open(transport, LIMIT_S, dialect.address(options, key))
            yield session, listener
        finally:
            await transport.close()


def send(session: RealtimeSession, pcm: bytes, at_ms: int) -> None:
    """Send a turn in chunks, all of it speech."""
    for begin in range(0, len(pcm), CHUNK_BYTES):
        assert session.append(pcm[begin : begin + CHUNK_BYTES])
    session.cut(Speech(at_ms, at_ms + len(pcm) // BYTES_PER_MS))


def noise(seed: int, milliseconds: int) -> bytes:
    return np.random.default_rng(seed).integers(-9000, 9000, 16 * milliseconds, "<i2").tobytes()


def checksums(pcm: bytes) -> str:
    chunks = (pcm[begin : begin + CHUNK_BYTES] for begin in range(0, len(pcm), CHUNK_BYTES))
    return "".join(f" {zlib.crc32(chunk):08x}" for chunk in chunks)


async def test_each_turn_is_answered_with_its_samples() -> None:
    turns = [noise(1, 2000), noise(2, 150), noise(3, 5000), noise(4, 330)]
    async with opened(SGLANG, OpenAiServer.SGLANG) as (session, listener):
        at_ms = 0
        for pcm in turns:
            send(session, pcm, at_ms)
            at_ms += len(pcm) // BYTES_PER_MS
        await session.finish()
    assert [answer.text for answer in listener.final] == list(map(checksums, turns))
    assert [answer.until_ms for answer in listener.final] == [2000, 2150, 7150, 7480]


@pytest.mark.parametrize("law", sorted(G711))
async def test_g711_arrives_as_it_came(law: Encoding) -> None:
    turns = [g711_pcm(law, 1, 2000), g711_pcm(law, 2, 160)]
    options = Options(MODEL, encoding=law)
    async with opened(OPENAI, OpenAiServer.STREAMING, options=options) as (session, listener):
        for pcm in turns:
            send(session, pcm, 0)
        await session.finish()
    assert [answer.text for answer in listener.final] == list(map(checksums, turns))
    assert [answer.until_ms for answer in listener.final] == [2000, 2160]


def g711_pcm(law: Encoding, seed: int, milliseconds: int) -> bytes:
    """Return noise at 16 kHz whose every second sample is one of G.711."""
    codes = np.random.default_rng(seed).bytes(8 * milliseconds)
    return np.repeat(np.frombuffer(decode(law, codes), "<i2"), 2).tobytes()


async def test_a_server_that_refuses_g711_gets_pcm() -> None:
    recorder, options = Recorder(), Options(MODEL, encoding=Encoding.PCMU)
    server = OpenAiServer.SGLANG  # it accepts PCM at 24 kHz, too
    async with opened(OPENAI, server, options=options, transcriber=recorder) as (session, listener):
        send(session, noise(1, 1000), 0)
        await session.finish()
    assert len(listener.final) == 1
    assert len(recorder.heard[0]) == 32_000


async def test_speaches_answers_each_turn_with_the_samples_that_both_rates_have() -> None:
    turns = [noise(1, 2000), noise(2, 40), noise(3, 330)]
    options = Options(MODEL, language="en-GB")
    async with opened(SPEACHES, OpenAiServer.SPEACHES, options=options) as (session, listener):
        for pcm in turns:
            send(session, pcm, 0)
        await session.finish()
    assert listener.answers == listener.final, "nothing is shown before a turn is complete"
    turns[1] += bytes(CHUNK_BYTES // 2)  # the rest of the first chunk
    expected = [checksums(audit_coverage.pcm_of_24_khz(pcm)) for pcm in turns]
    assert [answer.text for answer in listener.final] == expected
    assert [answer.until_ms for answer in listener.final] == [2000, 2040, 2370]


async def test_a_short_turn_in_odd_pieces_is_not_refused() -> None:
    """Speaches resamples each message by itself, and drops parts of samples."""
    async with opened(SPEACHES, OpenAiServer.SPEACHES) as (session, listener):
        for _ in range(60):
            assert session.append(noise(1, 1)[:26])
        session.cut(Speech(0, 48))
        await session.finish()
    assert len(listener.final) == 1


async def test_speaches_fails_turns_of_a_model_that_it_has_not() -> None:
    async with opened(SPEACHES, OpenAiServer.SPEACHES, options=Options("x")) as (session, _):
        send(session, noise(1, 1000), 0)
        with pytest.raises(UpstreamError) as caught:
            await session.finish()
    assert caught.value.reason == "realtime-error"


async def test_text_is_shown_while_audio_arrives() -> None:
    pcm = noise(1, 3000)
    async with opened(SGLANG, OpenAiServer.SGLANG) as (session, listener):
        for begin in range(0, len(pcm), CHUNK_BYTES):
            assert session.append(pcm[begin : begin + CHUNK_BYTES])
        async with asyncio.timeout(LIMIT_S):
            while len(listener.answers) < 20:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
        assert not listener.final
        assert checksums(pcm).startswith(listener.answers[-1].text)
        session.cut(Speech(0, 3000))
        await session.finish()


@pytest.mark.parametrize(
    ("dialect", "server"),
    [
        (OPENAI, OpenAiServer.STREAMING),
        (OPENAI, OpenAiServer.ITEMS),
        (SPEACHES, OpenAiServer.SPEACHES),
    ],
)
async def test_resampled_audio_arrives_whole(dialect: Dialect, server: OpenAiServer) -> None:
    """The server hears each turn as it was sent, but rounded twice."""
    recorder = Recorder()
    turns = [telephone_noise(seed, 1000 + 500 * seed) for seed in range(3)]
    model = ModelName.MOONSHINE  # else samples would not be interpolated
    async with opened(dialect, server, transcriber=recorder, model=model) as (session, listener):
        for pcm in turns:
            send(session, pcm.tobytes(), 0)
        await session.finish()
    assert len(listener.final) == len(recorder.heard) == len(turns)
    for pcm, heard in zip(turns, recorder.heard, strict=True):
        received = np.frombuffer(bytes(heard), "<i2").astype(float)
        assert len(received) == len(pcm)
        difference = (received - pcm)[50:-50]  # filters see silence beyond both ends
        assert np.sqrt(np.mean(difference**2)) < 0.002 * np.std(pcm)


def telephone_noise(seed: int, milliseconds: int) -> np.ndarray:
    """Return noise without frequencies above 3.4 kHz."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=16 * milliseconds))
    spectrum[int(3.4 * milliseconds) :] = 0
    wave = np.fft.irfft(spectrum)
    return (6000 * wave / np.std(wave)).clip(-30_000, 30_000).astype("<i2")


@pytest.mark.parametrize(
    ("dialect", "server", "options", "reason"),
    [
        (OPENAI, "streaming", Options("other"), "model-not-found"),
        (SGLANG, "sglang", Options("other"), "validation-error"),
        (SGLANG, "streaming", Options(MODEL), "validation-error"),  # 16 kHz
        (OPENAI, "sglang", Options(MODEL, keywords=("Contoso",)), "validation-error"),
        (OPENAI, "speaches", Options(MODEL), "access-denied"),  # no model in the address
        (SPEACHES, "streaming", Options(MODEL), "model-mismatch"),
        (SPEACHES, "sglang", Options(MODEL), "model-mismatch"),
    ],
)
async def test_a_server_that_is_not_what_the_settings_say(
    dialect: Dialect, server: str, options: Options, reason: str
) -> None:
    with pytest.raises(UpstreamError) as caught:
        async with opened(dialect, OpenAiServer(server), options=options):
            pass
    assert caught.value.reason == reason


async def test_hints_are_accepted() -> None:
    options = Options(MODEL, language="en-GB", keywords=("Contoso", "Fabrikam"))
    async with opened(OPENAI, OpenAiServer.STREAMING, options=options) as (session, _):
        await session.finish()


async def test_the_key_is_a_bearer_token() -> None:
    async with opened(OPENAI, OpenAiServer.STREAMING, key="sk-1", api_key="sk-1") as (session, _):
        await session.finish()
    with pytest.raises(UpstreamError) as caught:
        async with opened(OPENAI, OpenAiServer.STREAMING, key="sk-2", api_key="sk-1"):
            pass
    assert caught.value.reason == "access-denied"
    assert "sk-" not in str(caught.value)
