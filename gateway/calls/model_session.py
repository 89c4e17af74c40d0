"""One model session of a track: its slot at an endpoint, its audio and answers, its outcome.

    ModelSession.append -> SessionClock.append -> SentAudio -> RealtimeSession
    RealtimeSession -> ModelSession.on_answer -> SessionClock.place -> AnswerPlacer -> track

What is due depends on the server, so it is asked of the session's clock (`session_clock.py`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gateway.audio.encodings import G711_HZ, TrackFormat
from gateway.audio.pipeline import AudioChunk
from gateway.calls.placed_answers import AnswerPlacer, PlacedAnswer
from gateway.calls.sent_audio import SentAudio
from gateway.calls.services import CallServices, SessionSlot
from gateway.calls.session_clock import new_clock
from gateway.calls.session_health import SessionHealth
from gateway.errors import UpstreamError
from gateway.tracing import Span
from gateway.upstream.dialects.dialect import Answer
from gateway.upstream.session import RealtimeSession

_TICK_S: Final = 1.0  # how often a session is checked while it finishes
_LEAST_LEFT_S: Final = 60.0  # an earlier end of a new session shows that a clock is wrong
_IDLE_S: Final = 8.0  # without audio, after which an end is no failure; vendors wait 10 s or more


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
        form: the format of the track, whose audio is sent as it came if the server accepts that;
            None: it is sent as PCM.
        mute_before: for a server that answers speech, how many sessions before this one, in a row,
            were mute.
        is_asked_again: whether the session before this one ended without text for audio that may be
            speech, so that this one's end is accepted.

    Attributes:
        timeline: where its audio is on the media clock.
        append: sends a chunk; returns False if the session did not accept it.
        has_text: whether one of its answers had text.
        error: why it failed; None if it did not.
        has_expired: whether the server has ended it because it received no audio. That is no
            failure.
        opened_s: when it was open, on the monotonic clock.
        longest_s: after this time the server, or its platform, ends it; inf: never.
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
        form: TrackFormat | None = None,
        mute_before: int = 0,
        is_asked_again: bool = False,
    ) -> None:
        self.slot = slot
        self.has_text = False
        self.error: UpstreamError | None = None
        self.has_expired = False
        self.opened_s = 0.0
        capabilities = slot.dialect.capabilities
        ends_s = (capabilities.longest_session_s, slot.transport.longest_stream_s)
        self.longest_s = min(each or float("inf") for each in ends_s)
        self._services = services
        self._resume = on_writable
        self._writable = asyncio.Event()  # set whenever the session may accept what waits
        self._on_over = on_over
        self._span = span
        self._live = services.metrics.sessions_live
        self._is_in_live_metric = False  # in that metric
        self._keep_alive_s = capabilities.keep_alive_s
        self._kept_alive_s = 0.0  # when `keep_alive` was last called
        self._keeping: asyncio.TimerHandle | None = None  # when it may be due again
        self._options = slot.options
        if form and form.rate_hz == G711_HZ and form.encoding in capabilities.encodings:
            self._options = replace(slot.options, encoding=form.encoding)
        self._session = RealtimeSession(
            self,
            slot.dialect.session(self._options),
            done_timeout_s=services.limits.done_timeout_s,
            is_audio_binary=capabilities.is_audio_binary,
            largest_append_bytes=capabilities.largest_append_bytes,
        )
        monotonic_s = services.monotonic_s
        self._audio = SentAudio(self._session, capabilities.unit_bytes, monotonic_s)
        self.timeline = self._audio.timeline
        self._placer = AnswerPlacer(self.timeline, on_answer, monotonic_s, is_current=is_current)
        self._health = SessionHealth(slot, services, self._session)
        self._clock = new_clock(
            capabilities,
            services.limits,
            session=self._session,
            audio=self._audio,
            placer=self._placer,
            health=self._health,
            mute_before=mute_before,
            is_asked_again=is_asked_again,
        )
        # Not methods: that would cost another call per chunk, and per answer.
        self.append: Callable[[AudioChunk, float], bool] = self._clock.append
        self._place: Callable[[Answer, float], None] = self._clock.place

    async def open(self) -> None:
        """Open the session; it accepts audio afterwards.

        Raises:
            UpstreamError: classified; the slot is released.
        """
        services = self._services
        began_s = services.monotonic_s()
        slot, timeout_s = self.slot, services.limits.open_timeout_s
        await self._session.open(slot.transport, timeout_s, slot.address(self._options))
        self.opened_s = services.monotonic_s()
        self._audio.sent_s = self._health.healthy_s = self.opened_s
        self._expect_end(services.wall_s())
        self._span.event("opened")
        services.metrics.session_open_seconds.observe(self.opened_s - began_s)
        services.metrics.sessions_opened_total.inc()
        self._is_in_live_metric = True
        self._live.inc()
        self._keep_alive()

    def _expect_end(self, wall_s: float) -> None:
        """Shorten `longest_s` to the time that the server has announced, if that can be right."""
        expires_s = self._session.expires_s
        if expires_s and wall_s + _LEAST_LEFT_S <= expires_s < wall_s + self.longest_s:
            self.longest_s = expires_s - wall_s

    def make_current(self) -> None:
        """Pass on the held answers, and from now on each answer at once."""
        self._placer.make_current()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._session.is_over

    @property
    def sent_s(self) -> float:
        """When audio was last sent, or it was opened, on the monotonic clock."""
        return self._audio.sent_s

    @property
    def lag_ms(self) -> int:
        """Audio whose answer is missing; see `SessionClock`."""
        return self._clock.lag_ms

    @property
    def is_healthy(self) -> bool:
        """Whether it is open and no answer is due; all answers are due after the final commit."""
        return not (self.is_over or self._owes_answers)

    @property
    def _owes_answers(self) -> bool:
        return self._clock.has_provisional or self.lag_ms > self._health.allowed_ms

    @property
    def is_doubtful(self) -> bool:
        """Whether it ended without text for audio that may be speech, so that another is asked."""
        return self.is_over and self._clock.is_doubtful

    @property
    def is_unsure(self) -> bool:
        """Whether it is mute, although its server may have had nothing to answer.

        Its end will show that.
        """
        return self._clock.is_unsure

    async def finish(self) -> None:
        """Send the final commit and wait for `done`, in bounded time.

        Raises:
            UpstreamError: it failed before its `done`.
        """
        now_s = self._services.monotonic_s()
        if self.is_healthy:  # the latest check may be a while ago
            self._health.healthy_s = now_s
        self._health.finish_s = now_s
        self._span.set(reason="done")
        checking = asyncio.create_task(self._check_end(), name="finishing")
        try:
            self._clock.end()
            while not (self._clock.flush() or self.is_over):
                await self._writable.wait()
                self._writable.clear()
            await self._session.finish()
        finally:
            checking.cancel()
        self._clock.conclude()

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
        self._clock.check(now_s)

    def _keep_alive(self) -> None:
        """Keep the session open while it receives no audio, whoever waits for it or another one."""
        after_s = self._keep_alive_s
        if after_s is None or self.is_over:
            return
        now_s = self._services.monotonic_s()
        left_s = max(self.sent_s, self._kept_alive_s) + after_s - now_s
        if left_s <= 0:
            self._kept_alive_s, left_s = now_s, after_s
            self._session.keep_alive()
        self._keeping = asyncio.get_running_loop().call_later(left_s, self._keep_alive)

    def fail(self, error: UpstreamError) -> None:
        """End it because of a failure that the peer did not report."""
        self._session.fail(error)

    def measure_lag(self, now_s: float) -> None:
        """Record since when, and by how much, the session lags."""
        is_waiting = self._clock.is_waiting(now_s)
        self._health.measure_lag(now_s, 0 if is_waiting else self.lag_ms)

    def is_lagging(self, now_s: float) -> bool:
        """Return whether it has lagged for longer than it would take to catch up."""
        return self._health.is_lagging(now_s)

    # Called by the Realtime session

    def on_answer(self, answer: Answer) -> None:
        """Pass on one answer, with its time. Ignore answers before any audio was sent."""
        if self.timeline.sent_ms is None:
            return
        health = self._health
        if not health.answers:
            self.slot.worked()
            self._span.event("first-delta")
        health.answers += 1
        health.empty += not answer.text
        self.has_text = self.has_text or bool(answer.text)
        health.healthy_s = now_s = self._services.monotonic_s()
        self._place(answer, now_s)

    def on_writable(self) -> None:
        """Send what waits for the session, then more."""
        self._writable.set()
        if self._clock.flush():
            self._resume()

    def on_ended(self, error: UpstreamError | None) -> None:
        """Report the outcome, release the slot and notify the owner."""
        self.error = error
        if self._keeping:
            self._keeping.cancel()
        if self._is_in_live_metric:
            self._live.dec()
        if self._session.is_doubted:
            self.slot.doubted()
        if error is not None and self._is_expiry(error):
            self.has_expired = True
            self._span.set(reason="idle")
        elif error is not None:
            self.slot.failed(error)
            metric = self._services.metrics.session_failures_total
            metric.labels(error.fault, error.reason).inc()
            self._span.fail(error.reason)
        self._span.end()
        self._writable.set()
        self.slot.release()
        self._on_over(self)

    def _is_expiry(self, error: UpstreamError) -> bool:
        """Return whether the server has ended an idle session."""
        is_open = self.opened_s > 0 and self._health.finish_s is None
        idle_s = self._services.monotonic_s() - self.sent_s
        return is_open and error.info.retry and not self._owes_answers and idle_s >= _IDLE_S
