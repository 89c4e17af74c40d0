"""The client's side of one Realtime connection. Every wait is bounded, and what is received."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final, NoReturn

import aiohttp
import pybase64
from aiohttp import ClientSession, WSCloseCode, WSMsgType

_QUOTED: Final = 120  # characters of a reply in the report
# What one connection may send. The longest generation that is checked has 4096 deltas of silence:
# about 300 KB.
_LIMIT_BYTES: Final = 1024 * 1024
_FRAME_BYTES: Final = 32  # counted in addition for each frame: an empty one costs something, too
_CLOSE_TIMEOUT_S: Final = 2.0
_TOO_MUCH: Final = f"one connection sends more than {_LIMIT_BYTES} bytes"


class Difference(Exception):  # noqa: N818 - a result, not an error
    """The server does not follow a rule; the text describes in one line what it does instead."""


def expect(seen: object, expected: object, what: str) -> None:
    """Raise `Difference` unless two values are equal."""
    if seen != expected:
        raise Difference(f"{what}: expected {_quote(expected)}, received {_quote(seen)}")


def _quote(value: object) -> str:
    text = json.dumps(value, default=str)  # ASCII without control characters
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


@contextlib.asynccontextmanager
async def connected(
    http: ClientSession, url: str, *, autoping: bool = True
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Open a WebSocket; close it in bounded time, and at once after an error.

    aiohttp's own close waits for the Close frame with a time limit per message, so it does not end
    while a server sends messages.
    """
    socket = await http.ws_connect(url, max_msg_size=_LIMIT_BYTES, autoping=autoping)
    limit_s = 0.0
    try:
        yield socket
        limit_s = _CLOSE_TIMEOUT_S
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await socket.close()


class Dialogue:
    """One open connection.

    Args:
        socket: the connection.
        timeout_s: limit of every wait for a message.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, timeout_s: float) -> None:
        self.socket = socket
        self._timeout_s = timeout_s
        self._received_bytes = 0

    async def send(self, kind: str, **fields: object) -> None:
        """Send a message of a type."""
        await self.send_text(json.dumps({"type": kind, **fields}))

    async def send_text(self, text: str) -> None:
        """Send any text frame."""
        await self.socket.send_str(text)

    async def update(self, model: str) -> None:
        """Select a model."""
        await self.send("session.update", model=model)

    async def append(self, pcm: bytes) -> None:
        """Send audio: PCM16 little-endian, 16 kHz, mono."""
        audio = pybase64.b64encode(pcm).decode()
        await self.send("input_audio_buffer.append", audio=audio)

    async def commit(self, *, final: bool = False) -> None:
        """Start a generation or, if `final`, end its audio."""
        await self.send("input_audio_buffer.commit", final=final)

    async def receive(self) -> dict[str, Any]:
        """Receive a message.

        Raises:
            Difference: there is none in time, or it is not a JSON object.
        """
        message = await self.receive_frame()
        if message.type is not WSMsgType.TEXT:
            self._fail(message)
        try:
            reply = json.loads(message.data)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise Difference(f"a reply is not a JSON object: {_quote(message.data)}")
        return reply

    async def receive_frame(self) -> aiohttp.WSMessage:
        """Receive a frame of any type, or the end of the connection.

        Raises:
            Difference: there is none in time, or the connection has sent too much.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                message = await self.socket.receive()
        except TimeoutError:
            raise Difference(f"no reply within {self._timeout_s:g} s") from None
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG):
            self._received_bytes += _FRAME_BYTES + len(message.data)
        if (
            self._received_bytes > _LIMIT_BYTES
            or self.socket.close_code == WSCloseCode.MESSAGE_TOO_BIG
        ):
            raise Difference(_TOO_MUCH)
        return message

    async def deltas(self, count: int) -> list[str]:
        """Receive exactly `count` deltas."""
        replies = [await self.receive() for _ in range(count)]
        for reply in replies:
            expect(reply.get("type"), "transcription.delta", "type")
        return [str(reply.get("delta")) for reply in replies]

    async def until_done(self) -> tuple[list[str], dict[str, Any]]:
        """Receive deltas until `done`; return both."""
        deltas = []
        while (reply := await self.receive()).get("type") == "transcription.delta":
            deltas.append(str(reply.get("delta")))
        expect(reply.get("type"), "transcription.done", "type")
        return deltas, reply

    async def error(self, code: str, text: str = "") -> None:
        """Receive an error with a code, whose text begins with `text`."""
        reply = await self.receive()
        expect(
            [reply.get("type"), reply.get("code"), str(reply.get("error"))[: len(text)]],
            ["error", code, text],
            "reply",
        )

    async def nothing_is_pending(self) -> None:
        """Check that no message is pending: the next one is the error for an unknown event."""
        await self.send("are.you.there")
        await self.error("unknown_event", "Unknown event type: are.you.there")

    async def closed(self) -> int | None:
        """Wait until the connection is closed; return the close code."""
        message = await self.receive_frame()
        if message.type not in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
            raise Difference(f"expected the end of the connection, received {message.type.name}")
        return self.socket.close_code

    def _fail(self, message: aiohttp.WSMessage) -> NoReturn:
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
            raise Difference(f"closed with code {self.socket.close_code}")
        raise Difference(f"expected a text frame, received {message.type.name}")
