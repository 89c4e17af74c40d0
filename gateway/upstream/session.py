"""One upstream session: the Realtime protocol spoken over one transport stream.

    state        may                                       leaves it
    OPENING      nothing yet                               session.created -> LIVE
    LIVE         append; deltas arrive                     finish() -> FINISHING
    FINISHING    the rest of the deltas arrive             done -> CLOSED
    CLOSED       nothing; the listener heard `on_ended`

What a state does not name is refused: `append` says False, an answer while OPENING breaks the
protocol, CLOSED hears nothing any more. From any state, a failure of the peer or of the transport,
or our `abort`, leads to CLOSED. So does a `done` that nobody asked for: the model's context is full
(`context-full`), it has thrown away what it had queued, and which of our audio that was can't be
known. Another session takes over.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

from gateway.errors import UpstreamError
from gateway.upstream import realtime
from gateway.upstream.transport import UpstreamStream, UpstreamTransport

# Deltas beyond the audio sent: the padding of a final commit makes some forty at the longest delay.
_MOST_TOKENS_AHEAD: Final = 250


class SessionState(Enum):
    """Where a session is in its life."""

    OPENING = auto()
    LIVE = auto()
    FINISHING = auto()
    CLOSED = auto()


class SessionListener(Protocol):
    """Who hears what the model says. Called on the event loop; must not raise."""

    def on_delta(self, text: str) -> None:
        """Receive one token's text. Called for empty tokens too, because they advance the clock."""

    def on_writable(self) -> None:
        """Called when `append` accepts audio again, after it returned False."""

    def on_ended(self, error: UpstreamError | None) -> None:
        """Called once at the end; `error` is None after a final `done` or `abort`."""


class RealtimeSession:
    """One session of one track."""

    def __init__(self, listener: SessionListener, *, model: str, done_timeout_s: float) -> None:
        self.state = SessionState.OPENING
        self._listener = listener
        self._model = model
        self._done_timeout_s = done_timeout_s
        self._stream: UpstreamStream | None = None
        self._moved = asyncio.Event()  # set on whatever a waiting coroutine may look for
        self._error: UpstreamError | None = None
        self._created = False
        self._unanswered_bytes = 0  # audio sent, less 80 ms per delta
        self._silence: asyncio.Timeout | None = None  # of a peer that has our final commit

    async def open(self, transport: UpstreamTransport, timeout_s: float) -> None:
        """Open the stream and start a generation; the session is LIVE after it.

        Raises:
            UpstreamError: classified; the listener's `on_ended` is called as well.
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
        """Whether nothing will come of it any more."""
        return self.state is SessionState.CLOSED

    def append(self, pcm: bytes) -> bool:
        """Send audio; False if it was not taken (not LIVE, or the stream's window is full)."""
        if self.state is not SessionState.LIVE or self._stream is None:
            return False
        taken = self._stream.send(realtime.append(pcm))
        if taken:
            self._unanswered_bytes += len(pcm)
        return taken

    async def finish(self) -> None:
        """Send the final commit and wait for `done`.

        The time-out counts silence: each delta starts it anew.

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
        """End now; what the model has not said is lost."""
        self._close(None)

    def fail(self, error: UpstreamError) -> None:
        """End now because of a failure that only the listener can see."""
        self._fail(error)

    # What the transport calls

    def on_message(self, message: bytes) -> None:
        """Process one message from the peer."""
        if self.state is SessionState.CLOSED:
            return
        try:
            self._take(realtime.decode(message))
        except UpstreamError as error:
            self._fail(error)

    def on_writable(self) -> None:
        """Pass on that there is room."""
        self._moved.set()
        if self.state is SessionState.LIVE:
            self._listener.on_writable()

    def on_closed(self, error: UpstreamError | None) -> None:
        """Fail the session, unless it is closed already; a clean end before `done` is an error."""
        self._stream = None
        self._fail(error or UpstreamError("ended-without-done"))

    def _take(self, message: realtime.ServerMessage) -> None:
        match message:
            case realtime.Delta() | realtime.Done() if self.state is SessionState.OPENING:
                raise UpstreamError("realtime-protocol-error", "an answer before the commit")
            case realtime.Delta():
                self._unanswered_bytes -= realtime.TOKEN_BYTES
                if self._unanswered_bytes < -_MOST_TOKENS_AHEAD * realtime.TOKEN_BYTES:
                    raise UpstreamError("realtime-protocol-error", "more deltas than audio")
                if self._silence and not self._silence.expired():
                    now_s = asyncio.get_running_loop().time()
                    self._silence.reschedule(now_s + self._done_timeout_s)
                self._listener.on_delta(message.delta)
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

    async def _send(self, message: bytes) -> None:
        """Send a control message as soon as there is room."""
        await self._until(lambda: self._stream is not None and self._stream.send(message))

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that callbacks bring about; an end of the session raises."""
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
