"""Parses the header of a WAV file: RIFF, or RF64 and BW64 (EBU Tech 3306) for more than 4 GiB.

Files written by streaming recorders are supported: their sizes may have stayed at 0 or 0xFFFFFFFF,
and they may be truncated. The parser does not seek, so it can read from a pipe.
"""

import os
import stat
import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from cli.audio.samples import ALAW, DECODERS, FLOAT, MULAW, PCM

MAGICS: Final = (b"RIFF", b"RF64", b"BW64")

_EXTENSIBLE: Final = 0xFFFE  # the actual format tag is at byte 24
_UNKNOWN_SIZE: Final = 0xFFFFFFFF
_MAX_RATE_HZ: Final = 384_000
_MAX_CHANNELS: Final = 64
_MAX_FORMAT_BYTES: Final = 65_536
_SKIP_BYTES: Final = 65_536


class UnknownFormatError(ValueError):
    """The header is valid, but its sample format is not supported."""


@dataclass(frozen=True, slots=True)
class WavFormat:
    """The contents of a header.

    Attributes:
        kind: the format tag.
        bits: size of a sample's container.
        channels: the number of interleaved channels.
        rate_hz: frames per second.
        data_bytes: length of the data after the header; None if it extends to the end of the file.
    """

    kind: int
    bits: int
    channels: int
    rate_hz: int
    data_bytes: int | None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of each channel."""
        return self.channels * self.bits // 8


def read_header(file: BinaryIO) -> WavFormat:
    """Read up to the first byte of audio.

    Raises:
        UnknownFormatError: the sample format is not in `DECODERS`.
        ValueError: the header is invalid.
    """
    magic, riff_bytes, wave = struct.unpack("<4sI4s", _exactly(file, 12, "not a WAV file"))
    if magic not in MAGICS or wave != b"WAVE":
        raise ValueError("not a WAV file")
    body = ds64 = b""
    while True:
        name, size = struct.unpack("<4sI", _exactly(file, 8, "no format or no data in it"))
        match name:
            case b"data":
                break
            case b"fmt " | b"ds64":
                chunk = _exactly(file, min(size, _MAX_FORMAT_BYTES), "the header is cut short")
                body, ds64 = (chunk, ds64) if name == b"fmt " else (body, chunk)
                _skip(file, size - len(chunk) + size % 2)
            case _:
                _skip(file, size + size % 2)
    if len(body) < 16:
        raise ValueError("no format or no data in it")
    if magic != b"RIFF" and size == _UNKNOWN_SIZE and len(ds64) >= 16:
        riff_bytes, size = struct.unpack_from("<QQ", ds64)
    open_ended = size == _UNKNOWN_SIZE or (size == 0 and riff_bytes + 8 != _length(file))
    return _format(body, None if open_ended else size)


def _format(body: bytes, data_bytes: int | None) -> WavFormat:
    kind, channels, rate_hz, _, block_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if kind == _EXTENSIBLE and len(body) >= 26:
        (kind,) = struct.unpack_from("<H", body, 24)
    if not 0 < channels <= _MAX_CHANNELS or not 0 < rate_hz <= _MAX_RATE_HZ:
        raise ValueError(f"{channels} channels at {rate_hz} Hz")
    if kind in (ALAW, MULAW):
        container = 8  # some headers have the width of the decoded samples instead
    elif bits % 8 or (bits == 24 and block_bytes == 4 * channels):
        container = max(bits, block_bytes * 8 // channels)  # e.g. 20 bits in the upper bits of 24
    else:
        container = bits
    if (kind, container) not in DECODERS:
        refusal = ValueError if kind in (PCM, FLOAT) else UnknownFormatError
        raise refusal(f"{bits}-bit samples of format {kind:#06x}")
    return WavFormat(kind, container, channels, rate_hz, data_bytes)


def _exactly(file: BinaryIO, count: int, otherwise: str) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise ValueError(otherwise)
    return content


def _skip(file: BinaryIO, count: int) -> None:
    while count > 0 and (skipped := len(file.read(min(count, _SKIP_BYTES)))):
        count -= skipped


def _length(file: BinaryIO) -> int | None:
    """Return the length of a file; None for a pipe."""
    try:
        status = os.fstat(file.fileno())
    except OSError:  # io.UnsupportedOperation: not a file of the operating system
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
