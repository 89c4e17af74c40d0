"""Folds the events of a call into its record, as docs/events.md specifies. Pure."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from workers.archive.numbers import Numbers
from workers.archive.record import VERSION, CallRecord, Gap, Key, Pause, Segment, Stream, Text
from workers.client.events import (
    AnyEvent,
    AssistAlert,
    AssistWrapup,
    Event,
    StreamDtmf,
    StreamEnded,
    StreamPaused,
    StreamResumed,
    StreamStarted,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)

# Of derived events; the record has the call's id once, and no names of processes.
_NOT_RECORDED: Final = ("type", "v", "call_id", "gateway", "tenant")
_LATEST: Final = datetime.max.replace(tzinfo=UTC)  # of streams without a start


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a record is not proved complete.

    Attributes:
        problem: `hole` (numbers are missing), `no-start` (a stream has no `stream.started`), `lost`
            (its gateway was lost, so its end is not proved), `taken-over` (another gateway took it
            over), `finals` (its end counts other finals), `not-ended`, `malformed` (entries that
            are not events), `no-events`.
        stream_id: the stream.
        epoch: the epoch.
        first: the first missing number.
        last: the last missing number.
        count: how many there are.
    """

    problem: str
    stream_id: str = ""
    epoch: int = 0
    first: int = 0
    last: int = 0
    count: int = 0

    def __str__(self) -> str:
        """Return a sentence."""
        stream = f"stream {self.stream_id} epoch {self.epoch}: "
        texts = {
            "hole": f"{stream}events {self.first} to {self.last} are missing",
            "no-start": f"{stream}its start is missing",
            "lost": f"{stream}its gateway was lost, so its end is not proved",
            "taken-over": f"{stream}another gateway took it over, so its end is not proved",
            "finals": f"{stream}{self.count} finals instead of the {self.last} that its end counts",
            "not-ended": f"{stream}it has not ended",
            "malformed": f"{self.count} entries are not events of version 1",
            "no-events": "there are no events",
        }
        return texts.get(self.problem, self.problem)


@dataclass(slots=True)
class CallFold:
    """The state of a call after the events so far.

    Args:
        call_id: the call.
        text: which text its events have.
    """

    call_id: str
    text: Text
    numbers: Numbers = field(default_factory=Numbers)
    malformed: int = 0
    _record: CallRecord = field(init=False, repr=False)
    _owners: dict[str, int] = field(default_factory=dict)  # by stream_id, the entry's epoch
    _streams: dict[tuple[str, int], Stream] = field(default_factory=dict, repr=False)
    _finals: dict[tuple[str, int], int] = field(default_factory=dict)
    _counted: dict[tuple[str, int], int] = field(default_factory=dict)  # finals, by the end
    _ends: dict[tuple[str, int], int] = field(default_factory=dict)  # the epoch of the end
    _segments: dict[tuple[str, int, str, int], Segment] = field(default_factory=dict, repr=False)
    _alerts: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    _wrapups: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._record = CallRecord(self.call_id, self.text, VERSION)

    def apply(self, event: AnyEvent) -> None:
        """Apply the next event of the call; a repetition changes nothing."""
        match event:
            case AssistAlert():
                self._alerts[event.alert] = _recorded(event)
            case AssistWrapup():
                self._wrapups.setdefault(event.wrapup, _recorded(event))
            case _ if self.numbers.add(event):
                self._apply(event)
            case _:
                pass  # a repetition

    def _apply(self, event: AnyEvent) -> None:
        self._record.tenant = self._record.tenant or event.tenant
        self._record.ended = max(self._record.ended or event.at, event.at)
        stream = self._stream(event)
        stream.ended = max(stream.ended or event.at, event.at)
        match event:
            case StreamStarted():
                _start(stream, event)
            case TranscriptDelta() | TranscriptFinal():
                self._say(stream, event)
            case TranscriptGap():
                stream.gaps.append(Gap(event.track, event.from_ms, event.to_ms, event.cause))
            case StreamPaused():
                stream.pauses.append(Pause(event.at_ms))
            case StreamResumed():
                _resume(stream, event.at_ms)
            case StreamDtmf():
                stream.keys.append(Key(event.at, event.track))
            case StreamEnded():
                self._end(stream, event)
            case _:
                pass  # a type that may be added to the contract

    def _stream(self, event: Event) -> Stream:
        """Return the entry of an event's stream; a gateway that takes it over begins another."""
        is_first = isinstance(event, StreamStarted) and event.resumes is None
        owner = event.epoch if is_first else self._owners.get(event.stream_id, event.epoch)
        self._owners[event.stream_id] = owner
        key = event.stream_id, owner
        if key not in self._streams:
            self._streams[key] = Stream(event.stream_id, owner)
        stream = self._streams[key]
        if event.epoch > self._ends.get(key, event.epoch):
            stream.status = None  # a lost stream continues
        return stream

    def _end(self, stream: Stream, event: StreamEnded) -> None:
        stream.status, stream.reason = event.status, event.reason
        stream.duration_ms, stream.gap_ms = event.duration_ms, event.gap_ms
        stream.suspected_encoding = dict(event.suspected_encoding)
        key = stream.stream_id, stream.epoch
        self._counted[key], self._ends[key] = event.segments, event.epoch

    def _say(self, stream: Stream, event: TranscriptDelta | TranscriptFinal) -> None:
        key = stream.stream_id, stream.epoch, event.track, event.segment
        segment = self._segments.get(key)
        if segment is None or (event.rev > segment.rev and not segment.final):
            where = event.segment, event.rev, event.start_ms, event.end_ms
            segment = self._segments[key] = Segment(event.track, event.role, *where)
        if isinstance(event, TranscriptFinal):
            segment.start_ms, segment.end_ms, segment.rev = event.start_ms, event.end_ms, event.rev
            segment.text, segment.final = event.text, True
            segment.reason, segment.language = event.reason, event.language
            self._finals[key[:2]] = self._finals.get(key[:2], 0) + 1
        elif event.rev == segment.rev and not segment.final:
            segment.text += event.text
            segment.end_ms = event.end_ms

    @property
    def is_over(self) -> bool:
        """Whether every stream that started has ended."""
        return bool(self._owners) and all(
            self._streams[key].status is not None for key in self._owners.items()
        )

    @property
    def finals(self) -> int:
        """Number of finals."""
        return sum(self._finals.values())

    def record(self) -> CallRecord:
        """Return the record of the call."""
        streams = sorted(self._streams.values(), key=_by_start)
        for stream in streams:
            key = stream.stream_id, stream.epoch
            own = [each for where, each in self._segments.items() if where[:2] == key]
            stream.segments = sorted(own, key=lambda s: (s.start_ms, s.track, s.segment))
        record = self._record
        record.streams = streams
        record.started = next((each.started for each in streams if each.started), None)
        record.carrier = next((each.carrier for each in streams if each.carrier), "")
        record.route = next((each.route for each in streams if each.route), "")
        record.duration_ms = max((each.duration_ms for each in streams), default=0)
        record.status, record.reason = self._outcome()
        record.alerts, record.wrapups = [*self._alerts.values()], [*self._wrapups.values()]
        return record

    def _outcome(self) -> tuple[str, str]:
        if not self.is_over:
            return "live", ""
        ends = [self._streams[key] for key in self._owners.items()]
        failed = [each for each in ends if each.status != "completed"]
        stream = (failed or ends)[0]
        return str(stream.status), stream.reason

    def problems(self) -> list[Problem]:
        """Return why the events are not proved complete; nothing if they are."""
        found = [] if self._streams else [Problem("no-events")]
        for each in self.numbers.epochs.values():
            holes = each.holes
            found += [Problem("hole", each.stream_id, each.epoch, *hole) for hole in holes]
        for (stream_id, epoch), stream in self._streams.items():
            found += [Problem(each, stream_id, epoch) for each in self._doubts(stream)]
            finals = self._finals.get((stream_id, epoch), 0)
            counted = self._counted.get((stream_id, epoch), finals)
            if counted != finals:
                found.append(Problem("finals", stream_id, epoch, last=counted, count=finals))
        return found + ([Problem("malformed", count=self.malformed)] if self.malformed else [])

    def _doubts(self, stream: Stream) -> list[str]:
        is_newest = self._owners[stream.stream_id] == stream.epoch
        return [
            *(["no-start"] if stream.started is None else []),
            *(["lost"] if stream.status == "lost" else []),
            *(["not-ended"] if is_newest and stream.status is None else []),
            *(["taken-over"] if not is_newest and stream.status is None else []),
        ]


def _start(stream: Stream, event: StreamStarted) -> None:
    if stream.started is None:  # a resumed stream repeats its start
        stream.started = event.at
    stream.carrier, stream.route = event.carrier, event.route or ""
    stream.tracks, stream.params = event.tracks, dict(event.params)


def _resume(stream: Stream, at_ms: int) -> None:
    if stream.pauses and stream.pauses[-1].to_ms is None:
        stream.pauses[-1].to_ms = at_ms
    else:
        stream.pauses.append(Pause(0, at_ms))


def _by_start(stream: Stream) -> tuple[datetime, str, int]:
    return stream.started or _LATEST, stream.stream_id, stream.epoch


def _recorded(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in fields.items() if name not in _NOT_RECORDED}
