"""Proof that audio arrived once and in order. Pure.

The scripted engine answers each 80 ms of audio with the CRC-32 of the samples it got. Every call is
noise of its own, so every checksum of a call is one of a kind and names its place.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.audio.pipeline import AudioChunk, TrackPipeline

CHUNK_MS = 80
_CHUNK_BYTES = 16_000 * 2 * CHUNK_MS // 1000


@dataclass(frozen=True, slots=True)
class Loss:
    """What was wrong with some tracks' audio."""

    lost_ms: int = 0
    duplicated_ms: int = 0

    def __add__(self, other: "Loss") -> "Loss":
        return Loss(self.lost_ms + other.lost_ms, self.duplicated_ms + other.duplicated_ms)


def noise(seed: int, milliseconds: int) -> bytes:
    """Make mu-law noise that no other seed gives."""
    return np.random.default_rng(seed).bytes(8 * milliseconds)


def expected_checksums(track: str, mulaw: bytes) -> list[str]:
    """What the engine says about a track that arrives whole; its last chunk is a partial one."""
    pipeline = TrackPipeline(TrackFormat(track, Encoding.PCMU, 8000), CHUNK_MS)
    pieces = [*pipeline.receive(mulaw, 0, 1), *pipeline.flush()]
    pcm = b"".join(piece.pcm for piece in pieces if isinstance(piece, AudioChunk))
    starts = range(0, len(pcm), _CHUNK_BYTES)
    return [f"{zlib.crc32(pcm[at : at + _CHUNK_BYTES]):08x}" for at in starts]


def compare(expected: Sequence[str], heard: Iterable[str]) -> Loss:
    """Compare what came with what should have.

    Returns:
        As lost, chunks that are not there in their place; as duplicated, everything that came and
        is not the next of its track: repeated, out of order or altered.
    """
    places = {checksum: place for place, checksum in enumerate(expected)}
    last, in_place, others = -1, 0, 0
    for checksum in heard:
        place = places.get(checksum, -1)
        if place > last:
            last, in_place = place, in_place + 1
        else:
            others += 1
    return Loss((len(expected) - in_place) * CHUNK_MS, others * CHUNK_MS)
