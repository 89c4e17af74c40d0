"""The WebSocket to the model's container: one payload part is one frame, in both directions.

aiohttp sends no fragments, so PARTIAL parts are joined with the COMPLETE part that follows; the
container receives the same message.

The end of the client's stream is sent as a Close frame. The receiver of a Close may finish its
message before it replies (RFC 6455 section 5.5.1), so replies are relayed until the container's own
Close. This works as a half-close, which WebSockets do not have.
"""

import asyncio
import struct
from types import TracebackType
from typing import Self

from aiohttp import (
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMsgType,
    WSServerHandshakeError,
)

from deploy.local.sagemaker.ends import Completed, Failed, Refused
from deploy.local.sagemaker.eventstream import MAX_PAYLOAD_BYTES
from deploy.local.sagemaker.parts import MODEL_STREAM_ERROR, PayloadPart, encode_reply

_NORMAL = 1000
_GOING_AWAY = 1001
_CLEAN_CODES = {_NORMAL, _GOING_AWAY, 1005}  # 1005: a Close without a code
_CLOSE_TIMEOUT_S = 1.0


class ContainerError(Exception):
    """The container violates SageMaker's contract; `end` is what the client receives."""

    def __init__(self, end: Refused | Failed) -> None:
        self.end = end
        super().__init__(end.message)


async def connect(session: ClientSession, url: str, timeout_s: float) -> "Container":
    """Open a socket to the container.

    Raises:
        ContainerError: the container is unreachable, refuses, or takes too long.
    """
    try:
        async with asyncio.timeout(timeout_s):
            socket = await session.ws_connect(
                url,
                max_msg_size=MAX_PAYLOAD_BYTES + 1,  # aiohttp rejects a frame of exactly its limit
                autoping=False,  # `keep_alive` counts pongs
                autoclose=False,  # `__aexit__` replies to a Close
                decode_text=False,
                timeout=ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_S),
            )
    except WSServerHandshakeError as error:
        raise _unavailable("the container refused the WebSocket", error.status) from None
    except TimeoutError:
        raise _unavailable("the container did not accept in time") from None
    except (ClientError, OSError):
        raise _unavailable("the container is unreachable") from None
    return Container(socket)


def _unavailable(message: str, status: int | None = None) -> ContainerError:
    return ContainerError(Refused(424, "ModelError", message, status))


class Container:
    """One open WebSocket. Only one task may call `receive`; any task may call other methods."""

    def __init__(self, socket: "ClientWebSocketResponse[bool]") -> None:
        self._socket = socket
        self._run = bytearray()  # the parts of an unfinished message
        self._pings_unanswered = 0
        self._half_closed = False

    async def send(self, part: PayloadPart) -> None:
        """Send a part; waits while the container is slow to read.

        Raises:
            ContainerError: the joined parts of a message are too big.
        """
        data = part.data
        if self._run or not part.is_last:
            if len(self._run) + len(data) > MAX_PAYLOAD_BYTES:
                raise ContainerError(Failed(MODEL_STREAM_ERROR, "a message is too big", "1009"))
            self._run += data
            if not part.is_last:
                return
            data = bytes(self._run)
            self._run.clear()
        await self._send_frame(data, WSMsgType.TEXT if part.is_text else WSMsgType.BINARY)

    async def half_close(self) -> None:
        """Send a Close for the end of the client's stream; replies may still arrive."""
        self._half_closed = True
        await self._send_frame(struct.pack(">H", _NORMAL), WSMsgType.CLOSE)

    async def receive(self) -> bytes | Completed | Failed:
        """Return the container's next message, framed for the client, or the end."""
        while True:
            message = await self._socket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    return encode_reply(message.data, is_text=message.type is WSMsgType.TEXT)
                case WSMsgType.PING:
                    await self._send_frame(message.data, WSMsgType.PONG)
                case WSMsgType.PONG:
                    self._pings_unanswered = 0
                case WSMsgType.CLOSE:
                    return self._closed(message.data or 1005, message.extra or "")
                case WSMsgType.ERROR:
                    return self._closed(self._socket.close_code or 1006, "")
                case _:
                    return self._closed(1006, "")

    async def keep_alive(self, interval_s: float, limit: int) -> Failed:
        """Ping at each interval; return a failure after `limit` pings without a pong."""
        while True:
            await asyncio.sleep(interval_s)
            if self._pings_unanswered == limit:
                break
            self._pings_unanswered += 1
            await self._send_frame(b"", WSMsgType.PING)
        return Failed(MODEL_STREAM_ERROR, "the container does not answer pings", "1006")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket, in reply to the container's Close or because the client is gone."""
        await self._socket.close(code=_GOING_AWAY)

    async def _send_frame(self, data: bytes, kind: WSMsgType) -> None:
        """Send a frame; ignore a lost socket, which `receive` reports with the reason."""
        try:
            await self._socket.send_frame(data, kind)
        except (ClientError, ConnectionError):
            return

    def _closed(self, code: int, reason: str) -> Completed | Failed:
        if self._half_closed and code in _CLEAN_CODES:
            return Completed()
        return Failed(MODEL_STREAM_ERROR, f"closed by the container: {code} {reason}", str(code))
