"""The events of docs/events.md as a reader receives them: one class per type. Pure.

All classes have the fields of `Event`. Values of a fixed set (`status`, `cause`, a final's
`reason`) are plain strings, because version 1 may get new ones; annotations list the known ones.
An event whose type is not known here is an `OtherEvent`; skip it.

The texts of these classes are copied to docs/schemas/ and to the typings of the JavaScript client:
after a change, run `./run fix`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Final, NamedTuple

import msgspec

from gateway.transcript.events import FinalReason, GapCause, Status


def _known(name: str, values: Iterable[str]) -> msgspec.Meta:
    """Return the annotation of a string that is one of some values, or a new one."""
    choices = [{"enum": list(values)}, {"type": "string"}]
    return msgspec.Meta(title=name, extra_json_schema={"anyOf": choices})


type _Role = Annotated[str, _known("Role", ["customer", "agent", "mix", "unknown"])]
type _Encoding = Annotated[str, _known("Encoding", ["pcmu", "pcma", "l16le", "l16be"])]
type _FinalReason = Annotated[str, _known("FinalReason", FinalReason)]
type _GapCause = Annotated[str, _known("GapCause", GapCause)]
type _Status = Annotated[str, _known("Status", Status)]
type _AlertState = Annotated[str, _known("AlertState", ["raised", "withdrawn"])]
type _Severity = Annotated[str, _known("Severity", ["info", "warning", "critical"])]
type _TextKind = Annotated[str, _known("TextKind", ["raw", "redacted"])]
type _WrapupTrigger = Annotated[str, _known("WrapupTrigger", ["ended", "requested"])]


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
        v: version of the contract, `1`.
        call_id: the event's call, percent-encoded.
        stream_id: the event's media stream, percent-encoded; unique within the call.
        epoch: increases each time a gateway takes over or resumes the stream, or a janitor closes
            it.
        n: 1, 2, 3 … per stream_id and epoch.
        at: when it happened, RFC 3339 in UTC.
        gateway: the process that wrote it.
        tenant: whose call it is; `default` if its route has none.
        source_n: only in a redacted copy: the `n` of the event that it was made from.
    """

    id: str
    v: str
    call_id: str
    stream_id: str
    epoch: int
    n: int
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    gateway: str
    tenant: str
    source_n: int | None = None

    def __repr__(self) -> str:
        """Return what identifies the event, without its content."""
        return f"<{type(self).__name__} {self.call_id} {self.stream_id} {self.epoch}:{self.n}>"


class Track(msgspec.Struct, frozen=True):
    """One track of a stream.

    Attributes:
        track: `inbound`, `outbound`, or the carrier's own name.
        role: who speaks.
        encoding: as announced by the carrier.
        rate: in Hz.
    """

    track: str
    role: _Role
    encoding: _Encoding
    rate: int


class StreamStarted(Event, frozen=True, kw_only=True, tag="stream.started"):
    """A media stream of a call began or, if it has `resumes`, continues.

    Attributes:
        carrier: `twilio` …
        tracks: the tracks of the stream.
        params: the carrier's custom parameters that are published, by name.
        route: name of the call's route; absent if no route matches, so that the stream is refused.
        resumes: the epoch that continues; only if a lost stream is resumed.
    """

    carrier: str
    tracks: tuple[Track, ...]
    params: dict[str, str]
    route: str | None = None
    resumes: int | None = None


class TranscriptDelta(Event, frozen=True, kw_only=True, tag="transcript.delta"):
    """More text of an open segment; the deltas of a `rev` concatenate to its partial text.

    Attributes:
        track: a track of `stream.started`.
        role: who speaks.
        segment: the utterance, numbered from 1 per track.
        rev: the revision of the segment, from 0; a higher one starts the segment over.
        text: the added text; may begin with a space.
        start_ms: where the words begin on the media clock.
        end_ms: where they end.
        latency_ms: from the newest audio that it covers until it was written.
    """

    track: str
    role: _Role
    segment: int
    rev: int
    text: str
    start_ms: int
    end_ms: int
    latency_ms: int


class TranscriptFinal(Event, frozen=True, kw_only=True, tag="transcript.final"):
    """The whole text of a segment; replaces its deltas and closes it.

    Attributes:
        track: a track of `stream.started`.
        role: who speaks.
        segment: the utterance, numbered from 1 per track.
        rev: the revision of the segment.
        text: the whole segment.
        start_ms: where the segment begins on the media clock.
        end_ms: where it ends.
        reason: why it closed.
        language: the language that the model detected, a BCP 47 code; absent if its server does not
            report it.
    """

    track: str
    role: _Role
    segment: int
    rev: int
    text: str
    start_ms: int
    end_ms: int
    reason: _FinalReason
    language: str | None = None


class TranscriptGap(Event, frozen=True, kw_only=True, tag="transcript.gap"):
    """Audio of a track without a transcript.

    Attributes:
        track: a track of `stream.started`.
        from_ms: where the gap begins on the media clock.
        to_ms: where it ends.
        cause: why there is no transcript.
    """

    track: str
    from_ms: int
    to_ms: int
    cause: _GapCause


class StreamPaused(Event, frozen=True, kw_only=True, tag="stream.paused"):
    """The carrier stopped sending audio for a while.

    Attributes:
        at_ms: position on the media clock.
    """

    at_ms: int


class StreamResumed(Event, frozen=True, kw_only=True, tag="stream.resumed"):
    """The carrier sends audio again.

    Attributes:
        at_ms: position on the media clock.
    """

    at_ms: int


class StreamDtmf(Event, frozen=True, kw_only=True, tag="stream.dtmf"):
    """A key was pressed; which one is never published.

    Attributes:
        track: absent if the carrier does not say.
    """

    track: str | None = None


class StreamEnded(Event, frozen=True, kw_only=True, tag="stream.ended"):
    """The last event of a stream.

    Attributes:
        status: how it ended.
        reason: a slug with more detail, or empty.
        duration_ms: audio of the stream.
        segments: number of finals.
        gap_ms: audio in gaps, all tracks.
        suspected_encoding: by track, the encoding that its audio really has; only if it is not the
            announced one.
    """

    status: _Status
    reason: str
    duration_ms: int
    segments: int
    gap_ms: int
    suspected_encoding: dict[str, _Encoding] = msgspec.field(default_factory=dict)


class AssistAlert(Event, frozen=True, kw_only=True, tag="assist.alert"):
    """A rule matched, or what it matched was taken back; from the worker `assist`.

    It contains no words of the call. `stream_id`, `epoch` and `n` are those of the event after
    which it was written.

    Attributes:
        alert: unique in the call; the same when the alert is withdrawn.
        state: whether the rule matched; or a later revision took back what it had matched, or the
            rule was changed.
        rule: the rule's id.
        rule_version: the rule's version.
        severity: as the rule says.
        title: the rule's title.
        cited_stream_id: the stream that it is about; absent if it is `stream_id`.
        track: the track that it is about; absent if it is about the whole call.
        role: who speaks on that track.
        segment: the segment that it cites; absent if it cites none.
        rev: the revision of that segment.
        start_ms: where on the media clock the cited audio begins.
        end_ms: where it ends.
        route: name of the call's route.
    """

    alert: str
    state: _AlertState
    rule: str
    rule_version: str
    severity: _Severity
    title: str
    cited_stream_id: str | None = None
    track: str | None = None
    role: str | None = None
    segment: int | None = None
    rev: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    route: str | None = None


class Citation(msgspec.Struct, frozen=True):
    """A segment that supports a sentence.

    Attributes:
        stream_id: the segment's stream.
        track: its track.
        segment: its number.
        start_ms: where it begins on the media clock.
        end_ms: where it ends.
    """

    stream_id: str
    track: str
    segment: int
    start_ms: int
    end_ms: int

    def __repr__(self) -> str:
        """Return the segment, without the position."""
        return f"<Citation {self.stream_id} {self.track} {self.segment}>"


class CitedSentence(msgspec.Struct, frozen=True):
    """A sentence about a call.

    Attributes:
        text: the sentence.
        citations: the segments that support it, at least one.
    """

    text: str
    citations: tuple[Citation, ...]

    def __repr__(self) -> str:
        """Return how many segments are cited, without the text."""
        return f"<CitedSentence citations={len(self.citations)}>"


class AssistWrapup(Event, frozen=True, kw_only=True, tag="assist.wrapup"):
    """A summary of a call; from the worker `wrapup`.

    `stream_id`, `epoch` and `n` are those of the last event that it covers.

    Attributes:
        wrapup: unique in the call.
        made_from: the kind of text that the model received.
        trigger: whether the call had ended, or somebody requested it in mid-call.
        model: the model's name.
        summary: what was said.
        follow_ups: what remains to be done.
        disposition: one of the route's list; absent if none of them was chosen.
        route: name of the call's route.
    """

    wrapup: str
    made_from: _TextKind
    trigger: _WrapupTrigger
    model: str
    summary: tuple[CitedSentence, ...]
    follow_ups: tuple[CitedSentence, ...]
    disposition: str | None = None
    route: str | None = None


class OtherEvent(Event, frozen=True, kw_only=True, tag="other"):
    """An event of a type that this version does not know.

    Attributes:
        other_type: the type.
    """

    other_type: str


class Hole(msgspec.Struct, frozen=True, tag_field="type", tag="hole"):
    """Events that are missing: the numbers `first` to `last` of a stream's epoch.

    Attributes:
        call_id: the call.
        stream_id: the stream.
        epoch: the epoch.
        first: `n` of the first missing event.
        last: `n` of the last missing event.
    """

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
type DerivedEvent = AssistAlert | AssistWrapup
type AnyEvent = KnownEvent | DerivedEvent | OtherEvent

KNOWN_EVENTS: Final = (
    StreamStarted,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
    StreamPaused,
    StreamResumed,
    StreamDtmf,
    StreamEnded,
)
DERIVED_EVENTS: Final = (AssistAlert, AssistWrapup)  # in the streams that workers write
PARTS: Final = (Track, Citation, CitedSentence)  # of events
_TYPES: Final[Mapping[str, type[KnownEvent | DerivedEvent]]] = {
    str(kind.__struct_config__.tag): kind for kind in (*KNOWN_EVENTS, *DERIVED_EVENTS)
}
_JSON_FIELDS: Final = ("tracks", "params", "suspected_encoding", "summary", "follow_ups")


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
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise EventError(f"{kind or 'an entry without a type'}: {_place(error)}") from None


def _place(error: Exception) -> str:
    """Return where a message of msgspec locates the fault; its beginning may quote a value."""
    text = str(error)
    if text.startswith("Object missing required field"):
        return text
    return f"malformed{text.partition(' - ')[2] and ' ' + text.partition(' - ')[2]}"
