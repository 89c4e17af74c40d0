"""HTTP connections with bounded input and descriptors, and without details in error responses.

    accepted --no descriptor free--> 503, closed
        | malformed HTTP: 400 without an echo, closed
        v
    reading, 4 MB/s at most --more bytes than any carrier sends--> closed

Input is read in time slices. If a connection exceeds the bytes of a slice, reading is paused until
the slice ends, and the rest waits in the kernel. This also bounds input that yields no message and
is never queued, such as endless fragments or one byte per packet.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from common.resources import Descriptors
from common.throttle import Throttle

SERVER: Final = "callscribe"  # aiohttp's own header names its version and Python's

_SLICE_S: Final = 0.064
_SLICE_BYTES: Final = 1 << 18
_READ_BYTES: Final = 1024  # the fixed cost of a read, expressed in bytes
# Limits of a connection's total input. A minute of two L16 tracks at 24 kHz in base64 is 12 MB.
_AT_ONCE_BYTES: Final = 1 << 24
_BYTES_PER_S: Final = 1 << 20
_HEARTBEAT_TICK_S: Final = 0.1  # far less than any interval between pings

_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\nServer: " + SERVER.encode() + b"\r\n\r\n"
)

type Notice = Callable[[str], None]  # called with malformed-http or descriptors-exhausted


def _log_notices() -> Notice:
    throttle = Throttle(time.monotonic)

    def notice(slug: str) -> None:
        if (suppressed := throttle.admit(slug)) is not None:
            logging.getLogger(__name__).info("%s suppressed=%d", slug, suppressed)

    return notice


class Connection(web.RequestHandler):
    """One HTTP connection, or the WebSocket it is upgraded to.

    Attributes:
        on_flood: called once when the peer has sent too much. If unset, the connection is closed.
    """

    __slots__ = ("_descriptors", "_left", "_notice", "_resting", "_slice_s", "_taken", "on_flood")

    def __init__(
        self,
        server: web.Server,
        descriptors: Descriptors | None,
        notice: Notice,
        **more: Any,  # noqa: ANN401 - as aiohttp has it, here and below
    ) -> None:
        super().__init__(server, **more)
        self.on_flood: Callable[[], None] | None = None
        self._descriptors = descriptors
        self._notice = notice
        self._left = _SLICE_BYTES
        self._slice_s = self._loop.time()
        self._taken = int(self._slice_s * _BYTES_PER_S) - _AT_ONCE_BYTES
        self._resting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve the connection, or answer 503 if it took a reserved descriptor."""
        if self._descriptors is None or self._descriptors.has_room():
            super().connection_made(transport)
            return
        self._notice("descriptors-exhausted")
        self._manager = None  # the server must not count it
        self._force_close = True
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of TCP
        transport.write(_BUSY)
        transport.close()

    @property
    def is_pipelined(self) -> bool:
        """Whether another request is already queued."""
        return bool(self._messages)

    # Reading

    def set_parser(
        self,
        parser: Any,  # noqa: ANN401
        data_received_cb: Callable[[], None] | None = None,
    ) -> None:
        """Switch to the parser of an upgraded connection.

        Its heartbeat is restarted at most ten times a second. aiohttp restarts it for each read,
        with a callback of the event loop.
        """
        restart = data_received_cb
        if restart is None:
            super().set_parser(parser)
            return
        due_s, now_s = 0.0, self._loop.time

        def on_read() -> None:
            nonlocal due_s
            if now_s() >= due_s:
                due_s = now_s() + _HEARTBEAT_TICK_S
                restart()

        super().set_parser(parser, on_read)

    def data_received(self, data: bytes) -> None:
        """Process input; pause reading if the slice's bytes are used up."""
        super().data_received(data)
        self._left -= len(data) + _READ_BYTES
        if self._left < 0:
            self._end_slice()

    def _end_slice(self) -> None:
        now_s = self._loop.time()
        self._taken += _SLICE_BYTES - self._left
        self._left = _SLICE_BYTES
        if self._taken > now_s * _BYTES_PER_S:
            self._flooded()
        rest_s = self._slice_s + _SLICE_S - now_s
        self._slice_s = now_s + max(0.0, rest_s)
        if rest_s > 0 and self.transport is not None:
            self._resting = True
            self._pause_transport_reading()
            self._loop.call_later(rest_s, self._continue)

    def _continue(self) -> None:
        self._resting = False
        if not self._reading_paused and not self._buffer_paused:
            self._resume_transport_reading()

    def _resume_transport_reading(self) -> None:
        if not self._resting:
            super()._resume_transport_reading()

    def _flooded(self) -> None:
        self._taken = -(1 << 62)
        if self.on_flood:
            self.on_flood()
        else:
            self.force_close()

    # Errors

    def log_exception(self, *args: Any, **more: Any) -> None:  # noqa: ANN401
        """Log an exception of a handler; count malformed input; ignore a lost connection."""
        error = more.get("exc_info")
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            self._notice("malformed-http")
        elif self.transport or not isinstance(error, ConnectionError):
            super().log_exception(*args, **more)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Respond to an error. aiohttp's own response to a malformed request quotes it."""
        response: web.StreamResponse
        if isinstance(exc, HttpProcessingError):
            self._notice("malformed-http")
            response = web.Response(status=status, text="400: Bad Request")
            response.force_close()
        else:
            response = super().handle_error(request, status, exc, message)
        response.headers["Server"] = SERVER
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response. aiohttp's own response to an unknown Expect header quotes it."""
        if isinstance(resp, web.HTTPExpectationFailed):
            resp = web.Response(status=resp.status, text="417: Expectation Failed")
        return await super().finish_response(request, resp, start_time)


class _Server(web.Server):
    """Creates a `Connection` for each accepted socket."""

    descriptors: Descriptors | None
    notice: Notice

    def __call__(self) -> Connection:
        return Connection(self, self.descriptors, self.notice, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application with `Connection` as its protocol.

    Args:
        app: the application.
        descriptors: keeps a reserve; None accepts all connections.
        notice: called for each refusal; by default they are logged once a minute.
        more: as `web.AppRunner`.
    """

    __slots__ = ("_descriptors", "_notice")

    def __init__(
        self,
        app: web.Application,
        descriptors: Descriptors | None = None,
        notice: Notice | None = None,
        **more: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(app, **more)
        self._descriptors = descriptors
        self._notice = notice or _log_notices()
        app.middlewares.append(_in_turn)
        app.on_response_prepare.append(_hide_version)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = _Server(
            made.request_handler,
            request_factory=made.request_factory,
            **made._kwargs,  # noqa: SLF001 - the arguments for each connection
        )
        server.descriptors, server.notice = self._descriptors, self._notice
        return server


@web.middleware
async def _in_turn(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Yield between pipelined requests, which aiohttp would handle in one turn of the loop."""
    if isinstance(request.protocol, Connection) and request.protocol.is_pipelined:
        await asyncio.sleep(0)
    return await handler(request)


async def _hide_version(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER
