"""When a call's audio, words, gaps and sessions came: times only, no content. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from workers.client.events import (
    AnyEvent,
    StreamEnded,
    StreamPaused,
    StreamResumed,
    StreamStarted,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)

_MAX_POINTS: Final = 600  # of a track's latency; the slowest of neighbors are kept


class TrackTimes(msgspec.Struct):
    """The times of one track, in ms on the media clock unless said otherwise.

    Attributes:
        first_delta_ms: from the stream's start until the first words were written.
        first_final_ms: from the stream's start until the first final was written.
        segments: start and end of each final segment.
        gaps: start, end and cause.
        reconnects: where a segment was started over by another session.
        rollovers: where a session was replaced as planned.
        latency: position and `latency_ms` of deltas.
    """

    track: str
    role: str
    first_delta_ms: int | None = None
    first_final_ms: int | None = None
    segments: list[tuple[int, int]] = []
    gaps: list[tuple[int, int, str]] = []
    reconnects: list[int] = []
    rollovers: list[int] = []
    latency: list[tuple[int, int]] = []


class StreamTimes(msgspec.Struct):
    """The times of one stream; each of its pauses begins and ends at a position, or lasts.

    `duration_ms` of a live stream is the position of its newest text.
    """

    stream_id: str
    carrier: str
    started: datetime
    status: str = "live"
    reason: str = ""
    duration_ms: int = 0
    tracks: list[TrackTimes] = []
    pauses: list[tuple[int, int | None]] = []


@dataclass(slots=True)
class _Stream:
    times: StreamTimes
    tracks: dict[str, TrackTimes] = field(default_factory=dict)
    revisions: dict[tuple[str, int], int] = field(default_factory=dict)  # by track and segment

    def track(self, name: str, role: str = "unknown") -> TrackTimes:
        return self.tracks.setdefault(name, TrackTimes(name, role))


def timeline(events: Iterable[AnyEvent]) -> list[StreamTimes]:
    """Return the times of a call's streams, from its events in order."""
    streams: dict[str, _Stream] = {}
    for event in events:
        if isinstance(event, StreamStarted):
            _start(streams, event)
        elif stream := streams.get(event.stream_id):
            _note(stream, event)
    return [_finish(stream) for stream in streams.values()]


def _start(streams: dict[str, _Stream], event: StreamStarted) -> None:
    if event.stream_id in streams:  # it continues, or another gateway has taken it over
        return
    stream = _Stream(StreamTimes(event.stream_id, event.carrier, event.at))
    for each in event.tracks:
        stream.track(each.track, each.role)
    streams[event.stream_id] = stream


def _note(stream: _Stream, event: AnyEvent) -> None:
    times = stream.times
    match event:
        case TranscriptDelta():
            _note_delta(stream, event)
        case TranscriptFinal():
            _note_final(stream, event)
        case TranscriptGap():
            stream.track(event.track).gaps.append((event.from_ms, event.to_ms, event.cause))
        case StreamPaused():
            times.pauses.append((event.at_ms, None))
        case StreamResumed() if times.pauses:
            times.pauses[-1] = (times.pauses[-1][0], event.at_ms)
        case StreamEnded():
            times.status, times.reason = event.status, event.reason
            times.duration_ms = event.duration_ms
        case _:
            pass  # has no place on the media clock


def _note_delta(stream: _Stream, event: TranscriptDelta) -> None:
    if not event.text:
        return
    track = stream.track(event.track, event.role)
    if track.first_delta_ms is None:
        track.first_delta_ms = _since_start(stream, event)
    segment = event.track, event.segment
    if event.rev > stream.revisions.get(segment, 0):
        track.reconnects.append(event.start_ms)
    stream.revisions[segment] = event.rev
    track.latency.append((event.end_ms, event.latency_ms))
    stream.times.duration_ms = max(stream.times.duration_ms, event.end_ms)


def _note_final(stream: _Stream, event: TranscriptFinal) -> None:
    track = stream.track(event.track, event.role)
    if track.first_final_ms is None:
        track.first_final_ms = _since_start(stream, event)
    track.segments.append((event.start_ms, event.end_ms))
    if event.reason == "rollover":
        track.rollovers.append(event.end_ms)


def _since_start(stream: _Stream, event: AnyEvent) -> int:
    return (event.at - stream.times.started) // timedelta(milliseconds=1)


def _finish(stream: _Stream) -> StreamTimes:
    stream.times.tracks = list(stream.tracks.values())
    for track in stream.times.tracks:
        points = track.latency
        size = -(-len(points) // _MAX_POINTS) or 1
        groups = (points[first : first + size] for first in range(0, len(points), size))
        track.latency = [max(group, key=lambda point: point[1]) for group in groups]
    return stream.times
