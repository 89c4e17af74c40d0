"""Sessions above the limit and during a drain are refused; those below are not disturbed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from container.bridge.app import Bridge
from container.bridge.settings import Settings
from deploy.local.sagemaker import LocalEndpoint
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer, Options
from gateway.upstream.dialects.voxtral import Voxtral
from gateway.upstream.session import RealtimeSession
from gateway.upstream.transport import UpstreamTransport
from gateway.upstream.websocket import WebSocketTransport
from tests.container.bridge.conftest import bridge, serving
from tests.container.bridge.engine import CREATED, DONE, FINAL, ScriptedEngine, delta
from tests.container.bridge.test_bridge import APPEND, closed, platform, send_close, sessions_ended
from tests.container.bridge.test_record import scrape
from tests.container.cpu.dialogue import MODEL, checksum_engine
from tests.deploy.local.sagemaker.peers import settings
from tests.gateway.upstream.peers import sagemaker_to

FULL = (1013, "at capacity")
RESTART = (1012, "restarting")


@contextlib.asynccontextmanager
async def session(url: str) -> AsyncIterator[ClientWebSocketResponse]:
    """Open a session that the engine has accepted."""
    async with platform(url) as ws:
        assert await ws.receive_str() == CREATED
        yield ws


async def ping(url: str) -> int:
    async with ClientSession() as http, http.get(f"{url}/ping") as response:
        return response.status


async def test_a_session_above_the_limit_is_refused_at_once(engine: ScriptedEngine) -> None:
    async with bridge(engine.url, max_sessions=1) as (url, _), session(url) as first:
        for _ in range(3):
            async with platform(url) as second:
                began_s = time.monotonic()
                assert await closed(second) == FULL
                assert time.monotonic() - began_s < 2
        await first.send_str(APPEND)
        assert await first.receive_str() == delta(" one")
        assert engine.messages == [APPEND]
        assert await sessions_ended(url) == {"at_capacity": 3}
        assert await ping(url) == 200  # full is healthy


async def test_session_counts_until_the_engine_has_closed_it(engine: ScriptedEngine) -> None:
    """Symptom: a busy engine had more sessions than the limit."""
    engine.done_after = asyncio.Event()  # until then, the engine does not read the Close
    async with bridge(engine.url, max_sessions=1, drain_timeout_s=0.1) as (url, _):
        async with session(url) as first:
            await first.send_str(FINAL)
            await send_close(first)
            await asyncio.sleep(0.3)
            async with platform(url) as second:
                assert await closed(second) == FULL
            engine.done_after.set()
            assert (await closed(first))[0] == 1011
        async with session(url):
            pass


async def test_sessions_that_wait_for_the_engine_count(engine: ScriptedEngine) -> None:
    engine.accept_after = asyncio.Event()
    async with bridge(engine.url, max_sessions=1) as (url, _), platform(url) as first:
        async with platform(url) as second:
            assert await closed(second) == FULL
        engine.accept_after.set()
        assert await first.receive_str() == CREATED


async def test_an_ended_session_admits_the_next(engine: ScriptedEngine) -> None:
    async with bridge(engine.url, max_sessions=1) as (url, _):
        for _ in range(3):
            async with session(url) as ws:
                await send_close(ws)
                assert await closed(ws) == (1000, "")
            engine.session_over.clear()


async def test_a_lost_session_admits_the_next(engine: ScriptedEngine) -> None:
    async with bridge(engine.url, max_sessions=1) as (url, _):
        async with session(url) as ws:
            ws._response.close()  # noqa: SLF001 - ends TCP without a Close frame
            await engine.session_over.wait()
        async with session(url):
            pass


async def test_a_session_counts_until_its_last_replies_are_relayed(engine: ScriptedEngine) -> None:
    engine.done_after = asyncio.Event()
    async with bridge(engine.url, max_sessions=1) as (url, _), session(url) as first:
        await first.send_str(FINAL)
        await send_close(first)
        await engine.final_seen.wait()
        async with platform(url) as second:
            assert await closed(second) == FULL
        engine.done_after.set()
        assert [await first.receive_str() for _ in range(2)] == [delta(" two"), DONE]


async def test_never_more_sessions_than_the_limit_at_the_engine(engine: ScriptedEngine) -> None:
    """Twenty clients at once, four slots: sixteen are refused, and four are served."""

    async def served(url: str) -> bool:
        async with platform(url) as ws:
            message = await ws.receive()
            if message.data == CREATED:
                await all_answered.wait()
                return True
            assert (message.data, message.extra) == FULL
            refused.append(ws)
            if len(refused) == 16:
                all_answered.set()
            return False

    refused: list[ClientWebSocketResponse] = []
    all_answered = asyncio.Event()
    async with bridge(engine.url, max_sessions=4) as (url, _):
        outcomes = await asyncio.gather(*(served(url) for _ in range(20)))
    assert outcomes.count(True) == 4


async def test_a_drain_lets_live_sessions_finish_and_refuses_new_ones(
    engine: ScriptedEngine,
) -> None:
    instance = Bridge(Settings(engine_url=engine.url))
    async with serving(instance) as (url, _), session(url) as live:
        draining = asyncio.create_task(instance.drain(asyncio.Event()))
        await asyncio.sleep(0)
        assert await ping(url) == 503
        assert (await scrape(url))["callscribe_bridge_pings_total draining"] == 1
        async with platform(url) as late:
            assert await closed(late) == RESTART
        await live.send_str(FINAL)
        assert [await live.receive_str() for _ in range(2)] == [delta(" two"), DONE]
        assert not draining.done()
        await send_close(live)
        assert await closed(live) == (1000, "")
        await draining


@pytest.mark.parametrize("hurried", [False, True])
async def test_a_drain_ends_after_its_time_or_when_hurried(
    engine: ScriptedEngine, hurried: bool
) -> None:
    hurry = asyncio.Event()
    instance = Bridge(Settings(engine_url=engine.url, stop_timeout_s=1000 if hurried else 0.1))
    async with serving(instance) as (url, runner), session(url) as live:
        draining = asyncio.create_task(instance.drain(hurry))
        if hurried:
            hurry.set()
        async with asyncio.timeout(20):
            await draining
        stopping = asyncio.create_task(runner.cleanup())
        assert await closed(live) == RESTART
        await stopping


class Listener:
    """Ignores what a session delivers."""

    def on_answer(self, answer: Answer) -> None: ...

    def on_writable(self) -> None: ...

    def on_ended(self, error: UpstreamError | None) -> None: ...


def new_session() -> RealtimeSession:
    return RealtimeSession(Listener(), Voxtral().session(Options(MODEL)), done_timeout_s=20)


async def admitted(transport: UpstreamTransport) -> bool:
    """Run a session; return False if it was refused."""
    session = new_session()
    try:
        await session.open(transport, 20)
    except UpstreamError:
        return False
    await session.finish()
    return True


@pytest.mark.parametrize("kind", ["sagemaker", "websocket"])
async def test_the_gateway_classifies_a_refusal_as_capacity(kind: str) -> None:
    """Through the local endpoint as through a WebSocket; a free slot admits the next session."""
    async with contextlib.AsyncExitStack() as stack:
        engine_url = (await stack.enter_async_context(checksum_engine())).removesuffix(
            "/v1/realtime"
        )
        url, _ = await stack.enter_async_context(bridge(engine_url, max_sessions=1))
        transport: UpstreamTransport
        if kind == "sagemaker":
            endpoint = await stack.enter_async_context(LocalEndpoint(settings(url)))
            transport = sagemaker_to(endpoint.url, endpoint.ca_file)
        else:
            transport = WebSocketTransport(f"{url}/invocations-bidirectional-stream")
        stack.push_async_callback(transport.close)
        first = new_session()
        await first.open(transport, 20)
        with pytest.raises(UpstreamError) as raised:
            await new_session().open(transport, 20)
        assert raised.value.reason == "model-at-capacity"
        await first.finish()

        async with asyncio.timeout(20):
            while not await admitted(transport):  # noqa: ASYNC110 - nothing signals a free slot
                await asyncio.sleep(0.01)
