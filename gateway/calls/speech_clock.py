"""The clock of a server that answers words while they arrive, and sends nothing for silence.

What it must still answer is decided by `upstream/speech_watch.py`; here is what follows.
"""

from collections.abc import Callable
from typing import Final

from gateway.audio.loudness import is_loud
from gateway.audio.pipeline import AudioChunk
from gateway.calls.placed_answers import AnswerPlacer
from gateway.calls.sent_audio import SentAudio
from gateway.calls.session_health import SessionHealth
from gateway.upstream.dialects.dialect import Answer
from gateway.upstream.session import RealtimeSession
from gateway.upstream.speech_watch import SpeechWatch

# Silence this long ago counts as answered: the server may still find words in soft speech.
_SOFT_SPEECH_MS: Final = 3000
# A server that is asked to end, because it is mute, has this long to send an answer.
_LAST_ANSWER_S: Final = 3.0
_MUTE_S: Final = 1.0  # without text for speech, after which a lag shows that


class SpeechClock:
    """See `SessionClock`: speech is due.

    Args:
        speech: what is due.
        delay_ms: see `Capabilities`.
        session: what is asked for final text.
        audio: what sends the audio.
        placer: what answers are passed to.
        health: what fails a mute session.
    """

    def __init__(
        self,
        speech: SpeechWatch,
        delay_ms: int,
        *,
        session: RealtimeSession,
        audio: SentAudio,
        placer: AnswerPlacer,
        health: SessionHealth,
    ) -> None:
        self.append: Callable[[AudioChunk, float], bool] = audio.append
        self.is_unsure = False
        self._speech = speech
        self._quiet_ms = max(delay_ms, _SOFT_SPEECH_MS)
        self._session = session
        self._audio = audio
        self._placer = placer
        self._health = health
        audio.on_sent = self._watch
        placer.is_within_runs = True

    def _watch(self, chunk: AudioChunk, begin_ms: int, end_ms: int) -> None:
        if is_loud(chunk.pcm):
            self._speech.add_loud(begin_ms, end_ms, self._audio.sent_s)

    @property
    def lag_ms(self) -> int:
        """Audio up to the end of the speech that has no text."""
        return self._speech.lag_ms

    @property
    def has_provisional(self) -> bool:
        """Whether the newest text is provisional."""
        return self._speech.has_provisional

    @property
    def is_doubtful(self) -> bool:
        """Whether another session should transcribe the loud audio that has no text."""
        return self._speech.is_doubtful

    def place(self, answer: Answer, now_s: float) -> None:
        """Pass on an answer, after audio before it that is missing."""
        speech = self._speech
        speech.answer(answer, now_s)
        if speech.has_lost and answer.text and answer.until_ms is not None:
            speech.has_lost = False
            self._placer.answer_for_server(answer.start_ms, is_missed=True)
        if answer.until_ms is None:
            answer = speech.place(answer)
        self._placer.place(answer, now_s)

    def check(self, now_s: float) -> None:
        """Fail a mute session; end speech whose text is complete; answer silence.

        A server that answers all loud audio is asked to end before it is taken for mute.
        """
        if self._session.is_over:
            return
        speech = self._speech
        if speech.is_doubtful or speech.answers_noise:
            self._health.warn_if_late(speech.waits_s(now_s))
        is_mute = speech.is_mute(now_s)
        self.is_unsure = is_mute and speech.answers_noise
        if self.is_unsure:
            self._fail_unsure(now_s)
        elif is_mute:
            if confirmed := speech.confirmed:
                self._session.cut(confirmed)  # no other session will have more words
            self._health.fail_mute()
        else:
            if complete := speech.pause(now_s, self._audio.sent_ms):
                self._session.cut(complete)
            self._answer_silence()

    def _fail_unsure(self, now_s: float) -> None:
        finish_s = self._health.finish_s
        if finish_s is not None and now_s - finish_s >= _LAST_ANSWER_S:
            self._health.fail_mute()

    def _answer_silence(self) -> None:
        until_ms = self._audio.sent_ms - self._quiet_ms
        until_ms = min(until_ms, self._speech.silence_ms(until_ms))
        self._placer.answer_for_server(until_ms, is_assumed=not self._speech.answers_noise)

    def is_waiting(self, now_s: float) -> bool:
        """Return whether speech has had no text for a while: the server is mute, not slow."""
        return not self._speech.answers_noise and self._speech.waits_s(now_s) >= _MUTE_S

    def end(self) -> None:
        """Do nothing: all audio was sent."""

    def flush(self) -> bool:
        """Return True: nothing waits here."""
        return True

    def conclude(self) -> None:
        """Answer what the server has left unanswered.

        Loud audio without text is left to another session, or declared missing.
        """
        speech, sent_ms = self._speech, self._audio.sent_ms
        if speech.answers_noise:
            self._placer.answer_for_server(speech.silence_ms(sent_ms))
            return
        speech.end(sent_ms)
        is_missing = speech.is_missing
        if speech.is_doubtful and not is_missing:
            return
        if is_missing:
            self._placer.answer_for_server(speech.covered_ms)
        self._placer.answer_for_server(sent_ms, is_missed=is_missing, is_last=True)
        speech.accept()
