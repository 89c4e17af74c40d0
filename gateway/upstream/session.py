"""Run one upstream session: the Realtime protocol over one transport stream.

    state        allowed                                   transition
    OPENING      nothing                                   session.created -> LIVE
    LIVE         append; deltas arrive                     finish() -> FINISHING
    FINISHING    the remaining deltas arrive               done -> CLOSED
    CLOSED       nothing; `on_ended` was called

Everything else is rejected: `append` returns False, a delta or `done` while OPENING is a protocol
error, and a CLOSED session ignores all messages. A failure of the peer or the transport, or a call
of `abort`, closes the session from any state. So does a `done` before `finish`: the context of the
model is full (`context-full`), the model has dropped its queue, and it is unknown which audio was
in it. Another session must take over.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

from gateway.errors import UpstreamError
from gateway.upstream import realtime
from gateway.upstream.transport import UpstreamStream, UpstreamTransport

# Deltas beyond the audio sent: the padding of a final commit causes about 40 at the longest delay.
_MOST_TOKENS_AHEAD: Final = 250


class SessionState(Enum):
    """The state of a session."""

    OPENING = auto()
    LIVE = auto()
    FINISHING = auto()
    CLOSED = auto()


class SessionListener(Protocol):
    """Receives a session's deltas and its end. Called on the event loop; must not raise."""

    def on_delta(self, text: str) -> None:
        """Handle one token's text; also called for empty tokens, because they advance the clock."""

    def on_writable(self) -> None:
        """Resume sending: `append` accepts audio again, after it returned False."""

    def on_ended(self, error: UpstreamError | None) -> None:
        """Handle the end, once; `error` is None after a final `done` or `abort`."""


class RealtimeSession:
    """One session of one track with the model."""

    def __init__(self, listener: SessionListener, *, model: str, done_timeout_s: float) -> None:
        self.state = SessionState.OPENING
        self._listener = listener
        self._model = model
        self._done_timeout_s = done_timeout_s
        self._stream: UpstreamStream | None = None
        self._moved = asyncio.Event()  # set on every event that `_until` may wait for
        self._error: UpstreamError | None = None
        self._created = False
        self._unanswered_bytes = 0  # audio sent, less 80 ms per delta
        self._silence: asyncio.Timeout | None = (
            None  # timeout between deltas after the final commit
        )

    async def open(self, transport: UpstreamTransport, timeout_s: float) -> None:
        """Open the stream and start a generation; then the session is LIVE.

        Raises:
            UpstreamError: with a classified reason; the listener's `on_ended` is called as well.
        """
        try:
            async with asyncio.timeout(timeout_s):
                self._stream = await transport.open(self)
                await self._until(lambda: self._created)
                await self._send(realtime.session_update(self._model))
                await self._send(realtime.COMMIT)
        except TimeoutError:
            reason = "created-timeout" if self._stream else "response-timeout"
            self._fail(UpstreamError(reason, f"after {timeout_s:g} s"))
        except UpstreamError as error:
            self._fail(error)
        except asyncio.CancelledError:
            self.abort()
            raise
        if self.is_over:
            raise self._error or UpstreamError("ended-without-done", "by us")
        self.state = SessionState.LIVE

    @property
    def is_over(self) -> bool:
        """Whether the session is closed."""
        return self.state is SessionState.CLOSED

    def append(self, pcm: bytes) -> bool:
        """Send audio; return False if the session is not LIVE or the stream's window is full."""
        if self.state is not SessionState.LIVE or self._stream is None:
            return False
        taken = self._stream.send(realtime.append(pcm))
        if taken:
            self._unanswered_bytes += len(pcm)
        return taken

    async def finish(self) -> None:
        """Send the final commit and wait for `done`.

        The timeout limits the time without a delta: each delta restarts it.

        Raises:
            UpstreamError: the session failed before `done`.
        """
        if self.state is SessionState.LIVE:
            self.state = SessionState.FINISHING
            try:
                async with asyncio.timeout(self._done_timeout_s) as self._silence:
                    await self._send(realtime.FINAL_COMMIT)
                    await self._until(lambda: self.state is SessionState.CLOSED)
            except TimeoutError:
                self._fail(
                    UpstreamError("done-timeout", f"{self._done_timeout_s:g} s without a delta")
                )
            except UpstreamError as error:
                self._fail(error)
            finally:
                self._silence = None
        if self._error:
            raise self._error

    def abort(self) -> None:
        """Close the session at once; pending deltas are lost."""
        self._close(None)

    def fail(self, error: UpstreamError) -> None:
        """Close the session because of a failure that only the listener can detect."""
        self._fail(error)

    # Called by the transport

    def on_message(self, message: bytes) -> None:
        """Process one message from the peer."""
        if self.state is SessionState.CLOSED:
            return
        try:
            self._handle(realtime.decode(message))
        except UpstreamError as error:
            self._fail(error)

    def on_writable(self) -> None:
        """Notify the listener that the stream accepts messages again."""
        self._moved.set()
        if self.state is SessionState.LIVE:
            self._listener.on_writable()

    def on_closed(self, error: UpstreamError | None) -> None:
        """Fail the session, unless it is closed; a clean end before `done` is an error."""
        self._stream = None
        self._fail(error or UpstreamError("ended-without-done"))

    def _handle(self, message: realtime.ServerMessage) -> None:
        match message:
            case realtime.Delta() | realtime.Deltas() | realtime.Done() if (
                self.state is SessionState.OPENING
            ):
                raise UpstreamError("realtime-protocol-error", "an answer before the commit")
            case realtime.Delta():
                self._handle_delta(message.delta)
            case realtime.Deltas():
                for text in message.texts():
                    if self.is_over:  # the listener has ended it
                        break
                    self._handle_delta(text)
            case realtime.SessionCreated():
                self._created = True
                self._moved.set()
            case realtime.Done() if self.state is SessionState.FINISHING:
                self._close(None, finished=True)
            case realtime.Done():
                raise UpstreamError("context-full")
            case realtime.ErrorReceived():
                raise message.as_upstream_error()
            case realtime.UnknownMessage():
                pass

    def _handle_delta(self, text: str) -> None:
        self._unanswered_bytes -= realtime.TOKEN_BYTES
        if self._unanswered_bytes < -_MOST_TOKENS_AHEAD * realtime.TOKEN_BYTES:
            raise UpstreamError("realtime-protocol-error", "more deltas than audio")
        if self._silence and not self._silence.expired():
            now_s = asyncio.get_running_loop().time()
            self._silence.reschedule(now_s + self._done_timeout_s)
        self._listener.on_delta(text)

    async def _send(self, message: bytes) -> None:
        """Send a control message as soon as the stream accepts it."""
        await self._until(lambda: self._stream is not None and self._stream.send(message))

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until callbacks make a condition true; raise if the session ends before."""
        while not condition():
            if self.is_over:
                raise self._error or UpstreamError("ended-without-done", "by us")
            self._moved.clear()
            await self._moved.wait()

    def _fail(self, error: UpstreamError) -> None:
        if self.state is not SessionState.CLOSED:
            self._error = error
            self._close(error)

    def _close(self, error: UpstreamError | None, *, finished: bool = False) -> None:
        if self.state is SessionState.CLOSED:
            return
        self.state = SessionState.CLOSED
        if self._stream:
            if finished:
                self._stream.finish()
            else:
                self._stream.abort()
        self._moved.set()
        self._listener.on_ended(error)
