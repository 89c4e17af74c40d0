"""A transcriber that proves which samples arrived, and in which order. Pure, and very cheap.

The text of delta k is " " and the CRC-32 of the generation's samples [1280(k-1), 1280k) as eight
hex digits; a last, shorter chunk gives the CRC of what there is. The padding's deltas are empty,
and so are those of digital silence, for which no model has words.
"""

import zlib
from collections.abc import Callable

from container.cpu.clock import TOKEN_SAMPLES

_CHUNK_BYTES = 2 * TOKEN_SAMPLES


class ChecksumTranscription:
    """One generation's audio, summed."""

    def __init__(self) -> None:
        self.settled = 0
        self.finished = False
        self._pcm = bytearray()  # from the next delta's chunk on

    def hear(self, pcm: bytes) -> None:
        """Keep it until its deltas are due."""
        self._pcm += pcm
        self.settled += len(pcm) // 2

    def finish(self) -> None:
        """Nothing is pending: sums are made when asked for."""
        self.finished = True

    def next_text(self, *, last: bool) -> str:
        """Sum the next chunk."""
        chunk = self._pcm[:_CHUNK_BYTES]
        del self._pcm[:_CHUNK_BYTES]
        is_silent = chunk.count(0) == len(chunk)
        return "" if is_silent else f" {zlib.crc32(chunk):08x}"

    def abandon(self) -> None:
        """Nothing works in the background."""


class ChecksumTranscriber:
    """Makes checksums in the place of words."""

    lag_s = 0.0

    def begin(self, on_progress: Callable[[], None]) -> ChecksumTranscription:
        """Start summing; there is never progress to report."""
        return ChecksumTranscription()

    def close(self) -> None:
        """Nothing to release."""
