"""What a carrier's adapter understood of its frames, in the house's words. Pure.

Every adapter maps its vendor's messages to these; nothing past `carriers/` knows a vendor's word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec


class Encoding(StrEnum):
    """How a track's payload bytes stand for samples."""

    PCMU = "pcmu"  # G.711 mu-law, one byte a sample
    PCMA = "pcma"  # G.711 A-law, one byte a sample
    L16LE = "l16le"  # 16-bit linear, little-endian
    L16BE = "l16be"  # 16-bit linear, network order (RFC 2586)


@dataclass(frozen=True, slots=True)
class TrackFormat:
    """One direction of a stream, as the carrier announced it."""

    track: str
    encoding: Encoding
    rate_hz: int


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The stream's announcement; media may follow."""

    call_id: str  # the carrier's own id, as it came
    stream_id: str
    tracks: tuple[TrackFormat, ...]
    params: Mapping[str, str] = field(default_factory=dict, repr=False)


class AudioReceived(msgspec.Struct, frozen=True, gc=False):
    """One frame of one track. A msgspec.Struct: it is made fifty times a second per track."""

    track: str
    payload: bytes
    timestamp_ms: int | None  # on the stream's media clock; None if absent or unusable
    sequence: int | None  # the frame's number in its track, from the carrier

    def __repr__(self) -> str:
        """Describe the frame without its audio."""
        return f"AudioReceived(track={self.track!r}, {len(self.payload)} bytes)"


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """A key was pressed. Which one is nobody's business here."""

    track: str | None


@dataclass(frozen=True, slots=True)
class CallStopped:
    """The carrier said that the stream is over."""


@dataclass(frozen=True, slots=True)
class MessageIgnored:
    """A well-formed message that asks nothing of us; counted by kind."""

    kind: str  # "connected", "mark" ...; "unknown" for what the vendor's page does not name


type CarrierEvent = CallStarted | AudioReceived | DtmfReceived | CallStopped | MessageIgnored
