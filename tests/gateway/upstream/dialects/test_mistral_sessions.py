"""Sessions of Mistral's dialect with the CPU engine, over a socket."""

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from gateway.audio.encodings import G711, Encoding, decode
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer, Options
from gateway.upstream.dialects.mistral import Mistral
from gateway.upstream.session import RealtimeSession
from gateway.upstream.websocket import WebSocketTransport
from tests.container.cpu.dialogue import MODEL, checksum_engine

MISTRAL = Mistral()
OPTIONS = Options(MODEL, "en-US", ("Contoso",), 960)
CHUNK_BYTES = 2560
LIMIT_S = 10.0
PCM = np.random.default_rng(5).integers(-9000, 9000, 16 * 9950, "<i2").tobytes()
ENGINES: list[dict[str, Any]] = [
    {},
    {"mistral_segments": False},
    {"mistral_turns": False},
    {"mistral_segments": False, "mistral_turns": False},
]


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
    def text(self) -> str:
        """All final text, and the last text that is provisional."""
        final = [answer for answer in self.answers if answer.until_ms is not None]
        last = [answer for answer in self.answers[-1:] if answer.until_ms is None]
        return "".join(answer.text for answer in [*final, *last])


@asynccontextmanager
async def opened(
    options: Options = OPTIONS, key: str | None = None, **settings: Any
) -> AsyncIterator[tuple[RealtimeSession, Listener]]:
    async with checksum_engine(**settings) as url:
        base = url.replace("http", "ws").removesuffix("/v1/realtime")
        transport = WebSocketTransport(base)
        address = MISTRAL.address(Options(options.model), key)
        listener = Listener()
        session = RealtimeSession(
            listener,
            MISTRAL.session(options),
            done_timeout_s=LIMIT_S,
            largest_append_bytes=MISTRAL.capabilities.largest_append_bytes,
        )
        try:
            await session.open(transport, LIMIT_S, address)
            yield session, listener
        finally:
            await transport.close()


def checksums(pcm: bytes) -> str:
    chunks = (pcm[begin : begin + CHUNK_BYTES] for begin in range(0, len(pcm), CHUNK_BYTES))
    return "".join(f" {zlib.crc32(chunk):08x}" for chunk in chunks)


@pytest.mark.parametrize("engine", ENGINES)
async def test_every_sample_is_answered_once(engine: dict[str, Any]) -> None:
    async with opened(**engine) as (session, listener):
        for begin in range(0, len(PCM), CHUNK_BYTES):
            assert session.append(PCM[begin : begin + CHUNK_BYTES])
        await session.finish()
    assert listener.text == checksums(PCM)
    assert listener.answers[-1].end_ms == len(PCM) // 32


@pytest.mark.parametrize("law", sorted(G711))
async def test_g711_arrives_as_it_came(law: Encoding) -> None:
    codes = np.random.default_rng(1).bytes(8 * 2000)
    pcm = np.repeat(np.frombuffer(decode(law, codes), "<i2"), 2).tobytes()
    async with opened(Options(MODEL, encoding=law)) as (session, listener):
        for begin in range(0, len(pcm), CHUNK_BYTES):
            assert session.append(pcm[begin : begin + CHUNK_BYTES])
        await session.finish()
    assert listener.text == checksums(pcm)
    assert listener.answers[-1].end_ms == 2000
    assert listener.answers[-1].language == "en"


async def test_audio_above_the_limit_is_split() -> None:
    async with opened() as (session, listener):
        assert session.append(PCM)  # 318 KB
        await session.finish()
    assert listener.text == checksums(PCM)


async def test_an_end_without_audio() -> None:
    async with opened() as (session, listener):
        await session.finish()
    assert listener.answers == []


@pytest.mark.parametrize(
    ("options", "key", "reason"),
    [
        (Options("other"), "right", "realtime-error"),  # HTTP 400
        (OPTIONS, "wrong", "access-denied"),
        (OPTIONS, None, "access-denied"),
    ],
)
async def test_refused_sessions(options: Options, key: str | None, reason: str) -> None:
    with pytest.raises(UpstreamError) as refused:
        async with opened(options, key, api_key="right"):
            pass
    assert refused.value.reason == reason
    assert "right" not in str(refused.value)


async def test_settings_that_the_server_refuses() -> None:
    with pytest.raises(UpstreamError) as refused:
        async with opened(Options(MODEL, "en", ("x",), 77)):  # `address` would have refused it
            pass
    assert refused.value.reason == "realtime-error"
