"""One track of a live stream: its audio to sessions of the model, the model's text to events.

    receive(frame) -> pipeline -> ring -> sessions.append
    take(token)    -> segmenter -> writer

Everything here runs on the event loop and nothing per frame or delta awaits. Audio stays in the
ring (`calls/ring.py`) until its words are in a final or cannot come any more, so that another
session can hear it when one fails (`calls/sessions.py`). What no session will answer is declared as
a gap, once (`calls/gaps.py`).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from gateway.audio.loudness import LoudRuns, is_loud
from gateway.audio.pipeline import AudioChunk, AudioGap, TrackPipeline
from gateway.calls.gaps import GapLedger
from gateway.calls.hearing import LONGEST_DELAY_MS, Token
from gateway.calls.ring import ReplayRing
from gateway.calls.rut import RutWatch
from gateway.calls.services import CallServices, Ticket
from gateway.calls.sessions import Sessions
from gateway.calls.snapshot import TrackSnapshot
from gateway.carriers.events import AudioReceived, TrackFormat
from gateway.errors import UpstreamError
from gateway.transcript.events import (
    EventWriter,
    FinalReason,
    GapCause,
    TranscriptDelta,
    TranscriptFinal,
)
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.token_clock import TOKEN_MS

# So much audio answered beyond what ever was shows that sessions get on: a second's worth.
_PROGRESS_MS: Final = 12 * TOKEN_MS
# A replay begins so long before the first loud chunk without words, or before the first word: a
# word's first sounds are soft, and its token comes late.
_LEAD_IN_MS: Final = 800
_AFTER_WORD_MS: Final = 240  # sound this soon after a final is the end of its last word


class Track:
    """One direction of a stream, from its first frame to its last word.

    Attributes:
        error: why it has no way to the model any more, if so.
        dropped_ms: audio dropped because no session took it.
        first_audio_s: when the first frame came, on the monotonic clock.
        first_delta_s: from then to the first text.
        heard_s: when the last frame came, likewise.
        loud_s: when audio that may be speech came last, likewise.
    """

    def __init__(
        self,
        form: TrackFormat,
        role: str,
        carrier: str,
        services: CallServices,
        ticket: Ticket,
        writer: EventWriter,
        on_failed: Callable[[], None],
    ) -> None:
        limits = services.limits
        self.form = form
        self.role = role
        self.error: UpstreamError | None = None
        self.dropped_ms = 0
        self.first_audio_s: float | None = None
        self.first_delta_s: float | None = None
        self.heard_s: float | None = None
        self.loud_s: float | None = None
        self.pipeline = TrackPipeline(form, limits.chunk_ms)
        self._services = services
        self._limits = limits
        self._writer = writer
        self._on_failed = on_failed
        self._frames_total = services.metrics.frames_total.labels(carrier)
        self._audio_seconds_total = services.metrics.audio_seconds_total.labels(carrier)
        self._frames_counted = 0
        self._segmenter = Segmenter(
            form.track,
            self.role,
            pause_ms=limits.segment_pause_ms,
            max_ms=limits.segment_max_ms,
        )
        self._sessions = Sessions(self, services, ticket)
        self._ring = ReplayRing(limits.replay_ms)
        self._loud = LoudRuns()  # what may hold words that no token has said
        self._rut = RutWatch(limits.rut_deltas)
        self._gaps = GapLedger(form.track)
        self._dropped: AudioGap | None = None  # the run of dropped chunks not yet declared
        self._hung_up = asyncio.Event()
        self._deadline: asyncio.Timeout | None = None  # of the last words
        self._starts_over = False  # the next token is the first of a replay
        self._paused_ms: int | None = None  # where the stream was paused last, on the media clock
        self._padded_ms: int | None = None
        # On the media clock; None before the first audio
        self._settled_ms: int | None = None  # in finals and gaps up to here: not heard again
        self._answered_ms: int | None = None  # by tokens, or by declared gaps
        self._furthest_ms = 0  # answered ever; replays fall behind it

    @property
    def segments(self) -> int:
        """How many there were so far."""
        return self._segmenter.segment

    @property
    def gap_ms(self) -> int:
        """Audio declared as gaps."""
        return self._gaps.total_ms

    def snapshot(self, started_s: float) -> TrackSnapshot:
        """Say how the track fares; `started_s` is the stream's, on the monotonic clock."""
        audio_s = None if self.first_audio_s is None else self.first_audio_s - started_s
        is_heard = audio_s is not None and self.first_delta_s is not None
        return TrackSnapshot(
            track=self.form.track,
            role=self.role,
            state=self._state(),
            endpoint=self._sessions.endpoint,
            position_ms=self.pipeline.position_ms,
            answered_ms=self._answered_ms or 0,
            lag_ms=max(0, self.pipeline.position_ms - (self._answered_ms or 0)),
            buffered_ms=self._ring.unsent_ms,
            reconnects=self._sessions.reconnects,
            rollovers=self._sessions.rollovers,
            segments=self.segments,
            gap_ms=self.gap_ms,
            first_audio_s=audio_s,
            first_partial_s=(audio_s or 0) + (self.first_delta_s or 0) if is_heard else None,
        )

    def _state(self) -> str:
        if self.error:
            return "failed"
        if not self._sessions.is_live:
            return "connecting"
        return "rolling-over" if self._sessions.is_rolling_over else "live"

    # The stream's side

    async def run(self) -> None:
        """Live the track's life, until the hang-up and its last words.

        Every wait but the one for the hang-up has a time-out. A failure that ends it is kept in
        `error`, not raised; then only the hang-up is awaited, because the gap ends there.
        """
        try:
            async with asyncio.timeout(None) as self._deadline:
                self._limit_the_end()
                if not self.error:
                    await self._sessions.run()
        except TimeoutError:
            self._fail(self._sessions.failure or UpstreamError("finish-timeout"))
        except UpstreamError as error:
            self._fail(error)
        finally:
            self._deadline = None
            try:
                if self.error:
                    await self._hung_up.wait()
            finally:  # also when another track's bug ends the stream
                self._publish(self._segmenter.close(FinalReason.HANGUP))
                self._declare_unanswered()
                self._ring.clear()  # the garbage collector may find the track only much later

    def refuse(self, error: UpstreamError) -> None:
        """Learn, before `run`, that no session will be opened."""
        self.error = error

    def receive(self, frame: AudioReceived, now_s: float) -> None:
        """Take one frame."""
        if self.first_audio_s is None:
            self.first_audio_s = now_s
        received_bytes = self.pipeline.received_bytes
        pieces = self.pipeline.receive(frame.payload, frame.timestamp_ms, frame.sequence)
        if self.pipeline.received_bytes > received_bytes:
            self.heard_s = now_s
        if pieces:
            self._keep(pieces, now_s)

    def pause(self) -> None:
        """Learn that for a while no audio comes."""
        self._paused_ms = self.pipeline.position_ms
        self.pad()

    @property
    def is_padded(self) -> bool:
        """Whether no audio came since the padding."""
        return self._padded_ms == self.pipeline.position_ms

    def pad(self) -> None:
        """Have the model say the last words though no audio comes, and end their segment."""
        has_words = self._segmenter.open_from_ms is not None or self._loud.start_ms is not None
        if has_words and not self.is_padded:
            self._padded_ms = self.pipeline.position_ms
            padding_ms = LONGEST_DELAY_MS + self._limits.segment_pause_ms + self._limits.chunk_ms
            self._keep(self.pipeline.pad(padding_ms), self._services.monotonic_s())

    def hang_up(self) -> None:
        """Take what the pipeline still holds; `run` then finishes, in bounded time. Idempotent."""
        if not self._hung_up.is_set():
            self._keep(self.pipeline.flush(), self._services.monotonic_s())
            self._hung_up.set()
            self._limit_the_end()
            self._sessions.wake()

    def _keep(self, pieces: Iterable[AudioChunk | AudioGap], now_s: float) -> None:
        """Keep chunks and declare gaps, in their order on the media clock; send what can be."""
        for piece in pieces:
            if isinstance(piece, AudioChunk):
                self._keep_chunk(piece, now_s)
            elif not self.error:  # else part of the one gap that is declared at the end
                was_paused = piece.from_ms == self._paused_ms
                cause = GapCause.PAUSED if was_paused else GapCause.CARRIER_LOSS
                self._declare(piece.from_ms, piece.to_ms, cause)
        self._frames_total.inc(self.pipeline.frames - self._frames_counted)
        self._frames_counted = self.pipeline.frames
        from_ms = self._find_replay_ms()
        self._ring.forget(from_ms)
        self._gaps.forget(from_ms)

    def _keep_chunk(self, chunk: AudioChunk, now_s: float) -> None:
        self._audio_seconds_total.inc((chunk.end_ms - chunk.start_ms) / 1000)
        if self._settled_ms is None:
            self._settled_ms = self._answered_ms = self._furthest_ms = chunk.start_ms
        if is_loud(chunk.pcm):
            self.loud_s = now_s
            self._loud.note(chunk.start_ms, chunk.end_ms)
        if not self.error:
            for dropped in self._ring.push(chunk, now_s):
                self._drop(dropped)
            self.send()  # each at once: a burst must not push itself out of the ring

    def _fail(self, error: UpstreamError) -> None:
        """Keep the failure; the track's audio has no way to the model any more."""
        self.error = error
        self._ring.clear()
        self._dropped = None  # part of what is unanswered
        self._on_failed()

    def _limit_the_end(self) -> None:
        """Once the carrier has hung up, give the last words their time."""
        if self._hung_up.is_set() and self._deadline:
            now_s = asyncio.get_running_loop().time()
            self._deadline.reschedule(now_s + self._limits.finish_timeout_s)

    # The sessions' side: see `Listening`

    @property
    def is_all_sent(self) -> bool:
        """Whether the carrier has hung up and no audio waits."""
        return self._hung_up.is_set() and not self._ring.unsent

    @property
    def is_all_said(self) -> bool:
        """Whether the carrier has hung up and no word can be missing."""
        if not self._hung_up.is_set() or self._segmenter.open_from_ms is not None:
            return False
        return self._answered_ms is None or self._answered_ms >= self.pipeline.position_ms

    @property
    def is_much_unanswered(self) -> bool:
        """Whether more audio has no answer than a model's idea of a token could explain."""
        answered_ms = self._answered_ms
        return answered_ms is not None and self.pipeline.position_ms - answered_ms >= _PROGRESS_MS

    @property
    def is_quiet(self) -> bool:
        """Whether nobody has spoken for as long as ends a segment."""
        loud_ms = self._loud.end_ms
        pause_ms = self._limits.segment_pause_ms
        return self.is_padded or loud_ms is None or self.pipeline.position_ms - loud_ms >= pause_ms

    def finds_rut(self) -> bool:
        """Find that the model says nothing though somebody speaks; the next time half as soon."""
        return self._rut.finds(self._loud.total_ms)

    def send(self) -> None:
        """Hand waiting chunks to the session as long as it takes them."""
        while waiting := self._ring.unsent:
            if not self._sessions.append(*waiting):
                return
            self._ring.sent()
            self._declare_dropped()
        if self._hung_up.is_set():
            self._sessions.wake()

    def send_again(self) -> None:
        """Send all that may hold words nobody has published for good."""
        from_ms = self._find_replay_ms()
        if self._ring.lost_ms > from_ms:
            # The segment's beginning is gone: what was heard of it stays, and the rest follows.
            self._dropped = None  # it lies between what was answered and what is kept
            self.close_segment()
            self.give_up_audio(self._ring.lost_ms)
            from_ms = self._find_replay_ms()
        self._starts_over = True
        replayed_ms = self._ring.rewind(from_ms)
        self._services.metrics.replayed_seconds_total.inc(replayed_ms / 1000)
        self.send()

    def take(self, token: Token) -> None:
        """Publish what a token completes."""
        text, placement, received_s = token
        if self._starts_over:
            if not text and placement.end_ms < max(self._segmenter.end_ms, self._answered_ms or 0):
                return  # until it says something else, what the last session said stands
            self._starts_over = False
            self._segmenter.restart()
        settled_ms = self._settled_ms or 0
        if placement.end_ms <= settled_ms and placement.start_ms < settled_ms:
            return  # heard again, but its words have become final since
        self._answered_ms = placement.end_ms
        if placement.end_ms >= self._furthest_ms + _PROGRESS_MS:
            self._furthest_ms = placement.end_ms
            self._sessions.made_progress()
        if text or not placement.padding_ms:
            self._rut.note(text)
        if text and self.first_delta_s is None and self.first_audio_s is not None:
            self.first_delta_s = received_s - self.first_audio_s
            self._services.metrics.first_delta_seconds.observe(self.first_delta_s)
        self._publish(self._segmenter.delta(text, placement, received_s))

    def close_segment(self) -> None:
        """End the open segment with the words it has."""
        self._publish(self._segmenter.close(FinalReason.ROLLOVER))

    def give_up_audio(self, until_ms: int) -> None:
        """Declare what the sessions have not answered up to there: none will hear it."""
        if self._answered_ms is not None and until_ms > self._answered_ms:
            self._declare(self._answered_ms, until_ms, GapCause.RECONNECT)
            self._answered_ms = until_ms
            self._settle(until_ms)

    # What is settled, what is missing

    def _find_replay_ms(self) -> int:
        """Find where the next session would have to begin; what is before is never heard again."""
        answered_ms, settled_ms = self._answered_ms or 0, self._settled_ms or 0
        # Loud, answered for as long as a rut takes to show, and still no word: it holds none.
        self._loud.forget(answered_ms - self._rut.span_ms)
        begins = (answered_ms, self._loud.start_ms, self._segmenter.open_from_ms)
        from_ms = min(begin for begin in begins if begin is not None)
        return max(settled_ms, from_ms - _LEAD_IN_MS)

    def _publish(self, events: Iterable[TranscriptDelta | TranscriptFinal]) -> None:
        for event in events:
            self._writer.publish(event)
            if isinstance(event, TranscriptFinal):
                self._settle(event.end_ms)
                self._loud.forget(event.end_ms + _AFTER_WORD_MS)

    def _settle(self, until_ms: int) -> None:
        """Note what is in a final, or in a gap for good: it is not heard again."""
        self._settled_ms = max(self._settled_ms or 0, until_ms)
        self._gaps.forget(self._settled_ms)

    def _declare_unanswered(self) -> None:
        """Declare all audio since the model's last answer that was not declared before."""
        self._declare_dropped()
        if self._answered_ms is not None:
            cause = GapCause.RECONNECT if self.error else GapCause.MODEL_MUTE
            self._declare(self._answered_ms, self.pipeline.position_ms, cause)

    def _drop(self, chunk: AudioChunk) -> None:
        """Note a dropped chunk; a run of them becomes one gap."""
        if self._starts_over:  # what the last session said stands; it can't be heard again whole
            self._starts_over = False
            self.close_segment()
            self._ring.rewind(self._find_replay_ms())
        start_ms = max(chunk.start_ms, self._answered_ms or 0)
        if start_ms >= chunk.end_ms:
            return
        self.dropped_ms += chunk.end_ms - start_ms
        if self._dropped and self._dropped.to_ms != start_ms:
            self._declare_dropped()
        from_ms = self._dropped.from_ms if self._dropped else start_ms
        self._dropped = AudioGap(from_ms, chunk.end_ms)

    def _declare_dropped(self) -> None:
        if self._dropped:
            gap, self._dropped = self._dropped, None
            cause = GapCause.BACKPRESSURE if self._sessions.is_live else GapCause.RECONNECT
            self._declare(gap.from_ms, gap.to_ms, cause)

    def _declare(self, from_ms: int, to_ms: int, cause: GapCause) -> None:
        for gap in self._gaps.declare(from_ms, to_ms, cause):
            self._services.metrics.gaps_total.labels(cause).inc()
            seconds = (gap.to_ms - gap.from_ms) / 1000
            self._services.metrics.gap_seconds_total.labels(cause).inc(seconds)
            self._writer.publish(gap)
