"""One model session of a track: its slot at an endpoint, its audio and answers, its health."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk
from gateway.calls.services import CallServices, SessionSlot
from gateway.errors import UpstreamError
from gateway.tracing import Span
from gateway.transcript.session_timeline import Placement, SessionTimeline
from gateway.upstream.dialects.dialect import Answer
from gateway.upstream.session import RealtimeSession

# Audio a model may buffer before it answers: Voxtral's longest delay, and its first token.
LONGEST_DELAY_MS: Final = 2400 + 80
USUAL_DELAY_MS: Final = 480 + 80  # Voxtral's default, and its first token

_TICK_S: Final = 1.0  # how often a session is checked while it finishes

_log = structlog.get_logger()


class PlacedAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer on the media clock; see `Answer`.

    Attributes:
        text: its text; "" without words.
        placement: where its speech is.
        answered_ms: audio before this time is answered; None if the text is provisional.
        received_s: when it was received, on the monotonic clock.
        audio_ms: length of its speech, without the jumps of the media clock.
        replaces: whether it replaces the provisional text.
        ends_segment: whether the utterance ends here.
        is_missed: whether the server could not transcribe this audio.
    """

    text: str
    placement: Placement
    answered_ms: int | None
    received_s: float
    audio_ms: int
    replaces: bool = False
    ends_segment: bool = False
    is_missed: bool = False


class ModelSession:
    """One session, from its opening to its end. It releases its slot at the end.

    Args:
        slot: where it is opened.
        services: what all calls share.
        on_answer: called with each answer, with or without text.
        on_writable: called when `append` accepts audio again, after it returned False.
        on_over: called at the end; `error` is set if the session failed.
        is_current: whether answers are passed on at once. If False, they are held until
            `make_current`.
        span: the session's span, which ends with it.

    Attributes:
        timeline: where its audio is on the media clock.
        answers: number of answers received.
        error: why it failed; None if it did not.
        opened_s: when it was open, on the monotonic clock.
    """

    def __init__(
        self,
        slot: SessionSlot,
        services: CallServices,
        *,
        on_answer: Callable[[PlacedAnswer], None],
        on_writable: Callable[[], None],
        on_over: Callable[["ModelSession"], None],
        is_current: bool,
        span: Span,
    ) -> None:
        limits = services.limits
        self.slot = slot
        self.timeline = SessionTimeline()
        self.answers = 0
        self.error: UpstreamError | None = None
        self.opened_s = 0.0
        self._services = services
        self.on_writable = on_writable  # called by the Realtime session
        self._on_answer = on_answer
        self._on_over = on_over
        self._is_current = is_current
        self._span = span
        self._held: deque[PlacedAnswer] = deque()
        self._live = services.metrics.sessions_live
        self._is_in_live_metric = False  # in that metric
        self._capabilities = slot.dialect.capabilities
        self._dialect = slot.dialect.session(slot.options)
        self._session = RealtimeSession(self, self._dialect, done_timeout_s=limits.done_timeout_s)
        self._healthy_s = 0.0  # when it last sent an answer, or had nothing to answer
        self._is_late = False  # its first answer, and that was counted
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
        """Pass on the held answers, and from now on each answer at once."""
        self._is_current = True
        while self._held:
            self._on_answer(self._held.popleft())

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._session.is_over

    @property
    def lag_ms(self) -> int:
        """Audio whose answer is missing; see `DialectSession`."""
        return self._dialect.lag_ms

    @property
    def is_healthy(self) -> bool:
        """Whether it is open and no answer is due; all answers are due after the final commit."""
        allowed_ms = 0 if self._is_finishing else self._capabilities.delay_ms
        return not self.is_over and self.lag_ms <= allowed_ms

    def append(self, chunk: AudioChunk, audio_received_s: float) -> bool:
        """Send a chunk; return False if the session did not accept it.

        After a jump of the media clock, the chunk must start on a border of the server's units:
        otherwise one unit would cover audio from before and after the jump. So the unfinished unit
        is padded with silence, which has no position on the media clock.
        """
        sent_ms = self.timeline.sent_ms
        rest = -self._sent_bytes % self._capabilities.unit_bytes
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
        self.timeline.record_sent(chunk.start_ms, chunk.end_ms, audio_ms, audio_received_s)
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
        if silent_s >= limits.first_delta_late_s and not (self.answers or self._is_late):
            self._is_late = True
            self._services.metrics.first_deltas_late_total.labels(self.slot.endpoint).inc()
            _log.warning("first-delta-late", endpoint=self.slot.endpoint)
        if silent_s >= limits.mute_timeout_s:
            reason = "session-stalled" if self.answers else "session-mute"
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

    def on_answer(self, answer: Answer) -> None:
        """Pass on one answer, with its time. Ignore answers before any audio was sent."""
        if self.timeline.sent_ms is None:
            return
        now_s = self._services.monotonic_s()
        if not self.answers:
            self.slot.worked()
            self._span.event("first-delta")
        self.answers += 1
        self._healthy_s = now_s
        start_ms, end_ms, until_ms = answer.start_ms, answer.end_ms, answer.until_ms
        placement = self.timeline.place(start_ms, end_ms, is_final=until_ms is not None)
        answered_ms: int | None = placement.end_ms
        if until_ms != end_ms:
            answered_ms = None if until_ms is None else self.timeline.media_ms(until_ms)
        placed = PlacedAnswer(
            answer.text,
            placement,
            answered_ms,
            now_s,
            end_ms - start_ms,
            answer.replaces,
            answer.ends_segment,
            answer.is_missed,
        )
        if self._is_current:
            self._on_answer(placed)
        else:
            self._held.append(placed)

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
