"""What of one track is declared as missing: each millisecond at most once. Pure."""

import bisect

from gateway.transcript.events import GapCause, TranscriptGap


class GapLedger:
    """The gaps of one track.

    Args:
        track: its name, as events carry it.

    Attributes:
        total_ms: how long all gaps are together.
    """

    def __init__(self, track: str) -> None:
        self.total_ms = 0
        self._track = track
        self._declared: list[tuple[int, int]] = []  # apart from each other, in order

    def declare(self, from_ms: int, to_ms: int, cause: GapCause) -> list[TranscriptGap]:
        """Declare what is not declared yet of a stretch of the media clock."""
        gaps = []
        for declared_from_ms, declared_to_ms in [*self._declared, (to_ms, to_ms)]:
            end_ms = min(declared_from_ms, to_ms)
            if from_ms < end_ms:
                gaps.append(TranscriptGap(self._track, from_ms, end_ms, cause))
            from_ms = max(from_ms, declared_to_ms)
        for gap in gaps:
            bisect.insort(self._declared, (gap.from_ms, gap.to_ms))
            self.total_ms += gap.to_ms - gap.from_ms
        return gaps

    def forget(self, until_ms: int) -> None:
        """Drop the record of what nobody will declare again."""
        if self._declared and self._declared[0][1] <= until_ms:
            self._declared = [each for each in self._declared if each[1] > until_ms]
