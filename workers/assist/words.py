"""Split text into words as rules compare them, however it is cut into deltas. Pure.

A word is in lower case, without punctuation and apostrophes: "Don't!" is `dont`, "follow-up" is
`follow up`. In scripts without spaces, each character is a word, so that phrases match inside of a
sentence.
"""

import re
import unicodedata
from typing import Final, NamedTuple

_NO_SPACES: Final = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_PART: Final = f"(?:[^\\W_{_NO_SPACES}]|[\u0300-\u036f])"
_MAX_LETTERS: Final = 64  # of a word; longer ones are split
_WORD: Final = re.compile(f"[{_NO_SPACES}]|{_PART}(?:{_PART}|['\u2019]){{0,{_MAX_LETTERS - 1}}}")


class Word(NamedTuple):
    """A normalized word, and where it is on the media clock."""

    text: str
    start_ms: int
    end_ms: int

    def __repr__(self) -> str:
        """Return where it is, without the word."""
        return f"<Word {self.start_ms}-{self.end_ms}>"


def normalized(text: str) -> tuple[str, ...]:
    """Return the words of a whole text."""
    return tuple(_normal(each) for each in _WORD.findall(text))


class WordReader:
    """Reads a text that arrives in pieces.

    A word that reaches the end of a piece may continue in the next one. It is returned when the
    next piece, or `finish`, shows that it is complete.
    """

    __slots__ = ("_tail", "_tail_end_ms", "_tail_start_ms")

    def __init__(self) -> None:
        self._tail = ""
        self._tail_start_ms = 0
        self._tail_end_ms = 0

    def feed(self, piece: str, start_ms: int, end_ms: int) -> list[Word]:
        """Return the words that are complete after one more piece of the text.

        Args:
            piece: the text that follows.
            start_ms: where it begins on the media clock.
            end_ms: where it ends; positions of words in it are interpolated.
        """
        known = len(self._tail)
        text = self._tail + piece
        letters = len(piece.lstrip())
        first = len(text) - letters  # a delta begins with its first word, not with the space before
        per_letter = (end_ms - start_ms) / (letters or 1)
        words: list[Word] = []
        for match in _WORD.finditer(text):
            begin, end = match.span()
            first_ms = (
                self._tail_start_ms
                if begin < known
                else start_ms + round((begin - first) * per_letter)
            )
            last_ms = (
                self._tail_end_ms if end <= known else start_ms + round((end - first) * per_letter)
            )
            if end == len(text) and _may_continue(match[0]):
                self._tail, self._tail_start_ms, self._tail_end_ms = match[0], first_ms, last_ms
                return words
            words.append(Word(_normal(match[0]), first_ms, last_ms))
        self._tail = ""
        return words

    def finish(self) -> list[Word]:
        """Return the last word if nothing has shown yet that it is complete."""
        tail, self._tail = self._tail, ""
        if not tail:
            return []
        return [Word(_normal(tail), self._tail_start_ms, self._tail_end_ms)]


def _may_continue(word: str) -> bool:
    return len(word) < _MAX_LETTERS and not re.match(f"[{_NO_SPACES}]", word)


def _normal(word: str) -> str:
    if word.isascii():
        return word.lower().replace("'", "")
    plain = unicodedata.normalize("NFKC", word).casefold()
    return plain.replace("'", "").replace("\u2019", "")
