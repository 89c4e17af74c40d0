"""Reads a stream's events for the audit, and collects violations of their contract. Pure.

The contract is docs/events.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

# Causes of gaps whose audio never arrived at the gateway.
_NOT_RECEIVED: Final = frozenset({"carrier_loss", "paused", "not_sent"})

type Event = Mapping[str, str]
type Span = tuple[int, int]  # media ms, from and to


@dataclass(frozen=True, slots=True)
class Row:
    """Published text and its span on the media clock."""

    words: tuple[str, ...] = field(repr=False)
    start_ms: int
    end_ms: int
    shed: int = 0  # how many of the words were in no delta


@dataclass(slots=True)
class _Segment:
    rev: int = 0
    deltas: list[Row] = field(default_factory=list)
    text: str = field(default="", repr=False)  # of the deltas together
    final: Row | None = None

    def rows(self, *, exact: bool, estimated: bool) -> Sequence[Row]:
        """Return the deltas, which have each word's position, or the final if deltas were shed.

        A segment without a final consists of its deltas. If positions are not exact, all deltas
        are one row. If those of deltas are estimates, the final's is used.
        """
        if self.final and (self.final.shed or estimated):
            return [self.final]
        if exact or not self.deltas:
            return self.deltas
        words = tuple(word for row in self.deltas for word in row.words)
        start_ms = min(row.start_ms for row in self.deltas)
        return [Row(words, start_ms, max(row.end_ms for row in self.deltas))]


@dataclass(slots=True, eq=False)
class _Ownership:
    """Everything one gateway wrote: one epoch, or several if it resumed the stream."""

    n: int = 0  # of the last event in the last epoch
    segments: dict[tuple[str, int], _Segment] = field(default_factory=dict)
    gap_ms: int = 0

    @property
    def finals(self) -> int:
        return sum(segment.final is not None for segment in self.segments.values())


class Record:
    """The contents of one stream's events.

    Attributes:
        problems: violations of the contract, described without transcript text.
        duration_ms: from `stream.ended`; None before that event.
        status: from `stream.ended`; empty before that event.
        reason: from `stream.ended`; empty before that event.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.duration_ms: int | None = None
        self.status = ""
        self.reason = ""
        self._epochs: dict[int, _Ownership] = {}
        self._gaps: list[tuple[str, str, Span]] = []  # track, cause, where
        self._superseded: list[tuple[str, Span]] = []  # deltas of earlier revisions

    @property
    def is_lost(self) -> bool:
        """Whether the gateway was lost, with the events it had not yet written."""
        return self.status == "lost"

    @property
    def tracks(self) -> set[str]:
        """All tracks that have text or gaps."""
        with_text = {track for epoch in self._epochs.values() for track, _ in epoch.segments}
        return with_text | {track for track, _, _ in self._gaps}

    def gaps(self, track: str, *, carrier: bool) -> list[Span]:
        """Return the gaps of a track.

        Args:
            track: the track's name.
            carrier: whether to return the gaps whose audio never arrived, or all others.
        """
        return [
            span
            for of, cause, span in self._gaps
            if of == track and (cause in _NOT_RECEIVED) == carrier
        ]

    def superseded(self, track: str) -> list[Span]:
        """Return the spans of a track's deltas that a later revision replaced."""
        return [span for of, span in self._superseded if of == track]

    def rows(self, track: str, *, exact: bool = True, estimated: bool = False) -> list[list[Row]]:
        """Return a track's text, one list for each gateway.

        Args:
            track: the track's name.
            exact: whether each delta has the position of its words; if False, only the whole
                segment has that.
            estimated: whether the positions of deltas are estimates.
        """
        return [
            [
                row
                for (of, _), each in owner.segments.items()
                if of == track
                for row in each.rows(exact=exact, estimated=estimated)
            ]
            for owner in dict.fromkeys(self._epochs.values())
        ]

    def add(self, event: Event) -> None:
        """Add the next event."""
        epoch, n, kind = int(event["epoch"]), int(event["n"]), event["type"]
        if self.is_lost and epoch not in self._epochs and kind == "stream.started":
            self.duration_ms, self.status, self.reason = None, "", ""  # it continues
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
                pass  # not about audio

    def close(self) -> None:
        """Check that the stream and its segments are closed, after the last event."""
        if self.duration_ms is None:
            self.problems.append("never ended")
        newest = max(self._epochs, default=0)
        for epoch, owner in self._epochs.items():
            if epoch < newest or self.is_lost:
                continue  # its gateway was lost and could not close its segments
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
        key, rev = (event["track"], int(event["segment"])), int(event["rev"])
        segment = owner.segments.setdefault(key, _Segment(rev))
        if segment.final is not None:
            self._report(event, "delta after its final")
            return
        if rev < segment.rev:
            return  # superseded: readers ignore it
        if rev > segment.rev:
            spans = ((row.start_ms, row.end_ms) for row in segment.deltas)
            self._superseded += ((event["track"], span) for span in spans)
            segment.rev, segment.text = rev, ""
            segment.deltas.clear()
        segment.text += event["text"]
        segment.deltas.append(_row(event))

    def _final(self, owner: _Ownership, event: Event) -> None:
        key, rev = (event["track"], int(event["segment"])), int(event["rev"])
        segment = owner.segments.setdefault(key, _Segment(rev))
        if segment.final is not None:
            self._report(event, "final repeated")
            return
        if rev < segment.rev:
            self._report(event, "final of an earlier revision")
        if rev > segment.rev:  # its revision has no deltas, or all of them were shed
            segment.text = ""
            segment.deltas.clear()
        row, in_deltas = _row(event), [word for each in segment.deltas for word in each.words]
        if segment.text != event["text"] and not _is_subsequence(in_deltas, row.words):
            self._report(event, "deltas do not make its final")
        shed = 0 if segment.text == event["text"] else max(1, len(row.words) - len(in_deltas))
        segment.rev = rev
        segment.final = Row(row.words, row.start_ms, row.end_ms, shed)

    def _end(self, owner: _Ownership, event: Event) -> None:
        self.duration_ms = max(self.duration_ms or 0, int(event["duration_ms"]))
        self.status, self.reason = event["status"], event["reason"]
        if self.is_lost:
            if len(self._epochs) == 1:
                return
            # The janitor reports the lost gateway's counts.
            owner = self._epochs[sorted(self._epochs)[-2]]
        for name, reported, counted in (
            ("segments", int(event["segments"]), owner.finals),
            ("gap_ms", int(event["gap_ms"]), owner.gap_ms),
        ):
            if reported != counted:
                self.problems.append(f"stream.ended says {name} {reported}, there were {counted}")

    def _report(self, event: Event, what: str) -> None:
        self.problems.append(f"{event['track']} {event['segment']}: {what}")


def read(events: Iterable[Event]) -> Record:
    """Read all events of one stream, in order."""
    record = Record()
    for event in events:
        record.add(event)
    record.close()
    return record


def _row(event: Event) -> Row:
    return Row(tuple(event["text"].split()), int(event["start_ms"]), int(event["end_ms"]))


def _is_subsequence(some: Iterable[str], words: Iterable[str]) -> bool:
    """Return whether `some` is `words` with any of them left out."""
    rest = iter(words)
    return all(word in rest for word in some)
