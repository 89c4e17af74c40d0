"""What the kinds of rules have in common: how a call reports to a rule, and a rule raises. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from workers.assist.board import Board, Cite
from workers.assist.facts import Missing, Spoken, Turn
from workers.assist.rules import Rule


class Measure(NamedTuple):
    """The highest or lowest value that a rule has measured, for those who ask why it is silent."""

    value: float
    cite: Cite | None = None


@dataclass(slots=True)
class Post:
    """Where a rule raises its alerts.

    Attributes:
        grace_ms: how long after a time words are awaited that were said before it, at least.
    """

    board: Board
    rule: Rule
    version: str
    grace_ms: int = 0

    @property
    def patience_ms(self) -> int:
        """How long such words are awaited now: longer if words come late lately."""
        return max(self.grace_ms, 2 * self.board.lag_ms)

    def raise_alert(self, key: str, cite: Cite) -> None:
        """Raise an alert, unless it is raised."""
        self.board.raise_alert(self.rule, self.version, key, cite)

    def withdraw(self, key: str) -> None:
        """Withdraw an alert, if it is raised."""
        self.board.withdraw(self.rule, self.version, key)

    def note_dropped(self, matches: int = 1) -> None:
        """Count matches that exceed what a rule keeps of a call."""
        self.board.dropped["matches"] += matches


class Watch:
    """A rule in one call; kinds override what concerns them.

    Times are milliseconds since the call began.

    Attributes:
        due_ms: when `advance` has to be called; None if time changes nothing.
        best: what it has measured, if it measures something.
    """

    due_ms: int | None = None
    best: Measure | None = None

    def found(self, spoken: Spoken) -> None:
        """Receive words that the rule looks for."""

    def retracted(self, spoken: Spoken) -> None:
        """Receive words that a revision took back."""

    def began(self, turn: Turn) -> None:
        """Receive a turn that has begun, before anything else about it."""

    def turn(self, turn: Turn) -> None:
        """Receive a turn that has begun, grown or changed."""

    def overlap(self, turn: Turn, beside: Sequence[Turn]) -> None:
        """Receive a turn that overlaps others, or is closed, and those that it overlaps."""

    def final(self, turn: Turn) -> None:
        """Receive a turn that is closed."""

    def missing(self, gap: Missing) -> None:
        """Receive a gap in the transcript."""

    def paused(self, at_ms: int, *, is_paused: bool) -> None:
        """Receive that streams are paused, or that none of them is."""

    def stream_ended(self, stream: str, status: str, cite: Cite) -> None:
        """Receive the end of a stream."""

    def advance(self, now_ms: int) -> None:
        """Do what is due before a time."""

    def over(self, end_ms: int) -> None:
        """Receive that all streams have ended; another one may start later."""
