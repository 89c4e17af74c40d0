"""Folds the events of one call into its transcript, as any consumer must. Pure.

The deltas of one (stream, track, segment, rev) concatenate to the current partial text. A higher
rev starts the segment over, and the final replaces it. Repeated events are ignored. The contract is
docs/events.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Segment:
    """One utterance of a track; its text is partial until it is final."""

    stream_id: str
    track: str
    segment: int
    rev: int
    start_ms: int
    end_ms: int
    role: str = ""  # of the speaker; empty if the event has none
    text: str = field(default="", repr=False)
    final: bool = False

    @property
    def speaker(self) -> str:
        """The speaker's role if it is known, else the track."""
        return self.role if self.role not in ("", "unknown") else self.track


@dataclass(slots=True)
class Stream:
    """One media stream of the call."""

    owner: int = -1  # the first epoch of the gateway that writes the stream
    epoch: int = -1
    n: int = 0  # of the last event in this epoch
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

    def apply(self, event: Mapping[str, str]) -> bool:
        """Apply the next event, with its fields as in Redis; return False if it is a repetition."""
        stream = self.streams.setdefault(event["stream_id"], Stream())
        epoch, n = int(event["epoch"]), int(event["n"])
        if (epoch, n) <= (stream.epoch, stream.n):
            return False
        # Numbers start at 1 in each epoch; a lost stream continues in a higher epoch.
        self.missing += n - 1 - (stream.n if epoch == stream.epoch else 0)
        if epoch > stream.epoch:
            stream.status = None
            if event["type"] == "stream.started" and "resumes" not in event:
                stream.owner = epoch
        stream.epoch, stream.n = epoch, n
        self.events += 1
        match event["type"]:
            case "transcript.delta":
                self._delta(event)
            case "transcript.final":
                segment = self._segment(event)
                segment.start_ms, segment.end_ms = int(event["start_ms"]), int(event["end_ms"])
                segment.text, segment.final = event["text"], True
            case "stream.ended":
                stream.status, stream.reason = event["status"], event["reason"]
                stream.duration_ms = int(event["duration_ms"])
                stream.gap_ms = int(event["gap_ms"])
            case _:
                pass  # not displayed; new types may be added to the contract
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

    @property
    def first_delta_seen(self) -> bool:
        """Whether any text has been received."""
        return bool(self.latencies_ms)

    def _delta(self, event: Mapping[str, str]) -> None:
        segment = self._segment(event)
        if int(event["rev"]) < segment.rev or segment.final:
            return
        segment.text += event["text"]
        segment.end_ms = int(event["end_ms"])
        if event["text"]:
            self.latencies_ms.append(int(event["latency_ms"]))

    def _segment(self, event: Mapping[str, str]) -> Segment:
        """Return the event's segment; a higher revision replaces it with an empty one."""
        stream_id, track, number = event["stream_id"], event["track"], int(event["segment"])
        key = stream_id, self.streams[stream_id].owner, track, number
        known = self._segments.get(key)
        if known is None or int(event["rev"]) > known.rev:
            position = int(event["rev"]), int(event["start_ms"]), int(event["end_ms"])
            role = event.get("role", "")
            known = self._segments[key] = Segment(stream_id, track, number, *position, role)
        return known


def percentile(values: list[int], percent: float) -> float:
    """Return the value below which `percent` of the values lie; 0 if there are none."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
