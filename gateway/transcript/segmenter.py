"""Combine the model's deltas into segments: one per utterance, with deltas and a final. Pure.

    no open segment --text--> open --text--> open --pause, length or close()--> no open segment
                                restart(): the same segment without text, next revision

The deltas of a segment's last revision concatenate exactly to the text of its final. So white space
is published only when a word follows it, and never at the start of a segment.

Text is final when it is added, or provisional, and then it may be replaced (`replace`): the segment
gets another revision unless the new text only continues the old one.

A replay repeats words that were already published. The words of the revision before the replay are
kept until the replay has reached their end. If it ends earlier, `close` publishes them again.
"""

from typing import Final

from msgspec.structs import replace

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
        self._length = 0  # of their text
        self._final_length = 0  # how much of it, from its start, is not provisional
        self._language: str | None = None  # of its newest text
        self._space = ""  # white space that no word follows so far
        self._start_ms = 0
        self._end_ms = 0
        self._padded_ms = 0  # padding since the last word
        self._covered_ms = 0  # end of the last delta, empty or not
        self._answered_ms = 0  # the same, without provisional ones
        # Deltas of the revision before a replay, until the replay passes their end; and that end.
        self._earlier: list[TranscriptDelta] = []
        self._earlier_end_ms = 0

    def delta(
        self, text: str, placement: Placement, delta_received_s: float, *, is_final: bool = True
    ) -> list[TranscriptDelta | TranscriptFinal]:
        """Add one delta, empty or not.

        Args:
            text: the delta's text.
            placement: position of its audio.
            delta_received_s: when it was received, on the monotonic clock.
            is_final: whether the text, and all before it, is not provisional.

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
        if is_final:
            self._answer(placement.end_ms, self._length)
        return events

    def replace(
        self,
        text: str,
        provisional: str,
        placement: Placement,
        delta_received_s: float,
        *,
        answered_ms: int | None,
        language: str | None = None,
    ) -> list[TranscriptDelta | TranscriptFinal]:
        """Replace the provisional text of the open segment.

        Args:
            text: all text since the last that was final.
            provisional: more text, which is provisional in any case.
            placement: position of their audio.
            delta_received_s: when they were received, on the monotonic clock.
            answered_ms: audio before this time has no words but those in `text` and before; None if
                `text` is provisional, too.
            language: the language of this text; None if it is unknown.

        Returns:
            The events that make this text the newest one. Text that is too long for the segment, or
            comes after a pause, begins another segment.
        """
        events = self._end_before_provisional(placement)
        before = self._final_length if self._is_open else 0
        old = self._provisional()
        new = text + provisional
        new = new.rstrip() if self._is_open and self._final_length else new.strip()
        if not new.startswith(old):
            events += self._start_over()
            old = ""
        if rest := new[len(old) :]:
            start_ms = min(max(placement.start_ms, self._end_ms), placement.end_ms)
            where = replace(placement, start_ms=start_ms) if old else placement
            self._space = "" if rest[0].isspace() else self._space
            events.append(self._add_words(rest, where, delta_received_s))
        if not (before or old == new):  # all text is at this position
            self._start_ms = min(self._start_ms, placement.start_ms)
        self._covered_ms = placement.end_ms
        if answered_ms is not None:
            rest_length = len((text + provisional).rstrip()) - len(text.rstrip())
            self._answer(answered_ms, max(0, self._length - rest_length))
            self._correct_times(before, placement)
        if language and new and self._is_open:
            self._language = language
        if answered_ms is not None and self._has_paused_at(answered_ms):
            events.append(self._close(FinalReason.PAUSE))
        return events

    def _has_paused_at(self, answered_ms: int) -> bool:
        """Return whether all text is final, and a pause without words followed it."""
        is_final = self._is_open and self._final_length == self._length and not self._earlier
        return is_final and answered_ms - self._end_ms >= self._pause_ms

    def _correct_times(self, from_length: int, placement: Placement) -> None:
        """Limit the deltas of text that has become final to its position, as theirs was a guess.

        Args:
            from_length: how much of the segment's text was final before.
            placement: position of the text that has become final.
        """
        if not (self._is_open and from_length < self._final_length):
            return
        at, start_ms, end_ms = 0, placement.start_ms, placement.end_ms
        for number, delta in enumerate(self._deltas):
            if from_length <= at < self._final_length:
                begin_ms = min(max(delta.start_ms, start_ms), end_ms)
                stop_ms = min(max(delta.end_ms, begin_ms), end_ms)
                self._deltas[number] = replace(delta, start_ms=begin_ms, end_ms=stop_ms)
            at += len(delta.text)
        if not from_length:
            self._start_ms = start_ms
        if self._final_length >= self._length:
            self._end_ms = end_ms

    def close(self, reason: FinalReason) -> list[TranscriptDelta | TranscriptFinal]:
        """End the open segment, if there is one.

        Provisional text is dropped: the audio at its end is not answered, so it is replayed,
        or declared as a gap.

        If a replay did not reach the end of the revision before it, that revision's words are
        published again, as one delta. So a final never has less than the final text that was
        published.
        """
        events: list[TranscriptDelta | TranscriptFinal] = []
        if self._is_open and self._length > self._final_length:
            events += self._start_over()
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
        if self._answered_ms > self._earlier_end_ms or not self._earlier:
            self._earlier = self._final_deltas() if self._is_open else []
            self._earlier_end_ms = self._answered_ms
        if self._is_open and self._deltas:
            self._start_revision()

    def _start_revision(self) -> None:
        self._rev += 1
        self._clear()
        self._space = ""

    def _clear(self) -> None:
        self._deltas = []
        self._length = self._final_length = 0

    def _final_deltas(self) -> list[TranscriptDelta]:
        """Return the deltas of the open segment without its provisional text."""
        deltas, left = [], self._final_length
        for delta in self._deltas:
            if left <= 0:
                break
            end_ms = min(delta.end_ms, self._answered_ms)
            start_ms = min(delta.start_ms, end_ms)
            text = delta.text[:left]
            deltas.append(replace(delta, text=text, start_ms=start_ms, end_ms=end_ms))
            left -= len(delta.text)
        return deltas

    def _provisional(self) -> str:
        text = "".join(delta.text for delta in self._deltas) if self._is_open else ""
        return text[self._final_length :]

    def _start_over(self) -> list[TranscriptDelta | TranscriptFinal]:
        """Start another revision of the open segment that has only the final text."""
        final = self._final_deltas()
        self._start_revision()
        if not final:
            self._end_ms = self._start_ms
            return []
        text, last = "".join(each.text for each in final), final[-1]
        start_ms, end_ms = final[0].start_ms, last.end_ms
        delta = self._add(text, start_ms, end_ms, last.audio_received_s, last.delta_received_s)
        self._final_length = self._length
        return [delta]

    def _end_before_provisional(
        self, placement: Placement
    ) -> list[TranscriptDelta | TranscriptFinal]:
        """End the open segment after its final text if provisional text does not belong to it."""
        final = self._final_deltas() if self._is_open else []
        if not final:
            return []
        pause_ms = placement.start_ms - final[-1].end_ms
        if pause_ms >= self._pause_ms:
            reason = FinalReason.PAUSE
        elif placement.end_ms - self._start_ms > self._max_ms:
            reason = FinalReason.LENGTH
        else:
            return []
        events = self._start_over() if self._length > self._final_length else []
        return [*events, self._close(reason)]

    def _answer(self, until_ms: int, final_length: int) -> None:
        """Record until where audio is answered, and how much of the open segment is final."""
        self._answered_ms = until_ms
        self._final_length = final_length
        if final_length == self._length:
            self._end_ms = min(self._end_ms, until_ms)
        if until_ms >= self._earlier_end_ms:
            self._earlier.clear()

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
            self._start_revision()
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
            self._language = None
            self._clear()

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
        self._length += len(text)
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
            language=self._language,
        )
