"""What of one track is declared as missing: each millisecond at most once. Pure."""

from bisect import bisect_left, bisect_right

from gateway.transcript.events import GapCause, TranscriptGap


class GapLedger:
    """The gaps of one track.

    Declared stretches are kept sorted and disjoint; adjacent ones are merged. Declaring one costs a
    binary search and the stretches it overlaps.

    Args:
        track: its name, as events carry it.

    Attributes:
        total_ms: how long all gaps are together.
    """

    def __init__(self, track: str) -> None:
        self.total_ms = 0
        self._track = track
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        """Count the stretches that are kept."""
        return len(self._starts)

    def declare(self, from_ms: int, to_ms: int, cause: GapCause) -> list[TranscriptGap]:
        """Declare what is not declared yet of a stretch of the media clock."""
        if from_ms >= to_ms:
            return []
        first = bisect_left(self._ends, from_ms)  # of those that overlap or touch it
        last = bisect_right(self._starts, to_ms)
        begin_ms, end_ms = from_ms, to_ms
        gaps = []
        for start, end in zip(self._starts[first:last], self._ends[first:last], strict=True):
            if from_ms < start:
                gaps.append(TranscriptGap(self._track, from_ms, start, cause))
            from_ms = max(from_ms, end)
            begin_ms, end_ms = min(begin_ms, start), max(end_ms, end)
        if from_ms < to_ms:
            gaps.append(TranscriptGap(self._track, from_ms, to_ms, cause))
        self._starts[first:last] = [begin_ms]
        self._ends[first:last] = [end_ms]
        self.total_ms += sum(gap.to_ms - gap.from_ms for gap in gaps)
        return gaps

    def forget(self, until_ms: int) -> None:
        """Drop the record of what nobody will declare again."""
        if self._ends and self._ends[0] <= until_ms:
            count = bisect_right(self._ends, until_ms)
            del self._starts[:count], self._ends[:count]
