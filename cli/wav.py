"""Any WAV file as mono audio at another rate; as telephone audio: 8 kHz, G.711 mu-law."""

import audioop
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cli.errors import CommandError

RATE_HZ: Final = 8000
MULAW_SILENCE: Final = b"\xff"

_EXTENSIBLE: Final = 0xFFFE  # the real format follows at byte 24
_MAX_RATE_HZ: Final = 384_000
# The low-pass in front of the new rate. 32 zero crossings a side under a Kaiser window of 8 give a
# transition of about 0.08 of the rate and 80 dB beyond it; centred at 0.925 of the Nyquist
# frequency, 3.4 kHz passes whole and nothing above 4 kHz folds back.
_CROSSINGS: Final = 32
_KAISER_BETA: Final = 8.0
_CUTOFF: Final = 0.925

type Samples = NDArray[np.float64]


def read_mulaw(path: Path) -> bytes:
    """Read a WAV file as 8 kHz mono mu-law, one byte a sample.

    Raises:
        CommandError: the file is missing, unreadable or no WAV that we understand.
    """
    return audioop.lin2ulaw(read_pcm16(path, RATE_HZ), 2)


def read_pcm16(path: Path, rate_hz: int) -> bytes:
    """Read a WAV file as mono 16-bit linear PCM, little-endian, at this rate.

    Raises:
        CommandError: as `read_mulaw`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    try:
        samples, from_hz = decode(content)
    except ValueError as error:
        raise CommandError(f"cannot use {path}: {error}") from None
    return encode_pcm16(resample(samples, from_hz, rate_hz))


def decode(content: bytes) -> tuple[Samples, int]:
    """Decode a WAV file's content.

    Args:
        content: RIFF WAVE with 8-, 16-, 24- or 32-bit integers or 32- or 64-bit floats.

    Returns:
        Mono samples in -1 ... 1 (channels averaged), and the rate in Hz.

    Raises:
        ValueError: what is wrong with it.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("not a WAV file")
    format_chunk = data = None
    for name, body in _chunks(content):
        if name == b"fmt ":
            format_chunk = body
        elif name == b"data":
            data = body
            break
    if format_chunk is None or len(format_chunk) < 16 or data is None:
        raise ValueError("no format or no data in it")
    kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", format_chunk)
    if kind == _EXTENSIBLE and len(format_chunk) >= 26:
        (kind,) = struct.unpack_from("<H", format_chunk, 24)
    if not channels or not 0 < rate_hz <= _MAX_RATE_HZ:
        raise ValueError(f"{channels} channels at {rate_hz} Hz")
    samples = _samples(data, kind, bits)
    whole = len(samples) // channels * channels
    return samples[:whole].reshape(-1, channels).mean(axis=1), rate_hz


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Convert the rate with a windowed-sinc filter in polyphase form.

    Output n stands at input position n * from_hz / to_hz, so there is no delay to account for.
    """
    if from_hz == to_hz or not len(samples):
        return samples
    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    step = max(1.0, from_hz / to_hz)  # one zero crossing of the filter, in input samples
    half = math.ceil(_CROSSINGS * step)
    padded = np.pad(samples, (half, half + 1))
    windows = sliding_window_view(padded, 2 * half + 1)  # row i is centred on input sample i
    out = np.empty(math.ceil(len(samples) * up / down))
    offsets = np.arange(-half, half + 1)
    for first in range(min(up, len(out))):  # outputs first, first + up ... see the same taps
        at, phase = divmod(first * down, up)
        distance = (offsets - phase / up) / step
        inside = np.clip(1 - (distance / _CROSSINGS) ** 2, 0, None)
        taps = np.sinc(distance * _CUTOFF) * np.i0(_KAISER_BETA * np.sqrt(inside))
        rows = windows[at::down][: len(range(first, len(out), up))]
        out[first::up] = rows @ (taps / taps.sum())
    return out


def encode_pcm16(samples: Samples) -> bytes:
    """Encode samples in -1 ... 1 as 16-bit linear PCM; louder ones saturate."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk the RIFF chunks; a last one that was cut short gives what there is."""
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        yield name, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _samples(data: bytes, kind: int, bits: int) -> Samples:
    """Decode interleaved samples to -1 ... 1."""
    data = data[: len(data) // max(1, bits // 8) * max(1, bits // 8)]
    match kind, bits:
        case (0x0001, 8):  # the one unsigned format
            return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
        case (0x0001, 16 | 32):
            return np.frombuffer(data, f"<i{bits // 8}").astype(np.float64) / (1 << (bits - 1))
        case (0x0001, 24):
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            return wide.reshape(-1).view("<i4").astype(np.float64) / (1 << 31)
        case (0x0003, 32 | 64):
            return np.nan_to_num(np.frombuffer(data, f"<f{bits // 8}").astype(np.float64))
        case _:
            raise ValueError(f"{bits}-bit samples of format {kind:#06x}")
