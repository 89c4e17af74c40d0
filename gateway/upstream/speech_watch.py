"""What a server that answers only speech must still answer. Pure.

Such a server sends nothing for silence, and nothing for a cough, for music, or for speech after it
has stopped working. So the amount of loud audio without text decides, after the patience:

    loud since the last text     less than 1 s: it was no speech
                                 more: the session is mute; another must transcribe the audio
    again, in the other session  less than half of the time: it was no speech
                                 more: the session is mute, too; at the end, the audio is missing

A server may also answer loud audio without words (`answers_noise`): then none is accepted as no
speech, and the session is mute if any has no final answer and nothing arrives. It is then asked to
end, and if it does, with its last answer, none of that audio was speech.

The patience doubles with each session in a row that was mute, until a text comes: music would cost
a session every few seconds. All times in ms are those of the session's audio.
"""

from collections import deque
from typing import Final

from msgspec.structs import replace

from gateway.audio.loudness import LoudRuns
from gateway.upstream.dialects.dialect import Answer, Speech

_LEAST_MS: Final = 1000  # loud audio that may be speech; a cough, or a door, is shorter
_LEAST_AT_END_MS: Final = 240  # likewise, at the end: a short answer, such as "yes"
_DELAY_MS: Final = 900  # of a usual server, and what the network adds
# The first text after a pause of speech shows how late a server is: by more than a word, and delays
# below a second are usual.
_ONSET_PAUSE_MS: Final = 3000
_WORD_MS: Final = 300
_LEAST_LATE_MS: Final = 1000
LONGEST_LATE_MS: Final = 10_000  # of text whose audio was taken for silence
_MOST_DOUBLINGS: Final = 5
# Untimed text is placed by its time of arrival: it may seem to end before its speech does.
_SLACK_MS: Final = 1000
_LEAD_IN_MS: Final = 400  # a word's first sounds are soft
_LEAST_PAUSE_S: Final = 2.0
_SLOW_S: Final = 1.5  # text so long after its speech, by its estimate in silence, is late
_MOST_SENT: Final = 256  # chunks
_ANSWER_S: Final = 0.5  # for audio that is sent at once, as before a hold, until its text arrives
_FINAL_S: Final = 4.0  # more time than for text, until the text is final
# Text for less than this share of loud audio can't be all of its text: 2.5 characters per second.
_CHARACTER_MS: Final = 400


class SpeechWatch:
    """The loud audio of one session, and what is answered of it.

    Args:
        patience_s: time without text, for loud audio, after which a session is mute.
        mute_before: how many sessions before this one, in a row, were mute.
        is_asked_again: whether the session before this one ended with doubtful audio.
        answers_noise: see `Capabilities`.

    Attributes:
        answers_noise: likewise. Then nothing is doubtful: all loud audio is due until its answer is
            final.
        due_ms: end of the newest loud audio.
        covered_ms: audio before this time has text, final or not, or is known to have none.
        has_provisional: whether the newest text is provisional.
        has_lost: whether the session has skipped what may be speech: all of it is missing that is
            before the next final text.
        is_ended: whether the server has sent its last answer.
    """

    def __init__(
        self,
        patience_s: float,
        *,
        mute_before: int = 0,
        is_asked_again: bool = False,
        answers_noise: bool = False,
    ) -> None:
        self.answers_noise = answers_noise
        self.due_ms = 0
        self.covered_ms = 0
        self.has_provisional = False
        self.has_lost = False
        self.is_ended = False
        self._usual_s = patience_s
        self._patience_s = patience_s * float(2 ** min(mute_before, _MOST_DOUBLINGS))
        self._is_second = mute_before > 0 and not answers_noise
        self._repeats = mute_before > 0  # until it has final text: the audio of the one before
        self._is_asked_again = is_asked_again
        self._loud = LoudRuns()  # that is not covered
        self._unanswered = LoudRuns()  # that has no final answer, covered or not
        self._recent = LoudRuns()  # covered or not
        self._accepted = LoudRuns()  # as no speech, since the newest text
        self._onset_ms: int | None = None  # of speech after silence; None once it has text
        self._late_ms = 0  # how much later than its speech the first text seemed to be
        self._sent_ms = 0
        self._wordless_ms = 0  # loud audio since the last text that was taken for no speech
        self._was_mute = False
        self._owed_s = 0.0  # when the oldest of it was sent
        self._text_s = 0.0  # when the newest text was received
        # Loud audio that was sent: its end, and when.
        self._sent: deque[tuple[int, float]] = deque(maxlen=_MOST_SENT)
        self._is_slow = False  # provisional text came late
        self._sent_s = 0.0  # until when the server had not received enough silence after speech
        self._spoken_from_ms: int | None = None  # loud audio that is not answered
        self._spoken_ms = 0  # how much of it is loud
        self._pause_s = 0.0  # the longest pause in it
        self._characters = 0  # of its provisional text

    @property
    def lag_ms(self) -> int:
        """Audio up to the end of the speech that is not covered."""
        return max(0, self.due_ms - self.covered_ms)

    def silence_ms(self, sent_ms: int) -> int:
        """Return until where the audio that is not answered is silence; 0 if that is unknown.

        Silence before provisional text is not known: other words may replace it.
        """
        if self.has_provisional:
            return 0
        begin_ms = self._loud.start_ms
        return sent_ms if begin_ms is None else max(0, begin_ms - _LEAD_IN_MS)

    def add_loud(self, begin_ms: int, end_ms: int, now_s: float) -> None:
        """Record loud audio that was sent."""
        if self._spoken_from_ms is None:
            self._spoken_from_ms = begin_ms
        else:
            self._pause_s = max(self._pause_s, (begin_ms - self.due_ms) / 1000)
        if not self.due_ms or begin_ms - self.due_ms >= _ONSET_PAUSE_MS:
            self._onset_ms = begin_ms
        if not self.lag_ms:
            self._owed_s = now_s
        self._sent.append((end_ms, now_s))
        self._spoken_ms += end_ms - begin_ms
        self._loud.note(begin_ms, end_ms)
        self._unanswered.note(begin_ms, end_ms)
        self._recent.note(begin_ms, end_ms)
        self._recent.drop_before(end_ms - LONGEST_LATE_MS)
        self.due_ms = end_ms

    def answer(self, answer: Answer, now_s: float) -> None:
        """Record an answer of the server."""
        self.has_provisional = answer.until_ms is None and bool(answer.text)
        if self.answers_noise:
            self._text_s = now_s
        if answer.text:
            is_late = self.waits_s(now_s) >= self._usual_s
            is_much = self._is_second and self._loud.total_ms >= self._much_ms
            self.has_lost = self.has_lost or (is_much and is_late)
            self._text_s = now_s
            if self._onset_ms is not None:
                late_ms = answer.end_ms - self._onset_ms - _WORD_MS
                self._late_ms = late_ms if late_ms >= _LEAST_LATE_MS else 0
                self._onset_ms = None
            self._wordless_ms = 0
            self._is_second, self._patience_s = False, self._usual_s
            self._characters = len(answer.text)
            self._is_slow = self._is_slow or self._is_late(answer, now_s)
        if answer.until_ms is None:
            self._cover(0 if self.answers_noise else answer.end_ms)
        else:
            self._cover_exactly(answer.until_ms)
            self._repeats = self._repeats and not answer.text
            self._characters = len(answer.provisional)
            self._is_slow = False
            self._forget()

    def place(self, answer: Answer) -> Answer:
        """Return provisional text, whose position is an estimate, with one where it is loud.

        Audio that was sent at once, as in a replay, makes the estimate too late by its length. Text
        may also come after its speech was accepted as none; much later, it is for soft speech.
        """
        runs = self._unanswered.within(0, answer.end_ms)
        if runs:
            self._accepted = LoudRuns()
        else:
            runs = self._accepted.within(answer.end_ms - LONGEST_LATE_MS, answer.end_ms)
        if self.answers_noise or not runs or runs[-1][1] == answer.end_ms:
            return answer
        begin_ms, end_ms = runs[-1]
        begin_ms = max(begin_ms, end_ms - _CHARACTER_MS * len(answer.text))
        return replace(answer, start_ms=min(answer.start_ms, begin_ms), end_ms=end_ms)

    def _is_late(self, answer: Answer, now_s: float) -> bool:
        """Return whether text came late: its estimate is in silence, which was not sent at once."""
        before = ((end_ms, s) for end_ms, s in reversed(self._sent) if end_ms <= answer.end_ms)
        end_ms, sent_s = next(before, (answer.end_ms, now_s))
        # In a hold, its last text waits for the silence that is sent then.
        sent_s = max(sent_s, self._sent_s)
        return answer.end_ms - end_ms >= _SLACK_MS and now_s - sent_s >= _SLOW_S

    def waits_s(self, now_s: float) -> float:
        """Return for how long speech has had no text; 0 if it has."""
        if self.lag_ms:
            return now_s - max(self._owed_s, self._text_s)
        return now_s - self._text_s if self._is_text_short else 0.0

    def is_mute(self, now_s: float) -> bool:
        """Return whether the session must be replaced; accept short loud audio as no speech."""
        more_s = 0 if self.answers_noise else _FINAL_S
        if self.has_provisional and now_s - self._text_s >= self._usual_s + more_s:
            return True
        if self.answers_noise:
            return self.waits_s(now_s) >= self._usual_s
        if self.waits_s(now_s) < self._patience_s:
            return False
        loud_ms = self._loud.total_ms
        if self._is_second:
            self._loud.drop_before(self.due_ms - int(1000 * self._patience_s))
            is_mute = self._loud.total_ms >= self._much_ms
        else:
            is_mute = loud_ms + self._wordless_ms >= _LEAST_MS
        self._was_mute = is_mute or self._is_text_short
        if not self._was_mute:
            self._wordless_ms += loud_ms
            self.accept()
        return self._was_mute

    @property
    def is_doubtful(self) -> bool:
        """Whether another session should transcribe the loud audio that has no text.

        If the audio ended soon after the speech, less is doubtful: the server must still have sent
        words. If its text is late, the end of provisional text is estimated too late by as much.
        """
        if self.answers_noise:
            return False
        late_ms = self._late_ms if self.has_provisional else 0
        is_hurried = self._sent_ms - self.due_ms < late_ms + _DELAY_MS
        is_first = not (self._is_second or self._is_asked_again)
        if self.is_ended and is_first and is_hurried and self.covered_ms < self._sent_ms:
            self._recent.drop_before(self.covered_ms - late_ms)
            return self._recent.total_ms >= _LEAST_AT_END_MS
        return self._was_mute or self._loud.total_ms >= _LEAST_MS

    @property
    def is_missing(self) -> bool:
        """Whether the doubtful audio is given up, because two sessions had no text for it."""
        return (self._is_second or self._is_asked_again) and self.is_doubtful

    def end(self, sent_ms: int) -> None:
        """Record that the server has sent its last answer, of this much audio."""
        self.is_ended, self._sent_ms = True, sent_ms

    def accept(self) -> None:
        """Accept all loud audio as covered: it has no text."""
        self._was_mute = self.is_ended = False
        self._cover(self.due_ms)
        for span in self._unanswered.within(0, self.due_ms):
            self._accepted.note(*span)
        self._unanswered.drop_before(self.due_ms)

    def pause(self, now_s: float, sent_ms: int) -> Speech | None:
        """Return the speech whose text is complete, if it is; its text is not final yet.

        The text must reach the end of the speech, if it shows where it ends, and none of it was
        late. Then there must be none for longer than any pause of the speech: if the server were
        behind, it would be silent only for such a pause. And the server must have received as much
        audio, as it answers only with a delay.

        Args:
            now_s: on the monotonic clock.
            sent_ms: length of the audio sent.
        """
        if sent_ms - self.due_ms < 1000 * _LEAST_PAUSE_S:
            self._sent_s = now_s
        is_behind = self._is_slow or self.lag_ms > _SLACK_MS
        if self.answers_noise:  # then it is only asked for its final answer
            is_behind = False
        if not self.has_provisional or is_behind or self._is_text_short:
            return None
        if now_s - self._text_s < max(_LEAST_PAUSE_S, self._pause_s + 1):
            return None
        if now_s - self._sent_s < _ANSWER_S:
            return None
        return self._speech(max(self.due_ms, self.covered_ms))

    @property
    def confirmed(self) -> Speech | None:
        """The speech of provisional text after which the session before this one was mute, too.

        It was sent again at once, so that all its text seems to end where the audio does.
        """
        if not (self._repeats and self.has_provisional):
            return None
        return self._speech(min(self.covered_ms, self._reach_ms))

    @property
    def _reach_ms(self) -> int:
        """Until where the provisional text can reach: no speech is slower than that."""
        left_ms = self._characters * _CHARACTER_MS
        for start_ms, end_ms in self._unanswered.within(0, self.due_ms):
            if end_ms - start_ms >= left_ms:
                return start_ms + left_ms
            left_ms -= end_ms - start_ms
        return max(self.due_ms, self.covered_ms)

    def _speech(self, end_ms: int) -> Speech:
        start_ms = self.covered_ms if self._spoken_from_ms is None else self._spoken_from_ms
        return Speech(min(start_ms, self.covered_ms), end_ms)

    @property
    def _is_text_short(self) -> bool:
        """Whether the provisional text is too short for its speech."""
        is_short = self._characters * _CHARACTER_MS < self._spoken_ms
        return is_short and self.has_provisional and not self.answers_noise

    @property
    def _much_ms(self) -> float:
        return self._patience_s * 1000 / 2

    def _cover(self, until_ms: int) -> None:
        self.covered_ms = max(self.covered_ms, until_ms)
        self._loud.drop_before(self.covered_ms)

    def _cover_exactly(self, until_ms: int) -> None:
        """Replace the estimate of how far provisional text reached: it is too late if the text was.

        What is still provisional covers its audio again, with its next answer.
        """
        self._unanswered.drop_before(until_ms)
        self.covered_ms = until_ms
        self._loud = LoudRuns()
        for start_ms, end_ms in self._unanswered.within(until_ms, self.due_ms):
            self._loud.note(start_ms, end_ms)

    def _forget(self) -> None:
        """Begin again after a final answer."""
        self._spoken_from_ms = self._loud.start_ms
        self._spoken_ms = self._loud.total_ms
        self._pause_s = 0.0
