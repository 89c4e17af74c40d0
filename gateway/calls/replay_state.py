"""How far one track's audio has been answered, and where a replay would begin. Pure.

All times are milliseconds on the track's media clock:

    settled   |..............| in final transcripts or declared gaps: never sent again
    answered  |....................| by the current session, or declared as gaps
    furthest  |........................| by any session; during a replay, `answered` is less
    end       |..................................| of the newest audio

Each stretch of missing audio is declared as a gap exactly once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

from gateway.audio.loudness import LoudRuns
from gateway.calls.doubtful_audio import DoubtfulAudio, MediaSpan
from gateway.transcript.events import GapCause, TranscriptGap

# Audio answered for the first time that counts as progress, and unanswered audio
# after which a `done` came too early.
PROGRESS_MS: Final = 960
# A replay begins this long before the first loud audio without words, or before the first word: a
# word's first sounds are soft, and its token comes late.
_LEAD_IN_MS: Final = 800
_AFTER_WORD_MS: Final = 240  # sound this soon after a final is the end of its last word


class ReplayState:
    """The state of one track's audio.

    Args:
        track: its name, as gap events carry it.

    Attributes:
        answered_ms: see the module's docstring; None before the first audio.
        end_ms: see the module's docstring.
        dropped_ms: total of audio dropped because no session accepted it.
        doubtful: loud audio for which a server sent no words.
    """

    def __init__(self, track: str) -> None:
        self.answered_ms: int | None = None
        self.end_ms = 0
        self.dropped_ms = 0
        self._settled_ms = 0
        self._furthest_ms = 0
        self._progress_ms = 0  # furthest answer when progress was last reported
        self._paused_ms: int | None = None
        self._padded_ms: int | None = None
        self._dropped: tuple[int, int] | None = None  # the run of dropped audio not yet declared
        self._loud = LoudRuns()  # loud audio without words so far
        self.doubtful: Final = DoubtfulAudio(self._loud)
        self._gaps = GapLedger(track)

    @property
    def gap_ms(self) -> int:
        """Total of the declared gaps."""
        return self._gaps.total_ms

    @property
    def loud_ms(self) -> int:
        """Loud audio without words so far."""
        return self._loud.total_ms

    @property
    def loud_end_ms(self) -> int | None:
        """End of the newest loud audio; None before any."""
        return self._loud.end_ms

    @property
    def has_wordless_speech(self) -> bool:
        """Whether there is loud audio without words so far."""
        return self._loud.start_ms is not None

    def has_speech_before(self, until_ms: int) -> bool:
        """Return whether audio before a time is loud and not answered."""
        loud_ms = self._loud.first_after(self.answered_ms or 0)
        return loud_ms is not None and loud_ms < until_ms

    @property
    def has_dropped(self) -> bool:
        """Whether dropped audio is not declared yet."""
        return self._dropped is not None

    @property
    def is_all_answered(self) -> bool:
        """Whether all audio is answered."""
        return self.answered_ms is None or self.answered_ms >= self.end_ms

    @property
    def is_far_behind(self) -> bool:
        """Whether a second or more of audio is unanswered."""
        return self.answered_ms is not None and self.end_ms - self.answered_ms >= PROGRESS_MS

    def replay_from_ms(self, open_from_ms: int | None, silent_ms: int) -> int:
        """Return where the next session must begin.

        Args:
            open_from_ms: start of the open segment; None without one.
            silent_ms: loud audio without words that was answered this long before the newest
                answer is not replayed: the model found no words in it.
        """
        answered_ms = from_ms = self.answered_ms or 0
        loud_ms = self._loud.first_after(answered_ms - silent_ms)
        for start_ms in (loud_ms, open_from_ms):
            if start_ms is not None:
                from_ms = min(from_ms, start_ms)
        if self.doubtful.has_any and (doubtful_ms := self.doubtful.replay_from_ms) is not None:
            from_ms = min(from_ms, doubtful_ms)
        return max(self._settled_ms, from_ms - _LEAD_IN_MS)

    def trim(self, replay_from_ms: int, silent_ms: int) -> None:
        """Drop records that no replay will need; arguments as in `replay_from_ms`."""
        self._loud.drop_before((self.answered_ms or 0) - silent_ms)
        self._gaps.drop_before(replay_from_ms)

    # Audio

    def add_audio(self, start_ms: int, end_ms: int, *, is_loud: bool) -> None:
        """Record a chunk of audio. Chunks come in order."""
        self.end_ms = end_ms
        if self.answered_ms is None:
            self.answered_ms = self._settled_ms = start_ms
            self._furthest_ms = self._progress_ms = start_ms
        if is_loud:
            self._loud.note(start_ms, end_ms)

    def pause(self, at_ms: int) -> None:
        """Record that the carrier paused the stream."""
        self._paused_ms = at_ms

    def was_paused_at(self, at_ms: int) -> bool:
        """Return whether the latest pause began at this time."""
        return at_ms == self._paused_ms

    def pad(self, at_ms: int) -> None:
        """Record that padding was sent after the audio up to this time."""
        self._padded_ms = at_ms

    def is_padded(self, at_ms: int) -> bool:
        """Return whether padding is the newest audio, given the position on the media clock."""
        return at_ms == self._padded_ms

    # Answers

    def is_settled(self, start_ms: int, end_ms: int) -> bool:
        """Return whether the words of a stretch are final already."""
        return end_ms <= self._settled_ms and start_ms < self._settled_ms

    def answer(self, end_ms: int) -> bool:
        """Record until where audio is answered. Return whether it is progress worth reporting."""
        self.answered_ms = end_ms
        self._furthest_ms = max(self._furthest_ms, end_ms)
        if self._furthest_ms < self._progress_ms + PROGRESS_MS:
            return False
        self._progress_ms = self._furthest_ms
        return True

    def keep_furthest(self) -> None:
        """Treat audio that any earlier session answered as answered."""
        if self.answered_ms is not None:
            self.answered_ms = max(self.answered_ms, self._furthest_ms)

    def settle(self, until_ms: int) -> None:
        """Exclude audio before this time from every replay."""
        self._settled_ms = max(self._settled_ms, until_ms)
        self._gaps.drop_before(self._settled_ms)

    def settle_words(self, until_ms: int, *, has_words: bool = True) -> None:
        """Settle audio up to the end of a final transcript, which may be empty.

        An empty one does not settle doubtful audio: another session may have words for it.
        Words at its end may be provisional, if no session was left to complete them. They are
        published, so their audio is not missing.
        """
        if not has_words and (doubtful_ms := self.doubtful.start_ms) is not None:
            until_ms = min(until_ms, doubtful_ms)
        self.settle(until_ms)
        if self.answered_ms is not None:
            self.answered_ms = max(self.answered_ms, until_ms)
        if has_words:
            end_ms = until_ms + _AFTER_WORD_MS
            self.doubtful.word_end = self._loud.within(until_ms, end_ms)
            until_ms = end_ms
        self._loud.drop_before(until_ms)

    # Gaps

    def declare(self, from_ms: int, to_ms: int, cause: GapCause) -> list[TranscriptGap]:
        """Record a stretch as missing; return the gap events for what was not declared before."""
        return self._gaps.declare(from_ms, to_ms, cause)

    def declare_all(self, spans: Iterable[MediaSpan], cause: GapCause) -> list[TranscriptGap]:
        """Record several stretches as missing; see `declare`."""
        return [gap for span in spans for gap in self.declare(*span, cause)]

    def abandon(self, until_ms: int, cause: GapCause) -> list[TranscriptGap]:
        """Declare unanswered audio up to this time, and exclude it from every replay."""
        if self.answered_ms is None or until_ms <= self.answered_ms:
            return []
        # Words may be final although no answer was, if their session failed.
        gaps = self.declare(max(self.answered_ms, self._settled_ms), until_ms, cause)
        self.doubtful.drop_after(self.answered_ms)
        self.answered_ms = until_ms
        self.settle(until_ms)
        return gaps

    def drop(self, start_ms: int, end_ms: int, cause: GapCause) -> list[TranscriptGap]:
        """Record that a chunk was dropped; a run of dropped chunks becomes one gap.

        Args:
            start_ms: start of the chunk.
            end_ms: end of the chunk.
            cause: of an earlier run that this chunk does not continue.

        Returns:
            The gaps that declare the earlier run.
        """
        start_ms = max(start_ms, self.answered_ms or 0)
        if start_ms >= end_ms:
            return []
        self.dropped_ms += end_ms - start_ms
        gaps = []
        if self._dropped and self._dropped[1] != start_ms:
            gaps = self.declare_dropped(cause)
        self._dropped = (self._dropped[0] if self._dropped else start_ms, end_ms)
        return gaps

    def declare_dropped(self, cause: GapCause) -> list[TranscriptGap]:
        """Declare the run of dropped audio, if there is one."""
        if not self._dropped:
            return []
        (from_ms, to_ms), self._dropped = self._dropped, None
        return self.declare(from_ms, to_ms, cause)

    def clear_dropped(self) -> None:
        """Discard the run of dropped audio: another gap will cover it."""
        self._dropped = None


class GapLedger:
    """The declared gaps of one track.

    Stretches are kept sorted and disjoint; adjacent ones are merged. Declaring one takes a
    binary search, plus time proportional to the number of stretches it overlaps.

    Args:
        track: its name, as events carry it.

    Attributes:
        total_ms: total length of all gaps.
    """

    def __init__(self, track: str) -> None:
        self.total_ms = 0
        self._track = track
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        """Return the number of stretches kept."""
        return len(self._starts)

    def declare(self, from_ms: int, to_ms: int, cause: GapCause) -> list[TranscriptGap]:
        """Record a stretch as missing; return the gap events for what was not declared before."""
        if from_ms >= to_ms:
            return []
        first = bisect_left(self._ends, from_ms)  # of those that overlap or touch it
        last = bisect_right(self._starts, to_ms)
        begin_ms, end_ms = from_ms, to_ms
        gaps = []
        for start, end in zip(self._starts[first:last], self._ends[first:last], strict=True):
            if from_ms < start:
                gaps.append(TranscriptGap(self._track, from_ms, start, cause))
            from_ms = max(from_ms, end)
            begin_ms, end_ms = min(begin_ms, start), max(end_ms, end)
        if from_ms < to_ms:
            gaps.append(TranscriptGap(self._track, from_ms, to_ms, cause))
        self._starts[first:last] = [begin_ms]
        self._ends[first:last] = [end_ms]
        self.total_ms += sum(gap.to_ms - gap.from_ms for gap in gaps)
        return gaps

    def drop_before(self, until_ms: int) -> None:
        """Drop stretches that end before a time; nothing there will be declared again."""
        if self._ends and self._ends[0] <= until_ms:
            count = bisect_right(self._ends, until_ms)
            del self._starts[:count], self._ends[:count]
