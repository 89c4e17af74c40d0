"""What happened in a run, in order: the same seed must give the same trace, to the letter."""

from collections.abc import Callable
from typing import NamedTuple


class Entry(NamedTuple):
    """One thing that happened."""

    at_s: float  # virtual time
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.at_s:10.4f}  {self.who:<16} {self.what}"


class Trace:
    """Keeps what its world's parts note."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.entries: list[Entry] = []
        self._clock = clock

    def note(self, who: str, what: str) -> None:
        """Write one thing down."""
        self.entries.append(Entry(self._clock(), who, what))
