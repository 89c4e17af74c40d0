"""The events that adapters produce from carriers' messages. Pure.

Every adapter maps its vendor's messages to these events. Code outside `carriers/` does not depend
on any vendor's format.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import msgspec

from gateway.audio.encodings import TrackFormat
from gateway.carriers.protocols.tolerant import printable
from gateway.carriers.secret_names import is_secret_name


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The stream has started; media may follow."""

    call_id: str  # the carrier's id, unchanged
    stream_id: str
    tracks: tuple[TrackFormat, ...]
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    called: str | None = field(default=None, repr=False)  # the dialed number, if it is sent
    roles: Mapping[str, str] = field(default_factory=dict)  # by track, if the carrier defines them
    # Whether frames have timestamps. If not, audio is counted, and silence shows in arrival times.
    is_timed: bool = field(default=True, compare=False)

    @property
    def public_params(self) -> dict[str, str]:
        """The parameters, except those whose names suggest a secret."""
        return self.params_of([name for name in self.params if not is_secret_name(name)])

    def params_of(self, names: Collection[str]) -> dict[str, str]:
        """Return the parameters that have one of these names, in a form that can be published."""
        return {
            printable(name): printable(value)
            for name, value in self.params.items()
            if name in names
        }


class AudioReceived(msgspec.Struct, frozen=True, gc=False):
    """One frame of one track. A msgspec.Struct, because 50 are created per second per track."""

    track: str
    payload: bytes
    timestamp_ms: int | None  # on the stream's media clock; None if missing or unusable
    sequence: int | None  # the carrier's number of the frame in its track

    def __repr__(self) -> str:
        """Return a description without the audio."""
        return f"AudioReceived(track={self.track!r}, {len(self.payload)} bytes)"


class AudioLost(msgspec.Struct, frozen=True, gc=False):
    """One frame whose audio is lost: it is undecodable, or its number was skipped."""

    track: str
    payload: bytes  # arbitrary bytes, as many as the audio would have
    timestamp_ms: int | None  # as in `AudioReceived`
    sequence: int | None

    def __repr__(self) -> str:
        """Return a description without the payload."""
        return f"AudioLost(track={self.track!r}, {len(self.payload)} bytes)"


type AudioFrame = AudioReceived | AudioLost


@dataclass(frozen=True, slots=True)
class AudioHeld:
    """A frame is held until others arrive; `Adapter.flush_held` returns it at the latest."""

    track: str


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """A key was pressed. Which one is not recorded, because it may be part of a secret."""

    track: str | None


@dataclass(frozen=True, slots=True)
class StreamPaused:
    """The audio stops until it is resumed, for example while a card number is spoken."""


@dataclass(frozen=True, slots=True)
class StreamResumed:
    """The audio continues; its timestamps show how much was left out."""

    at_ms: int | None = None  # on the stream's media clock; None: the carrier does not send it


@dataclass(frozen=True, slots=True)
class Reply:
    """A text message to send to the carrier."""

    message: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallStopped:
    """The carrier announced the end of the stream."""

    late_ms: int = 0  # for this long, reordered media may still arrive


@dataclass(frozen=True, slots=True)
class MessageIgnored:
    """A valid message that needs no action; counted by kind."""

    kind: str  # "connected", "mark" ...; "unknown" if the vendor does not document it


type CarrierEvent = (
    CallStarted
    | AudioReceived
    | AudioLost
    | AudioHeld
    | DtmfReceived
    | StreamPaused
    | StreamResumed
    | Reply
    | CallStopped
    | MessageIgnored
)
