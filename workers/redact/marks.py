"""The cues of a text, its own and those of other speakers, and which one applies where. Pure."""

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Final

from workers.redact.cues import Cue, Phrases, cues, normalized
from workers.redact.kinds import Kind
from workers.redact.spoken import Token

INHERITED_WORDS: Final = 20
OWNERS: Final = frozenset({"my", "his", "her", "our", "your", "the"})
_JOINED: Final = (["and"], ["and", "your"], ["and", "the"], ["and", "my"], ["or"], ["und"], ["y"])
_PLACED: Final = frozenset({"on", "of", "for", "from", "in", "to", "with", "at", "about"})
_PLACE_WORDS: Final = 6  # from a cue to "on the policy"


class Marks:
    """Cues, by where they end.

    Args:
        tokens: the text's tokens, and the last ones of the text before.
        base: offset of the text.
        known: the last cue in the text before, and the words after it.
        table: the language's phrases.
        said: cues of other speakers, by the offset in the text at which they apply.

    Attributes:
        phrases: indices of the first and the last token of each phrase.
    """

    def __init__(
        self,
        tokens: Sequence[Token],
        base: int,
        known: tuple[Cue | None, int],
        table: Phrases,
        said: Sequence[tuple[int, Cue]],
    ) -> None:
        self.phrases: list[tuple[int, int]] = []
        self._tokens = tokens
        self._base = base
        self._known, distance = known
        # A word that ends where the text begins was not counted before: it may not have ended.
        self._counted = next((n for n, each in enumerate(tokens) if each.end >= base), len(tokens))
        self._known_at = self._counted - distance
        self._values: dict[int, Cue] = {}  # what masked values announce, by where they end
        marks = self._own(table)  # offset after the phrase, index of the word after it, cue
        self._own_ends = {end for end, _, _ in marks if end > base}
        for offset, cue in said:
            at = offset + base
            index = next((n for n, each in enumerate(tokens) if each.start >= at), len(tokens))
            marks.append((at, index, cue))
        self._marks = sorted(marks, key=itemgetter(0, 1))

    def cue_at(self, offset: int, index: int) -> tuple[Cue | None, int]:
        """Return the last cue that ends before an offset, and the words between.

        Args:
            offset: of a token.
            index: of the token.
        """
        after = bisect_right(self._marks, offset, key=itemgetter(0))
        if not after:
            return self._known, max(0, index - self._counted) + self._counted - self._known_at
        return self._resolved(after - 1), max(0, index - self._marks[after - 1][1])

    def cue_after(self, offset: int, index: int) -> tuple[Cue | None, int]:
        """Return the cue for the text after an offset, at which a value may have ended."""
        value = self._values.get(offset)
        return (value, 0) if value else self.cue_at(offset - 1, index)

    def add(self, end: int, index: int, cue: Cue) -> None:
        """Add what a value, which ends at an offset before a token, announces."""
        self._values[end] = cue
        insort(self._marks, (end, index, cue), key=itemgetter(0))

    def last_own(self, unfinished: int | None) -> Cue | None:
        """Return the last cue in the text, unless it ends at the offset of an unfinished word."""
        for position in reversed(range(len(self._marks))):
            end = self._marks[position][0]
            if end in self._own_ends and end != unfinished:
                return self._resolved(position)
        return None

    def _own(self, table: Phrases) -> list[tuple[int, int, Cue]]:
        """Return the cues in the text, and one that the text before it ends with.

        In "date of birth and postcode" and "date of birth on the policy", the harmless cue does not
        hide the other one.
        """
        tokens = self._tokens
        at_word = [n for n, each in enumerate(tokens) if each.low[0].isalnum()]
        words = [normalized(tokens[n].low) for n in at_word]
        found = []
        sensitive, harmless = -1, -1  # where the phrases before end
        for first, last, cue in cues(words, table):
            if cue.kind is not None and first <= harmless:
                continue  # "serial number on the back"
            self.phrases += [(at_word[first], at_word[last])]
            if cue.is_weak and sensitive >= 0 and _is_aside(words[sensitive + 1 : first]):
                continue
            sensitive = last if cue.kind else -1
            harmless = -1 if cue.kind or cue.inherits else last
            if tokens[at_word[last]].end >= self._base:
                found.append((tokens[at_word[last]].end, at_word[last] + 1, cue))
        return found

    def _resolved(self, position: int) -> Cue:
        """Return the cue of a mark, and what was announced just before if it may be about that."""
        _, index, cue = self._marks[position]
        if not cue.inherits and not cue.is_weak:
            return cue
        before, at = self._known, self._known_at
        for _, near, other in reversed(self._marks[max(0, position - INHERITED_WORDS) : position]):
            is_passed = other.inherits or (cue.is_weak and other.is_weak)
            if not is_passed or index - near > INHERITED_WORDS:
                before, at = other, near
                break
        if before is None or index - at > INHERITED_WORDS:
            return cue
        if cue.inherits:
            return part_of(before)
        if before.is_weak:
            before = before.otherwise
        return replace(cue, otherwise=before) if before else cue


def part_of(cue: Cue) -> Cue:
    """Return the cue for a part of what a cue announces."""
    return cue if cue.kind in (None, Kind.BIRTH_DATE) else Cue(cue.kind)


def _is_aside(between: Sequence[str]) -> bool:
    """Return whether the words between two phrases show that both announce the same value."""
    is_placed = len(between) >= 2 and between[-2] in _PLACED and between[-1] in OWNERS
    return between in _JOINED or (is_placed and len(between) <= _PLACE_WORDS)
