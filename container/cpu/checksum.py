"""Output checksums of the audio instead of words, to verify which samples arrived. Pure.

The text of delta k is " " and the CRC-32 of the generation's samples [1280(k-1), 1280k) as eight
hex digits. If the last chunk is shorter, its CRC is that of the samples it has. Deltas of padding
and of digital silence are empty, as no model outputs words for them.
"""

import zlib
from collections.abc import Callable

from container.cpu.clock import TOKEN_SAMPLES

_CHUNK_BYTES = 2 * TOKEN_SAMPLES


class ChecksumTranscription:
    """The checksums of one generation."""

    def __init__(self) -> None:
        self.confirmed = 0
        self.finished = False
        self._pcm = bytearray()  # starting with the next delta's chunk

    def append(self, pcm: bytes) -> None:
        """Buffer audio until its deltas are due."""
        self._pcm += pcm
        self.confirmed += len(pcm) // 2

    def finish(self) -> None:
        """End the audio; nothing is pending, as checksums are computed on request."""
        self.finished = True

    def next_text(self, *, last: bool) -> str:
        """Return the checksum of the next chunk."""
        chunk = self._pcm[:_CHUNK_BYTES]
        del self._pcm[:_CHUNK_BYTES]
        is_silent = chunk.count(0) == len(chunk)
        return "" if is_silent else f" {zlib.crc32(chunk):08x}"

    def abandon(self) -> None:
        """Do nothing: no work runs in the background."""


class ChecksumTranscriber:
    """Starts transcriptions that output checksums."""

    lag_s = 0.0

    def begin(self, on_progress: Callable[[], None]) -> ChecksumTranscription:
        """Start a transcription; it never calls `on_progress`."""
        return ChecksumTranscription()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
