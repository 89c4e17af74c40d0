"""A call's tracks, cut into frames and encoded as carriers do. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from cli.wav import MULAW_SILENCE
from gateway.audio.encodings import Encoding, decode

FRAME_MS: Final = 20
FRAME_BYTES: Final = 160  # mu-law


def cut(tracks: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Cut tracks into frames of 20 ms, one of each track at a time; the shorter are padded."""
    for at in range(0, max(map(len, tracks), default=0), FRAME_BYTES):
        yield [audio[at : at + FRAME_BYTES].ljust(FRAME_BYTES, MULAW_SILENCE) for audio in tracks]


def count(tracks: Sequence[bytes]) -> int:
    """How many frames `cut` gives, of all tracks together."""
    return -(-max(map(len, tracks), default=0) // FRAME_BYTES) * len(tracks)


def linear(frames: Sequence[bytes]) -> bytes:
    """Decode mu-law to 16-bit little-endian PCM; channels lie sample by sample."""
    return interleave([decode(Encoding.PCMU, frame) for frame in frames], 2)


def interleave(channels: Sequence[bytes], sample_bytes: int) -> bytes:
    """Lay equally long channels sample by sample into one."""
    samples = [np.frombuffer(channel, f"u{sample_bytes}") for channel in channels]
    return np.stack(samples, axis=1).tobytes()
