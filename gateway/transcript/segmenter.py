"""From the model's words to segments: one utterance each, its deltas, then its final. Pure.

    nothing open --text--> open --text--> open --pause, length or close()--> nothing open
                             restart(): the same segment, empty, one revision on

The deltas of a segment's last revision concatenate to its final's text, to the letter. So white
space is published only once a word follows it, and never at a segment's start.
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
            empty one, that ends a segment; padding counts, too.
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
        self._texts: list[str] = []  # the open segment's deltas
        self._space = ""  # white space not yet followed by a word
        self._start_ms = 0
        self._end_ms = 0
        self._padded_ms = 0  # padding since the last word

    def delta(
        self, text: str, placement: Placement, received_s: float
    ) -> list[TranscriptDelta | TranscriptFinal]:
        """Take one delta, empty or not.

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
            events += self.close(reason)
        if said:
            events.append(self._say(text, placement, received_s))
        elif self._is_open:
            self._space += text
        return events

    def close(self, reason: FinalReason) -> list[TranscriptFinal]:
        """End the open segment; nothing if none is open."""
        if not self._is_open:
            return []
        final = TranscriptFinal(
            track=self._track,
            role=self._role,
            segment=self.segment,
            rev=self._rev,
            text="".join(self._texts),
            start_ms=self._start_ms,
            end_ms=self._end_ms,
            reason=reason,
        )
        self._is_open = False
        return [final]

    @property
    def open_from_ms(self) -> int | None:
        """Where the open segment begins; None if none is open."""
        return self._start_ms if self._is_open else None

    @property
    def end_ms(self) -> int:
        """Where the newest word ends, of whatever segment."""
        return self._end_ms

    def restart(self) -> None:
        """Start the open segment over: its audio will be heard again.

        If no word comes this time it ends where it ended before, with an empty final.
        """
        self._padded_ms = 0
        if self._is_open and self._texts:
            self._rev += 1
            self._texts = []
            self._space = ""

    def _ended(self, text: str, said: bool, placement: Placement) -> FinalReason | None:
        """Why the open segment ends before this delta, if it does."""
        if said and self._texts and not (self._space or text[0].isspace()):
            # It goes on with the last word.
            overdue = placement.end_ms - self._start_ms > self._max_ms + _MAX_WORD_MS
            return FinalReason.LENGTH if overdue else None
        if placement.end_ms - self._end_ms + self._padded_ms >= self._pause_ms:
            return FinalReason.PAUSE
        if said and placement.end_ms - self._start_ms > self._max_ms:
            return FinalReason.LENGTH
        return None

    def _say(self, text: str, placement: Placement, received_s: float) -> TranscriptDelta:
        """Add to the open segment, or open one."""
        if not self._is_open:
            self.segment += 1
            self._is_open = True
            self._rev = 0
            self._texts = []
        if not self._texts:
            self._start_ms = placement.start_ms
        text = self._space + text if self._texts else text.lstrip()
        kept = text.rstrip()
        self._space = text[len(kept) :]
        self._texts.append(kept)
        self._end_ms = placement.end_ms
        self._padded_ms = 0
        return TranscriptDelta(
            track=self._track,
            role=self._role,
            segment=self.segment,
            rev=self._rev,
            text=kept,
            start_ms=placement.start_ms,
            end_ms=placement.end_ms,
            heard_s=placement.heard_s,
            received_s=received_s,
        )
