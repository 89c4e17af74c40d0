"""Relay frames between the platform's WebSocket and the engine's until either one ends.

Messages are not parsed. Byte patterns show whether a final transcript is pending: the final commit,
the engine's `done`, and an error after which no `done` follows. A binary frame is forwarded as
text, because SageMaker sends a payload part without `DataType` as binary and an engine drops its
connection at a binary frame. If the client asks for it, deltas are combined (`coalescing.py`); all
other messages are forwarded unchanged and in order. Buffers are bounded: while one socket is slow
to write, the other is not read. If a frame can't be written in time, the side that does not read it
is lost.
"""

import asyncio
import contextlib
import os
import re
import socket
from typing import NamedTuple

from aiohttp import ClientError, ClientWebSocketResponse, WSCloseCode, WSMessage, WSMsgType
from aiohttp.http import WSMessageNoDecodeText
from aiohttp.web import WebSocketResponse

from container.bridge.coalescing import Coalescer
from container.bridge.ends import End, Ended
from container.bridge.record import SessionRecord

# A message's type is its first field; the text of a delta may contain the same words.
_DONE = re.compile(rb'\s*\{\s*"type"\s*:\s*"transcription\.done"')
_ERROR = re.compile(rb'\s*\{\s*"type"\s*:\s*"error"')
# These errors are about one message; the generation continues. Source: vLLM 0.32, realtime API.
_HARMLESS = (b'"invalid_json"', b'"unknown_event"', b'"invalid_event"', b'"invalid_audio"')
_COMMIT = b'"input_audio_buffer.commit"'
_COMMIT_BYTES = 256  # a commit is short, and audio is not
_MUST_NOT_BE_SENT = {1005, 1006, 1015}  # RFC 6455 section 7.4.1

type EngineSocket = ClientWebSocketResponse[bool]
type PlatformSocket = WebSocketResponse[bool]

_LAST_SEND_S = 1.0
_FRAMES = (WSMsgType.TEXT, WSMsgType.BINARY)
_CONTROL = (WSMsgType.PING, WSMsgType.PONG)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_final_commit(message: bytes) -> bool:
    """Return whether a client's message ends its audio; a `transcription.done` is then pending."""
    return len(message) < _COMMIT_BYTES and _COMMIT in message and b"true" in message


def is_done(message: bytes) -> bool:
    """Return whether an engine's message is `transcription.done`.

    Transcribed text never matches, because its quotation marks are escaped.
    """
    return _DONE.match(message) is not None


def ends_generation(message: bytes) -> bool:
    """Return whether an engine's message is an error that no `transcription.done` follows."""
    is_error = _ERROR.match(message) is not None
    return is_error and not any(code in message for code in _HARMLESS)


def _shut_down(engine: EngineSocket) -> None:
    """Break a connection off; one that is only closed stays until its buffer is written."""
    transport_socket = engine.get_extra_info("socket")
    if transport_socket is not None:
        with (
            contextlib.suppress(OSError),  # it is broken already
            socket.socket(fileno=os.dup(transport_socket.fileno())) as same,  # uvloop hides it
        ):
            same.shutdown(socket.SHUT_RDWR)


class Limits(NamedTuple):
    """Time limits of a session.

    Attributes:
        write_s: to write a frame. It must be below the sockets' heartbeat: while one side does not
            read, the other is not read either, and its pongs would be missed.
        drain_s: from the platform's Close until the engine is done.
    """

    write_s: float
    drain_s: float


class Relay:
    """One session between two open WebSockets."""

    def __init__(
        self,
        platform: PlatformSocket,
        engine: EngineSocket,
        record: SessionRecord,
        limits: Limits,
        window_s: float,
    ) -> None:
        self._platform = platform
        self._engine = engine
        self._record = record
        self._limits = limits
        self._window_s = window_s
        self._deltas = Coalescer()
        self._nothing_pending = asyncio.Event()
        self._nothing_pending.set()

    async def run(self) -> Ended:
        """Relay until either side ends; if both have ended, return the engine's end."""
        replies = asyncio.create_task(self._relay_replies())
        requests = asyncio.create_task(self._relay_requests())
        try:
            done, _ = await asyncio.wait({replies, requests}, return_when=asyncio.FIRST_COMPLETED)
            return (replies if replies in done else requests).result()
        finally:
            # Once the tasks are cancelled, aiohttp does not wait for the engine's Close. Until
            # then, the engine may hold the session's slot. Its own time limit is per message.
            with contextlib.suppress(ClientError, OSError):
                async with asyncio.timeout(self._limits.write_s):
                    await self._engine.close()
            replies.cancel()
            requests.cancel()
            await asyncio.gather(replies, requests, return_exceptions=True)
            await self._send_collected()

    async def _relay_requests(self) -> Ended:
        """Forward the platform's frames; after its Close, wait for the pending replies."""
        while (message := await self._next_request()).type in _FRAMES:
            if not _is_text(message.data):
                return Ended(End.NOT_TEXT, WSCloseCode.INVALID_TEXT, b"text expected")
            if is_final_commit(message.data):
                self._nothing_pending.clear()
            try:
                async with asyncio.timeout(self._limits.write_s):
                    await self._engine.send_frame(message.data, WSMsgType.TEXT)
            except (ClientError, ConnectionError, TimeoutError):
                _shut_down(self._engine)
                return Ended(End.ENGINE_LOST, WSCloseCode.INTERNAL_ERROR, b"engine lost")
            self._record.requested()
        match message.type:
            case WSMsgType.CLOSE:
                return await self._drain()
            case WSMsgType.ERROR if self._platform.close_code == WSCloseCode.MESSAGE_TOO_BIG:
                return Ended(End.TOO_BIG, WSCloseCode.MESSAGE_TOO_BIG)
            case _:
                return Ended(End.PLATFORM_LOST, WSCloseCode.GOING_AWAY)

    async def _next_request(self) -> WSMessageNoDecodeText:
        """Return the platform's next frame that is not a ping or a pong; reply to pings."""
        while (message := await self._platform.receive()).type in _CONTROL:
            if message.type is WSMsgType.PING:
                try:
                    async with asyncio.timeout(self._limits.write_s):
                        await self._platform.pong(message.data)
                except (ClientError, ConnectionError, TimeoutError) as error:
                    return WSMessage(WSMsgType.ERROR, error, None)
        return message

    async def _relay_replies(self) -> Ended:
        """Forward the engine's frames until it closes."""
        try:
            message = await (self._forward_deltas() if self._window_s else self._forward_replies())
        except (ClientError, ConnectionError, TimeoutError):
            return Ended(End.PLATFORM_LOST, WSCloseCode.GOING_AWAY)
        if message.type is not WSMsgType.CLOSE:
            return Ended(End.ENGINE_LOST, WSCloseCode.INTERNAL_ERROR, b"engine lost")
        code = message.data or WSCloseCode.OK
        if code in _MUST_NOT_BE_SENT:
            code = WSCloseCode.INTERNAL_ERROR
        return Ended(End.ENGINE_CLOSED, code, (message.extra or "").encode())

    async def _forward_replies(self) -> WSMessageNoDecodeText:
        """Forward each frame as it is; return the first that is not text."""
        while (message := await self._engine.receive()).type is WSMsgType.TEXT:
            await self._reply(message.data)
        return message

    async def _forward_deltas(self) -> WSMessageNoDecodeText:
        """Combine the deltas of a window; return the first frame that is not text."""
        loop, deltas, until_s = asyncio.get_running_loop(), self._deltas, 0.0
        while True:
            try:
                async with asyncio.timeout_at(None if deltas.is_empty else until_s):
                    message = await self._engine.receive()
            except TimeoutError:
                await self._reply(deltas.take())
                continue
            was_empty = deltas.is_empty
            is_delta = message.type is WSMsgType.TEXT and deltas.add(message.data)
            if is_delta and was_empty:
                until_s = loop.time() + self._window_s
            if deltas.is_full or not (is_delta or deltas.is_empty):
                await self._reply(deltas.take())
            if message.type is not WSMsgType.TEXT:
                return message
            if not is_delta:
                await self._reply(message.data)

    async def _send_collected(self) -> None:
        """Send the deltas that wait for the end of their window, if the platform reads them."""
        if not self._deltas.is_empty:
            with contextlib.suppress(ClientError, ConnectionError, TimeoutError):
                async with asyncio.timeout(_LAST_SEND_S):
                    await self._reply(self._deltas.take())

    async def _reply(self, message: bytes) -> None:
        async with asyncio.timeout(self._limits.write_s):
            await self._platform.send_frame(message, WSMsgType.TEXT)
        self._record.replied(message)
        if is_done(message) or ends_generation(message):
            self._nothing_pending.set()

    async def _drain(self) -> Ended:
        try:
            async with asyncio.timeout(self._limits.drain_s):
                await self._nothing_pending.wait()
        except TimeoutError:
            return Ended(End.DRAIN_TIMEOUT, WSCloseCode.INTERNAL_ERROR, b"engine not done in time")
        return Ended(End.COMPLETED, WSCloseCode.OK)
