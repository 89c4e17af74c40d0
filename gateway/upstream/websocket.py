"""Send messages directly to a model server's WebSocket, for self-hosted and hosted models.

Frames are not compressed: audio would shrink little at a high cost. vLLM keeps the socket open
after `done`, so the half-close is the closing handshake: the client sends its Close after the
queued messages, and messages that the server sends before its own Close still arrive (RFC 6455
section 5.5.1).
"""

import asyncio
import contextlib
import re
import ssl
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp import (
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WebSocketError,
    WSMsgType,
)

from common.settings import SettingsError
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Address
from gateway.upstream.transport import StreamReceiver, ignore

type Socket = ClientWebSocketResponse[Literal[False]]

_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024  # vLLM's limit
_NORMAL: Final = 1000
_POLICY: Final = 1008
_NO_CODE: Final = 1005  # RFC 6455 section 7.4.1: a Close without a code
_BY_CLOSE_CODE: Final = {
    1001: "service-unavailable",
    1002: "realtime-protocol-error",
    1003: "validation-error",
    1007: "validation-error",
    1008: "access-denied",
    1009: "validation-error",  # the gateway sent a message above 16 MiB
    1011: "internal-server-error",
    1012: "service-unavailable",  # vLLM restarts, or its engine has crashed
    1013: "model-at-capacity",
}
_CODE_OF_REASON: Final = re.compile(r"\b(?:DATA|NET)-\d{4}\b")  # Deepgram's
_BY_STATUS: Final = {
    200: "endpoint-not-found",  # a page, or an API without a WebSocket
    400: "realtime-error",  # Mistral: an unknown model, and at times a known one
    401: "access-denied",
    402: "payment-required",
    403: "access-denied",
    404: "endpoint-not-found",
    405: "endpoint-not-found",
    429: "throttled",
    500: "internal-server-error",
    502: "service-unavailable",
    503: "service-unavailable",
    504: "service-unavailable",
}


class WebSocketTransport:
    """Opens one WebSocket per stream.

    Args:
        url: ws(s)://host[:port][/path]. Without a path, the dialect's is used.
        open_timeout_s: for TCP, TLS and the upgrade.
        send_timeout_s: for writing a message to the socket's buffer; if it expires, the peer no
            longer reads.
        close_timeout_s: for the peer's reply to the Close frame.
        heartbeat_s: between pings; without a pong for half of this time, the connection is lost.
        window: maximum number of queued messages per stream; at 80 ms per message, 250 are 20 s.
        tls: TLS context for wss://; trusts the system's CAs if None.
        observe_wait_s: called for each message with the time it waited for the socket's buffer.
    """

    longest_stream_s: Final = None

    def __init__(
        self,
        url: str,
        *,
        open_timeout_s: float = 10.0,
        send_timeout_s: float = 5.0,
        close_timeout_s: float = 5.0,
        heartbeat_s: float = 20.0,
        window: int = 250,
        tls: ssl.SSLContext | None = None,
        observe_wait_s: Callable[[float], None] = ignore,
    ) -> None:
        if not re.match(r"(ws|http)s?://[^/]", url):
            raise SettingsError("the Realtime URL must be ws://host... or wss://host...")
        self._url: Final = url
        self._open_timeout_s: Final = open_timeout_s
        self._send_timeout_s: Final = send_timeout_s
        self._close_timeout_s: Final = close_timeout_s
        self._heartbeat_s: Final = heartbeat_s
        self._window: Final = window
        self._tls: Final = tls
        self._observe_wait_s: Final = observe_wait_s
        self._client: ClientSession | None = None
        self._streams: Final[set[WebSocketStream]] = set()
        self._closed = False

    async def open(
        self, receiver: StreamReceiver, address: Address | None = None
    ) -> "WebSocketStream":
        """Open one stream; return when the server has accepted the upgrade.

        Args:
            receiver: receives its messages and its end.
            address: what the dialect adds to the URL and the request; None adds nothing.

        Raises:
            UpstreamError: with a classified reason, within `open_timeout_s`.
        """
        if self._closed:
            raise UpstreamError("draining", "the transport is closed")
        if self._client is None:
            # Each stream has its own socket, so a limit here would be a hidden queue.
            connector = aiohttp.TCPConnector(limit=0)
            timeout = ClientTimeout(total=None)
            self._client = ClientSession(connector=connector, timeout=timeout)
        socket = await self._connect(self._client, address or Address())
        stream = WebSocketStream(
            socket,
            receiver,
            window=self._window,
            send_timeout_s=self._send_timeout_s,
            close_timeout_s=self._close_timeout_s,
            observe_wait_s=self._observe_wait_s,
            discard=self._streams.discard,
        )
        self._streams.add(stream)
        return stream

    async def close(self) -> None:
        """Abort every stream and release the connections. Idempotent; bounded in time."""
        self._closed = True
        streams = tuple(self._streams)
        for stream in streams:
            stream.abort()
        if self._client is not None:
            await asyncio.gather(*(stream.wait_closed() for stream in streams))
            await self._client.close()

    async def _connect(self, client: ClientSession, address: Address) -> Socket:
        try:
            async with asyncio.timeout(self._open_timeout_s):
                return await client.ws_connect(
                    _complete(self._url, address),
                    headers=address.headers,
                    heartbeat=self._heartbeat_s,
                    timeout=ClientWSTimeout(ws_close=self._close_timeout_s),
                    max_msg_size=_MAX_MESSAGE_BYTES,
                    compress=0,
                    decode_text=False,
                    ssl=self._tls or True,
                )
        except TimeoutError as error:
            raise UpstreamError("connect-timeout") from error
        # Their texts quote the URL and the response's headers, so they are not kept as a cause.
        except aiohttp.WSServerHandshakeError as error:
            reason = _BY_STATUS.get(error.status, "realtime-protocol-error")
            raise UpstreamError(reason, f"status={error.status}") from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise UpstreamError("tls-untrusted", type(error).__name__) from None
        except aiohttp.ClientConnectorDNSError as error:
            raise UpstreamError("host-unreachable", type(error).__name__) from None
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, ConnectionRefusedError)
            reason = "connect-refused" if refused else "host-unreachable"
            raise UpstreamError(reason, type(error.os_error).__name__) from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError("connection-lost", type(error).__name__) from None


class WebSocketStream:
    """One open stream; see `UpstreamStream`."""

    def __init__(
        self,
        socket: Socket,
        receiver: StreamReceiver,
        *,
        window: int,
        send_timeout_s: float,
        close_timeout_s: float,
        observe_wait_s: Callable[[float], None],
        discard: Callable[["WebSocketStream"], None],
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._socket: Final = socket
        self._receiver: Final = receiver
        self._window: Final = window
        self._send_timeout_s: Final = send_timeout_s
        self._close_timeout_s: Final = close_timeout_s
        self._observe_wait_s: Final = observe_wait_s
        self._discard: Final = discard
        # Each with its kind, and the time it was queued.
        self._queue: Final[deque[tuple[bytes, WSMsgType, float]]] = deque()
        self._queued: Final = asyncio.Event()  # set if there are messages to write, or on `finish`
        self._refused = False
        self._finishing = False
        self._ended = False
        self._closer: asyncio.Task[None] | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._reader: Final = self._loop.create_task(self._read())
        self._writer: Final = self._loop.create_task(self._write())

    def send(self, message: bytes, *, is_binary: bool = False) -> bool:
        """Queue one message; return False if it was not accepted."""
        if self._finishing or self._ended:
            return False
        if len(self._queue) >= self._window:
            self._refused = True
            return False
        kind = WSMsgType.BINARY if is_binary else WSMsgType.TEXT
        self._queue.append((message, kind, self._loop.time()))
        self._queued.set()
        return True

    def finish(self) -> None:
        """Half-close after all accepted messages are sent."""
        self._finishing = True
        self._queued.set()

    def abort(self) -> None:
        """End at once and drop the queued messages."""
        if not self._ended:
            self._end()
            self._loop.call_soon(self._receiver.on_closed, None)

    async def wait_closed(self) -> None:
        """Wait until the tasks of the stream have ended; limited by the close timeout."""
        tasks = [self._reader, self._writer, *([self._closer] if self._closer else [])]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        while not self._ended:
            frame = await self._socket.receive()
            if self._ended:
                return
            if frame.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._hand_over(frame.data)
            else:
                self._fail(_end_of(frame.type, frame.data, frame.extra))

    def _hand_over(self, message: bytes) -> None:
        try:
            self._receiver.on_message(message)
        except Exception as error:  # noqa: BLE001 - its failure must not stop the reader
            context = {"message": "a receiver raised", "exception": error}
            self._loop.call_exception_handler(context)

    async def _write(self) -> None:
        """Write the queued messages in order; after `finish`, send the Close frame at the end."""
        try:
            while not (self._finishing and not self._queue):
                if not self._queue:
                    self._queued.clear()
                    await self._queued.wait()
                    continue
                message, kind, since_s = self._queue[0]
                await self._write_frame(message, kind)
                self._queue.popleft()
                self._observe_wait_s(self._loop.time() - since_s)
                self._offer()
            await self._write_frame(struct.pack(">H", _NORMAL), WSMsgType.CLOSE)
        except TimeoutError:
            self._fail(UpstreamError("send-timeout", "the peer no longer reads"))
        except (aiohttp.ClientError, OSError):
            return  # the reader reports the reason
        else:
            self._close_timer = self._loop.call_later(self._close_timeout_s, self._on_close_timeout)

    async def _write_frame(self, data: bytes, kind: WSMsgType) -> None:
        async with asyncio.timeout(self._send_timeout_s):
            await self._socket.send_frame(data, kind)

    def _offer(self) -> None:
        if self._refused and len(self._queue) <= self._window // 2:
            self._refused = False
            self._receiver.on_writable()

    def _on_close_timeout(self) -> None:
        self._fail(UpstreamError("response-timeout", "no reply to the Close frame"))

    def _fail(self, error: UpstreamError | None) -> None:
        """End the stream; `error` is None after a clean end."""
        if not self._ended:
            self._end()
            self._receiver.on_closed(error)

    def _end(self) -> None:
        self._ended = True
        self._queue.clear()
        self._writer.cancel()
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._closer = self._loop.create_task(self._close())
        self._closer.add_done_callback(lambda _: self._discard(self))

    async def _close(self) -> None:
        """Run the closing handshake if the peer responds; close the socket in any case."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._close_timeout_s):
                await self._socket.close()


def _complete(url: str, address: Address) -> str:
    """Return the URL with the dialect's path, if it has none, and the dialect's query."""
    parts = urlsplit(url)
    path = address.path if parts.path in ("", "/") else parts.path
    # Joined here, because aiohttp's `params` would encode the query again.
    query = "&".join(each for each in (parts.query, address.query) if each)
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def _end_of(kind: WSMsgType, data: object, text: object) -> UpstreamError | None:
    """Return why the stream ended, from the first frame that is not a message; None if cleanly."""
    if kind is WSMsgType.CLOSE:
        code = data if isinstance(data, int) and data else _NO_CODE
        if code in (_NORMAL, _NO_CODE):
            return None
        detail = f"close code {code}"
        if found := _CODE_OF_REASON.search(text if isinstance(text, str) else ""):
            # Deepgram checks keys before the upgrade: its 1008 is about the audio.
            reason = "realtime-error" if code == _POLICY else _BY_CLOSE_CODE.get(code)
            return UpstreamError(reason or "realtime-error", f"{detail}, {found[0]}")
        return UpstreamError(_BY_CLOSE_CODE.get(code, "realtime-error"), detail)
    if kind is WSMsgType.ERROR and isinstance(data, WebSocketError):
        return UpstreamError("realtime-protocol-error", f"close code {data.code}")
    return UpstreamError("connection-lost", "no close frame")
