"""The events of docs/events.md as a reader receives them: one class per type. Pure.

All classes have the fields of `Event`. Values of a fixed set (`status`, `cause`, a final's
`reason`) are plain strings, because version 1 may get new ones. An event whose type is not known
here is an `OtherEvent`; skip it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec


class EventError(Exception):
    """An entry that is not an event of version 1. The message quotes no value."""


class Entry(NamedTuple):
    """One entry of a stream: its id, and its fields as text."""

    id: str
    fields: dict[str, str]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """The fields that all events have.

    Attributes:
        id: the entry's id, by which a reader resumes; the same in both streams that contain it.
        v: version of the contract.
        call_id: the event's call, percent-encoded.
        stream_id: the event's media stream, percent-encoded; unique within the call.
        epoch: increases each time another owner writes the stream.
        n: 1, 2, 3 … per stream_id and epoch.
        at: when it happened, in UTC.
        gateway: the process that wrote it.
        tenant: whose call it is.
        source_n: in a derived stream, the n of the event that this one was made from.
    """

    id: str
    v: str
    call_id: str
    stream_id: str
    epoch: int
    n: int
    at: datetime
    gateway: str
    tenant: str
    source_n: int | None = None

    def __repr__(self) -> str:
        """Return what identifies the event, without its content."""
        return f"<{type(self).__name__} {self.call_id} {self.stream_id} {self.epoch}:{self.n}>"


class Track(msgspec.Struct, frozen=True):
    """One track of a stream; the rate is in Hz."""

    track: str
    role: str
    encoding: str
    rate: int


class StreamStarted(Event, frozen=True, kw_only=True, tag="stream.started"):
    """A media stream of a call began, or continues: then `resumes` is the epoch that continues."""

    carrier: str
    tracks: tuple[Track, ...]
    params: dict[str, str]
    route: str | None = None
    resumes: int | None = None


class TranscriptDelta(Event, frozen=True, kw_only=True, tag="transcript.delta"):
    """More text of an open segment; the deltas of a `rev` concatenate to its partial text."""

    track: str
    role: str
    segment: int
    rev: int
    text: str
    start_ms: int
    end_ms: int
    latency_ms: int


class TranscriptFinal(Event, frozen=True, kw_only=True, tag="transcript.final"):
    """The whole text of a segment; replaces its deltas and closes it."""

    track: str
    role: str
    segment: int
    rev: int
    text: str
    start_ms: int
    end_ms: int
    reason: str


class TranscriptGap(Event, frozen=True, kw_only=True, tag="transcript.gap"):
    """Audio of a track without a transcript, in ms on the media clock, and why."""

    track: str
    from_ms: int
    to_ms: int
    cause: str


class StreamPaused(Event, frozen=True, kw_only=True, tag="stream.paused"):
    """The carrier stopped sending audio for a while."""

    at_ms: int


class StreamResumed(Event, frozen=True, kw_only=True, tag="stream.resumed"):
    """The carrier sends audio again."""

    at_ms: int


class StreamDtmf(Event, frozen=True, kw_only=True, tag="stream.dtmf"):
    """A key was pressed; which one is never published."""

    track: str | None = None


class StreamEnded(Event, frozen=True, kw_only=True, tag="stream.ended"):
    """The last event of a stream."""

    status: str
    reason: str
    duration_ms: int
    segments: int
    gap_ms: int
    suspected_encoding: dict[str, str] = msgspec.field(default_factory=dict)


class OtherEvent(Event, frozen=True, kw_only=True, tag="other"):
    """An event of a type that this version does not know."""

    other_type: str


class Hole(msgspec.Struct, frozen=True, tag_field="type", tag="hole"):
    """Events that are missing: the numbers `first` to `last` of a stream's epoch."""

    call_id: str
    stream_id: str
    epoch: int
    first: int
    last: int


type KnownEvent = (
    StreamStarted
    | TranscriptDelta
    | TranscriptFinal
    | TranscriptGap
    | StreamPaused
    | StreamResumed
    | StreamDtmf
    | StreamEnded
)
type AnyEvent = KnownEvent | OtherEvent

_KNOWN: Final = (
    StreamStarted,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
    StreamPaused,
    StreamResumed,
    StreamDtmf,
    StreamEnded,
)
_TYPES: Final[Mapping[str, type[KnownEvent]]] = {
    str(kind.__struct_config__.tag): kind for kind in _KNOWN
}
_JSON_FIELDS: Final = ("tracks", "params", "suspected_encoding")


def read_event(entry_id: str, fields: Mapping[str, str]) -> AnyEvent:
    """Parse one entry of an event stream.

    Args:
        entry_id: the entry's id.
        fields: its fields, flat strings as in Redis.

    Raises:
        EventError: a field is missing or malformed.
    """
    kind = fields.get("type", "")
    values: dict[str, object] = {**fields, "id": entry_id}
    try:
        for name in _JSON_FIELDS:
            if name in fields:
                values[name] = msgspec.json.decode(fields[name])
        if known := _TYPES.get(kind):
            return msgspec.convert(values, known, strict=False)
        values |= {"type": "other", "other_type": kind}
        return msgspec.convert(values, OtherEvent, strict=False)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise EventError(f"{kind or 'an entry without a type'}: {_place(error)}") from None


def _place(error: Exception) -> str:
    """Return where a message of msgspec locates the fault; its beginning may quote a value."""
    text = str(error)
    if text.startswith("Object missing required field"):
        return text
    return f"malformed{text.partition(' - ')[2] and ' ' + text.partition(' - ')[2]}"
