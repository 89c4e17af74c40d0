"""The WebSocket to the model's container: one part is one frame, both ways.

aiohttp sends no fragments, so a PARTIAL … COMPLETE run is put together here; a container sees the
same message either way.

The end of the client's stream becomes a Close frame. Whoever receives one may finish what it is
saying before it answers (RFC 6455 section 5.5.1), so replies are relayed until the container's own
Close: that is the half-close of a protocol that has none.
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
    """The container is not what SageMaker asks of one; `end` is what the client sees of it."""

    def __init__(self, end: Refused | Failed) -> None:
        self.end = end
        super().__init__(end.message)


async def connect(session: ClientSession, url: str, timeout_s: float) -> "Container":
    """Open a socket to the container.

    Raises:
        ContainerError: it is unreachable, refuses, or takes too long.
    """
    try:
        async with asyncio.timeout(timeout_s):
            socket = await session.ws_connect(
                url,
                max_msg_size=MAX_PAYLOAD_BYTES + 1,  # aiohttp refuses the limit itself
                autoping=False,  # pongs are counted below
                autoclose=False,  # a Close is answered below
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
    """One open socket; `receive` by one task, everything else by any."""

    def __init__(self, socket: "ClientWebSocketResponse[bool]") -> None:
        self._socket = socket
        self._run = bytearray()  # the parts of an unfinished message
        self._pings_unanswered = 0
        self._half_closed = False

    async def send(self, part: PayloadPart) -> None:
        """Pass a part on; waits while the container is slow to read.

        Raises:
            ContainerError: a message of many parts is too big.
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
        """Say that the client has ended; replies still come."""
        self._half_closed = True
        await self._send_frame(struct.pack(">H", _NORMAL), WSMsgType.CLOSE)

    async def receive(self) -> bytes | Completed | Failed:
        """Give the container's next message, framed for the client, or how it ended."""
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
        """Ping at each interval; `limit` pings without an answer are the end."""
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
        """Close the socket: in answer to the container, or because the client is gone."""
        await self._socket.close(code=_GOING_AWAY)

    async def _send_frame(self, data: bytes, kind: WSMsgType) -> None:
        """Send unless the socket is gone, which `receive` reports with the reason."""
        try:
            await self._socket.send_frame(data, kind)
        except (ClientError, ConnectionError):
            return

    def _closed(self, code: int, reason: str) -> Completed | Failed:
        if self._half_closed and code in _CLEAN_CODES:
            return Completed()
        return Failed(MODEL_STREAM_ERROR, f"closed by the container: {code} {reason}", str(code))
