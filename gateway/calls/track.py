"""One track of a live stream: its audio to a session of the model, the model's text to events.

    receive(frame) -> pipeline -> chunks wait in `_unsent` -> session.append
    on_delta(text) -> token clock -> segmenter -> writer

Everything here runs on the event loop and nothing per frame or delta awaits. When no session can
take audio (it is being opened, or its window is full) chunks wait, up to a bound; past it the
oldest is dropped and declared as a gap. When a session's context is full the next one takes over.
When a session fails, what it had not answered, and all that follows, is declared as a gap when the
track ends. However the track ends, audio that no delta answered is declared.
"""

import asyncio
import bisect
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from gateway.audio.pipeline import AudioChunk, AudioGap, TrackPipeline
from gateway.calls.services import CallServices
from gateway.carriers.events import AudioReceived, TrackFormat
from gateway.errors import UpstreamError
from gateway.transcript.events import (
    EventWriter,
    FinalReason,
    GapCause,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.token_clock import TokenClock
from gateway.upstream.session import RealtimeSession

# A session whose context is full sooner is a sick one (it answered a second): no other is tried.
_LEAST_TOKENS: Final = 12


class Track:
    """One direction of a stream, from its first frame to its last word."""

    def __init__(
        self,
        form: TrackFormat,
        carrier: str,
        services: CallServices,
        writer: EventWriter,
        on_failed: Callable[[], None],
    ) -> None:
        limits = services.limits
        self.form = form
        self.role = limits.roles.get(form.track, "unknown")
        self.error: UpstreamError | None = None
        self.gap_ms = 0
        self.dropped_ms = 0
        self.first_delta_s: float | None = None  # from the first audio to the first text
        self.pipeline = TrackPipeline(form, limits.chunk_ms)
        self._services = services
        self._writer = writer
        self._on_failed = on_failed
        self._frames_total = services.metrics.frames_total.labels(carrier)
        self._audio_seconds_total = services.metrics.audio_seconds_total.labels(carrier)
        self._frames_counted = 0
        self._clock = TokenClock()
        self._segmenter = Segmenter(
            form.track,
            self.role,
            pause_ms=limits.segment_pause_ms,
            max_ms=limits.segment_max_ms,
        )
        self._session = self._new_session()
        self._tokens = 0  # deltas of this session, empty ones too
        self._unsent: deque[tuple[AudioChunk, float]] = deque()  # each with its arrival time
        self._unsent_ms = 0
        self._dropped: AudioGap | None = None  # the run of dropped chunks not yet declared
        self._gaps: list[AudioGap] = []  # declared, beyond what is answered
        self._first_audio_s: float | None = None
        self._first_ms: int | None = None  # where the first chunk lies on the media clock
        self._hung_up = False
        self._moved = asyncio.Event()  # set on whatever `run` may be waiting for

    @property
    def segments(self) -> int:
        """How many there were so far."""
        return self._segmenter.segment

    def receive(self, frame: AudioReceived, now_s: float) -> None:
        """Take one frame."""
        if self._first_audio_s is None:
            self._first_audio_s = now_s
        pieces = self.pipeline.receive(frame.payload, frame.timestamp_ms, frame.sequence)
        if pieces:
            self._take(pieces, now_s)

    def hang_up(self) -> None:
        """Take what the pipeline still holds; `run` then finishes. Idempotent."""
        if not self._hung_up:
            self._take(self.pipeline.flush(), self._services.monotonic_s())
            self._hung_up = True
            self._moved.set()

    async def run(self) -> None:
        """Live the track's life: session after session, until the hang-up and its last words.

        Every wait but the one for the hang-up has a time-out. A failure of a session is kept in
        `error`, not raised; then only the hang-up is awaited, because the gap ends there.
        """
        try:
            while not await self._live_one_session():
                self._session = self._new_session()
        except UpstreamError as error:
            self._fail(error)
            await self._until(lambda: self._hung_up)
        finally:
            self._session.abort()
            self._publish(self._segmenter.close(FinalReason.HANGUP))
            self._declare_unanswered()

    # What the session calls

    def on_delta(self, text: str) -> None:
        """Place one token's text and publish what it completes."""
        self._tokens += 1
        placement = self._clock.tick()
        now_s = self._services.monotonic_s()
        if text and self.first_delta_s is None and self._first_audio_s is not None:
            self.first_delta_s = now_s - self._first_audio_s
            self._services.metrics.first_delta_seconds.observe(self.first_delta_s)
        self._publish(self._segmenter.delta(text, placement, now_s))

    def on_writable(self) -> None:
        """Send what waited."""
        self._send()

    def on_ended(self, error: UpstreamError | None) -> None:
        """Go on with another session after a full context; keep any other failure."""
        self._moved.set()
        if error is None:
            return
        self._services.metrics.session_failures_total.labels(error.fault, error.reason).inc()
        if error.reason == "context-full" and self._tokens >= _LEAST_TOKENS:
            self._publish(self._segmenter.close(FinalReason.ROLLOVER))
            if missing := self._clock.restart():
                self._declare_rest(AudioGap(*missing), GapCause.RECONNECT)
            return
        self._fail(error)

    def _fail(self, error: UpstreamError) -> None:
        """Keep the first failure; the track's audio has no way to the model any more."""
        if self.error is None:
            self.error = error
            self._unsent.clear()
            self._unsent_ms = 0
            self._dropped = None  # part of what is unanswered
            self._on_failed()

    # Sending

    def _new_session(self) -> RealtimeSession:
        limits = self._services.limits
        self._tokens = 0
        return RealtimeSession(self, model=limits.model, done_timeout_s=limits.done_timeout_s)

    async def _live_one_session(self) -> bool:
        """Open a session and send to it until it is over.

        Returns:
            Whether that was the hang-up; if not, its context is full and the next is due.

        Raises:
            UpstreamError: it failed; `error` has it, too.
        """
        session, metrics = self._session, self._services.metrics
        began_s = self._services.monotonic_s()
        await session.open(self._services.transport, self._services.limits.open_timeout_s)
        metrics.session_open_seconds.observe(self._services.monotonic_s() - began_s)
        metrics.sessions_opened_total.inc()
        with metrics.sessions_live.track_inprogress():
            self._send()
            await self._until(lambda: self._hung_up or session.is_over)
            await self._drain(session)
            if session.is_over:
                return self._hung_up and not self._audio_waits
            await session.finish()
            return True

    @property
    def _audio_waits(self) -> bool:
        """Whether more than the interpolator's tail is unsent."""
        return any(chunk.end_ms > chunk.start_ms for chunk, _ in self._unsent)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for what a callback or the hang-up brings about."""
        while not condition():
            self._moved.clear()
            await self._moved.wait()

    def _take(self, pieces: Iterable[AudioChunk | AudioGap], now_s: float) -> None:
        """Queue chunks and declare gaps, in their order on the media clock."""
        for piece in pieces:
            if isinstance(piece, AudioGap):
                self._declare(piece, GapCause.CARRIER_LOSS)
                continue
            if self._first_ms is None:
                self._first_ms = piece.start_ms
            self._audio_seconds_total.inc((piece.end_ms - piece.start_ms) / 1000)
            if self.error is None:
                self._unsent.append((piece, now_s))
                self._unsent_ms += piece.end_ms - piece.start_ms
        self._frames_total.inc(self.pipeline.frames - self._frames_counted)
        self._frames_counted = self.pipeline.frames
        self._send()
        while self._unsent_ms > self._services.limits.unsent_ms:
            self._drop(self._pop())

    def _send(self) -> None:
        """Hand waiting chunks to the session as long as it takes them."""
        while self._unsent:
            chunk, heard_s = self._unsent[0]
            if not self._session.append(chunk.pcm):
                return
            self._pop()
            self._declare_dropped()
            self._clock.sent(chunk.start_ms, chunk.end_ms, heard_s)
        self._moved.set()

    def _pop(self) -> AudioChunk:
        chunk, _ = self._unsent.popleft()
        self._unsent_ms -= chunk.end_ms - chunk.start_ms
        return chunk

    async def _drain(self, session: RealtimeSession) -> None:
        """Wait until all chunks are with the session, or it is over in good order.

        Raises:
            UpstreamError: send-timeout, or what ended the session.
        """
        timeout_s = self._services.limits.done_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._until(lambda: session.is_over or not self._unsent)
        except TimeoutError:
            self.on_ended(UpstreamError("send-timeout", f"after {timeout_s:g} s"))
        if self.error:
            raise self.error

    # Declaring

    def _declare_unanswered(self) -> None:
        """Declare all audio since the model's last answer that was not declared before."""
        self._declare_dropped()
        answered_ms = self._clock.covered_ms
        from_ms = self._first_ms if answered_ms is None else answered_ms
        cause = GapCause.RECONNECT if self.error else GapCause.MODEL_MUTE
        if from_ms is not None:
            self._declare_rest(AudioGap(from_ms, self.pipeline.position_ms), cause)

    def _declare_rest(self, whole: AudioGap, cause: GapCause) -> None:
        """Declare what is not declared yet of a stretch that no delta answers."""
        from_ms = whole.from_ms
        for gap in list(self._gaps):
            self._declare(AudioGap(from_ms, min(gap.from_ms, whole.to_ms)), cause)
            from_ms = max(from_ms, gap.to_ms)
        self._declare(AudioGap(from_ms, whole.to_ms), cause)

    def _drop(self, chunk: AudioChunk) -> None:
        """Note a dropped chunk; a run of them becomes one gap."""
        self.dropped_ms += chunk.end_ms - chunk.start_ms
        if self._dropped and self._dropped.to_ms != chunk.start_ms:
            self._declare_dropped()
        start_ms = self._dropped.from_ms if self._dropped else chunk.start_ms
        self._dropped = AudioGap(start_ms, chunk.end_ms)

    def _declare_dropped(self) -> None:
        if self._dropped:
            gap, self._dropped = self._dropped, None
            self._declare_rest(gap, GapCause.BACKPRESSURE)

    def _declare(self, gap: AudioGap, cause: GapCause) -> None:
        length_ms = gap.to_ms - gap.from_ms
        if length_ms <= 0:
            return
        answered_ms = self._clock.covered_ms or 0
        self._gaps = [each for each in self._gaps if each.to_ms > answered_ms]
        bisect.insort(self._gaps, gap, key=lambda each: each.from_ms)
        self.gap_ms += length_ms
        self._services.metrics.gaps_total.labels(cause).inc()
        self._services.metrics.gap_seconds_total.labels(cause).inc(length_ms / 1000)
        self._writer.publish(TranscriptGap(self.form.track, gap.from_ms, gap.to_ms, cause))

    def _publish(self, events: Iterable[TranscriptDelta | TranscriptFinal]) -> None:
        for event in events:
            self._writer.publish(event)
