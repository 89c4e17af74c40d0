"""Combine the model's deltas into segments: one per utterance, with deltas and a final. Pure.

    no open segment --text--> open --text--> open --pause, length or close()--> no open segment
                                restart(): the same segment without text, next revision

The deltas of a segment's last revision concatenate exactly to the text of its final. So white space
is published only when a word follows it, and never at the start of a segment.

A replay repeats words that were already published. The words of the revision before the replay are
kept until the replay has reached their end. If it ends earlier, `close` publishes them again.
"""

from typing import Final

from gateway.transcript.events import FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.session_timeline import Placement

# A segment beyond the length limit ends at the next space. If there is none for this long, the
# script has no spaces (Chinese, Japanese), and the segment ends between two deltas.
_MAX_WORD_MS: Final = 10_000


class Segmenter:
    """Splits one track's text into segments, numbered from 1.

    Args:
        track: the track's name in the events.
        role: the speaker's role in the events.
        pause_ms: length of a pause that ends a segment: media time from the end of the last delta
            with words to the end of the current delta. Padding counts only when real audio follows
            it, because until then the model can still send words of the segment.
        max_ms: media time after which a segment ends at the next word boundary.

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
        self._deltas: list[TranscriptDelta] = []  # deltas of the open segment's revision
        self._space = ""  # white space that no word follows so far
        self._start_ms = 0
        self._end_ms = 0
        self._padded_ms = 0  # padding since the last word
        self._covered_ms = 0  # end of the last delta, empty or not
        # Deltas of the revision before a replay, until the replay passes their end; and that end.
        self._earlier: list[TranscriptDelta] = []
        self._earlier_end_ms = 0

    def delta(
        self, text: str, placement: Placement, delta_received_s: float
    ) -> list[TranscriptDelta | TranscriptFinal]:
        """Add one delta, empty or not.

        Args:
            text: the delta's text.
            placement: position of its audio.
            delta_received_s: when it was received, on the monotonic clock.

        Returns:
            A final if the delta ended a segment, then a delta if it has words.
        """
        events: list[TranscriptDelta | TranscriptFinal] = []
        has_words = bool(text.strip())
        self._padded_ms += placement.padding_ms
        if self._is_open and (reason := self._end_reason(text, has_words, placement)):
            events.append(self._close(reason))
            self._earlier = [each for each in self._earlier if each.start_ms >= self._covered_ms]
        if has_words:
            events.append(self._add_words(text, placement, delta_received_s))
        elif self._is_open:
            self._space += text
        self._covered_ms = placement.end_ms
        if self._covered_ms >= self._earlier_end_ms:
            self._earlier.clear()
        return events

    def close(self, reason: FinalReason) -> list[TranscriptDelta | TranscriptFinal]:
        """End the open segment, if there is one.

        If a replay did not reach the end of the revision before it, that revision's words are
        published again, as one delta. So a final never has less than what was published.
        """
        events: list[TranscriptDelta | TranscriptFinal] = []
        if self._earlier:
            events.append(self._repeat_earlier())
        if self._is_open:
            events.append(self._close(reason))
        return events

    @property
    def open_from_ms(self) -> int | None:
        """Start of the open segment; None if none is open."""
        return self._start_ms if self._is_open else None

    @property
    def end_ms(self) -> int:
        """End of the newest word, in any segment."""
        return self._end_ms

    @property
    def is_paused(self) -> bool:
        """Whether the model has processed a pause of padding since the last word."""
        return self._is_open and self._padded_ms >= self._pause_ms

    @property
    def is_behind(self) -> bool:
        """Whether a replay has not reached all words that were published before it."""
        return bool(self._earlier)

    def restart(self) -> None:
        """Restart the open segment: the next delta is the first of a replay of its audio.

        If the replay passes the end of the earlier revision without words, the segment keeps its
        end and gets an empty final.
        """
        self._padded_ms = 0
        if self._covered_ms > self._earlier_end_ms or not self._earlier:
            self._earlier = list(self._deltas) if self._is_open else []
            self._earlier_end_ms = self._covered_ms
        if self._is_open and self._deltas:
            self._rev += 1
            self._deltas = []
            self._space = ""

    def _end_reason(self, text: str, has_words: bool, placement: Placement) -> FinalReason | None:
        """Return why the open segment ends before this delta; None if it does not end."""
        if placement.start_ms - self._covered_ms >= _MAX_WORD_MS:
            return FinalReason.PAUSE  # a hold in between: no word spans it
        if has_words and self._deltas and not (self._space or text[0].isspace()):
            # The delta continues the last word.
            overdue = placement.end_ms - self._start_ms > self._max_ms + _MAX_WORD_MS
            return FinalReason.LENGTH if overdue else None
        silence_ms = placement.end_ms - self._end_ms + self._padded_ms
        if silence_ms >= self._pause_ms and not placement.padding_ms:
            return FinalReason.PAUSE
        if has_words and placement.end_ms - self._start_ms > self._max_ms:
            return FinalReason.LENGTH
        return None

    def _add_words(
        self, text: str, placement: Placement, delta_received_s: float
    ) -> TranscriptDelta:
        """Add words to the open segment; open a segment if there is none."""
        self._open()
        if not self._deltas:
            self._start_ms = placement.start_ms
        text = self._space + text if self._deltas else text.lstrip()
        kept = text.rstrip()
        self._space = text[len(kept) :]
        return self._add(
            kept, placement.start_ms, placement.end_ms, placement.audio_received_s, delta_received_s
        )

    def _repeat_earlier(self) -> TranscriptDelta:
        """Return the words of the revision that reached further, as one delta.

        If the replay has more deltas than that revision had up to the same time, the replay's words
        are kept, followed by the words that it did not reach.
        """
        words, self._earlier = self._earlier, []
        rest = [each for each in words if each.start_ms >= self._covered_ms]
        texts = [each.text for each in words]
        if self._is_open and len(self._deltas) > len(words) - len(rest):
            words = [*self._deltas, *rest]
            texts = [each.text for each in words]
            if rest and not rest[0].text[0].isspace():
                texts.insert(-len(rest), self._space or " ")
        self._open()
        if self._deltas:
            self._rev += 1
            self._deltas = []
        self._space = ""
        self._start_ms = words[0].start_ms
        newest = words[-1]
        text = "".join(texts).lstrip()
        return self._add(
            text, self._start_ms, newest.end_ms, newest.audio_received_s, newest.delta_received_s
        )

    def _open(self) -> None:
        if not self._is_open:
            self.segment += 1
            self._is_open = True
            self._rev = 0
            self._deltas = []

    def _add(
        self,
        text: str,
        start_ms: int,
        end_ms: int,
        audio_received_s: float,
        delta_received_s: float,
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
            audio_received_s=audio_received_s,
            delta_received_s=delta_received_s,
        )
        self._deltas.append(delta)
        return delta

    def _close(self, reason: FinalReason) -> TranscriptFinal:
        self._is_open = False
        return TranscriptFinal(
            track=self._track,
            role=self._role,
            segment=self.segment,
            rev=self._rev,
            text="".join(delta.text for delta in self._deltas),
            start_ms=self._start_ms,
            end_ms=self._end_ms,
            reason=reason,
        )
