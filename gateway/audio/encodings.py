"""Sample encodings of audio payloads, and their decoding to linear PCM. Pure."""

import audioop
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Encoding(StrEnum):
    """The encoding of the samples in a track's payload."""

    PCMU = "pcmu"  # G.711 mu-law, one byte per sample
    PCMA = "pcma"  # G.711 A-law, one byte per sample
    L16LE = "l16le"  # 16-bit linear, little-endian
    L16BE = "l16be"  # 16-bit linear, network order (RFC 2586)

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        match self:
            case Encoding.PCMU | Encoding.PCMA:
                return 1
            case Encoding.L16LE | Encoding.L16BE:
                return 2

    @property
    def silence(self) -> bytes:
        """The byte that encodes silence when repeated: the code of the smallest positive sample."""
        match self:
            case Encoding.PCMU:
                return b"\xff"
            case Encoding.PCMA:
                return b"\xd5"  # decodes to 8: A-law has no zero
            case Encoding.L16LE | Encoding.L16BE:
                return b"\x00"


G711: Final = frozenset({Encoding.PCMU, Encoding.PCMA})
G711_HZ: Final = 8000


@dataclass(frozen=True, slots=True)
class TrackFormat:
    """One direction of a stream, as the carrier announced it."""

    track: str
    encoding: Encoding
    rate_hz: int

    @property
    def bytes_per_ms(self) -> int:
        """Payload bytes of one millisecond."""
        return self.rate_hz // 1000 * self.encoding.sample_bytes


def decode(encoding: Encoding, payload: bytes) -> bytes:
    """Decode a payload to 16-bit linear PCM.

    Args:
        encoding: the encoding of the payload.
        payload: a whole number of samples, mono, of any rate.

    Returns:
        The same samples as PCM16 little-endian, two bytes each.

    Source: ITU-T G.711, tables 1a (A-law) and 2a (mu-law); RFC 3551 section 4.5.11 (L16).
    """
    match encoding:
        case Encoding.PCMU:
            return audioop.ulaw2lin(payload, 2)
        case Encoding.PCMA:
            return audioop.alaw2lin(payload, 2)
        case Encoding.L16LE:
            return payload
        case Encoding.L16BE:
            return audioop.byteswap(payload, 2)
