"""Place the answers of one model session on the media clock. Pure."""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.transcript.session_timeline import Placement, SessionTimeline
from gateway.upstream.dialects.dialect import Answer
from gateway.upstream.speech_watch import LONGEST_LATE_MS
from gateway.upstream.turns import Quiet

# Audio a model may buffer before it answers: Voxtral's longest delay, and its first token.
LONGEST_DELAY_MS: Final = 2400 + 80
USUAL_DELAY_MS: Final = 480 + 80  # Voxtral's default, and its first token


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
        is_assumed: whether the server has not answered: it sends nothing for what is no speech.
        text_end_ms: the latest time at which an assumed text may end.
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
    text_end_ms: int = 0

    @classmethod
    def silence(cls, placement: Placement, now_s: float) -> "PlacedAnswer":
        """Return the answer for audio without speech, which no server has answered."""
        return cls("", placement, placement.end_ms, now_s, 0)


class AnswerPlacer:
    """Places the answers of one session, and passes them on.

    Args:
        timeline: where the session's audio is on the media clock.
        on_answer: called with each answer, with or without text.
        is_current: whether answers are passed on at once. If False, they are held until
            `make_current`.
        monotonic_s: returns the time.

    Attributes:
        answered_ms: audio of the session before this time is answered.
        is_within_runs: whether text is limited to one side of a jump of the media clock.
    """

    def __init__(
        self,
        timeline: SessionTimeline,
        on_answer: Callable[[PlacedAnswer], None],
        monotonic_s: Callable[[], float],
        *,
        is_current: bool,
    ) -> None:
        self.answered_ms = 0
        self.is_within_runs = False
        self._timeline = timeline
        self._on_answer = on_answer
        self._monotonic_s = monotonic_s
        self._held: deque[PlacedAnswer] = deque()
        # Not a method: that would cost another call per answer.
        self._pass_on: Callable[[PlacedAnswer], None]
        self._pass_on = on_answer if is_current else self._held.append

    def make_current(self) -> None:
        """Pass on the held answers, and from now on each answer at once."""
        self._pass_on = self._on_answer
        while self._held:
            self._on_answer(self._held.popleft())

    def place(self, answer: Answer, received_s: float) -> None:
        """Pass on one answer of the server, after audio was sent."""
        start_ms, end_ms, until_ms = answer.start_ms, answer.end_ms, answer.until_ms
        if answer.text and self.is_within_runs:
            start_ms, end_ms = self._timeline.within_run(start_ms, end_ms)
        settled_ms = 0 if until_ms is None else start_ms
        placement = self._timeline.place(start_ms, end_ms, settled_ms=settled_ms)
        answered_ms: int | None = placement.end_ms
        if until_ms is None:
            answered_ms = None
        else:
            self.answered_ms = max(self.answered_ms, until_ms)
            if until_ms != end_ms:
                answered_ms = self._timeline.media_ms(until_ms)
        placed = PlacedAnswer(
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
        )
        if answer.is_assumed:
            latest_ms = self._timeline.media_ms(min(end_ms + USUAL_DELAY_MS, until_ms or end_ms))
            placed = msgspec.structs.replace(placed, is_assumed=True, text_end_ms=latest_ms)
        self._pass_on(placed)

    def answer_quiet(self, quiet: Quiet) -> None:
        """Pass on audio without speech that was not sent as answered."""
        chunk = quiet.chunk
        placement = Placement(chunk.start_ms, chunk.end_ms, quiet.received_s)
        self._pass_on(PlacedAnswer.silence(placement, self._monotonic_s()))

    def answer_for_server(
        self,
        until_ms: int,
        *,
        is_missed: bool = False,
        is_assumed: bool = False,
        is_last: bool = False,
    ) -> None:
        """Pass on audio that was sent as answered without text.

        Args:
            until_ms: its end.
            is_missed: see `PlacedAnswer`.
            is_assumed: likewise.
            is_last: whether it is passed on even if all audio is answered.
        """
        begin_ms = self.answered_ms
        if (until_ms > begin_ms or is_last) and self._timeline.sent_ms is not None:
            settled_ms = begin_ms - LONGEST_LATE_MS if is_assumed else begin_ms
            placement = self._timeline.place(begin_ms, until_ms, settled_ms=settled_ms)
            self.answered_ms = until_ms
            answer = PlacedAnswer.silence(placement, self._monotonic_s())
            self._pass_on(
                msgspec.structs.replace(answer, is_missed=is_missed, is_assumed=is_assumed)
            )
