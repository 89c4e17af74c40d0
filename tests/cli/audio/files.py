"""Writes WAV files like those of recorders, and generates audio for them."""

import struct

import numpy as np

from cli.audio.samples import Samples

UNKNOWN = 0xFFFFFFFF
LIST = b"LIST" + struct.pack("<I", 3) + b"odd\0"  # a chunk of odd length has a byte of padding


def fmt(kind: int, channels: int, rate_hz: int, bits: int) -> bytes:
    """Return the body of a format chunk."""
    block = channels * bits // 8
    return struct.pack("<HHIIHH", kind, channels, rate_hz, rate_hz * block, block, bits)


def extensible(kind: int, channels: int, rate_hz: int, bits: int) -> bytes:
    """Return the body of an extensible format chunk, which has the format's tag in a GUID."""
    guid = struct.pack("<H", kind) + bytes.fromhex("000000001000800000AA00389B71")
    return fmt(0xFFFE, channels, rate_hz, bits) + struct.pack("<HHI", 22, bits, 0) + guid


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """Return a chunk; its header has `size`, or its actual size by default."""
    length = len(body) if size is None else size
    return name + struct.pack("<I", length) + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes, magic: bytes = b"RIFF", size: int | None = None) -> bytes:
    """Return a file with these chunks."""
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body) if size is None else size) + body


def wav(data: bytes, *, kind: int = 1, channels: int = 1, rate_hz: int = 8000, bits: int) -> bytes:
    """Return an ordinary WAV file."""
    return riff(chunk(b"fmt ", fmt(kind, channels, rate_hz, bits)), LIST, chunk(b"data", data))


def tone(frequency_hz: float, rate_hz: int, seconds: float = 1.0) -> Samples:
    """Return a full-scale sine."""
    return np.sin(2 * np.pi * frequency_hz * np.arange(int(rate_hz * seconds)) / rate_hz)


def level_db(samples: Samples) -> float:
    """Return the level relative to a full-scale sine, without the edges."""
    inner = samples[400:-400]
    return float(10 * np.log10(2 * np.mean(inner**2) + 1e-20))
