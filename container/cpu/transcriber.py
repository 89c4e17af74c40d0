"""The seam between a generation and what makes text of its audio. Pure.

Everything is called on the event loop's thread. A transcription may work elsewhere; then it calls
`on_progress` on that thread whenever `settled`, `finished` or its text may have changed.
"""

from collections.abc import Callable
from typing import Protocol


class Transcription(Protocol):
    """One generation's audio becoming text."""

    @property
    def settled(self) -> int:
        """Samples whose deltas may go out; fewer than heard when the model can't keep up."""

    @property
    def finished(self) -> bool:
        """Is all text known? Only ever true after `finish`."""

    def hear(self, pcm: bytes) -> None:
        """Take more audio: PCM16 little-endian, 16 kHz mono, whole samples."""

    def finish(self) -> None:
        """Learn that no more audio comes."""

    def next_text(self, *, last: bool) -> str:
        """Give the text of the next delta; of the last one, all that is left."""

    def abandon(self) -> None:
        """Stop working: nobody listens any more. Idempotent."""


class Transcriber(Protocol):
    """Makes transcriptions; one per process."""

    @property
    def lag_s(self) -> float:
        """How much audio the slowest transcription waits for the model to hear, in seconds."""

    def begin(self, on_progress: Callable[[], None]) -> Transcription:
        """Start a generation's transcription."""

    def close(self) -> None:
        """Release threads and memory; waits for a model call that is under way."""
