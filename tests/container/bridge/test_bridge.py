"""The bridge between a platform's socket and an engine, both real."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from container.bridge.relay import is_done, is_final_commit
from container.bridge.settings import Settings
from tests.container.bridge.conftest import bridge
from tests.container.bridge.engine import CREATED, DONE, FINAL, ScriptedEngine, delta

APPEND = '{"type":"input_audio_buffer.append","audio":"AAAA"}'
TIMEOUT_S = 20.0


@contextlib.asynccontextmanager
async def platform(url: str) -> AsyncIterator[ClientWebSocketResponse]:
    """SageMaker's side: it sees a Close itself, every wait is bounded."""
    async with (
        asyncio.timeout(TIMEOUT_S),
        ClientSession() as session,
        session.ws_connect(
            f"{url}/invocations-bidirectional-stream", autoclose=False, max_msg_size=0
        ) as ws,
    ):
        yield ws


async def closed(ws: ClientWebSocketResponse) -> tuple[int, str]:
    """Read to the Close: its code and reason."""
    while (message := await ws.receive()).type is WSMsgType.TEXT:
        pass
    assert message.type is WSMsgType.CLOSE, message.type
    return message.data, message.extra or ""


async def send_close(ws: ClientWebSocketResponse) -> None:
    """Half-close as the platform does: a Close frame, and it goes on reading."""
    await ws.send_frame((1000).to_bytes(2, "big"), WSMsgType.CLOSE)


async def sessions_ended(url: str) -> dict[str, int]:
    """The ends that the metrics have counted."""
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


async def test_what_is_owed_at_the_close_is_still_said(engine: ScriptedEngine) -> None:
    """A half-close right behind the final commit once lost the last words."""
    engine.done_after = asyncio.Event()
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        assert await ws.receive_str() == CREATED
        await ws.send_str(FINAL)
        await send_close(ws)
        await engine.final_seen.wait()
        engine.done_after.set()
        assert [await ws.receive_str() for _ in range(2)] == [delta(" two"), DONE]
        assert await closed(ws) == (1000, "")


async def test_a_close_with_nothing_owed_ends_at_once(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str(APPEND)
        await send_close(ws)
        assert await closed(ws) == (1000, "")
        await engine.session_over.wait()


async def test_a_drain_is_bounded(engine: ScriptedEngine) -> None:
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
async def test_an_engines_end_is_passed_on(
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


async def test_an_engine_that_refuses(engine: ScriptedEngine) -> None:
    engine.refuse_status = 401
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        assert await closed(ws) == (1011, "engine refused: 401")
        assert await sessions_ended(url) == {"engine_refused": 1}


async def test_an_engine_that_is_not_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with bridge(f"http://127.0.0.1:{port}") as (url, _), platform(url) as ws:
            assert await closed(ws) == (1013, "engine unreachable")
            assert await sessions_ended(url) == {"engine_unreachable": 1}


async def test_a_socket_is_accepted_before_the_engine_is_there(engine: ScriptedEngine) -> None:
    """SageMaker gives up after 250 ms; what was sent meanwhile is not lost."""
    engine.accept_after = asyncio.Event()
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str(APPEND)
        engine.accept_after.set()
        assert [await ws.receive_str() for _ in range(2)] == [CREATED, delta(" one")]


async def test_an_engine_that_does_not_accept_in_time(engine: ScriptedEngine) -> None:
    engine.accept_after = asyncio.Event()
    async with bridge(engine.url, connect_timeout_s=0.2) as (url, _), platform(url) as ws:
        assert await closed(ws) == (1013, "engine unreachable")
        engine.accept_after.set()


async def test_a_binary_frame_is_text_by_another_name(engine: ScriptedEngine) -> None:
    """Symptom: a client that sends payload parts without DataType was closed with 1003."""
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_bytes(APPEND.encode())
        assert [await ws.receive_str() for _ in range(2)] == [CREATED, delta(" one")]
        assert engine.messages == [APPEND]


async def test_a_frame_that_is_no_text_never_reaches_the_engine(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_bytes(b"\xff\x00")
        assert await closed(ws) == (1007, "text expected")
        assert await sessions_ended(url) == {"not_text": 1}
        assert engine.messages == []


async def test_a_close_after_a_model_error_is_passed_on_at_once(engine: ScriptedEngine) -> None:
    """Symptom: the close was held for 20 s, because the `done` of a failed generation was owed."""
    engine.error = '{"type":"error","error":"engine died","code":"processing_error"}'
    async with bridge(engine.url, drain_timeout_s=60) as (url, _), platform(url) as ws:
        await ws.send_str(FINAL)
        assert [await ws.receive_str() for _ in range(2)] == [CREATED, engine.error]
        await send_close(ws)
        assert await closed(ws) == (1000, "")
        assert await sessions_ended(url) == {"completed": 1}


async def test_after_an_error_about_one_message_the_rest_is_still_owed(
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


async def test_the_engines_api_key_is_shown(engine: ScriptedEngine) -> None:
    async with bridge(engine.url, engine_api_key="k3y") as (url, _), platform(url) as ws:
        assert await ws.receive_str() == CREATED
        assert engine.authorization == "Bearer k3y"
    assert "k3y" not in repr(Settings(engine_api_key="k3y"))


async def test_frames_up_to_16_mib_pass_and_no_more(engine: ScriptedEngine) -> None:
    limit_bytes = 16 * 1024 * 1024
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str("x" * limit_bytes)
        await ws.send_str(APPEND)
        assert [await ws.receive_str() for _ in range(2)] == [CREATED, delta(" one")]
        assert len(engine.messages[0]) == limit_bytes
        # Refused by its length, and what is on the way then meets a closed socket.
        with contextlib.suppress(ConnectionError):
            await ws.send_str("x" * (limit_bytes + 1))
        await engine.session_over.wait()
        assert len(engine.messages) == 2


async def test_a_platform_that_vanishes_ends_the_engines_session(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        assert await ws.receive_str() == CREATED
        ws._response.close()  # noqa: SLF001 - TCP's end without a Close frame
        await engine.session_over.wait()


async def test_a_restart_closes_with_1012(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, runner), platform(url) as ws:
        assert await ws.receive_str() == CREATED
        stopping = asyncio.create_task(runner.cleanup())
        assert await closed(ws) == (1012, "restarting")
        await stopping


async def test_ping_is_the_engines_health_and_asks_seldom(engine: ScriptedEngine) -> None:
    async with bridge(engine.url) as (url, _), ClientSession() as session:
        for _ in range(3):
            async with session.get(f"{url}/ping") as response:
                assert response.status == 200
        assert engine.health_asked == 1


async def test_ping_says_so_when_the_engine_is_ill(engine: ScriptedEngine) -> None:
    engine.health_status = 503
    async with (
        bridge(engine.url) as (url, _),
        ClientSession() as session,
        session.get(f"{url}/ping") as response,
    ):
        assert response.status == 503


async def test_ping_says_so_when_there_is_no_engine() -> None:
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
def test_a_final_commit_is_known(message: str, final: bool) -> None:
    assert is_final_commit(message.encode()) is final


@pytest.mark.parametrize(
    ("message", "done"),
    [
        (DONE, True),
        ('{"type": "transcription.done", "text": ""}', True),
        (delta(" done"), False),
        (delta(r" \"transcription.done\""), False),
    ],
)
def test_done_is_known(message: str, done: bool) -> None:
    assert is_done(message.encode()) is done
