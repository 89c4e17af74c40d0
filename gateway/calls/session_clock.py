"""What a model session asks of its server's clock: what is due, and what silence means.

One implementation per `Clock`, for one session: `audio_clock`, `speech_clock` and `turn_clock`.
"""

from typing import Protocol

from gateway.audio.pipeline import AudioChunk
from gateway.calls.audio_clock import AudioClock
from gateway.calls.placed_answers import AnswerPlacer
from gateway.calls.sent_audio import SentAudio
from gateway.calls.services import CallLimits
from gateway.calls.session_health import SessionHealth
from gateway.calls.speech_clock import SpeechClock
from gateway.calls.turn_clock import TurnClock
from gateway.upstream.dialects.dialect import Answer, Capabilities, Clock
from gateway.upstream.session import RealtimeSession
from gateway.upstream.speech_watch import SpeechWatch


class SessionClock(Protocol):
    """What is due in one session, and what happens if it does not come."""

    @property
    def lag_ms(self) -> int:
        """Audio whose answer is missing: of all audio, of speech, or of the turns that were cut."""

    @property
    def has_provisional(self) -> bool:
        """Whether a final answer is due, although nothing lags."""

    @property
    def is_doubtful(self) -> bool:
        """Whether audio that may be speech has no text, so that another session is asked."""

    @property
    def is_unsure(self) -> bool:
        """Whether the session is mute, although its server may have had nothing to answer."""

    def append(self, chunk: AudioChunk, audio_received_s: float, /) -> bool:
        """Send what the server must receive of a chunk; return False if it was not accepted."""

    def place(self, answer: Answer, now_s: float, /) -> None:
        """Pass on what an answer of the server says. Audio was sent before."""

    def check(self, now_s: float) -> None:
        """Fail the session if an answer is due for too long; answer what the server does not."""

    def is_waiting(self, now_s: float) -> bool:
        """Return whether a lag shows that the server has nothing to answer, or is mute."""

    def end(self) -> None:
        """Prepare the final commit: no more audio is appended."""

    def flush(self) -> bool:
        """Send what waits; return whether nothing waits afterwards."""

    def conclude(self) -> None:
        """Answer what the server has left unanswered, after its last answer."""


def new_clock(
    capabilities: Capabilities,
    limits: CallLimits,
    *,
    session: RealtimeSession,
    audio: SentAudio,
    placer: AnswerPlacer,
    health: SessionHealth,
    mute_before: int,
    is_asked_again: bool,
) -> SessionClock:
    """Return the clock of a new session; see `ModelSession`."""
    match capabilities.clock:
        case Clock.AUDIO:
            return AudioClock(session, audio, placer, health)
        case Clock.TURNS:
            return TurnClock(
                capabilities.longest_turn_ms,
                limits.segment_pause_ms,
                session=session,
                audio=audio,
                placer=placer,
                health=health,
            )
        case Clock.SPEECH:
            speech = SpeechWatch(
                limits.mute_timeout_s,
                mute_before=mute_before,
                is_asked_again=is_asked_again,
                answers_noise=capabilities.answers_noise,
            )
            return SpeechClock(
                speech,
                capabilities.delay_ms,
                session=session,
                audio=audio,
                placer=placer,
                health=health,
            )
