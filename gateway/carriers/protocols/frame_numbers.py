"""Detect missing frames by their numbers, for streams without timestamps. Pure.

    number                      earlier numbers     missing before the frame
    increases by 1              any                 nothing
    skips up to 60 s of audio   were consecutive    one frame of this length per skipped number
    skips more                  any                 nothing: the number is not a frame count
    decreases or repeats        any                 nothing; earlier numbers are disregarded

Some senders number each track, others number all frames together. Which of the two it is shows as
soon as the frames of two tracks alternate. If all frames are numbered together, the missing frames
are divided among the tracks.
"""

from collections.abc import Sequence
from typing import Final

from gateway.carriers.events import AudioFrame, AudioLost

_MOST_MISSING_MS: Final = 60_000
_MOST_TRUST: Final = 64
_MOST_EVIDENCE: Final = 8


class FrameNumbers:
    """Tracks the frame numbers of one stream."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._last_of: dict[str, int] = {}  # by track
        self._highest_of: dict[str, int] = {}
        self._trust = 0  # consecutive numbers, minus skips
        self._per_track = 0  # evidence that each track is numbered; negative: all together

    def follow(self, frame: AudioFrame, bytes_per_ms: int) -> Sequence[AudioFrame]:
        """Return a frame, preceded by lost audio for the frames missing before it.

        A number that does not increase is removed from the frame: because the frame has no
        timestamp either, the media clock would take it for a duplicate.

        Args:
            frame: the next frame in order of arrival.
            bytes_per_ms: payload bytes per millisecond of its track.
        """
        sequence, size = frame.sequence, len(frame.payload)
        if sequence is None:
            return (frame,)
        missing = self._missing(frame.track, sequence)
        if sequence <= self._highest_of.setdefault(frame.track, sequence - 1):
            frame = type(frame)(frame.track, frame.payload, frame.timestamp_ms, None)
        else:
            self._highest_of[frame.track] = sequence
        if missing * size > _MOST_MISSING_MS * bytes_per_ms:
            missing = 0
        if not missing:
            return (frame,)
        tracks = [*self._last_of] if self._per_track < 0 else [frame.track]
        share, rest = divmod(missing, len(tracks))
        counts = {track: share + (rest if track == frame.track else 0) for track in tracks}
        lost = (AudioLost(t, bytes(n * size), None, None) for t, n in counts.items() if n)
        return (*lost, frame)

    def _missing(self, track: str, sequence: int) -> int:
        """Return how many frames are missing before the one with this number."""
        last, own = self._last, self._last_of.get(track)
        self._last = self._last_of[track] = sequence
        if last is None or own is None:
            return 0
        in_all, in_own = sequence - last - 1, sequence - own - 1
        self._weigh(in_all, in_own)
        if last != own and not self._per_track:
            return 0  # unknown whether they count one track or all
        skipped = in_all if self._per_track < 0 else in_own
        if skipped == 0:
            self._trust = min(self._trust + 1, _MOST_TRUST)
        elif skipped < 0:
            self._trust = 0
        elif self._trust:
            self._trust -= 1
            return skipped
        return 0

    def _weigh(self, in_all: int, in_own: int) -> None:
        """Update the evidence for how frames are numbered."""
        if in_own == 0 != in_all:
            self._per_track = min(self._per_track + 1, _MOST_EVIDENCE)
        elif in_all == 0 != in_own:
            self._per_track = max(self._per_track - 1, -_MOST_EVIDENCE)
