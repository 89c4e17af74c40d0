"""Sessions with Deepgram's dialect against the CPU engine, over both transports."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from container.cpu import deepgram as server
from deploy.local.sagemaker import LocalEndpoint, Settings
from gateway.audio.encodings import G711, Encoding, decode
from gateway.errors import UpstreamError
from gateway.upstream.dialects.deepgram import Deepgram
from gateway.upstream.dialects.dialect import Answer, Options
from gateway.upstream.session import RealtimeSession
from gateway.upstream.transport import UpstreamTransport
from gateway.upstream.websocket import WebSocketTransport
from tests.container.cpu.dialogue import checksum_engine
from tests.gateway.upstream.peers import KEY_ID, LIMIT_S, SECRET, sagemaker_to

OPTIONS = Options("nova-3", language="en", keywords=("Contoso AG",))
CHUNK_BYTES = 2560


@dataclass
class Listener:
    """Records the answers and the end."""

    answers: list[Answer] = field(default_factory=list)
    error: UpstreamError | None = None
    writable: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def on_answer(self, answer: Answer) -> None:
        self.answers.append(answer)

    def on_writable(self) -> None:
        self.writable.set()

    def on_ended(self, error: UpstreamError | None) -> None:
        self.error = error
        self.ended.set()

    @property
    def words(self) -> list[str]:
        return "".join(each.text for each in self.answers if each.until_ms is not None).split()


@contextlib.asynccontextmanager
async def engine(kind: str) -> AsyncIterator[UpstreamTransport]:
    """Run the CPU engine; yield a transport to it. SageMaker sends it no key."""
    async with contextlib.AsyncExitStack() as stack:
        key = "right" if kind == "websocket" else None
        url = await stack.enter_async_context(checksum_engine(api_key=key))
        base = url.removesuffix("/v1/realtime")
        transport: UpstreamTransport
        if kind == "sagemaker":
            settings = Settings(
                port=0, container_url=base, access_key_id=KEY_ID, secret_access_key=SECRET
            )
            endpoint = await stack.enter_async_context(LocalEndpoint(settings))
            transport = sagemaker_to(endpoint.url, endpoint.ca_file)
        else:
            transport = WebSocketTransport(base)
        stack.push_async_callback(transport.close)
        yield transport


@contextlib.asynccontextmanager
async def opened(
    transport: UpstreamTransport, options: Options = OPTIONS, key: str = "right"
) -> AsyncIterator[tuple[RealtimeSession, Listener]]:
    listener = Listener()
    session = RealtimeSession(
        listener, Deepgram().session(options), done_timeout_s=LIMIT_S, is_audio_binary=True
    )
    await session.open(transport, LIMIT_S, Deepgram().address(options, key))
    try:
        yield session, listener
    finally:
        session.abort()


async def send(session: RealtimeSession, listener: Listener, pcm: bytes) -> None:
    for at in range(0, len(pcm), CHUNK_BYTES):
        while not session.append(pcm[at : at + CHUNK_BYTES]):
            listener.writable.clear()
            await asyncio.wait_for(listener.writable.wait(), LIMIT_S)


def noise(milliseconds: int) -> bytes:
    return np.random.default_rng(7).integers(-9000, 9000, 16 * milliseconds, "<i2").tobytes()


def sums(pcm: bytes) -> list[str]:
    chunks = [pcm[at : at + CHUNK_BYTES] for at in range(0, len(pcm), CHUNK_BYTES)]
    return [f"{zlib.crc32(chunk):08x}" for chunk in chunks]


@pytest.mark.parametrize("kind", ["sagemaker", "websocket"])
async def test_every_sample_is_transcribed_once(kind: str) -> None:
    pcm = noise(60_300)
    async with engine(kind) as transport, opened(transport) as (session, listener):
        await send(session, listener, pcm)
        await asyncio.wait_for(session.finish(), LIMIT_S)
    assert listener.words == sums(pcm)
    untils = [each.until_ms for each in listener.answers if each.until_ms is not None]
    assert untils == sorted(untils)
    assert untils[-1] == 60_300
    assert listener.error is None


@pytest.mark.parametrize("law", sorted(G711))
@pytest.mark.parametrize("kind", ["sagemaker", "websocket"])
async def test_g711_arrives_as_it_came(kind: str, law: Encoding) -> None:
    codes = np.random.default_rng(1).bytes(8 * 5000)
    pcm = np.repeat(np.frombuffer(decode(law, codes), "<i2"), 2).tobytes()
    options = replace(OPTIONS, language="multi", encoding=law)
    async with (
        engine(kind) as transport,
        opened(transport, options) as (session, listener),
    ):
        await send(session, listener, pcm)
        await asyncio.wait_for(session.finish(), LIMIT_S)
    assert listener.words == sums(pcm)
    assert listener.answers[-1].until_ms == 5000
    assert {each.language for each in listener.answers if each.text} == {"en"}


@pytest.mark.parametrize(
    ("model", "key", "reason"),
    [("nova-3", "wrong", "access-denied"), ("whisper", "right", "realtime-error")],
)
async def test_a_refusal_names_no_key(model: str, key: str, reason: str) -> None:
    async with engine("websocket") as transport:
        with pytest.raises(UpstreamError) as raised:
            async with opened(transport, Options(model), key):
                pass
    assert raised.value.reason == reason
    assert "status=4" in raised.value.detail
    assert key not in f"{raised.value!r}{raised.value.detail}"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("sagemaker", "model-stream-error"), ("websocket", "internal-server-error")],
)
async def test_keep_alive_keeps_an_idle_session_open(
    monkeypatch: pytest.MonkeyPatch, kind: str, reason: str
) -> None:
    monkeypatch.setattr(server.ListenSession, "idle_s", 0.6)
    async with engine(kind) as transport, opened(transport) as (session, listener):
        for _ in range(5):
            await asyncio.sleep(0.3)
            session.keep_alive()
        assert not session.is_over
        await asyncio.wait_for(listener.ended.wait(), LIMIT_S)
    assert listener.error is not None
    assert listener.error.reason == reason
    assert "1011" in listener.error.detail
