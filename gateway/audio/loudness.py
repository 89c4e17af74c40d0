"""Where a track is loud enough to be speech, for pauses, ruts and silent calls. Pure.

No voice detector: it only has to tell a line that nobody speaks on. Active speech on the telephone
lies around -26 dBov, the noise of a line below -50 (ITU-T P.56, G.168).
"""

import audioop
from collections import deque
from typing import Final

LOUD_RMS: Final = 330  # -40 dB of full scale, of 16-bit samples

_MAX_RUNS: Final = 256


def is_loud(pcm: bytes) -> bool:
    """Whether PCM16 has the energy of speech."""
    return audioop.rms(pcm, 2) >= LOUD_RMS


class LoudRuns:
    """The loud stretches of a track that may hold words nobody has said yet, oldest first."""

    def __init__(self) -> None:
        self._runs: deque[tuple[int, int]] = deque()
        self.end_ms: int | None = None  # where the newest one ended; forgotten ones count

    @property
    def start_ms(self) -> int | None:
        """Where the oldest one begins."""
        return self._runs[0][0] if self._runs else None

    @property
    def total_ms(self) -> int:
        """How long they are together."""
        return sum(end_ms - start_ms for start_ms, end_ms in self._runs)

    def note(self, start_ms: int, end_ms: int) -> None:
        """Record a loud chunk. Chunks come in order."""
        if self._runs and (self._runs[-1][1] == start_ms or len(self._runs) >= _MAX_RUNS):
            start_ms = self._runs.pop()[0]
        self._runs.append((start_ms, end_ms))
        self.end_ms = end_ms

    def forget(self, until_ms: int) -> None:
        """Drop what lies before a time."""
        while self._runs and self._runs[0][1] <= until_ms:
            self._runs.popleft()
        if self._runs and self._runs[0][0] < until_ms:
            self._runs[0] = (until_ms, self._runs[0][1])
