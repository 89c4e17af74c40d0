"""Find any number of phrases in a sequence of words, in one step per word. Pure.

An automaton of Aho and Corasick over words instead of characters: a step costs the same however
many phrases there are, and its state is one number, so that a text can be read word by word.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

ROOT: Final = 0


class Ending(NamedTuple):
    """A phrase that ends at the word just read."""

    slot: int
    words: int  # its length


class PhraseIndex:
    """The phrases of all rules of a call.

    Args:
        phrases: the words of each phrase, and the number of its slot.
    """

    def __init__(self, phrases: Iterable[tuple[tuple[str, ...], int]]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._fallback = [ROOT]
        self.endings: list[tuple[Ending, ...]] = [()]
        self.longest = 0
        for words, slot in phrases:
            self._add(words, slot)
        self._connect()

    def _add(self, words: tuple[str, ...], slot: int) -> None:
        state = ROOT
        for word in words:
            state = self._next[state].setdefault(word, len(self._next))
            if state == len(self._next):
                self._next.append({})
                self._fallback.append(ROOT)
                self.endings.append(())
        ending = Ending(slot, len(words))
        if ending not in self.endings[state]:
            self.endings[state] += (ending,)
        self.longest = max(self.longest, len(words))

    def _connect(self) -> None:
        queue = deque(self._next[ROOT].values())
        while queue:
            state = queue.popleft()
            for word, after in self._next[state].items():
                self._fallback[after] = self.step(self._fallback[state], word)
                self.endings[after] += self.endings[self._fallback[after]]
                queue.append(after)

    def step(self, state: int, word: str) -> int:
        """Return the state after one more word."""
        while word not in self._next[state]:
            if state == ROOT:
                return ROOT
            state = self._fallback[state]
        return self._next[state][word]
