"""Find what rules look for in the text of one track, as it grows and is revised. Pure.

Everything here is a fold over whole words, so it does not matter how text is cut into deltas. A
phrase may begin in one segment and end in the next if the pause between them is short; a pattern
sees one segment only.

A match is identified by the segment in which it ends and its number among the matches of its slot
there. If a revision starts the segment over, its matches are in doubt: found again, they are the
same matches. Those that are not found are retracted when the new text has passed them, or at the
segment's final.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from workers.assist.phrases import ROOT
from workers.assist.program import Program, Slot, speaks
from workers.assist.words import Word, WordReader
from workers.client.events import TranscriptDelta, TranscriptFinal

BRIDGED_MS: Final = 2000  # the longest pause within a phrase, between two segments
_PASSED_MS: Final = 1000  # how far a revision's text is beyond a match that it lacks
_WINDOW: Final = 60  # words that a pattern sees
_MAX_MATCHES: Final = 1000  # of a segment


class MatchKey(NamedTuple):
    """What identifies a match on a track."""

    slot: int
    segment: int
    number: int


class Match(NamedTuple):
    """Words that a rule looks for, on the media clock."""

    key: MatchKey
    slot: Slot
    rev: int
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class Changes:
    """What an event changes in the matches of a track."""

    found: list[Match] = field(default_factory=list)
    retracted: list[Match] = field(default_factory=list)
    dropped: int = 0  # matches beyond the limit


@dataclass(slots=True)
class _Segment:
    """The open segment, or the last one."""

    number: int = 0
    rev: int = 0
    start_ms: int = 0
    end_ms: int = 0
    text: str = field(default="", repr=False)
    is_final: bool = True
    is_flushed: bool = False  # its last word was read, although it may continue
    words: int = 0
    state: int = ROOT  # of the phrases
    carried_state: int = ROOT  # the same, before its first word
    matches: dict[MatchKey, Match] = field(default_factory=dict)
    doubted: dict[MatchKey, Match] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)  # matches per slot
    last_word: dict[int, int] = field(default_factory=dict)  # of the last match, per slot


class TrackText:
    """The text of one track.

    Args:
        program: what to look for.
        role: who speaks.
    """

    def __init__(self, program: Program, role: str) -> None:
        self.segment = _Segment()
        self._program = program
        self._role = role
        self._reader = WordReader()
        self._words: list[Word] = []  # of the segment, after those that it continues
        self._carried = 0  # how many those are

    def delta(self, event: TranscriptDelta) -> Changes:
        """Read more text of a segment."""
        changes = Changes()
        segment = self.segment
        if event.segment < segment.number or (event.segment == segment.number and segment.is_final):
            return changes
        if event.segment > segment.number:
            self._open(event.segment, event.rev, event.start_ms, changes)
        elif event.rev < segment.rev:
            return changes
        elif event.rev > segment.rev:
            self._restart(event.rev)
        elif segment.is_flushed:
            self._read_again(changes)
        segment = self.segment
        segment.end_ms = max(segment.end_ms, event.end_ms)
        segment.text += event.text
        self._read(self._reader.feed(event.text, event.start_ms, event.end_ms), changes)
        if segment.doubted:
            passed_ms = event.end_ms - _PASSED_MS
            self._retract([m for m in segment.doubted.values() if m.end_ms <= passed_ms], changes)
        return changes

    def final(self, event: TranscriptFinal) -> Changes:
        """Read the whole text of a segment, and close it."""
        changes = Changes()
        segment = self.segment
        if event.segment < segment.number or (event.segment == segment.number and segment.is_final):
            return changes
        if event.segment > segment.number:
            self._open(event.segment, event.rev, event.start_ms, changes)
        segment = self.segment
        is_same = event.rev == segment.rev and event.text.strip() == segment.text.strip()
        if not is_same or segment.is_flushed:
            self._restart(event.rev)
            self._read(self._reader.feed(event.text, event.start_ms, event.end_ms), changes)
        self._read(self._reader.finish(), changes)
        self._retract(list(segment.doubted.values()), changes)
        segment.start_ms, segment.end_ms = event.start_ms, event.end_ms
        segment.is_final = True
        return changes

    def flush(self) -> Changes:
        """Read the last word of a segment without a final: it gets none, unless it is resumed."""
        changes = Changes()
        if not self.segment.is_final:
            self._read(self._reader.finish(), changes)
            self.segment.is_flushed = True
        return changes

    @property
    def words(self) -> int:
        """Number of words of the segment so far."""
        return len(self._words) - self._carried

    def _open(self, number: int, rev: int, start_ms: int, changes: Changes) -> None:
        last = self.segment
        if not last.is_final:
            self._read(self._reader.finish(), changes)
        self._retract(list(last.doubted.values()), changes)  # it never had a final
        state = ROOT
        keep = 0
        if last.number and start_ms - last.end_ms <= BRIDGED_MS:
            state, keep = last.state, self._program.phrases.longest
        self._words = self._words[-keep:] if keep else []
        self._carried = len(self._words)
        self._reader = WordReader()
        self.segment = _Segment(number, rev, start_ms, start_ms, is_final=False)
        self.segment.state = self.segment.carried_state = state

    def _restart(self, rev: int) -> None:
        segment = self.segment
        segment.doubted = {**segment.doubted, **segment.matches}
        segment.matches = {}
        segment.rev, segment.text, segment.state = rev, "", segment.carried_state
        segment.counts, segment.last_word, segment.is_flushed = {}, {}, False
        del self._words[self._carried :]
        self._reader = WordReader()

    def _read_again(self, changes: Changes) -> None:
        """Read the segment's text once more: its last word continues after all."""
        segment, text = self.segment, self.segment.text
        self._restart(segment.rev)
        segment.text = text
        self._read(self._reader.feed(text, segment.start_ms, segment.end_ms), changes)

    def _retract(self, matches: list[Match], changes: Changes) -> None:
        for match in matches:
            del self.segment.doubted[match.key]
            changes.retracted.append(match)

    def _read(self, words: list[Word], changes: Changes) -> None:
        phrases, segment = self._program.phrases, self.segment
        for word in words:
            self._words.append(word)
            segment.state = phrases.step(segment.state, word.text)
            last = len(self._words) - 1
            for ending in phrases.endings[segment.state]:
                self._note(ending.slot, last - ending.words + 1, last, changes)
            if self._program.patterns.slots:
                self._search(last, changes)

    def _search(self, last: int, changes: Changes) -> None:
        """Find patterns that end at the last word."""
        first = max(self._carried, last + 1 - _WINDOW)
        window = self._words[first:]
        text = " ".join(word.text for word in window)
        for number in self._program.patterns.found(text):
            slot = self._program.patterns.slots[number]
            begins = _offsets(window)
            after = self.segment.last_word.get(slot, -1) + 1 - first
            if after >= len(window):
                continue
            position = begins[after] if after > 0 else 0
            if (span := self._program.patterns.search(number, text, position)) and span[1] > span[
                0
            ]:
                begin = first + _word_at(begins, span[0])
                end = first + _word_at(begins, span[1] - 1)
                self._note(slot, begin, end, changes)

    def _note(self, number: int, first: int, last: int, changes: Changes) -> None:
        """Record a match, unless it overlaps one of the same slot."""
        segment, slot = self.segment, self._program.slots[number]
        if first <= segment.last_word.get(number, -1) or not speaks(self._role, slot.role):
            return
        if len(segment.matches) >= _MAX_MATCHES:
            changes.dropped += 1
            return
        segment.last_word[number] = last
        count = segment.counts[number] = segment.counts.get(number, 0) + 1
        key = MatchKey(number, segment.number, count)
        words = self._words
        match = Match(key, slot, segment.rev, words[first].start_ms, words[last].end_ms)
        segment.matches[key] = match
        if segment.doubted.pop(key, None) is None:
            changes.found.append(match)


def _offsets(words: list[Word]) -> list[int]:
    """Return where each word begins in the text that joins them by spaces."""
    begins, at = [], 0
    for word in words:
        begins.append(at)
        at += len(word.text) + 1
    return begins


def _word_at(begins: list[int], offset: int) -> int:
    """Return which word a character belongs to."""
    return max(0, bisect_left(begins, offset + 1) - 1)
