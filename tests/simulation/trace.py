"""Record what happens in a run, in order. The same seed must give exactly the same trace."""

from collections.abc import Callable
from typing import NamedTuple


class Entry(NamedTuple):
    """One entry of a trace."""

    at_s: float  # virtual time
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.at_s:10.4f}  {self.who:<16} {self.what}"


class Trace:
    """The trace of a run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.entries: list[Entry] = []
        self._clock = clock

    def note(self, who: str, what: str) -> None:
        """Append an entry."""
        self.entries.append(Entry(self._clock(), who, what))
