"""One model session of a track: its slot at an endpoint, its audio and answers, its health."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec
import structlog

from gateway.audio.encodings import G711_HZ, TrackFormat
from gateway.audio.loudness import is_loud
from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk
from gateway.calls.services import CallServices, SessionSlot
from gateway.calls.turn_audio import TurnAudio
from gateway.calls.words_only import WordsOnlyWatch
from gateway.errors import UpstreamError
from gateway.tracing import Span
from gateway.transcript.session_timeline import Placement, SessionTimeline
from gateway.upstream.dialects.dialect import Answer, Clock, Speech
from gateway.upstream.session import RealtimeSession
from gateway.upstream.speech_watch import SpeechWatch
from gateway.upstream.turns import Quiet

# Audio a model may buffer before it answers: Voxtral's longest delay, and its first token.
LONGEST_DELAY_MS: Final = 2400 + 80
USUAL_DELAY_MS: Final = 480 + 80  # Voxtral's default, and its first token

# Silence this long ago counts as answered: the server may still find words in soft speech.
_SOFT_SPEECH_MS: Final = 3000
# A server that is asked to end, because it is mute, has this long to send an answer.
_LAST_ANSWER_S: Final = 3.0
_TICK_S: Final = 1.0  # how often a session is checked while it finishes
_IDLE_S: Final = 8.0  # without audio, after which an end is no failure; vendors wait 10 s or more

_log = structlog.get_logger()


class PlacedAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer on the media clock; see `Answer`.

    Attributes:
        text: its text; "" without words.
        placement: where its speech is.
        answered_ms: audio before this time is answered; None if the text is provisional.
        received_s: when it was received, on the monotonic clock.
        audio_ms: length of its speech, without the jumps of the media clock; 0 if the server has
            not answered this audio.
        replaces: whether it replaces the provisional text.
        ends_segment: whether the utterance ends here.
        is_missed: whether the server could not transcribe this audio.
        provisional: more text, which is provisional although `text` is final.
        language: the language that the server detected, BCP 47; None if it does not report it.
        is_assumed: whether the server has not answered: it sends nothing for what is no speech. If
            there is text, that reached `assumed_from_ms` at the latest.
        assumed_from_ms: see `is_assumed`.
    """

    text: str
    placement: Placement
    answered_ms: int | None
    received_s: float
    audio_ms: int
    replaces: bool = False
    ends_segment: bool = False
    is_missed: bool = False
    provisional: str = ""
    language: str | None = None
    is_assumed: bool = False
    assumed_from_ms: int = 0

    @classmethod
    def silence(cls, placement: Placement, now_s: float) -> "PlacedAnswer":
        """Return the answer for audio without speech that no server has received."""
        return cls("", placement, placement.end_ms, now_s, 0)


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
        answers: number of answers received.
        has_text: whether one of them had text.
        error: why it failed; None if it did not.
        has_expired: whether the server has ended it because it received no audio. That is no
            failure.
        opened_s: when it was open, on the monotonic clock.
        sent_s: when audio was last sent, or it was opened, on the monotonic clock.
        longest_s: after this time the server, or its platform, ends it; inf: never.
        is_unsure: whether it is mute, although its server may have had nothing to answer: its end
            will show that.
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
        limits = services.limits
        self.slot = slot
        self.timeline = SessionTimeline()
        self.answers = 0
        self.has_text = False
        self.error: UpstreamError | None = None
        self.has_expired = False
        self.opened_s = 0.0
        self.sent_s = 0.0
        ends_s = (slot.dialect.capabilities.longest_session_s, slot.transport.longest_stream_s)
        self.longest_s = min(each or float("inf") for each in ends_s)
        self.is_unsure = False
        self._finish_s = 0.0  # when it was asked to end
        self._services = services
        self._resume = on_writable
        self._writable = asyncio.Event()  # set whenever the session may accept what waits
        self._on_answer = on_answer
        self._on_over = on_over
        self._is_current = is_current
        self._span = span
        self._held: deque[PlacedAnswer] = deque()
        self._live = services.metrics.sessions_live
        self._is_in_live_metric = False  # in that metric
        self._capabilities = slot.dialect.capabilities
        self._options = slot.options
        if form and form.rate_hz == G711_HZ and form.encoding in self._capabilities.encodings:
            self._options = replace(slot.options, encoding=form.encoding)
        self._dialect = slot.dialect.session(self._options)
        self._session = RealtimeSession(
            self,
            self._dialect,
            done_timeout_s=limits.done_timeout_s,
            is_audio_binary=self._capabilities.is_audio_binary,
            largest_append_bytes=self._capabilities.largest_append_bytes,
        )
        self._healthy_s = 0.0  # when it last sent an answer, or had nothing to answer
        self._is_late = False  # its first answer, and that was counted
        self._is_finishing = False
        self._sent_bytes = 0
        self._kept_alive_s = 0.0  # when `keep_alive` was last called
        self._keeping: asyncio.TimerHandle | None = None  # when it may be due again
        self._due_ms = 0  # audio of this session before this time must be answered
        self._answered_ms = 0  # audio of this session before this time is answered
        self._empty = 0  # number of answers without text
        self._words_only = WordsOnlyWatch()
        clock = self._capabilities.clock
        self._turns = self._new_turns() if clock is Clock.TURNS else None
        self._speech: SpeechWatch | None = None
        if clock is Clock.SPEECH:
            self._speech = SpeechWatch(
                limits.mute_timeout_s,
                mute_before=mute_before,
                is_asked_again=is_asked_again,
                answers_noise=self._capabilities.answers_noise,
            )
        self._lagging_since: tuple[float, int] | None = None  # when, and by how much
        self._is_cutting = False  # text without times becomes final, which the server did not say

    async def open(self) -> None:
        """Open the session; it accepts audio afterwards.

        Raises:
            UpstreamError: classified; the slot is released.
        """
        services = self._services
        began_s = services.monotonic_s()
        slot, timeout_s = self.slot, services.limits.open_timeout_s
        await self._session.open(slot.transport, timeout_s, slot.address(self._options))
        self.opened_s = self.sent_s = self._healthy_s = services.monotonic_s()
        self._span.event("opened")
        services.metrics.session_open_seconds.observe(self.opened_s - began_s)
        services.metrics.sessions_opened_total.inc()
        self._is_in_live_metric = True
        self._live.inc()
        self._keep_alive()

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
        """Audio whose answer is missing: of all audio, of speech, or of the turns that were cut."""
        if self._speech:
            return self._speech.lag_ms
        return max(0, self._due_ms - self._answered_ms)

    @property
    def is_healthy(self) -> bool:
        """Whether it is open and no answer is due; all answers are due after the final commit."""
        return not (self.is_over or self._owes_answers)

    @property
    def _owes_answers(self) -> bool:
        allowed_ms = 0 if self._is_finishing else self._capabilities.delay_ms
        has_provisional = self._speech is not None and self._speech.has_provisional
        return has_provisional or self.lag_ms > allowed_ms

    @property
    def is_doubtful(self) -> bool:
        """Whether it ended without text for audio that may be speech, so that another is asked."""
        return self.is_over and self._speech is not None and self._speech.is_doubtful

    @property
    def _sent_ms(self) -> int:
        return self._sent_bytes // BYTES_PER_MS

    def append(self, chunk: AudioChunk, audio_received_s: float) -> bool:
        """Send a chunk; return False if the session did not accept it.

        A server that answers turns gets only their audio. Otherwise all audio is sent. Then, after
        a jump of the media clock, the chunk must start on a border of the server's units: otherwise
        one unit would cover audio from before and after the jump. So the unfinished unit is padded
        with silence, which has no position on the media clock.
        """
        if self._turns:
            return self._turns.append(chunk, audio_received_s)
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
        before_ms = self._sent_ms
        self._sent_bytes += len(chunk.pcm)
        sent_ms = self._sent_ms
        self.timeline.record_sent(
            chunk.start_ms, chunk.end_ms, sent_ms - before_ms, audio_received_s
        )
        self.sent_s = self._services.monotonic_s()
        if self._capabilities.clock is Clock.AUDIO:
            self._due_ms = sent_ms
        elif self._speech and is_loud(chunk.pcm):
            self._speech.add_loud(before_ms, sent_ms, self.sent_s)
        return True

    # Turns

    def _new_turns(self) -> TurnAudio:
        return TurnAudio(
            self._capabilities.longest_turn_ms,
            self._services.limits.segment_pause_ms,
            send=self._send,
            cut=self._cut,
            on_quiet=self._answer_quiet,
            position_ms=lambda: self._sent_ms,
        )

    def _cut(self, speech: Speech) -> None:
        self._due_ms = self._sent_ms
        self._session.cut(speech)

    def _answer_quiet(self, quiet: Quiet) -> None:
        """Treat audio without speech that was not sent as answered."""
        chunk = quiet.chunk
        placement = Placement(chunk.start_ms, chunk.end_ms, quiet.received_s)
        now_s = self._services.monotonic_s()
        self._pass_on(PlacedAnswer.silence(placement, now_s))

    async def finish(self) -> None:
        """Send the final commit and wait for `done`, in bounded time.

        Raises:
            UpstreamError: it failed before its `done`.
        """
        if self.is_healthy:  # the latest check may be a while ago
            self._healthy_s = self._services.monotonic_s()
        self._is_finishing, self._finish_s = True, self._services.monotonic_s()
        self._span.set(reason="done")
        checking = asyncio.create_task(self._check_end(), name="finishing")
        try:
            if self._turns:
                self._turns.end()
                while not (self._turns.flush() or self.is_over):
                    await self._writable.wait()
                    self._writable.clear()
            await self._session.finish()
        finally:
            checking.cancel()
        if self._speech:
            self._conclude(self._speech)

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
        self._check_model(now_s)
        if self._speech:
            self._check_speech(self._speech, now_s)
        elif self.is_healthy:
            self._healthy_s = now_s
        else:
            silent_s = now_s - self._healthy_s
            self._warn_if_late(silent_s)
            if silent_s >= self._services.limits.mute_timeout_s:
                self._fail_mute()

    def _warn_if_late(self, silent_s: float) -> None:
        is_late = silent_s >= self._services.limits.first_delta_late_s
        if is_late and not (self.answers or self._is_late):
            self._is_late = True
            self._services.metrics.first_deltas_late_total.labels(self.slot.endpoint).inc()
            _log.warning("first-delta-late", endpoint=self.slot.endpoint)

    def _fail_mute(self) -> None:
        reason = "session-stalled" if self.answers else "session-mute"
        self.fail(UpstreamError(reason))

    def _check_model(self, now_s: float) -> None:
        is_mismatch = self._capabilities.clock is Clock.AUDIO and self._words_only.sample(
            now_s,
            answers=self.answers,
            empty=self._empty,
            answered_ms=self._answered_ms,
            lag_ms=self.lag_ms,
        )
        if is_mismatch:
            self.fail(UpstreamError("model-mismatch", "only words, far fewer than the audio"))

    def _keep_alive(self) -> None:
        """Keep the session open while it receives no audio, whoever waits for it or another one."""
        after_s = self._capabilities.keep_alive_s
        if after_s is None or self.is_over:
            return
        now_s = self._services.monotonic_s()
        left_s = max(self.sent_s, self._kept_alive_s) + after_s - now_s
        if left_s <= 0:
            self._kept_alive_s, left_s = now_s, after_s
            self._session.keep_alive()
        self._keeping = asyncio.get_running_loop().call_later(left_s, self._keep_alive)

    # Speech

    def _check_speech(self, speech: SpeechWatch, now_s: float) -> None:
        """Fail a mute session; end speech whose text is complete; answer silence.

        A server that answers all loud audio is asked to end before it is taken for mute.
        """
        if self.is_over:
            return
        if speech.is_doubtful or speech.answers_noise:
            self._warn_if_late(speech.waits_s(now_s))
        is_mute = speech.is_mute(now_s)
        self.is_unsure = is_mute and speech.answers_noise
        if self.is_unsure:
            if self._is_finishing and now_s - self._finish_s >= _LAST_ANSWER_S:
                self._fail_mute()
            return
        if is_mute:
            if confirmed := speech.confirmed:
                self._cut_speech(confirmed)  # no other session will have more words
            self._fail_mute()
            return
        if complete := speech.pause(now_s, self._sent_ms):
            self._cut_speech(complete)
        until_ms = self._sent_ms - max(self._capabilities.delay_ms, _SOFT_SPEECH_MS)
        until_ms = min(until_ms, speech.silence_ms(until_ms))
        self._answer_for_server(until_ms, is_assumed=not speech.answers_noise)

    def _cut_speech(self, speech: Speech) -> None:
        self._is_cutting = True
        self._session.cut(speech)
        self._is_cutting = False

    def _conclude(self, speech: SpeechWatch) -> None:
        """Answer what a server that answers only speech has left unanswered at its end.

        Loud audio without text is left to another session, or declared missing.
        """
        if speech.answers_noise:
            self._answer_for_server(speech.silence_ms(self._sent_ms))
            return
        speech.end(self._sent_ms)
        is_missing = speech.is_missing
        if speech.is_doubtful and not is_missing:
            return
        if is_missing:
            self._answer_for_server(speech.covered_ms)
        self._answer_for_server(self._sent_ms, is_missed=is_missing, is_last=True)
        speech.accept()

    def _declare_lost(self, speech: SpeechWatch, answer: Answer) -> None:
        if speech.has_lost and answer.text and answer.until_ms is not None:
            speech.has_lost = False
            self._answer_for_server(answer.start_ms, is_missed=True)

    def _answer_for_server(
        self,
        until_ms: int,
        *,
        is_missed: bool = False,
        is_assumed: bool = False,
        is_last: bool = False,
    ) -> None:
        begin_ms = self._answered_ms
        if (until_ms > begin_ms or is_last) and self.timeline.sent_ms is not None:
            placement = self.timeline.place(begin_ms, until_ms, is_final=True)
            self._answered_ms = until_ms
            now_s = self._services.monotonic_s()
            answer = PlacedAnswer("", placement, placement.end_ms, now_s, 0, is_missed=is_missed)
            self._pass_on(msgspec.structs.replace(answer, is_assumed=is_assumed))

    def fail(self, error: UpstreamError) -> None:
        """End it because of a failure that the peer did not report."""
        self._session.fail(error)

    def measure_lag(self, now_s: float) -> None:
        """Record since when, and by how much, the session lags."""
        speech = self._speech
        is_mute = False
        if speech and not speech.answers_noise:
            is_mute = speech.waits_s(now_s) >= _TICK_S
        if self.lag_ms <= self._services.limits.max_lag_ms or is_mute:
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
        if not self.answers:
            self.slot.worked()
            self._span.event("first-delta")
        self.answers += 1
        self._empty += not answer.text
        self.has_text = self.has_text or bool(answer.text)
        self._healthy_s = now_s = self._services.monotonic_s()
        if self._speech:
            self._speech.answer(answer, now_s)
            self._declare_lost(self._speech, answer)
            if answer.until_ms is None:
                answer = self._speech.place(answer)
        if self._turns is None:
            self._place(answer, now_s)
            return
        for each in self._turns.place(answer):
            self._place(each, now_s)
        if answer.until_ms is not None:  # although the words at its end may be provisional
            self._answered_ms = answer.until_ms
        if quiet := self._turns.pop_quiet():
            self._answer_quiet(quiet)

    def _place(self, answer: Answer, received_s: float) -> None:
        start_ms, end_ms, until_ms = answer.start_ms, answer.end_ms, answer.until_ms
        if answer.text and self._speech:
            start_ms, end_ms = self.timeline.within_run(start_ms, end_ms)
        placement = self.timeline.place(start_ms, end_ms, is_final=until_ms is not None)
        answered_ms: int | None = placement.end_ms
        if until_ms is None:
            answered_ms = None
        else:
            self._answered_ms = max(self._answered_ms, until_ms)
            if until_ms != end_ms:
                answered_ms = self.timeline.media_ms(until_ms)
        self._pass_on(
            PlacedAnswer(
                answer.text,
                placement,
                answered_ms,
                received_s,
                end_ms - start_ms,
                answer.replaces,
                answer.ends_segment,
                answer.is_missed,
                answer.provisional,
                answer.language,
                self._is_cutting,
                self.timeline.media_ms(min(end_ms + USUAL_DELAY_MS, until_ms or end_ms))
                if self._is_cutting
                else 0,
            )
        )

    def _pass_on(self, answer: PlacedAnswer) -> None:
        if self._is_current:
            self._on_answer(answer)
        else:
            self._held.append(answer)

    def on_writable(self) -> None:
        """Send what waits for the session, then more."""
        self._writable.set()
        if self._turns is None or self._turns.flush():
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
        is_open = self.opened_s > 0 and not self._is_finishing
        idle_s = self._services.monotonic_s() - self.sent_s
        return is_open and error.info.retry and not self._owes_answers and idle_s >= _IDLE_S
