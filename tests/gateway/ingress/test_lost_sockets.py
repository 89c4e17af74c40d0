"""Audio received before a socket was lost is transcribed; real sockets, handmade frames."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.transcript.events import Status, StreamEnded, TranscriptGap
from tests.gateway.ingress.served import Served, serving
from tests.open_carriers import open_twilio

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
START = {
    "event": "start",
    "start": {"callSid": "CA1", "streamSid": "MZ1", "tracks": ["inbound"]},
}


@pytest.fixture
async def gateway() -> AsyncIterator[Served]:
    async with serving(Served(open_twilio())) as gateway:
        yield gateway


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """Write one masked frame."""
    mask = os.urandom(4)
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([0x80 | opcode]) + length + mask + masked


def text(message: object) -> bytes:
    return frame(TEXT, json.dumps(message).encode())


def media(frames: int) -> bytes:
    payload = base64.b64encode(bytes(160)).decode()
    return text({"event": "media", "media": {"track": "inbound", "payload": payload}}) * frames


async def dial(gateway: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = gateway.runner.addresses[0][:2]
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        b"GET /media/twilio HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def fin(writer: asyncio.StreamWriter) -> None:
    writer.close()


def half_close(writer: asyncio.StreamWriter) -> None:
    writer.write_eof()


def rst(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("lose", [fin, half_close, rst])
@pytest.mark.parametrize("pings", [0, 3, 200])
@pytest.mark.parametrize("says_close", [True, False])
@pytest.mark.parametrize("pong_first", [True, False])
async def test_audio_received_before_the_loss_is_transcribed(
    gateway: Served,
    lose: Callable[[asyncio.StreamWriter], None],
    pings: int,
    *,
    says_close: bool,
    pong_first: bool,
) -> None:
    """Symptom: pings just before the close ended the stream as `internal-error`; audio was lost."""
    _, writer = await dial(gateway)
    with contextlib.suppress(ConnectionError):
        writer.write(text(START) + media(25))
        await writer.drain()
        last = frame(PONG, b"unasked") if pong_first else b""
        last += frame(PING, b"x") * pings + media(25)
        writer.write(last + (frame(CLOSE, struct.pack("!H", 1000)) if says_close else b""))
        lose(writer)
    ended = await gateway.end()
    assert isinstance(ended, StreamEnded)
    assert ended.reason in ("carrier-closed", "socket-lost")
    assert ended.status is (Status.COMPLETED if ended.reason == "carrier-closed" else Status.FAILED)
    assert ended.duration_ms in ({1000} if lose is not rst else {0, 500, 1000})
    assert [event for event in gateway.events if isinstance(event, TranscriptGap)] == []
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_ping_is_answered_with_pong(gateway: Served) -> None:
    reader, writer = await dial(gateway)
    writer.write(frame(PING, b"abc"))
    assert await reader.readexactly(5) == bytes([0x80 | PONG, 3]) + b"abc"
    writer.close()
    await writer.wait_closed()
