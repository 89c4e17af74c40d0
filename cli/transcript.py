"""A reader's side of the transcript contract: the events of one call, folded into its text. Pure.

Deltas of one (stream, track, segment, rev) concatenate to the current partial, a higher rev starts
the segment over, the final replaces it. An event that comes twice counts once. The reference is
docs/events.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Segment:
    """One utterance of a track: partial until it is final."""

    stream_id: str
    track: str
    segment: int
    rev: int
    start_ms: int
    end_ms: int
    role: str = ""  # who speaks; empty if the event does not say
    text: str = field(default="", repr=False)
    final: bool = False

    @property
    def speaker(self) -> str:
        """Who speaks, as far as it is known: the role, else the track."""
        return self.role if self.role not in ("", "unknown") else self.track


@dataclass(slots=True)
class Stream:
    """One media stream of the call."""

    owner: int = -1  # the first epoch of the gateway that writes it
    epoch: int = -1
    n: int = 0  # the last event of this epoch
    status: str | None = None  # set by its last event
    reason: str = ""
    duration_ms: int = 0
    gap_ms: int = 0


@dataclass(slots=True)
class CallTranscript:
    """What the events of one call say so far."""

    call_id: str
    events: int = 0
    missing: int = 0  # events that the numbering says were written and never came
    latencies_ms: list[int] = field(default_factory=list, repr=False)  # of non-empty deltas
    streams: dict[str, Stream] = field(default_factory=dict)
    _segments: dict[tuple[str, int, str, int], Segment] = field(default_factory=dict, repr=False)

    def apply(self, event: Mapping[str, str]) -> bool:
        """Take the next event, fields as they are in Redis; False if it was seen before."""
        stream = self.streams.setdefault(event["stream_id"], Stream())
        epoch, n = int(event["epoch"]), int(event["n"])
        if (epoch, n) <= (stream.epoch, stream.n):
            return False
        # A higher epoch begins at 1 again; a stream that was lost goes on in it.
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
                pass  # nothing of it is shown, and types may be added to the contract
        return True

    @property
    def over(self) -> bool:
        """Whether every stream that started has ended."""
        return bool(self.streams) and all(s.status is not None for s in self.streams.values())

    @property
    def status(self) -> str:
        """How it ended: `completed`, or what befell the first stream that did not; else `live`."""
        if not self.over:
            return "live"
        statuses = [str(stream.status) for stream in self.streams.values()]
        return next((status for status in statuses if status != "completed"), "completed")

    @property
    def reason(self) -> str:
        """The reason that goes with `status`."""
        return next((s.reason for s in self.streams.values() if s.status == self.status), "")

    @property
    def duration_ms(self) -> int:
        """The longest stream's audio."""
        return max((stream.duration_ms for stream in self.streams.values()), default=0)

    @property
    def gap_ms(self) -> int:
        """Audio without a transcript, all tracks."""
        return sum(stream.gap_ms for stream in self.streams.values())

    @property
    def segments(self) -> list[Segment]:
        """All segments, by when they began."""
        return sorted(self._segments.values(), key=lambda s: (s.start_ms, s.track, s.segment))

    @property
    def first_delta_seen(self) -> bool:
        """Whether any text has come."""
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
        """Find the event's segment; a higher revision begins it anew."""
        stream_id, track, number = event["stream_id"], event["track"], int(event["segment"])
        key = stream_id, self.streams[stream_id].owner, track, number
        known = self._segments.get(key)
        if known is None or int(event["rev"]) > known.rev:
            place = int(event["rev"]), int(event["start_ms"]), int(event["end_ms"])
            role = event.get("role", "")
            known = self._segments[key] = Segment(stream_id, track, number, *place, role)
        return known


def percentile(values: list[int], percent: float) -> float:
    """The value that so many percent do not exceed; 0 of none."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
