"""Decodes the samples of a WAV file's data chunk to floats. Pure."""

import audioop
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Samples = NDArray[np.float64]
type Decoder = Callable[[bytes], Samples]  # decodes whole samples to -1 ... 1

# Format tags of WAVE files (RFC 2361).
PCM: Final = 0x0001
FLOAT: Final = 0x0003
ALAW: Final = 0x0006
MULAW: Final = 0x0007

_MAX_AMPLITUDE: Final = 16.0  # far beyond full scale, so it saturates in any case


def _pcm8(data: bytes) -> Samples:
    """Decode 8-bit PCM, the only unsigned format."""
    return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128


def _pcm16(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.float64) / (1 << 15)


def _pcm24(data: bytes) -> Samples:
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return _pcm32(wide.tobytes())


def _pcm32(data: bytes) -> Samples:
    return np.frombuffer(data, "<i4").astype(np.float64) / (1 << 31)


def _float32(data: bytes) -> Samples:
    return np.frombuffer(data, "<f4").astype(np.float64)


def _float64(data: bytes) -> Samples:
    return np.frombuffer(data, "<f8").astype(np.float64)


def _alaw(data: bytes) -> Samples:
    return _pcm16(audioop.alaw2lin(data, 2))


def _mulaw(data: bytes) -> Samples:
    return _pcm16(audioop.ulaw2lin(data, 2))


# By format tag and size of a sample's container in bits.
DECODERS: Final[Mapping[tuple[int, int], Decoder]] = {
    (PCM, 8): _pcm8,
    (PCM, 16): _pcm16,
    (PCM, 24): _pcm24,
    (PCM, 32): _pcm32,
    (FLOAT, 32): _float32,
    (FLOAT, 64): _float64,
    (ALAW, 8): _alaw,
    (MULAW, 8): _mulaw,
}


def finite(samples: Samples) -> Samples:
    """Replace Inf and NaN by silence, and limit values that could overflow in a filter."""
    replaced = np.where(np.isfinite(samples), samples, 0.0)
    return np.clip(replaced, -_MAX_AMPLITUDE, _MAX_AMPLITUDE)


def encode_pcm16(samples: Samples) -> bytes:
    """Encode samples in -1 ... 1 as 16-bit little-endian PCM; louder samples are clipped."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()
