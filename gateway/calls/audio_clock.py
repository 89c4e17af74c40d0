"""The clock of a server that answers all audio, words or not, while it arrives."""

from collections.abc import Callable
from typing import Final

from gateway.audio.pipeline import AudioChunk
from gateway.calls.placed_answers import AnswerPlacer
from gateway.calls.sent_audio import SentAudio
from gateway.calls.session_health import SessionHealth
from gateway.calls.words_only import WordsOnlyWatch
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer
from gateway.upstream.session import RealtimeSession


class AudioClock:
    """See `SessionClock`: everything that was sent is due."""

    has_provisional: Final = False
    is_doubtful: Final = False
    is_unsure: Final = False

    def __init__(
        self,
        session: RealtimeSession,
        audio: SentAudio,
        placer: AnswerPlacer,
        health: SessionHealth,
    ) -> None:
        # Not methods: that would cost another call per chunk, and per delta.
        self.append: Callable[[AudioChunk, float], bool] = audio.append
        self.place: Callable[[Answer, float], None] = placer.place
        self._session = session
        self._audio = audio
        self._placer = placer
        self._health = health
        self._words_only = WordsOnlyWatch()

    @property
    def lag_ms(self) -> int:
        """Audio that is not answered."""
        return max(0, self._audio.sent_ms - self._placer.answered_ms)

    def check(self, now_s: float) -> None:
        """Fail a session that is mute, or whose server sends words only."""
        is_mismatch = self._words_only.sample(
            now_s,
            answers=self._health.answers,
            empty=self._health.empty,
            answered_ms=self._placer.answered_ms,
            lag_ms=self.lag_ms,
        )
        if is_mismatch:
            self._session.fail(
                UpstreamError("model-mismatch", "only words, far fewer than the audio")
            )
        self._health.check(now_s, lag_ms=self.lag_ms)

    def is_waiting(self, now_s: float) -> bool:
        """Return False: silence is answered, too."""
        return False

    def end(self) -> None:
        """Do nothing: the server answers up to the final commit."""

    def flush(self) -> bool:
        """Return True: nothing waits here."""
        return True

    def conclude(self) -> None:
        """Do nothing: the server has answered all audio."""
