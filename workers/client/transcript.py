"""Folds the events of one call into its transcript, as docs/events.md specifies. Pure.

The deltas of one (stream, track, segment, rev) concatenate to the current partial text. A higher
rev starts the segment over, and the final replaces it. Repeated events are ignored.
"""

from dataclasses import dataclass, field

from workers.client.events import (
    AnyEvent,
    Event,
    Hole,
    StreamEnded,
    StreamStarted,
    TranscriptDelta,
    TranscriptFinal,
)


@dataclass(slots=True)
class Numbering:
    """The position in the numbers of one stream's events: which are new, and which are missing."""

    epoch: int = -1
    n: int = 0  # of the last event in this epoch

    def is_repeated(self, event: Event) -> bool:
        """Return whether the event, or a later one, was received before."""
        return (event.epoch, event.n) <= (self.epoch, self.n)

    def is_next(self, event: Event) -> bool:
        """Return whether no event is missing before a new one."""
        return event.n == self.expected(event.epoch)

    def advance(self, event: Event) -> Hole | None:
        """Continue after a new event; return the events that are missing before it, if any."""
        expected = self.expected(event.epoch)
        self.epoch, self.n = event.epoch, event.n
        if event.n == expected:
            return None
        return Hole(event.call_id, event.stream_id, event.epoch, expected, event.n - 1)

    def expected(self, epoch: int) -> int:
        """Return the next number in an epoch; numbers begin at 1 in each."""
        return self.n + 1 if epoch == self.epoch else 1


def check(streams: dict[str, Numbering], event: AnyEvent) -> list[AnyEvent | Hole]:
    """Return a new event, after the hole before it, if any; nothing if it is repeated.

    Args:
        streams: by stream_id, the numbering so far; updated.
        event: the next event of the call.
    """
    numbering = streams.setdefault(event.stream_id, Numbering())
    if numbering.is_repeated(event):
        return []
    hole = numbering.advance(event)
    return [hole, event] if hole else [event]


@dataclass(slots=True)
class Segment:
    """One utterance of a track; its text is partial until it is final."""

    stream_id: str
    track: str
    role: str
    segment: int
    rev: int
    start_ms: int
    end_ms: int
    text: str = field(default="", repr=False)
    final: bool = False

    @property
    def speaker(self) -> str:
        """The speaker's role if it is known, else the track."""
        return self.track if self.role == "unknown" else self.role


@dataclass(slots=True)
class Stream:
    """One media stream of the call."""

    numbering: Numbering = field(default_factory=Numbering)
    owner: int = -1  # the first epoch of the gateway that writes the stream
    status: str | None = None  # set by its last event
    reason: str = ""
    duration_ms: int = 0
    gap_ms: int = 0


@dataclass(slots=True)
class CallTranscript:
    """The state of one call after the events so far."""

    call_id: str
    events: int = 0
    missing: int = 0  # events missing from the numbering: dropped by the gateway, or lost later
    latencies_ms: list[int] = field(default_factory=list, repr=False)  # of non-empty deltas
    streams: dict[str, Stream] = field(default_factory=dict)
    _segments: dict[tuple[str, int, str, int], Segment] = field(default_factory=dict, repr=False)

    def apply(self, event: Event) -> bool:
        """Apply the next event; return False if it is a repetition."""
        stream = self.streams.setdefault(event.stream_id, Stream())
        if stream.numbering.is_repeated(event):
            return False
        if event.epoch > stream.numbering.epoch:
            stream.status = None  # a lost stream continues in a higher epoch
            if isinstance(event, StreamStarted) and event.resumes is None:
                stream.owner = event.epoch
        if hole := stream.numbering.advance(event):
            self.missing += hole.last - hole.first + 1
        self.events += 1
        match event:
            case TranscriptDelta():
                self._delta(event)
            case TranscriptFinal():
                segment = self._segment(event)
                segment.start_ms, segment.end_ms = event.start_ms, event.end_ms
                segment.text, segment.final = event.text, True
            case StreamEnded():
                stream.status, stream.reason = event.status, event.reason
                stream.duration_ms, stream.gap_ms = event.duration_ms, event.gap_ms
            case _:
                pass  # not part of the text; new types may be added to the contract
        return True

    @property
    def over(self) -> bool:
        """Whether every stream that started has ended."""
        return bool(self.streams) and all(s.status is not None for s in self.streams.values())

    @property
    def status(self) -> str:
        """`live` before the end, then `completed` or the status of the first stream that failed."""
        if not self.over:
            return "live"
        statuses = [str(stream.status) for stream in self.streams.values()]
        return next((status for status in statuses if status != "completed"), "completed")

    @property
    def reason(self) -> str:
        """The reason of the stream whose status is `status`."""
        return next((s.reason for s in self.streams.values() if s.status == self.status), "")

    @property
    def duration_ms(self) -> int:
        """Milliseconds of audio of the longest stream."""
        return max((stream.duration_ms for stream in self.streams.values()), default=0)

    @property
    def gap_ms(self) -> int:
        """Milliseconds of audio in gaps, all tracks together."""
        return sum(stream.gap_ms for stream in self.streams.values())

    @property
    def segments(self) -> list[Segment]:
        """All segments, ordered by their start."""
        return sorted(self._segments.values(), key=lambda s: (s.start_ms, s.track, s.segment))

    def segment_of(self, event: TranscriptDelta | TranscriptFinal) -> Segment | None:
        """Return the segment of an event that was applied."""
        return self._segments.get(self._key(event))

    @property
    def first_delta_seen(self) -> bool:
        """Whether any text has been received."""
        return bool(self.latencies_ms)

    def _delta(self, event: TranscriptDelta) -> None:
        segment = self._segment(event)
        if event.rev < segment.rev or segment.final:
            return
        segment.text += event.text
        segment.end_ms = event.end_ms
        if event.text:
            self.latencies_ms.append(event.latency_ms)

    def _segment(self, event: TranscriptDelta | TranscriptFinal) -> Segment:
        """Return the event's segment; a higher revision replaces it with an empty one."""
        key = self._key(event)
        known = self._segments.get(key)
        if known is None or event.rev > known.rev:
            speaker = event.stream_id, event.track, event.role
            position = event.segment, event.rev, event.start_ms, event.end_ms
            known = self._segments[key] = Segment(*speaker, *position)
        return known

    def _key(self, event: TranscriptDelta | TranscriptFinal) -> tuple[str, int, str, int]:
        return event.stream_id, self.streams[event.stream_id].owner, event.track, event.segment
