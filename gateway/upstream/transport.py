"""The seam between a session and whatever carries it: one stream of messages each way.

Synchronous with callbacks, so that a chunk of audio costs no task switch on its way out and a delta
none on its way in. `transport.py` and `websocket.py` implement it, and the same conformance tests
hold both.

    stream = await transport.open(receiver)      # UpstreamError: never opened
    stream.send(message) -> False              # not taken: wait for receiver.on_writable()
    receiver.on_message(message)               # any number of times
    stream.finish()                            # half-close: no more from us, replies still flow
    receiver.on_closed(None | UpstreamError)   # exactly once, whatever happened; nothing after
"""

from typing import Protocol

from gateway.errors import UpstreamError


class UpstreamStream(Protocol):
    """One open stream, ours to write to. No method waits, none raises once the stream has ended."""

    def send(self, message: bytes) -> bool:
        """Queue one Realtime message (a JSON text, UTF-8); False if it was not taken.

        A stream takes messages until its window (a bounded number queued here) is full. A message
        that was not taken is the caller's to keep; `on_writable` says when to offer it again.
        """

    def finish(self) -> None:
        """Half-close once all that was taken is sent; what the peer still says arrives."""

    def abort(self) -> None:
        """End at once, dropping what is queued. `on_closed` follows, with None."""


class StreamReceiver(Protocol):
    """Who listens to a stream. Called on the event loop's thread; must not raise."""

    def on_message(self, message: bytes) -> None:
        """Receive one complete message from the peer."""

    def on_writable(self) -> None:
        """Called when the stream accepts messages again, after `send` returned False."""

    def on_closed(self, error: UpstreamError | None) -> None:
        """Called once at the end; `error` is None after a clean end of stream or our `abort`."""


class UpstreamTransport(Protocol):
    """Opens streams; one per process, shared by all calls."""

    async def open(self, receiver: StreamReceiver) -> UpstreamStream:
        """Open one stream; returns when the peer has accepted it.

        Raises:
            UpstreamError: with a classified reason, within the configured time-out.
        """

    async def close(self) -> None:
        """Abort every stream and release the connections. Idempotent; bounded in time."""


def ignore(_: float) -> None:
    """Observe nothing: what a transport calls where nobody wants to know its times."""
