"""Text of a session that is not final, with estimates of where it was said. Pure.

Deltas only add text. A final text, which may differ in case, punctuation and white space, takes
its words from the front; what follows stays. If it reaches beyond the deltas so far, those that
repeat its end are left out when they arrive.
"""

from collections import deque
from collections.abc import Iterator
from itertools import accumulate, groupby
from operator import attrgetter
from typing import Final

import msgspec

_CHARACTER_MS: Final = 80  # of speech: 12 a second
_SHORTEST_CHARACTER_MS: Final = 40  # 25 a second: speech is not faster
_LEAST_MS: Final = 80
_MOST_WORDS: Final = 40


class Stretch(msgspec.Struct, gc=False):
    """Text and the estimated position of its audio."""

    text: str
    start_ms: int
    end_ms: int


class PendingText:
    """The text, in the pieces in which it arrived.

    Attributes:
        text: all of it.
    """

    def __init__(self) -> None:
        self.text = ""
        self._pieces: deque[Stretch] = deque()
        self._end_ms = 0
        self._space = ""  # white space before the next text
        self._ahead = ""  # letters of the last final text that no delta had so far

    def __bool__(self) -> bool:
        """Return whether there is text other than white space."""
        return bool(self._pieces)

    @property
    def characters(self) -> int:
        """Length of the text."""
        return len(self.text)

    @property
    def start_ms(self) -> int:
        """Where it begins."""
        return self._pieces[0].start_ms if self._pieces else self._end_ms

    @property
    def end_ms(self) -> int:
        """Where it ends."""
        return self._end_ms

    @property
    def length_ms(self) -> int:
        """Length of its audio."""
        return self.end_ms - self.start_ms

    def add(self, text: str, end_ms: int, answered_ms: int) -> bool:
        """Add a delta; return whether there is new text.

        Args:
            text: the delta's text.
            end_ms: where its audio ends at the latest.
            answered_ms: audio before this time has final text.
        """
        if self._ahead:
            text = self._leave_out(text)
        if not self._pieces:
            text, self._space = self._space + text, ""
            if not text.strip():
                self._space = text[-1:]
                return False
        if not text:
            return False
        begin_ms = max(self._end_ms, answered_ms)
        self._end_ms = max(begin_ms, end_ms)
        length_ms = max(_LEAST_MS, _CHARACTER_MS * len(text))
        start_ms = max(begin_ms, self._end_ms - length_ms)
        self._pieces.append(Stretch(text, start_ms, self._end_ms))
        self.text += text
        # Much text at once, as after a burst of audio, can't be of its end only.
        earlier_ms = self._end_ms - _SHORTEST_CHARACTER_MS * len(self.text)
        first = self._pieces[0]
        first.start_ms = min(first.start_ms, max(answered_ms, earlier_ms))
        return True

    def split(self, at_ms: int) -> Stretch:
        """Remove and return the text before a time: whole words, if it has any border of words."""
        self._spread()
        pieces = list(self._pieces)
        count = next((n for n, piece in enumerate(pieces) if piece.end_ms > at_ms), len(pieces))
        count = max(1, min(count, len(pieces) - 1))
        borders = (n for n in range(count, 0, -1) if n < len(pieces))
        border = next((n for n in borders if pieces[n].text[:1].isspace()), count)
        start_ms, end_ms = self.start_ms, pieces[border - 1].end_ms
        return Stretch(self._remove(sum(len(p.text) for p in pieces[:border])), start_ms, end_ms)

    def _spread(self) -> None:
        """Distribute pieces that came at once, as after a burst, over the time of their speech."""
        begin_ms = self.start_ms
        for end_ms, group in groupby(list(self._pieces), key=attrgetter("end_ms")):
            pieces = list(group)
            length = sum(len(piece.text) for piece in pieces)
            start_ms = max(begin_ms, min(pieces[0].start_ms, end_ms - _CHARACTER_MS * length))
            begin_ms = start_ms
            for characters, piece in zip(_sums(pieces), pieces, strict=True):
                piece.start_ms = begin_ms
                piece.end_ms = begin_ms = start_ms + (end_ms - start_ms) * characters // length

    def take(self, final: str) -> str:
        """Remove the words of a final text from the front; return that text.

        It is returned with the white space that separates it from the text before.
        """
        if not final.strip():
            return ""
        self._ahead = ""
        letters = _letters(final)
        count, matched = _match(self.text, letters)
        if matched < len(letters) and count < len(self.text):  # other words: take as many
            count = _end_of_words(self.text, len(final.split()))
        else:
            self._ahead = letters[matched:]
        removed = self._remove(count)
        if removed.split() == final.split():
            return removed
        space = removed[: len(removed) - len(removed.lstrip())] if removed else " "
        return space + final.strip()

    def begin_after(self, end_ms: int) -> None:
        """Move what is left behind the end of the final text."""
        for piece in self._pieces:
            piece.start_ms = max(piece.start_ms, end_ms)
            piece.end_ms = max(piece.end_ms, end_ms)
        self._end_ms = max(end_ms, self._pieces[-1].end_ms) if self._pieces else end_ms

    def end_of(self, final: str) -> str:
        """Return the end of a final text with which this text begins."""
        words, own = final.split()[-_MOST_WORDS:], _letters(self.text)
        ends = (" ".join(words[at:]) for at in range(len(words)))
        return next((end for end in ends if own.startswith(_letters(end) or " ")), "")

    def take_all(self) -> str:
        """Remove and return all text, without the white space at its end."""
        text = self._remove(len(self.text.rstrip()))
        self._ahead = ""
        return text

    def _leave_out(self, text: str) -> str:
        """Return what a delta has beyond the last final text."""
        count, matched = _match(text, self._ahead)
        if not matched and _letters(text):
            self._ahead = ""  # it begins with other words
            return text
        if matched < len(self._ahead) and count < len(text):
            self._ahead = ""
            return text[count:]
        self._ahead = self._ahead[matched:]
        return text[count:]

    def _remove(self, count: int) -> str:
        """Remove and return the first characters."""
        removed, self.text = self.text[:count], self.text[count:]
        while self._pieces and count >= len(self._pieces[0].text):
            count -= len(self._pieces.popleft().text)
        if count:
            self._pieces[0].text = self._pieces[0].text[count:]
        if not self.text.strip():
            self._space = self.text[:1] or self._space
            self.text = ""
            self._pieces.clear()
        return removed


def _sums(pieces: list[Stretch]) -> Iterator[int]:
    """Return how many characters there are up to the end of each piece."""
    return accumulate(len(piece.text) for piece in pieces)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _match(text: str, letters: str) -> tuple[int, int]:
    """Compare a text with letters.

    Returns:
        How many characters of the text have the first letters, with the marks that follow them,
        and how many letters that is.
    """
    matched = 0
    for at, character in enumerate(text):
        folded = _letters(character)
        if not folded:
            if matched == len(letters) and character.isspace():
                return at, matched
            continue
        if not letters.startswith(folded, matched):
            return at, matched
        matched += len(folded)
    return len(text), matched


def _end_of_words(text: str, words: int) -> int:
    """Return where the first words of a text end."""
    at = 0
    for word in text.split()[:words]:
        at = text.index(word, at) + len(word)
    return at
