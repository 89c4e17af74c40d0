"""Put one track's frames in order by their numbers. Pure."""

import heapq
from collections.abc import Sequence
from typing import Final

from gateway.carriers.events import AudioFrame

_FIRST: Final = 1  # the first frame number of a track


class Reorder:
    """Holds frames back until the frame before them arrives, or too much audio is held.

    It uses no clock: a missing frame is skipped once more than `window_bytes` of later audio are
    held. Late and repeated frames are passed on; the media clock distinguishes them.

    Args:
        window_bytes: the most audio to hold back; an empty frame counts as one byte.
    """

    def __init__(self, window_bytes: int) -> None:
        self._window_bytes = window_bytes
        self._next = _FIRST
        self._held: list[tuple[int, int, AudioFrame]] = []  # by number, then by arrival
        self._held_bytes = 0
        self._count = 0

    def receive(self, frame: AudioFrame) -> Sequence[AudioFrame]:
        """Add one frame; return the frames that are due."""
        if frame.sequence is None or frame.sequence < self._next:
            return (frame,)
        if frame.sequence == self._next and not self._held:
            self._next += 1
            return (frame,)
        self._count += 1
        heapq.heappush(self._held, (frame.sequence, self._count, frame))
        self._held_bytes += len(frame.payload) or 1
        ready = []
        while self._held and (
            self._held[0][0] <= self._next or self._held_bytes > self._window_bytes
        ):
            ready.append(self._pop())
        return tuple(ready)

    def flush(self) -> Sequence[AudioFrame]:
        """Return all held frames, in order."""
        return tuple(self._pop() for _ in range(len(self._held)))

    def _pop(self) -> AudioFrame:
        number, _, frame = heapq.heappop(self._held)
        self._held_bytes -= len(frame.payload) or 1
        self._next = max(self._next, number + 1)
        return frame
