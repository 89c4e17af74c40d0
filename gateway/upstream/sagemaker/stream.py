"""Run one open SageMaker stream: queue and write messages, receive messages, end exactly once."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Final

from gateway.errors import UpstreamError
from gateway.upstream.sagemaker.frames import FrameSigner, ResponseDecoder
from gateway.upstream.sagemaker.http import Exchange
from gateway.upstream.transport import StreamReceiver


class FlushTick:
    """Flushes the queues of all streams at the same time, so that the CRT sends them together."""

    def __init__(self, interval_s: float) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._interval_s: Final = interval_s
        self._due: list[Callable[[], None]] = []

    def add(self, flush: Callable[[], None]) -> None:
        """Schedule `flush` for the next tick."""
        if not self._due:
            self._loop.call_later(self._interval_s, self._run)
        self._due.append(flush)

    def _run(self) -> None:
        due, self._due = self._due, []
        for flush in due:
            self._loop.call_soon(flush)  # separately: a failure of one does not affect others


class SageMakerStream:
    """One open stream; see `UpstreamStream`."""

    def __init__(
        self,
        exchange: Exchange,
        signer: FrameSigner,
        receiver: StreamReceiver,
        tick: FlushTick,
        *,
        window: int,
        send_timeout_s: float,
        end_timeout_s: float,
        observe_wait_s: Callable[[float], None],
        discard: Callable[["SageMakerStream"], None],
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._exchange: Final = exchange
        self._signer: Final = signer
        self._receiver: Final = receiver
        self._tick: Final = tick
        self._window: Final = window
        self._send_timeout_s: Final = send_timeout_s
        self._end_timeout_s: Final = end_timeout_s
        self._observe_wait_s: Final = observe_wait_s
        self._discard: Final = discard
        self._decoder: Final = ResponseDecoder()
        self._queue: deque[tuple[bytes, bool]] = deque()  # each with whether it is binary
        self._signed: list[bytes] = []
        self._flush_due = False
        self._due_since_s = 0.0  # when the oldest message in the queue was queued
        self._finishing = False
        self._ended = False
        # Messages passed to the CRT, counted only on the loop's thread, and messages that it has
        # written, counted only on the CRT's thread.
        self._submitted = 0
        self._written = 0
        self._refused = False
        self._watch: asyncio.TimerHandle | None = None
        self._silence: asyncio.TimerHandle | None = None
        exchange.listen(self)

    def send(self, message: bytes, *, is_binary: bool = False) -> bool:
        """Queue one message; return False if it was not accepted."""
        if self._finishing or self._ended:
            return False
        if self._outstanding() >= self._window:
            self._refused = True  # before the check: the CRT's thread may finish the last write now
            if self._outstanding() >= self._window:
                return False
            self._refused = False
        self._queue.append((message, is_binary))
        self._flush_soon()
        return True

    def finish(self) -> None:
        """Half-close after all accepted messages are sent."""
        if not (self._finishing or self._ended):
            self._finishing = True
            self._flush_soon()

    def abort(self) -> None:
        """End at once: drop the queued messages and ignore the peer's messages."""
        if not self._ended:
            self._end()
            self._loop.call_soon(self._receiver.on_closed, None)

    def on_body(self, chunk: bytes) -> None:
        """Process bytes of the response's body."""
        if self._silence is not None:
            self._await_end()
        try:
            for message in self._decoder.feed(chunk):
                self._receiver.on_message(message)
                if self._ended:
                    return
        except UpstreamError as error:
            self._fail(error)

    def on_end(self, error: UpstreamError | None) -> None:
        """Handle the end of the response."""
        if error is None and not self._decoder.between_messages:
            error = UpstreamError("platform-protocol-error", "the response ended inside a message")
        self._fail(error)

    def _outstanding(self) -> int:
        return len(self._queue) + len(self._signed) + self._submitted - self._written

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._due_since_s = time.monotonic()
            self._tick.add(self._flush)

    def _flush(self) -> None:
        """Sign the queued messages; not earlier, because a signed frame cannot be dropped."""
        self._flush_due = False
        if self._ended:
            return
        now_ms = _now_ms()
        sign = self._signer.message
        self._signed += [sign(message, now_ms, is_binary=kind) for message, kind in self._queue]
        self._queue.clear()
        # Write after all due streams have signed, because the CRT contends for the GIL once it has
        # work. Measured: 40 us per message, and 80 us if each is signed and written in turn.
        self._loop.call_soon(self._write, self._finishing)

    def _write(self, last: bool) -> None:
        """Write the signed frames; with `last`, add the signed end frame."""
        if self._ended or not (self._signed or last):
            return
        frames, self._signed = self._signed, []
        if last:
            frames.append(self._signer.end(_now_ms()))
            self._await_end()
        self._submitted += len(frames)
        written = partial(self._on_written, len(frames))
        self._exchange.write(b"".join(frames), written, end=last)
        self._observe_wait_s(time.monotonic() - self._due_since_s)
        if self._watch is None:
            self._watch_writes()

    def _on_written(self, frames: int, _: "Future[None]") -> None:
        """Count frames on the CRT's thread; failed writes count, because they end the stream."""
        self._written += frames
        if self._refused:
            self._exchange.inbox.put(self._offer, None)

    def _offer(self, _: None) -> None:
        if self._refused and not self._ended and self._outstanding() <= self._window // 2:
            self._refused = False
            self._receiver.on_writable()

    def _watch_writes(self) -> None:
        """Check the writes after the timeout; a timer per write would cost as much as a write."""
        self._watch = self._loop.call_later(
            self._send_timeout_s, self._check_writes, self._submitted
        )

    def _check_writes(self, submitted: int) -> None:
        self._watch = None
        if self._written < submitted:
            self._fail(UpstreamError("send-timeout", "the peer no longer reads"))
        elif self._written < self._submitted:
            self._watch_writes()

    def _await_end(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._loop.call_later(self._end_timeout_s, self._on_silence)

    def _on_silence(self) -> None:
        self._fail(UpstreamError("response-timeout", "no end of stream after the half-close"))

    def _fail(self, error: UpstreamError | None) -> None:
        """End the stream; `error` is None after a clean end."""
        if not self._ended:
            self._end()
            self._receiver.on_closed(error)

    def _end(self) -> None:
        self._write(last=False)  # signed frames are already part of the signature chain
        self._ended = True
        self._exchange.leave(self._signer.end(_now_ms()))
        self._queue.clear()
        self._discard(self)
        for timer in (self._watch, self._silence):
            if timer is not None:
                timer.cancel()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
