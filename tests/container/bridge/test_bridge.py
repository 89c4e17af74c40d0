"""The bridge relays between a platform's socket and a scripted engine, over real sockets."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from container.bridge.relay import ends_generation, is_done, is_final_commit
from container.bridge.settings import Settings
from tests.container.bridge.conftest import bridge
from tests.container.bridge.engine import CREATED, DONE, FINAL, ScriptedEngine, delta

APPEND = '{"type":"input_audio_buffer.append","audio":"AAAA"}'
TIMEOUT_S = 20.0


@contextlib.asynccontextmanager
async def platform(url: str) -> AsyncIterator[ClientWebSocketResponse]:
    """Connect as SageMaker does: Close frames are returned, and every wait is bounded."""
    async with (
        asyncio.timeout(TIMEOUT_S),
        ClientSession() as session,
        session.ws_connect(
            f"{url}/invocations-bidirectional-stream", autoclose=False, max_msg_size=0
        ) as ws,
    ):
        yield ws


async def closed(ws: ClientWebSocketResponse) -> tuple[int, str]:
    """Read until the Close; return its code and reason."""
    while (message := await ws.receive()).type is WSMsgType.TEXT:
        pass
    assert message.type is WSMsgType.CLOSE, message.type
    return message.data, message.extra or ""


async def send_close(ws: ClientWebSocketResponse) -> None:
    """Half-close as the platform does: send a Close frame and continue to read."""
    await ws.send_frame((1000).to_bytes(2, "big"), WSMsgType.CLOSE)


async def sessions_ended(url: str) -> dict[str, int]:
    """Return the ended sessions that the metrics have counted, by end."""
    async with ClientSession() as session, session.get(f"{url}/metrics") as response:
        text = await response.text()
    counted = re.findall(r'callscribe_bridge_sessions_ended_total\{end="(\w+)"\} (\d+)', text)
    return {end: int(count) for end, count in counted if int(count)}


async def test_relays_a_session_to_done(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str(APPEND)
        await ws.send_str(FINAL)
        replies = [await ws.receive_str() for _ in range(4)]
        assert replies == [CREATED, delta(" one"), delta(" two"), DONE]
        assert engine.messages == [APPEND, FINAL]
        await send_close(ws)
        assert await closed(ws) == (1000, "")
        assert await sessions_ended(url) == {"completed": 1}


async def test_pending_replies_are_relayed_after_a_close(engine: ScriptedEngine) -> None:
    """Symptom: a half-close directly after the final commit lost the last transcript."""
    engine.done_after = asyncio.Event()
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        assert await ws.receive_str() == CREATED
        await ws.send_str(FINAL)
        await send_close(ws)
        await engine.final_seen.wait()
        engine.done_after.set()
        assert [await ws.receive_str() for _ in range(2)] == [delta(" two"), DONE]
        assert await closed(ws) == (1000, "")


async def test_a_close_without_pending_replies_ends_at_once(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str(APPEND)
        await send_close(ws)
        assert await closed(ws) == (1000, "")
        await engine.session_over.wait()


async def test_a_drain_times_out(engine: ScriptedEngine) -> None:
    engine.done_after = asyncio.Event()
    async with bridge(engine.url, drain_timeout_s=0.2) as (url, _), platform(url) as ws:
        await ws.send_str(FINAL)
        await send_close(ws)
        assert await closed(ws) == (1011, "engine not done in time")
        assert await sessions_ended(url) == {"drain_timeout": 1}
        engine.done_after.set()


@pytest.mark.parametrize(
    ("engine_close", "seen", "end"),
    [
        ((1012, b"service restart"), (1012, "service restart"), "engine_closed"),
        ((1011, b""), (1011, ""), "engine_closed"),
        ((1000, b"bye"), (1000, "bye"), "engine_closed"),
        ((4001, b"own code"), (4001, "own code"), "engine_closed"),
        ((), (1011, "engine lost"), "engine_lost"),
    ],
)
async def test_an_engines_close_is_forwarded(
    engine: ScriptedEngine,
    engine_close: tuple[int, bytes] | tuple[()],
    seen: tuple[int, str],
    end: str,
) -> None:
    engine.close_after_append = engine_close
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str(APPEND)
        assert await closed(ws) == seen
        assert await sessions_ended(url) == {end: 1}


async def test_an_engine_that_rejects_the_upgrade_is_reported(engine: ScriptedEngine) -> None:
    engine.refuse_status = 401
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        assert await closed(ws) == (1011, "engine refused: 401")
        assert await sessions_ended(url) == {"engine_refused": 1}


async def test_an_unreachable_engine_closes_with_1011() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with bridge(f"http://127.0.0.1:{port}") as (url, _), platform(url) as ws:
            assert await closed(ws) == (1011, "engine unreachable")
            assert await sessions_ended(url) == {"engine_unreachable": 1}


async def test_a_socket_is_accepted_before_the_engine_is_connected(engine: ScriptedEngine) -> None:
    """SageMaker times out after 250 ms; messages sent meanwhile are not lost."""
    engine.accept_after = asyncio.Event()
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str(APPEND)
        engine.accept_after.set()
        assert [await ws.receive_str() for _ in range(2)] == [CREATED, delta(" one")]


async def test_a_slow_engine_closes_with_1011(engine: ScriptedEngine) -> None:
    engine.accept_after = asyncio.Event()
    async with bridge(engine.url, connect_timeout_s=0.2) as (url, _), platform(url) as ws:
        assert await closed(ws) == (1011, "engine unreachable")
        engine.accept_after.set()


async def test_a_binary_frame_is_forwarded_as_text(engine: ScriptedEngine) -> None:
    """Symptom: a client that sent payload parts without DataType was closed with 1003."""
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_bytes(APPEND.encode())
        assert [await ws.receive_str() for _ in range(2)] == [CREATED, delta(" one")]
        assert engine.messages == [APPEND]


async def test_a_frame_that_is_not_utf8_is_not_forwarded(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_bytes(b"\xff\x00")
        assert await closed(ws) == (1007, "text expected")
        assert await sessions_ended(url) == {"not_text": 1}
        assert engine.messages == []


async def test_a_close_after_a_model_error_ends_at_once(engine: ScriptedEngine) -> None:
    """Symptom: the close was delayed by 20 s, waiting for the `done` of a failed generation."""
    engine.error = '{"type":"error","error":"engine failed","code":"processing_error"}'
    async with bridge(engine.url, drain_timeout_s=60) as (url, _), platform(url) as ws:
        await ws.send_str(FINAL)
        assert [await ws.receive_str() for _ in range(2)] == [CREATED, engine.error]
        await send_close(ws)
        assert await closed(ws) == (1000, "")
        assert await sessions_ended(url) == {"completed": 1}


async def test_replies_stay_pending_after_an_error_about_one_message(
    engine: ScriptedEngine,
) -> None:
    engine.error = '{"type":"error","error":"Invalid audio data","code":"invalid_audio"}'
    engine.done_after = asyncio.Event()
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str(FINAL)
        assert [await ws.receive_str() for _ in range(2)] == [CREATED, engine.error]
        await send_close(ws)
        engine.done_after.set()
        assert [await ws.receive_str() for _ in range(2)] == [delta(" two"), DONE]


async def test_the_engine_gets_its_api_key(engine: ScriptedEngine) -> None:
    async with bridge(engine.url, engine_api_key="k3y") as (url, _), platform(url) as ws:
        assert await ws.receive_str() == CREATED
        assert engine.authorization == "Bearer k3y"
    assert "k3y" not in repr(Settings(engine_api_key="k3y"))


async def test_frames_larger_than_16_mib_are_rejected(engine: ScriptedEngine) -> None:
    limit_bytes = 16 * 1024 * 1024
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str("x" * limit_bytes)
        await ws.send_str(APPEND)
        assert [await ws.receive_str() for _ in range(2)] == [CREATED, delta(" one")]
        assert len(engine.messages[0]) == limit_bytes
        # The frame is rejected by its header, so sending the rest may fail on a closed socket.
        with contextlib.suppress(ConnectionError):
            await ws.send_str("x" * (limit_bytes + 1))
        await engine.session_over.wait()
        assert len(engine.messages) == 2


async def test_a_lost_platform_closes_the_engines_session(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        assert await ws.receive_str() == CREATED
        ws._response.close()  # noqa: SLF001 - ends TCP without a Close frame
        await engine.session_over.wait()


async def test_an_engine_without_pongs_is_lost(engine: ScriptedEngine) -> None:
    engine.answers_pings = False
    async with bridge(engine.url, heartbeat_s=0.2) as (url, _), platform(url) as ws:
        assert await closed(ws) == (1011, "engine lost")


async def test_a_platform_without_pongs_is_lost(engine: ScriptedEngine) -> None:
    async with (
        bridge(engine.url, heartbeat_s=0.2) as (url, _),
        ClientSession() as http,
        http.ws_connect(f"{url}/invocations-bidirectional-stream", autoping=False) as ws,
    ):
        assert await ws.receive_str() == CREATED
        async with asyncio.timeout(TIMEOUT_S):
            await engine.session_over.wait()
        assert await sessions_ended(url) == {"platform_lost": 1}


async def test_pings_of_the_platform_are_answered(engine: ScriptedEngine) -> None:
    async with (
        bridge(engine.url) as (url, _),
        ClientSession() as http,
        http.ws_connect(f"{url}/invocations-bidirectional-stream", autoping=False) as ws,
    ):
        assert await ws.receive_str() == CREATED
        await ws.ping(b"are you there")
        pong = await ws.receive(TIMEOUT_S)
        assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, b"are you there")


async def test_a_session_with_pongs_stays_open(engine: ScriptedEngine) -> None:
    async with bridge(engine.url, heartbeat_s=0.2) as (url, _), platform(url) as ws:
        assert await ws.receive_str() == CREATED
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):  # the pings arrive while this waits
                await ws.receive()
        await ws.send_str(APPEND)
        assert await ws.receive_str() == delta(" one")


async def test_a_restart_closes_with_1012(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, runner), platform(url) as ws:
        assert await ws.receive_str() == CREATED
        stopping = asyncio.create_task(runner.cleanup())
        assert await closed(ws) == (1012, "restarting")
        await stopping


async def test_ping_caches_the_engines_health(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), ClientSession() as session:
        for _ in range(3):
            async with session.get(f"{url}/ping") as response:
                assert response.status == 200
        assert engine.health_requests == 1


async def test_ping_is_503_if_the_engine_is_unhealthy(engine: ScriptedEngine) -> None:
    engine.health_status = 503
    async with (
        bridge(engine.url) as (url, _),
        ClientSession() as session,
        session.get(f"{url}/ping") as response,
    ):
        assert response.status == 503


async def test_ping_is_503_if_the_engine_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with (
            bridge(f"http://127.0.0.1:{unused.getsockname()[1]}") as (url, _),
            ClientSession() as session,
            session.get(f"{url}/ping") as response,
        ):
            assert response.status == 503


@pytest.mark.parametrize(
    ("message", "final"),
    [
        ('{"type":"input_audio_buffer.commit","final":true}', True),
        ('{"final": true, "type": "input_audio_buffer.commit"}', True),
        ('{"type":"input_audio_buffer.commit"}', False),
        ('{"type":"input_audio_buffer.commit","final":false}', False),
        ('{"type":"input_audio_buffer.append","audio":"true"}', False),
        ('{"type":"session.update","model":"true"}', False),
    ],
)
def test_recognizes_a_final_commit(message: str, final: bool) -> None:
    assert is_final_commit(message.encode()) is final


@pytest.mark.parametrize(
    ("message", "done"),
    [
        (DONE, True),
        ('{"type": "transcription.done", "text": ""}', True),
        (delta(" done"), False),
        (delta(r" \"transcription.done\""), False),
        (delta("transcription.done"), False),
    ],
)
def test_recognizes_done(message: str, done: bool) -> None:
    assert is_done(message.encode()) is done


def test_word_error_does_not_end_a_generation() -> None:
    """Symptom: after a close, the transcript ended at the word "error"."""
    assert not ends_generation(delta("error").encode())
    assert ends_generation(b'{"type":"error","error":"the engine is dead","code":"internal"}')
