"""An HTTP/2 server on asyncio and the `h2` library, with flow control in both directions.

A `Stream` is one request. Its flow-control window bounds its buffer: received bytes are
acknowledged only when the next bytes are requested, so a slow container slows the client down. In
the other direction, a writer waits while the client's window or socket buffer is full.

Bytes that streams write in the same iteration of the event loop are sent in one TLS write.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

_STREAM_WINDOW_BYTES = 1024 * 1024
# Measured: with the default of 64 KiB, 100 streams throttled each other to a third of their rate.
_CONNECTION_WINDOW_BYTES = 64 * 1024 * 1024
_DEFAULT_WINDOW_BYTES = 65_535
_OUTBOX_BYTES = 256 * 1024  # a writer waits while more than this is unsent
_FLUSH_TIMEOUT_S = 2.0  # for a client to read the last bytes of a response
_log = logging.getLogger(__name__)


class Stream:
    """One request: its headers, its body as it arrives, and its response."""

    def __init__(self, connection: "Connection", stream_id: int, headers: dict[str, str]) -> None:
        self.connection = connection
        self.id = stream_id
        self.headers = headers  # by lower-case name, including pseudo-headers
        self.closed = False  # nothing can be sent
        self._inbox = bytearray()
        self._inbox_ended = False
        self._inbox_changed = asyncio.Event()
        # Flow-controlled bytes, including padding, that are not acknowledged yet:
        self._received_bytes = 0  # in the inbox
        self._returned_bytes = 0  # by the last `receive`
        self._outbox = bytearray()
        self._outbox_shrunk = asyncio.Event()

    async def receive(self) -> bytes:
        """Wait for body bytes and return all that have arrived; b"" at the end of the body.

        Each call acknowledges the bytes that the previous call returned.
        """
        self.connection.acknowledge(self, self._returned_bytes)
        self._returned_bytes = 0
        while not (self._inbox or self._inbox_ended):
            self._inbox_changed.clear()
            await self._inbox_changed.wait()
        self._returned_bytes, self._received_bytes = self._received_bytes, 0
        data = bytes(self._inbox)
        self._inbox.clear()
        return data

    def respond(self, status: int, headers: dict[str, str]) -> None:
        """Send the response's headers."""
        if not self.closed:
            self.connection.send_headers(self, [(":status", str(status)), *headers.items()])

    async def write(self, data: bytes) -> None:
        """Send body bytes; waits while more than `_OUTBOX_BYTES` are unsent."""
        self._outbox += data
        self.pump()
        await self._shrink_to(_OUTBOX_BYTES)

    async def finish(self, data: bytes = b"") -> None:
        """Send `data` and end the response; reset the stream if the client reads too slowly."""
        self._outbox += data
        self.pump()
        try:
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await self._shrink_to(0)
        except TimeoutError:
            self.reset(ErrorCodes.CANCEL)
        if self.closed:
            return
        self.closed = True
        self.connection.end(self)
        if not self._inbox_ended:
            # The response does not depend on the rest of the request: RFC 9113 section 8.1.
            self.connection.send_reset(self, ErrorCodes.NO_ERROR)

    def reset(self, code: ErrorCodes) -> None:
        """Abort both directions of the stream."""
        if not self.closed:
            self.closed = True
            self.connection.send_reset(self, code)

    def abandon(self) -> None:
        """Mark the stream as closed, because the client or its connection is gone."""
        self.closed = True
        self._outbox_shrunk.set()

    def release(self) -> None:
        """Acknowledge all remaining bytes, to restore the connection's window."""
        self.connection.acknowledge(self, self._returned_bytes + self._received_bytes)
        self._returned_bytes = self._received_bytes = 0

    def add_data(self, data: bytes, flow_controlled_bytes: int) -> None:
        """Buffer received body bytes."""
        self._inbox += data
        self._received_bytes += flow_controlled_bytes
        self._inbox_changed.set()

    def end_body(self) -> None:
        """Mark the end of the body."""
        self._inbox_ended = True
        self._inbox_changed.set()

    def pump(self) -> None:
        """Send as much as the client's window and socket buffer accept."""
        while self._outbox and (room := self.connection.room_bytes(self)) > 0:
            self.connection.send_data(self, bytes(self._outbox[:room]))
            del self._outbox[:room]
            self._outbox_shrunk.set()

    async def _shrink_to(self, size: int) -> None:
        while len(self._outbox) > size and not self.closed:
            self._outbox_shrunk.clear()
            await self._outbox_shrunk.wait()


class Connection(asyncio.Protocol):
    """One client connection, which runs `serve` in a task for every request."""

    def __init__(
        self,
        serve: Callable[[Stream], Awaitable[None]],
        max_concurrent_streams: int,
        *,
        on_made: Callable[["Connection"], None],
        on_closed: Callable[["Connection"], None],
    ) -> None:
        self.closed = asyncio.Event()  # set when the connection is lost and its tasks have ended
        self._on_made = on_made
        self._on_closed = on_closed
        self._serve = serve
        self._max_concurrent_streams = max_concurrent_streams
        self._loop = asyncio.get_running_loop()
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._streams: dict[int, Stream] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._transport: asyncio.Transport | None = None
        self._writing_paused = False
        self._flush_handle: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the windows and limits."""
        # uvloop's transport does not derive from it.
        self._transport = cast(asyncio.Transport, transport)
        self._on_made(self)
        self._h2.initiate_connection()
        self._h2.update_settings(
            {
                SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW_BYTES,
                SettingCodes.MAX_CONCURRENT_STREAMS: self._max_concurrent_streams,
            }
        )
        self._h2.increment_flow_control_window(_CONNECTION_WINDOW_BYTES - _DEFAULT_WINDOW_BYTES)
        self._flush_soon()

    def data_received(self, data: bytes) -> None:
        """Process bytes from the client."""
        try:
            for event in self._h2.receive_data(data):
                self._dispatch(event)
        except ProtocolError:
            self._close()  # after the GOAWAY that h2 has queued
        self._flush_soon()

    def pause_writing(self) -> None:
        """Pause responses, because the socket buffer is full."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Resume responses."""
        self._writing_paused = False
        self._pump_all()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every stream."""
        self._transport = None
        self._abandon_streams()
        self._close_if_done()

    def drop(self) -> None:
        """Abort the TCP connection."""
        if self._transport:
            self._transport.abort()

    def retire(self) -> None:
        """Send GOAWAY but serve the open streams to their end, like a frontend that drains."""
        if self._transport:
            self._flush()
            newest = max(self._streams, default=0)
            # h2 itself would close.
            self._transport.write(GoAwayFrame(last_stream_id=newest).serialize())

    def go_away(self, code: ErrorCodes) -> None:
        """Send GOAWAY and close."""
        self._h2.close_connection(code)
        self._close()

    def room_bytes(self, stream: Stream) -> int:
        """Return how many bytes of a stream's response can be sent now."""
        if stream.closed or self._writing_paused:
            return 0
        window = self._h2.local_flow_control_window(stream.id)
        return min(window, self._h2.max_outbound_frame_size)

    def send_headers(self, stream: Stream, headers: list[tuple[str, str]]) -> None:
        """Queue a stream's response headers."""
        self._h2.send_headers(stream.id, headers)
        self._flush_soon()

    def send_data(self, stream: Stream, data: bytes) -> None:
        """Queue body bytes, at most `room_bytes`."""
        self._h2.send_data(stream.id, data)
        self._flush_soon()

    def end(self, stream: Stream) -> None:
        """Queue a stream's end."""
        self._h2.end_stream(stream.id)
        self._flush_soon()

    def send_reset(self, stream: Stream, code: ErrorCodes) -> None:
        """Queue a stream's reset."""
        self._h2.reset_stream(stream.id, code)
        self._flush_soon()

    def acknowledge(self, stream: Stream, size: int) -> None:
        """Return `size` bytes to the flow-control windows."""
        if size and self._transport:
            self._h2.acknowledge_received_data(size, stream.id)
            self._flush_soon()

    def _dispatch(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._open(event)
            case DataReceived():
                if stream := self._streams.get(event.stream_id):
                    stream.add_data(event.data, event.flow_controlled_length)
                else:
                    self._h2.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
            case StreamEnded(stream_id=int(stream_id)):
                if stream := self._streams.get(stream_id):
                    stream.end_body()
            case StreamReset(stream_id=int(stream_id)):
                self._abandon(stream_id)
            case WindowUpdated() | RemoteSettingsChanged():
                self._pump_all()
            case ConnectionTerminated():
                self._abandon_streams()
                self._close()
            case _:
                pass  # h2 handles pings and acknowledgements itself

    def _open(self, event: RequestReceived) -> None:
        headers = {str(name): str(value) for name, value in event.headers}
        stream = Stream(self, event.stream_id, headers)
        task = self._loop.create_task(self._run(stream))
        self._streams[stream.id] = stream
        self._tasks[stream.id] = task
        task.add_done_callback(lambda task: self._remove(stream.id, task))

    async def _run(self, stream: Stream) -> None:
        """Serve one stream; an exception in it does not affect the connection's other streams."""
        try:
            await self._serve(stream)
        finally:
            stream.reset(ErrorCodes.INTERNAL_ERROR)
            stream.release()

    def _remove(self, stream_id: int, task: asyncio.Task[None]) -> None:
        del self._streams[stream_id], self._tasks[stream_id]
        if not task.cancelled() and (error := task.exception()):
            _log.error("stream-crashed error=%s", type(error).__name__)
        self._close_if_done()

    def _close_if_done(self) -> None:
        if not self._tasks and self._transport is None:
            self.closed.set()
            self._on_closed(self)

    def _abandon(self, stream_id: int) -> None:
        if stream := self._streams.get(stream_id):
            stream.abandon()
            self._tasks[stream_id].cancel()

    def _abandon_streams(self) -> None:
        for stream_id in self._streams:
            self._abandon(stream_id)

    def _pump_all(self) -> None:
        for stream in self._streams.values():
            stream.pump()

    def _flush_soon(self) -> None:
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_handle = None
        data = self._h2.data_to_send()
        if data and self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        self._flush()
        if self._transport:
            self._transport.close()
