"""Append-only words out of a model that changes its mind: local agreement of hypotheses. Pure.

A word is said once two successive hypotheses of a growing window agree on it and on all before it
(Liu et al., "Low-Latency Sequence-to-Sequence Speech Recognition", 2020: LocalAgreement-2). The
last word of an open window is held back: its audio may be cut in the middle.
"""

import re
from collections.abc import Sequence
from typing import Final

_MARKS: Final = re.compile(r"\s*([,;:.!?])(?:\s*[,;:.!?])*(?=\s|$)")


class LocalAgreement:
    """What one window has said so far.

    Attributes:
        position: how many words of the newest hypothesis are said.
    """

    def __init__(self) -> None:
        self.position = 0
        self._said: list[str] = []
        self._previous: list[str] = []

    def revise(self, hypothesis: Sequence[str]) -> list[str]:
        """Take a hypothesis of the still growing window; give the words agreed since the last."""
        settled = list(hypothesis[:-1])
        before = self._previous[_said_until(self._said, self._previous) :]
        said = _said_until(self._said, settled)
        self._previous = settled
        self.position = said + _common_prefix(before, settled[said:])
        return self._say(settled[said : self.position])

    def conclude(self, hypothesis: Sequence[str]) -> list[str]:
        """Take the closed window's hypothesis; give all of it that was not said yet."""
        self.position = len(hypothesis)
        return self._say(list(hypothesis[_said_until(self._said, hypothesis) :]))

    def _say(self, words: list[str]) -> list[str]:
        self._said += words
        return words


def words_of(text: str) -> list[str]:
    """Split a hypothesis into words, each with one punctuation mark at most.

    The model repeats marks ("In short,, the period") and sets them apart from their word.
    """
    return [word for word in _MARKS.sub(r"\1", text).split() if _plain(word)]


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
