"""A side that does not read what is sent to it is lost, within bounded time and memory."""

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.container.bridge.conftest import bridge
from tests.container.bridge.engine import CREATED, ScriptedEngine
from tests.container.bridge.test_bridge import APPEND, TIMEOUT_S, platform, sessions_ended

HEARTBEAT_S = 1.0
BUFFERED_BYTES = 256 * 1024  # aiohttp's write buffer, and one message


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame of at most 125 bytes (RFC 6455 section 5.2), masked with zeros."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


@contextlib.asynccontextmanager
async def deaf_platform(url: str) -> AsyncIterator[asyncio.StreamWriter]:
    """Open a session; yield what writes to it. Nothing is read from it."""
    address = urlsplit(url)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.get_running_loop().sock_connect(plain, (address.hostname, address.port))
        _, writer = await asyncio.open_connection(sock=plain, limit=1)  # pauses reading at once
        key = base64.b64encode(bytes(16)).decode()
        writer.write(
            f"GET /invocations-bidirectional-stream HTTP/1.1\r\nHost: {address.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        yield writer
        writer.transport.abort()


def unwritten_bytes(runner: web.AppRunner) -> int:
    """Return what is buffered for all connections to the bridge."""
    assert runner.server is not None
    transports = [each.transport for each in runner.server.connections]
    return sum(each.get_write_buffer_size() for each in transports if each)


async def gone(runner: web.AppRunner) -> None:
    """Wait until no connection to the bridge is left."""
    assert runner.server is not None
    while runner.server.connections:  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("sent", [b"", frame(0x1, APPEND.encode()), frame(0xA, b"")])
async def test_a_platform_that_does_not_read_is_lost(engine: ScriptedEngine, sent: bytes) -> None:
    """Symptom: while it sent audio, the engine was reported lost; with pongs, it stayed forever."""
    engine.floods = True
    async with (
        bridge(engine.url, heartbeat_s=HEARTBEAT_S) as (url, runner),
        deaf_platform(url) as writer,
    ):
        most_bytes = 0
        while not engine.session_over.is_set():
            writer.write(sent)
            await asyncio.sleep(0.02)
            most_bytes = max(most_bytes, unwritten_bytes(runner))
        await gone(runner)
        assert await sessions_ended(url) == {"platform_lost": 1}
        assert 0 < most_bytes < BUFFERED_BYTES


async def test_a_platform_that_pings_but_does_not_read_is_lost(engine: ScriptedEngine) -> None:
    async with (
        bridge(engine.url, heartbeat_s=HEARTBEAT_S) as (url, runner),
        deaf_platform(url) as writer,
    ):
        while not engine.session_over.is_set():
            if writer.transport.get_write_buffer_size() < BUFFERED_BYTES:
                writer.write(frame(0x9, bytes(120)) * 1000)
            await asyncio.sleep(0)
            assert unwritten_bytes(runner) < BUFFERED_BYTES
        await gone(runner)
        assert await sessions_ended(url) == {"platform_lost": 1}


@pytest.mark.parametrize("engine_reads", [True, False])
async def test_unread_replies_are_dropped_at_the_end(
    engine: ScriptedEngine, engine_reads: bool
) -> None:
    """Symptom: a connection that the bridge had closed kept what the platform did not read.

    An engine that does not read sends on, and does not reply to the Close.
    """
    engine.floods, engine.reads = True, engine_reads
    async with (
        bridge(engine.url, heartbeat_s=HEARTBEAT_S) as (url, runner),
        deaf_platform(url) as writer,
    ):
        while not unwritten_bytes(runner):  # noqa: ASYNC110 - a buffer has no event
            await asyncio.sleep(0.01)
        writer.write(frame(0x2, b"\xff"))
        await engine.session_over.wait()
        await gone(runner)
        assert await sessions_ended(url) == {"not_text": 1}


async def _send_forever(send: Callable[[str], Awaitable[None]]) -> None:
    while True:
        await send("x" * 10_000)


async def test_an_engine_that_does_not_read_is_lost(engine: ScriptedEngine) -> None:
    """The engine replies all the while, so that its missing pongs are not noticed."""
    engine.floods, engine.reads = True, False
    async with (
        bridge(engine.url, heartbeat_s=HEARTBEAT_S) as (url, _),
        platform(url) as ws,
    ):
        assert await ws.receive_str() == CREATED
        sending = asyncio.create_task(_send_forever(ws.send_str))
        while (await ws.receive()).type.name == "TEXT":
            pass
        sending.cancel()
        assert ws.close_code == 1011
        assert await sessions_ended(url) == {"engine_lost": 1}
