"""The transcript events, version 1: the public contract with all consumers. Pure.

An event class has only the event's own fields. The fields that all events share (call, stream,
epoch, n, at, gateway) are added when the event is written. In Redis every field is a flat string.
docs/events.md is the reference.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, Protocol

import msgspec

VERSION = "1"


class Status(StrEnum):
    """How a stream ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    REFUSED = "refused"
    DRAINED = "drained"
    LOST = "lost"


class GapCause(StrEnum):
    """Why audio of a track has no transcript."""

    CARRIER_LOSS = "carrier_loss"
    BACKPRESSURE = "backpressure"
    RECONNECT = "reconnect"
    MODEL_MUTE = "model_mute"
    PAUSED = "paused"
    NOT_SENT = "not_sent"


class FinalReason(StrEnum):
    """Why a segment was closed."""

    PAUSE = "pause"
    LENGTH = "length"
    ROLLOVER = "rollover"
    HANGUP = "hangup"
    PAUSED = "paused"


class TrackInfo(msgspec.Struct, frozen=True):
    """A track in `stream.started`."""

    track: str
    role: str
    encoding: str
    rate: int


class StreamStarted(msgspec.Struct, frozen=True):
    """A media stream of a call began."""

    carrier: str
    tracks: tuple[TrackInfo, ...]
    params: Mapping[str, str]
    route: str | None = None  # None: no route matches, so the stream is refused


class TranscriptDelta(msgspec.Struct, frozen=True):
    """More text of an open segment; the deltas of a revision concatenate to its partial text."""

    track: str
    role: str
    segment: int
    rev: int
    text: str
    start_ms: int
    end_ms: int
    audio_received_s: float  # when its newest audio was received, on the monotonic clock
    delta_received_s: float  # when the delta was received, on the monotonic clock


class TranscriptFinal(msgspec.Struct, frozen=True):
    """The whole text of a segment; replaces its deltas and closes it."""

    track: str
    role: str
    segment: int
    rev: int
    text: str
    start_ms: int
    end_ms: int
    reason: FinalReason
    language: str | None = None  # that the model detected, BCP 47; None: it does not report it


class TranscriptGap(msgspec.Struct, frozen=True):
    """Audio of a track that has no transcript, and why."""

    track: str
    from_ms: int
    to_ms: int
    cause: GapCause


class StreamPaused(msgspec.Struct, frozen=True):
    """The carrier paused the audio, for a hold or while the caller says a card number."""

    at_ms: int


class StreamResumed(msgspec.Struct, frozen=True):
    """The carrier resumed the audio."""

    at_ms: int


class StreamDtmf(msgspec.Struct, frozen=True):
    """A key was pressed. The event never contains which key."""

    track: str | None


class StreamEnded(msgspec.Struct, frozen=True):
    """The last event of every stream."""

    status: Status
    reason: str
    duration_ms: int
    segments: int
    gap_ms: int
    suspected_encoding: Mapping[
        str, str
    ] = {}  # by track; only tracks whose encoding differs from the announced one


type TranscriptEvent = (
    StreamStarted
    | TranscriptDelta
    | TranscriptFinal
    | TranscriptGap
    | StreamPaused
    | StreamResumed
    | StreamDtmf
    | StreamEnded
)


class EventWriter(Protocol):
    """Publishes one stream's events. Implemented by the Redis publisher."""

    def publish(self, event: TranscriptEvent) -> None:
        """Queue one event, in order, without waiting."""


EventType = Literal[
    "stream.started",
    "transcript.delta",
    "transcript.final",
    "transcript.gap",
    "stream.paused",
    "stream.resumed",
    "stream.dtmf",
    "stream.ended",
]
