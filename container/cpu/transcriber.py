"""The interface between a generation and what transcribes its audio. Pure.

All methods are called on the event loop's thread. A transcription may do its work in another thread
or process; it then calls `on_progress` on the event loop's thread whenever `confirmed`, `finished`
or its text may have changed.
"""

from collections.abc import Callable
from typing import Protocol


class Transcription(Protocol):
    """The transcription of one generation."""

    @property
    def confirmed(self) -> int:
        """Samples whose deltas may be sent; fewer than received if the model can't keep up."""

    @property
    def finished(self) -> bool:
        """Whether all text is known; False before `finish`."""

    def append(self, pcm: bytes) -> None:
        """Add audio: PCM16 little-endian, 16 kHz mono, whole samples."""

    def finish(self) -> None:
        """End the audio."""

    def next_text(self, *, last: bool) -> str:
        """Return the text of the next delta; if it is the `last`, all text that is left."""

    def abandon(self) -> None:
        """Stop working; the result is no longer needed. Idempotent."""


class Transcriber(Protocol):
    """Starts transcriptions. A process has one."""

    @property
    def lag_s(self) -> float:
        """Seconds of audio that the slowest transcription has received but not transcribed."""

    def begin(self, on_progress: Callable[[], None]) -> Transcription:
        """Start a generation's transcription."""

    def close(self) -> None:
        """Release threads and memory, after waiting for a model call in progress."""
