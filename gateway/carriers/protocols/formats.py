"""Carriers' names for encodings, and the formats that a track may have. Pure."""

from dataclasses import replace
from typing import Final

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.events import CallStarted
from gateway.errors import CarrierError

_MULAW: Final = {"audio/x-mulaw", "audio/mulaw", "audio/pcmu", "mulaw", "ulaw", "pcmu", "g711u"}
_ALAW: Final = {"audio/x-alaw", "audio/alaw", "audio/pcma", "alaw", "pcma", "g711a"}
_LINEAR: Final = {
    "audio/x-l16",
    "audio/l16",
    "audio/x-raw",
    "l16",
    "linear16",
    "raw",
    "slin",
    "pcm",
    "base64",  # Exotel's name for linear audio in some messages
}
_G711_HZ: Final = 8000
_LINEAR_HZ: Final = (8000, 16000, 24000)


def track_format(
    track: str,
    encoding: object,
    rate_hz: int | None = None,
    channels: int | None = None,
) -> TrackFormat:
    """Return a track's format from what the carrier announced. The default is mu-law at 8 kHz.

    Args:
        track: the track's name.
        encoding: the carrier's name for it, in any case; parameters (`;rate=8000`) are ignored.
        rate_hz: samples per second.
        channels: the number of channels in one frame.

    Raises:
        CarrierError: unsupported-encoding; the detail says how to configure the carrier.
    """
    name = str(encoding or "pcmu").partition(";")[0].strip().lower()
    rate_hz = rate_hz or _G711_HZ
    if channels in (None, 1):
        if name in _MULAW and rate_hz == _G711_HZ:
            return TrackFormat(track, Encoding.PCMU, rate_hz)
        if name in _ALAW and rate_hz == _G711_HZ:
            return TrackFormat(track, Encoding.PCMA, rate_hz)
        if name in _LINEAR and rate_hz in _LINEAR_HZ:
            return TrackFormat(track, Encoding.L16LE, rate_hz)
    raise CarrierError(
        "unsupported-encoding",
        "configure the carrier to send PCMU (mu-law), 8000 Hz, 1 channel; PCMA at 8 kHz and L16 at "
        "8, 16 or 24 kHz are supported, too",
    )


def with_encoding(
    start: CallStarted, encoding: Encoding, *, linear_only: bool = False
) -> CallStarted:
    """Return a start with the announced encoding of its tracks replaced.

    Args:
        start: the start as announced.
        encoding: the real encoding of the payloads. G.711 is 8 kHz whatever rate was announced.
        linear_only: replace only tracks announced as 16-bit linear.
    """
    rate_hz = _G711_HZ if encoding.sample_bytes == 1 else None
    tracks = (
        form
        if linear_only and form.encoding.sample_bytes == 1
        else TrackFormat(form.track, encoding, rate_hz or form.rate_hz)
        for form in start.tracks
    )
    return replace(start, tracks=tuple(tracks))
