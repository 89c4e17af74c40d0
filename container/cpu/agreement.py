"""Append-only words out of a model that changes its mind: local agreement of hypotheses. Pure.

A word is said once two successive hypotheses of a growing window agree on it and on all before it
(Liu et al., "Low-Latency Sequence-to-Sequence Speech Recognition", 2020: LocalAgreement-2). The
last word of an open window is held back: its audio may be cut in the middle.
"""

import re
from collections.abc import Sequence
from typing import Final

_MARK: Final = ",;:.!?"
_MARKS: Final = re.compile(r"\s*([,;:.!?])(?:\s*[,;:.!?])*(?=\s|$)")


class LocalAgreement:
    """What one window has said so far.

    A word at the end of what is agreed is said without its punctuation mark: the model ends a
    sentence wherever its audio ends. The mark follows once the next word is agreed, as it is then.

    Attributes:
        position: how many words of the newest hypothesis are said.
    """

    def __init__(self) -> None:
        self.position = 0
        self._said: list[str] = []
        self._previous: list[str] = []
        self._mark_owed = False  # by the last word said

    def revise(self, hypothesis: Sequence[str]) -> list[str]:
        """Compare a hypothesis of a growing window with the one before; return new agreed words.

        The first may be a mark, which belongs to the word before.
        """
        settled = list(hypothesis[:-1])
        before = self._previous[_said_until(self._said, self._previous) :]
        said = _said_until(self._said, settled)
        self._previous = settled
        self.position = said + _common_prefix(before, settled[said:])
        if self.position == said:
            return []
        words = self._say(settled, said)
        if mark := _mark(words[-1]):
            words[-1] = words[-1].removesuffix(mark)
        self._mark_owed = True
        return words

    def conclude(self, hypothesis: Sequence[str]) -> list[str]:
        """Return what of the closed window's hypothesis was not returned yet."""
        self.position = len(hypothesis)
        return self._say(hypothesis, _said_until(self._said, hypothesis))

    def _say(self, hypothesis: Sequence[str], begin: int) -> list[str]:
        """Return a hypothesis from a word up to `position`, after the mark that is owed."""
        words = list(hypothesis[begin : self.position])
        mark = ""
        if self._mark_owed and begin and _plain(hypothesis[begin - 1]) == _plain(self._said[-1]):
            mark = _mark(hypothesis[begin - 1])
        self._said += words
        self._mark_owed = False
        return [mark, *words] if mark else words


def is_mark(text: str) -> bool:
    """Whether this is a punctuation mark, to be written right after the word before."""
    return len(text) == 1 and text in _MARK


def words_of(text: str) -> list[str]:
    """Split a hypothesis into words, each with one punctuation mark at most.

    The model repeats marks ("In short,, the period") and sets them apart from their word.
    """
    return [word for word in _MARKS.sub(r"\1", text).split() if _plain(word)]


def _mark(word: str) -> str:
    """Return the mark that a word ends with; nothing if there is none."""
    return word[-1] if is_mark(word[-1]) else ""


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def _common_prefix(left: Sequence[str], right: Sequence[str]) -> int:
    """How many words both begin with, whatever their case and punctuation."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if _plain(one) != _plain(other):
            break
        count += 1
    return count


def _said_until(said: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Where in the hypothesis that ends which was said: the prefix nearest to it by edits.

    Of equally near prefixes the longest, so that a word is rather lost than said twice.
    """
    distances = list(range(len(hypothesis) + 1))
    for row, word in enumerate(said, start=1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(hypothesis, start=1):
            replaced = diagonal + (_plain(word) != _plain(other))
            diagonal = distances[column]
            distances[column] = min(replaced, diagonal + 1, distances[column - 1] + 1)
    return min(range(len(distances)), key=lambda end: (distances[end], -end))
