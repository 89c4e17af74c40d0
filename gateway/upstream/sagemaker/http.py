"""Run one request and its response on a shared HTTP/2 connection, as a transport for the SDK.

The SDK's default transport opens one connection per concurrent cold start, waits forever for the
response of a stream that has failed, and reports a reset as a clean end (smithy-python #701). This
module implements the SDK's transport interface over the same CRT. The SDK builds and signs the
request and parses error responses. The body does not pass through the SDK: it is sent to and
received from the `Exchange`. Only public interfaces of `awscrt` and `smithy` are used.
"""

import asyncio
import io
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, Literal, Protocol

from awscrt import http
from smithy_http import Field, Fields
from smithy_http.aio import HTTPResponse
from smithy_http.aio.interfaces import HTTPRequest

from gateway.errors import UpstreamError
from gateway.upstream.sagemaker.errors import NOT_SENT, from_crt

# How much a peer may send on a stream before it is acknowledged; this limits the inbox.
RECEIVE_WINDOW_BYTES: Final = 1024 * 1024
_MAX_ERROR_BODY_BYTES: Final = 64 * 1024

type Head = tuple[int, dict[str, str]]
type CrtCallback = Callable[..., None]


class Inbox:
    """Passes calls from the CRT's thread to the event loop, in order, many per wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._items: Final[deque[tuple[Callable[[Any], None], Any]]] = deque()
        self._woken = False

    def put(self, deliver: Callable[[Any], None], item: object) -> None:
        """Call `deliver(item)` on the loop; does nothing if the loop is closed. Thread-safe."""
        self._items.append((deliver, item))
        if self._woken:
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            self._items.clear()

    def _drain(self) -> None:
        self._woken = False  # before the loop, so that no item added from now on is missed
        while self._items:
            deliver, item = self._items.popleft()
            try:
                deliver(item)
            except Exception as error:  # noqa: BLE001 - one stream's failure must not affect others
                context = {"message": "a receiver raised", "exception": error}
                self._loop.call_exception_handler(context)


class SharedConnection(Protocol):
    """The interface that an exchange needs from its connection."""

    @property
    def linger_s(self) -> float:
        """Time that the peer has to end an abandoned stream."""

    def request(
        self, request: http.HttpRequest, on_head: CrtCallback, on_body: CrtCallback
    ) -> http.Http2ClientStream:
        """Create a stream that is not active; raise UpstreamError if the connection is closed."""

    def release(self) -> None:
        """Release the stream slot."""

    def retire(self) -> None:
        """Start no more streams, and close the connection when the last one has ended."""

    def suspend(self) -> None:
        """Start no more streams until `resume`, because the peer may no longer respond."""

    def resume(self) -> None:
        """Undo one call of `suspend`, because the peer has responded."""


class ExchangeReceiver(Protocol):
    """Receives a response's body and its end, on the event loop's thread."""

    def on_body(self, chunk: bytes) -> None:
        """Process the next bytes of the body."""

    def on_end(self, error: UpstreamError | None) -> None:
        """Handle the end of the response, once; `error` is None after END_STREAM."""


class Exchange:
    """One request and its response, on a stream slot acquired from `connection`."""

    def __init__(
        self, connection: SharedConnection, request: http.HttpRequest, inbox: Inbox
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._connection: Final = connection
        self.inbox: Final = inbox
        self._head: Final[asyncio.Future[Head]] = self._loop.create_future()
        self._over: Final[asyncio.Future[UpstreamError | None]] = self._loop.create_future()
        self._receiver: ExchangeReceiver | None = None
        self._early: list[bytes] = []  # body received before `listen`
        self._unacknowledged_bytes = 0
        self._half_closed = False
        self._left = False
        self._complete = False
        self._suspended = False  # whether this exchange has suspended the connection
        self._released = False
        # Retrieves the exception: asyncio would log it if no task were waiting for it.
        self._head.add_done_callback(lambda head: head.exception())
        self._stream: Final = connection.request(request, self._crt_head, self._crt_body)
        self._stream.remote_end_stream_future.add_done_callback(self._crt_remote_end)
        self._stream.completion_future.add_done_callback(self._crt_complete)
        try:
            self._stream.activate()
        except RuntimeError as error:  # awscrt's form of AWS_ERROR_HTTP_CONNECTION_CLOSED
            raise UpstreamError("connection-lost", NOT_SENT) from error

    async def head(self) -> Head:
        """Wait for the response's status and headers.

        Raises:
            UpstreamError: the stream ended before them.
        """
        return await asyncio.shield(self._head)

    async def whole_body(self) -> bytes:
        """Wait for the end of a response without a receiver; return about its first 64 KiB."""
        await asyncio.shield(self._over)
        return b"".join(self._early)

    def listen(self, receiver: ExchangeReceiver) -> None:
        """Pass the body to `receiver` from now on, starting with what was already received."""
        self.inbox.put(self._start_delivery, receiver)

    def write(self, data: bytes, written: CrtCallback | None = None, *, end: bool = False) -> None:
        """Send body bytes; with `end`, half-close. Does nothing if the stream is complete.

        `written` is called on the CRT's thread when the bytes were sent or the write has failed.
        """
        self._half_closed = self._half_closed or end
        try:
            future = self._stream.write_data(io.BytesIO(data), end_stream=end)
        except RuntimeError:  # awscrt's form of AWS_ERROR_HTTP_STREAM_HAS_COMPLETED
            return
        if written is not None:
            future.add_done_callback(written)

    def leave(self, last: bytes = b"") -> None:
        """Abandon the exchange: half-close after sending `last`, and ignore the rest of the body.

        This is the only way to end a stream before the peer does, because neither awscrt nor the
        SDK can reset a stream. The connection is suspended until the peer ends its side: it may be
        lost, and new sessions on it would time out. If the peer does not end its side within
        `linger_s`, the connection is retired.
        """
        is_early = not self._over.done()
        self._left = True
        self._receiver = None
        self._early = []
        self._finish(None)
        if self._complete:
            return
        if not self._half_closed:
            self.write(last, end=True)
        if is_early:
            self._suspended = True
            self._connection.suspend()
        self._loop.call_later(self._connection.linger_s, self._retire_if_stuck)

    def _retire_if_stuck(self) -> None:
        if not self._complete:
            self._connection.retire()
            self._release()

    def _release(self) -> None:
        if not self._released:
            self._released = True
            self._connection.release()

    # Called on the CRT's thread.

    def _crt_head(self, *, status_code: int, headers: list[tuple[str, str]], **_: object) -> None:
        head = (status_code, {name.lower(): value for name, value in headers})
        self.inbox.put(self._on_head, head)

    def _crt_body(self, *, chunk: bytes, **_: object) -> None:
        self.inbox.put(self._on_body, chunk)

    def _crt_remote_end(self, future: Future[None]) -> None:
        if future.exception() is None:
            self.inbox.put(self._finish, None)

    def _crt_complete(self, future: Future[int]) -> None:
        error = future.exception()
        self.inbox.put(self._on_complete, getattr(error, "name", type(error).__name__))

    # Called on the event loop's thread.

    def _on_head(self, head: Head) -> None:
        if not self._head.done():
            self._head.set_result(head)

    def _on_body(self, chunk: bytes) -> None:
        self._unacknowledged_bytes += len(chunk)
        if self._unacknowledged_bytes > RECEIVE_WINDOW_BYTES // 2:
            self._stream.update_window(self._unacknowledged_bytes)
            self._unacknowledged_bytes = 0
        if self._receiver is not None:
            self._receiver.on_body(chunk)
        elif not self._over.done() and sum(map(len, self._early)) < _MAX_ERROR_BODY_BYTES:
            self._early.append(chunk)

    def _on_complete(self, crt_name: str) -> None:
        """Handle the completion of the stream in the CRT: both sides ended it, or it failed."""
        self._complete = True
        if self._suspended:
            self._connection.resume()
        self._release()
        self._finish(from_crt(crt_name))  # without effect after the response's END_STREAM

    def _finish(self, error: UpstreamError | None) -> None:
        if self._over.done():
            return
        self._over.set_result(error)
        if not self._head.done():
            self._head.set_exception(
                error or UpstreamError("platform-protocol-error", "no response headers")
            )
        if self._receiver is not None:
            self._receiver.on_end(error)

    def _start_delivery(self, receiver: ExchangeReceiver) -> None:
        if self._left:
            return
        self._receiver = receiver
        early, self._early = self._early, []
        for chunk in early:
            self._deliver(chunk)
        if self._over.done() and self._receiver is not None:
            self._receiver.on_end(self._over.result())

    def _deliver(self, chunk: bytes) -> None:
        if self._receiver is not None:  # it can call `leave` on any chunk
            self._receiver.on_body(chunk)


class RequestTransport:
    """The SDK's transport for one request, on a stream slot acquired from `connection`."""

    TIMEOUT_EXCEPTIONS: tuple[type[Exception], ...] = ()
    SUPPORTS_DUPLEX_STREAMING: Literal[True] = True

    def __init__(self, connection: SharedConnection, inbox: Inbox) -> None:
        self._connection: Final = connection
        self._inbox: Final = inbox
        self.exchange: Exchange | None = None
        self.head: Head | None = None
        self.signature = ""

    async def send(self, request: HTTPRequest) -> HTTPResponse:
        """Send the signed request's head and return the response's; with its body on an error.

        Raises:
            UpstreamError: the stream ended before the response.
        """
        self.signature = request.fields["Authorization"].as_string().rpartition("Signature=")[2]
        self.exchange = Exchange(self._connection, _crt_request(request), self._inbox)
        self.head = status, headers = await self.exchange.head()
        return HTTPResponse(
            status=status,
            fields=Fields([Field(name=name, values=[value]) for name, value in headers.items()]),
            body=b"" if status == 200 else await self.exchange.whole_body(),
        )


def _crt_request(request: HTTPRequest) -> http.HttpRequest:
    url = request.destination
    headers = [
        (field.name, value)
        for field in request.fields
        for value in field.values
        if field.kind == "header"
    ]
    names = {name.lower() for name, _ in headers}
    if "host" not in names:
        headers.append(("host", url.netloc))
    if "accept" not in names:
        headers.append(("accept", "*/*"))
    query = "" if url.query is None else f"?{url.query}"
    return http.HttpRequest(request.method, f"{url.path or '/'}{query}", http.HttpHeaders(headers))
