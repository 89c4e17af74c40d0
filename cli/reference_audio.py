"""What the gateway must send to the model for given payload bytes, computed independently. Pure.

The audit compares the gateway's output with this, so nothing here is shared with `gateway.audio`:
G.711 is decoded by the formulas of the recommendation, and a rate is changed by one convolution
over the whole signal. Only the design parameters of the filters are the same. All arithmetic before
the final rounding is on integers, so that every bit is determined.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

type Samples = NDArray[np.int64]

_UNITY: Final = 2**15  # the tap that stands for a gain of 1


class _Filter(NamedTuple):
    """A linear-phase low-pass at `up` times the input rate, which is `down` times the output's."""

    taps: Samples
    up: int
    down: int


def expected_pcm(payload: bytes, encoding: str, rate_hz: int) -> bytes:
    """Return the audio that the model receives for one uninterrupted track.

    Args:
        payload: everything that was received, a whole number of samples.
        encoding: pcmu, pcma, l16le or l16be.
        rate_hz: 8000, 16000 or 24000.

    Returns:
        PCM16 little-endian at 16 kHz, with the filter's delay at the start and its tail at the end;
        empty if the payload is empty.
    """
    samples = _DECODERS[encoding](payload)
    low_pass = _FILTERS[rate_hz]
    if low_pass is not None and len(samples):
        samples = _resample(samples, low_pass)
    return samples.astype("<i2").tobytes()


def _resample(samples: Samples, low_pass: _Filter) -> Samples:
    """Insert zeros, convolve, and keep every `down`-th sample.

    The last samples kept are those of the filter's tail: twice its delay.
    """
    taps, up, down = low_pass
    stuffed = np.zeros(len(samples) * up, np.int64)
    stuffed[::up] = samples
    kept = np.convolve(stuffed, taps)[::down]
    tail = 2 * (len(taps) // 2 // down)
    rounded = np.rint(kept[: len(samples) * up // down + tail] / _UNITY)
    return np.clip(rounded, -32768, 32767).astype(np.int64)


def _half_band() -> Samples:
    """Return the taps for 8 kHz: all zero at even distances from the middle, except the middle.

    The others have no formula: they minimize the largest error between 0 and 3.4 kHz (Chebyshev).
    """
    side = [-55, 99, -183, 310, -493, 751, -1113, 1631, -2416, 3752, -6694, 20773]
    taps = np.zeros(47, np.int64)
    taps[0:23:2] = side
    taps[23] = _UNITY
    taps[24:47:2] = side[::-1]
    return taps


def _third_band() -> Samples:
    """Return the taps for 24 kHz: at 48 kHz a sinc with its cutoff at 8 kHz, in a Kaiser window."""
    half, beta = 48, 6.2
    distance = np.arange(-half, half + 1)
    window = np.i0(beta * np.sqrt(1 - (distance / half) ** 2)) / np.i0(beta)
    # A gain of 2 replaces the amplitude that the inserted zeros took.
    return np.rint(_UNITY * 2 * np.sinc(distance / 3) / 3 * window).astype(np.int64)


def _mulaw(code: int) -> int:
    """Decode a mu-law octet to 16 bits (ITU-T G.711, table 2a: bits inverted, bias 33, times 4)."""
    inverted = code ^ 0xFF
    exponent, mantissa = inverted >> 4 & 0b111, inverted & 0b1111
    magnitude = (((2 * mantissa + 33) << exponent) - 33) * 4
    return -magnitude if inverted & 0x80 else magnitude


def _alaw(code: int) -> int:
    """Decode an A-law octet to 16 bits (ITU-T G.711, table 1a: even bits inverted, times 8)."""
    inverted = code ^ 0x55
    exponent, mantissa = inverted >> 4 & 0b111, inverted & 0b1111
    magnitude = 2 * mantissa + 33 << exponent - 1 if exponent else 2 * mantissa + 1
    return 8 * magnitude if inverted & 0x80 else -8 * magnitude


_MULAW_TABLE: Final = np.array([_mulaw(code) for code in range(256)], np.int64)
_ALAW_TABLE: Final = np.array([_alaw(code) for code in range(256)], np.int64)

_DECODERS: Final[Mapping[str, Callable[[bytes], Samples]]] = {
    "pcmu": lambda payload: _MULAW_TABLE[np.frombuffer(payload, np.uint8)],
    "pcma": lambda payload: _ALAW_TABLE[np.frombuffer(payload, np.uint8)],
    "l16le": lambda payload: np.frombuffer(payload, "<i2").astype(np.int64),
    "l16be": lambda payload: np.frombuffer(payload, ">i2").astype(np.int64),
}

# By the track's rate in Hz.
_FILTERS: Final[Mapping[int, _Filter | None]] = {
    8000: _Filter(_half_band(), 2, 1),
    16000: None,
    24000: _Filter(_third_band(), 2, 3),
}
