"""One track of a live stream: its audio to sessions of the model, the model's text to events.

    receive(frame) -> pipeline -> ring -> sessions.append
    take(token)    -> segmenter -> writer

Everything here runs on the event loop and nothing per frame or delta awaits. Audio stays in the
replay buffer (`calls/replay_buffer.py`) until its words are in a final or cannot come any more, so
that it can be sent to another session when one fails (`calls/sessions.py`). What no session will
answer is declared as a gap, once (`calls/gaps.py`).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from gateway.audio.loudness import LoudRuns, is_loud
from gateway.audio.pipeline import AudioChunk, AudioGap, TrackPipeline
from gateway.calls.arrivals import Arrivals
from gateway.calls.gaps import GapLedger
from gateway.calls.mismatch import report_mismatch
from gateway.calls.model_session import LONGEST_DELAY_MS, USUAL_DELAY_MS, Token
from gateway.calls.replay_buffer import ReplayBuffer
from gateway.calls.services import CallServices, Reservation
from gateway.calls.sessions import Sessions
from gateway.calls.silent_model import SilentModelWatch
from gateway.calls.snapshot import TrackSnapshot
from gateway.carriers.events import AudioFrame, AudioLost, TrackFormat
from gateway.errors import UpstreamError
from gateway.histogram import Histogram
from gateway.metrics import LATENCY_OF_WORDS_S
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
# A padding is about 4 s of audio: a carrier that pauses after each frame must not cause one each
# time. A pause within this time is padded once the track has stalled.
_PAD_EVERY_S: Final = 2.0
_AFTER_WORD_MS: Final = 240  # sound this soon after a final is the end of its last word
STALL_S: Final = 3.0  # without audio for so long the carrier holds, or leaves silence out
_AFTER_STALL_S: Final = 2.0  # what a carrier's stamps skip this soon after a stall was never sent
# A session that owes nothing and has said nothing for so long says no more of what it was sent.
_LAST_WORDS_S: Final = 1.5


class Track:
    """One direction of a stream, from its first frame to its last word.

    Attributes:
        error: why it has no way to the model any more, if so.
        dropped_ms: audio dropped because no session took it.
        words: in finals.
        latency: of deltas, from the arrival of the newest audio they cover, in seconds.
        first_audio_s: when the first frame came, on the monotonic clock.
        first_delta_s: from then to the first text.
        arrived_s: when the last frame with audio came, likewise.
        loud_s: when audio that may be speech came last, likewise.
    """

    def __init__(
        self,
        form: TrackFormat,
        role: str,
        carrier: str,
        services: CallServices,
        reservation: Reservation,
        writer: EventWriter,
        on_failed: Callable[[], None],
        *,
        counted: list[Arrivals] | None = None,
    ) -> None:
        limits = services.limits
        self.form = form
        self.role = role
        self.error: UpstreamError | None = None
        self.dropped_ms = 0
        self.words = 0
        self.latency = Histogram(LATENCY_OF_WORDS_S)
        self.first_audio_s: float | None = None
        self.first_delta_s: float | None = None
        self.arrived_s: float | None = None
        self.loud_s: float | None = None
        self.pipeline = TrackPipeline(form, limits.chunk_ms)
        self._carrier = carrier
        self._services = services
        self._limits = limits
        self._writer = writer
        self._on_failed = on_failed
        self._frames_total = services.metrics.frames_total.labels(carrier)
        self._audio_seconds_total = services.metrics.audio_seconds_total.labels(carrier, role)
        self._words_total = services.metrics.words_total.labels(carrier, role)
        self._frames_counted = 0
        self._uncounted_ms = 0
        self._is_suspect = False  # and that has been reported
        self._segmenter = Segmenter(
            form.track,
            self.role,
            pause_ms=limits.segment_pause_ms,
            max_ms=limits.segment_max_ms,
        )
        self._sessions = Sessions(self, services, reservation)
        self._ring = ReplayBuffer(limits.replay_ms)
        self._loud = LoudRuns()  # what may hold words that no token has said
        self._rut = SilentModelWatch(limits.rut_deltas)
        self._gaps = GapLedger(form.track)
        self._dropped: AudioGap | None = None  # the run of dropped chunks not yet declared
        self._hung_up = asyncio.Event()
        self._hung_up_s = 0.0  # when, on the loop's clock
        self._deadline: asyncio.Timeout | None = None  # of the last words
        self._starts_over = False  # the next token is the first of a replay
        # Of frames without times; `counted` holds those of the stream's other tracks.
        self._arrivals = None if counted is None else Arrivals(form.bytes_per_ms, counted)
        self._stall_ended_s: float | None = None
        self._token_s = 0.0  # when the last token came, or padding was sent
        self._paused_ms: int | None = None  # where the stream was paused last, on the media clock
        self._padded_ms: int | None = None
        self._audio_end_ms = 0  # of the last chunk: frames may be lost after it
        self._may_pad_s = float("-inf")
        # On the media clock; None before the first audio
        self._settled_ms: int | None = None  # in finals and gaps up to here: not heard again
        self._answered_ms: int | None = None  # by tokens, or by declared gaps
        self._furthest_ms = 0  # answered ever; replays fall behind it
        self._progress_ms = 0  # answered when sessions were last seen to get on

    @property
    def segments(self) -> int:
        """How many there were so far."""
        return self._segmenter.segment

    @property
    def reconnects(self) -> int:
        """Sessions that failed and were replaced."""
        return self._sessions.reconnects

    @property
    def rollovers(self) -> int:
        """Sessions that were replaced as planned."""
        return self._sessions.rollovers

    @property
    def endpoints(self) -> set[str]:
        """Where its sessions were opened, or tried to."""
        return self._sessions.endpoints

    @property
    def gap_ms(self) -> int:
        """Audio declared as gaps."""
        return self._gaps.total_ms

    def snapshot(self, started_s: float) -> TrackSnapshot:
        """Return the track's state; `started_s` is the stream's, on the monotonic clock."""
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
            reconnects=self.reconnects,
            rollovers=self.rollovers,
            segments=self.segments,
            gap_ms=self.gap_ms,
            first_audio_s=audio_s,
            first_partial_s=(audio_s or 0) + (self.first_delta_s or 0) if is_heard else None,
            suspected_encoding=self.pipeline.suspected_encoding,
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
                self._count()
                self._close_segment(FinalReason.HANGUP)
                self._declare_unanswered()
                self._ring.clear()  # the garbage collector may find the track only much later

    def refuse(self, error: UpstreamError) -> None:
        """Set the error, before `run`: no session will be opened."""
        self.error = error

    def receive(self, frame: AudioFrame, now_s: float) -> None:
        """Process one frame; one whose audio is lost does not keep the track from being idle."""
        if self.first_audio_s is None:
            self.first_audio_s = now_s
        if self._arrivals:
            if frame.payload and not isinstance(frame, AudioLost):
                self.note_arrival(now_s)
            for each in self._arrivals.receive(frame, now_s * 1000):
                self._receive(each, now_s)
        else:
            self._receive(frame, now_s)

    def note_arrival(self, now_s: float) -> None:
        """Note that audio came, which its adapter may still hold back."""
        if self.arrived_s is not None and now_s - self.arrived_s >= STALL_S:
            self._stall_ended_s = now_s
        self.arrived_s = now_s

    def _receive(self, frame: AudioFrame, now_s: float) -> None:
        pipeline = self.pipeline
        if isinstance(frame, AudioLost):
            size = len(frame.payload)
            self._keep(pipeline.lose(size, frame.timestamp_ms, frame.sequence), now_s)
            return
        received_bytes = pipeline.received_bytes
        pieces = pipeline.receive(frame.payload, frame.timestamp_ms, frame.sequence)
        if pipeline.received_bytes > received_bytes and not self._arrivals:
            self.note_arrival(now_s)
        if pieces:
            self._keep(pieces, now_s)

    def pause(self) -> None:
        """Note that for a while no audio comes, and flush pending words."""
        self._paused_ms = self.pipeline.position_ms
        self.pad()

    @property
    def is_padded(self) -> bool:
        """Whether no audio came since the padding."""
        return self._padded_ms == self.pipeline.position_ms

    def is_stalled(self, now_s: float, started_s: float) -> bool:
        """Whether no audio has come for `STALL_S`, since the stream's start at least."""
        since_s = started_s if self.arrived_s is None else self.arrived_s
        return now_s - since_s >= STALL_S

    def look_after(self, now_s: float, *, is_stalled: bool) -> None:
        """Release what waits for its time; flush pending words of a stalled track.

        Args:
            now_s: on the monotonic clock.
            is_stalled: no frame is on its way, as far as anybody knows.
        """
        self._count()
        if self._arrivals:
            for frame in self._arrivals.pop_due(now_s * 1000):
                self._receive(frame, now_s)
        if is_stalled:
            self.pad()
        owes_words = self._sessions.owes_words or now_s - self._token_s < _LAST_WORDS_S
        if self.is_padded and not owes_words:
            self._publish(self._segmenter.close(FinalReason.PAUSE))

    def pad(self) -> None:
        """Send silence, so that the model says the last words though no audio comes."""
        has_words = self._segmenter.open_from_ms is not None or self._loud.start_ms is not None
        now_s = self._services.monotonic_s()
        if has_words and not self.is_padded and now_s >= self._may_pad_s:
            self._may_pad_s = now_s + _PAD_EVERY_S
            self._padded_ms = self.pipeline.position_ms
            self._token_s = now_s
            padding_ms = LONGEST_DELAY_MS + self._limits.segment_pause_ms + self._limits.chunk_ms
            self._keep(self.pipeline.pad(padding_ms), now_s)

    def hang_up(self) -> None:
        """Flush the pipeline; `run` then finishes in bounded time. Idempotent."""
        if not self._hung_up.is_set():
            now_s = self._services.monotonic_s()
            for frame in self._arrivals.flush() if self._arrivals else ():
                self._receive(frame, now_s)
            self._keep(self.pipeline.flush(), now_s)
            self._hung_up.set()
            self._hung_up_s = asyncio.get_running_loop().time()
            self._limit_the_end()
            self._sessions.wake()

    def _count(self) -> None:
        """Add to the metrics what came since the last time."""
        self._frames_total.inc(self.pipeline.frames - self._frames_counted)
        self._frames_counted = self.pipeline.frames
        self._audio_seconds_total.inc(self._uncounted_ms / 1000)
        self._uncounted_ms = 0

    def fail_unreachable(self, after_s: float) -> None:
        """After the hang-up: end if no session has been live for so long; 0 ends in any case."""
        deadline = self._deadline
        if not self._hung_up.is_set() or deadline is None or deadline.expired():
            return
        if self._sessions.unreachable_s >= after_s:
            deadline.reschedule(asyncio.get_running_loop().time())

    def _keep(self, pieces: Iterable[AudioChunk | AudioGap], now_s: float) -> None:
        """Keep chunks and declare gaps, in their order on the media clock; send what can be."""
        for piece in pieces:
            if isinstance(piece, AudioChunk):
                self._keep_chunk(piece, now_s)
            elif not self.error or self._answered_ms is None:
                # Else it is part of the one gap that is declared at the end.
                self._declare(piece.from_ms, piece.to_ms, self._cause_of(piece, now_s))
        if self.pipeline.suspected_encoding and not self._is_suspect:
            self._is_suspect = True
            found = self.pipeline.suspected_encoding
            report_mismatch(self._carrier, self.form, found, self._services.metrics)
        from_ms = self._find_replay_ms()
        self._ring.forget(from_ms)
        self._gaps.forget(from_ms)

    def _cause_of(self, missing: AudioGap, now_s: float) -> GapCause:
        """Distinguish audio that was lost on its way from audio that was never sent."""
        if missing.is_lost:
            return GapCause.CARRIER_LOSS
        if missing.from_ms == self._paused_ms:
            return GapCause.PAUSED
        ended_s = self._stall_ended_s
        was_stalled = ended_s is not None and now_s - ended_s < _AFTER_STALL_S
        return GapCause.NOT_SENT if was_stalled or self._arrivals else GapCause.CARRIER_LOSS

    def _keep_chunk(self, chunk: AudioChunk, now_s: float) -> None:
        self._uncounted_ms += chunk.end_ms - chunk.start_ms
        self._audio_end_ms = chunk.end_ms
        if self._settled_ms is None:
            self._settled_ms = self._answered_ms = chunk.start_ms
            self._furthest_ms = self._progress_ms = chunk.start_ms
        if is_loud(chunk.pcm):
            self.loud_s = now_s
            self._loud.note(chunk.start_ms, chunk.end_ms)
        if not self.error:
            for dropped in self._ring.push(chunk, now_s):
                self._drop(dropped)
            self.send()  # each at once: a burst must not push itself out of the ring

    def _fail(self, error: UpstreamError) -> None:
        """Keep the failure; the track's audio has no way to the model any more, nor has a word."""
        self.error = error
        is_over = self._hung_up.is_set()
        self._close_segment(FinalReason.HANGUP if is_over else FinalReason.ROLLOVER)
        self._ring.clear()
        self._dropped = None  # part of what is unanswered
        self._on_failed()

    def _limit_the_end(self) -> None:
        """Once the carrier has hung up, give the last words their time."""
        if self._hung_up.is_set() and self._deadline:
            self._deadline.reschedule(self._hung_up_s + self._limits.finish_timeout_s)

    # The sessions' side: see `SessionHost`

    @property
    def is_all_sent(self) -> bool:
        """Whether the carrier has hung up and no audio waits."""
        return self._hung_up.is_set() and not self._ring.unsent

    @property
    def is_all_said(self) -> bool:
        """Whether the carrier has hung up and no word can be missing."""
        if not self._hung_up.is_set() or self._segmenter.open_from_ms is not None:
            return False
        return self._answered_ms is None or self._answered_ms >= self._audio_end_ms

    @property
    def is_much_unanswered(self) -> bool:
        """Whether more audio has no answer than a model's idea of a token could explain."""
        answered_ms = self._answered_ms
        return answered_ms is not None and self._audio_end_ms - answered_ms >= _PROGRESS_MS

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
            self._abandon(self._ring.lost_ms, self._cause_of_drop)
            from_ms = self._find_replay_ms()
        self._starts_over = True
        replayed_ms = self._ring.rewind(from_ms)
        self._services.metrics.replayed_seconds_total.inc(replayed_ms / 1000)
        self.send()

    def take(self, token: Token) -> None:
        """Publish what a token completes."""
        text, placement, received_s = token
        self._token_s = received_s
        if self._starts_over:
            if not text and placement.end_ms < max(self._segmenter.end_ms, self._answered_ms or 0):
                return  # until it says something else, what the last session said stands
            self._starts_over = False
            self._segmenter.restart()
        settled_ms = self._settled_ms or 0
        if placement.end_ms <= settled_ms and placement.start_ms < settled_ms:
            return  # heard again, but its words have become final since
        self._answered_ms = placement.end_ms
        self._furthest_ms = max(self._furthest_ms, placement.end_ms)
        if self._furthest_ms >= self._progress_ms + _PROGRESS_MS:
            self._progress_ms = self._furthest_ms
            self._sessions.made_progress()
        if text or not placement.padding_ms:
            self._rut.note(text)
        if text and self.first_delta_s is None and self.first_audio_s is not None:
            self.first_delta_s = received_s - self.first_audio_s
            self._services.metrics.first_delta_seconds.observe(self.first_delta_s)
        self._publish(self._segmenter.delta(text, placement, received_s))
        if placement.padding_ms and self._is_padding_answered:
            self._publish(self._segmenter.close(FinalReason.PAUSE))

    @property
    def _is_padding_answered(self) -> bool:
        """Whether no audio has come since the padding, and the model has answered that."""
        if not (self.is_padded and self._segmenter.is_paused):
            return False
        return self._sessions.lag_ms <= USUAL_DELAY_MS

    def close_segment(self) -> None:
        """End the open segment with the words it has."""
        self._close_segment(FinalReason.ROLLOVER)

    def _close_segment(self, reason: FinalReason) -> None:
        """End the open segment; what a session before answered further on stands."""
        if self._answered_ms is not None:
            self._answered_ms = max(self._answered_ms, self._furthest_ms)
        self._publish(self._segmenter.close(reason))

    def abandon_audio(self, until_ms: int) -> None:
        """Declare what the sessions have not answered up to there: none will."""
        self._abandon(until_ms, GapCause.RECONNECT)

    def _abandon(self, until_ms: int, cause: GapCause) -> None:
        if self._answered_ms is not None and until_ms > self._answered_ms:
            self._declare(self._answered_ms, until_ms, cause)
            self._answered_ms = until_ms
            self._settle(until_ms)

    # What is settled, what is missing

    def _find_replay_ms(self) -> int:
        """Find where the next session would have to begin; what is before is never heard again."""
        answered_ms, settled_ms = self._answered_ms or 0, self._settled_ms or 0
        # Loud, answered for as long as a rut takes to show, and still no word: it holds none.
        self._loud.forget(answered_ms - self._rut.span_ms)
        from_ms = answered_ms
        if self._loud.start_ms is not None:
            from_ms = min(from_ms, self._loud.start_ms)
        if (open_from_ms := self._segmenter.open_from_ms) is not None:
            from_ms = min(from_ms, open_from_ms)
        return max(settled_ms, from_ms - _LEAD_IN_MS)

    def _publish(self, events: Iterable[TranscriptDelta | TranscriptFinal]) -> None:
        for event in events:
            self._writer.publish(event)
            if isinstance(event, TranscriptDelta):
                self.latency.observe(event.received_s - event.received_at)
            else:
                words = len(event.text.split())
                self.words += words
                self._words_total.inc(words)
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
        if self._starts_over or self._segmenter.is_behind:
            # What a session before said stands; it can't be replayed whole.
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
            cause = GapCause.BACKPRESSURE if self._sessions.is_live else self._cause_of_drop
            self._declare(gap.from_ms, gap.to_ms, cause)

    @property
    def _cause_of_drop(self) -> GapCause:
        """Why the ring overflowed: the last session failed, or audio came faster than it opened."""
        return GapCause.RECONNECT if self._sessions.failure else GapCause.BACKPRESSURE

    def _declare(self, from_ms: int, to_ms: int, cause: GapCause) -> None:
        for gap in self._gaps.declare(from_ms, to_ms, cause):
            self._services.metrics.gaps_total.labels(cause).inc()
            seconds = (gap.to_ms - gap.from_ms) / 1000
            self._services.metrics.gap_seconds_total.labels(cause).inc(seconds)
            self._writer.publish(gap)
