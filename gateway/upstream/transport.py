"""The interface between a session and its transport: one stream of messages in each direction.

It is synchronous with callbacks, so that a chunk of audio costs no task switch on its way out, and
a delta none on its way in. `sagemaker/transport.py` and `websocket.py` implement it. The same
conformance tests run against both.

    stream = await transport.open(receiver)    # raises UpstreamError if it can't be opened
    stream.send(message) -> False              # not accepted: wait for receiver.on_writable()
    stream.send(pcm, is_binary=True)           # a binary message, for servers that get audio so
    receiver.on_message(message)               # any number of times
    stream.finish()                            # half-close: no more messages out; replies arrive
    receiver.on_closed(None | UpstreamError)   # exactly once, in all cases; nothing after it
"""

from typing import Protocol

from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Address


class UpstreamStream(Protocol):
    """One open stream. No method waits, and none raises after the stream has ended."""

    def send(self, message: bytes, *, is_binary: bool = False) -> bool:
        """Queue one message, a text in UTF-8 or binary; return False if it was not accepted.

        A stream accepts messages until its window, a limited number of queued messages, is full.
        The caller must keep a message that was not accepted, and send it after `on_writable`.
        """

    def finish(self) -> None:
        """Half-close after all accepted messages are sent; the peer's messages still arrive."""

    def abort(self) -> None:
        """End at once and drop the queued messages. `on_closed` is called later, with None."""


class StreamReceiver(Protocol):
    """Receives a stream's messages and end. Called on the event loop's thread; must not raise."""

    def on_message(self, message: bytes) -> None:
        """Handle one complete message from the peer."""

    def on_writable(self) -> None:
        """Resume sending: the stream accepts messages again, after `send` returned False."""

    def on_closed(self, error: UpstreamError | None) -> None:
        """Handle the end, once; `error` is None after a clean end of stream or an `abort`."""


class UpstreamTransport(Protocol):
    """Opens streams; one per process, shared by all calls."""

    @property
    def longest_stream_s(self) -> float | None:
        """Time after which the platform ends a stream; None: never."""

    async def open(
        self, receiver: StreamReceiver, address: Address | None = None
    ) -> UpstreamStream:
        """Open one stream; return when the peer has accepted it.

        Args:
            receiver: receives its messages and its end.
            address: what the dialect adds to the server's address; None adds nothing.

        Raises:
            UpstreamError: with a classified reason, within the configured timeout.
        """

    async def close(self) -> None:
        """Abort every stream and release the connections. Idempotent; bounded in time."""


def ignore(_: float) -> None:
    """Ignore an observed time: the default observer of a transport."""
