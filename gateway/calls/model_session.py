"""One model session of a track: its slot at an endpoint, its audio and tokens, its health."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk
from gateway.calls.services import CallServices, SessionSlot
from gateway.errors import UpstreamError
from gateway.tracing import Span
from gateway.transcript.token_clock import Placement, TokenClock
from gateway.upstream.realtime import TOKEN_BYTES
from gateway.upstream.session import RealtimeSession

# Audio a model may buffer before it answers: Voxtral's longest delay, and its first token.
LONGEST_DELAY_MS: Final = 2400 + 80
USUAL_DELAY_MS: Final = 480 + 80  # Voxtral's default, and its first token

_TICK_S: Final = 1.0  # how often a session is checked while it finishes

_log = structlog.get_logger()

type Token = tuple[str, Placement, float]  # text, placement, arrival on the monotonic clock


class ModelSession:
    """One session, from its opening to its end. It releases its slot at the end.

    Args:
        slot: where it is opened.
        services: what all calls share.
        on_token: called with each token, with or without text.
        on_writable: called when `append` accepts audio again, after it returned False.
        on_over: called at the end; `error` is set if the session failed.
        is_current: whether tokens are passed on at once. If False, they are held until
            `make_current`.
        span: the session's span, which ends with it.

    A token is the text for 80 ms of audio, often empty, with its time.

    Attributes:
        clock: gives tokens their times.
        tokens: number of tokens received.
        error: why it failed; None if it did not.
        opened_s: when it was open, on the monotonic clock.
    """

    def __init__(
        self,
        slot: SessionSlot,
        services: CallServices,
        *,
        on_token: Callable[[Token], None],
        on_writable: Callable[[], None],
        on_over: Callable[["ModelSession"], None],
        is_current: bool,
        span: Span,
    ) -> None:
        limits = services.limits
        self.slot = slot
        self.clock = TokenClock()
        self.tokens = 0
        self.error: UpstreamError | None = None
        self.opened_s = 0.0
        self._services = services
        self.on_writable = on_writable  # called by the Realtime session
        self._on_token = on_token
        self._on_over = on_over
        self._is_current = is_current
        self._span = span
        self._held: deque[Token] = deque()
        self._live = services.metrics.sessions_live
        self._is_in_live_metric = False  # in that metric
        self._session = RealtimeSession(
            self, model=slot.model, done_timeout_s=limits.done_timeout_s
        )
        self._healthy_s = 0.0  # when it last sent a token, or had nothing to answer
        self._is_late = False  # its first token, and that was counted
        self._is_finishing = False
        self._sent_bytes = 0
        self._lagging_since: tuple[float, int] | None = None  # when, and by how much

    async def open(self) -> None:
        """Open the session; it accepts audio afterwards.

        Raises:
            UpstreamError: classified; the slot is released.
        """
        services = self._services
        began_s = services.monotonic_s()
        await self._session.open(self.slot.transport, services.limits.open_timeout_s)
        self.opened_s = self._healthy_s = services.monotonic_s()
        self._span.event("opened")
        services.metrics.session_open_seconds.observe(self.opened_s - began_s)
        services.metrics.sessions_opened_total.inc()
        self._is_in_live_metric = True
        self._live.inc()

    def make_current(self) -> None:
        """Pass on the held tokens, and from now on each token at once."""
        self._is_current = True
        while self._held:
            self._on_token(self._held.popleft())

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._session.is_over

    @property
    def lag_ms(self) -> int:
        """Audio that was sent and is unanswered."""
        return self.clock.lag_ms

    @property
    def is_healthy(self) -> bool:
        """Whether it is open and no answer is due; all answers are due after the final commit."""
        allowed_ms = 0 if self._is_finishing else LONGEST_DELAY_MS
        return not self.is_over and self.lag_ms <= allowed_ms

    def append(self, chunk: AudioChunk, audio_received_s: float) -> bool:
        """Send a chunk; return False if the session did not accept it.

        After a jump of the media clock, the chunk must start on a token boundary: otherwise one
        token would cover audio from before and after the jump. So the unfinished token is padded
        with silence, which has no position on the media clock.
        """
        sent_ms = self.clock.sent_ms
        rest = -self._sent_bytes % TOKEN_BYTES
        if sent_ms is not None and chunk.start_ms > sent_ms and rest:
            silence = AudioChunk(bytes(rest), sent_ms, sent_ms)
            if not self._send(silence, audio_received_s):
                return False
        return self._send(chunk, audio_received_s)

    def _send(self, chunk: AudioChunk, audio_received_s: float) -> bool:
        if not self._session.append(chunk.pcm):
            return False
        sent_ms = self._sent_bytes // BYTES_PER_MS
        self._sent_bytes += len(chunk.pcm)
        audio_ms = self._sent_bytes // BYTES_PER_MS - sent_ms
        self.clock.record_sent(chunk.start_ms, chunk.end_ms, audio_ms, audio_received_s)
        return True

    async def finish(self) -> None:
        """Send the final commit and wait for `done`, in bounded time.

        Raises:
            UpstreamError: it failed before its `done`.
        """
        if self.is_healthy:  # the latest check may be a while ago
            self._healthy_s = self._services.monotonic_s()
        self._is_finishing = True
        self._span.set(reason="done")
        checking = asyncio.create_task(self._check_end(), name="finishing")
        try:
            await self._session.finish()
        finally:
            checking.cancel()

    async def _check_end(self) -> None:
        """Fail the session if it stops answering, or exceeds the time for all pending words."""
        limits = self._services.limits
        until_s = self._services.monotonic_s() + limits.finish_timeout_s
        while not self.is_over:
            await asyncio.sleep(_TICK_S)
            now_s = self._services.monotonic_s()
            self.check(now_s)
            if now_s >= until_s:
                self.fail(UpstreamError("done-timeout", f"after {limits.finish_timeout_s:g} s"))

    def abort(self) -> None:
        """End it now; what the model has not sent is lost."""
        self._span.set(reason="aborted")
        self._session.abort()

    def check(self, now_s: float) -> None:
        """Fail the session if an answer is due for too long."""
        if self.is_healthy:
            self._healthy_s = now_s
            return
        limits, silent_s = self._services.limits, now_s - self._healthy_s
        if silent_s >= limits.first_delta_late_s and not (self.tokens or self._is_late):
            self._is_late = True
            self._services.metrics.first_deltas_late_total.labels(self.slot.endpoint).inc()
            _log.warning("first-delta-late", endpoint=self.slot.endpoint)
        if silent_s >= limits.mute_timeout_s:
            reason = "session-stalled" if self.tokens else "session-mute"
            self.fail(UpstreamError(reason))

    def fail(self, error: UpstreamError) -> None:
        """End it because of a failure that the peer did not report."""
        self._session.fail(error)

    def measure_lag(self, now_s: float) -> None:
        """Record since when, and by how much, the session lags."""
        if self.lag_ms <= self._services.limits.max_lag_ms:
            self._lagging_since = None
        elif self._lagging_since is None:
            self._lagging_since = now_s, self.lag_ms

    def is_lagging(self, now_s: float) -> bool:
        """Return whether it has lagged for longer than it would take to catch up at double speed.

        A replay makes a session lag at once, so it must have time to catch up.
        """
        if self._lagging_since is None:
            return False
        since_s, lag_ms = self._lagging_since
        return now_s - since_s >= lag_ms / 1000

    # Called by the Realtime session

    def on_delta(self, text: str) -> None:
        """Pass on one token, with its time. Ignore tokens before any audio was sent."""
        if self.clock.sent_ms is None:
            return
        now_s = self._services.monotonic_s()
        if not self.tokens:
            self.slot.worked()
            self._span.event("first-delta")
        self.tokens += 1
        self._healthy_s = now_s
        token = text, self.clock.tick(), now_s
        if self._is_current:
            self._on_token(token)
        else:
            self._held.append(token)

    def on_ended(self, error: UpstreamError | None) -> None:
        """Report the outcome, release the slot and notify the owner."""
        self.error = error
        if self._is_in_live_metric:
            self._live.dec()
        if error is not None:
            self.slot.failed(error)
            metric = self._services.metrics.session_failures_total
            metric.labels(error.fault, error.reason).inc()
            self._span.fail(error.reason)
        self._span.end()
        self.slot.release()
        self._on_over(self)
