"""A stream's events, held against their contract: what they say, and what is wrong with them. Pure.

The reference is docs/events.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_NEVER_CAME: Final = frozenset({"carrier_loss", "paused", "not_sent"})  # causes

type Event = Mapping[str, str]
type Span = tuple[int, int]  # media ms, from and to


@dataclass(frozen=True, slots=True)
class Row:
    """Text that was published for good, and where it lies on the media clock."""

    words: tuple[str, ...] = field(repr=False)
    start_ms: int
    end_ms: int
    shed: int = 0  # words of it that no delta has brought


@dataclass(slots=True)
class _Segment:
    rev: int = 0
    deltas: list[Row] = field(default_factory=list)
    text: str = field(default="", repr=False)  # of the deltas together
    final: Row | None = None

    def rows(self) -> Sequence[Row]:
        """The deltas, which say best where each word lies; the final if some of them are missing.

        A segment that no final closed stands as far as its deltas go.
        """
        return [self.final] if self.final and self.final.shed else self.deltas


@dataclass(slots=True, eq=False)
class _Ownership:
    """What one gateway wrote, in one epoch or, if it resumed the stream, in several."""

    n: int = 0  # of its last epoch
    segments: dict[tuple[str, int], _Segment] = field(default_factory=dict)
    gap_ms: int = 0

    @property
    def finals(self) -> int:
        return sum(segment.final is not None for segment in self.segments.values())


class Record:
    """What the events of one stream say.

    Attributes:
        problems: what breaks the contract, in words without content.
        duration_ms: what `stream.ended` says; None if it has not come.
        status: likewise; empty if it has not come.
        reason: likewise.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.duration_ms: int | None = None
        self.status = ""
        self.reason = ""
        self._epochs: dict[int, _Ownership] = {}
        self._gaps: list[tuple[str, str, Span]] = []  # track, cause, where
        self._superseded: list[tuple[str, Span]] = []  # deltas of revisions that did not stand

    @property
    def is_lost(self) -> bool:
        """Whether its gateway died: what that had not yet written is missing."""
        return self.status == "lost"

    @property
    def tracks(self) -> set[str]:
        """All tracks that text or gaps are of."""
        spoken = {track for epoch in self._epochs.values() for track, _ in epoch.segments}
        return spoken | {track for track, _, _ in self._gaps}

    def gaps(self, track: str, *, carrier: bool) -> list[Span]:
        """What of a track is declared missing: what never came, or all the rest."""
        return [
            span
            for of, cause, span in self._gaps
            if of == track and (cause in _NEVER_CAME) == carrier
        ]

    def superseded(self, track: str) -> list[Span]:
        """Where a track's words lie that a later revision replaced."""
        return [span for of, span in self._superseded if of == track]

    def rows(self, track: str) -> list[list[Row]]:
        """A track's text, by gateway."""
        return [
            [row for (of, _), each in owner.segments.items() if of == track for row in each.rows()]
            for owner in dict.fromkeys(self._epochs.values())
        ]

    def take(self, event: Event) -> None:
        """Take the next event."""
        epoch, n, kind = int(event["epoch"]), int(event["n"]), event["type"]
        if self.is_lost and epoch not in self._epochs and kind == "stream.started":
            self.duration_ms, self.status, self.reason = None, "", ""  # it goes on
        if self.duration_ms is not None:
            self.problems.append("ended twice" if kind == "stream.ended" else f"{kind} after end")
        if self._epochs and epoch < max(self._epochs):
            self.problems.append(f"epoch {epoch} after {max(self._epochs)}")
        if "resumes" in event:
            self._resume(epoch, event["resumes"])
        owner = self._epochs.setdefault(epoch, _Ownership())
        if n != owner.n + 1:
            self.problems.append(f"n {n} after {owner.n} in epoch {epoch}")
        owner.n = n
        match kind:
            case "transcript.delta":
                self._delta(owner, event)
            case "transcript.final":
                self._final(owner, event)
            case "transcript.gap":
                span = int(event["from_ms"]), int(event["to_ms"])
                self._gaps.append((event["track"], event["cause"], span))
                owner.gap_ms += span[1] - span[0]
            case "stream.ended":
                self._end(owner, event)
            case _:
                pass  # says nothing about audio

    def close(self) -> None:
        """Learn that there are no more events."""
        if self.duration_ms is None:
            self.problems.append("never ended")
        newest = max(self._epochs, default=0)
        for epoch, owner in self._epochs.items():
            if epoch < newest or self.is_lost:
                continue  # its gateway died: nobody could close what was open
            for (track, number), segment in owner.segments.items():
                if segment.final is None:
                    self.problems.append(f"{track} {number}: never closed")

    def _resume(self, epoch: int, resumes: str) -> None:
        owner = self._epochs.get(int(resumes))
        if owner is None or epoch in self._epochs:
            self.problems.append(f"epoch {epoch} resumes {resumes}")
            return
        owner.n = 0
        self._epochs[epoch] = owner

    def _delta(self, owner: _Ownership, event: Event) -> None:
        place, rev = (event["track"], int(event["segment"])), int(event["rev"])
        segment = owner.segments.setdefault(place, _Segment(rev))
        if segment.final is not None:
            self._blame(event, "delta after its final")
            return
        if rev < segment.rev:
            return  # superseded, as every reader treats it
        if rev > segment.rev:
            spans = ((row.start_ms, row.end_ms) for row in segment.deltas)
            self._superseded += ((event["track"], span) for span in spans)
            segment.rev, segment.text = rev, ""
            segment.deltas.clear()
        segment.text += event["text"]
        segment.deltas.append(_row(event))

    def _final(self, owner: _Ownership, event: Event) -> None:
        place, rev = (event["track"], int(event["segment"])), int(event["rev"])
        segment = owner.segments.setdefault(place, _Segment(rev))
        if segment.final is not None:
            self._blame(event, "final repeated")
            return
        if rev < segment.rev:
            self._blame(event, "final of an earlier revision")
        if rev > segment.rev:  # all deltas of its revision were shed, or it has none
            segment.text = ""
            segment.deltas.clear()
        row, brought = _row(event), [word for each in segment.deltas for word in each.words]
        if segment.text != event["text"] and not _is_part(brought, row.words):
            self._blame(event, "deltas do not make its final")
        shed = 0 if segment.text == event["text"] else max(1, len(row.words) - len(brought))
        segment.rev = rev
        segment.final = Row(row.words, row.start_ms, row.end_ms, shed)

    def _end(self, owner: _Ownership, event: Event) -> None:
        self.duration_ms = max(self.duration_ms or 0, int(event["duration_ms"]))
        self.status, self.reason = event["status"], event["reason"]
        if self.is_lost:
            if len(self._epochs) == 1:
                return
            owner = self._epochs[sorted(self._epochs)[-2]]  # a janitor counts what that one wrote
        for name, said, counted in (
            ("segments", int(event["segments"]), owner.finals),
            ("gap_ms", int(event["gap_ms"]), owner.gap_ms),
        ):
            if said != counted:
                self.problems.append(f"stream.ended says {name} {said}, there were {counted}")

    def _blame(self, event: Event, what: str) -> None:
        self.problems.append(f"{event['track']} {event['segment']}: {what}")


def read(events: Iterable[Event]) -> Record:
    """Read one stream's events, in order."""
    record = Record()
    for event in events:
        record.take(event)
    record.close()
    return record


def _row(event: Event) -> Row:
    return Row(tuple(event["text"].split()), int(event["start_ms"]), int(event["end_ms"]))


def _is_part(some: Iterable[str], words: Iterable[str]) -> bool:
    """Whether words are those of a row with others left out."""
    row = iter(words)
    return all(word in row for word in some)
