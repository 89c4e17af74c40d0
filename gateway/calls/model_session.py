"""One session of a track: its slot at an endpoint, what it was sent and answered, its health."""

import asyncio
from collections import deque
from typing import Final, Protocol

import structlog

from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk
from gateway.calls.services import CallServices, SessionSlot
from gateway.errors import UpstreamError
from gateway.transcript.token_clock import TOKEN_MS, Placement, TokenClock
from gateway.upstream.session import RealtimeSession

# Audio a model may keep before it answers: Voxtral's longest delay, and its first token.
LONGEST_DELAY_MS: Final = 2400 + 80
USUAL_DELAY_MS: Final = 480 + 80  # Voxtral's own setting, and its first token
_TOKEN_BYTES: Final = TOKEN_MS * BYTES_PER_MS
_TICK_S: Final = 1.0  # how often a session is checked while it finishes

_log = structlog.get_logger()

type Token = tuple[str, Placement, float]  # text, placement, arrival time (monotonic seconds)


class ModelSessionListener(Protocol):
    """Who gets what a session hears. Called on the event loop; must not raise."""

    def on_token(self, session: "ModelSession", token: Token) -> None:
        """Process one delta, empty or not."""

    def on_writable(self) -> None:
        """Called when `append` accepts audio again, after it returned False."""

    def on_over(self, session: "ModelSession") -> None:
        """Called when the session is over; `error` is set if it failed."""


class ModelSession:
    """One session, from its opening to its end; gives its place back at the end.

    Attributes:
        error: what it failed of, if it did.
        held: its tokens, as long as the session before it still speaks.
    """

    def __init__(
        self, slot: SessionSlot, services: CallServices, listener: ModelSessionListener
    ) -> None:
        limits = services.limits
        self.slot = slot
        self.clock = TokenClock()
        self.tokens = 0
        self.error: UpstreamError | None = None
        self.held: deque[Token] = deque()
        self.opened_s = 0.0
        self._is_counted = False  # among the live ones
        self._services = services
        self._listener = listener
        self._live = services.metrics.sessions_live
        self._session = RealtimeSession(
            self, model=slot.model, done_timeout_s=limits.done_timeout_s
        )
        self._well_s = 0.0  # when it last owed us nothing, or answered
        self._is_late = False  # and that was counted
        self._is_finishing = False
        self._sent_bytes = 0
        self._lagging_since: tuple[float, int] | None = None  # and by how much then

    async def open(self) -> None:
        """Open the session; it takes audio after it.

        Raises:
            UpstreamError: classified; the place is given back.
        """
        services = self._services
        began_s = services.monotonic_s()
        await self._session.open(self.slot.transport, services.limits.open_timeout_s)
        self.opened_s = self._well_s = services.monotonic_s()
        services.metrics.session_open_seconds.observe(self.opened_s - began_s)
        services.metrics.sessions_opened_total.inc()
        self._is_counted = True
        self._live.inc()

    @property
    def is_over(self) -> bool:
        """Whether nothing will come of it any more."""
        return self._session.is_over

    @property
    def lag_ms(self) -> int:
        """Audio it was sent and has not answered."""
        return self.clock.lag_ms

    @property
    def is_well(self) -> bool:
        """Whether it is open and owes no answer; it owes all of them after the final commit."""
        owed_ms = 0 if self._is_finishing else LONGEST_DELAY_MS
        return not self.is_over and self.lag_ms <= owed_ms

    def append(self, chunk: AudioChunk, received_at: float) -> bool:
        """Send a chunk; False if it was not taken.

        After a jump of the media clock the chunk begins with a token: else one token would answer
        audio of both sides. Silence, which has no place on the media clock, fills the token before.
        """
        sent_ms = self.clock.sent_ms
        rest = -self._sent_bytes % _TOKEN_BYTES
        if sent_ms is not None and chunk.start_ms > sent_ms and rest:
            silence = AudioChunk(bytes(rest), sent_ms, sent_ms)
            if not self._send(silence, received_at):
                return False
        return self._send(chunk, received_at)

    def _send(self, chunk: AudioChunk, received_at: float) -> bool:
        if not self._session.append(chunk.pcm):
            return False
        sent_ms = self._sent_bytes // BYTES_PER_MS
        self._sent_bytes += len(chunk.pcm)
        audio_ms = self._sent_bytes // BYTES_PER_MS - sent_ms
        self.clock.sent(chunk.start_ms, chunk.end_ms, audio_ms, received_at)
        return True

    async def finish(self) -> None:
        """Commit what was sent and wait for the model's last words, in bounded time.

        Raises:
            UpstreamError: it failed before its `done`.
        """
        if self.is_well:  # and nobody has checked it for a while
            self._well_s = self._services.monotonic_s()
        self._is_finishing = True
        checking = asyncio.create_task(self._check_the_end(), name="finishing")
        try:
            await self._session.finish()
        finally:
            checking.cancel()

    async def _check_the_end(self) -> None:
        """End the session if it stops answering, or exceeds the time for all last words."""
        limits = self._services.limits
        until_s = self._services.monotonic_s() + limits.finish_timeout_s
        while not self.is_over:
            await asyncio.sleep(_TICK_S)
            now_s = self._services.monotonic_s()
            self.check(now_s)
            if now_s >= until_s:
                self.fail(UpstreamError("done-timeout", f"after {limits.finish_timeout_s:g} s"))

    def abort(self) -> None:
        """End it now."""
        self._session.abort()

    def check(self, now_s: float) -> None:
        """Give the session up if it owes an answer for too long."""
        if self.is_well:
            self._well_s = now_s
            return
        limits, silent_s = self._services.limits, now_s - self._well_s
        if silent_s >= limits.first_delta_late_s and not (self.tokens or self._is_late):
            self._is_late = True
            self._services.metrics.first_deltas_late_total.labels(self.slot.endpoint).inc()
            _log.warning("first-delta-late", endpoint=self.slot.endpoint)
        if silent_s >= limits.mute_timeout_s:
            reason = "session-stalled" if self.tokens else "session-mute"
            self.fail(UpstreamError(reason))

    def fail(self, error: UpstreamError) -> None:
        """End it for a failure that no peer reported."""
        self._session.fail(error)

    def is_lagging(self, now_s: float) -> bool:
        """Whether it is too far behind, for longer than it would take at double speed to catch up.

        So a replay, which puts a session behind at once, is given its time.
        """
        if self.lag_ms <= self._services.limits.max_lag_ms:
            self._lagging_since = None
        elif self._lagging_since is None:
            self._lagging_since = now_s, self.lag_ms
        else:
            since_s, lag_ms = self._lagging_since
            return now_s - since_s >= lag_ms / 1000
        return False

    # What the session calls

    def on_delta(self, text: str) -> None:
        """Place one token; one that comes before any audio was sent is about nothing of ours."""
        if self.clock.sent_ms is None:
            return
        now_s = self._services.monotonic_s()
        if not self.tokens:
            self.slot.worked()
        self.tokens += 1
        self._well_s = now_s
        self._listener.on_token(self, (text, self.clock.tick(), now_s))

    def on_writable(self) -> None:
        """Pass on that there is room."""
        self._listener.on_writable()

    def on_ended(self, error: UpstreamError | None) -> None:
        """Say how the place was, give it back, and tell."""
        self.error = error
        if self._is_counted:
            self._live.dec()
        if error is not None:
            self.slot.failed(error)
            metric = self._services.metrics.session_failures_total
            metric.labels(error.fault, error.reason).inc()
        self.slot.release()
        self._listener.on_over(self)
