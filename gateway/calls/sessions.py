"""The model sessions of one track, one after another: opened, watched, replaced.

    what happens to a session            what follows
    it fails, or is failed here          back off, open another, replay the open segment to it
    its context is full                  open another at once, which continues after it
    it is old, and no one speaks         open another, switch the audio, wait for the old one's end
    it lags, is very old, or may be mute likewise, even in mid-speech
    no audio, for nearly as long as its  finish it; open another for the next audio
      server keeps an idle session
    its server ends it without audio     likewise
    the carrier hangs up                 final commit, wait for the pending words, return

`Retries` decides how long to back off, and when to give up. `ModelSession` is one session; audio
and words belong to the track.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from gateway.audio.encodings import TrackFormat
from gateway.calls.model_session import ModelSession
from gateway.calls.placed_answers import PlacedAnswer
from gateway.calls.replay_state import PROGRESS_MS
from gateway.calls.retries import LONGEST_WAIT_S, Retries
from gateway.calls.services import CallServices, Reservation
from gateway.calls.turn_audio import Rest
from gateway.errors import UpstreamError
from gateway.tracing import Span
from gateway.transcript.session_timeline import Placement
from gateway.upstream.dialects.dialect import Clock

_TICK_S: Final = 1.0  # how often a session is checked
_PAUSE_WAIT_S: Final = 10.0  # how long the next session waits for a pause to take over in
_PAUSE_TICK_S: Final = 0.25  # how often it checks for one
_IDLE_SHARE: Final = 0.8  # of the time after which a server may end an idle session
# Of the time after which the server ends any session: replaced in a pause, and in mid-speech.
_SOFT_SHARE: Final = 0.8
_HARD_SHARE: Final = 0.9


class SessionHost(Protocol):
    """The track, as its sessions see it. No method waits.

    Attributes:
        form: the track's name and encoding.
    """

    form: TrackFormat

    @property
    def is_sending_done(self) -> bool:
        """Whether the carrier has hung up and no audio is unsent."""

    @property
    def has_unsent(self) -> bool:
        """Whether audio waits for a session."""

    @property
    def is_transcription_done(self) -> bool:
        """Whether the carrier has hung up and no word can be missing."""

    @property
    def is_far_behind(self) -> bool:
        """Whether a second or more of audio is unanswered, so that a `done` would be premature."""

    @property
    def is_quiet(self) -> bool:
        """Whether the current pause is long enough to end a segment."""

    def has_speech_before(self, until_ms: int) -> bool:
        """Return whether audio before a time is loud and not answered."""

    @property
    def is_model_silent(self) -> bool:
        """Whether the model returns no words although someone speaks."""

    def double_silence_threshold(self) -> None:
        """Wait twice as long until the model counts as silent again."""

    def send(self) -> None:
        """Send unsent audio to `Sessions.receiver` for as long as it accepts it."""

    def replay(self) -> None:
        """Send all audio that may have words which are not final, whether sent before or not."""

    def on_answer(self, answer: PlacedAnswer) -> None:
        """Process an answer of the current session."""

    def close_segment(self) -> None:
        """Close the open segment; the next session opens another one."""

    def abandon(self, until_ms: int) -> None:
        """Declare audio up to this time that no session has answered, nor will."""


class Sessions:
    """Keeps a session open for a track.

    Attributes:
        receiver: what receives the audio: a session, or `Rest`; None without one.
        retries: the failures in a row.
        reconnects: number of sessions that failed and were replaced.
        rollovers: number of sessions that were replaced as planned.
        endpoints: names of the endpoints where sessions were opened or attempted.
    """

    def __init__(
        self, track: SessionHost, services: CallServices, reservation: Reservation, trace: Span
    ) -> None:
        self.receiver: ModelSession | Rest | None = None
        self.retries: Final = Retries(services, reservation)
        self.reconnects = 0
        self.rollovers = 0
        self.endpoints: set[str] = set()
        self._track = track
        self._services = services
        self._limits = services.limits
        self._reservation = reservation
        self._trace = trace
        self._open: set[ModelSession] = set()
        self._current: ModelSession | None = None  # answers; not the receiver in a rollover
        self._changed = asyncio.Event()  # set on everything that `run` may wait for
        self._lost_at_s = services.monotonic_s()  # when the last receiver was lost
        self._rollover_not_before_s = 0.0
        self._is_resting = False  # an idle session was finished, and no audio came since
        self._mute = 0  # sessions in a row without text for audio that may be speech
        self._is_asked_again = False  # the last session ended without such text

    @property
    def endpoint(self) -> str | None:
        """Name of the endpoint of the current session; None without one."""
        return self._current.slot.endpoint if self.is_live and self._current else None

    @property
    def is_live(self) -> bool:
        """Whether a session can receive audio."""
        return isinstance(self.receiver, ModelSession) and not self.receiver.is_over

    @property
    def state(self) -> str:
        """State for the admin API: connecting, rolling-over, live or idle."""
        if not self.is_live:
            return "idle" if self._is_resting else "connecting"
        return "rolling-over" if self._is_rolling_over else "live"

    @property
    def unreachable_s(self) -> float:
        """Seconds without a session, or since the first failure in a row; 0 while one is live."""
        if self.is_live or self._is_resting:
            return 0.0
        since_s = (self._lost_at_s, self.retries.since_s)
        return self._services.monotonic_s() - min(s for s in since_s if s is not None)

    @property
    def lag_ms(self) -> int:
        """Audio that was sent to the current session and is unanswered."""
        return self._current.lag_ms if self._current else 0

    @property
    def owe_words(self) -> bool:
        """Whether words for audio that was sent may still arrive, or change."""
        current = self._current
        if self._is_resting:
            return False
        return self._is_rolling_over or current is None or not current.is_healthy

    @property
    def _is_rolling_over(self) -> bool:
        """Whether the old session still answers while the new one receives the audio."""
        return self.receiver is not self._current

    def wake(self) -> None:
        """Make `run` check whether the track has sent everything."""
        self._changed.set()

    async def run(self) -> None:
        """Keep a session open until all audio of the track is answered.

        Raises:
            UpstreamError: as `Retries.back_off`.
        """
        try:
            while not self._track.is_transcription_done:
                try:
                    session = await self._connect()
                except UpstreamError as error:
                    await self.retries.back_off(error)
                    continue
                self.receiver = self._current = session
                self._track.replay()
                while not session.is_over:
                    if self._track.is_sending_done:
                        if not await _finish(session):
                            break
                        if not (self._track.is_far_behind or session.is_doubtful):
                            return
                        session.error = self._premature(session)
                    await self._until(self._is_due, _TICK_S)
                    if self._is_idle(session):
                        await self._put_to_rest(session)
                    else:
                        session = await self._supervise(session)
                owes_speech = self._track.has_speech_before(session.timeline.sent_ms or 0)
                if session.has_expired and self._track.is_quiet and not owes_speech:
                    await self._rest(session)
                elif session.error and not self._track.is_transcription_done:
                    self._count_mute(session)
                    await self._recover(session.error)
        finally:
            for session in list(self._open):
                session.abort()
            self.receiver = self._current = None

    # Opening sessions

    async def _connect(self, old: ModelSession | None = None) -> ModelSession:
        """Acquire a slot and open a session there.

        Args:
            old: a session that stays open until the new one replaces it.

        Raises:
            UpstreamError: classified.
        """
        slot = await (old.slot.acquire_replacement() if old else self._reservation.acquire_slot())
        self.endpoints.add(slot.endpoint)
        session = ModelSession(
            slot,
            self._services,
            on_answer=self._track.on_answer,
            on_writable=self._track.send,
            on_over=self._on_over,
            is_current=old is None,
            span=self._trace.child("session", endpoint=slot.endpoint, reason="aborted"),
            form=self._track.form,
            mute_before=0 if old and old.has_text else self._mute,
            is_asked_again=self._is_asked_again,
        )
        self._is_asked_again = False
        self._open.add(session)
        await session.open()
        return session

    def _on_over(self, session: ModelSession) -> None:
        """Record the end of a session and wake `run`."""
        self._open.discard(session)
        if session is self.receiver:
            self._lost_at_s = self._services.monotonic_s()
        if not session.has_expired:
            self.retries.failure = session.error or self.retries.failure
        self._changed.set()

    def _count_mute(self, session: ModelSession) -> None:
        """Count a session that had no text for what may be speech.

        Several in a row do not exhaust the retry budget: it may be music. Each waits for longer
        than the one before, and what the replay buffer can't hold meanwhile becomes a gap.
        """
        if session.has_text:
            self._mute = 0
        if session.is_doubtful:
            self._mute += 1
            if self._mute > 1:
                self.retries.reset()

    def _premature(self, session: ModelSession) -> UpstreamError:
        """Return why a session ended although words are missing."""
        if session.is_doubtful:
            self._is_asked_again = True
            return UpstreamError("session-stalled")
        # The context was full: its `done` was sent before our commit arrived.
        return UpstreamError("context-full")

    async def _recover(self, error: UpstreamError) -> None:
        """Prepare for the session that replaces a failed one.

        Raises:
            UpstreamError: as `Retries.back_off`.
        """
        self.reconnects += 1
        self._services.metrics.reconnects_total.labels(error.reason).inc()
        self._trace.event("reconnect", reason=error.reason)
        if error.reason == "context-full":
            # Keep its words: replaying a whole segment could fill the next context, too.
            self._track.close_segment()
            if self.retries.may_skip_wait():
                return
        await self.retries.back_off(error)

    # Watching the open session

    def _is_idle(self, session: ModelSession) -> bool:
        """Return whether the server might soon end the session because it receives no audio."""
        idle_s = session.slot.dialect.capabilities.idle_s
        if idle_s is None or session.is_over or not session.is_healthy or self._track.has_unsent:
            return False
        return self._services.monotonic_s() - session.sent_s >= _IDLE_SHARE * idle_s

    async def _put_to_rest(self, session: ModelSession) -> None:
        """Finish an idle session, and wait for audio that needs another one."""
        self.receiver = None
        if await _finish(session):
            await self._rest(session)

    async def _rest(self, session: ModelSession) -> None:
        """Wait for audio that needs another session, after the end of an idle one."""
        is_of_turns = session.slot.dialect.capabilities.clock is Clock.TURNS
        self.receiver = Rest(self._answer_silence, self.wake) if is_of_turns else None
        self._current = None
        self._is_resting = True
        self._trace.event("idle")
        try:
            self._track.send()
            while not (self._track.has_unsent or self._track.is_sending_done):
                await self._until(lambda: self._track.has_unsent, _TICK_S)
        finally:
            self.receiver = None
            self._is_resting = False
            self._lost_at_s = self._services.monotonic_s()
        self._services.metrics.rollovers_total.labels("idle").inc()

    def _answer_silence(self, placement: Placement) -> None:
        now_s = self._services.monotonic_s()
        self._track.on_answer(PlacedAnswer.silence(placement, now_s))

    async def _supervise(self, session: ModelSession) -> ModelSession:
        """Fail a session that is unhealthy; roll it over if it lags or is old.

        Returns:
            The session that receives the audio afterwards.
        """
        now_s = self._services.monotonic_s()
        self._services.metrics.session_lag_seconds.observe(session.lag_ms / 1000)
        session.check(now_s)
        if session.is_healthy and now_s - session.opened_s >= LONGEST_WAIT_S:
            self.retries.reset()  # even while no one speaks
        if self._track.is_model_silent:
            self._track.double_silence_threshold()
            session.fail(UpstreamError("model-rut"))
        if session.is_over or self._track.is_sending_done or now_s < self._rollover_not_before_s:
            return session
        age_s = now_s - session.opened_s
        session.measure_lag(now_s)
        if session.is_unsure:
            return await self._roll_over(session, "mute", must=True)
        if session.is_lagging(now_s):
            return await self._roll_over(session, "lag", must=True)
        if age_s >= min(self._limits.rollover_hard_s, _HARD_SHARE * session.longest_s):
            return await self._roll_over(session, "age", must=True)
        soft_s = min(self._limits.rollover_soft_s, _SOFT_SHARE * session.longest_s)
        if age_s >= soft_s and self._track.is_quiet:
            return await self._roll_over(session, "pause", must=False)
        return session

    async def _roll_over(self, old: ModelSession, why: str, *, must: bool) -> ModelSession:
        """Switch the track to a new session, which is open before the old one is finished.

        Args:
            old: the current session.
            why: for the metric and the trace: lag, age, pause or mute.
            must: switch in mid-speech if there is no pause. If False, switch only in a pause.

        Returns:
            The session that receives the audio afterwards: the old one if it was not replaced.
        """
        with self._trace.child("rollover", why=why) as span:
            current = await self._switch(old, must=must)
            span.set(replaced=current is not old)
        if current is not old:
            self.rollovers += 1
            self._services.metrics.rollovers_total.labels(why).inc()
        return current

    async def _switch(self, old: ModelSession, *, must: bool) -> ModelSession:
        """Do the work of `_roll_over`, with the same arguments and result."""
        self._rollover_not_before_s = self._services.monotonic_s() + _PAUSE_WAIT_S
        try:
            new = await self._connect_meanwhile(old)
        except UpstreamError as error:
            # No slot for a second session: finish the old one first. The track buffers the audio.
            is_full = error.reason in ("endpoint-at-capacity", "model-at-capacity")
            if must and is_full and not self._is_due() and await _finish(old):
                self._track.close_segment()
            return old
        if new is None:
            return old
        await self._until_pause(new, must=must)
        if new.is_over or self._is_due() or not (must or self._track.is_quiet):
            new.abort()
            return old
        self.receiver = new
        self._track.send()
        if await _finish(old) and (old.lag_ms >= PROGRESS_MS or old.is_doubtful):
            old.error = self._premature(old)
        if old.error:
            new.abort()
            self.receiver = old
            return old
        self._track.close_segment()
        self._track.abandon(old.timeline.sent_ms or 0)
        self._current = new
        new.make_current()
        return new

    async def _until_pause(self, new: ModelSession, *, must: bool) -> None:
        """Wait for a pause to switch in, for a limited time; return at once if `must`."""
        while not (must or self._track.is_quiet or new.is_over or self._is_due()):
            if self._services.monotonic_s() >= self._rollover_not_before_s:
                return
            await self._until(self._is_due, _PAUSE_TICK_S)

    async def _connect_meanwhile(self, old: ModelSession) -> ModelSession | None:
        """Open another session while the old one continues.

        Returns:
            The session; None if the old session or the call ended first.

        Raises:
            UpstreamError: as `_connect`.
        """
        connecting = asyncio.create_task(self._connect(old))
        connecting.add_done_callback(lambda _: self._changed.set())
        try:
            while not (connecting.done() or self._is_due()):
                await self._until(lambda: connecting.done() or self._is_due(), _TICK_S)
            return connecting.result() if connecting.done() else None
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    def _is_due(self) -> bool:
        """Return whether `run` must act: no session is live, or everything was sent."""
        return not self.is_live or self._track.is_sending_done

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait until a callback or the hang-up makes a condition true, or until the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return


async def _finish(session: ModelSession) -> bool:
    """Finish a session; return False if it failed before its `done`."""
    try:
        await session.finish()
    except UpstreamError:
        return False
    return True
