"""One track of a live stream: its audio to model sessions, the model's answers to events.

    receive(frame) -> TrackAudio -> ReplayBuffer -> ModelSession.append
    on_answer(answer) -> Segmenter -> EventWriter

Everything here runs on the event loop, and nothing per frame or answer awaits. Audio stays in the
replay buffer until its words are in a final transcript, so that another session can receive it when
one fails (`sessions.py`). `ReplayState` decides where a replay begins, and declares each stretch of
missing audio as a gap once.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from gateway.audio.encodings import TrackFormat
from gateway.audio.loudness import is_loud
from gateway.audio.pipeline import AudioChunk
from gateway.calls.arrivals import Arrivals
from gateway.calls.doubtful_audio import MediaSpan
from gateway.calls.placed_answers import LONGEST_DELAY_MS, USUAL_DELAY_MS, PlacedAnswer
from gateway.calls.replay_buffer import ReplayBuffer
from gateway.calls.replay_state import ReplayState
from gateway.calls.services import CallServices, Reservation
from gateway.calls.sessions import Sessions
from gateway.calls.silent_model import SilentModelWatch
from gateway.calls.snapshot import TrackSnapshot
from gateway.calls.track_audio import Piece, TrackAudio
from gateway.carriers.events import AudioFrame
from gateway.errors import UpstreamError
from gateway.histogram import Histogram
from gateway.metrics import LATENCY_OF_WORDS_S
from gateway.tracing import Span
from gateway.transcript.events import (
    EventWriter,
    FinalReason,
    GapCause,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)
from gateway.transcript.segmenter import Segmenter
from gateway.upstream.dialects.voxtral import TOKEN_MS

# Padding is about 4 s of audio: a carrier that pauses after each frame must not cause one each
# time. A pause within this time is padded once the track has stalled.
_PAD_EVERY_S: Final = 2.0
# A session with nothing unanswered sends no more words this long after its latest answer.
_LAST_ANSWER_S: Final = 1.5


class Track:
    """One direction of a stream, from its first frame to its last word. Implements `SessionHost`.

    Args:
        form: the track's name and encoding.
        role: who speaks on it.
        carrier: for metrics and the log.
        services: what all calls share.
        reservation: the session slots of the stream.
        writer: receives the track's events.
        on_final: called with each final transcript that has words.
        on_failed: called when `error` is set.
        trace: the span of the stream, for this track.
        untimed_peers: as in `TrackAudio`.

    Attributes:
        audio: its audio on the way in.
        sessions: its model sessions.
        error: why no further session can be opened; None if one can.
        words: number of words in final transcripts.
        latency: seconds from the arrival of the newest audio a delta covers to the delta.
        first_delta_s: seconds from the first frame to the first text; None before it.
        loud_s: when the newest audio that may be speech arrived, on the monotonic clock.
    """

    def __init__(
        self,
        form: TrackFormat,
        role: str,
        carrier: str,
        services: CallServices,
        reservation: Reservation,
        writer: EventWriter,
        on_final: Callable[[TranscriptFinal], None],
        on_failed: Callable[[], None],
        *,
        trace: Span,
        untimed_peers: list[Arrivals] | None = None,
    ) -> None:
        limits = services.limits
        self.form = form
        self.role = role
        self.audio = TrackAudio(form, role, carrier, services, untimed_peers)
        self.sessions = Sessions(self, services, reservation, trace)
        self.error: UpstreamError | None = None
        self.words = 0
        self.latency = Histogram(LATENCY_OF_WORDS_S)
        self.first_delta_s: float | None = None
        self.loud_s: float | None = None
        self._services = services
        self._limits = limits
        self._writer = writer
        self._on_final = on_final
        self._on_failed = on_failed
        self._words_total = services.metrics.words_total.labels(carrier, role)
        self._segmenter = Segmenter(
            form.track, role, pause_ms=limits.segment_pause_ms, max_ms=limits.segment_max_ms
        )
        self._buffer = ReplayBuffer(limits.replay_ms)
        self._replay = ReplayState(form.track)
        self._doubtful = self._replay.doubtful
        self._silence = SilentModelWatch(limits.rut_deltas * TOKEN_MS)
        self._hung_up = asyncio.Event()
        self._hung_up_s = 0.0  # when, on the loop's clock
        self._deadline: asyncio.Timeout | None = None  # for the pending words after the hang-up
        self._restarts = False  # no answer of the replay has been used yet
        self._answer_s = 0.0  # when the newest answer arrived, or padding was sent
        self._may_pad_s = float("-inf")

    @property
    def position_ms(self) -> int:
        """Media time up to which audio was received."""
        return self.audio.pipeline.position_ms

    @property
    def segments(self) -> int:
        """Number of segments so far."""
        return self._segmenter.segment

    @property
    def gap_ms(self) -> int:
        """Total length of the declared gaps."""
        return self._replay.gap_ms

    @property
    def dropped_ms(self) -> int:
        """Audio dropped because no session accepted it."""
        return self._replay.dropped_ms

    def snapshot(self, started_s: float) -> TrackSnapshot:
        """Return the track's state; `started_s` is the stream's, on the monotonic clock."""
        audio, sessions = self.audio, self.sessions
        audio_s = None if audio.first_s is None else audio.first_s - started_s
        answered_ms = self._replay.answered_ms or 0
        has_text = audio_s is not None and self.first_delta_s is not None
        return TrackSnapshot(
            track=self.form.track,
            role=self.role,
            state="failed" if self.error else sessions.state,
            endpoint=sessions.endpoint,
            position_ms=self.position_ms,
            answered_ms=answered_ms,
            lag_ms=max(0, self.position_ms - answered_ms),
            buffered_ms=self._buffer.unsent_ms,
            reconnects=sessions.reconnects,
            rollovers=sessions.rollovers,
            segments=self.segments,
            gap_ms=self.gap_ms,
            first_audio_s=audio_s,
            first_partial_s=(audio_s or 0) + (self.first_delta_s or 0) if has_text else None,
            suspected_encoding=audio.pipeline.suspected_encoding,
        )

    # Called by the stream

    async def run(self) -> None:
        """Transcribe the track until the carrier has hung up and its last word has arrived.

        Every wait except that for the hang-up has a timeout. A failure is stored in `error`, not
        raised; the track then only waits for the hang-up, because its gap ends there.
        """
        try:
            async with asyncio.timeout(None) as self._deadline:
                self._limit_end()
                if not self.error:
                    await self.sessions.run()
        except TimeoutError:
            self._fail(self.sessions.retries.failure or UpstreamError("finish-timeout"))
        except UpstreamError as error:
            self._fail(error)
        finally:
            self._deadline = None
            try:
                if self.error:
                    await self._hung_up.wait()
            finally:  # even when a bug in another track ends the stream
                self.audio.report()
                self._close_segment(FinalReason.HANGUP)
                self._declare_unanswered()
                self._buffer.clear()  # the track may be garbage-collected much later

    def refuse(self, error: UpstreamError) -> None:
        """Set the error before `run`: no session will be opened."""
        self.error = error

    def receive(self, frame: AudioFrame, now_s: float) -> None:
        """Process one frame."""
        if pieces := self.audio.receive(frame, now_s):
            self._add(pieces, now_s)

    def pause(self) -> None:
        """Record that the carrier paused the stream, and flush pending words."""
        self._replay.pause(self.position_ms)
        self._pad()

    def tend(self, now_s: float, *, is_stalled: bool) -> None:
        """Flush pending words and report metrics; the stream calls this about once a second.

        Args:
            now_s: on the monotonic clock.
            is_stalled: no audio has arrived for a while, and the adapter holds none back.
        """
        self.audio.report()
        if pieces := self.audio.pop_due(now_s):
            self._add(pieces, now_s)
        if is_stalled:
            self._pad()
        may_get_words = self.sessions.owe_words or now_s - self._answer_s < _LAST_ANSWER_S
        if self._is_padded and not (may_get_words or self._buffer.unsent):
            self._publish(self._segmenter.close(FinalReason.PAUSE))

    def hang_up(self) -> None:
        """Flush the audio; `run` then returns in bounded time. Idempotent."""
        if not self._hung_up.is_set():
            now_s = self._services.monotonic_s()
            self._add(self.audio.flush(now_s), now_s)
            self._hung_up.set()
            self._hung_up_s = asyncio.get_running_loop().time()
            self._limit_end()
            self.sessions.wake()

    def fail_unreachable(self, after_s: float) -> None:
        """After the hang-up, fail if no session was live for `after_s`; 0 fails in any case."""
        deadline = self._deadline
        if not self._hung_up.is_set() or deadline is None or deadline.expired():
            return
        if self.sessions.unreachable_s >= after_s:
            deadline.reschedule(asyncio.get_running_loop().time())

    # Called by the sessions: see `SessionHost`

    @property
    def is_sending_done(self) -> bool:
        """Whether the carrier has hung up and no audio is unsent."""
        return self._hung_up.is_set() and not self._buffer.unsent

    @property
    def has_unsent(self) -> bool:
        """Whether audio waits for a session."""
        return self._buffer.unsent is not None

    @property
    def is_transcription_done(self) -> bool:
        """Whether the carrier has hung up and no word can be missing."""
        is_open = self._segmenter.open_from_ms is not None
        is_certain = self._replay.is_all_answered and not self._doubtful.has_assumed
        return self._hung_up.is_set() and not is_open and is_certain

    @property
    def is_far_behind(self) -> bool:
        """Whether a second or more of audio is unanswered, so that a `done` would be premature."""
        return self._replay.is_far_behind

    @property
    def is_quiet(self) -> bool:
        """Whether the current pause is long enough to end a segment."""
        loud_ms = self._replay.loud_end_ms
        if self._is_padded or loud_ms is None:
            return True
        return self.position_ms - loud_ms >= self._limits.segment_pause_ms

    def has_speech_before(self, until_ms: int) -> bool:
        """Return whether audio before a time is loud and not answered."""
        return self._replay.has_speech_before(until_ms)

    @property
    def is_model_silent(self) -> bool:
        """Whether the model returns no words although someone speaks."""
        return self._silence.is_silent(self._replay.loud_ms)

    def double_silence_threshold(self) -> None:
        """Wait twice as long until the model counts as silent again."""
        self._silence.back_off()

    def send(self) -> None:
        """Send unsent audio for as long as the session accepts it."""
        while unsent := self._buffer.unsent:
            chunk, audio_received_s = unsent
            session = self.sessions.receiver
            if session is None:
                self.sessions.wake()
                return
            if not session.append(chunk, audio_received_s):
                return
            self._buffer.mark_sent()
            if self._replay.has_dropped:  # before this chunk: their run ends here
                self._publish_gaps(self._replay.declare_dropped(self._cause_of_drop))
        if self._hung_up.is_set():
            self.sessions.wake()

    def replay(self) -> None:
        """Send again all audio that may have words which are not final."""
        self._declare(self._doubtful.fail(self._buffer.lost_ms), self._cause_of_overflow)
        self._trim()
        from_ms = self._replay_from_ms
        if self._buffer.lost_ms > from_ms:
            # The beginning of the segment was evicted: keep its words, continue after them.
            self._replay.clear_dropped()  # it is in the gap declared here
            self.close_segment()
            self._publish_gaps(self._replay.abandon(self._buffer.lost_ms, self._cause_of_overflow))
            self._trim()
            from_ms = self._replay_from_ms
        self._restarts = True
        self._count_unproven(from_ms)
        replayed_ms = self._buffer.rewind(from_ms)
        self._services.metrics.replayed_seconds_total.inc(replayed_ms / 1000)
        self.send()

    def on_answer(self, answer: PlacedAnswer) -> None:
        """Publish what an answer of the current session completes."""
        text, placement, received_s = answer.text, answer.placement, answer.received_s
        replay, doubtful = self._replay, self._doubtful
        self._answer_s = received_s
        if self._restarts:
            if not text and placement.end_ms < max(self._segmenter.end_ms, replay.answered_ms or 0):
                return  # keep the words of the session before until this one says others
            self._restarts = False
            if text or answer.audio_ms:
                self._segmenter.restart()
            else:  # the server has not answered: keep them in any case
                self.close_segment()
        if replay.is_settled(placement.start_ms, placement.end_ms):
            return  # replayed, but its words have become final since
        if answer.is_missed:
            self._publish_gaps(replay.abandon(answer.answered_ms or 0, GapCause.MODEL_MUTE))
            return
        if doubtful.has_any and not (answer.is_assumed and not text):
            self._confirm(answer)
        if answer.is_assumed:
            doubtful.assume(answer, replay.answered_ms or 0)
        if answer.answered_ms is not None and replay.answer(answer.answered_ms):
            self.sessions.retries.reset()
        if text or not placement.padding_ms:
            self._silence.note(text, answer.audio_ms)
        if text and self.first_delta_s is None and self.audio.first_s is not None:
            self.first_delta_s = received_s - self.audio.first_s
            self._services.metrics.first_delta_seconds.observe(self.first_delta_s)
        is_final = answer.answered_ms is not None
        if answer.replaces:
            events = self._segmenter.replace(
                text,
                answer.provisional,
                placement,
                received_s,
                answered_ms=answer.answered_ms,
                language=answer.language,
            )
        else:
            events = self._segmenter.delta(text, placement, received_s, is_final=is_final)
        self._publish(events)
        if answer.ends_segment and not self._segmenter.is_behind:
            self._publish(self._segmenter.close(FinalReason.PAUSE))
            if text and answer.answered_ms is not None and not answer.is_assumed:
                replay.settle(answer.answered_ms)  # with the pause: no word begins there
        if placement.padding_ms and self._is_padding_answered:
            self._publish(self._segmenter.close(FinalReason.PAUSE))

    def _confirm(self, answer: PlacedAnswer) -> None:
        """Count or declare the doubtful audio whose doubt an answer removes."""
        confirmed = self._doubtful.confirm(answer, self._segmenter.open_from_ms)
        self._declare(confirmed.missing, GapCause.MODEL_MUTE)
        metric = self._services.metrics.wordless_speech_seconds_total
        metric.inc(confirmed.wordless_ms / 1000)

    def _count_unproven(self, until_ms: int) -> None:
        unproven_ms = self._doubtful.pop_spoken_ms(until_ms)
        self._services.metrics.unproven_speech_seconds_total.inc(unproven_ms / 1000)

    def _declare(self, spans: Iterable[MediaSpan], cause: GapCause) -> None:
        self._publish_gaps(self._replay.declare_all(spans, cause))

    def close_segment(self) -> None:
        """Close the open segment with the words it has; the next session opens another one."""
        self._close_segment(FinalReason.ROLLOVER)

    def abandon(self, until_ms: int) -> None:
        """Declare audio up to this time that no session has answered, nor will."""
        self._publish_gaps(self._replay.abandon(until_ms, GapCause.RECONNECT))

    # Audio

    def _add(self, pieces: Iterable[Piece], now_s: float) -> None:
        """Buffer chunks and declare gaps, in media clock order; send what the session accepts."""
        for piece in pieces:
            if isinstance(piece, AudioChunk):
                self._add_chunk(piece, now_s)
            elif not self.error or self._replay.answered_ms is None:
                # Else it is part of the one gap that is declared at the end.
                is_paused = self._replay.was_paused_at(piece.from_ms)
                cause = self.audio.cause_of(piece, now_s, is_paused=is_paused)
                self._publish_gaps(self._replay.declare(piece.from_ms, piece.to_ms, cause))
        self.audio.report_mismatch()
        self._trim()

    def _add_chunk(self, chunk: AudioChunk, now_s: float) -> None:
        loud = is_loud(chunk.pcm)
        if loud:
            self.loud_s = now_s
        self._replay.add_audio(chunk.start_ms, chunk.end_ms, is_loud=loud)
        if not self.error:
            for dropped in self._buffer.push(chunk, now_s):
                self._drop(dropped)
            self.send()  # after each chunk: a burst must not evict its own beginning

    def _drop(self, chunk: AudioChunk) -> None:
        """Record a chunk that the full buffer dropped."""
        if self._restarts or self._segmenter.is_behind:
            # A whole replay is impossible now: keep the words of the session before.
            self._restarts = False
            self.close_segment()
            self._buffer.rewind(self._replay_from_ms)
        gaps = self._replay.drop(chunk.start_ms, chunk.end_ms, self._cause_of_drop)
        self._publish_gaps(gaps)

    def _pad(self) -> None:
        """Send silence, so that the model returns its pending words while no audio arrives."""
        has_words = self._segmenter.open_from_ms is not None or self._replay.has_wordless_speech
        now_s = self._services.monotonic_s()
        if has_words and not self._is_padded and now_s >= self._may_pad_s:
            self._may_pad_s = now_s + _PAD_EVERY_S
            self._replay.pad(self.position_ms)
            self._answer_s = now_s
            padding_ms = LONGEST_DELAY_MS + self._limits.segment_pause_ms + self._limits.chunk_ms
            self._add(self.audio.pipeline.pad(padding_ms), now_s)

    @property
    def _is_padded(self) -> bool:
        """Whether padding is the newest audio."""
        return self._replay.is_padded(self.position_ms)

    @property
    def _is_padding_answered(self) -> bool:
        """Whether padding is the newest audio, and the model has answered it."""
        is_paused = self._is_padded and self._segmenter.is_paused
        return is_paused and self.sessions.lag_ms <= USUAL_DELAY_MS

    @property
    def _replay_from_ms(self) -> int:
        """Where the next session must begin."""
        return self._replay.replay_from_ms(self._segmenter.open_from_ms, self._silence.span_ms)

    def _trim(self) -> None:
        """Drop audio and records that no replay will need."""
        silent_ms = self._silence.span_ms
        from_ms = self._replay.replay_from_ms(self._segmenter.open_from_ms, silent_ms)
        self._replay.trim(from_ms, silent_ms)
        self._buffer.drop_before(from_ms)

    # Events

    def _publish(self, events: Iterable[TranscriptDelta | TranscriptFinal]) -> None:
        for event in events:
            self._writer.publish(event)
            if isinstance(event, TranscriptDelta):
                self.latency.observe(event.delta_received_s - event.audio_received_s)
            else:
                words = len(event.text.split())
                self.words += words
                self._words_total.inc(words)
                answered_ms = self._replay.answered_ms or 0
                end_ms = event.end_ms if event.text else min(event.end_ms, answered_ms)
                self._replay.settle_words(end_ms, has_words=bool(event.text))
                if event.text:
                    self._on_final(event)

    def _publish_gaps(self, gaps: Iterable[TranscriptGap]) -> None:
        metrics = self._services.metrics
        for gap in gaps:
            metrics.gaps_total.labels(gap.cause).inc()
            metrics.gap_seconds_total.labels(gap.cause).inc((gap.to_ms - gap.from_ms) / 1000)
            self._writer.publish(gap)

    def _close_segment(self, reason: FinalReason) -> None:
        self._replay.keep_furthest()
        self._publish(self._segmenter.close(reason))

    @property
    def _cause_of_drop(self) -> GapCause:
        """Why the buffer is full: a session too slow, or none."""
        return GapCause.BACKPRESSURE if self.sessions.is_live else self._cause_of_overflow

    @property
    def _cause_of_overflow(self) -> GapCause:
        """Why the buffer filled up without a session: one failed, or none was open in time."""
        return GapCause.RECONNECT if self.sessions.retries.failure else GapCause.BACKPRESSURE

    # The end

    def _fail(self, error: UpstreamError) -> None:
        """Store the failure: no more audio can be sent and no more words received."""
        self.error = error
        is_over = self._hung_up.is_set()
        self._close_segment(FinalReason.HANGUP if is_over else FinalReason.ROLLOVER)
        self._buffer.clear()
        self._replay.clear_dropped()  # it is part of what is unanswered
        self._on_failed()

    def _declare_unanswered(self) -> None:
        """Declare all audio that was neither answered nor declared."""
        self._publish_gaps(self._replay.declare_dropped(self._cause_of_drop))
        if (answered_ms := self._replay.answered_ms) is not None:
            cause = GapCause.RECONNECT if self.error else GapCause.MODEL_MUTE
            self._count_unproven(answered_ms)
            missing = [*self._doubtful.pop(answered_ms), (answered_ms, self.position_ms)]
            self._declare(missing, cause)

    def _limit_end(self) -> None:
        """Limit the wait for words after the hang-up."""
        if self._hung_up.is_set() and self._deadline:
            self._deadline.reschedule(self._hung_up_s + self._limits.finish_timeout_s)
