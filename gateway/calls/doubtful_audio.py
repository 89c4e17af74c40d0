"""Loud audio of one track for which a server sent no words: noise, or words that it lost. Pure.

A server that answers only speech sends nothing for a cough, and nothing once it has stopped
working. So what it left out is in doubt until the server proves that it works:

    assumed     it sent no text for it: noise, if later text becomes final or the session ends well
    spoken      its text, without times, was taken for complete; or it is right after a word

If the session fails first, what can be sent again is, and the next session decides. Of the rest,
what was assumed is missing; what may be spoken is only counted, as its words may be published.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gateway.audio.loudness import LoudRuns
from gateway.calls.placed_answers import PlacedAnswer

type MediaSpan = tuple[int, int]  # on the media clock, from and to


class Confirmed(NamedTuple):
    """What an answer shows.

    Attributes:
        wordless_ms: how much of the doubtful audio has no words.
        missing: doubtful audio whose words are lost.
    """

    wordless_ms: int = 0
    missing: Sequence[MediaSpan] = ()


class DoubtfulAudio:
    """The doubtful audio of one track. All times are on the media clock.

    Args:
        loud: loud audio of the track without words so far.

    Attributes:
        has_any: whether an answer may confirm something.
        evicted_ms: audio before this time could not be sent again to the current session.
        word_end: loud audio that is taken for the end of the newest final word.
    """

    def __init__(self, loud: LoudRuns) -> None:
        self.has_any = False
        self.evicted_ms = 0
        self.word_end: list[MediaSpan] = []
        self._loud: Final = loud
        self._assumed: Final = LoudRuns()
        self._spoken: Final = LoudRuns()

    @property
    def has_assumed(self) -> bool:
        """Whether loud audio is assumed to have no words."""
        return self._assumed.start_ms is not None

    @property
    def start_ms(self) -> int | None:
        """Start of the oldest doubtful audio; None without any."""
        starts_ms = (self._assumed.start_ms, self._spoken.start_ms)
        return min((ms for ms in starts_ms if ms is not None), default=None)

    @property
    def replay_from_ms(self) -> int | None:
        """Start of the assumed audio that can be sent again; None without any."""
        return self._assumed.first_after(self.evicted_ms)

    def assume(self, answer: PlacedAnswer, answered_ms: int) -> None:
        """Record the loud audio before the end of an answer that the server did not give.

        Args:
            answer: the answer, with or without text.
            answered_ms: end of the audio that was answered before.
        """
        from_ms, until_ms = answered_ms, answer.answered_ms or 0
        _add(self._spoken, (span for span in self.word_end if from_ms <= span[0] < until_ms))
        if answer.text:
            from_ms = answer.text_end_ms
            _add(self._spoken, self._loud.within(answer.placement.start_ms, from_ms))
        _add(self._assumed, self._loud.within(from_ms, until_ms))
        self._update()

    def confirm(self, answer: PlacedAnswer, open_from_ms: int | None) -> Confirmed:
        """Return what an answer shows about the audio before its end.

        Args:
            answer: one of the server, or an assumed one with text, which its server has sent.
            open_from_ms: start of the open segment; None without one.
        """
        until_ms = answer.placement.end_ms if answer.is_assumed else answer.answered_ms
        if until_ms is None:
            return Confirmed()
        start_ms = until_ms if open_from_ms is None else min(open_from_ms, until_ms)
        if answer.text:
            start_ms = answer.placement.start_ms
        has_text = self._assumed.within(max(start_ms, self.evicted_ms), until_ms)
        # The server before lost this text, so it may have lost more.
        missing = self.pop(self.evicted_ms) if has_text and self.evicted_ms > 0 else ()
        wordless_ms = _length_ms(self._assumed.within(0, start_ms))
        self._assumed.drop_before(until_ms)
        self._spoken.drop_before(until_ms)
        self._update()
        return Confirmed(wordless_ms, missing)

    def fail(self, lost_ms: int) -> list[MediaSpan]:
        """Record that the session failed; audio before `lost_ms` can't be sent to the next one.

        Returns:
            Audio that is missing; none if the next session receives other assumed audio, because
            its words will show whether the server worked.
        """
        self.evicted_ms = lost_ms
        return [] if self.replay_from_ms is not None else self.pop(lost_ms)

    def pop(self, until_ms: int) -> list[MediaSpan]:
        """Remove and return what was assumed before a time: no server has confirmed it."""
        spans = self._assumed.within(0, until_ms)
        self._assumed.drop_before(until_ms)
        self._update()
        return spans

    def pop_spoken_ms(self, until_ms: int) -> int:
        """Return how much audio that may be spoken, before a time, is not sent again."""
        spans = self._spoken.within(0, until_ms)
        self._spoken.drop_before(until_ms)
        self._update()
        return _length_ms(spans)

    def drop_after(self, from_ms: int) -> None:
        """Drop what was assumed after a time: a gap covers it."""
        self._assumed.drop_after(from_ms)
        self._update()

    def _update(self) -> None:
        self.has_any = self.start_ms is not None


def _add(runs: LoudRuns, spans: Iterable[MediaSpan]) -> None:
    """Add what is after the newest."""
    for start_ms, end_ms in spans:
        from_ms = max(start_ms, runs.end_ms or 0)
        if from_ms < end_ms:
            runs.note(from_ms, end_ms)


def _length_ms(spans: Iterable[MediaSpan]) -> int:
    return sum(end_ms - start_ms for start_ms, end_ms in spans)
