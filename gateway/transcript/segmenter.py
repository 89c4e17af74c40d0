"""From the model's words to segments: one utterance each, its deltas, then its final. Pure.

    nothing open --text--> open --text--> open --pause, length or close()--> nothing open
                             restart(): the same segment, empty, one revision on

The deltas of a segment's last revision concatenate to its final's text, to the letter. So white
space is published only once a word follows it, and never at a segment's start.

A replay repeats words that were published. Until it has come as far as the revision before, that
revision's words are kept: `close` publishes them again if the replay came to less.
"""

from typing import Final

from gateway.transcript.events import FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.token_clock import Placement

# Beyond the length limit a segment waits for a word to end. Speech that brings no space for so long
# is written in a script without them (Chinese, Japanese): it is cut between two deltas.
_MAX_WORD_MS: Final = 10_000


class Segmenter:
    """Cuts one track's text into segments, numbered from 1.

    Args:
        track: the track's name, as events carry it.
        role: who speaks on it, as events carry it.
        pause_ms: media time from the end of one delta with words to that of the next, or of an
            empty one, that ends a segment. Padding counts once real audio follows it: until then
            the model may still say words that belong to the segment.
        max_ms: media time after which a segment ends with the word.

    Attributes:
        segment: the number of the newest segment; 0 before the first.
    """

    def __init__(
        self, track: str, role: str, *, pause_ms: int = 1000, max_ms: int = 30_000
    ) -> None:
        self.segment = 0
        self._track = track
        self._role = role
        self._pause_ms = pause_ms
        self._max_ms = max_ms
        self._is_open = False
        self._rev = 0
        self._said: list[TranscriptDelta] = []  # of the open segment's revision
        self._space = ""  # white space not yet followed by a word
        self._start_ms = 0
        self._end_ms = 0
        self._padded_ms = 0  # padding since the last word
        self._covered_ms = 0  # where the last delta ended, empty or not
        # Of a revision before, what this one has not come to yet, and how far that one came
        self._furthest: list[TranscriptDelta] = []
        self._furthest_ms = 0

    def delta(
        self, text: str, placement: Placement, received_s: float
    ) -> list[TranscriptDelta | TranscriptFinal]:
        """Add one delta, empty or not.

        Args:
            text: what the model added.
            placement: where the audio behind it lies.
            received_s: when it reached us, on the monotonic clock.

        Returns:
            What it completed: a final if it ended a segment, then a delta if it said something.
        """
        events: list[TranscriptDelta | TranscriptFinal] = []
        said = text.strip()
        self._padded_ms += placement.padding_ms
        if self._is_open and (reason := self._ended(text, bool(said), placement)):
            events.append(self._close(reason))
            self._furthest = [each for each in self._furthest if each.start_ms >= self._covered_ms]
        if said:
            events.append(self._say(text, placement, received_s))
        elif self._is_open:
            self._space += text
        self._covered_ms = placement.end_ms
        if self._covered_ms >= self._furthest_ms:
            self._furthest.clear()
        return events

    def close(self, reason: FinalReason) -> list[TranscriptDelta | TranscriptFinal]:
        """End the open segment; nothing if none is open.

        If a replay has come less far than the revision before it, that revision's words are
        published again, as one delta: no final says less than was published.
        """
        events: list[TranscriptDelta | TranscriptFinal] = []
        if self._furthest:
            events.append(self._say_again())
        if self._is_open:
            events.append(self._close(reason))
        return events

    @property
    def open_from_ms(self) -> int | None:
        """Where the open segment begins; None if none is open."""
        return self._start_ms if self._is_open else None

    @property
    def end_ms(self) -> int:
        """Where the newest word ends, of whatever segment."""
        return self._end_ms

    @property
    def is_paused(self) -> bool:
        """Whether padding as long as a pause was answered since the last word."""
        return self._is_open and self._padded_ms >= self._pause_ms

    @property
    def is_behind(self) -> bool:
        """Whether a replay has not come to words that were published before it."""
        return bool(self._furthest)

    def restart(self) -> None:
        """Start the open segment over: its audio will be heard again.

        If no word comes this time it ends where it ended before, with an empty final.
        """
        self._padded_ms = 0
        if self._covered_ms > self._furthest_ms or not self._furthest:
            self._furthest = list(self._said) if self._is_open else []
            self._furthest_ms = self._covered_ms
        if self._is_open and self._said:
            self._rev += 1
            self._said = []
            self._space = ""

    def _ended(self, text: str, said: bool, placement: Placement) -> FinalReason | None:
        """Why the open segment ends before this delta, if it does."""
        if placement.start_ms - self._covered_ms >= _MAX_WORD_MS:
            return FinalReason.PAUSE  # a hold lies in between: no word goes on across it
        if said and self._said and not (self._space or text[0].isspace()):
            # It goes on with the last word.
            overdue = placement.end_ms - self._start_ms > self._max_ms + _MAX_WORD_MS
            return FinalReason.LENGTH if overdue else None
        silence_ms = placement.end_ms - self._end_ms + self._padded_ms
        if silence_ms >= self._pause_ms and not placement.padding_ms:
            return FinalReason.PAUSE
        if said and placement.end_ms - self._start_ms > self._max_ms:
            return FinalReason.LENGTH
        return None

    def _say(self, text: str, placement: Placement, received_s: float) -> TranscriptDelta:
        """Add to the open segment, or open one."""
        self._open()
        if not self._said:
            self._start_ms = placement.start_ms
        text = self._space + text if self._said else text.lstrip()
        kept = text.rstrip()
        self._space = text[len(kept) :]
        return self._add(
            kept, placement.start_ms, placement.end_ms, placement.received_at, received_s
        )

    def _say_again(self) -> TranscriptDelta:
        """Publish the words of the revision that came further, as one delta.

        If the replay said more than that revision had by there, its words stand, and those that it
        did not come to follow.
        """
        words, self._furthest = self._furthest, []
        rest = [each for each in words if each.start_ms >= self._covered_ms]
        texts = [each.text for each in words]
        if self._is_open and len(self._said) > len(words) - len(rest):
            words = [*self._said, *rest]
            texts = [each.text for each in words]
            if rest and not (self._space or texts[-len(rest)][0].isspace()):
                texts.insert(-len(rest), " ")
        self._open()
        if self._said:
            self._rev += 1
            self._said = []
        self._space = ""
        self._start_ms = words[0].start_ms
        newest = words[-1]
        text = "".join(texts).lstrip()
        return self._add(text, self._start_ms, newest.end_ms, newest.received_at, newest.received_s)

    def _open(self) -> None:
        if not self._is_open:
            self.segment += 1
            self._is_open = True
            self._rev = 0
            self._said = []

    def _add(
        self, text: str, start_ms: int, end_ms: int, received_at: float, received_s: float
    ) -> TranscriptDelta:
        self._end_ms = end_ms
        self._padded_ms = 0
        delta = TranscriptDelta(
            track=self._track,
            role=self._role,
            segment=self.segment,
            rev=self._rev,
            text=text,
            start_ms=start_ms,
            end_ms=end_ms,
            received_at=received_at,
            received_s=received_s,
        )
        self._said.append(delta)
        return delta

    def _close(self, reason: FinalReason) -> TranscriptFinal:
        self._is_open = False
        return TranscriptFinal(
            track=self._track,
            role=self._role,
            segment=self.segment,
            rev=self._rev,
            text="".join(delta.text for delta in self._said),
            start_ms=self._start_ms,
            end_ms=self._end_ms,
            reason=reason,
        )
