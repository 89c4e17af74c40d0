"""Find the stretches of a track that are loud enough to be speech. Pure.

Used to detect pauses, silent models and silent calls. This is not a voice detector: it only has to
distinguish speech from an idle line. Active speech on the telephone has a level around -26 dBov, an
idle line below -50 dBov (ITU-T P.56, G.168).
"""

import audioop
from collections import deque
from typing import Final

LOUD_RMS: Final = 330  # of 16-bit samples: -40 dBFS

_MAX_RUNS: Final = 256


def is_loud(pcm: bytes) -> bool:
    """Return whether PCM16 audio has the energy of speech."""
    return audioop.rms(pcm, 2) >= LOUD_RMS


class LoudRuns:
    """Loud stretches of a track that may contain untranscribed speech, oldest first."""

    def __init__(self) -> None:
        self._runs: deque[tuple[int, int]] = deque()
        self.end_ms: int | None = None  # end of the newest stretch, even if it was dropped since

    @property
    def start_ms(self) -> int | None:
        """Start of the oldest stretch; None if there is none."""
        return self._runs[0][0] if self._runs else None

    @property
    def total_ms(self) -> int:
        """Total length of the stretches."""
        return sum(end_ms - start_ms for start_ms, end_ms in self._runs)

    def note(self, start_ms: int, end_ms: int) -> None:
        """Record a loud chunk. Chunks must be in order."""
        if self._runs and (self._runs[-1][1] == start_ms or len(self._runs) >= _MAX_RUNS):
            start_ms = self._runs.pop()[0]
        self._runs.append((start_ms, end_ms))
        self.end_ms = end_ms

    def first_after(self, from_ms: int) -> int | None:
        """Return where the first loud audio after a time begins; None if there is none."""
        for start_ms, end_ms in self._runs:
            if end_ms > from_ms:
                return max(start_ms, from_ms)
        return None

    def within(self, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """Return the loud audio between two times."""
        spans = ((max(start_ms, from_ms), min(end_ms, to_ms)) for start_ms, end_ms in self._runs)
        return [(start_ms, end_ms) for start_ms, end_ms in spans if start_ms < end_ms]

    def drop_after(self, from_ms: int) -> None:
        """Drop everything after a time."""
        while self._runs and self._runs[-1][0] >= from_ms:
            self._runs.pop()
        if self._runs and self._runs[-1][1] > from_ms:
            self._runs[-1] = (self._runs[-1][0], from_ms)

    def drop_before(self, until_ms: int) -> None:
        """Drop everything before a time."""
        while self._runs and self._runs[0][1] <= until_ms:
            self._runs.popleft()
        if self._runs and self._runs[0][0] < until_ms:
            self._runs[0] = (until_ms, self._runs[0][1])
