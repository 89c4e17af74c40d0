"""Deltas are combined if the client asks for it; their number, order and text stay the same."""

import asyncio
import contextlib
import json
import zlib

import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse
from hypothesis import given
from hypothesis import strategies as st

from container.bridge.coalescing import Coalescer, window_s
from container.cpu.clock import TokenClock
from container.cpu.protocol import delta
from deploy.local.sagemaker import LocalEndpoint
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Address, Answer, Options
from gateway.upstream.dialects.voxtral import Voxtral
from gateway.upstream.realtime import Deltas, coalescing_query, decode
from gateway.upstream.session import RealtimeSession
from gateway.upstream.transport import UpstreamTransport
from gateway.upstream.websocket import WebSocketTransport
from tests.container.bridge.conftest import bridge
from tests.container.bridge.engine import CREATED, DONE, FINAL, ScriptedEngine
from tests.container.bridge.test_bridge import APPEND, closed, send_close
from tests.container.bridge.test_record import scrape
from tests.container.cpu.dialogue import MODEL, checksum_engine
from tests.deploy.local.sagemaker.peers import settings
from tests.gateway.upstream.peers import sagemaker_to

LONG_MS = 1000
TIMEOUT_S = 20.0


def texts_of(message: bytes) -> list[str]:
    deltas = decode(message)
    assert isinstance(deltas, Deltas)
    return list(deltas.texts())


def combined(*texts: str) -> bytes:
    coalescer = Coalescer()
    for text in texts:
        assert coalescer.add(delta(text).encode())
    return coalescer.take()


@pytest.mark.parametrize(
    ("texts", "items"),
    [
        ([""], "[1]"),
        (["", "", ""], "[3]"),
        ([" a"], '[" a"]'),
        (["", " a", "", "", " b"], '[1," a",2," b"]'),
        ([" a", " b"], '[" a"," b"]'),
        (["0"], '["0"]'),
    ],
)
def test_deltas_are_combined_exactly(texts: list[str], items: str) -> None:
    assert combined(*texts) == b'{"type":"transcription.deltas","deltas":%b}' % items.encode()


def test_text_is_copied_as_it_is_escaped() -> None:
    coalescer = Coalescer()
    assert coalescer.add(b'{"type": "transcription.delta", "delta": "\\u00e9\\n\\"x\xc3\xa9"}')
    assert coalescer.take().endswith(b'["\\u00e9\\n\\"x\xc3\xa9"]}')


@given(st.lists(st.sampled_from(["", ""]) | st.text(max_size=5), min_size=1, max_size=60))
def test_gateway_restores_every_delta(texts: list[str]) -> None:
    assert texts_of(combined(*texts)) == texts


@pytest.mark.parametrize(
    "message",
    [
        DONE.encode(),
        CREATED.encode(),
        b'{"type":"error","error":"x","code":"transcription.delta"}',
        b'{"type":"transcription.delta","delta":" a","end_ms":80}',  # would lose a field
        b'{"type":"transcription.delta","delta":null}',
        b'{"type":"transcription.delta","delta":7}',
        b'{"type":"transcription.delta"}',
        b'{"type":"transcription.delta","delta":"\xff',
        delta(" a" * 4096).encode(),
    ],
)
def test_other_messages_are_not_collected(message: bytes) -> None:
    coalescer = Coalescer()
    assert not coalescer.add(message)
    assert coalescer.is_empty


@given(st.binary(max_size=80))
def test_any_message_is_collected_or_not(data: bytes) -> None:
    message = b'{"type":"transcription.delta","delta":' + data
    coalescer = Coalescer()
    if coalescer.add(message):
        assert texts_of(coalescer.take()) == [json.loads(message)["delta"]]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("400", 0.4),
        ("1000", 1),
        ("1001", 0),
        ("99999", 0),
        ("-5", 0),
        ("1e2", 0),
        ("٤٠٠", 0),
        ("400ms", 0),
        ("9" * 5000, 0),
    ],
)
def test_window_is_read_from_the_query(text: str | None, seconds: float) -> None:
    assert window_s(text) == seconds


def test_gateway_asks_with_the_query_that_the_bridge_reads() -> None:
    assert window_s(coalescing_query(400).removeprefix("coalesce_ms=")) == 0.4
    assert coalescing_query(0) == ""


async def connect(session: ClientSession, url: str, query: str) -> ClientWebSocketResponse:
    path = f"{url}/invocations-bidirectional-stream{query}"
    ws: ClientWebSocketResponse = await session.ws_connect(path, autoclose=False)
    return ws


async def test_deltas_precede_the_message_that_follows_them(engine: ScriptedEngine) -> None:
    """The window is longer than the test: only the `done` sends the deltas."""
    async with bridge(engine.url) as (url, _), asyncio.timeout(TIMEOUT_S), ClientSession() as http:
        ws = await connect(http, url, f"?coalesce_ms={LONG_MS}")
        assert await ws.receive_str() == CREATED
        for _ in range(2):
            await ws.send_str(APPEND)
        await ws.send_str(FINAL)
        assert texts_of((await ws.receive_str()).encode()) == [" one", " one", " two"]
        assert await ws.receive_str() == DONE
        await send_close(ws)
        assert await closed(ws) == (1000, "")


async def test_deltas_are_sent_when_their_window_ends(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), asyncio.timeout(TIMEOUT_S), ClientSession() as http:
        ws = await connect(http, url, "?coalesce_ms=50")
        assert await ws.receive_str() == CREATED
        for _ in range(3):
            await ws.send_str(APPEND)
            assert texts_of((await ws.receive_str()).encode()) == [" one"]


async def test_a_message_has_a_limited_number_of_deltas(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), asyncio.timeout(TIMEOUT_S), ClientSession() as http:
        ws = await connect(http, url, f"?coalesce_ms={LONG_MS}")
        assert await ws.receive_str() == CREATED
        for _ in range(130):
            await ws.send_str(APPEND)
        await ws.send_str(FINAL)
        sizes = [len(texts_of((await ws.receive_str()).encode())) for _ in range(3)]
        assert sizes == [64, 64, 3]


async def test_collected_deltas_are_sent_before_the_platforms_close_is_answered(
    engine: ScriptedEngine,
) -> None:
    engine.done_after = asyncio.Event()
    async with (
        bridge(engine.url, drain_timeout_s=0.3) as (url, _),
        asyncio.timeout(TIMEOUT_S),
        ClientSession() as http,
    ):
        ws = await connect(http, url, f"?coalesce_ms={LONG_MS}")
        assert await ws.receive_str() == CREATED
        await ws.send_str(APPEND)
        await ws.send_str(FINAL)
        await send_close(ws)
        assert texts_of((await ws.receive_str()).encode()) == [" one"]
        assert await closed(ws) == (1011, "engine not done in time")


def test_run_of_empty_deltas_is_limited() -> None:
    coalescer = Coalescer()
    for _ in range(10_000):
        assert not coalescer.is_full
        assert coalescer.add(delta("").encode())
    assert coalescer.is_full


async def test_deltas_are_sent_before_the_engines_close(engine: ScriptedEngine) -> None:
    engine.close_after_append = (1012, b"restart")
    async with bridge(engine.url) as (url, _), asyncio.timeout(TIMEOUT_S), ClientSession() as http:
        ws = await connect(http, url, f"?coalesce_ms={LONG_MS}")
        assert await ws.receive_str() == CREATED
        await ws.send_str(APPEND)
        assert texts_of((await ws.receive_str()).encode()) == [" one"]
        assert await closed(ws) == (1012, "restart")


@pytest.mark.parametrize("query", ["", "?coalesce_ms=0", "?coalesce_ms=x", "?other=400"])
async def test_clients_that_do_not_ask_get_each_delta(engine: ScriptedEngine, query: str) -> None:
    async with bridge(engine.url) as (url, _), asyncio.timeout(TIMEOUT_S), ClientSession() as http:
        ws = await connect(http, url, query)
        await ws.send_str(APPEND)
        await ws.send_str(FINAL)
        replies = [await ws.receive_str() for _ in range(4)]
        assert replies == [CREATED, delta(" one"), delta(" two"), DONE]


class Listener:
    """Records the deltas of a session."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_answer(self, answer: Answer) -> None:
        self.texts.append(answer.text)

    def on_writable(self) -> None: ...

    def on_ended(self, error: UpstreamError | None) -> None: ...


@pytest.mark.parametrize("kind", ["sagemaker", "websocket"])
@pytest.mark.parametrize("window_ms", [0, 1, LONG_MS])
async def test_gateway_receives_the_same_deltas_in_fewer_messages(
    kind: str, window_ms: int
) -> None:
    pcm = np.random.default_rng(7).integers(-9000, 9000, 48_000, "<i2").tobytes()
    expected = [f" {zlib.crc32(pcm[at : at + 2560]):08x}" for at in range(0, len(pcm), 2560)]
    query, listener = coalescing_query(window_ms), Listener()
    async with contextlib.AsyncExitStack() as stack:
        engine_url = await stack.enter_async_context(checksum_engine())
        url, _ = await stack.enter_async_context(bridge(engine_url.removesuffix("/v1/realtime")))
        transport: UpstreamTransport
        if kind == "sagemaker":
            endpoint = await stack.enter_async_context(LocalEndpoint(settings(url)))
            transport = sagemaker_to(endpoint.url, endpoint.ca_file)
        else:
            transport = WebSocketTransport(f"{url}/invocations-bidirectional-stream")
        stack.push_async_callback(transport.close)
        session = RealtimeSession(
            listener, Voxtral().session(Options(MODEL)), done_timeout_s=TIMEOUT_S
        )
        await session.open(transport, TIMEOUT_S, Address(query=query))
        assert session.append(pcm)
        await session.finish()
        frames = (await scrape(url))["callscribe_bridge_frames_total platform"]
    assert [text for text in listener.texts if text] == expected
    assert len(listener.texts) == TokenClock().total(48_000)
    without = len(listener.texts) + 2  # session.created and done
    assert frames < without if window_ms else frames == without
