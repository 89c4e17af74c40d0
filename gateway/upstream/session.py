"""Run one upstream session: its dialect over one transport stream.

    state        allowed                                   transition
    OPENING      nothing                                   Ready, and all is sent -> LIVE
    LIVE         append, cut; answers arrive               finish() -> FINISHING
    FINISHING    the remaining answers arrive              Done -> CLOSED
    CLOSED       nothing; `on_ended` was called

Everything else is rejected: `append` returns False, an answer or `Done` while OPENING is a protocol
error, and a CLOSED session ignores all messages. A failure of the peer or the transport, or a call
of `abort`, closes the session from any state. So does a `Done` before the messages of `finish` were
sent: the context of the model is full (`context-full`), the model has dropped its queue, and it is
unknown which audio was in it. Another session must take over.

A message that the stream does not accept waits here, and all later ones behind it; `append` accepts
no audio meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Protocol

from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import (
    DEFAULT_APPEND_BYTES,
    Address,
    Answer,
    DialectSession,
    Done,
    Event,
    Ready,
    Send,
    Speech,
)
from gateway.upstream.transport import UpstreamStream, UpstreamTransport


class SessionState(Enum):
    """The state of a session."""

    OPENING = auto()
    LIVE = auto()
    FINISHING = auto()
    CLOSED = auto()


class SessionListener(Protocol):
    """Receives a session's answers and its end. Called on the event loop; must not raise."""

    def on_answer(self, answer: Answer) -> None:
        """Handle an answer; also called for empty ones, because they say what is answered."""

    def on_writable(self) -> None:
        """Resume sending: `append` accepts audio again, after it returned False."""

    def on_ended(self, error: UpstreamError | None) -> None:
        """Handle the end, once; `error` is None after an expected `Done`, or `abort`."""


class RealtimeSession:
    """One session of one track with the model.

    Args:
        listener: receives what happens.
        dialect: the state of the server's protocol, for this session only.
        done_timeout_s: time without an answer, after `finish`, before the session fails.
        is_audio_binary: see `Capabilities`.
        largest_append_bytes: likewise.

    Attributes:
        state: see the module's docstring.
        is_doubted: whether the server's end has shown that its answers' times can't be trusted.
        expires_s: see `Ready`.
    """

    def __init__(
        self,
        listener: SessionListener,
        dialect: DialectSession,
        *,
        done_timeout_s: float,
        is_audio_binary: bool = False,
        largest_append_bytes: int = DEFAULT_APPEND_BYTES,
    ) -> None:
        self.state = SessionState.OPENING
        self.is_doubted = False
        self.expires_s: float | None = None
        self._listener = listener
        self._dialect = dialect
        self._done_timeout_s = done_timeout_s
        self._is_audio_binary = is_audio_binary
        self._largest_append_bytes = largest_append_bytes
        self._stream: UpstreamStream | None = None
        self._moved = asyncio.Event()  # set on every event that `_until` may wait for
        self._error: UpstreamError | None = None
        self._is_ready = False
        # Not accepted by the stream so far; each with whether it is binary.
        self._unsent: deque[tuple[bytes, bool]] = deque()
        self._was_refused = False  # `append` returned False
        self._silence: asyncio.Timeout | None = None  # timeout between answers after `finish`

    async def open(
        self, transport: UpstreamTransport, timeout_s: float, address: Address | None = None
    ) -> None:
        """Open the stream and complete the handshake; then the session is LIVE.

        Raises:
            UpstreamError: with a classified reason; the listener's `on_ended` is called as well.
        """
        try:
            async with asyncio.timeout(timeout_s):
                self._stream = await transport.open(self, address)
                self._apply(self._dialect.open())
                await self._until(lambda: self._is_ready and not self._unsent)
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
        """Send audio; return False if the session does not accept it now."""
        stream = self._stream
        if self.state is not SessionState.LIVE or stream is None:
            return False
        if self._unsent or not self._dialect.accepts_audio:
            self._was_refused = True
            return False
        largest, is_binary = self._largest_append_bytes, self._is_audio_binary
        for at in range(0, len(pcm), largest):
            if message := self._dialect.append(pcm[at : at + largest]):
                self._unsent.append((message, is_binary))
        self._flush()
        return True

    def cut(self, speech: Speech) -> None:
        """End a turn."""
        if self.state is SessionState.LIVE:
            self._apply(self._dialect.cut(speech))

    def keep_alive(self) -> None:
        """Keep a session without audio open, if its server needs that."""
        if self.state is SessionState.LIVE:
            self._apply(self._dialect.keep_alive())

    async def finish(self) -> None:
        """End the audio and wait for the last answer.

        The timeout limits the time without an answer: each answer restarts it.

        Raises:
            UpstreamError: the session failed before `Done`.
        """
        if self.state is SessionState.LIVE:
            self.state = SessionState.FINISHING
            try:
                async with asyncio.timeout(self._done_timeout_s) as self._silence:
                    self._apply(self._dialect.finish())
                    await self._until(lambda: self.state is SessionState.CLOSED)
            except TimeoutError:
                self._fail(
                    UpstreamError("done-timeout", f"{self._done_timeout_s:g} s without an answer")
                )
            except UpstreamError as error:
                self._fail(error)
            finally:
                self._silence = None
        if self._error:
            raise self._error

    def abort(self) -> None:
        """Close the session at once; pending answers are lost."""
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
            self._apply(self._dialect.receive(message))
        except UpstreamError as error:
            self._fail(error)

    def on_writable(self) -> None:
        """Send what waits; then notify the listener that audio is accepted again."""
        self._moved.set()
        self._flush()
        self._resume()

    def on_closed(self, error: UpstreamError | None) -> None:
        """Fail the session, unless it is closed; a clean end before `Done` is an error."""
        self._stream = None
        self._fail(error or UpstreamError("ended-without-done"))

    def _apply(self, events: Iterable[Event]) -> None:
        for event in events:
            if self.state is SessionState.CLOSED:  # the listener has ended it
                return
            self._handle(event)

    def _handle(self, event: Event) -> None:
        match event:
            case Answer() | Done() if self.state is SessionState.OPENING:
                raise UpstreamError("realtime-protocol-error", "an answer before the audio")
            case Answer():
                if self._silence and not self._silence.expired():
                    now_s = asyncio.get_running_loop().time()
                    self._silence.reschedule(now_s + self._done_timeout_s)
                self._listener.on_answer(event)
            case Send():
                self._send(event.messages)
                self._resume()
            case Ready(expires_s):
                self.expires_s = expires_s
                self._is_ready = True
                self._moved.set()
            case Done() if self.state is SessionState.FINISHING and not self._unsent:
                self.is_doubted = event.is_doubted
                self._close(None, finished=True)
            case Done():
                self.is_doubted = event.is_doubted
                raise UpstreamError("context-full")

    def _send(self, messages: Iterable[bytes]) -> None:
        """Send messages in order, after those that wait."""
        self._unsent.extend((message, False) for message in messages)
        self._flush()

    def _flush(self) -> None:
        unsent = self._unsent
        while unsent and self._stream:
            message, is_binary = unsent[0]
            if not self._stream.send(message, is_binary=is_binary):
                return
            unsent.popleft()

    def _resume(self) -> None:
        """Notify the listener once `append` accepts audio again."""
        is_able = not self._unsent and self._dialect.accepts_audio
        if self._was_refused and is_able and self.state is SessionState.LIVE:
            self._was_refused = False
            self._listener.on_writable()

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
