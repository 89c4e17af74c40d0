"""Turn successive hypotheses of a model into append-only words, by local agreement. Pure.

A word is emitted once two successive hypotheses of a growing window agree on it and on all words
before it (Liu et al., "Low-Latency Sequence-to-Sequence Speech Recognition", 2020:
LocalAgreement-2). The last word of an open window is held back, because its audio may be cut off.
"""

import re
from collections.abc import Sequence
from typing import Final

_MARK: Final = ",;:.!?"
_MARKS: Final = re.compile(r"\s*([,;:.!?])(?:\s*[,;:.!?])*(?=\s|$)")


class LocalAgreement:
    """The words that one window has emitted so far.

    The last agreed word is emitted without its punctuation mark, because the model ends a sentence
    wherever the audio ends. The mark is emitted with the next agreed word, as the hypothesis has it
    by then.

    Attributes:
        position: the number of words of the newest hypothesis that are emitted.
    """

    def __init__(self) -> None:
        self.position = 0
        self._emitted: list[str] = []
        self._previous: list[str] = []
        self._mark_pending = False  # of the last word emitted

    def revise(self, hypothesis: Sequence[str]) -> list[str]:
        """Compare a hypothesis of a growing window with the previous one; return new agreed words.

        The first item may be a punctuation mark of the word that was emitted before.
        """
        stable = list(hypothesis[:-1])
        before = self._previous[_emitted_end(self._emitted, self._previous) :]
        emitted = _emitted_end(self._emitted, stable)
        self._previous = stable
        self.position = emitted + _common_prefix(before, stable[emitted:])
        if self.position == emitted:
            return []
        words = self._emit(stable, emitted)
        if mark := _mark(words[-1]):
            words[-1] = words[-1].removesuffix(mark)
        self._mark_pending = True
        return words

    def conclude(self, hypothesis: Sequence[str]) -> list[str]:
        """Return the words of the closed window's hypothesis that were not emitted yet."""
        self.position = len(hypothesis)
        return self._emit(hypothesis, _emitted_end(self._emitted, hypothesis))

    def _emit(self, hypothesis: Sequence[str], begin: int) -> list[str]:
        """Return a hypothesis' words from `begin` to `position`, after the pending mark."""
        words = list(hypothesis[begin : self.position])
        mark = ""
        if (
            self._mark_pending
            and begin
            and _plain(hypothesis[begin - 1]) == _plain(self._emitted[-1])
        ):
            mark = _mark(hypothesis[begin - 1])
        self._emitted += words
        self._mark_pending = False
        return [mark, *words] if mark else words


def is_mark(text: str) -> bool:
    """Return whether a text is a punctuation mark, which follows a word without a space."""
    return len(text) == 1 and text in _MARK


def words_of(text: str) -> list[str]:
    """Split a hypothesis into words, each with at most one punctuation mark.

    The model repeats marks ("In short,, the period") and puts spaces before them.
    """
    return [word for word in _MARKS.sub(r"\1", text).split() if _plain(word)]


def _mark(word: str) -> str:
    """Return the punctuation mark that a word ends with, or an empty string."""
    return word[-1] if is_mark(word[-1]) else ""


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def _common_prefix(left: Sequence[str], right: Sequence[str]) -> int:
    """Count the words that both begin with, ignoring case and punctuation."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if _plain(one) != _plain(other):
            break
        count += 1
    return count


def _emitted_end(emitted: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Return the length of the hypothesis' prefix with the least edit distance to `emitted`.

    If several prefixes have the same distance, return the longest: it is better to lose a word than
    to emit it twice.
    """
    distances = list(range(len(hypothesis) + 1))
    for row, word in enumerate(emitted, start=1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(hypothesis, start=1):
            replaced = diagonal + (_plain(word) != _plain(other))
            diagonal = distances[column]
            distances[column] = min(replaced, diagonal + 1, distances[column - 1] + 1)
    return min(range(len(distances)), key=lambda end: (distances[end], -end))
