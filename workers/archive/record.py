"""The record of a call, as `call.json` stores it. Pure; docs/archive.md is the reference."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from workers.client.events import Track

VERSION: Final = 1


class Text(StrEnum):
    """Which text of calls a folder holds."""

    RAW = "raw"
    REDACTED = "redacted"


class Segment(msgspec.Struct, omit_defaults=True):
    """One utterance of a track.

    Attributes:
        track: a track of the stream.
        role: who speaks.
        segment: its number, from 1 per track.
        rev: the revision of its text.
        start_ms: where it begins on the media clock of the stream.
        end_ms: where it ends.
        text: what was said.
        final: whether the model had finished it; partial text if not.
        reason: why it closed.
        language: as the model detected it.
    """

    track: str
    role: str
    segment: int
    rev: int
    start_ms: int
    end_ms: int
    text: str = ""
    final: bool = False
    reason: str | None = None
    language: str | None = None

    def __repr__(self) -> str:
        """Return what identifies the segment, without its text."""
        return f"<Segment {self.track} {self.segment}>"

    @property
    def speaker(self) -> str:
        """The speaker's role if it is known, else the track."""
        return self.track if self.role == "unknown" else self.role


class Gap(msgspec.Struct):
    """Audio of a track without a transcript; `cause` as in `transcript.gap`."""

    track: str
    from_ms: int
    to_ms: int
    cause: str


class Pause(msgspec.Struct, omit_defaults=True):
    """A time in which the carrier sent no audio; without `to_ms`, it lasted until the end."""

    from_ms: int
    to_ms: int | None = None


class Key(msgspec.Struct, omit_defaults=True):
    """A key that was pressed; which one is never published."""

    at: datetime
    track: str | None = None


class Stream(msgspec.Struct, omit_defaults=True):
    """One media stream of the call, or the part of it that one gateway transcribed.

    Attributes:
        stream_id: the carrier's id.
        epoch: the first epoch of the gateway; a gateway that takes a stream over begins another
            entry of the same stream_id.
        started: when it began; the origin of its media clock.
        ended: when its last event happened.
        carrier, route, tracks, params: as in `stream.started`.
        status, reason, duration_ms, gap_ms, suspected_encoding: as in `stream.ended`.
        segments: by position.
        gaps: in order of appearance.
        pauses: in order.
        keys: the keys that were pressed.
    """

    stream_id: str
    epoch: int
    started: datetime | None = None
    ended: datetime | None = None
    carrier: str = ""
    route: str = ""
    tracks: tuple[Track, ...] = ()
    params: dict[str, str] = msgspec.field(default_factory=dict)
    status: str | None = None
    reason: str = ""
    duration_ms: int = 0
    gap_ms: int = 0
    suspected_encoding: dict[str, str] = msgspec.field(default_factory=dict)
    segments: list[Segment] = msgspec.field(default_factory=list)
    gaps: list[Gap] = msgspec.field(default_factory=list)
    pauses: list[Pause] = msgspec.field(default_factory=list)
    keys: list[Key] = msgspec.field(default_factory=list)

    def __repr__(self) -> str:
        """Return what identifies the stream, without its content."""
        return f"<Stream {self.stream_id} {self.epoch}>"


class CallRecord(msgspec.Struct, omit_defaults=True):
    """All that is known of a call.

    Attributes:
        v: version of this format.
        call_id: the call, percent-encoded.
        text: `raw` or `redacted`.
        tenant: whose call it is.
        carrier, route: of its first stream.
        status: `completed`, or the status of the first stream that failed; `live` before the end.
        reason: of that stream.
        started, ended: when its first stream began, and when its last event happened.
        duration_ms: audio of the longest stream.
        streams: in order of their start.
        alerts: the last state of each alert, as in `assist.alert`.
        wrapups: as in `assist.wrapup`.
    """

    call_id: str
    text: Text
    v: int
    tenant: str = ""
    carrier: str = ""
    route: str = ""
    status: str = ""
    reason: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    duration_ms: int = 0
    streams: list[Stream] = msgspec.field(default_factory=list)
    alerts: list[dict[str, Any]] = msgspec.field(default_factory=list)
    wrapups: list[dict[str, Any]] = msgspec.field(default_factory=list)

    def __repr__(self) -> str:
        """Return what identifies the call, without its content."""
        return f"<CallRecord {self.call_id} {self.text}>"
