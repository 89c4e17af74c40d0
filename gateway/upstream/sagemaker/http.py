"""One request and its response on a shared HTTP/2 connection, and what the SDK sends it through.

The SDK's stock transport opens one connection per concurrent cold start, waits for ever for the
response of a stream that has died, and reports a reset as a clean end (smithy-python #701). This
one implements the SDK's interface for transports over the same CRT: the SDK builds and signs the
request and parses an error response; the body goes past it, straight to and from the `Exchange`.
Only public interfaces of `awscrt` and `smithy` are used.
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

# What a peer may send on a stream before we took it: with it, what waits in the inbox is bounded.
RECEIVE_WINDOW_BYTES: Final = 1024 * 1024
_MAX_ERROR_BODY_BYTES: Final = 64 * 1024

type Head = tuple[int, dict[str, str]]
type CrtCallback = Callable[..., None]


class Inbox:
    """What the CRT's thread has to tell the event loop: in order, many items per wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._items: Final[deque[tuple[Callable[[Any], None], Any]]] = deque()
        self._woken = False

    def put(self, deliver: Callable[[Any], None], item: object) -> None:
        """Have `deliver(item)` called on the loop. From any thread; in vain once it is closed."""
        self._items.append((deliver, item))
        if self._woken:
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            self._items.clear()

    def _drain(self) -> None:
        self._woken = False  # first: what is put from here on wakes us again, or is drained below
        while self._items:
            deliver, item = self._items.popleft()
            try:
                deliver(item)
            except Exception as error:  # noqa: BLE001 - one stream's fault must not stop the others
                context = {"message": "a receiver raised", "exception": error}
                self._loop.call_exception_handler(context)


class SharedConnection(Protocol):
    """What an exchange needs of its connection."""

    @property
    def linger_s(self) -> float:
        """How long a stream may be over for us and not for the peer, before it is stuck."""

    def request(
        self, request: http.HttpRequest, on_head: CrtCallback, on_body: CrtCallback
    ) -> http.Http2ClientStream:
        """Make a stream, not yet active; UpstreamError if the connection has gone."""

    def release(self) -> None:
        """Give the stream's place back."""

    def retire(self) -> None:
        """Take no more streams, and close once the last one is over."""

    def doubt(self) -> None:
        """Take no more streams until `trust`: the peer has to show that it still answers."""

    def trust(self) -> None:
        """Learn that it did; as often as `doubt`."""


class ExchangeReceiver(Protocol):
    """Who takes a response's body, on the event loop's thread."""

    def on_body(self, chunk: bytes) -> None:
        """Take some bytes, in order."""

    def on_end(self, error: UpstreamError | None) -> None:
        """Learn that the response is over: None after END_STREAM, else why. SingleUse."""


class Exchange:
    """One request and its response, on a place claimed in `connection`."""

    def __init__(
        self, connection: SharedConnection, request: http.HttpRequest, inbox: Inbox
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._connection: Final = connection
        self.inbox: Final = inbox
        self._head: Final[asyncio.Future[Head]] = self._loop.create_future()
        self._over: Final[asyncio.Future[UpstreamError | None]] = self._loop.create_future()
        self._receiver: ExchangeReceiver | None = None
        self._early: list[bytes] = []  # what came before somebody listens
        self._unacknowledged_bytes = 0
        self._half_closed = False
        self._left = False
        self._complete = False
        self._doubts = False  # that the connection lives
        self._released = False
        # Nobody may be waiting any more when there is none.
        self._head.add_done_callback(lambda head: head.exception())
        self._stream: Final = connection.request(request, self._crt_head, self._crt_body)
        self._stream.remote_end_stream_future.add_done_callback(self._crt_remote_end)
        self._stream.completion_future.add_done_callback(self._crt_complete)
        try:
            self._stream.activate()
        except RuntimeError as error:  # how awscrt says AWS_ERROR_HTTP_CONNECTION_CLOSED
            raise UpstreamError("connection-lost", NOT_SENT) from error

    async def head(self) -> Head:
        """Wait for the response's status and headers.

        Raises:
            UpstreamError: the stream ended before them.
        """
        return await asyncio.shield(self._head)

    async def whole_body(self) -> bytes:
        """Wait for the end of a response nobody listens to; of a long one, its beginning."""
        await asyncio.shield(self._over)
        return b"".join(self._early)

    def listen(self, receiver: ExchangeReceiver) -> None:
        """Hand the body to `receiver` from now on, beginning with what came already."""
        self.inbox.put(self._hand_over, receiver)

    def write(self, data: bytes, written: CrtCallback | None = None, *, end: bool = False) -> None:
        """Send body bytes; with `end`, half-close. In vain once the stream is complete.

        `written` is called on the CRT's thread when the bytes have left, or never will.
        """
        self._half_closed = self._half_closed or end
        try:
            future = self._stream.write_data(io.BytesIO(data), end_stream=end)
        except RuntimeError:  # how awscrt says AWS_ERROR_HTTP_STREAM_HAS_COMPLETED
            return
        if written is not None:
            future.add_done_callback(written)

    def leave(self, last: bytes = b"") -> None:
        """Have done with the exchange: half-close after `last`, and listen no more.

        The only way to end a stream before its peer does: awscrt binds no reset, the SDK has none.
        Until its peer ends its side the connection gets no new streams: it may be dead, and the
        next session would wait in vain there. One that does not in time is retired.
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
            self._doubts = True
            self._connection.doubt()
        self._loop.call_later(self._connection.linger_s, self._retire_if_stuck)

    def _retire_if_stuck(self) -> None:
        if not self._complete:
            self._connection.retire()
            self._release()

    def _release(self) -> None:
        if not self._released:
            self._released = True
            self._connection.release()

    # On the CRT's thread.

    def _crt_head(self, *, status_code: int, headers: list[tuple[str, str]], **_: object) -> None:
        head = (status_code, {name.lower(): value for name, value in headers})
        self.inbox.put(self._take_head, head)

    def _crt_body(self, *, chunk: bytes, **_: object) -> None:
        self.inbox.put(self._take_body, chunk)

    def _crt_remote_end(self, future: Future[None]) -> None:
        if future.exception() is None:
            self.inbox.put(self._finish, None)

    def _crt_complete(self, future: Future[int]) -> None:
        error = future.exception()
        self.inbox.put(self._take_completion, getattr(error, "name", type(error).__name__))

    # On the event loop's.

    def _take_head(self, head: Head) -> None:
        if not self._head.done():
            self._head.set_result(head)

    def _take_body(self, chunk: bytes) -> None:
        self._unacknowledged_bytes += len(chunk)
        if self._unacknowledged_bytes > RECEIVE_WINDOW_BYTES // 2:
            self._stream.update_window(self._unacknowledged_bytes)
            self._unacknowledged_bytes = 0
        if self._receiver is not None:
            self._receiver.on_body(chunk)
        elif not self._over.done() and sum(map(len, self._early)) < _MAX_ERROR_BODY_BYTES:
            self._early.append(chunk)

    def _take_completion(self, crt_name: str) -> None:
        """The CRT is done with the stream: both sides ended it, or it failed."""
        self._complete = True
        if self._doubts:
            self._connection.trust()
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

    def _hand_over(self, receiver: ExchangeReceiver) -> None:
        if self._left:
            return
        self._receiver = receiver
        early, self._early = self._early, []
        for chunk in early:
            self._pass_on(chunk)
        if self._over.done() and self._receiver is not None:
            self._receiver.on_end(self._over.result())

    def _pass_on(self, chunk: bytes) -> None:
        if self._receiver is not None:  # it may leave at any chunk
            self._receiver.on_body(chunk)


class RequestTransport:
    """What the SDK sends one request through, on a place claimed in `connection`."""

    TIMEOUT_EXCEPTIONS: tuple[type[Exception], ...] = ()
    SUPPORTS_DUPLEX_STREAMING: Literal[True] = True

    def __init__(self, connection: SharedConnection, inbox: Inbox) -> None:
        self._connection: Final = connection
        self._inbox: Final = inbox
        self.exchange: Exchange | None = None
        self.head: Head | None = None
        self.signature = ""

    async def send(self, request: HTTPRequest) -> HTTPResponse:
        """Send the signed request's head and wait for the response's; its body, on an error, too.

        Raises:
            UpstreamError: the stream ended before that.
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
