"""The sessions of one track, one after another: opened, looked after, replaced.

    what happens to a session          then
    it fails, or is given up           back off, open another, which hears the open segment again
    its context is full                open another at once, which goes on
    it is old (and nobody speaks)      open another, cut the audio there, hear the old one out
    it lags                            likewise, in mid-speech
    the carrier hangs up               final commit, last words, the end

Backing off is exponential with full jitter, and has a budget; a fault that no other attempt would
mend ends it at once. `ModelSession` is one session; the audio and the words are the track's.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from gateway.audio.pipeline import AudioChunk
from gateway.calls.model_session import ModelSession, Token
from gateway.calls.services import CallServices, Reservation
from gateway.errors import UpstreamError
from gateway.transcript.token_clock import TOKEN_MS

_TICK_S: Final = 1.0  # how often a session is looked after
_SHUT: Final = "circuit-open"
_MUCH_MS: Final = 12 * TOKEN_MS  # unanswered after a `done`: it was not about our commit
_BACKOFF_FIRST_S: Final = 0.1
_BACKOFF_MAX_S: Final = 5.0
_PAUSE_WAIT_S: Final = 10.0  # the next session waits so long for a pause to take over in
_PAUSE_TICK_S: Final = 0.25  # and looks so often


class SessionHost(Protocol):
    """The track, as its sessions see it. Nothing here waits."""

    @property
    def is_all_sent(self) -> bool:
        """Whether the carrier has hung up and no audio waits."""

    @property
    def is_all_said(self) -> bool:
        """Whether the carrier has hung up and no word can be missing."""

    @property
    def is_much_unanswered(self) -> bool:
        """Whether more audio has no answer than a model's idea of a token could explain."""

    @property
    def is_quiet(self) -> bool:
        """Whether nobody has spoken for as long as ends a segment."""

    def finds_rut(self) -> bool:
        """Find that the model says nothing though somebody speaks."""

    def send(self) -> None:
        """Hand audio to `Sessions.append` as long as it takes it."""

    def send_again(self) -> None:
        """Likewise, from where words may be missing, because a new session hears it."""

    def take(self, token: Token) -> None:
        """Process a token of the current session."""

    def close_segment(self) -> None:
        """End the open segment: the next session begins another one."""

    def abandon_audio(self, until_ms: int) -> None:
        """Declare what was not answered up to there: no session will hear it."""


class Sessions:
    """Keeps a session open for a track.

    Attributes:
        failure: why the last one failed, unless sessions got on since.
        reconnects: sessions that failed and were replaced.
        rollovers: sessions that were replaced as planned.
        endpoints: where sessions were opened, or tried to.
    """

    def __init__(
        self, track: SessionHost, services: CallServices, reservation: Reservation
    ) -> None:
        self.failure: UpstreamError | None = None
        self.reconnects = 0
        self.rollovers = 0
        self.endpoints: set[str] = set()
        self._track = track
        self._services = services
        self._limits = services.limits
        self._reservation = reservation
        self._open: set[ModelSession] = set()
        self._fed: ModelSession | None = None  # gets the audio
        self._speaking: ModelSession | None = (
            None  # whose tokens count; another one in a rollover only
        )
        self._moved = asyncio.Event()  # set on whatever `run` may be waiting for
        self._failures = 0  # in a row
        self._failing_since_s: float | None = None
        self._without_since_s = services.monotonic_s()  # when the last session was lost
        self._rollover_not_before_s = 0.0

    @property
    def endpoint(self) -> str | None:
        """Where the session that speaks is; None without one."""
        return self._speaking.slot.endpoint if self.is_live and self._speaking else None

    @property
    def is_live(self) -> bool:
        """Whether a session is there to take audio."""
        return self._fed is not None and not self._fed.is_over

    @property
    def unreachable_s(self) -> float:
        """Seconds without a session, or since the first failure in a row; 0 while one is live."""
        if self.is_live:
            return 0.0
        since_s = (self._without_since_s, self._failing_since_s)
        return self._services.monotonic_s() - min(s for s in since_s if s is not None)

    @property
    def is_rolling_over(self) -> bool:
        """Whether one session is heard out while the next has the audio."""
        return self._fed is not self._speaking

    @property
    def lag_ms(self) -> int:
        """Audio that the session that speaks was sent and has not answered."""
        return self._speaking.lag_ms if self._speaking else 0

    @property
    def owes_words(self) -> bool:
        """Whether words of what was sent may still come: no session is there, or it is behind."""
        speaking = self._speaking
        return self.is_rolling_over or speaking is None or not speaking.is_well

    def append(self, chunk: AudioChunk, received_at: float) -> bool:
        """Send a chunk; False if no session took it."""
        return self._fed is not None and self._fed.append(chunk, received_at)

    def wake(self) -> None:
        """Wake `run` to check whether the track has sent everything."""
        self._moved.set()

    def made_progress(self) -> None:
        """Reset the failure counter after progress."""
        self.failure = None
        self._failures = 0
        self._failing_since_s = None

    async def run(self) -> None:
        """Keep a session open until all that was said is answered.

        Raises:
            UpstreamError: there is no way to the model, for good or for longer than the budget.
        """
        try:
            while not self._track.is_all_said:
                try:
                    self._fed = self._speaking = session = await self._connect()
                except UpstreamError as error:
                    await self._back_off(error)
                    continue
                self._track.send_again()
                while not session.is_over:
                    if self._track.is_all_sent:
                        if not await _finish(session):
                            break
                        if not self._track.is_much_unanswered:
                            return
                        # Its context was full: this `done` came before it had our commit.
                        session.error = UpstreamError("context-full")
                    await self._until(self._is_due, _TICK_S)
                    session = await self._look_after(session)
                if session.error and not self._track.is_all_said:
                    await self._recover(session.error)
        finally:
            for session in list(self._open):
                session.abort()
            self._fed = self._speaking = None

    # What a session calls

    def on_token(self, session: ModelSession, token: Token) -> None:
        """Pass on a token, in its session's turn."""
        if session is self._speaking:
            self._track.take(token)
        else:
            session.held.append(token)

    def on_writable(self) -> None:
        """Send the waiting audio."""
        self._track.send()

    def on_over(self, session: ModelSession) -> None:
        """Wake `run`."""
        self._open.discard(session)
        if session is self._fed:
            self._without_since_s = self._services.monotonic_s()
        self.failure = session.error or self.failure
        self._moved.set()

    # Opening, and opening again

    async def _connect(self, old: ModelSession | None = None) -> ModelSession:
        """Lease a slot, one more if an old session lives on, and open a session there.

        Raises:
            UpstreamError: classified.
        """
        slot = await (old.slot.acquire_replacement() if old else self._reservation.acquire_slot())
        self.endpoints.add(slot.endpoint)
        session = ModelSession(slot, self._services, self)
        self._open.add(session)
        await session.open()
        return session

    async def _recover(self, error: UpstreamError) -> None:
        """Make ready for the session after one that failed.

        Raises:
            UpstreamError: as `_back_off`.
        """
        self.reconnects += 1
        self._services.metrics.reconnects_total.labels(error.reason).inc()
        if error.reason == "context-full":
            # Its words stand: hearing a whole segment again could fill the next context, too.
            self._track.close_segment()
            if not self._failures:
                self._failures = 1
                return
        await self._back_off(error)

    async def _back_off(self, error: UpstreamError) -> None:
        """Wait, with full jitter, before the next attempt.

        Raises:
            UpstreamError: no attempt is worth it, or the budget is spent.
        """
        # A breaker that is open is no cause: what opened it is, as far as this call has seen it.
        self.failure = self.failure if self.failure and error.reason == _SHUT else error
        now_s = self._services.monotonic_s()
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        longest_s = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        wait_s = self._services.random.uniform(0, longest_s)
        spent_s = now_s + wait_s - self._failing_since_s
        if not error.info.retry or spent_s > self._limits.retry_budget_s:
            raise self.failure
        await asyncio.sleep(wait_s)

    # Looking after the one that is open

    async def _look_after(self, session: ModelSession) -> ModelSession:
        """Give up a sick session, replace an old one; gives the one that is fed afterwards."""
        now_s = self._services.monotonic_s()
        self._services.metrics.session_lag_seconds.observe(session.lag_ms / 1000)
        session.check(now_s)
        if session.is_well and now_s - session.opened_s >= _BACKOFF_MAX_S:
            self.made_progress()  # though nobody speaks
        if self._track.finds_rut():
            session.fail(UpstreamError("model-rut"))
        if session.is_over or self._track.is_all_sent or now_s < self._rollover_not_before_s:
            return session
        age_s = now_s - session.opened_s
        if session.is_lagging(now_s):
            return await self._roll_over(session, "lag", must=True)
        if age_s >= self._limits.rollover_hard_s:
            return await self._roll_over(session, "age", must=True)
        if age_s >= self._limits.rollover_soft_s and self._track.is_quiet:
            return await self._roll_over(session, "pause", must=False)
        return session

    async def _roll_over(self, old: ModelSession, why: str, *, must: bool) -> ModelSession:
        """Have another session go on where this one is cut; it is open before this one is closed.

        Args:
            old: the session that speaks.
            why: for the metric: lag, age, pause.
            must: cut in mid-speech, if need be. Else only in a pause, or not now.

        Returns:
            The session that is fed afterwards: the old one if it wasn't cut, or failed.
        """
        self._rollover_not_before_s = self._services.monotonic_s() + _PAUSE_WAIT_S
        try:
            new = await self._connect_meanwhile(old)
        except UpstreamError as error:
            # No place for two: then one after the other. The track keeps the audio.
            is_full = error.reason == "endpoint-at-capacity"
            if must and is_full and not self._is_due() and await _finish(old):
                self._track.close_segment()
            return old
        if new is None:
            return old
        while not (must or self._track.is_quiet or new.is_over or self._is_due()):
            if self._services.monotonic_s() >= self._rollover_not_before_s:
                break
            await self._until(self._is_due, _PAUSE_TICK_S)
        if new.is_over or self._is_due() or not (must or self._track.is_quiet):
            new.abort()
            return old
        self._fed = new
        self._track.send()
        if await _finish(old) and old.lag_ms >= _MUCH_MS:
            old.error = UpstreamError("context-full")  # its `done` came before it had our commit
        if old.error:
            new.abort()
            self._fed = old
            return old
        self.rollovers += 1
        self._services.metrics.rollovers_total.labels(why).inc()
        self._track.close_segment()
        self._track.abandon_audio(old.clock.sent_ms or 0)
        self._speaking = new
        while new.held:
            self._track.take(new.held.popleft())
        return new

    async def _connect_meanwhile(self, old: ModelSession) -> ModelSession | None:
        """Open another session while the one that is fed, the old one, lives on.

        Returns:
            The session; None if the fed one or the call ended first.

        Raises:
            UpstreamError: as `_connect`.
        """
        connecting = asyncio.create_task(self._connect(old))
        connecting.add_done_callback(lambda _: self._moved.set())
        try:
            while not (connecting.done() or self._is_due()):
                await self._until(lambda: connecting.done() or self._is_due(), _TICK_S)
            return connecting.result() if connecting.done() else None
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    def _is_due(self) -> bool:
        """Whether `run` has something to do."""
        return not self.is_live or self._track.is_all_sent

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait for what a callback or the hang-up brings about, or for the time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return


async def _finish(session: ModelSession) -> bool:
    """Hear a session's last words; False if it failed before its `done`."""
    try:
        await session.finish()
    except UpstreamError:
        return False
    return True
