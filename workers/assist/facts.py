"""What the rules of a call receive: matches of words and turns of speakers, on one clock. Pure.

The streams of a call each have a media clock. Rules compare times of several streams, so times here
are milliseconds since the call began: since its first stream started.
"""

from dataclasses import dataclass
from typing import NamedTuple

from workers.assist.board import Cite
from workers.assist.track import Match


@dataclass(slots=True, eq=False)
class Turn:
    """One segment of a track: somebody speaks, from its first word to its last so far.

    Attributes:
        stream: what distinguishes the stream in ids of alerts.
        stream_id: the stream.
        start_ms: since the call began.
        end_ms: since the call began.
        offset_ms: from the beginning of the call to that of the stream.
        words: number of words so far.
        is_final: whether it is closed.
    """

    stream: str
    stream_id: str
    track: str
    role: str
    segment: int
    rev: int
    start_ms: int
    end_ms: int
    offset_ms: int
    words: int = 0
    is_final: bool = False

    @property
    def key(self) -> str:
        """What identifies it in the call."""
        return f"{self.stream}:{self.track}:{self.segment}"

    @property
    def length_ms(self) -> int:
        """How long it is so far."""
        return self.end_ms - self.start_ms

    def is_beside(self, other: "Turn") -> bool:
        """Return whether another turn is of another track."""
        return (self.stream, self.track) != (other.stream, other.track)

    def cite(self, start_ms: int | None = None, end_ms: int | None = None) -> Cite:
        """Return a citation of it, or of a part of the call that it ends."""
        start = self.start_ms if start_ms is None else start_ms
        end = self.end_ms if end_ms is None else end_ms
        return Cite(
            *(self.stream_id, self.track, self.role, self.segment, self.rev),
            *(start - self.offset_ms, end - self.offset_ms),
        )


class Spoken(NamedTuple):
    """Words that a rule looks for, in the turn in which they end."""

    match: Match
    turn: Turn

    @property
    def key(self) -> str:
        """What identifies it in the call, for its rule."""
        return f"{self.turn.key}:{self.match.key.number}"

    @property
    def start_ms(self) -> int:
        """When the first word begins, since the call began."""
        return self.match.start_ms + self.turn.offset_ms

    @property
    def end_ms(self) -> int:
        """When the last word ends, since the call began."""
        return self.match.end_ms + self.turn.offset_ms

    def cite(self) -> Cite:
        """Return a citation of the words."""
        match, turn = self.match, self.turn
        return Cite(
            *(turn.stream_id, turn.track, turn.role, turn.segment),
            *(match.rev, match.start_ms, match.end_ms),
        )


class Missing(NamedTuple):
    """A part of a track without words, because of a failure or a pause."""

    stream: str
    stream_id: str
    track: str
    cause: str
    from_ms: int  # since the call began
    to_ms: int
    offset_ms: int
