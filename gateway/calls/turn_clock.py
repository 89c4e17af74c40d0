"""The clock of a server that answers turns: only their audio is sent, and due once they are cut."""

from typing import Final

from gateway.calls.placed_answers import AnswerPlacer
from gateway.calls.sent_audio import SentAudio
from gateway.calls.session_health import SessionHealth
from gateway.calls.turn_audio import TurnAudio
from gateway.upstream.dialects.dialect import Answer, Speech
from gateway.upstream.session import RealtimeSession


class TurnClock:
    """See `SessionClock`: the turns that were cut are due.

    Args:
        longest_turn_ms: see `Capabilities`.
        pause_ms: length of a pause that ends a turn.
        session: what cuts a turn.
        audio: what sends the audio of turns.
        placer: what answers are passed to.
        health: what detects that they do not come.
    """

    has_provisional: Final = False
    is_doubtful: Final = False
    is_unsure: Final = False

    def __init__(
        self,
        longest_turn_ms: int,
        pause_ms: int,
        *,
        session: RealtimeSession,
        audio: SentAudio,
        placer: AnswerPlacer,
        health: SessionHealth,
    ) -> None:
        self._session = session
        self._audio = audio
        self._placer = placer
        self._health = health
        self._due_ms = 0  # audio of the session before this time must be answered
        self._turns = TurnAudio(
            longest_turn_ms,
            pause_ms,
            send=audio.send,
            cut=self._cut,
            on_quiet=placer.answer_quiet,
            position_ms=lambda: audio.sent_ms,
        )
        # As the interface describes them.
        self.append = self._turns.append
        self.end = self._turns.end
        self.flush = self._turns.flush

    def _cut(self, speech: Speech) -> None:
        self._due_ms = self._audio.sent_ms
        self._session.cut(speech)

    @property
    def lag_ms(self) -> int:
        """Audio of the turns that were cut and are not answered."""
        return max(0, self._due_ms - self._placer.answered_ms)

    def place(self, answer: Answer, now_s: float) -> None:
        """Pass on the answers that one of the server makes, and silence that waited for it."""
        for each in self._turns.place(answer):
            self._placer.place(each, now_s)
        if answer.until_ms is not None:  # although the words at its end may be provisional
            self._placer.answered_ms = answer.until_ms
        if quiet := self._turns.pop_quiet():
            self._placer.answer_quiet(quiet)

    def check(self, now_s: float) -> None:
        """Fail a session that leaves a turn unanswered."""
        self._health.check(now_s, lag_ms=self.lag_ms)

    def is_waiting(self, now_s: float) -> bool:
        """Return False: each turn is answered."""
        return False

    def conclude(self) -> None:
        """Do nothing: the server has answered all turns."""
