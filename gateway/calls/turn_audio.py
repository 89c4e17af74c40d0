"""One session's audio as turns: what is sent, and which turn each answer belongs to. Pure.

A server that answers turns gets only the audio of turns (`upstream/turns.py`). What the session
does not accept at once waits here: the parts of one chunk, and of an overlap. Between two sessions,
`Rest` receives the audio.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from gateway.audio.loudness import is_loud
from gateway.audio.pipeline import AudioChunk
from gateway.transcript.session_timeline import Placement
from gateway.upstream.dialects.dialect import Answer, Speech
from gateway.upstream.seams import certain, join, split_tail
from gateway.upstream.turns import Cut, Part, Quiet, Step, TurnCutter

# The words of an overlap are found by its share of the turn's loud audio, which is not exact. So
# the words of twice its length are provisional: a final word of it would be published twice.
_TAIL_OVERLAPS: Final = 2


class _Turn(msgspec.Struct):
    """A turn that was cut and is not answered. Times are those of the session's audio."""

    begin_ms: int
    end_ms: int
    loud: list[tuple[int, int]]  # its loud stretches, from and to
    cut: Cut

    @property
    def speech(self) -> Speech:
        """Where it is loud."""
        if not self.loud:
            return Speech(self.begin_ms, self.end_ms)
        return Speech(self.loud[0][0], self.loud[-1][1])

    def loud_share(self, from_ms: int) -> float:
        """Return how much of its loud audio comes after a time."""
        total_ms = sum(to_ms - begin_ms for begin_ms, to_ms in self.loud)
        after_ms = sum(max(0, to_ms - max(begin_ms, from_ms)) for begin_ms, to_ms in self.loud)
        return after_ms / total_ms if total_ms else 1.0


class TurnAudio:
    """Sends one session's audio in turns.

    Args:
        longest_ms: the longest turn.
        pause_ms: length of a pause that ends a turn.
        send: sends a chunk; returns False if the session does not accept it.
        cut: ends a turn in the session.
        on_quiet: called with audio between turns that needs no answer, in order: once all turns
            before it are answered.
        position_ms: returns the length of the session's audio.
    """

    def __init__(
        self,
        longest_ms: int,
        pause_ms: int,
        *,
        send: Callable[[AudioChunk, float], bool],
        cut: Callable[[Speech], None],
        on_quiet: Callable[[Quiet], None],
        position_ms: Callable[[], int],
    ) -> None:
        self._cutter = TurnCutter(longest_ms, pause_ms)
        self._send = send
        self._cut = cut
        self._on_quiet = on_quiet
        self._position_ms = position_ms
        self._waiting: deque[Step] = deque()
        self._begin_ms: int | None = None  # of the open turn
        self._loud: list[tuple[int, int]] = []  # its loud audio
        self._unanswered: deque[_Turn] = deque()
        self._quiet: Quiet | None = None  # the newest that comes after an unanswered turn
        self._text = ""  # provisional, of the turn that the server answers
        self._shown = ""  # provisional, as passed on
        # At a seam, the provisional words of the turn before, and where their audio may begin.
        self._tail = ""
        self._tail_ms = 0

    def append(self, chunk: AudioChunk, received_s: float) -> bool:
        """Add a chunk; return False if an earlier one still waits."""
        if not self.flush():
            return False
        self._waiting.extend(self._cutter.add(chunk, received_s))
        self.flush()
        return True

    def end(self) -> None:
        """End the last turn; what waits is sent by `flush`."""
        self._waiting.extend(self._cutter.end())
        self.flush()

    def flush(self) -> bool:
        """Send what waits; return whether nothing waits afterwards."""
        while self._waiting:
            if not self._take(self._waiting[0]):
                return False
            self._waiting.popleft()
        return True

    def _take(self, step: Step) -> bool:
        match step:
            case Part():
                return self._send_part(step)
            case Quiet():
                if self._unanswered:
                    self._quiet = step
                else:
                    self._on_quiet(step)
            case Cut():
                self._end_turn(step)
        return True

    def _send_part(self, part: Part) -> bool:
        before_ms = self._position_ms()
        if not self._send(part.chunk, part.received_s):
            return False
        if self._begin_ms is None:
            self._begin_ms = before_ms
        if part.is_loud:
            self._loud.append((before_ms, self._position_ms()))
        return True

    def _end_turn(self, cut: Cut) -> None:
        end_ms = self._position_ms()
        begin_ms = end_ms if self._begin_ms is None else self._begin_ms
        turn = _Turn(begin_ms, end_ms, self._loud, cut)
        self._begin_ms, self._loud = None, []
        self._unanswered.append(turn)
        self._cut(turn.speech)

    def place(self, answer: Answer) -> Iterable[Answer]:
        """Yield the answers that an answer of the server makes, joined at seams.

        Provisional text has no incomplete word: text that only grows needs no revision.
        """
        is_final = answer.until_ms is not None
        turn = self._unanswered.popleft() if is_final and self._unanswered else None
        if answer.is_missed:
            yield from self._pass_over(answer)
            return
        self._text = answer.text if answer.replaces else self._text + answer.text
        text = join(self._tail, self._text, is_complete=is_final) if self._tail else self._text
        start_ms = self._tail_ms if self._tail else max(answer.start_ms, self._speech_ms(turn))
        answer = replace(answer, text=text, start_ms=start_ms, replaces=True)
        if not is_final:
            shown, self._shown = self._shown, certain(text)
            if self._shown != shown:
                yield replace(answer, text=self._shown)
            return
        own_share = len(self._text) / len(text) if text else 1.0
        self._forget_text()
        if turn and turn.cut.overlap_ms:
            answer = self._keep_tail(answer, turn, own_share)
        elif turn and turn.cut.ends_utterance:
            answer = replace(answer, ends_segment=True)
        yield answer

    def _speech_ms(self, turn: _Turn | None) -> int:
        """Return where the speech of the turn begins that the server answers; 0 if unknown."""
        if turn := turn or next(iter(self._unanswered), None):
            return turn.speech.start_ms
        return self._loud[0][0] if self._loud else 0

    def _pass_over(self, missed: Answer) -> Iterable[Answer]:
        """Yield the words of the turn before, and the answer of the turn that was missed."""
        if self._tail:
            until_ms = max(self._tail_ms, missed.start_ms)
            yield Answer(self._tail, self._tail_ms, until_ms, until_ms, replaces=True)
        self._forget_text()
        yield missed

    def _forget_text(self) -> None:
        self._text = self._shown = self._tail = ""

    def _keep_tail(self, answer: Answer, turn: _Turn, own_share: float) -> Answer:
        """Keep the words of the overlap provisional: the next turn has them, too.

        Args:
            answer: the text, joined with words of the turn before.
            turn: the turn.
            own_share: how much of the text is the turn's own.
        """
        until_ms = max(turn.begin_ms, turn.end_ms - _TAIL_OVERLAPS * turn.cut.overlap_ms)
        head, self._tail = split_tail(answer.text, own_share * turn.loud_share(until_ms))
        self._tail_ms, self._shown = until_ms, certain(self._tail)
        return replace(
            answer,
            text=head,
            start_ms=min(answer.start_ms, until_ms),
            end_ms=max(answer.end_ms, until_ms),
            until_ms=until_ms,
            provisional=self._shown,
        )

    def pop_quiet(self) -> Quiet | None:
        """Return the quiet audio that is answered now, as all turns before it are."""
        if self._unanswered or self._quiet is None:
            return None
        quiet, self._quiet = self._quiet, None
        return quiet


class Rest:
    """Receives a track's audio between two sessions, if its server answers only turns.

    Answers silence, and refuses the first loud chunk, which needs a session.

    That session also gets the silence before: a replay begins earlier than what is answered.

    Args:
        on_silence: called with the position of each chunk.
        on_speech: called when a chunk is refused.
    """

    def __init__(
        self, on_silence: Callable[[Placement], None], on_speech: Callable[[], None]
    ) -> None:
        self._on_silence = on_silence
        self._on_speech = on_speech

    def append(self, chunk: AudioChunk, audio_received_s: float) -> bool:
        """Answer a chunk; return False if it may be speech."""
        if is_loud(chunk.pcm):
            self._on_speech()
            return False
        self._on_silence(Placement(chunk.start_ms, chunk.end_ms, audio_received_s))
        return True
