"""Frames of one track that overtook each other, put in order by their numbers. Pure."""

import heapq
from collections.abc import Sequence
from typing import Final

from gateway.carriers.events import AudioFrame

_FIRST: Final = 1  # carriers number a track's frames from here


class Reorder:
    """Holds frames back until the one before them is there, or too much audio waits for it.

    It has no clock: a frame that never comes is given up once `window_bytes` of later audio are
    here. What comes after its turn, or again, is passed on: the media clock tells which it is.

    Args:
        window_bytes: audio held back at most; an empty frame counts as a byte.
    """

    def __init__(self, window_bytes: int) -> None:
        self._window_bytes = window_bytes
        self._next = _FIRST
        self._held: list[tuple[int, int, AudioFrame]] = []  # by number, then as they came
        self._held_bytes = 0
        self._count = 0

    def receive(self, frame: AudioFrame) -> Sequence[AudioFrame]:
        """Take one frame; give those whose turn it is."""
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
        """Give all that is held back, in order."""
        return tuple(self._pop() for _ in range(len(self._held)))

    def _pop(self) -> AudioFrame:
        number, _, frame = heapq.heappop(self._held)
        self._held_bytes -= len(frame.payload) or 1
        self._next = max(self._next, number + 1)
        return frame
