"""What a carrier's adapter understood of its frames, in the house's words. Pure.

Every adapter maps its vendor's messages to these; nothing past `carriers/` knows a vendor's word.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import msgspec

from gateway.audio.encodings import TrackFormat as TrackFormat  # also for the adapters
from gateway.carriers.protocols.tolerant import printable
from gateway.carriers.secret_names import is_secret_name


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The stream's announcement; media may follow."""

    call_id: str  # the carrier's own id, as it came
    stream_id: str
    tracks: tuple[TrackFormat, ...]
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    called: str | None = field(default=None, repr=False)  # the number dialled, if the carrier tells
    roles: Mapping[str, str] = field(default_factory=dict)  # by track, where the carrier knows them
    # Frames have times; False: they are counted, and their arrival tells silence.
    is_timed: bool = field(default=True, compare=False)

    @property
    def public_params(self) -> dict[str, str]:
        """The parameters without those whose names say that they are secrets."""
        return self.params_of([name for name in self.params if not is_secret_name(name)])

    def params_of(self, names: Collection[str]) -> dict[str, str]:
        """Return the parameters of these names, as far as they are there, to be published."""
        return {
            printable(name): printable(value)
            for name, value in self.params.items()
            if name in names
        }


class AudioReceived(msgspec.Struct, frozen=True, gc=False):
    """One frame of one track. A msgspec.Struct: it is made fifty times a second per track."""

    track: str
    payload: bytes
    timestamp_ms: int | None  # on the stream's media clock; None if absent or unusable
    sequence: int | None  # the frame's number in its track, from the carrier

    def __repr__(self) -> str:
        """Describe the frame without its audio."""
        return f"AudioReceived(track={self.track!r}, {len(self.payload)} bytes)"


class AudioLost(msgspec.Struct, frozen=True, gc=False):
    """One frame of one track that came, or shows by its number, and whose audio can't be had."""

    track: str
    payload: bytes  # of any content; as long as the audio should be
    timestamp_ms: int | None  # as of `AudioReceived`
    sequence: int | None

    def __repr__(self) -> str:
        """Describe the frame."""
        return f"AudioLost(track={self.track!r}, {len(self.payload)} bytes)"


type AudioFrame = AudioReceived | AudioLost


@dataclass(frozen=True, slots=True)
class AudioHeld:
    """A frame came that waits for others; `Adapter.release` gives it at the latest."""

    track: str


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """A key was pressed. Which one is nobody's business here."""

    track: str | None


@dataclass(frozen=True, slots=True)
class StreamPaused:
    """No audio comes until the stream is resumed: a hold, or a card number being said."""


@dataclass(frozen=True, slots=True)
class StreamResumed:
    """Audio comes again; its timestamps tell what was left out."""

    at_ms: int | None = None  # where on the stream's media clock; None: the carrier does not say


@dataclass(frozen=True, slots=True)
class Reply:
    """A text message that the protocol wants sent back."""

    message: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallStopped:
    """The carrier said that the stream is over."""

    late_ms: int = 0  # media that were overtaken by it may come for so long


@dataclass(frozen=True, slots=True)
class MessageIgnored:
    """A well-formed message that asks nothing of us; counted by kind."""

    kind: str  # "connected", "mark" ...; "unknown" for what the vendor's page does not name


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
